"""Presets of methods: each parses, builds its stack, trains two steps on a tiny store and plans a tiny episode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hjepa.agent.options import AgentOptions
from hjepa.config import PRESETS, load_preset
from hjepa.evaluation.worlds import WorldEvaluation, evaluate_world
from hjepa.model.checkpoints import describe, load_stack
from hjepa.settings import RunConfig
from hjepa.sweeps.sweep import collect_store
from hjepa.training.actor_distillation import distill
from hjepa.training.fit import fit
from tasks import ObservationStore

METHODS = {
    "gcbc": 1,
    "flat-lewm": 1,
    "flat-pldm": 1,
    "hwm": 2,
    "dual-wm": 2,
    "h-jepa-2": 2,
    "h-jepa-3": 3,
    "h-jepa-4": 4,
    "ours-1": 1,
    "ours-2": 2,
    "ours-3": 3,
    "ours-4": 4,
}
"""Levels of each."""


def tiny(name: str) -> RunConfig:
    """A preset with few episodes, narrow networks and two steps of training."""
    config = load_preset(name)
    narrow = [f"levels.{k}.{what}=16" for k in range(len(config.levels)) for what in ("hidden", "head")]
    narrow += [
        f"levels.{k}.memory.{what}=8"
        for k, level in enumerate(config.levels)
        if level.memory is not None
        for what in (["channels", "wide"] if level.memory.wide else ["channels"])
    ]
    rollout = max(level.rollout for level in config.levels)
    return load_preset(
        name,
        [
            *narrow,
            "levels.0.channels=8",
            "collect.plans=8",
            "train.plans=2",
            f"train.batch={4 * rollout}",
            f"train.steps={[2] * len(config.levels)}",
            "train.metric_trajectories=2",
            "plan.max_candidates=8",
            "plan.iterations=7" if config.plan.patience else "plan.iterations=2",
            "plan.block=2",
            *(["plan.ground=8"] if config.plan.ground else []),
        ],
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-rooms") / "data"
    collect_store(tiny("gcbc"), folder)
    return folder


def test_every_method_has_a_name_of_its_own() -> None:
    shipped = {path.stem for path in (PRESETS / "methods").glob("*.yaml")}
    assert shipped == set(METHODS)
    assert not shipped & {path.stem for path in PRESETS.glob("*.yaml")}
    for name, levels in METHODS.items():
        config = load_preset(name)
        assert config == load_preset(f"shipped:{name}") == load_preset(f"shipped:methods/{name}")
        assert (config.task, len(config.levels)) == ("hjepa/TwoRoom-v0", levels)
        said = (PRESETS / "methods" / f"{name}.yaml").read_text().split("task:")[0]
        assert "Differs:" in said or "No published method" in said


def test_what_methods_are_made_of() -> None:
    lewm, pldm, hwm, dual, deep = (
        load_preset(name) for name in ("flat-lewm", "flat-pldm", "hwm", "dual-wm", "h-jepa-3")
    )
    assert (lewm.levels[0].anti_collapse, lewm.plan.planner) == ("sigreg", "cem")
    for regularised in (lewm, dual, deep):
        assert all(level.normalize and level.anti_collapse == "sigreg" for level in regularised.levels)
    assert lewm.levels[0].loss.inverse == 0 == lewm.levels[0].loss.similarity
    assert (pldm.levels[0].anti_collapse, pldm.plan.planner) == ("vicreg", "mppi")
    assert pldm.levels[0].loss.inverse == 1
    assert [level.encoder for level in hwm.levels] == ["image", "shared"]
    assert hwm.levels[1].macro_action == "chunk" and hwm.plan.planner == "cem"
    assert [level.encoder for level in dual.levels] == ["image", "mlp"]
    assert dual.levels[1].macro_action == "stochastic" and dual.levels[1].loss.kl > 0
    assert dual.train.schedule == "sequential" and not dual.train.end_to_end
    assert [level.encoder for level in deep.levels] == ["image", "mlp", "mlp"] and deep.train.end_to_end
    assert all(level.macro_dim == 4 and level.anti_collapse == "sigreg" for level in deep.levels[1:])
    assert deep.train.upper_learning_rate == pytest.approx(deep.train.learning_rate / 5)


BESIDE_OTHERS = ("h-jepa-2", "h-jepa-3", "ours-1", "ours-3")
"""Like others but for the number of levels."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in BESIDE_OTHERS else name for name in METHODS],
)
def test_a_method_trains_and_plans(name: str, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(tiny(name), data, run, device="cpu", progress=False)
    if name == "gcbc":
        distill(str(run), str(data), questions=8, steps=2, hidden=8, progress=False, source="data")
    stack = load_stack(run)
    asked = WorldEvaluation(
        describe(run)["played"],
        AgentOptions(budget_tflops=0.1),
        episodes=2,
        goals="offset:25",
        data=ObservationStore.open(data),
        step_budget=3,
    )
    (record,) = evaluate_world(stack, asked, [stack.depth])
    assert record["levels"] == METHODS[name] and record["planner"] == stack.config.plan.planner
    assert 0 < record["tflops_per_episode"] <= 0.1 and max(record["steps"]) <= 3
    assert len(record["steps_to_success"]) == 2
    (again,) = evaluate_world(stack, replace(asked, episode_batch=1), [stack.depth])
    assert again["steps"] == record["steps"] and again["success"] == record["success"]

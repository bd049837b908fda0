"""Parts of a user's own, named module:Name: trained, kept, planned with, and never imported for a stranger's file."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.config import load_preset, parse_config, to_plain
from hjepa.errors import InputError
from hjepa.evaluation.worlds import WorldEvaluation, evaluate_world
from hjepa.model.checkpoints import DESCRIPTION, describe, load_stack
from hjepa.model.stack import Stack
from hjepa.own_code import VARIABLE, allow, check_named, check_task, named_in
from hjepa.training.fit import fit
from tasks import ObservationStore, collect_world, make_world

PARTS = '''
"""An encoder, a cost head, two distances and a refiner of somebody who has never touched hjepa."""
import torch
from torch import nn
from levels.costs.base import CostHead
from planners.refiners import NoRefiner

class Eye(nn.Module):
    sees = "vector"
    def __init__(self, given):
        super().__init__()
        self.layer = nn.Linear(given.world.sight.shape[0], given.settings.latent_dim)
    def forward(self, observation, memory=None):
        return self.layer(observation.float())

class Deaf(nn.Module):
    pass

class Straight(CostHead):
    """Steps as a multiple of the distance."""
    def __init__(self, given):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
    def field(self, picture, goal, sweeps, closed=None):
        return goal[:, :, None, None]
    def forward(self, latent, field):
        goal = field.flatten(1).view(len(field), *[1] * (latent.ndim - 2), -1)
        return self.scale * (latent - goal).abs().sum(-1)
    def loss(self, latent, picture, goal, sweeps, under, farthest=None, ahead=None):
        layout = torch.arange(len(latent))
        aim = latent[layout, goal[0], goal[1]]
        error = self(latent[layout, goal[0]], self.field(picture, aim, sweeps)).sub(3).square().mean()
        return error, {"steps": error.detach().sqrt()}

def city(first, second):
    return (first - second).abs().sum(-1)

class Scaled(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.register_buffer("spread", torch.zeros(dim))
    def fit(self, latents):
        self.spread.copy_(latents.flatten(0, 1).std(0))
    def forward(self, first, second):
        return ((first - second) / self.spread).square().sum(-1)

class Best(NoRefiner):
    calls = []
    def __init__(self, settings):
        self.calls.append(settings.iterations)
'''

OWN = [
    "task=Pendulum-v1", "train.steps=[2,2]", "train.batch=64", "train.plans=2", "train.metric_trajectories=4",
    "levels.0.rollout=4", "levels.1.rollout=2", "plan.horizon=[4,2]", "collect.length=20", "levels.0.hidden=8",
    "levels.1.hidden=8", "levels.0.encoder=own_parts:Eye", "plan.metric=own_parts:Scaled",
    "plan.planner=own_parts:Best", "plan.flat={'own_parts:city': {commit: 2}}",
    "critic={kind: own_parts:Straight, steps: 2, plans: 2, trajectories: 2}",
]  # fmt: skip


@pytest.fixture(autouse=True)
def nobody_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "own_parts.py").write_text(PARTS)
    sys.path.insert(0, str(folder))
    yield folder  # type: ignore[misc]
    sys.path.remove(str(folder))
    sys.modules.pop("own_parts", None)


@pytest.fixture(scope="module")
def run(module: Path) -> Path:
    patch = pytest.MonkeyPatch()
    patch.delenv(VARIABLE, raising=False)
    collect_world(make_world("Pendulum-v1"), module / "data", "random", episodes=6, length=24, seed=0)
    fit(load_preset("vector", OWN), module / "data", module / "run", device="cpu")
    patch.undo()
    return module / "run"


def test_parts_of_ones_own_are_trained_and_kept(run: Path) -> None:
    stack = load_stack(run, allow=["own_parts"])
    own = sys.modules["own_parts"]
    assert isinstance(stack.level(0).encoder, own.Eye) and isinstance(stack.critic(0), own.Straight)
    assert stack.distances == ("l2", "commute", "imagined", "own_parts:Scaled", "own_parts:city")
    assert float(stack.critic(0).scale) != 1.0, "the head has learned"
    latent = torch.randn(3, 16)
    scaled = stack.distance("own_parts:Scaled", 0)
    assert bool((scaled.spread > 0).all()), "the distance was fitted to the latents"  # type: ignore[attr-defined]
    assert torch.allclose(stack.distance("own_parts:city", 1)(latent, -latent), 2 * latent.abs().sum(-1))
    assert stack.stride_quantile("own_parts:city", 0, 0.5) != stack.stride_quantile("l2", 0, 0.5)
    part = stack.truncate(1)
    assert torch.equal(part.distance("own_parts:Scaled", 0).spread, scaled.spread)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="calibrated for l2, commute, imagined, own_parts:Scaled"):
        stack.stride_quantile("own_parts:other", 0, 0.5)
    with pytest.raises(InputError, match="own_parts:city is no linear map"):
        stack.metric("own_parts:city", 0)


def test_parts_of_ones_own_plan(run: Path, module: Path) -> None:
    stack, own = load_stack(run, allow=["own_parts"]), sys.modules["own_parts"]
    own.Best.calls.clear()
    held = ObservationStore.open(module / "data")
    asked = WorldEvaluation(describe(run)["played"], episodes=2, step_budget=6, goals="offset:5", data=held)
    (record,) = evaluate_world(stack, asked, [2])
    assert record["metric"] == "own_parts:Scaled" and record["planner"] == "own_parts:Best"
    assert set(own.Best.calls) == {stack.config.plan.iterations}


def test_a_checkpoint_does_not_import_what_nobody_has_named(run: Path, tmp_path: Path) -> None:
    (tmp_path / "evil_parts.py").write_text("raise SystemExit('it ran')")
    folder = tmp_path / "given"
    shutil.copytree(run, folder)
    description = json.loads((folder / DESCRIPTION).read_text())
    description["config"]["levels"][0]["encoder"] = "evil_parts:Eye"
    (folder / DESCRIPTION).write_text(json.dumps(description))
    sys.path.insert(0, str(tmp_path))
    try:
        for trusted in ([], ["own_parts"]):
            with pytest.raises(InputError, match="names code of the module '.*', which runs") as caught:
                load_stack(folder, allow=trusted)
            assert "say --allow" in str(caught.value) and "model.json" in str(caught.value)
    finally:
        sys.path.remove(str(tmp_path))
    with pytest.raises(InputError, match="names code of the module 'own_parts'"):
        load_stack(run)
    allow(["own_parts"])
    assert isinstance(load_stack(run), Stack)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("levels.0.encoder=own_parts:Eyes", "own_parts has no 'Eyes'"),
        ("levels.0.encoder=own_partz:Eye", "module 'own_partz' cannot be imported"),
        ("levels.0.encoder=own_parts:Deaf", "a class with an attribute sees"),
        ("levels.0.encoder=vektor", "level encoder is 'vektor'; choose from agent"),
        ("plan.metric=own_parts:PARTS", "own_parts has no 'PARTS'"),
        ("plan.metric=l3", "metric is 'l3'; choose from l2"),
        ("plan.planner=own_parts:city", "a class with __call__, passes and rollouts"),
        ("plan.planner=own_parts:Eye", "a class with __call__, passes and rollouts"),
        ("critic.kind=own_parts:Eye", "a class that derives from levels.costs.base.CostHead"),
        ("critic.kind=gird", "critic kind is 'gird'; choose from grid, field"),
    ],
)
def test_a_slip_is_one_line_before_any_work(module: Path, override: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        load_preset("vector", [*OWN, override])
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_a_configuration_names(module: Path) -> None:
    content = to_plain(load_preset("vector", OWN))
    assert named_in(content) == ["own_parts"]
    check_named(content, "here", ["own_parts"])
    assert named_in(to_plain(load_preset("told-nested-d2"))) == []
    # A task's module is imported where the task is asked for.
    assert named_in({"task": "worlds:Mine-v0", "levels": [{"encoder": "agent"}]}) == []
    with pytest.raises(InputError, match="names code of the module 'worlds'"):
        check_task("worlds:Mine-v0", "checkpoint x")
    check_task("MiniGrid-Empty-5x5-v0", "checkpoint x")


def test_a_preset_that_a_person_names_is_trusted_and_so_are_its_workers(module: Path) -> None:
    load_preset("vector", OWN)
    check_named(to_plain(load_preset("vector", OWN)), "a worker, which inherits the environment")
    assert parse_config(to_plain(load_preset("vector", OWN)), "here").levels[0].sees == "vector"


def test_a_stack_that_names_nothing_has_the_rows_it_always_had(module: Path) -> None:
    config = load_preset("vector")
    assert config.plan.own_distances == []
    stack = load_stack("told-nested-d2")
    assert stack.stride_distance.shape[0] == 3 and not list(stack.measures.parameters())
    assert np.isfinite(stack.stride_quantile("critic", 0, 0.5))

"""Tuning, and settings of the flat agent alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset, with_plan
from hjepa.errors import InputError
from hjepa.json_files import read_json
from hjepa.model.checkpoints import save_stack
from hjepa.model.stack import Stack
from hjepa.sweeps import tuning

TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")
FLAT = "plan.flat={l2: {horizon: 2, commit: 2, haste: 0.5}}"


def test_the_flat_agent_has_settings_of_its_own(stack: Stack) -> None:
    config = load_preset(TINY, [FLAT, "plan.metric=l2"])
    assert config.plan.haste == 0 and config.plan.alone().haste == 0.5
    assert config.plan.alone().horizon == (2, 3, 2)
    flat, whole = (
        Agent(stack, 64, AgentOptions(levels, budget_tflops=1.0, settings=config.plan)) for levels in (1, 3)
    )
    assert flat.planner.commit == 2 and flat.planner.levels[0].horizon == 2
    assert whole.planner.levels[0].horizon == 3 and whole.settings.haste == 0
    other = with_plan(config, ["plan.metric=commute"]).plan
    assert other.alone().horizon == other.horizon, "tuned for l2, not for commute"


def test_what_is_asked_for_counts_for_the_flat_agent_too() -> None:
    config = load_preset(TINY, [FLAT, "plan.metric=l2"])
    assert with_plan(config, ["plan.haste=0.9"]).plan.alone().haste == 0.9
    assert with_plan(config, ["plan.haste=0.9"]).plan.alone().commit == 2


@pytest.mark.parametrize(
    ("flat", "reason"),
    [
        ("{l2: {horizon: 9}}", "choose from 1 to 6"),
        ("{l2: {horizon: 2, commit: 3}}", "choose from 1 to level 1's horizon 2"),
        ("{l2: {metric: l2}}", "there is no setting .plan.flat.l2.metric.; choose from horizon, commit"),
        ("{l2: {planner: magic}}", "choose from adam"),
        ("{magic: {haste: 1}}", "plan.flat of metric .magic.; did you mean imagined"),
        ("{imagined: {walks: 3}}", "give level, count"),
        ("{imagined: {walks: {lag: 99}}}", "more steps than lag"),
    ],
)
def test_flat_settings_that_cannot_work_are_refused(flat: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_preset(TINY, [f"plan.flat={flat}"])


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes are started: one that loads torch costs more than the trials of a test."""
    monkeypatch.setattr(tuning, "worker_pool", ThreadPoolExecutor)


def test_tuning_keeps_everything_and_chooses_the_best(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_stack(stack, tmp_path, {"task": stack.config.task})
    monkeypatch.setattr(tuning, "OTHERS", ({"haste": 1.0}, {"support": 0.0}))
    seen: list[dict[str, Any]] = []
    found = tuning.tune(
        str(tmp_path), stack.config.task, ("l2",), episodes=2, budget_tflops=0.01, workers=1, note=seen.append,
        commits=(1, 2),
    )  # fmt: skip
    tried = found["metrics"]["l2"]["tried"]
    assert len(tried) >= 5 and len(seen) == len(tried)
    pairs = {(row["horizon"], row["commit"]) for row in tried}
    assert pairs == {(4, 1), (4, 2), (6, 1), (6, 2)}, "up to twice as far as it was trained to imagine"
    assert found["metrics"]["l2"]["chosen"] == tuning.best(tried)
    assert max(row["success_rate"] for row in tried) == tuning.best(tried)["success_rate"]
    assert found["split"] == "validation" and len(found["checkpoint_sha256"]) == 64


@pytest.mark.usefixtures("in_this_process", "few_steps")
@pytest.mark.slow
def test_the_flat_agent_may_have_walks_of_its_own(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_preset(TINY, ["plan.metric=imagined", "plan.flat={imagined: {walks: {lag: 3}}}"])
    assert config.plan.walks.lag == 1 and config.plan.alone().walks == replace(config.plan.walks, lag=3)
    save_stack(stack, tmp_path, {"task": stack.config.task})
    monkeypatch.setattr(tuning, "OTHERS", ({"walks": {"lag": 3}},))
    asked = (str(tmp_path), stack.config.task)
    for metric, tries in (("imagined", 1), ("l2", 0)):
        found = tuning.tune(*asked, (metric,), episodes=1, budget_tflops=0.05, workers=1)
        assert sum("walks" in row for row in found["metrics"][metric]["tried"]) == tries


@pytest.mark.usefixtures("in_this_process", "few_steps")
def test_what_lies_between_levels_is_tuned_where_there_are_several(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_stack(stack, tmp_path, {"task": stack.config.task})
    assert [set(row) for row in tuning._above("critic")][:2] == [{"critic_reached"}] * 2
    assert [set(row) for row in tuning._above("l2")][:2] == [{"reached"}] * 2
    monkeypatch.setattr(tuning, "OTHERS", ())
    monkeypatch.setattr(tuning, "OTHERS_ABOVE", ({"reached": 0.25}, {"pace": None}))
    found = tuning.tune(
        str(tmp_path), stack.config.task, ("l2",), levels=2, episodes=1, budget_tflops=0.05, workers=1
    )
    tried = found["metrics"]["l2"]["tried"]
    top = stack.config.levels[1].rollout
    assert {row["horizon"] for row in tried} == set(range(1, top + 1)) and all(
        "commit" not in row for row in tried
    )
    assert sum("reached" in row for row in tried) >= 1 and sum("pace" in row for row in tried) >= 1


@pytest.mark.usefixtures("in_this_process", "few_steps")
def test_horizons_that_are_asked_for_are_the_ones_tried(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_stack(stack, tmp_path, {"task": stack.config.task})
    monkeypatch.setattr(tuning, "OTHERS", ())
    asked = (str(tmp_path), stack.config.task, ("l2",))
    found = tuning.tune(*asked, episodes=1, budget_tflops=0.05, horizons=(2,))
    tried = found["metrics"]["l2"]["tried"]
    assert [(row["horizon"], row["commit"]) for row in tried] == [(2, 1), (2, 2)]
    found = tuning.tune(*asked, episodes=1, budget_tflops=0.05, horizons=(1, 3), commits=(3, 1))
    tried = found["metrics"]["l2"]["tried"]
    assert [(row["horizon"], row["commit"]) for row in tried] == [(1, 1), (3, 1), (3, 3)]


@pytest.mark.usefixtures("in_this_process", "few_steps")
def test_a_killed_tuning_goes_on_after_its_last_trial(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, kept = tmp_path / "run", tmp_path / "tuning.json.partial"
    run.mkdir()
    save_stack(stack, run, {"task": stack.config.task})
    monkeypatch.setattr(tuning, "OTHERS", ({"haste": 1.0},))

    def tune(stop_after: int, episodes: int = 1) -> tuple[list[str], dict[str, Any]]:
        notes: list[str] = []

        def note(text: str) -> None:
            notes.append(text)
            if len(notes) == stop_after:
                raise KeyboardInterrupt

        found = tuning.tune(
            str(run), stack.config.task, ("l2",), episodes=episodes, budget_tflops=0.05, note=note,
            horizons=(2,), progress=kept,
        )  # fmt: skip
        return notes, found

    whole = tune(0)
    kept.unlink()
    with pytest.raises(KeyboardInterrupt):
        tune(2)
    assert len(read_json(kept)["trials"]) == 2
    planned: list[int] = []
    keep = tuning._Kept.keep
    monkeypatch.setattr(
        tuning._Kept, "keep", lambda self, *trial: (planned.append(len(trial)), keep(self, *trial))
    )
    assert tune(0) == whole and len(planned) == len(whole[0]) - 2
    planned.clear()
    assert tune(0) == whole and not planned
    assert tune(0, episodes=2) != whole and planned, "trials of other tasks are no trials of these"


@pytest.mark.usefixtures("in_this_process", "few_steps")
def test_a_second_round_starts_from_the_best_of_the_first(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_stack(stack, tmp_path, {"task": stack.config.task})
    monkeypatch.setattr(tuning, "OTHERS", ({"haste": 0.25}, {"support": 0.0}, {"haste": 0.5}))
    worth = {"haste": {0.25: 1.0, 0.5: 4.0}, "support": {0.0: 2.0}}

    def measure(asked: tuple[Any, ...], metric: str, changes: dict[str, Any]) -> dict[str, Any]:
        gain = sum(worth[key].get(value, 0.0) for key, value in changes.items() if key in worth)
        alone = gain == 0 or len(changes.keys() & worth.keys()) == 1
        return {"success_rate": gain if alone else 3.0 + gain / 100, "spl": 0.0, "tflops_per_episode": 0.0}

    monkeypatch.setattr(tuning, "_try", measure)
    asked = (str(tmp_path), stack.config.task, ("l2",))
    one, two = (
        tuning.tune(*asked, horizons=(2,), commits=(2,), rounds=rounds)["metrics"]["l2"] for rounds in (1, 2)
    )
    assert one["chosen"]["haste"] == 0.5 and "support" not in one["chosen"]
    rows = [{key: row.get(key) for key in ("haste", "support")} for row in one["tried"]]
    assert rows[-1] == {"haste": 0.5, "support": 0.0}, "all that helped at once"
    assert two["tried"][: len(rows)] == one["tried"], "a round of its own changes nothing of the first"
    further = [(row["haste"], row.get("support")) for row in two["tried"][len(rows) :]]
    assert further == [(0.25, None), (0.5, 0.0)], "what the best already has is not tried again"


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"horizons": (2, 9)}, "choose from 1 to 6"),
        ({"horizons": (0,)}, "choose from 1 to 6"),
        ({"commits": (0,)}, "1 or more"),
        ({"commits": (1,), "levels": 2}, "one level alone"),
        ({"horizons": (1,), "commits": (2,)}, "nothing to try"),
        ({"rounds": 0}, "1 or more"),
        ({"levels": 9}, "choose from 1 to"),
        ({"levels": 0}, "choose from 1 to"),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    stack: Stack, tmp_path: Path, changes: dict[str, Any], remedy: str
) -> None:
    save_stack(stack, tmp_path, {"task": stack.config.task})
    with pytest.raises(InputError, match=remedy):
        tuning.tune(str(tmp_path), stack.config.task, ("l2",), episodes=1, budget_tflops=0.05, **changes)

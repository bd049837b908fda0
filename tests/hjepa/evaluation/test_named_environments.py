"""Success is the named environment's: what is reported of wrapped ones, and what is refused at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hjepa.agent.options import AgentOptions
from hjepa.cli import main
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent, play
from hjepa.model.checkpoints import load_stack
from hjepa.sweeps.grid import Grid, expand
from tasks import sample_episodes, task_spec
from tasks.batched import BatchedGridWorld

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"
FOUR = "MiniGrid-FourRooms-v0"

WORLDS = """
import gymnasium
from minigrid.envs.empty import EmptyEnv
from minigrid.envs.fourrooms import FourRoomsEnv


class Swapped(gymnasium.ActionWrapper):
    def action(self, action):
        return {0: 1, 1: 0}.get(int(action), action)


class Stuck(gymnasium.ActionWrapper):
    def action(self, action):
        return {2: 6, 6: 2}.get(int(action), action)


class Penalty(gymnasium.RewardWrapper):
    def reward(self, reward):
        return reward - 2.0


gymnasium.register("Swapped-v0", entry_point=lambda **kwargs: Swapped(FourRoomsEnv(**kwargs)))
gymnasium.register("Stuck-v0", entry_point=lambda **kwargs: Stuck(FourRoomsEnv(max_steps=20, **kwargs)))
gymnasium.register("Penalty-v0", entry_point=lambda **kwargs: Penalty(FourRoomsEnv(**kwargs)))
gymnasium.register("Same-v0", entry_point=lambda **kwargs: EmptyEnv(size=19, **kwargs))
"""


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("named")
    (folder / "named_worlds.py").write_text(WORLDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield "named_worlds:"


def test_a_record_says_what_was_stepped_and_success_is_the_environments(worlds: str) -> None:
    stack = load_stack("told-four-rooms")
    names = (FOUR, *(f"{worlds}{name}-v0" for name in ("Penalty", "Swapped", "Stuck")))
    plain, penalty, swapped, stuck = (
        evaluate(stack, name, levels=1, episodes=2, budget_tflops=0.003) for name in names
    )
    assert (plain["stepped"], plain["replayed"], plain["placed"]) == ("twin", 2, 0)
    assert plain["success_rate"] == penalty["success_rate"] == 1.0, "a penalty is no failure"
    for record in (penalty, swapped, stuck):
        assert (record["stepped"], record["replayed"], record["placed"]) == ("environment", 0, 0)
    # Left for right: whoever looks and plans anew after every step gets there, but not by a shortest path.
    assert plain["path_ratio"] < 1.2 and swapped["path_ratio"] > 1.3
    assert stuck["success_rate"] == 0 and stuck["steps"] == [20] * 2, "forward does nothing there"


def test_a_twin_that_differs_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stack, task = load_stack("told-nested-d2"), "hjepa/NestedRooms-d2-v0"
    right = BatchedGridWorld._advance
    monkeypatch.setattr(BatchedGridWorld, "_advance", lambda self, action: right(self, np.zeros_like(action)))
    agent = make_agent(stack, task_spec(task), AgentOptions(1))
    with pytest.raises(
        InputError, match=f"{task}, episode 7, step .* in its batched twin; no result is counted"
    ):
        play(agent, task_spec(task), sample_episodes(task, episodes=1), 7, 0)


@pytest.mark.parametrize(
    ("task", "more", "message"),
    [
        (FOUR, ["--tasks", "far"], "unknown tasks 'far'; choose one of own, uniform"),
        ("Same-v0", [], "has too few layouts: 1 different in 500 seeds"),
    ],
)
def test_episodes_that_cannot_be_drawn_are_refused_before_work(
    worlds: str, task: str, more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = task if task == FOUR else worlds + task
    codes, lines = [], ""
    for split in ("train", "validation", "test"):
        out = tmp_path / f"{split}.json"
        words = ["--checkpoint", "told-four-rooms", "--task", named, "--split", split, "--json", str(out)]
        if task == FOUR or not _has_layouts(named, split):
            codes.append(main(["plan", *words, "--episodes", "2", *more]))
            lines += capsys.readouterr().err
            assert not out.exists() and not list(tmp_path.iterdir())
    assert set(codes) == {2} and len(codes) >= 2
    assert message in lines and len(lines.splitlines()) == len(codes)


def _has_layouts(task: str, split: str) -> bool:
    try:
        return bool(len(sample_episodes(task, split, episodes=1)))
    except ValueError:
        return False


def test_an_ablation_is_refused_before_it_trains() -> None:
    with pytest.raises(
        InputError, match="episodes of hjepa/.*: unknown tasks 'own'; choose one of far, uniform"
    ):
        expand(str(TINY), Grid(tasks="own", episodes=2))

"""From any environment to a plan through the command line: collect, fit, plan, and nothing is told."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hjepa.cli import main

SYMBOLS = [
    "--set",
    "train.steps=[6,4]",
    "--set",
    "train.batch=256",
    "--set",
    "train.plans=4",
    "--set",
    "levels.0.rollout=4",
]
SYMBOLS += ["--set", "plan.horizon=[4,2]", "--set", "levels.1.rollout=2", "--set", "train.checkpoint_every=3"]
SYMBOLS += ["--set", "plan.walks.steps=8", "--set", "plan.walks.count=8", "--set", "collect.length=20"]
SYMBOLS += [
    "--set",
    "train.metric_trajectories=16",
    "--set",
    "levels.1.memory.wide=0",
    "--set",
    "levels.0.channels=8",
]


def command(*words: object) -> int:
    try:
        return int(main([str(word) for word in words]) or 0)
    except SystemExit as stopped:
        return int(stopped.code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen")
    for name, split, seed in (("train", "train", 0), ("held", "test", 1)):
        words = (
            "collect",
            "--env",
            "MiniGrid-Empty-Random-6x6-v0",
            "--observe",
            "symbols",
            "--policy",
            "persistent",
        )
        assert (
            command(
                *words,
                "--episodes",
                24,
                "--length",
                24,
                "--seed",
                seed,
                "--split",
                split,
                "--out",
                folder / name,
            )
            == 0
        )
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    assert (
        command("fit", "--preset", "symbols", "--data", data / "train", "--out", data / "run", *SYMBOLS) == 0
    )
    return data / "run"


def test_training_does_not_need_to_know_the_state(run: Path, data: Path, tmp_path: Path) -> None:
    """Weights are the same, bit for bit, from a store without what the simulator knew."""
    bare = tmp_path / "bare"
    shutil.copytree(data / "train", bare)
    assert (bare / "state").exists(), "there is something to delete"
    shutil.rmtree(bare / "state")
    assert command("fit", "--preset", "symbols", "--data", bare, "--out", tmp_path / "run", *SYMBOLS) == 0
    weights = [load_file(next(folder.glob("*.safetensors"))) for folder in (run, tmp_path / "run")]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def plan(run: Path, file: Path, *more: object) -> int:
    words = (
        "plan",
        "--checkpoint",
        run,
        "--task",
        "MiniGrid-Empty-Random-6x6-v0",
        "--episodes",
        6,
        "--levels",
        "1,2",
    )
    return command(*words, "--json", file, *more)


def test_planning_needs_the_state_as_little(run: Path, data: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(data / "held", bare)
    shutil.rmtree(bare / "state")
    found = []
    for name, held in (("with", data / "held"), ("without", bare)):
        assert plan(run, tmp_path / name, "--goals", "offset:5", "--data", held) == 0
        found.append(json.loads((tmp_path / name).read_text()))
    for one, other in zip(*found):
        assert one["success"] == other["success"] and one["steps"] == other["steps"]
    record = found[0][1]
    assert [each["levels"] for each in found[0]] == [1, 2]
    assert (
        record["information"] == "seen"
        and record["observation"] == "symbols"
        and record["goals"] == "offset:5"
    )
    assert record["step_budget"] == 10 and record["oracle_steps"] == [5] * 6
    solved = [n for n in record["steps_to_success"] if n is not None]
    assert len(solved) == sum(record["success"]) and all(1 <= n <= 10 for n in solved)


def test_goals_that_the_world_shows(run: Path, tmp_path: Path) -> None:
    changed = ("--set", "plan.haste=0.5")
    assert plan(run, tmp_path / "goals", "--budget-tflops", 0.02, *changed) == 0
    records = json.loads((tmp_path / "goals").read_text())
    assert all(record["overrides"] == ["plan.haste=0.5"] for record in records), "or records would look alike"
    assert {record["goals"] for record in records} == {"world"}
    assert all(0 <= record["random_success_rate"] <= 1 for record in records)


def test_a_killed_plan_goes_on_after_its_last_batch(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hjepa.commands import plan as plan_module
    from hjepa.evaluation import worlds
    from hjepa.evaluation.records import without_timing

    played, play = [], worlds.play_world
    told: list[tuple[int, int, int]] = []
    # What the bar is moved by.
    monkeypatch.setattr(
        plan_module, "success_bar", lambda _: nullcontext(lambda *numbers: told.append(numbers))
    )
    batches = ("--episode-batch", 2, "--budget-tflops", 0.02, "--step-budget", 8)

    def dies(agent: object, world: object, tasks: object, first: int, *rest: object) -> object:
        if len(played) == 4:  # one level's three batches, and one of the next
            raise KeyboardInterrupt
        played.append(first)
        return play(agent, world, tasks, first, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(worlds, "play_world", dies)
    assert plan(run, tmp_path / "killed.json", *batches) == 130
    assert "the same command again continues" in capsys.readouterr().err
    assert told[0] == (0, 0, 12) and told[-1][0] == 8 and told == sorted(told), (
        "of two levels' six episodes each"
    )
    told.clear()
    assert not (tmp_path / "killed.json").exists() and (tmp_path / "killed.json.partial").is_dir()

    def counts(agent: object, world: object, tasks: object, first: int, *rest: object) -> object:
        played.append(first)
        return play(agent, world, tasks, first, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(worlds, "play_world", counts)
    assert plan(run, tmp_path / "killed.json", *batches) == 0
    assert played == [0, 2, 4, 0, 2, 4], "no batch is played twice"
    assert (told[0][0], told[1][0], told[-1][0]) == (0, 6, 12), (
        "what was finished before counts from the start"
    )
    assert not (tmp_path / "killed.json.partial").exists()
    assert plan(run, tmp_path / "whole.json", "--episode-batch", 4, *batches[2:]) == 0
    killed, whole = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("killed", "whole"))
    assert told[-1] == (12, sum(sum(record["success"]) for record in whole), 12)
    assert [without_timing(record) for record in killed] == [without_timing(record) for record in whole]


def test_every_episode_is_drawn_as_it_was(run: Path, data: Path, tmp_path: Path) -> None:
    words = ("--goals", "offset:5", "--data", data / "held", "--episodes", 2, "--figures", tmp_path / "drawn")
    assert plan(run, tmp_path / "drawn.json", *words) == 0
    records = json.loads((tmp_path / "drawn.json").read_text())
    for record in records:
        for row, steps in enumerate(record["steps"]):
            name = f"L{record['levels']}-{record['metric']}-s0-e00{row}"
            film = Image.open(tmp_path / "drawn" / f"{name}.gif")
            # The step stands below each frame, so that none is like another.
            assert film.n_frames == steps + 1
            assert Image.open(tmp_path / "drawn" / f"{name}.png").width > film.width
    assert len(list((tmp_path / "drawn").iterdir())) == 2 * 2 * 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--goals", "offset:5"], "give --data, a store of held-out trajectories"),
        (["--goals", "soon"], "choose world, or offset:K"),
        (["--goals", "offset:5", "--data", "train"], "what the stack was trained on"),
        (["--oracle", "cost"], "leave it out"),
        (["--levels", "3"], "3 levels of a stack of 2"),
    ],
)
def test_what_cannot_work_is_one_line(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    more = [str(data / word) if word == "train" else word for word in more]
    assert plan(run, tmp_path / "x", *more) == 2
    error = capsys.readouterr().err
    assert said in error and error.strip().count("\n") == 0
    assert not (tmp_path / "x").exists()


def test_an_encoder_of_something_that_is_not_there(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("fit", "--preset", "pixels", "--data", data / "train", "--out", tmp_path / "x") == 2
    assert "encoder image of data that hold image (symbols)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_continuous_actions_are_learned_between_minus_one_and_one(tmp_path: Path) -> None:
    """And reach the world in its own units: the pendulum's are between -2 and 2."""
    from hjepa.model.worlds import from_bounds, within_bounds

    low, high = (-2.0, 0.0), (2.0, 10.0)
    action = np.array([[-2.0, 10.0], [0.0, 5.0], [1.0, 0.0]])
    inside = within_bounds(action, low, high)
    assert inside.tolist() == [[-1, 1], [0, 0], [0.5, -1]]
    assert np.allclose(from_bounds(inside, low, high), action)
    assert from_bounds(np.array([[3.0, -3.0]]), low, high).tolist() == [[2, 0]]

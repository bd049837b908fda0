"""Pictures of two moments from trajectories to a plan, and eyes that begin with one moment."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hjepa.cli import main
from hjepa.evaluation.records import read_records
from hjepa.model.checkpoints import load_stack

TASK = "hjepa/DiverseMaze-v0"
TINY = ["train.steps=[2,2]", "train.batch=64", "train.plans=2", "train.metric_trajectories=4", "levels.0.rollout=4",
        "levels.0.channels=8", "levels.0.latent_dim={dim}", "levels.1.latent_dim={dim}", "levels.1.rollout=2",
        "levels.1.memory.wide=0", "plan.horizon=[4,2]", "plan.walks.steps=8", "plan.walks.count=8"]  # fmt: skip


def collected(out: Path, frames: int, split: str = "train", count: int = 6) -> str:
    words = ["collect", "--env", TASK, "--policy", "explorer", "--length", "26", "--set", "pixels=40"]
    words += ["--set", f"frames={frames}", "--split", split, "--episodes", str(count), "--out", str(out)]
    assert main(words) == 0
    return str(out)


def fitted(data: str, out: Path, dim: int, *words: str) -> Path:
    sets = [part for value in TINY for part in ("--set", value.format(dim=dim))]
    assert main(["fit", "--preset", "pixels", "--data", data, "--out", str(out), *sets, *words]) == 0
    return out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that saw one moment at a time, and one that began with its eyes and sees two."""
    folder = tmp_path_factory.mktemp("moments")
    first = fitted(collected(folder / "one", 1), folder / "first", 12)
    second = fitted(collected(folder / "two", 2), folder / "second", 16, "--start", str(first),
                    "--set", "train.keep_encoder=true")  # fmt: skip
    return first, second


def test_eyes_for_one_moment_learn_how_fast_things_go_and_keep_the_rest(runs: tuple[Path, Path]) -> None:
    one, two = (load_stack(run).level(0).encoder.state_dict() for run in runs)
    assert two.keys() - one.keys() == {"pace"}
    assert all(torch.equal(two[name], value) for name, value in one.items())
    assert (two["pace"] != 16.0).all(), "measured in the training pictures"


def test_what_it_sees_is_kept_with_it_and_planned_in(runs: tuple[Path, Path], tmp_path: Path) -> None:
    stack = load_stack(runs[1])
    assert stack.world.sight is not None
    assert (stack.world.sight.shape, stack.world.sight.frames) == ((40, 40, 6), 2)
    held = collected(tmp_path / "held", 2, "test", 3)
    words = ["plan", "--checkpoint", str(runs[1]), "--task", TASK, "--goals", "offset:5", "--data", held]
    words += ["--episodes", "2", "--levels", "1,2", "--budget-tflops", "0.001", "--step-budget", "6"]
    assert main([*words, "--json", str(tmp_path / "plan.json")]) == 0
    records = read_records(tmp_path / "plan.json")
    assert [record["levels"] for record in records] == [1, 2]


def test_trajectories_of_one_moment_are_refused_where_two_are_seen(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = collected(tmp_path / "held", 1, "test", 3)
    words = ["plan", "--checkpoint", str(runs[1]), "--task", TASK, "--goals", "offset:5", "--data", held]
    assert main([*words, "--episodes", "2", "--budget-tflops", "0.001"]) == 2
    assert "image" in capsys.readouterr().err

"""`hjepa advise` from end to end: a tiny run, from the command line, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hjepa.advice.advisor import advise_run
from hjepa.cli import main
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.model.checkpoints import save_stack
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from tasks import collect, task_spec

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"
TASK = "hjepa/NestedRooms-d2-v0"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack of three levels that has learned nothing: what is measured has to be there, not to be good."""
    folder = tmp_path_factory.mktemp("advise-run")
    config = load_preset(str(TINY))
    stack = Stack(config, world_of(task_spec(TASK), config.levels[0].sees))
    save_stack(stack, folder, {"task": TASK, "data": {"length": 40}})
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advise-data") / "store"
    collect(TASK, folder, plans=2, episodes_per_plan=8, length=40, seed=1)
    return folder


def test_a_run_is_measured_and_the_same_twice(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["advise", str(run), "--data", str(data), "--metric", "l2", "--layouts", "2"]
    contents = []
    for name in ("a.json", "b.json"):
        assert main([*words, "--json", str(tmp_path / name)]) == 0
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 * (2 + 3 + 1) and printed[5].startswith("Use ")
    found = json.loads(contents[0])
    assert found["clip"] == 40 and found["layouts"] == 2 and found["metric"] == "l2"
    assert [level["span"] for level in found["levels"]] == [1, 2, 4]
    for level in found["levels"]:
        assert level["reach"] <= min(level["looks"], 39)
        shares = list(level["descent"].values())
        assert all(0 <= share <= 1 for share in shares) and shares[-1] == 1.0
    assert 1 <= found["advice"]["levels"] <= 3 and found["advice"]["strides"][0] == 1


def test_what_level_one_sees_makes_the_ways_known(run: Path, data: Path) -> None:
    """The states of a told agent: hops as long as any way arrive, whatever the distance."""
    found = advise_run(run, data, "imagined", layouts=1)
    assert found.facts["way"] > 4
    assert all(level.descent[256] == 1.0 for level in found.levels)
    assert all(-1 <= level.rank <= 1 for level in found.levels)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metric", "l3"], "metric 'l3'"),
        (["--data", "nowhere"], "nowhere"),
        (["--layouts", "0"], "'0' is not a whole number"),
    ],
)
def test_refusals_are_one_line(
    run: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["advise", str(run), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_data_of_another_task_are_refused(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    collect("hjepa/NestedRooms-d3-v0", folder, plans=1, episodes_per_plan=1, length=20, seed=1)
    with pytest.raises(InputError, match="NestedRooms-d3-v0"):
        advise_run(run, folder, "l2")


def test_no_run_is_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", "no-such-run"]) == 2
    assert "no-such-run" in capsys.readouterr().err

"""What `hjepa bench` says: medians with their spread, ratios beside their floor, and no padding alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hjepa.bench import growth, planning
from hjepa.bench.kinds import KINDS, measured
from hjepa.bench.row import Options, Row, row, timed
from hjepa.cli import main
from hjepa.json_files import plain

LITTLE = Options(checkpoint="nested-d2", task="hjepa/NestedRooms-d2-v0", repeats=2, scale=0.03)
FIELDS = {"work", "against", "unit", "ours", "theirs", "ratio", "least", "most", "floor", "command", "met"}


LONG = [pytest.param(kind, 3, marks=pytest.mark.slow) for kind in ("training", "growth")]
LONG.append(pytest.param("plan", 2, marks=pytest.mark.slow))


@pytest.mark.parametrize(("kind", "count"), [("tasks", 3), ("windows", 1), *LONG])
def test_rows_are_complete(kind: str, count: int) -> None:
    rows = [json.loads(json.dumps(plain(found.plain()))) for found in measured(kind, LITTLE)]
    assert len(rows) == count
    for found in rows:
        assert set(found) == FIELDS
        assert found["least"] <= found["ratio"] <= found["most"]
        assert found["met"] == (None if found["floor"] is None else found["ratio"] >= found["floor"])
        assert found["command"].startswith(f"hjepa bench {kind}")
        if kind != "growth":
            assert found["ours"] > 0 and found["theirs"] > 0 and found["least"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["actor", "memory"])
def test_rows_of_processes_and_actors(kind: str) -> None:
    for found in measured(kind, replace(LITTLE, repeats=1)):
        assert found.ours > 0 and found.floor == 1.0


def test_nobody_is_padded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, played = [], planning.play

    def play(agent: object, spec: object, batch: object, first: int, seed: int) -> object:
        sizes.append((agent.planner.block, len(batch.start)))  # type: ignore[attr-defined]
        return played(agent, spec, batch, first, seed)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "play", play)
    found = list(planning.rows(LITTLE))
    assert sizes[1:] == [(16, 2), (1, 1), (1, 1)] * 2, "by turns"
    assert found[1].theirs == planning.LIMIT_MS and found[1].ratio == pytest.approx(
        40 / found[1].ours, rel=0.5
    )


def test_ratios_say_how_many_times_better() -> None:
    times = row("work", "else", "s", [(1.0, 2.0), (1.0, 4.0), (1.0, 3.0)], 3.0, "hjepa bench x")
    assert (times.ours, times.theirs, times.ratio, times.least, times.most) == (1.0, 3.0, 3.0, 2.0, 4.0)
    assert times.met is True
    rates = row("work", "else", "1/s", [(1.0, 2.0)], 1.0, "hjepa bench x", rates=True)
    assert rates.ratio == 0.5 and rates.met is False
    assert replace(rates, floor=None).met is None


def test_time_is_of_the_work_alone() -> None:
    now = iter([3.0, 5.5])
    assert timed(lambda: next(now), lambda value: value + 1, 6) == (2.5, 7)


def test_an_exponent_is_that_of_a_power() -> None:
    amounts = [1.0, 2.0, 8.0]
    assert growth.exponent(amounts, [3 * amount**1.5 for amount in amounts]) == pytest.approx(1.5)


def test_the_command_writes_rows_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(kind: str, options: Options) -> list[Row]:
        assert options.repeats == 1 and options.checkpoint == "nested-d2"
        return [row(kind, "else", "s", [(1.0, 2.0)], 3.0, f"hjepa bench {kind}")]

    monkeypatch.setattr("hjepa.bench.kinds.measured", rows)
    file = tmp_path / "bench.json"
    words = ["bench", "plan", "tasks", "--checkpoint", "nested-d2", "--repeats", "1", "--json", str(file)]
    assert main(words) == 0
    assert [found["work"] for found in json.loads(file.read_text())] == ["plan", "tasks"]
    assert "ratio 2 (2 to 2), floor 3: not met" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dreams"], f"kind 'dreams'; choose from {', '.join(KINDS.ours)}"),
        (["plan", "--precision", "bf16"], "32 bits"),
        (["plan", "--repeats", "0"], "0 repeats; give 1 or more"),
        (["plan", "--checkpoint", "nowhere"], "nowhere"),
        (["tasks", "--task", "hjepa/NestedPoint-d2-v0"], "is continuous; name a task that MiniGrid can step"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words]) == 2
    assert said in capsys.readouterr().err

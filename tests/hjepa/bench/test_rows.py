"""What `hjepa bench` says: medians with their spread, ratios beside their floor, and no padding alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from hjepa.bench import actor, growth, planning, shared, solvers
from hjepa.bench.kinds import KINDS, measured
from hjepa.bench.row import Missing, Options, Row, row, timed
from hjepa.cli import main
from hjepa.figures.growth import Growth, growth_panel
from hjepa.figures.style import new_figure
from hjepa.json_files import plain
from planners.refiners import AdamRefiner

LITTLE = Options(checkpoint="nested-d2", task="hjepa/NestedRooms-d2-v0", repeats=2, scale=0.03)
FIELDS = {
    "work",
    "against",
    "unit",
    "ours",
    "theirs",
    "ratio",
    "least",
    "most",
    "floor",
    "command",
    "points",
    "met",
}


LONG = [pytest.param(kind, 3, marks=pytest.mark.slow) for kind in ("training",)]
LONG += [pytest.param(*pair, marks=pytest.mark.slow) for pair in (("plan", 3), ("growth", 6), ("shared", 2))]


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


@pytest.mark.parametrize(("kind", "package"), [("peers", "navix"), ("solvers", "stable_worldmodel")])
def test_rows_beside_packages_that_are_not_installed_are_left_out(
    kind: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["bench", kind]) == 2
    assert f"bench {kind}: " in (said := capsys.readouterr().err) and "pip install" in said
    monkeypatch.setattr("hjepa.commands.bench.KINDS", replace(KINDS, ours={kind: KINDS.ours[kind]}))
    assert main(["bench"]) == 0
    assert f"left out: bench {kind}: " in capsys.readouterr().err


@pytest.mark.slow
def test_rows_beside_environments_in_jax() -> None:
    pytest.importorskip("navix")
    found = list(measured("peers", LITTLE))
    assert len(found) >= 2 and all(each.ours > 0 and each.theirs > 0 for each in found)


@pytest.mark.slow
def test_rows_beside_their_solvers() -> None:
    try:
        solvers.theirs()
    except Missing as error:
        pytest.skip(str(error))
    found = list(measured("solvers", LITTLE))
    assert len(found) == 4 and all(each.ours > 0 and each.theirs > 0 for each in found)


class Near:
    """In place of a solver of theirs: takes the same steps as the space has numbers for, and counts."""

    asked: ClassVar[list[int]] = []

    def __init__(self, model: Any, batch_size: int, n_steps: int, **rest: Any) -> None:
        self.asked.append(n_steps)
        self.steps = n_steps

    def configure(self, *, action_space: Any, n_envs: int, config: Any) -> None:
        self.shape = n_envs, config.horizon, 2

    def solve(self, info: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"actions": torch.zeros(self.shape)}


def test_both_sides_plan_for_the_same_by_the_same_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    given = solvers.opened(*solvers.CONTINUOUS, replace(LITTLE, scale=0.05))
    assert len(given.seen) == len(given.goal) == 3 and not torch.equal(given.seen, given.goal)
    idle = solvers.others(given, Near, {"n_steps": 1})
    distance = given.model.stack.distance("l2", 0)
    now, goal = (
        given.model.stack.encode(picture.unsqueeze(1), given.model.stack.write(given.seen), upto=1)[0][:, 0]
        for picture in (given.seen, given.goal)
    )
    assert idle.shape == (3,) and torch.allclose(idle, distance(now, goal), rtol=0.3, atol=0.3), (
        "stands still"
    )
    found = solvers.ours(given, AdamRefiner(3, 0.1))
    assert found.shape == (3,) and (found <= idle + 1e-4).all()
    plans: list[torch.Tensor] = []
    search = solvers.Planner.__call__

    def kept(self: Any, model: Any, problem: Any) -> Any:
        plan = search(self, model, problem)
        plans.append(plan.actions)
        return plan

    monkeypatch.setattr(solvers.Planner, "__call__", kept)
    monkeypatch.setattr(Near, "solve", lambda self, info: {"actions": plans[-1]})
    found = solvers.ours(given, AdamRefiner(3, 0.1))
    assert torch.allclose(solvers.others(given, Near, {"n_steps": 1}), found, rtol=1e-4), (
        "of one plan, one cost"
    )


def test_the_picture_of_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = ((1.0, 0.1), (2.0, 0.2), (4.0, 0.4))
    grown = row(
        "growth of processor time in episodes", "x", "exponent", [(1.0, 1.0)], 0.9, "hjepa bench growth"
    )
    monkeypatch.setattr("hjepa.bench.kinds.measured", lambda kind, options: [replace(grown, points=points)])
    assert main(["bench", "growth", "--figure", str(tmp_path / "a" / "b.png")]) == 0
    assert (tmp_path / "a" / "b.png").stat().st_size > 10_000
    assert main(["bench", "plan", "--figure", str(tmp_path / "c.png")]) == 2
    with pytest.raises(ValueError, match="give two or more positive ones"):
        growth_panel(new_figure(2, 2).add_subplot(), Growth("levels", points[:1], 1.0, 1.0, 1.0))


def test_a_first_step_that_changes_plans_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = iter(range(9))
    monkeypatch.setattr(shared, "walked", lambda *given: np.full((2, 3), next(ways)))
    with pytest.raises(RuntimeError, match="other ways"):
        next(shared.rows(LITTLE))


@pytest.mark.slow
def test_rows_of_processes() -> None:
    for found in measured("memory", replace(LITTLE, repeats=1)):
        assert found.ours > 0 and found.floor == 1.0


@pytest.mark.slow
def test_rows_of_actors() -> None:
    """A decision has a limit; what is done once an episode is a part of it."""
    found = list(measured("actor", replace(LITTLE, repeats=1)))
    assert [row.floor for row in found] == [1.0, None, None] * 2
    for whole, once, action in zip(found[::3], found[1::3], found[2::3]):
        assert 0 < once.ours < whole.ours == once.theirs
        assert 0 < action.ours < whole.ours == action.theirs


def test_the_time_of_a_decision_is_the_agents_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def passes(seconds: float) -> None:
        now[0] += seconds

    agent = SimpleNamespace(begin=lambda: passes(0.5), act=lambda: passes(0.25), perception="eyes")

    def replans(watched: Any, spec: object, parts: list[object]) -> int:
        assert watched.perception == "eyes"
        for _ in parts:
            passes(100.0)
            watched.begin()
            for _ in range(4):
                passes(100.0)
                watched.act()
        return 3

    monkeypatch.setattr(actor, "replans", replans)
    whole, once, action = actor.decision_ms(agent, None, [None, None], lambda: now[0])  # type: ignore[arg-type, list-item]
    assert whole == pytest.approx(1000.0) and once == pytest.approx(1000 / 3)
    assert action == pytest.approx(3000 / 8)


def test_nobody_is_padded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, played = [], planning.play

    def play(agent: object, spec: object, batch: object, first: int, seed: int) -> object:
        sizes.append((agent.planner.block, len(batch.start)))  # type: ignore[attr-defined]
        return played(agent, spec, batch, first, seed)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "play", play)
    found = list(planning.rows(LITTLE))
    assert sizes[1:] == [(8, 2), (1, 1), (1, 1)] * 2, "by turns"
    assert found[2].theirs == planning.LIMIT_MS and found[2].ratio == pytest.approx(
        40 / found[2].ours, rel=0.5
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

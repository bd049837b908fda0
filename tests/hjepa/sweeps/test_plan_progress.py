"""How far a request is, told while it is planned, and its pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.sweeps import plan_progress
from hjepa.sweeps.plan_cells import Cell, plan_command
from hjepa.sweeps.plan_figures import check_drawn, draw_plans, file_name
from hjepa.sweeps.plan_progress import posted

FLAT = PlanRequest("told-flat-d2", "hjepa/NestedRooms-d2-v0", episodes=3, metric=("critic",))


def test_cells_note_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_progress, "EVERY", 0.01)
    told: list[tuple[int, int, int]] = []
    with posted(4, 10, lambda *numbers: told.append(numbers)) as board:
        assert board is not None
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda cell: [board.note(cell, n, n // 2) for n in range(11)], range(4)))
        assert board.read() == (40, 20)
    assert told[-1] == (40, 20, 40) and told == sorted(told)
    assert not board.file.exists()


def test_nobody_asks() -> None:
    with posted(4, 10, None) as board:
        assert board is None


def test_what_is_told_ends_with_the_records() -> None:
    told: list[tuple[int, int, int]] = []
    records = plan_command(FLAT, lambda *numbers: told.append(numbers))
    assert told[-1] == (3, sum(records[0]["success"]), 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"zones": True}, "--figures with --zones"),
        ({"mission": "visit"}, "--figures with --mission"),
        ({"oracle": ("dynamics",)}, "--figures with --oracle"),
        ({"perception": "pixels"}, "--figures with --perception"),
        ({"memory": ("ring",)}, "--figures with --memory"),
        ({"task": "hjepa/NestedPoint-d2-v0"}, "--figures on hjepa/NestedPoint-d2-v0"),
        ({"task": "hjepa/NestedPartial-d2-v0"}, "--figures on hjepa/NestedPartial-d2-v0"),
    ],
)
def test_pictures_that_would_not_show_it_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_drawn(PlanRequest(**{"checkpoint": "told-nested-d2", "task": FLAT.task, **changes}))


def test_names_tell_pictures_apart() -> None:
    cell = Cell(2, None, 4, "imagined", "cem", 0.01)
    assert file_name(FLAT, cell, 7) == "L4-imagined-s2-e007"
    several = PlanRequest("x", FLAT.task, planner=("cem", "adam"), budget_tflops=(0.01, 0.1))
    assert file_name(several, cell, 7) == "L4-imagined-cem-0.01tflop-s2-e007"


@pytest.mark.slow
def test_every_episode_gets_a_still_and_a_moving_picture(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    asked = PlanRequest(FLAT.checkpoint, FLAT.task, episodes=2, metric=("critic",))
    assert draw_plans(asked, tmp_path / "new", lambda *numbers: told.append(numbers)) == 2
    names = {f"L1-critic-s0-e00{episode}.{kind}" for episode in (0, 1) for kind in ("png", "gif")}
    assert {file.name for file in (tmp_path / "new").iterdir()} == names and told == [(0, 2), (1, 2), (2, 2)]

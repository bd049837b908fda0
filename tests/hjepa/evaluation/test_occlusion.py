"""A ball that does not come out: which moments are broken, and who can notice."""

from __future__ import annotations

import numpy as np
import pytest

from hjepa.errors import InputError
from hjepa.evaluation import occlusion
from hjepa.evaluation.occlusion import KINDS, occlusions, ordinary
from tasks.field.occluder import COVER, SCREEN, WAIT

SPAN = 6


def balls(frames: np.ndarray) -> np.ndarray:
    """How many balls are seen, (B, L)."""
    return np.asarray((frames[..., 0] > COVER).sum((2, 3)))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_broken_is_gone_from_its_moment_on_and_not_before(kind: str) -> None:
    made = occlusions(kind, "test", 200, SPAN)
    broken, control = balls(made.broken), balls(made.control)
    rows, time = np.arange(len(made.moment)), np.arange(2 * SPAN + 1)
    assert len(rows) > 100 and made.grid is None
    before = time < made.moment[:, None]
    assert (made.broken == made.control).all((2, 3, 4))[before].all()
    assert (broken[~before] == 0).all()
    assert (control[rows, made.moment] == 1).all() and (control[rows, SPAN] == 1).all()
    assert (control[:, -1] == 1).all() and (made.action[:, SPAN:] == 0).all()
    assert ((made.moment > SPAN) & (made.moment <= 2 * SPAN)).all()
    # Hidden for as long as the screen is wide, or never.
    hidden = [control[row, SPAN : made.moment[row]].tolist().count(0) for row in rows]
    assert set(hidden) == ({SCREEN} if kind == "permanence" else {0})


def test_before_a_ball_comes_out_nothing_says_that_it_will() -> None:
    """The moment before is the screen alone, whatever is to come: one step cannot tell."""
    made = occlusions("permanence", "test", 100, SPAN)
    rows = np.arange(len(made.moment))
    assert (balls(made.control)[rows, made.moment - 1] == 0).all()
    assert len(np.unique(made.moment)) > 2


def test_splits_have_episodes_of_their_own_and_the_same_arguments_the_same() -> None:
    one, other = (occlusions("vanishing", split, 100, SPAN) for split in ("test", "validation"))
    assert not set(one.plan) & set(other.plan)
    again = occlusions("vanishing", "test", 100, SPAN)
    np.testing.assert_array_equal(one.broken, again.broken)
    usual = ordinary("validation", 50, SPAN)
    assert usual.observation.shape == (50, 13, 16, 5, 1) and usual.action.shape == (50, 12)
    assert 0.5 < balls(usual.observation).mean() < 1.0


def test_what_cannot_happen() -> None:
    with pytest.raises(InputError, match="choose from permanence, vanishing"):
        occlusions("door", "test", 10, SPAN)
    with pytest.raises(InputError, match="no permanence can happen within 3 steps"):
        occlusions("permanence", "test", 50, 3)


def test_a_ball_comes_out_at_the_moment_it_is_seen_again() -> None:
    sight = np.array([[1, 1, 1, 1, 1, 0, 0, 1, 1], [1, 1, 1, 1, 1, 0, 1, 0, 1]], dtype=bool)
    waits = np.full((2, 8), WAIT)
    assert occlusion._moment("permanence", sight, waits, 0, 4).tolist() == [7, 0], "hidden twice is left out"
    moved = waits.copy()
    moved[0, 5] = WAIT + 1
    assert occlusion._moment("permanence", sight, moved, 0, 4).tolist() == [0, 0]


def test_a_ball_in_sight_vanishes_in_the_middle_of_the_half_that_is_changed() -> None:
    sight = np.ones((2, 9), dtype=bool)
    sight[1, 5] = False
    assert occlusion._moment("vanishing", sight, np.full((2, 8), WAIT), 0, 4).tolist() == [6, 0]

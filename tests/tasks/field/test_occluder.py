"""The ball behind the screen: it is still there, comes out when it must, and the hand does not reach it."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.field.occluder import BACK, COVER, FORTH, LENGTH, SCREEN, Occluder, seen, symbols_of
from tasks.field.simulator import State


def state_of(x: int, heading: int, screen: int = 6, lane: int = 2, gone: int = 0) -> State:
    parts = {"ball": [[x, lane]], "heading": [heading], "screen": [screen], "gone": [gone]}
    return {name: np.array(value) for name, value in parts.items()}


def rolled(state: State, actions: list[int]) -> list[State]:
    simulator, states = Occluder(), [state]
    for action in actions:
        states.append(simulator.advance(states[-1], np.array([action])))
    return states


def test_the_ball_comes_out_on_the_other_side_in_its_own_time() -> None:
    states = rolled(state_of(4, 1), [0] * 7)
    assert [bool(seen(state)[0]) for state in states] == [True, True, False, False, False, True, True, True]
    assert [int(state["ball"][0, 0]) for state in states] == list(range(4, 12))
    board = symbols_of(states[5])[0]
    assert board[9, 2] == FORTH and (board[6:9] == COVER).all() and (board > COVER).sum() == 1
    hidden = symbols_of(states[3])[0]
    assert (symbols_of(states[2])[0] == hidden).all(), "behind the screen every place looks alike"


def test_it_turns_at_the_ends_and_by_hand_but_not_behind_the_screen() -> None:
    at_the_end = rolled(state_of(LENGTH - 1, 1), [0])[-1]
    assert at_the_end["ball"][0, 0] == LENGTH - 2 and at_the_end["heading"][0] == -1
    assert symbols_of(at_the_end)[0, LENGTH - 2, 2] == BACK
    assert rolled(state_of(4, 1), [1])[-1]["ball"][0, 0] == 3
    assert rolled(state_of(7, 1), [1])[-1]["ball"][0, 0] == 8
    assert rolled(state_of(0, 1), [1])[-1]["ball"][0, 0] == 1, "it cannot leave"


def test_what_is_gone_is_not_shown_and_does_not_come_out() -> None:
    states = rolled(state_of(6, 1, gone=1), [0] * 6)
    assert not any(seen(state).any() for state in states)
    assert all((symbols_of(state) <= COVER).all() for state in states)


def test_starts_and_goals_are_in_sight_and_apart() -> None:
    simulator = Occluder()
    start, goal = simulator.draw(np.arange(500))
    assert seen(start).all() and seen(goal).all() and not start["gone"].any()
    assert (np.abs(start["ball"] - goal["ball"])[:, 0] >= 3).all()
    assert set(simulator.layouts(np.arange(500))) == {5, 6, 7, 8}
    assert set(start["heading"]) == {-1, 1} and set(start["ball"][:, 1]) == set(range(5))
    # Waiting alone brings the ball there, in the time it takes to roll along the lane and back.
    state, done = start, np.zeros(500, bool)
    for _ in range(2 * LENGTH):
        state = simulator.advance(state, np.zeros(500, np.int64))
        done |= simulator.reached(state, goal)
    assert done.all()


def test_the_picture_shows_the_symbols() -> None:
    state = state_of(3, -1, lane=0)
    picture = Occluder("image", pixels=160).show(state)["image"][0]
    assert picture.shape == (160, 160, 3)
    assert (picture[5, 35] == (40, 90, 220)).all() and (picture[100, 65] == (60, 60, 60)).all()
    assert ((picture == (60, 60, 60)).all(-1).sum(1) == SCREEN * 10).all()
    with pytest.raises(ValueError, match="observed as sound"):
        Occluder("sound")

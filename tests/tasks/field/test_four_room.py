"""Four rooms with a distractor: doors against rules written out for one body, the distractor's law, the expert."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.field.four_room import (
    BEFORE,
    BEHIND,
    DOORS,
    TELEPORT,
    FourRoomDistractors,
    background,
    collide,
    expert_actions,
    free_places,
    room_of,
    way,
)
from tasks.randomness import keyed_generator


def one_step(place: tuple[float, float], wanted: tuple[float, float], closed: int) -> tuple[float, float]:
    """The published collisions, for one body and with their numbers written out."""
    x, y = (min(max(each, 17.5), 206.5) for each in wanted)

    def vertical(at: float) -> bool:
        return (closed != 0 and 38.25 <= at <= 73.75) or (closed != 2 and 150.25 <= at <= 185.75)

    def horizontal(at: float) -> bool:
        return (closed != 3 and 38.25 <= at <= 73.75) or (closed != 1 and 150.25 <= at <= 185.75)

    if place[0] < 112 and x > 103.5 and not vertical(y):
        x = 103.0
    elif place[0] >= 112 and x < 120.5 and not vertical(y):
        x = 121.0
    if place[1] < 112 and y > 103.5 and not horizontal(x):
        y = 103.0
    elif place[1] >= 112 and y < 120.5 and not horizontal(x):
        y = 121.0
    return x, y


def test_collisions_are_those_of_one_body_at_a_time() -> None:
    rng = keyed_generator("four rooms collide")
    place = rng.uniform(17.5, 206.5, (4000, 2))
    place[:2500, 0] = rng.uniform(98, 126, 2500)
    place[1500:3500, 1] = rng.uniform(98, 126, 2000)
    wanted, closed = place + 2.5 * rng.uniform(-1, 1, (4000, 2)), rng.integers(-1, 4, 4000)
    found = collide(place, wanted, closed)
    for slot in range(4000):
        right = one_step(tuple(place[slot]), tuple(wanted[slot]), int(closed[slot]))
        np.testing.assert_allclose(found[slot], right, atol=1e-9)


def test_rooms_are_left_by_open_doors_alone() -> None:
    simulator = FourRoomDistractors(hold=1)
    state, goal = simulator.draw(np.arange(200))
    act = simulator.explorer(200, keyed_generator("four rooms walls"))
    used = np.zeros(4)
    for _ in range(300):
        after = simulator.advance(state, act(state, goal))
        rooms = room_of(state["place"]), room_of(after["place"])
        for slot in np.flatnonzero(rooms[0] != rooms[1]).tolist():
            pair = {int(rooms[0][slot]), int(rooms[1][slot])}
            door = {frozenset({0, 1}): 0, frozenset({1, 2}): 1, frozenset({2, 3}): 2, frozenset({0, 3}): 3}[
                frozenset(pair)
            ]
            assert door != after["closed"][slot]
            assert abs(after["place"][slot, 1 - door % 2] - DOORS[door]) <= 17.75
            used[door] += 1
        state = after
    assert (used > 20).all()


def test_five_layouts() -> None:
    simulator = FourRoomDistractors(hold=1)
    seeds = np.arange(2000)
    start, goal = simulator.draw(seeds[:300])
    groups = simulator.layouts(seeds)
    counts = np.bincount(groups, minlength=5) / 2000
    np.testing.assert_allclose(counts, [0.125] * 4 + [0.5], atol=0.035)
    np.testing.assert_array_equal(np.where(start["closed"] < 0, 4, start["closed"]), groups[:300])
    np.testing.assert_array_equal(start["closed"], goal["closed"])


def test_goals_are_across_and_some_75_steps_away() -> None:
    start, goal = FourRoomDistractors(hold=1).draw(np.arange(300))
    assert ((room_of(start["place"]) - room_of(goal["place"])) % 4 == 2).all()
    length, _ = way(start["place"].astype(float), goal["place"].astype(float), start["closed"])
    assert ((length / 2.5 > 59) & (length / 2.5 < 91)).all()
    for state in (start, goal):
        for name in ("place", "other"):
            assert ((state[name] < BEFORE) | (state[name] > BEHIND)).all()


def test_the_expert_without_noise_gets_there() -> None:
    simulator = FourRoomDistractors(hold=1)
    state, goal = simulator.draw(np.arange(150))
    length, _ = way(state["place"].astype(float), goal["place"].astype(float), state["closed"])
    steps, done = np.zeros((2, 150))
    for time in range(1, 160):
        action = expert_actions(state["place"].astype(float), goal["place"].astype(float), state["closed"])
        state = simulator.advance(state, action.astype(np.float32))
        reached = simulator.reached(state, goal)
        steps[reached & (done == 0)] = time
        done[reached] = 1
    assert done.all()
    assert (steps < 1.35 * length / 2.5).all()


def test_the_shorter_way_and_the_way_round_a_closed_door() -> None:
    start, goal = np.array([[60.0, 60.0]]), np.array([[160.0, 60.0]])
    direct, door = way(start, goal, np.array([-1]))
    assert door[0] == 0
    np.testing.assert_allclose(direct, np.hypot(52, 4) + np.hypot(48, 4))
    around, door = way(start, goal, np.array([0]))
    assert door[0] == 3
    legs = np.array([[60, 60], [56, 112], [112, 168], [168, 112], [160, 60]], dtype=float)
    np.testing.assert_allclose(around, np.linalg.norm(np.diff(legs, axis=0), axis=1).sum())
    assert way(start, start + 1, np.array([2]))[1][0] == -1


def test_the_distractor_goes_straight_and_jumps_as_often_as_published() -> None:
    simulator = FourRoomDistractors(hold=1)
    state, _ = simulator.draw(np.arange(400))
    jumps = steps = 0
    for _ in range(60):
        after = simulator.advance(state, np.zeros((400, 2), np.float32))
        turned = after["heading"] != state["heading"]
        moved = np.linalg.norm(after["other"] - state["other"], axis=1)
        x = state["other"]
        clear = (((x > 21) & (x < 100)) | ((x > 124) & (x < 203))).all(1) & ~turned
        assert clear.sum() > 100
        np.testing.assert_allclose(moved[clear], 2.5, atol=1e-4)
        jumps += int(turned.sum())
        steps += 400
        state = after
    assert abs(jumps / steps - TELEPORT) < 0.003
    np.testing.assert_allclose(TELEPORT, 0.0281667, atol=1e-6)


def test_the_agent_does_not_change_what_the_distractor_does() -> None:
    simulator = FourRoomDistractors(hold=1)
    one, _ = simulator.draw(np.arange(20))
    other, _ = simulator.draw(np.arange(20))
    rng = keyed_generator("four rooms agent")
    for _ in range(80):
        one = simulator.advance(one, rng.uniform(-1, 1, (20, 2)).astype(np.float32))
        other = simulator.advance(other, np.zeros((20, 2), np.float32))
    np.testing.assert_array_equal(one["other"], other["other"])
    assert (one["place"] != other["place"]).any()


def test_pictures() -> None:
    drawn = background(-1).astype(int)
    assert drawn[56, 112].tolist() == drawn[168, 112].tolist() == drawn[112, 56].tolist() == [255] * 3
    assert drawn[112, 112].tolist() == drawn[20, 112].tolist() == [0] * 3
    assert drawn[40, 112].tolist() == drawn[72, 112].tolist() == [255] * 3, "33 pixels are open"
    assert drawn[39, 112].tolist() == drawn[73, 112].tolist() == [0] * 3
    for closed, (x, y) in enumerate(((112, 56), (168, 112), (112, 168), (56, 112))):
        assert background(closed)[y, x].tolist() == [0] * 3
        assert (background(closed) != background(-1)).any(-1).sum() == 33 * 11
    simulator = FourRoomDistractors(pixels=224)
    state, _ = simulator.draw(np.arange(1))
    state |= {"place": np.array([[60, 60]], np.float32), "other": np.array([[160, 60]], np.float32)}
    frame = simulator.show(state)["image"][0]
    assert frame[60, 60].tolist() == [255, 0, 0] and frame[60, 160].tolist() == [0, 114, 178]
    small = FourRoomDistractors(pixels=64).show(state)["image"][0].astype(int)
    assert small[17, 17, 0] > 200 > 100 > small[17, 17, 1] and small[17, 45, 2] > 150 > 100 > small[17, 45, 0]


def test_free_places_are_uniform_in_the_rooms() -> None:
    place = free_places(np.arange(20_000), 3, 0)
    assert ((place >= 14) & (place <= 209)).all() and ((place < BEFORE) | (place > BEHIND)).all()
    np.testing.assert_allclose((place[:, 0] < BEFORE).mean(), 89.5 / 178, atol=0.015)
    assert abs(np.corrcoef(place.T)[0, 1]) < 0.03


def test_what_is_done_is_held_for_five_published_steps() -> None:
    held, single = FourRoomDistractors(), FourRoomDistractors(hold=1)
    assert (held.step_budget, single.step_budget) == (42, 210)
    state, _ = held.draw(np.arange(64))
    one, rng = state, keyed_generator("four rooms held")
    for _ in range(8):
        action = rng.uniform(-1, 1, (64, 2)).astype(np.float32)
        state = held.advance(state, action)
        for _ in range(5):
            one = single.advance(one, action)
    for name, value in state.items():
        np.testing.assert_array_equal(value, one[name])


@pytest.mark.parametrize("hold", [0, 211, 2.5, True, "5"])
def test_an_action_is_held_for_a_number_of_steps(hold: object) -> None:
    with pytest.raises(ValueError, match="hold is"):
        FourRoomDistractors(hold=hold)  # type: ignore[arg-type]

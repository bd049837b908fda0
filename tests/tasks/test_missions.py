"""Missions: descriptions are checked, words get a meaning on a floor plan, and shortest ways are the shortest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks import EpisodeBatch, cell_distances, distances, sample_episodes
from tasks.mission_binding import bind
from tasks.mission_oracles import mission_steps, random_missions
from tasks.missions import KINDS, MissionBatch, parse_mission

ROOMS, BUDGET = "hjepa/NestedRooms-d2-v0", 1000


@pytest.fixture(scope="module")
def episodes() -> EpisodeBatch:
    return sample_episodes(ROOMS, "validation", "uniform", episodes=20, seed=4)


def test_a_description_is_what_yaml_can_hold() -> None:
    mission = parse_mission({"do": [{"reach": [1, 2]}, {"fetch": "key"}], "avoid": [[3, 4], [5, 1, 7, 2]]})
    assert mission.legs == (("reach", (1, 2)), ("fetch", "key"))
    assert mission.avoid == ((3, 4, 3, 4), (5, 1, 7, 2)) and not mission.across
    assert parse_mission(KINDS["avoid"]).across


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("reach", "write a mapping"),
        ({"do": []}, "write a list of legs"),
        ({"do": [{"reach": "goal"}], "hurry": True}, "write a mapping"),
        ({"do": [{"fly": "goal"}]}, "leg 1: .*write one of reach, match, fetch, open"),
        ({"do": [{"reach": "goal"}, {"reach": "home"}]}, "leg 2: place 'home'.*goal, key, door, somewhere"),
        ({"do": [{"reach": [1]}]}, "leg 1: .*write 2 integers"),
        ({"do": [{"reach": [1.5, 2]}]}, "write 2 integers"),
        ({"do": [{"match": [1, 2]}]}, "only the word goal names a whole state"),
        ({"do": [{"reach": "goal"}], "avoid": "lava"}, "write a list of cells and rectangles, or across"),
        ({"do": [{"reach": "goal"}], "avoid": [[5, 1, 4, 2]]}, "ends before it begins"),
    ],
)
def test_a_wrong_description_says_what_may_stand_there(description: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_mission(description)


def test_the_shortest_way_to_reach_is_that_of_the_oracle(episodes: EpisodeBatch) -> None:
    kept, missions = bind(parse_mission(KINDS["reach"]), episodes, BUDGET)
    assert len(kept) == len(episodes)
    assert (kept.oracle_steps == episodes.oracle_steps).all()
    assert (missions.place[:, 0] == episodes.goal).all() and not missions.avoid.any()


def test_the_shortest_way_through_places_is_the_best_over_headings(episodes: EpisodeBatch) -> None:
    kept, missions = bind(parse_mission(KINDS["visit"]), episodes, BUDGET, seed=1)
    for i in range(len(kept)):
        states, exact = cell_distances(kept.walls[i], any_heading=False)
        best = exact[(states == kept.start[i, :3]).all(1).argmax()].astype(int)
        for leg in range(3):
            there = (states[:, :2] == missions.place[i, leg, :2]).all(1)
            arrived = np.where(there, best, 10_000)
            best = (arrived[:, None] + exact).min(0)
        assert kept.oracle_steps[i] == arrived.min()


def test_to_match_a_state_may_take_turns_more(episodes: EpisodeBatch) -> None:
    kept, _ = bind(parse_mission(KINDS["match"]), episodes, BUDGET)
    for i in range(len(kept)):
        states, exact = cell_distances(kept.walls[i], any_heading=False)
        start, goal = ((states == ends[i, :3]).all(1).argmax() for ends in (kept.start, kept.goal))
        assert kept.oracle_steps[i] == exact[start, goal]
    assert (kept.oracle_steps > episodes.oracle_steps).any()


def test_ways_keep_out_of_what_is_avoided(episodes: EpisodeBatch) -> None:
    kept, missions = bind(parse_mission(KINDS["avoid"]), episodes, 60)
    around = distances(kept.walls | missions.avoid, kept.goal)
    rows = np.arange(len(kept))
    assert (kept.oracle_steps == around[rows, *kept.start.T]).all()
    assert missions.avoid.any((1, 2)).mean() > 0.5 and (kept.oracle_steps <= 30).all()
    drawn, boxed = bind(parse_mission({"do": [{"reach": "goal"}], "avoid": [[4, 1, 4, 3]]}), episodes, 60)
    assert boxed.avoid[:, 4, 1:4].all() and boxed.avoid.sum() == 3 * len(drawn)


def test_legs_are_done_in_their_order(episodes: EpisodeBatch) -> None:
    kept, missions = bind(parse_mission(KINDS["visit"]), episodes, BUDGET)
    none = np.zeros(len(kept), np.int64)
    assert (missions.advance(none, missions.place[:, 2]) == 0)[
        (missions.place[:, 2, :2] != missions.place[:, 0, :2]).any(1)
    ].all()
    after = missions.advance(none, missions.place[:, 0])
    assert (after >= 1).all()
    rows = np.array([3, 5])
    assert (missions.advance(none[:2], missions.place[rows, 0], rows) == after[rows]).all()


def test_a_mission_without_a_way_is_left_out(episodes: EpisodeBatch) -> None:
    kept, missions = bind(parse_mission({"do": [{"reach": "goal"}]}), episodes, 16)
    assert 0 < len(kept) == len(missions) < len(episodes) and kept.oracle_steps.max() <= 8
    none = mission_steps(episodes.barriers, episodes.start, bind_all(episodes), 3)
    assert ((none == -1) == (episodes.oracle_steps > 3)).all()


def bind_all(episodes: EpisodeBatch) -> MissionBatch:
    return bind(parse_mission(KINDS["reach"]), episodes, BUDGET)[1]


def test_places_that_are_not_there_are_refused(episodes: EpisodeBatch) -> None:
    for place, message in (
        ("key", "a floor plan shows none"),
        ([0, 0], "in a wall"),
        ([40, 1], "outside of"),
    ):
        with pytest.raises(ValueError, match=message):
            bind(parse_mission({"do": [{"reach": place}]}), episodes, BUDGET)
    with pytest.raises(ValueError, match="nothing to fetch in cell"):
        bind(parse_mission({"do": [{"fetch": [1, 1]}]}), episodes, BUDGET)
    point = sample_episodes("hjepa/NestedPoint-d2-v0", episodes=1)
    with pytest.raises(ValueError, match="worlds of cells"):
        bind(parse_mission(KINDS["reach"]), point, BUDGET)


def test_random_actions_do_what_is_near_now_and_then(episodes: EpisodeBatch) -> None:
    missions = bind_all(episodes)
    short, long = (random_missions(episodes.barriers, episodes.start, missions, n) for n in (4, 400))
    assert short < long <= 1
    assert random_missions(episodes.barriers, episodes.goal, missions, 1) == 1.0

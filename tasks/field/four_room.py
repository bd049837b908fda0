"""Four rooms, a point and a distractor: geometry, data and success of H-JEPA's FourRoom Distractors (arXiv 2610.06805).

Numbers are those of the published code and configuration, in units of its 224 x 224 drawing. There are four doors, of
which one is closed in half of the episodes: five layouts. H-JEPA: 1.5 M steps in episodes of 400, of which 1.0 M are
used; tasks are 75 steps of an expert without noise that pass exactly two doors, with 210 steps to get there; level 1
acts in blocks of five steps. So does who acts here, with one action for the five: 42 acts, a goal some 15 acts away.
"""

from __future__ import annotations

import numpy as np

from tasks.field.drawing import blend, gaussian, to_pixels
from tasks.field.simulator import Act, State, mixed
from tasks.senses import average
from tasks.worlds import Actions, Observation, Sense

SIDE, BORDER, LINE = 224, 14, 4
WALL, WALL_HALF = 112, 5
"""Middle of both walls, and half their thickness: pixels 107 to 117."""
DOORS = (56.0, 168.0, 168.0, 56.0)
"""Middles along their walls of the doors above, to the right, below and to the left of where the walls cross; door k
joins rooms k and k + 1, counted clockwise from above left."""
DOOR_HALF, DOOR_MARGIN = 16.0, 1.75
RADIUS, SPEED, PUSH_BACK = 3.5, 2.5, 0.5
"""Of agent and distractor: where they touch walls and the deviation of their dots; units a step; distance kept."""
CLOSED = 0.5
"""Probability that one of the doors is closed."""
TELEPORT = 1 - np.exp(-1 / 35)
"""Probability a step that the distractor goes on somewhere else, in another direction."""
REACHED = 16.0
"""Distance below which the goal is reached."""
LOW, HIGH = BORDER + RADIUS, SIDE - BORDER - RADIUS
BEFORE, BEHIND = WALL - WALL_HALF - RADIUS, WALL + WALL_HALF + RADIUS
"""Middles are between them in doors alone."""
PASSED, NEAR = 11.5, 10.5
"""The expert goes to points so far beyond a wall's middle, and turns to the next one so near a point."""
NOISE, REPEAT = 1.0, 0.05
"""Of the expert in data: deviation of the noise on its unit actions, and probability of the last action again."""
DRIFT_SPEED, SPEED_NOISE, SPEED_KEPT = 0.75, 0.005, 0.95
TURN_KEPT, TURN_NOISE, TURN_GAIN, TURN_MOST, SWITCH = 0.995, 0.002, 0.015, 0.08, 1 - np.exp(-1 / 50)
"""Of exploration in data, the other half of the episodes: an action's length, its noise and what is kept of it; what is
kept of the rate of turning, its noise, what a wanted heading adds to it, its greatest, and when that is drawn anew."""
AHEAD = (72.5, 77.5)
"""Steps of the way from a start to the goal of its seed, which is in the room across; published: 75."""
RED, BLUE, WHITE = (255, 0, 0), (0, 114, 178), 255
BUDGET = 210
"""Steps of an episode."""
_TRIES = 1024


class FourRoomDistractors:
    """See the module and `tasks.field.simulator.Simulator`.

    States are ``place`` and ``other`` (E, 2) float32, x and y of agent and distractor, ``heading`` (E,) float32 of the
    distractor, ``closed`` (E,) int64, the closed door or -1, and ``seed`` and ``time`` (E,) int64, which the
    distractor's jumps are functions of.

    Args:
        observe: ``image``.
        pixels: a side of the picture; the published size is 224.
        hold: published steps that an action is held for.

    Raises:
        ValueError: another way of observing, a picture smaller than 16 pixels, or an action that is not held.
    """

    def __init__(self, observe: str = "image", pixels: int = 64, hold: int = 5) -> None:
        if observe != "image":
            raise ValueError(f"four rooms observed as {observe}; choose image")
        if not isinstance(pixels, int) or not 16 <= pixels <= 4096:
            raise ValueError(f"pixels is {pixels!r}; give a whole number from 16 to 4096")
        if not isinstance(hold, int) or isinstance(hold, bool) or not 1 <= hold <= BUDGET:
            raise ValueError(f"hold is {hold!r}; give a whole number of steps from 1 to {BUDGET}")
        self.observe, self.pixels, self.hold = observe, pixels, hold
        self.senses = {"image": Sense("image", (pixels, pixels, 3))}
        self.actions = Actions(2, (-1.0, -1.0), (1.0, 1.0))
        self.step_budget, self.ends_at_goal = BUDGET // hold, False
        self._empty = np.stack([average(background(closed), pixels, pixels) for closed in range(-1, 4)])
        self._dot = gaussian(RADIUS * pixels / SIDE)

    def draw(self, seeds: np.ndarray) -> tuple[State, State]:
        """See the protocol: the goal is in the room across, some 75 steps away."""
        seeds = np.asarray(seeds, dtype=np.int64)
        closed = np.where(mixed(seeds, 1) < CLOSED, (4 * mixed(seeds, 2)).astype(np.int64), -1)
        tries = np.arange(_TRIES)
        ends = np.stack([free_places(seeds[:, None], 3 + end, tries) for end in range(2)])
        rooms = room_of(ends)
        long = np.repeat(closed[:, None], _TRIES, 1)
        first, last = ends.reshape(2, -1, 2)
        steps = way(first, last, long.reshape(-1))[0].reshape(long.shape) / SPEED
        good = ((rooms[0] - rooms[1]) % 4 == 2) & (steps >= AHEAD[0]) & (steps <= AHEAD[1])
        taken = np.arange(len(seeds)), good.argmax(1)
        common = {"closed": closed, "seed": seeds, "time": np.zeros(len(seeds), dtype=np.int64)}
        states = []
        for end in range(2):
            other = free_places(seeds, 5, np.full(len(seeds), end))
            heading = (2 * np.pi * mixed(seeds, 6, end)).astype(np.float32)
            moving = {"place": ends[end][taken].astype(np.float32), "other": other.astype(np.float32)}
            states.append({**moving, "heading": heading, **common})
        return states[0], states[1]

    def layouts(self, seeds: np.ndarray) -> np.ndarray:
        """See the protocol: 0 to 3, the closed door, or 4 where none is."""
        seeds = np.asarray(seeds, dtype=np.int64)
        return np.where(mixed(seeds, 1) < CLOSED, (4 * mixed(seeds, 2)).astype(np.int64), 4)

    def advance(self, state: State, action: np.ndarray) -> State:
        """See the protocol: what is done is held for some of the published steps."""
        for _ in range(self.hold):
            state = _advance(state, action)
        return state

    def show(self, state: State) -> Observation:
        """See the protocol; the agent is drawn over the distractor."""
        frames = self._empty[state["closed"] + 1]
        for name, colour in (("other", BLUE), ("place", RED)):
            blend(frames, to_pixels(state[name].astype(np.float64), self.pixels, SIDE), self._dot, colour)
        return {"image": frames}

    def reached(self, state: State, goal: State) -> np.ndarray:
        """See the protocol: of the agent alone, less than `REACHED` apart."""
        apart = state["place"].astype(np.float64) - goal["place"]
        return np.hypot(apart[:, 0], apart[:, 1]) < REACHED

    def explorer(self, episodes: int, rng: np.random.Generator) -> Act:
        """See the protocol: half of the episodes by the expert, with another goal once one is reached, half drift."""
        expert = rng.random(episodes) < 0.5
        going, drifting = _Expert(episodes, rng), _Drift(episodes, rng)

        def act(state: State, goal: State) -> np.ndarray:
            # The mean of as many published actions as one is held for, so that data go about as far as published.
            taken = [
                np.where(expert[:, None], going.act(state, goal), drifting.act()) for _ in range(self.hold)
            ]
            return np.clip(taken, -1, 1).mean(0).astype(np.float32)

        return act


def _advance(state: State, action: np.ndarray) -> State:
    """One published step."""
    closed, seed, time = state["closed"], state["seed"], state["time"]
    place, other = state["place"].astype(np.float64), state["other"].astype(np.float64)
    heading = state["heading"].astype(np.float64)
    jumps = mixed(seed, 7, time) < TELEPORT
    ahead = np.stack([np.cos(heading), np.sin(heading)], 1)
    moved = collide(other, other + SPEED * ahead, closed)
    # Published order: the distractor moves, and then perhaps is somewhere else.
    other = np.where(jumps[:, None], free_places(seed, 8, time), moved)
    heading = np.where(jumps, 2 * np.pi * mixed(seed, 9, time), heading)
    return {
        "place": collide(place, place + SPEED * action.astype(np.float64), closed).astype(np.float32),
        "other": other.astype(np.float32),
        "heading": heading.astype(np.float32),
        "closed": closed,
        "seed": seed,
        "time": time + 1,
    }


class _Expert:
    """Goes by the doors to its goal and then to a new one, with noise and repeats."""

    def __init__(self, episodes: int, rng: np.random.Generator) -> None:
        self.rng, self.episodes = rng, episodes
        self.goal = np.full((episodes, 2), np.nan)
        self.last = np.full((episodes, 2), np.nan)

    def act(self, state: State, goal: State) -> np.ndarray:
        """Actions (E, 2)."""
        place, rng = state["place"].astype(np.float64), self.rng
        self.goal = np.where(np.isnan(self.goal), goal["place"], self.goal)
        near = np.linalg.norm(place - self.goal, axis=1) < REACHED
        self.goal = np.where(near[:, None], _free(rng.random((self.episodes, 2))), self.goal)
        wanted = expert_actions(place, self.goal, state["closed"]) + NOISE * rng.standard_normal(place.shape)
        again = (rng.random(self.episodes) < REPEAT)[:, None] & ~np.isnan(self.last)
        self.last = np.where(again, self.last, np.clip(wanted, -1, 1))
        return self.last


class _Drift:
    """Smooth exploration that looks at nothing."""

    def __init__(self, episodes: int, rng: np.random.Generator) -> None:
        self.rng, self.episodes = rng, episodes
        self.heading, self.wanted = rng.uniform(0, 2 * np.pi, (2, episodes))
        self.turn = np.zeros(episodes)
        self.speed = DRIFT_SPEED + SPEED_NOISE * rng.standard_normal(episodes)

    def act(self) -> np.ndarray:
        """Actions (E, 2)."""
        rng, count = self.rng, self.episodes
        self.wanted = np.where(rng.random(count) < SWITCH, rng.uniform(0, 2 * np.pi, count), self.wanted)
        error = (self.wanted - self.heading + np.pi) % (2 * np.pi) - np.pi
        turn = TURN_KEPT * self.turn + TURN_GAIN * error + TURN_NOISE * rng.standard_normal(count)
        self.turn = np.clip(turn, -TURN_MOST, TURN_MOST)
        self.heading = self.heading + self.turn
        noise = SPEED_NOISE * rng.standard_normal(count)
        self.speed = np.clip(DRIFT_SPEED + SPEED_KEPT * (self.speed - DRIFT_SPEED) + noise, 0.05, 1.0)
        return self.speed[:, None] * np.stack([np.cos(self.heading), np.sin(self.heading)], 1)


def collide(place: np.ndarray, wanted: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Where bodies at places (E, 2) end that want to move there (E, 2), with a door closed (E,) or -1."""
    place, ends = place, np.clip(wanted, LOW, HIGH)
    for axis, doors in ((0, (0, 2)), (1, (1, 3))):
        along, across = ends[:, 1 - axis], ends[:, axis]
        open_here = np.zeros(len(place), dtype=bool)
        for door in doors:
            open_here |= (np.abs(along - DOORS[door]) <= DOOR_HALF + DOOR_MARGIN) & (closed != door)
        before = place[:, axis] < WALL
        across = np.where(~open_here & before & (across > BEFORE), BEFORE - PUSH_BACK, across)
        across = np.where(~open_here & ~before & (across < BEHIND), BEHIND + PUSH_BACK, across)
        ends[:, axis] = across
    return ends


def room_of(place: np.ndarray) -> np.ndarray:
    """Rooms (...) of places (..., 2), clockwise from above left."""
    right, below = place[..., 0] >= WALL, place[..., 1] >= WALL
    return np.where(below, np.where(right, 2, 3), np.where(right, 1, 0))


def door_places() -> np.ndarray:
    """Middles (4, 2) of the doors."""
    return np.array(
        [(WALL, DOORS[0]), (DOORS[1], WALL), (WALL, DOORS[2]), (DOORS[3], WALL)], dtype=np.float64
    )


def way(start: np.ndarray, goal: np.ndarray, closed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shorter of both ways round from starts to goals (N, 2) by the middles of open doors.

    Returns:
        Length (N,), and the first door (N,) or -1 where start and goal share a room.
    """
    rooms, doors = (room_of(start), room_of(goal)), door_places()
    found = []
    for clockwise in (True, False):
        count = (rooms[1] - rooms[0]) % 4 if clockwise else (rooms[0] - rooms[1]) % 4
        at, length = start, np.zeros(len(start))
        first = np.full(len(start), -1)
        for number in range(3):
            door = (rooms[0] + number if clockwise else rooms[0] - 1 - number) % 4
            passes = number < count
            step = np.linalg.norm(doors[door] - at, axis=1) + np.where(door == closed, np.inf, 0.0)
            length = np.where(passes, length + step, length)
            at = np.where(passes[:, None], doors[door], at)
            first = np.where(passes & (number == 0), door, first)
        found.append((length + np.linalg.norm(goal - at, axis=1), first))
    shorter = found[0][0] <= found[1][0]
    return np.where(shorter, found[0][0], found[1][0]), np.where(shorter, found[0][1], found[1][1])


def expert_actions(place: np.ndarray, goal: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Actions (E, 2) of length 1 towards a point behind the next door on the way to goals (E, 2), or to the goals."""
    _, door = way(place, goal, closed)
    beyond = door_places()[door]
    axis = door % 2  # doors 0 and 2 are passed along x
    rows = np.arange(len(place))
    forward = np.where(place[rows, axis] < WALL, PASSED, -PASSED)
    beyond[rows, axis] += forward
    aim = np.where(
        (door >= 0)[:, None] & (np.linalg.norm(beyond - place, axis=1) > NEAR)[:, None], beyond, goal
    )
    ahead = aim - place
    return ahead / np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-8)


def free_places(seed: np.ndarray, purpose: int, number: np.ndarray) -> np.ndarray:
    """Places (..., 2) in the rooms and out of the walls, uniform, as functions of integers (...)."""
    return _free(np.stack([mixed(seed, purpose, number, axis) for axis in range(2)], -1))


def _free(numbers: np.ndarray) -> np.ndarray:
    """Places from numbers in 0 to 1."""
    least, most = float(BORDER), float(SIDE - BORDER - 1)
    place = least + numbers * ((BEFORE - least) + (most - BEHIND))
    return np.where(place < BEFORE, place, place + (BEHIND - BEFORE))


def background(closed: int) -> np.ndarray:
    """The rooms with a door closed, or -1, (224, 224, 3) uint8: white, with black lines."""
    black = np.zeros((SIDE, SIDE), dtype=bool)
    wall = slice(WALL - WALL_HALF, WALL + WALL_HALF + 1)
    black[:, wall] = black[wall, :] = True
    for door, middle in enumerate(DOORS):
        if door != closed:
            opening = slice(int(middle - DOOR_HALF), int(middle + DOOR_HALF) + 1)
            if door % 2 == 0:
                black[opening, wall] = False
            else:
                black[wall, opening] = False
    for edge in (slice(BORDER - LINE, BORDER), slice(SIDE - BORDER, SIDE - BORDER + LINE)):
        black[edge, :] = black[:, edge] = True
    return np.where(black[..., None], np.uint8(0), np.full(3, WHITE, np.uint8))

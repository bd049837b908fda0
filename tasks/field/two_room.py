"""Two rooms and one door: the geometry, data and success of stable-worldmodel's ``swm/TwoRoom-v1``, on which Dual-WM
(arXiv 2609.37644) reports.

Numbers are those of the published code and paper, in units of its 224 x 224 drawing, whatever the size of the picture.
The wall never changes, so all episodes share one layout. Dual-WM: starts and goals 25, 50 or 100 steps apart in one
held-out trajectory, 50, 75 or 125 steps to get there, 200 tasks for each of 3 seeds.
"""

from __future__ import annotations

import numpy as np

from tasks.field.drawing import blend, gaussian, to_pixels
from tasks.field.simulator import Act, State
from tasks.randomness import keyed_generator
from tasks.senses import average
from tasks.worlds import Actions, Observation, Sense

SIDE = 224
BORDER, LINE = 14, 4
"""The room begins so far inside, and the line around it is so thick."""
WALL, WALL_HALF = 112, 5
"""Middle of the wall along x, and half its thickness: pixels 107 to 117."""
DOOR, DOOR_HALF, DOOR_MARGIN = 49.0, 14.0, 1.75
"""Middle of the door along y, half its height, and what the agent may overlap beside it."""
RADIUS = 7.0
"""Of the agent where it touches walls, and the standard deviation of the dot that it is drawn as."""
SPEED = 5.0
"""Units a step of a full action in each direction."""
PUSH_BACK = 0.5
"""Distance that the agent keeps from a wall it ran into."""
REACHED = 16.0
"""Distance below which the goal is reached."""
LOW, HIGH = BORDER + RADIUS, SIDE - BORDER - RADIUS
"""Least and greatest place of the agent's middle in each direction."""
LEFT, RIGHT = WALL - WALL_HALF - RADIUS, WALL + WALL_HALF + RADIUS
"""The agent's middle is between them in the door alone."""
DRAWN = BORDER - 1 + 2 * RADIUS
"""Starts and goals are at least so far from each edge of the drawing."""
FEWEST_STEPS = 25
"""Least length in steps of the way by the door's middle from a start to its goal, which is in the other room."""
NOISE, REPEAT, NEAR_DOOR = 2.0, 0.05, 10.5
"""Of the data: standard deviation of the noise on the expert's unit actions, the probability of the last action again,
and how near the door's middle the expert turns to the goal."""
AHEAD = 25
"""Steps of the budget beyond the distance of start and goal in a trajectory."""
RED = (255, 0, 0)


def collide(place: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where agents at places (E, 2) end that want to move there (E, 2)."""
    x, y = np.clip(wanted, LOW, HIGH).T
    open_here = np.abs(y - DOOR) <= DOOR_HALF + DOOR_MARGIN
    left = place[:, 0] < WALL
    x = np.where(~open_here & left & (x > LEFT), LEFT - PUSH_BACK, x)
    x = np.where(~open_here & ~left & (x < RIGHT), RIGHT + PUSH_BACK, x)
    return np.stack([x, y], 1)


class TwoRoom:
    """See the module and `tasks.field.simulator.Simulator`; states are ``place`` (E, 2) float32, x and y.

    Args:
        observe: ``image``.
        pixels: a side of the picture; the published size is 224.

    Raises:
        ValueError: another way of observing, or a picture smaller than 16 pixels.
    """

    def __init__(self, observe: str = "image", pixels: int = 64) -> None:
        if observe != "image":
            raise ValueError(f"two rooms observed as {observe}; choose image")
        if not isinstance(pixels, int) or not 16 <= pixels <= 4096:
            raise ValueError(f"pixels is {pixels!r}; give a whole number from 16 to 4096")
        self.observe, self.pixels = observe, pixels
        self.senses = {"image": Sense("image", (pixels, pixels, 3))}
        self.actions = Actions(2, (-1.0, -1.0), (1.0, 1.0))
        self.step_budget, self.ends_at_goal = 125, True
        self._empty = average(background(), pixels, pixels)
        self._dot = gaussian(RADIUS * pixels / SIDE)

    def draw(self, seeds: np.ndarray) -> tuple[State, State]:
        """See the protocol: a start in one room and a goal in the other, at least `FEWEST_STEPS` away."""
        ends = np.array([_ends(int(seed)) for seed in seeds], dtype=np.float32).reshape(-1, 2, 2)
        return {"place": ends[:, 0]}, {"place": ends[:, 1]}

    def layouts(self, seeds: np.ndarray) -> np.ndarray:
        """See the protocol: one for all."""
        return np.zeros(len(seeds), dtype=np.int64)

    def advance(self, state: State, action: np.ndarray) -> State:
        """See the protocol."""
        place = state["place"].astype(np.float64)
        return {"place": collide(place, place + SPEED * action.astype(np.float64)).astype(np.float32)}

    def show(self, state: State) -> Observation:
        """See the protocol."""
        place = state["place"].astype(np.float64)
        frames = np.repeat(self._empty[None], len(place), 0)
        blend(frames, to_pixels(place, self.pixels, SIDE), self._dot, RED)
        return {"image": frames}

    def reached(self, state: State, goal: State) -> np.ndarray:
        """See the protocol: less than `REACHED` apart."""
        apart = state["place"].astype(np.float64) - goal["place"]
        return np.hypot(apart[:, 0], apart[:, 1]) < REACHED

    def explorer(self, episodes: int, rng: np.random.Generator) -> Act:
        """See the protocol: the expert with its noise and repeats."""
        last = np.full((episodes, 2), np.nan)

        def act(state: State, goal: State) -> np.ndarray:
            nonlocal last
            noisy = expert(state["place"], goal["place"]) + NOISE * rng.standard_normal((episodes, 2))
            again = (rng.random(episodes) < REPEAT)[:, None] & ~np.isnan(last)
            last = np.where(again, last, np.clip(noisy, -1, 1))
            return last.astype(np.float32)

        return act


def expert(place: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Actions (E, 2) of length 1 towards goals (E, 2), by the door's middle where that is in the other room."""
    place, goal = place.astype(np.float64), goal.astype(np.float64)
    door = np.array([WALL, DOOR])
    other = (place[:, 0] > WALL) != (goal[:, 0] > WALL)
    away = np.linalg.norm(place - door, axis=1) > NEAR_DOOR
    ahead = np.where((other & away)[:, None], door, goal) - place
    return ahead / np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-8)


def way_steps(start: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """(E,) steps of a way at speed 5 by the door's middle, from starts to goals (E, 2) in the other room."""
    door = np.array([WALL, DOOR])
    both = np.linalg.norm(start - door, axis=-1) + np.linalg.norm(goal - door, axis=-1)
    return both / SPEED


def _ends(seed: int) -> np.ndarray:
    """Start and goal (2, 2) of a seed."""
    rng = keyed_generator("two rooms", seed)
    while True:
        ends = rng.uniform(DRAWN, SIDE - 1 - DRAWN, (2, 2))
        outside = (ends[:, 0] < LEFT) | (ends[:, 0] > RIGHT)
        sides = ends[:, 0] < WALL
        if outside.all() and sides[0] != sides[1] and way_steps(*ends) >= FEWEST_STEPS:
            return ends


def background() -> np.ndarray:
    """The rooms without the agent, (224, 224, 3) uint8: white, with black lines."""
    black = np.zeros((SIDE, SIDE), dtype=bool)
    black[:, WALL - WALL_HALF : WALL + WALL_HALF + 1] = True
    black[int(DOOR - DOOR_HALF) : int(DOOR + DOOR_HALF) + 1, WALL - WALL_HALF : WALL + WALL_HALF + 1] = False
    for edge in (slice(BORDER - LINE, BORDER), slice(SIDE - BORDER, SIDE - BORDER + LINE)):
        black[edge, :] = True
        black[:, edge] = True
    return np.where(black[..., None], np.uint8(0), np.full(3, 255, np.uint8))

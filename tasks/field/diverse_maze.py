"""A point mass in mazes of 8 x 8 cells that differ from split to split (HWM, arXiv 2604.03208).

The maps are in `tasks.field.mazes`. The published mass is MuJoCo's, of D4RL's ``maze2d``; this is a twin of it: mass,
damping, force, time step, greatest speed and radius are D4RL's numbers, but the body is a square and a wall takes all
the speed against it. Lengths are in cells, times in seconds. HWM: 25 maps x 2,000 episodes x 100 steps of uniform
actions in the unit disc, each done 4 times; 20 unseen maps, 40 tasks for each of 5-8, 9-12 and 13-16 blocks, 500 steps,
begun at rest.
"""

from __future__ import annotations

import math

import numpy as np

from tasks.field.drawing import blend, gaussian
from tasks.field.mazes import CELLS, block_distances, maze, split_and_number
from tasks.field.simulator import Act, State
from tasks.floorplans import SPLITS
from tasks.randomness import keyed_generator
from tasks.senses import shares
from tasks.worlds import Actions, Observation, Sense

RADIUS, MARGIN = 0.1, 0.002
"""Half the side of the body, and the distance that it keeps from walls."""
MASS = 1000 * 4 / 3 * math.pi * RADIUS**3
"""D4RL's ball of density 1000: 4.19."""
FORCE, DAMPING, TIME_STEP, FASTEST = 100.0, 1.0, 0.01, 5.0
"""Of a full action in each direction; per unit of speed; of the simulation; speed in each direction before a step."""
REPEAT = 4
"""Steps of the simulation that an action is held."""
START_SPEED = 5.0
"""Greatest speed at the start of training episodes."""
REACHED = 0.5
"""Distance below which the goal is reached."""
SIDE = CELLS + 2
DOT = 0.25
"""Standard deviation of the dot that the point is drawn as, in cells."""
WALL_GREY, BODY_RED = 60, (255, 0, 0)


class DiverseMaze:
    """See the module and `tasks.field.simulator.Simulator`.

    States are ``place``, ``before`` and ``speed`` (E, 2) float32, in cells and cells a second, where ``before`` is the
    place before the last action (at the start what speed and time say), and ``walls`` (E, 10, 10) bool, indexed [x, y].

    Args:
        observe: ``image``, or ``vector``: place and speed.
        pixels: a side of the picture.
        frames: moments that a picture shows: 2, before and after the last action, or 1, which does not show the speed.
        maps: how many there are in a split; None: 25 to learn from and 20 of each of the others, as published.
        blocks: least and greatest length of the shortest path from start to goal; on maps without any such pair, of
            the farthest ones. HWM reports on 5-8, 9-12 and 13-16.

    Raises:
        ValueError: an argument that cannot work.
    """

    def __init__(
        self,
        observe: str = "image",
        pixels: int = 64,
        frames: int = 2,
        maps: int | None = None,
        blocks: tuple[int, int] = (5, 16),
    ) -> None:
        if observe not in ("image", "vector"):
            raise ValueError(f"diverse mazes observed as {observe}; choose image or vector")
        if not isinstance(pixels, int) or not 16 <= pixels <= 4096:
            raise ValueError(f"pixels is {pixels!r}; give a whole number from 16 to 4096")
        if frames not in (1, 2):
            raise ValueError(f"frames is {frames!r}; give 1 or 2")
        if maps is not None and (not isinstance(maps, int) or not 1 <= maps <= 10_000):
            raise ValueError(f"maps is {maps!r}; give a whole number from 1 to 10000")
        if (
            len(blocks) != 2
            or not all(isinstance(each, int) for each in blocks)
            or not 1 <= blocks[0] <= blocks[1]
        ):
            raise ValueError(f"blocks is {blocks!r}; give two whole numbers, the lesser first, from 1 up")
        self.observe, self.pixels, self.maps, self.blocks = observe, pixels, maps, tuple(blocks)
        self.frames = frames
        image, vector = Sense("image", (pixels, pixels, 3 * frames), frames=frames), Sense("vector", (4,))
        self.senses = {observe: image if observe == "image" else vector}
        self.actions = Actions(2, (-1.0, -1.0), (1.0, 1.0))
        self.step_budget, self.ends_at_goal = 500, False
        self._shares = shares(SIDE, pixels)
        self._dot = gaussian(DOT * pixels / SIDE)

    def draw(self, seeds: np.ndarray) -> tuple[State, State]:
        """See the protocol: a map of the seed's split, ends so many blocks apart; at rest but in training."""
        drawn = [self._drawn(int(seed)) for seed in seeds]
        walls = np.array([each[0] for each in drawn], dtype=bool).reshape(-1, SIDE, SIDE)
        ends = np.array([each[1] for each in drawn], dtype=np.float32).reshape(-1, 3, 2)
        before = ends[:, 0] - np.float32(REPEAT * TIME_STEP) * ends[:, 2]
        start = {"place": ends[:, 0], "before": before, "speed": ends[:, 2], "walls": walls}
        still = np.zeros_like(ends[:, 1])
        return start, {"place": ends[:, 1], "before": ends[:, 1], "speed": still, "walls": walls}

    def layouts(self, seeds: np.ndarray) -> np.ndarray:
        """See the protocol: a number for each map."""
        found = [split_and_number(int(seed), self.maps) for seed in seeds]
        order = list(SPLITS)
        return np.array([order.index(split) * 1_000_000 + number for split, number in found], dtype=np.int64)

    def advance(self, state: State, action: np.ndarray) -> State:
        """See the protocol."""
        place, speed = state["place"].astype(np.float64), state["speed"].astype(np.float64)
        for _ in range(REPEAT):
            place, speed = slide(state["walls"], place, push(speed, action.astype(np.float64)))
        place, speed = place.astype(np.float32), speed.astype(np.float32)
        return {"place": place, "before": state["place"], "speed": speed, "walls": state["walls"]}

    def show(self, state: State) -> Observation:
        """See the protocol."""
        if self.observe == "vector":
            return {"vector": np.concatenate([state["place"], state["speed"]], -1)}
        walls = state["walls"].swapaxes(1, 2).astype(np.float32)
        grey = 255 - (255 - WALL_GREY) * (self._shares @ walls @ self._shares.T)
        empty = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, -1)
        shown = []
        for when in ("before", "place")[-self.frames :]:
            frame = empty.copy()
            blend(frame, state[when].astype(np.float64) * (self.pixels / SIDE) - 0.5, self._dot, BODY_RED)
            shown.append(frame)
        return {"image": np.concatenate(shown, -1)}

    def reached(self, state: State, goal: State) -> np.ndarray:
        """See the protocol: less than half a cell apart."""
        apart = state["place"].astype(np.float64) - goal["place"]
        return np.hypot(apart[:, 0], apart[:, 1]) < REACHED

    def explorer(self, episodes: int, rng: np.random.Generator) -> Act:
        """See the protocol: actions uniform in the unit disc."""
        return lambda state, goal: in_disc(rng.random((episodes, 2)), 1.0).astype(np.float32)

    def _drawn(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Walls, and start, goal and speed (3, 2), of a seed."""
        split, number = split_and_number(seed, self.maps)
        walls = maze(split, number)
        rng = keyed_generator("diverse maze", "ends", seed, *self.blocks)
        apart = block_distances(walls)
        pairs = np.argwhere((apart >= self.blocks[0]) & (apart <= self.blocks[1]))
        if not len(pairs):
            pairs = np.argwhere(apart == apart.max())
        cells = pairs[rng.integers(len(pairs))].reshape(2, 2) + 0.5
        places = cells + rng.uniform(-0.1, 0.1, (2, 2))  # as D4RL resets
        speed = in_disc(rng.random((1, 2)), START_SPEED if split == "train" else 0.0)
        return walls, np.concatenate([places, speed])


def push(speed: np.ndarray, action: np.ndarray) -> np.ndarray:
    """Speeds (E, 2) after one time step under actions (E, 2); damping is solved for implicitly, as MuJoCo does."""
    speed = np.clip(speed, -FASTEST, FASTEST)
    return speed + TIME_STEP * (FORCE * action - DAMPING * speed) / (MASS + TIME_STEP * DAMPING)


def slide(walls: np.ndarray, place: np.ndarray, speed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move bodies (E, 2) for one time step, first along x and then along y; walls stop each by itself.

    A step is shorter than the body, so none is skipped.
    """
    place, speed = place.copy(), speed.copy()
    rows = np.arange(len(place))
    for axis in (0, 1):
        wanted = place.copy()
        wanted[:, axis] += TIME_STEP * speed[:, axis]
        low, high = np.floor(wanted - RADIUS).astype(np.int64), np.floor(wanted + RADIUS).astype(np.int64)
        for side, edge in ((-1, low), (1, high)):
            ahead = np.stack([low, high])
            ahead[:, :, axis] = edge[:, axis]
            met = walls[rows, ahead[0, :, 0], ahead[0, :, 1]] | walls[rows, ahead[1, :, 0], ahead[1, :, 1]]
            face = edge[:, axis] + (1 if side < 0 else 0)
            touching = face - side * (RADIUS + MARGIN)
            wanted[:, axis] = np.where(met, touching, wanted[:, axis])
            speed[:, axis] = np.where(met & (side * speed[:, axis] > 0), 0.0, speed[:, axis])
        place = wanted
    return place, speed


def in_disc(numbers: np.ndarray, radius: float) -> np.ndarray:
    """Vectors uniform in a disc from numbers (E, 2) uniform in 0 to 1."""
    length, angle = radius * np.sqrt(numbers[:, :1]), 2 * np.pi * numbers[:, 1:]
    return length * np.concatenate([np.cos(angle), np.sin(angle)], 1)

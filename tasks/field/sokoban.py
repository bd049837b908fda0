"""Sokoban with two boxes on one board, as Dual-WM (arXiv 2609.37644) has it: board, actions and success as published.

The published data are 2,500 episodes, 395,000 steps, of a policy that seeks interaction and is not public: the one
here, and the boards that episodes begin with, are our own. Dual-WM: starts and goals 25, 50 or 100 steps apart in one
held-out trajectory, 50, 75 or 125 steps to get there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tasks.field.simulator import Act, State, choose, mixed
from tasks.senses import shares
from tasks.worlds import Actions, Observation, Sense

CELLS = 10
OBSTACLES = ((3, 3), (3, 4), (3, 5), (6, 4), (6, 5), (6, 6))
"""Rows and columns of cells that nobody enters."""
MOVES = np.array([(0, 0), (0, -1), (0, 1), (-1, 0), (1, 0)])
"""What the actions noop, up, down, left and right add to x, the column, and y, the row."""
REACHED = 4
"""Most cells between the boxes and their places, best assigned, and the agent and its own, added up."""
FLOOR, OBSTACLE, BOX, AGENT = range(4)
COLOURS = np.array([(255, 255, 255), (60, 60, 60), (200, 130, 50), (220, 40, 40)], dtype=np.float32)
GOAL_STEPS = 50
"""Steps of the explorer from a start to the goal of its seed; more where that would be reached at once."""
IDLE, ANEW, PUSHES = 0.1, 0.05, 0.3
"""Of the explorer: probability of any action at all, of another box and direction, and of another after a push."""

_WALLS = np.zeros((CELLS, CELLS), dtype=bool)
for _row, _column in OBSTACLES:
    _WALLS[_column, _row] = True
_INNER = ~_WALLS
_INNER[[0, -1]] = _INNER[:, [0, -1]] = False
_DRAWS = 5  # numbers that the explorer needs a step


class SokobanLong:
    """See the module and `tasks.field.simulator.Simulator`.

    States are ``agent`` (E, 2) and ``boxes`` (E, 2, 2) int64, x and y from 0 to 9. All episodes share one layout.

    Args:
        observe: ``image``, or ``symbols``: of each cell 0 floor, 1 obstacle, 2 box or 3 agent.
        pixels: a side of the picture; the published size is 224.

    Raises:
        ValueError: another way of observing, or a picture smaller than 16 pixels.
    """

    def __init__(self, observe: str = "image", pixels: int = 64) -> None:
        if observe not in ("image", "symbols"):
            raise ValueError(f"Sokoban observed as {observe}; choose image or symbols")
        if not isinstance(pixels, int) or not 16 <= pixels <= 4096:
            raise ValueError(f"pixels is {pixels!r}; give a whole number from 16 to 4096")
        self.observe, self.pixels = observe, pixels
        image, symbols = (
            Sense("image", (pixels, pixels, 3)),
            Sense("symbols", (CELLS, CELLS, 1), (len(COLOURS),)),
        )
        self.senses = {observe: image if observe == "image" else symbols}
        self.actions = Actions(len(MOVES))
        self.step_budget, self.ends_at_goal = 158, False
        self._shares = shares(CELLS, pixels)

    def draw(self, seeds: np.ndarray) -> tuple[State, State]:
        """See the protocol: boxes away from the edges; the goal is where the explorer is `GOAL_STEPS` later."""
        seeds = np.asarray(seeds, dtype=np.int64)
        order = mixed(seeds[:, None, None], 1, np.arange(CELLS * CELLS).reshape(CELLS, CELLS))
        boxes = _least(np.where(_INNER, order, 2.0), 2)
        taken = _WALLS | _marked(boxes)
        start = {"agent": _least(np.where(taken, 2.0, order), 1)[:, 0], "boxes": boxes}
        act = _pusher(lambda time: mixed(seeds[:, None], 2, time, np.arange(_DRAWS)), len(seeds))
        state, goal = start, start
        waiting = np.ones(len(seeds), dtype=bool)
        for time in range(4 * GOAL_STEPS):
            state = self.advance(state, act(state, start))
            found = waiting & (time + 1 >= GOAL_STEPS) & ~self.reached(state, start)
            goal = choose(found, state, goal)
            waiting &= ~found
            if not waiting.any():
                break
        return start, choose(waiting, state, goal)

    def layouts(self, seeds: np.ndarray) -> np.ndarray:
        """See the protocol: one for all."""
        return np.zeros(len(seeds), dtype=np.int64)

    def advance(self, state: State, action: np.ndarray) -> State:
        """See the protocol."""
        agent, boxes = state["agent"], state["boxes"]
        move = MOVES[action]
        ahead, beyond = agent + move, agent + 2 * move
        pushed = (boxes == ahead[:, None]).all(-1) & move.any(-1)[:, None]
        behind = _blocked(beyond) | (boxes == beyond[:, None]).all(-1).any(-1)
        stands = _blocked(ahead) | (pushed.any(-1) & behind)
        return {
            "agent": np.where(stands[:, None], agent, ahead),
            "boxes": np.where((pushed & ~stands[:, None])[..., None], boxes + move[:, None], boxes),
        }

    def show(self, state: State) -> Observation:
        """See the protocol."""
        board = symbols_of(state)
        if self.observe == "symbols":
            return {"symbols": board[..., None]}
        cells = COLOURS[board].transpose(0, 3, 2, 1)  # rows of a picture are y
        frames = self._shares @ cells @ self._shares.T
        return {"image": np.ascontiguousarray(np.rint(frames).astype(np.uint8).transpose(0, 2, 3, 1))}

    def reached(self, state: State, goal: State) -> np.ndarray:
        """See the protocol: boxes look alike, so the better assignment counts."""
        apart = np.abs(state["boxes"][:, :, None] - goal["boxes"][:, None]).sum(-1)
        boxes = np.minimum(apart[:, 0, 0] + apart[:, 1, 1], apart[:, 0, 1] + apart[:, 1, 0])
        return boxes + np.abs(state["agent"] - goal["agent"]).sum(-1) <= REACHED

    def explorer(self, episodes: int, rng: np.random.Generator) -> Act:
        """See the protocol: goes behind a box and pushes it for a while, and then another; see `IDLE`."""
        return _pusher(lambda _: rng.random((episodes, _DRAWS)), episodes)


def symbols_of(state: State) -> np.ndarray:
    """What is in each cell, (E, 10, 10) uint8, indexed [x, y]."""
    rows = np.arange(len(state["agent"]))
    board = np.where(_WALLS, np.uint8(OBSTACLE), np.uint8(FLOOR))[None].repeat(len(rows), 0)
    board[_marked(state["boxes"])] = BOX
    board[rows, state["agent"][:, 0], state["agent"][:, 1]] = AGENT
    return board


def walking_distances(boxes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Steps from each cell to targets (E, 2) past obstacles and boxes (E, 2, 2), (E, 10, 10); 99: no path leads."""
    closed = _WALLS | _marked(boxes)
    distance = np.full(closed.shape, 99)
    inside = ~_blocked(target)
    at = np.clip(target, 0, CELLS - 1)
    free = inside & ~closed[np.arange(len(at)), at[:, 0], at[:, 1]]
    distance[np.flatnonzero(free), at[free, 0], at[free, 1]] = 0
    for _ in range(40):
        wide = np.pad(distance, ((0, 0), (1, 1), (1, 1)), constant_values=99)
        beside = np.minimum.reduce(
            [wide[:, :-2, 1:-1], wide[:, 2:, 1:-1], wide[:, 1:-1, :-2], wide[:, 1:-1, 2:]]
        )
        after = np.where(closed, 99, np.minimum(distance, beside + 1))
        if np.array_equal(after, distance):
            break
        distance = after
    return distance


def _pusher(numbers: Callable[[int], np.ndarray], episodes: int) -> Act:
    """The explorer, with numbers (E, 5) in 0 to 1 for each of its steps."""
    box, direction = np.zeros((2, episodes), dtype=np.int64)
    anew = np.ones(episodes, dtype=bool)
    rows, time = np.arange(episodes), 0

    def act(state: State, goal: State) -> np.ndarray:
        nonlocal box, direction, anew, time
        drawn = numbers(time)
        time += 1
        anew = anew | (drawn[:, 0] < ANEW)
        box = np.where(anew, (2 * drawn[:, 1]).astype(np.int64), box)
        direction = np.where(anew, 1 + (4 * drawn[:, 2]).astype(np.int64), direction)
        agent, boxes = state["agent"], state["boxes"]
        pushed = boxes[rows, box]
        behind, beyond = pushed - MOVES[direction], pushed + MOVES[direction]
        other = (boxes[rows, 1 - box] == beyond).all(-1)
        there = (agent == behind).all(-1)
        distance = walking_distances(boxes, behind)
        wide = np.pad(distance, ((0, 0), (1, 1), (1, 1)), constant_values=99)
        steps = np.stack([wide[rows, agent[:, 0] + 1 + x, agent[:, 1] + 1 + y] for x, y in MOVES[1:]], 1)
        walk = np.where(steps.min(1) < 99, 1 + steps.argmin(1), 0)
        action = np.where(there, direction, walk)
        hopeless = _blocked(beyond) | other | (~there & (walk == 0))
        free = hopeless | (drawn[:, 3] < IDLE)
        action = np.where(free, (len(MOVES) * drawn[:, 4]).astype(np.int64), action)
        anew = hopeless | (there & (drawn[:, 3] > 1 - PUSHES))
        return action

    return act


def _blocked(place: np.ndarray) -> np.ndarray:
    """Which places (E, 2) are outside the board or obstacles."""
    outside = ((place < 0) | (place >= CELLS)).any(-1)
    at = np.clip(place, 0, CELLS - 1)
    return outside | _WALLS[at[..., 0], at[..., 1]]


def _marked(places: np.ndarray) -> np.ndarray:
    """Cells (E, 10, 10) that are among places (E, K, 2)."""
    marked = np.zeros((len(places), CELLS, CELLS), dtype=bool)
    marked[np.arange(len(places))[:, None], places[..., 0], places[..., 1]] = True
    return marked


def _least(order: np.ndarray, count: int) -> np.ndarray:
    """The cells (E, count, 2) with the least numbers of (E, 10, 10)."""
    flat = np.argsort(order.reshape(len(order), -1), axis=1, kind="stable")[:, :count]
    return np.stack(np.divmod(flat, CELLS), -1)

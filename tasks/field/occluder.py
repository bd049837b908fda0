"""A ball that rolls behind a screen and comes out again: what is out of sight is still there. A world of our own.

The ball rolls one cell a step along its lane, turns round at the ends, and is not seen while it is behind the screen.
The hand, action 1, turns it round where it can be seen; it does not reach behind the screen. So whoever saw the ball go
in knows when and where it comes out, and whoever sees the screen alone does not.
"""

from __future__ import annotations

import numpy as np

from tasks.field.simulator import Act, State, mixed
from tasks.senses import shares
from tasks.worlds import Actions, Observation, Sense

LENGTH, LANES = 16, 5
"""Cells along a lane, and lanes."""
SCREEN = 3
"""Cells of a lane that the screen hides."""
FIRST, LAST = 5, 8
"""Where a screen begins, at least and at most."""
WAIT, TURN = 0, 1
FLOOR, COVER, FORTH, BACK = range(4)
"""What a cell shows: nothing, the screen, a ball that rolls towards higher x, and one towards lower x."""
COLOURS = np.array([(255, 255, 255), (60, 60, 60), (220, 40, 40), (40, 90, 220)], dtype=np.float32)
NEAR, APART = 1, 3
"""Most cells from the ball to a goal that counts as reached, and least cells between starts and goals."""
TURNS = 0.08
"""Probability that the explorer turns the ball."""


class Occluder:
    """See the module and `tasks.field.simulator.Simulator`.

    States are int64: ``ball`` (E, 2), x and lane; ``heading`` (E,), 1 or -1; ``screen`` (E,), its first x; and ``gone``
    (E,), 1 for a ball that is no longer shown anywhere, which never happens by itself: such a state breaks the rules.
    Episodes with the same screen share a layout.

    Args:
        observe: ``symbols``, of each cell a code, or ``image``.
        pixels: a side of the picture.

    Raises:
        ValueError: another way of observing, or a picture smaller than 16 pixels.
    """

    def __init__(self, observe: str = "symbols", pixels: int = 64) -> None:
        if observe not in ("image", "symbols"):
            raise ValueError(f"Occluder observed as {observe}; choose image or symbols")
        if not isinstance(pixels, int) or not 16 <= pixels <= 4096:
            raise ValueError(f"pixels is {pixels!r}; give a whole number from 16 to 4096")
        self.observe, self.pixels = observe, pixels
        symbols = Sense("symbols", (LENGTH, LANES, 1), (len(COLOURS),))
        self.senses = {observe: Sense("image", (pixels, pixels, 3)) if observe == "image" else symbols}
        self.actions = Actions(2)
        self.step_budget, self.ends_at_goal = 48, False
        self._rows, self._columns = shares(LANES, pixels), shares(LENGTH, pixels)

    def draw(self, seeds: np.ndarray) -> tuple[State, State]:
        """See the protocol: the ball in sight, and at the goal in sight as well, in the same lane."""
        seeds = np.asarray(seeds, dtype=np.int64)
        screen = FIRST + (mixed(seeds, 1) * (LAST - FIRST + 1)).astype(np.int64)
        lane = (mixed(seeds, 2) * LANES).astype(np.int64)
        order, along = mixed(seeds[:, None], 3, np.arange(LENGTH)), np.arange(LENGTH)
        hidden = _behind(along, screen[:, None])
        x = np.where(hidden, 2.0, order).argmin(1)
        near = np.abs(along - x[:, None]) < APART
        goal_x = np.where(hidden | near, -1.0, order).argmax(1)
        heading = np.where(mixed(seeds, 4) < 0.5, 1, -1)
        start = {"ball": np.stack([x, lane], 1), "heading": heading, "screen": screen}
        start["gone"] = np.zeros_like(screen)
        return start, {**start, "ball": np.stack([goal_x, lane], 1)}

    def layouts(self, seeds: np.ndarray) -> np.ndarray:
        """See the protocol: where the screen begins."""
        return self.draw(seeds)[0]["screen"]

    def advance(self, state: State, action: np.ndarray) -> State:
        """See the protocol."""
        x, heading = state["ball"][:, 0], state["heading"]
        heading = np.where((np.asarray(action) == TURN) & seen(state), -heading, heading)
        heading = np.where((x + heading < 0) | (x + heading >= LENGTH), -heading, heading)
        ball = np.stack([x + heading, state["ball"][:, 1]], 1)
        return {**{name: value.copy() for name, value in state.items()}, "ball": ball, "heading": heading}

    def show(self, state: State) -> Observation:
        """See the protocol."""
        board = symbols_of(state)
        if self.observe == "symbols":
            return {"symbols": board[..., None]}
        cells = COLOURS[board].transpose(0, 3, 2, 1)  # rows of a picture are lanes
        frames = self._rows @ cells @ self._columns.T
        return {"image": np.ascontiguousarray(np.rint(frames).astype(np.uint8).transpose(0, 2, 3, 1))}

    def reached(self, state: State, goal: State) -> np.ndarray:
        """See the protocol: the ball is beside the goal, or there."""
        away = np.abs(state["ball"] - goal["ball"])
        return (away[:, 0] <= NEAR) & (away[:, 1] == 0)

    def explorer(self, episodes: int, rng: np.random.Generator) -> Act:
        """See the protocol: waits, and turns the ball now and then."""
        return lambda state, goal: np.where(rng.random(episodes) < TURNS, TURN, WAIT)


def seen(state: State) -> np.ndarray:
    """Of which states (E,) the ball can be seen."""
    return ~_behind(state["ball"][:, 0], state["screen"]) & (state["gone"] == 0)


def symbols_of(state: State) -> np.ndarray:
    """What each cell shows, (E, LENGTH, LANES) uint8."""
    hidden = _behind(np.arange(LENGTH), state["screen"][:, None])
    board = np.where(hidden, np.uint8(COVER), np.uint8(FLOOR))[..., None].repeat(LANES, -1)
    rows = np.flatnonzero(seen(state))
    x, lane = state["ball"][rows].T
    board[rows, x, lane] = np.where(state["heading"][rows] > 0, FORTH, BACK)
    return board


def _behind(x: np.ndarray, screen: np.ndarray) -> np.ndarray:
    return np.asarray((x >= screen) & (x < screen + SCREEN))

"""Episodes in the environment that a task names, one after another, each begun where an evaluation wants it.

*Success* is ``info["success"]`` where the environment gives one, otherwise: it has terminated and its agent is at the
goal. A reward decides nothing, so that a wrapper with a penalty for every step changes no result; an environment that
terminates elsewhere, or goes on at the goal, has not been solved.

*Where an episode begins*: our own environments are reset with ``options`` (floor plan, start, goal, lava), stock ones
with the seed of the layout. What the reset cannot say is then set through MiniGrid's documented attributes (the
``grid``, ``agent_pos``, ``agent_dir``, ``carrying``), and the episode counts as *placed*: start and goal of
``uniform`` episodes in stock worlds, floor plans made by hand, doors and keys of missions, goals that missions go on
from.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from tasks.named import is_plain
from tasks.observations import (
    DOOR,
    FLOOR,
    GOAL,
    IN_HAND,
    KEY,
    LYING,
    OPEN,
    WALL_CELL,
    close_doors,
    door_cells,
)
from tasks.point_oracles import at_goal


def told_grid(env: Any) -> np.ndarray:
    """(W, H, 3) uint8: what stands in a MiniGrid environment, without the agent, doors closed.

    What looks like floor but cannot be walked on is told as a wall, for an agent that is told floor plans is told where
    it can go.
    """
    grid: np.ndarray = env.grid.encode()
    for x, y in np.argwhere(grid[..., 0] == FLOOR):
        if not env.grid.get(int(x), int(y)).can_overlap():
            grid[x, y] = WALL_CELL
    return close_doors(grid)


class NamedEpisode:
    """One episode after another in one environment.

    Args:
        env: the environment, wrapped as it is registered.
        doors: door slots of agent vectors.
        keys: 1 where agent vectors end with a key's state.
        seen: whether anybody needs observations; otherwise MiniGrid's own, nearly all of its time, are left out where
            nothing around the environment could look at them.

    Attributes:
        placed: whether the state of the running episode had to be set, see the module.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], doors: int = 0, keys: int = 0, seen: bool = True
    ) -> None:
        self.env, self.doors, self.keys = env, doors, keys
        bare: Any = env.unwrapped
        self._bare = bare
        self._point = hasattr(bare, "batch")
        self._ours = hasattr(bare, "move_goal")
        self.placed = False
        self._cells: list[list[int]] = []
        self._goal: np.ndarray = np.zeros(2)
        if not (seen or self._point) and is_plain(env):
            bare.gen_obs = dict

    def reset(
        self, plan_seed: int, grid: np.ndarray, start: np.ndarray, goal: np.ndarray, endless: bool = False
    ) -> None:
        """Begin one episode of a `tasks.episodes.EpisodeBatch`.

        Args:
            plan_seed: of the floor plan or layout.
            grid: (W, H, 3) floor plan.
            start, goal: (A,) agent vectors.
            endless: the goal is taken away, because a mission may have to go on from there.

        Raises:
            ValueError: the environment does not build the floor plan of the episode.
        """
        self.placed = False
        self._goal = np.asarray(goal)
        if self._point:
            options = {"plan_seed": plan_seed, "start": start, "goal": goal}
            self.env.reset(seed=plan_seed, options=options)
        elif self._ours:
            self._reset_rooms(plan_seed, grid, start, goal)
        else:
            self.env.reset(seed=plan_seed)
        if not self._point:
            self._place(grid, start)
            self._cells = [cell for cell in door_cells(grid, self.doors).tolist() if cell[0] >= 0]
        if endless:
            self._take_goal_away()

    def _reset_rooms(self, plan_seed: int, grid: np.ndarray, start: np.ndarray, goal: np.ndarray) -> None:
        options: dict[str, Any] = {"plan_seed": plan_seed, "start": start[:3], "goal": goal[:3]}
        if self._bare.lava:
            options["lava"] = grid
        try:
            self.env.reset(seed=plan_seed, options=options)
        except ValueError:  # start or goal do not fit its own floor plan: this one was made by hand
            self.env.reset(seed=plan_seed)
            self._bare.move_goal(tuple(int(value) for value in goal[:3]))
            self.placed = True

    def _place(self, grid: np.ndarray, start: np.ndarray) -> None:
        """Bring the world to the episode's first state, as far as the reset has not led there."""
        from minigrid.core.world_object import WorldObj

        bare, told = self._bare, told_grid(self._bare)
        for x, y in np.argwhere((told != grid).any(-1)).tolist():
            if not (self._ours or GOAL in (grid[x, y, 0], told[x, y, 0])):
                raise ValueError(f"the same reset builds another floor plan, first at (x={x}, y={y})")
            bare.grid.set(x, y, WorldObj.decode(*(int(code) for code in grid[x, y])))
            self.placed = True
        if [*map(int, bare.agent_pos), int(bare.agent_dir)] != start[:3].tolist():
            bare.agent_pos, bare.agent_dir = (int(start[0]), int(start[1])), int(start[2])
            self.placed = True
        for (x, y), state in zip(door_cells(grid, self.doors).tolist(), start[3:].tolist()):
            door = bare.grid.get(x, y) if x >= 0 else None
            if door is not None and door.encode()[2] != state:
                door.is_open, door.is_locked = state == 0, state == 2
                self.placed = True
        if self.keys and start[-1] == IN_HAND and bare.carrying is None:
            x, y = np.argwhere(grid[..., 0] == KEY)[0].tolist()
            bare.carrying = bare.grid.get(x, y)
            bare.grid.set(x, y, None)
            self.placed = True

    def _take_goal_away(self) -> None:
        self.placed = True
        if self._ours:
            self._bare.move_goal(None)
        else:
            x, y = (int(value) for value in self._goal[:2])
            self._bare.grid.set(x, y, None)
        self._goal = np.full(2, -1)

    def step(self, action: Any) -> tuple[bool, bool, bool]:
        """Act; returns success, terminated, truncated."""
        _, _, terminated, truncated, info = self.env.step(action if self._point else int(action))
        success = info["success"] if "success" in info else terminated and self._at_goal()
        return bool(success), bool(terminated), bool(truncated)

    @property
    def agent(self) -> np.ndarray:
        """(A,) the agent vector of now."""
        if self._point:
            return np.asarray(self._bare.batch.agent[0])
        bare = self._bare
        states = [_state(bare.grid.get(x, y)) for x, y in self._cells]
        states += [OPEN] * (self.doors - len(states))
        if self.keys:
            states.append(LYING if bare.carrying is None else IN_HAND)
        return np.array([*bare.agent_pos, bare.agent_dir, *states], dtype=np.int64)

    def _at_goal(self) -> bool:
        if self._point:
            return bool(at_goal(self.agent, self._goal))
        return bool((self.agent[:2] == self._goal[:2]).all())


def _state(thing: Any) -> int:
    """State of a door; what has taken its place stands open."""
    code, _, state = (DOOR, 0, OPEN) if thing is None else thing.encode()
    return int(state) if code == DOOR else OPEN

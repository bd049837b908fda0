"""The symbolic observation: MiniGrid's (W, H, 3) uint8 encoding, indexed [x, y, channel].

An image is a *grid* (the world without the agent) plus an *agent* (x, y, heading). Trajectories keep the two
apart, because a grid is shared by thousands of observations; :func:`compose_image` and :func:`split_image`
convert. Channels are object, colour, state. Codes and headings are those of ``minigrid.core.constants``
(tests compare them); they are repeated here so that this module needs numpy alone.

Where doors open and close, the grid is kept as it is with all doors closed, so that it stays one *floor plan*
for a whole episode, and the agent carries the door states behind its heading: (x, y, heading, d_1 .. d_M),
0 open, 1 closed, in the order of :func:`door_cells`. A task has a fixed number of such *door slots* M; slots
that a floor plan has no door for stay 0. What happens next (also through a door that is opened on the way) is
then a function of the agent vector, the action and the unchanging floor plan.

Where there is a key (K = 1, otherwise K = 0), the floor plan shows it lying and the agent vector ends with its
state: (x, y, heading, d_1 .. d_M, k), 0 in hand, 1 lying, so that 0 means nothing in the way for doors and keys
alike. A door may then be 2, locked. The observation has no entry for what is carried: a key that does not lie
where the floor plan shows it is in hand, for these worlds know no other place (``drop`` does nothing in them).
"""

from __future__ import annotations

import numpy as np

EMPTY, WALL, FLOOR, DOOR, KEY, GOAL, LAVA, AGENT = 1, 2, 3, 4, 5, 8, 9, 10
"""Object codes, channel 0."""
RED, GREEN, YELLOW, GREY = 0, 1, 4, 5
"""Colour codes, channel 1."""
OPEN, CLOSED, LOCKED = 0, 1, 2
"""Door states, channel 2."""
IN_HAND, LYING = 0, 1
"""Key states, the last number of an agent vector."""
EMPTY_CELL = (EMPTY, 0, 0)
WALL_CELL = (WALL, GREY, 0)
GOAL_CELL = (GOAL, GREEN, 0)
LAVA_CELL = (LAVA, RED, 0)
DOOR_CELL = (DOOR, YELLOW, CLOSED)
KEY_CELL = (KEY, YELLOW, 0)

HEADINGS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)], dtype=np.int64)
"""(4, 2): the (dx, dy) of heading 0 east, 1 south, 2 west, 3 north; y grows southwards."""

ACTIONS = ("left", "right", "forward", "pickup", "drop", "toggle", "done")
LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)

KEY_SPOT, FREE, BARRIER, FIRST_DOOR = -1, 0, 1, 2
"""Codes of a barrier map, see :func:`grid_to_barriers`."""


def walls_to_grid(walls: np.ndarray) -> np.ndarray:
    """Grid (..., W, H, 3) uint8 of walls (..., W, H) bool: walls and empty floor, nothing else."""
    grid = np.empty((*walls.shape, 3), dtype=np.uint8)
    # Channel by channel: numpy is slow where the last axis is as short as a cell.
    for channel, (wall, empty) in enumerate(zip(WALL_CELL, EMPTY_CELL, strict=True)):
        grid[..., channel] = np.where(walls, np.uint8(wall), np.uint8(empty))
    return grid


def cell_items(grid: np.ndarray) -> np.ndarray:
    """The cells of a contiguous grid (..., 3) uint8 as a flat array of its own memory, one item for each cell.

    numpy moves single items several times as fast as rows of three numbers.
    """
    return grid.reshape(-1, 3).view("V3")[:, 0]


def grid_to_walls(grid: np.ndarray) -> np.ndarray:
    """Walls (..., W, H) bool of a grid (..., W, H, 3): the cells an agent can never enter."""
    return grid[..., 0] == WALL


def grid_to_lava(grid: np.ndarray) -> np.ndarray:
    """Lava (..., W, H) bool of a grid (..., W, H, 3): the cells that end an episode."""
    return grid[..., 0] == LAVA


def grid_to_barriers(grid: np.ndarray, doors: int = 0, keys: int = 0) -> np.ndarray:
    """What stands in an agent's way, for :func:`tasks.dynamics.step_agents`.

    Args:
        grid: (..., W, H, 3) uint8.
        doors: door slots M of the task.
        keys: 1 in a task with a key, otherwise 0.

    Returns:
        (..., W, H): bool walls without door slots and key, otherwise int8 with 0 free, 1 wall, 2 + i the door
        of slot i, and -1 where the floor plan shows the key.

    Raises:
        ValueError: more doors or keys in a grid than the task has.
    """
    lying = grid[..., 0] == KEY
    most = int(lying.sum((-2, -1)).max(initial=0))
    if most > keys or keys > 1:
        raise ValueError(f"a grid shows {most} keys, asked for are {keys}; 0 or 1 can be, give keys={most}")
    barriers = _door_slots(grid, doors)
    return np.where(lying, np.int8(KEY_SPOT), barriers).astype(np.int8) if keys else barriers


def _door_slots(grid: np.ndarray, doors: int) -> np.ndarray:
    """The barrier map (..., W, H) but for keys, which are no barrier in it."""
    walls, found = grid_to_walls(grid), grid[..., 0] == DOOR
    most = int(found.sum((-2, -1)).max(initial=0))
    if most > doors:
        raise ValueError(f"a grid shows {most} doors, but there are {doors} door slots; ask for doors={most}")
    if not doors:
        return walls
    slot = found.reshape(*found.shape[:-2], -1).cumsum(-1).reshape(found.shape) - 1
    return np.where(found, FIRST_DOOR + slot, walls).astype(np.int8)


def door_cells(grid: np.ndarray, doors: int) -> np.ndarray:
    """Where the door of each slot stands: (..., M, 2) int64 (x, y), sorted by x, then y; -1 for empty slots.

    Args:
        grid: (..., W, H, 3) uint8.
        doors: door slots M.

    Raises:
        ValueError: more doors in a grid than slots.
    """
    barriers = _door_slots(grid, doors).reshape(-1, *grid.shape[-3:-1])
    cells = np.full((len(barriers), doors, 2), -1, dtype=np.int64)
    if doors:
        row, x, y = np.nonzero(barriers >= FIRST_DOOR)
        cells[row, barriers[row, x, y] - FIRST_DOOR] = np.stack([x, y], -1)
    return cells.reshape(*grid.shape[:-3], doors, 2)


def compose_image(grid: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """Draw the agent and its door and key states into the grid, as MiniGrid's FullyObsWrapper does.

    Args:
        grid: (..., W, H, 3) uint8, the world without the agent.
        agent: (..., 3 + M + K) integers (x, y, heading, door states, key state); leading dimensions broadcast
            with those of ``grid``. Without door and key states things are drawn as ``grid`` has them.

    Returns:
        (..., W, H, 3) uint8, a new array. An agent hides the cell it stands on.

    Raises:
        ValueError: shapes that do not fit, an agent outside the grid, or more doors than door states.
    """
    grid, agent = np.asarray(grid), np.asarray(agent)
    if grid.ndim < 3 or grid.shape[-1] != 3:
        raise ValueError(f"grid has shape {grid.shape}; pass (..., W, H, 3)")
    if agent.ndim < 1 or agent.shape[-1] < 3:
        raise ValueError(
            f"agent has shape {agent.shape}; pass (..., 3) with x, y, heading, and door states after them"
        )
    lead = np.broadcast_shapes(grid.shape[:-3], agent.shape[:-1])
    width, height = grid.shape[-3:-1]
    image = np.array(np.broadcast_to(grid, (*lead, width, height, 3)), dtype=np.uint8, order="C")
    place = np.broadcast_to(agent, (*lead, agent.shape[-1])).reshape(-1, agent.shape[-1]).astype(np.int64)
    check_inside(place, width, height)
    flat = image.reshape(-1, width, height, 3)
    _draw_states(flat, place[:, 3:])
    rows = np.arange(len(place))
    flat[rows, place[:, 0], place[:, 1], 0] = AGENT
    flat[rows, place[:, 0], place[:, 1], 1] = RED
    flat[rows, place[:, 0], place[:, 1], 2] = place[:, 2]
    return image


def check_inside(agent: np.ndarray, width: int, height: int) -> None:
    """ValueError unless agents (N, 3 or more) are in a grid of this size and have headings."""
    if agent.shape[-1] < 3:
        raise ValueError(f"agent has shape {agent.shape}; pass (N, 3) with x, y, heading")
    outside = (agent[:, :3] < 0) | (agent[:, :3] >= np.array([width, height, 4]))
    if outside.any():
        x, y, heading = agent[outside.any(-1)][0, :3]
        raise ValueError(
            f"agent (x={x}, y={y}, heading={heading}) lies outside a {width}x{height} grid with headings 0..3"
        )


def world_grid(floor: np.ndarray, agent: np.ndarray) -> np.ndarray:
    """The world without the agent as it is now: floor plans (N, W, H, 3) and agents (N, 3 + M + K) -> like floor.

    Doors are in their states, and a key that is in hand lies no longer.
    """
    grid = np.array(floor, dtype=np.uint8)
    _draw_states(grid, agent[:, 3:])
    return grid


def _draw_states(grid: np.ndarray, states: np.ndarray) -> None:
    """Draw states (N, M + K) into grids (N, W, H, 3) in place; the last one is the key's where a grid shows one."""
    if not states.shape[1]:
        return
    lying = grid[..., 0] == KEY
    keyed = lying.any((1, 2))
    row, slot = np.nonzero((cells := door_cells(grid, states.shape[1] - int(keyed.any())))[..., 0] >= 0)
    grid[row, cells[row, slot, 0], cells[row, slot, 1], 2] = states[row, slot]
    grid[lying & (states[:, -1] == IN_HAND)[:, None, None]] = EMPTY_CELL


def split_image(
    image: np.ndarray, doors: int = 0, floor: np.ndarray | None = None, keys: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Take the agent out of an image: the inverse of :func:`compose_image`.

    Args:
        image: (..., W, H, 3) uint8 with exactly one agent in each image.
        doors: door slots M of the task; 0 leaves doors in the grid as the image shows them.
        floor: (..., W, H, 3) uint8, the floor plan if it is known from an earlier observation. An agent in a
            doorway or on a goal hides what it stands on, so a first image tells the floor plan (no episode
            starts in a doorway) and later images are split with it.
        keys: 1 in a task with a key, otherwise 0.

    Returns:
        grid (..., W, H, 3) uint8, the floor plan: with ``floor``, that one; otherwise with empty floor where
        the agent stood, and with door slots all doors closed. A key in hand is in no image, so a floor plan
        made of one has no key. Agent (..., 3 + M + K) int64 (x, y, heading, door states, key state).

    Raises:
        ValueError: wrong shape, not exactly one agent in an image, or more doors or keys than the task has.
    """
    image = np.asarray(image)
    if image.ndim < 3 or image.shape[-1] != 3:
        raise ValueError(f"image has shape {image.shape}; pass (..., W, H, 3)")
    lead, (width, height) = image.shape[:-3], image.shape[-3:-1]
    grid = np.array(image, dtype=np.uint8, order="C").reshape(-1, width * height, 3)
    here = grid[..., 0] == AGENT
    count = here.sum(-1)
    if (count != 1).any():
        first = int(np.argmax(count != 1))
        raise ValueError(
            f"image {first} of the batch shows {count[first]} agents; pass fully observed images with one"
        )
    rows, cell = np.arange(len(grid)), here.argmax(-1)
    agent = np.stack([cell // height, cell % height, grid[rows, cell, 2].astype(np.int64)], -1)
    grid[rows, cell] = EMPTY_CELL
    plan = grid.reshape(-1, width, height, 3) if floor is None else _same_shape(floor, image)
    if doors:
        states = np.zeros((len(agent), doors), dtype=np.int64)
        row, slot = np.nonzero((cells := door_cells(plan, doors))[..., 0] >= 0)
        shown = grid.reshape(-1, width, height, 3)[row, cells[row, slot, 0], cells[row, slot, 1]]
        # The agent only ever stands in an open doorway, and empty floor has the state of an open door.
        states[row, slot] = shown[:, 2]
        agent = np.concatenate([agent, states], -1)
        plan = close_doors(plan)
    if keys:
        grid_to_barriers(plan, doors, keys)  # refuses a second key
        agent = np.concatenate([agent, LYING * (grid[..., 0] == KEY).any(-1)[:, None]], -1)
    return plan.reshape(image.shape), agent.reshape(*lead, 3 + doors + keys)


def close_doors(grid: np.ndarray) -> np.ndarray:
    """A copy of the grid (..., W, H, 3) with every door closed: the floor plan."""
    grid = np.array(grid, dtype=np.uint8)
    grid[..., 2] = np.where(grid[..., 0] == DOOR, np.uint8(CLOSED), grid[..., 2])
    return grid


def perceive(
    observation: dict[str, np.ndarray], doors: int = 0, floor: np.ndarray | None = None, keys: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What any world's observation says: the floor plan and the agent vector.

    Args:
        observation: ``image`` (..., W, H, 3), and ``position`` (..., 2) in a continuous world; or ``pose``
            (..., 3 + M + K) in one that is seen in parts, whose floor plan is what is known of it.
        doors, floor, keys: as in :func:`split_image`.

    Returns:
        floor plan (..., W, H, 3) uint8, and the agent: (..., 3 + M + K) int64, or (..., 2) float32 positions.
    """
    if "pose" in observation:
        if floor is None:
            raise ValueError("a view shows no floor plan; say what is known of it")
        return floor, observation["pose"]
    if "position" in observation:
        return observation["image"], observation["position"]
    return split_image(observation["image"], doors, floor, keys)


def _same_shape(floor: np.ndarray, image: np.ndarray) -> np.ndarray:
    if floor.shape != image.shape:
        raise ValueError(f"floor has shape {floor.shape}, the images {image.shape}; pass one for each image")
    return floor.reshape(-1, *image.shape[-3:])

"""Episodes of our floor plans that batched environments draw all at once.

What is drawn is what :func:`tasks.episodes.draw_episode` draws one by one: the floor-plan seed, then start and goal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.floorplans import floor_plan, grid_side, plan_walls, split_seeds
from tasks.layouts import layout_walls
from tasks.pairs import draw_fixed_pairs, draw_pairs
from tasks.streams import Streams


def drawn_together(world: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether `draw_together` draws episodes of this world.

    Locked doors and lava are searches of their own, and what the options of a reset give is checked one by one; the
    errors of an unusual request are those of `draw_episode`.

    Args:
        world: arguments of :func:`tasks.episodes.draw_episode`.
        options: of a reset, see :func:`tasks.episodes.reset_options`.
    """
    return not (world.get("keys") or world.get("lava") or options)


def draw_together(
    streams: Streams, rows: np.ndarray, world: Mapping[str, Any], split: str, tasks: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw one episode from each of the rows of streams.

    Args:
        streams: what is drawn from.
        rows: (R,).
        world: arguments of :func:`tasks.episodes.draw_episode`, without keys and lava.
        split, tasks: which floor plans, and how start and goal are drawn.

    Returns:
        floor-plan seeds (R,) int64, walls (R, W, H) bool, start and goal (R, 3) int64.

    Raises:
        ValueError: what `draw_episode` refuses.
    """
    depth, room, fixed_plan = world["depth"], world["room"], world.get("fixed_plan")
    if fixed_plan is not None:
        walls = np.repeat(floor_plan(fixed_plan, depth, room).walls[None], len(rows), 0)
        ends = draw_fixed_pairs(streams, fixed_plan, depth, room, tasks, split, rows)
        return np.full(len(rows), fixed_plan), walls, *ends
    owned = split_seeds(split)
    seeds = owned.start + streams.integers(owned.stop - owned.start, rows)[:, 0]
    if world.get("layout"):
        walls = layout_walls(seeds, world["layout"], grid_side(depth, room))
    else:
        walls = plan_walls(seeds, depth, room)
    return seeds, walls, *draw_pairs(streams, walls, tasks, rows)

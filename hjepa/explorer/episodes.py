"""One episode of a trace as plain values of `hjepa.explorer.schema`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hjepa.explorer.latent_maps import LatentMap, states_of
from hjepa.explorer.packing import Blobs, bytes_between, tenths, whole
from hjepa.explorer.schema import NOWHERE, WALLED
from hjepa.figures.projection import SIDE
from hjepa.figures.walk import Imagined, Walk, steps_left
from tasks import EpisodeBatch

MIDDLE = 0.5
"""A point in the middle of cell (x, y) is at (x + 0.5, y + 0.5); drawn is the middle at (x, y)."""


def steps_to_goal(batch: EpisodeBatch) -> np.ndarray:
    """Steps of the shortest path (W, H) int64 from every cell of the one episode of a batch, least over the headings;
    -1 at walls and where there is none."""
    free = ~batch.walls[0]
    states = states_of(batch)
    left = steps_left(batch, states).reshape(int(free.sum()), -1)
    least = np.where(left < 0, NOWHERE, left).min(1)
    found = np.full(free.shape, -1, dtype=np.int64)
    found[free] = np.where(least == NOWHERE, -1, least)
    return found


def plain_task(batch: EpisodeBatch, number: int, blobs: Blobs) -> dict[str, Any]:
    """The one episode of a batch, whoever walks it."""
    steps = steps_to_goal(batch)
    return {
        "number": number,
        "grid": blobs.add(np.ascontiguousarray(batch.grid[0, ..., 0].T)),
        "steps": blobs.add(np.where(steps < 0, NOWHERE, steps).astype(np.uint16).T),
        "goal": shown(batch.goal[0, :2], batch.continuous).tolist(),
        "shortest": int(batch.oracle_steps[0]),
    }


def plain_walk(
    walk: Walk, maps: Sequence[LatentMap | None], continuous: bool, blobs: Blobs
) -> dict[str, Any]:
    """What one agent did and imagined.

    Args:
        walk: of the episode.
        maps: per level, or None where its latents are not known.
        continuous: whether agents are points.
        blobs: get what is large.
    """
    place = 10 * shown(walk.path[:, :2], continuous)
    heading = np.full(len(place), -1) if continuous else walk.path[:, 2]
    return {
        "success": int(walk.success),
        "steps": walk.steps,
        "path": whole(np.concatenate([place, heading[:, None]], 1)),
        "left": whole(walk.left),
        "levels": [
            {
                "plans": [_plain_plan(plan, own) for plan in plans],
                "map": None if own is None else plain_map(own, blobs),
            }
            for plans, own in zip(walk.plans, maps, strict=True)
        ],
    }


def plain_map(level: LatentMap, blobs: Blobs) -> dict[str, Any]:
    """A level's costs and the map of its latents."""
    low, high = float(np.nanmin(level.cost)), float(np.nanmax(level.cost))
    cost = bytes_between(level.cost, low, high, WALLED - 1)
    places = bytes_between(level.places, 0.0, SIDE, 255)
    return {
        "states": blobs.add(places),
        "headings": len(places) // int((~np.isnan(level.cost)).sum()),
        "cost": blobs.add(cost.T),
        "low": round(low, 4),
        "high": round(high, 4),
        "unit": level.unit,
        "rank": None if math.isnan(level.rank) else round(level.rank, 3),
        "goal": whole(level.goal),
        "path": whole(level.path),
        "shown": round(level.projection.shown, 3),
    }


def _plain_plan(plan: Imagined, own: LatentMap | None) -> dict[str, Any]:
    # What the probe reads is a place among cells already, also in a continuous world.
    count = 2 * len(plan.positions)
    return {
        "at": plan.time,
        "skipped": int(plan.skipped),
        "goal": int(plan.at_goal),
        "xy": tenths(plan.positions),
        "uv": [0] * count if own is None else whole(own.projection.place(plan.latents)),
    }


def shown(position: np.ndarray, continuous: bool) -> np.ndarray:
    """Positions as they are drawn, with the middle of a cell at whole numbers."""
    return np.asarray(position, float) - (MIDDLE if continuous else 0.0)

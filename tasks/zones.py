"""Zones that somebody draws on the floor plans of episodes, and that nothing in the world shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tasks.episode_batches import EpisodeBatch
from tasks.hazards import lay_across
from tasks.oracles import distances
from tasks.randomness import keyed_generator


def with_zones(episodes: EpisodeBatch, step_budget: int, seed: int = 0) -> tuple[EpisodeBatch, np.ndarray]:
    """Draw a zone across the way of each episode.

    Args:
        episodes: E of them, in a world of cells without doors.
        step_budget: steps of an episode; the way round takes at most half of them.
        seed: of the zones.

    Returns:
        the episodes with the steps of the ways round, without those that have none, and the zones (E', W, H) bool.

    Raises:
        ValueError: a continuous world, or one with doors.
    """
    if episodes.continuous or episodes.doors:
        raise ValueError("zones are drawn across ways through cells without doors; choose such a task")
    zones = np.stack(
        [
            lay_across(
                keyed_generator("zones", int(seed), int(episodes.plan_seed[i]), i),
                episodes.walls[i],
                tuple(episodes.start[i].tolist()),
                tuple(episodes.goal[i].tolist()),
                step_budget // 2,
            )
            for i in range(len(episodes))
        ]
    )
    drawn = np.flatnonzero(zones.any((1, 2)))
    kept, zones = episodes.select(drawn), zones[drawn]
    table = distances(kept.walls | zones, kept.goal)
    around = table[np.arange(len(kept)), kept.start[:, 0], kept.start[:, 1], kept.start[:, 2]]
    return replace(kept, oracle_steps=around.astype(np.int64)), zones

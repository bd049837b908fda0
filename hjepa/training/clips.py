"""Clips for masked prediction: pieces of trajectories as pictures, with texture that nobody can predict over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks import TrajectoryStore
from tasks.rendering import render_frames
from tasks.textures import textured


@dataclass(frozen=True)
class Clips:
    """N clips.

    Attributes:
        frames: (N, T, H, W, 3) uint8.
        dimming, flicker: (N, T) int64, see `tasks.textures.Textured`.
        rows: (N, T) int64, moments of the store.
    """

    frames: np.ndarray
    dimming: np.ndarray
    flicker: np.ndarray
    rows: np.ndarray


def draw_clips(
    store: TrajectoryStore,
    rng: np.random.Generator,
    count: int,
    frames: int,
    flicker: float = 32.0,
    drift: float = 32.0,
) -> Clips:
    """Random clips.

    Args:
        store: trajectories of a world of cells.
        rng: source of every draw.
        count: N.
        frames: T, moments in a row.
        flicker, drift: see `tasks.textures.textured`.

    Raises:
        ValueError: clips longer than any trajectory, or brightness out of its range.
    """
    windows = store.windows(rng, count, frames)
    shown = render_frames(
        store.grids[windows.grid_index.reshape(-1)], windows.agent.reshape(-1, windows.agent.shape[-1])
    )
    found = textured(shown.reshape(count, frames, *shown.shape[1:]), rng, flicker, drift)
    return Clips(found.frames, found.dimming, found.flicker, windows.row)

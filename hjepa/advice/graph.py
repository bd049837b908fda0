"""The states of one layout that trajectories pass through, and how many steps lie between them.

Trajectories that pass through the same state may be joined there, so that a way between two states is known even
where nobody walked all of it. Nothing is needed but what was seen: no coordinates, and no simulator.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

ALIKE = 0.5
"""Share of moments that look different from all before them, above which states are told apart by their latents."""

FAR = np.int32(1 << 20)
"""Steps between states that no way is known between."""


def number_frames(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What looks the same is one state.

    Args:
        frames: (N, ...) what was seen.

    Returns:
        the first row (S,) of each state, and the state (N,) of each row.
    """
    known: dict[bytes, int] = {}
    first: list[int] = []
    number = np.empty(len(frames), dtype=np.int64)
    for row, frame in enumerate(np.ascontiguousarray(frames)):
        mark = blake2b(frame.tobytes(), digest_size=16).digest()
        if mark not in known:
            known[mark] = len(first)
            first.append(row)
        number[row] = known[mark]
    return np.array(first, dtype=np.int64), number


def number_latents(latents: Tensor, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """What is nearer than ``radius`` to an earlier state is that state: for worlds where nothing comes twice.

    Args:
        latents: (N, D).
        radius: squared distance.

    Returns:
        as `number_frames`.
    """
    first, number = [0], np.zeros(len(latents), dtype=np.int64)
    kept = torch.empty_like(latents)
    kept[0] = latents[0]
    for row in range(1, len(latents)):
        apart, nearest = (kept[: len(first)] - latents[row]).square().sum(-1).min(0)
        if float(apart) <= radius:
            number[row] = int(nearest)
            continue
        kept[len(first)] = latents[row]
        number[row] = len(first)
        first.append(row)
    return np.array(first, dtype=np.int64), number


def steps_between(states: np.ndarray, count: int) -> np.ndarray:
    """Steps of the shortest known way from each state to each other.

    Args:
        states: (n, L) the state at each moment of trajectories.
        count: S, how many there are.

    Returns:
        (S, S) int32; `FAR` where no way is known.
    """
    pairs = np.stack([states[:, :-1].ravel(), states[:, 1:].ravel()], 1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    steps = np.full((count, count), FAR, dtype=np.int32)
    np.fill_diagonal(steps, 0)
    if not len(pairs):
        return steps
    # Where each state leads to, padded with itself, so that one table holds all of them.
    leaving = np.bincount(pairs[:, 0], minlength=count)
    place = np.arange(len(pairs)) - np.repeat(np.cumsum(leaving) - leaving, leaving)
    following = np.repeat(np.arange(count)[:, None], int(leaving.max()), 1)
    following[pairs[:, 0], place] = pairs[:, 1]
    while True:
        before = steps
        steps = before.copy()
        for column in following.T:
            np.minimum(steps, before[column] + 1, out=steps)
        np.fill_diagonal(steps, 0)
        np.minimum(steps, FAR, out=steps)
        if np.array_equal(steps, before):
            return steps

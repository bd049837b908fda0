"""Trajectories on a few layouts, as every level of a stack encodes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hjepa.advice.descent import far_pairs
from hjepa.advice.graph import ALIKE, FAR, number_frames, number_latents, steps_between
from hjepa.errors import InputError
from hjepa.model.form import Form
from hjepa.model.stack import Stack
from hjepa.tensors import as_tensor
from hjepa.training.sources import Source

ENCODED = 256
"""States that are encoded at once."""

MOST_STATES = 4000
"""Of a layout; what is walked after so many is left out."""

STREAM = 1 << 43
"""Keeps the draws apart from those of training with the same seed."""


@dataclass(frozen=True)
class Walked:
    """Trajectories on one layout.

    Attributes:
        states: (n, L) state at each moment.
        latents: per level, (S, D_k) of the states.
        memories: per level, of the layout.
        picture: (1, ...) what costs read the layout from.
        action: (1, n, L - 1, ...) what was done.
        steps: (S, S) between states.
        pairs: (G, 2) starts and goals.
    """

    states: np.ndarray
    latents: list[Tensor]
    memories: list[Tensor | None]
    picture: Tensor
    action: Tensor
    steps: np.ndarray
    pairs: np.ndarray

    def along(self, k: int) -> Tensor:
        """Latents (n, L, D_k) of level k + 1 along the trajectories."""
        return self.latents[k][torch.from_numpy(self.states)]

    def macro_actions(self, stack: Stack, k: int) -> Tensor:
        """What level k + 1 did along the trajectories: (n, M, A_k)."""
        form = Form(encoded=True)
        return stack.window_actions(k, self.along(0)[None], self.action, self.memories, form)[0]


@torch.no_grad()
def walk_layouts(
    stack: Stack, source: Source, layouts: int, each: int, length: int, goals: int, seed: int
) -> Iterator[Walked]:
    """Trajectories on some layouts, one after the other.

    Args:
        stack: encodes.
        source: of trajectories.
        layouts: how many; where there are fewer, as many as there are.
        each: n, trajectories on each.
        length: L, observations in one.
        goals: pairs of start and goal on each layout.
        seed: which are drawn.

    Raises:
        InputError: trajectories on which no state leads to another.
    """
    layouts = min(layouts, source.layouts)
    rng = np.random.Generator(np.random.Philox(key=[seed, STREAM]))
    pieces = source.pieces(rng, layouts * each, length, layouts)
    rows = pieces.rows.reshape(layouts, each, length)
    action = pieces.action.reshape(layouts, each, length - 1, *pieces.action.shape[2:])
    for own, done in zip(rows, action):
        yield _walked(stack, source, own, as_tensor(done), goals, rng)


def _walked(
    stack: Stack, source: Source, rows: np.ndarray, action: Tensor, goals: int, rng: np.random.Generator
) -> Walked:
    """Of rows (n, L) on one layout."""
    flat = rows.reshape(-1)
    unique, back = np.unique(flat, return_inverse=True)
    frames = source.show(unique)
    first, number = number_frames(frames)
    picture = torch.from_numpy(source.layout(rows[:1, 0]))
    memories = stack.write(picture)
    latents = _encode(stack, frames[first], memories)
    states = number[back].reshape(rows.shape)
    if len(first) > ALIKE * len(unique):
        step = (latents[0][states[:, 1:]] - latents[0][states[:, :-1]]).square().sum(-1)
        kept, merged = number_latents(latents[0], float(step.median()))
        latents, states = [latent[kept] for latent in latents], merged[states]
    # Whole trajectories, as many as hold no more states than can be compared with one another.
    highest = np.maximum.accumulate(states.max(1))
    whole = max(int((highest < MOST_STATES).sum()), 1)
    states, action = states[:whole], action[:whole]
    count = int(states.max()) + 1
    latents = [latent[:count] for latent in latents]
    steps = steps_between(states, count)
    pairs = far_pairs(steps, goals, rng, int(FAR))
    if not len(pairs):
        raise InputError(
            "trajectories on which nothing changes",
            str(source.path),
            "give --data with ways from state to state",
        )
    return Walked(states, latents, memories, picture, action[None], steps, pairs)


def _encode(stack: Stack, frames: np.ndarray, memories: list[Tensor | None]) -> list[Tensor]:
    """Latents (S, D_k) per level of S observations, or told agents."""
    parts = []
    for start in range(0, len(frames), ENCODED):
        some = np.ascontiguousarray(frames[start : start + ENCODED])
        seen = torch.from_numpy(some) if stack.sees else as_tensor(some)
        parts.append([latent[0] for latent in stack.encode(seen[None], memories)])
    return [torch.cat(level) for level in zip(*parts)]

"""What trajectories teach actors: goal-conditioned behaviour cloning, with goals in hindsight.

Whatever was done on the way from one moment of a trajectory to a later one is taken for the way to get there (Lynch et
al., arXiv 1903.01973; Ghosh et al., arXiv 1912.06088). Nothing is planned and nothing imagined: the row that a table
of planners is measured against.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from hjepa.errors import InputError
from hjepa.model.stack import Stack
from hjepa.tensors import as_tensor
from hjepa.training.memories import remember, remember_level
from hjepa.training.sources import Source
from levels.grid.critic import Critic

TOGETHER = 32
"""Pieces of trajectory that are looked at together."""

MOMENTS = 16
"""Moments of a piece that are learned from at each level, at most."""


@dataclass(frozen=True)
class Lessons:
    """What one level is taught, towards the goal or towards subgoals.

    Attributes:
        inputs: what `levels.actor.Actor` takes, each (n, ...).
        action: (n, A) what was planned, or done.
    """

    inputs: tuple[Tensor, ...]
    action: Tensor

    def to(self, device: torch.device) -> Lessons:
        """The same on a device."""
        return Lessons(tuple(part.to(device) for part in self.inputs), self.action.to(device))

    @staticmethod
    def join(parts: list[Lessons]) -> Lessons:
        """All of them as one."""
        inputs = zip(*(part.inputs for part in parts))
        return Lessons(tuple(torch.cat(each) for each in inputs), torch.cat([part.action for part in parts]))


Course = dict[tuple[int, bool], Lessons]
"""(level from 0, whether towards the goal) -> lessons."""


def hindsight(stack: Stack, source: Source, pieces: int, seed: int, progress: bool) -> Course:
    """What trajectories teach every level, about the goal and about subgoals.

    Args:
        stack: encodes.
        source: training trajectories of its world.
        pieces: of trajectories, as long as half of the episodes are; of each a few moments are learned from.
        seed: of pieces and moments.
        progress: show a bar.

    Raises:
        InputError: a stack whose actors read a critic's field, which trajectories do not give.
    """
    if len(stack.critics) and isinstance(stack.critic(0), Critic):
        raise InputError(
            "actors from data, of a stack that is told and has a critic",
            "distill",
            "train it without the critic section, or distil from plans",
        )
    span = stack.config.spans[-1]
    length = (source.clip - 1) // span * span + 1
    found: dict[tuple[int, bool], list[Lessons]] = {}
    for batch in tqdm(range(-(-pieces // TOGETHER)), desc="pieces", disable=not progress):
        rng = np.random.Generator(np.random.Philox(key=[seed, (batch << 8) | 253]))
        for key, lessons in _learned(stack, source, rng, length):
            found.setdefault(key, []).append(lessons)
    return {key: Lessons.join(parts) for key, parts in found.items()}


@torch.no_grad()
def _learned(
    stack: Stack, source: Source, rng: np.random.Generator, length: int
) -> Iterator[tuple[tuple[int, bool], Lessons]]:
    """Lessons of some pieces of trajectory, of so many observations each."""
    layouts = min(source.layouts, TOGETHER // 4)
    each, device = TOGETHER // layouts, stack.step_distance.device
    pieces = source.pieces(rng, layouts * each, length, layouts)
    moments = pieces.rows.reshape(layouts, each, length)
    shown = source.show(moments)
    agent = (torch.from_numpy(shown) if stack.sees else as_tensor(shown)).to(device)
    action = as_tensor(pieces.action).view(layouts, each, length - 1, *pieces.action.shape[2:]).to(device)
    memories = remember(stack, source, moments[:, :, 0])
    latents = stack.encode(agent, memories)
    for k in range(stack.depth):
        span, steps = stack.config.spans[k], (length - 1) // stack.config.spans[k]
        done = stack.window_actions(k, agent, action, memories)
        own = latents[k][:, :, ::span]
        count = min(MOMENTS, steps)
        now = torch.from_numpy(rng.integers(0, steps, (layouts, each, count))).to(device)
        later = torch.from_numpy(rng.random((layouts, each, count))).to(device)
        # Any later moment is as good a goal as any other.
        later = now + 1 + (later * (steps - now)).long().clamp_max(steps - 1 - now)
        here, taken = _at(own, now), _at(done, now)
        memory = memories[k]
        if memory is not None and len(memory) > layouts:
            # Agents read the picture of the moment they plan at.
            memory = remember_level(stack, source, k, np.take_along_axis(moments[:, :, ::span], now.cpu().numpy(), 2))
        condition = stack.level(k).condition(here.flatten(1, 2), memory).view(*here.shape[:3], -1)
        around = here.new_zeros(*here.shape[:3], 0)
        yield (k, True), _flat((condition, here, _at(own, later), around), taken)
        if k + 1 == stack.depth:
            continue
        stride = stack.config.levels[k + 1].stride
        target = _at(latents[k + 1][:, :, :: stack.config.spans[k + 1]], now // stride + 1)
        left = 1 - (now % stride) / stride
        yield (k, False), _flat((condition, here, target, left.to(here)), taken)


def _at(values: Tensor, moment: Tensor) -> Tensor:
    """Values (P, n, F, D) at moments (P, n, m): (P, n, m, D)."""
    return values.gather(2, moment.unsqueeze(-1).expand(-1, -1, -1, values.shape[-1]))


def _flat(inputs: tuple[Tensor, ...], action: Tensor) -> Lessons:
    """Lessons of (P, n, m, ...), one after another and on the CPU, where they are kept."""
    return Lessons(tuple(part.flatten(0, 2).cpu() for part in inputs), action.flatten(0, 2).cpu())

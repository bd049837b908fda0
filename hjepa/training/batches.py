"""Training batches: windows of a trajectory store, each a function of seed and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from hjepa.config import RunConfig
from tasks import TrajectoryStore


@dataclass(frozen=True)
class Batch:
    """Windows for one level.

    Attributes:
        level: from 0.
        grid: (P, W, H, 3) floor plans.
        agent: (P, n, L, A) agent vectors: integers, or positions.
        action: (P, n, L - 1) integers, or (P, n, L - 1, 2) numbers.
    """

    level: int
    grid: Tensor
    agent: Tensor
    action: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(self.level, self.grid.to(device), self.agent.to(device), self.action.to(device))


@dataclass(frozen=True)
class CriticBatch:
    """Whole trajectories for the critics.

    Attributes:
        grid: (P, W, H, 3) floor plans.
        agent: (P, n, L, A) agent vectors.
        goal: number (P,) of a trajectory, and (P,) of a moment in it.
    """

    grid: Tensor
    agent: Tensor
    goal: tuple[Tensor, Tensor]

    def to(self, device: torch.device) -> CriticBatch:
        trajectory, moment = self.goal
        return CriticBatch(
            self.grid.to(device), self.agent.to(device), (trajectory.to(device), moment.to(device))
        )


def level_steps(config: RunConfig) -> int:
    """Optimiser steps of the training of all levels."""
    return max(config.train.steps) if config.train.schedule == "joint" else sum(config.train.steps)


def critic_progress(config: RunConfig, step: int) -> float | None:
    """The share of the critics' training done at a step; None if they do not train there."""
    first = level_steps(config)
    if config.critic is None or not first <= step < first + config.critic.steps:
        return None
    return (step - first) / config.critic.steps


def active_levels(config: RunConfig, step: int) -> list[tuple[int, float]]:
    """Which levels train at a step, each with the share of its training that is done."""
    if step >= level_steps(config):
        return []
    if config.train.schedule == "joint":
        return [(k, step / max(config.train.steps)) for k in range(len(config.levels))]
    first = 0
    for k, steps in enumerate(config.train.steps):
        if step < first + steps:
            return [(k, (step - first) / steps)]
        first += steps
    return []


def total_steps(config: RunConfig) -> int:
    """Optimiser steps of the whole training."""
    return level_steps(config) + (config.critic.steps if config.critic else 0)


def draw(store: TrajectoryStore, config: RunConfig, level: int, length: int, step: int) -> Batch:
    """The batch of one level at one step.

    Changing grids are represented by the grid of each window's first observation.
    """
    train = config.train
    rng = np.random.Generator(np.random.Philox(key=[train.seed, (step << 8) | level]))
    each = train.batch // (config.levels[level].rollout * train.plans)
    windows = store.windows(rng, each * train.plans, length, plans=train.plans)
    grid = store.grids[windows.grid_index[::each, 0]]
    shape = (train.plans, each)
    return Batch(
        level,
        torch.from_numpy(np.ascontiguousarray(grid)),
        as_tensor(windows.agent).view(*shape, length, -1),
        as_tensor(windows.action).view(*shape, length - 1, *windows.action.shape[2:]),
    )


def draw_critic(store: TrajectoryStore, config: RunConfig, step: int) -> CriticBatch:
    """The batch of the critics at one step: clips as long as there are, a later moment of one of them as the goal."""
    settings = config.critic
    assert settings is not None
    rng = np.random.Generator(np.random.Philox(key=[config.train.seed, (step << 8) | 255]))
    length, plans, each = int(store.lengths.max()), settings.plans, settings.trajectories
    windows = store.windows(rng, plans * each, length, plans=plans)
    moment = rng.integers(length // 4, length, plans)
    return CriticBatch(
        torch.from_numpy(np.ascontiguousarray(store.grids[windows.grid_index[::each, 0]])),
        as_tensor(windows.agent).view(plans, each, length, -1),
        (torch.from_numpy(rng.integers(0, each, plans)), torch.from_numpy(moment)),
    )


def as_tensor(values: np.ndarray) -> Tensor:
    """Integers as int64, other numbers as float32."""
    return torch.from_numpy(
        values.astype(np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32)
    )


class Batches(IterableDataset[list[Batch | CriticBatch]]):
    """Endless batches; where iteration begins is asked for when it begins, so that a resumed run goes on.

    Args:
        store: trajectories.
        config: run.
        lengths: observations in a window, per level.
        first_step: tells the step to begin with.
    """

    def __init__(
        self,
        store: TrajectoryStore,
        config: RunConfig,
        lengths: list[int],
        first_step: Callable[[], int],
    ) -> None:
        self.store, self.config, self.lengths, self.first_step = store, config, lengths, first_step

    def __iter__(self) -> Iterator[list[Batch | CriticBatch]]:
        for step in range(self.first_step(), total_steps(self.config)):
            levels = active_levels(self.config, step)
            if levels:
                yield [draw(self.store, self.config, k, self.lengths[k], step) for k, _ in levels]
            else:
                yield [draw_critic(self.store, self.config, step)]


class TrajectoryData(L.LightningDataModule):
    """Whole batches from a trajectory store; see `Batches`."""

    def __init__(self, store: TrajectoryStore, config: RunConfig, lengths: list[int]) -> None:
        super().__init__()
        self.store, self.config, self.lengths = store, config, lengths

    def train_dataloader(self) -> DataLoader[list[Batch | CriticBatch]]:
        def first_step() -> int:
            return 0 if self.trainer is None else self.trainer.global_step

        # Loading is far faster than a training step: no worker processes.
        return DataLoader(Batches(self.store, self.config, self.lengths, first_step), batch_size=None)

    def transfer_batch_to_device(
        self, batch: list[Batch | CriticBatch], device: torch.device, dataloader_idx: int
    ) -> list[Batch | CriticBatch]:
        return [part.to(device) for part in batch]

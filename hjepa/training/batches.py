"""Training batches: windows of a trajectory store, each a function of seed and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from hjepa.config import RunConfig
from hjepa.model.perception import draw as draw_frames
from hjepa.tensors import as_tensor
from levels.settings import Sight
from tasks import TrajectoryStore, Windows


@dataclass(frozen=True)
class Batch:
    """Windows for one level.

    Attributes:
        level: from 0.
        grid: what memories are written from: a picture (P, ...) of each layout, or told floor plans (P, W, H, 3).
        agent: (P, n, F, ...) observations, one in ``every`` steps, or all L told agents.
        action: (P, n, L - 1) integers, or (P, n, L - 1, A) numbers.
        state: (P, n, F', A) what a simulator knows at the level's own moments, for probes alone; None: nothing.
        every: steps between two observations.
    """

    level: int
    grid: Tensor
    agent: Tensor
    action: Tensor
    state: Tensor | None = None
    every: int = 1

    def to(self, device: torch.device) -> Batch:
        state = None if self.state is None else self.state.to(device)
        grid, agent, action = (part.to(device) for part in (self.grid, self.agent, self.action))
        return Batch(self.level, grid, agent, action, state, self.every)


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


def draw(
    store: TrajectoryStore,
    config: RunConfig,
    level: int,
    length: int,
    step: int,
    sight: Sight | None = None,
    every: int = 1,
) -> Batch:
    """The batch of one level at one step.

    Changing grids are represented by the grid of each window's first observation. With a ``sight`` windows are drawn as
    the world would have shown them, one picture in ``every`` steps; the memory of a layout is written from one of them.
    """
    train = config.train
    rng = np.random.Generator(np.random.Philox(key=[train.seed, (step << 8) | level]))
    each = train.batch // (config.levels[level].rollout * train.plans)
    windows = store.windows(rng, each * train.plans, length, plans=train.plans)
    grid = store.grids[windows.grid_index[::each, 0]]
    shape = (train.plans, each)
    if sight is not None:
        seen = show(sight, store, windows, every).reshape(*shape, -1, *sight.shape)
        frames = seen.shape[2]
        context = seen[
            np.arange(train.plans), rng.integers(0, each, train.plans), rng.integers(0, frames, train.plans)
        ]
        return Batch(
            level,
            torch.from_numpy(context),
            torch.from_numpy(seen),
            as_tensor(windows.action).view(*shape, length - 1, *windows.action.shape[2:]),
            as_tensor(windows.agent[:, :: config.spans[level]]).view(*shape, -1, windows.agent.shape[-1]),
            every,
        )
    return Batch(
        level,
        torch.from_numpy(np.ascontiguousarray(grid)),
        as_tensor(windows.agent).view(*shape, length, -1),
        as_tensor(windows.action).view(*shape, length - 1, *windows.action.shape[2:]),
    )


def show(sight: Sight, store: TrajectoryStore, windows: Windows, every: int) -> np.ndarray:
    """What the world shows in windows, one picture in ``every`` steps: (B * F, *shape of the sight)."""
    agent, index = windows.agent[:, ::every], windows.grid_index[:, ::every]
    return draw_frames(sight, store.grids[index.reshape(-1)], agent.reshape(-1, agent.shape[-1]))


def draw_critic(
    store: TrajectoryStore, config: RunConfig, step: int, sight: Sight | None = None
) -> CriticBatch:
    """The batch of the critics at one step: clips as long as there are, a later moment of one of them as the goal."""
    settings = config.critic
    assert settings is not None
    rng = np.random.Generator(np.random.Philox(key=[config.train.seed, (step << 8) | 255]))
    length, plans, each = int(store.lengths.max()), settings.plans, settings.trajectories
    windows = store.windows(rng, plans * each, length, plans=plans)
    moment = rng.integers(length // 4, length, plans)
    if sight is None:
        grid = torch.from_numpy(np.ascontiguousarray(store.grids[windows.grid_index[::each, 0]]))
        agent = as_tensor(windows.agent).view(plans, each, length, -1)
    else:
        seen = show(sight, store, windows, 1).reshape(plans, each, length, *sight.shape)
        agent, grid = torch.from_numpy(seen), torch.from_numpy(np.ascontiguousarray(seen[:, 0, 0]))
    return CriticBatch(
        grid,
        agent,
        (torch.from_numpy(rng.integers(0, each, plans)), torch.from_numpy(moment)),
    )


class Batches(IterableDataset[list[Batch | CriticBatch]]):
    """Endless batches; where iteration begins is asked for when it begins, so that a resumed run goes on.

    Args:
        store: trajectories.
        config: run.
        lengths: observations in a window, per level.
        sight: what levels see; None: they are told.
        every: steps between two observations, per level.
        first_step: tells the step to begin with.
    """

    def __init__(
        self,
        store: TrajectoryStore,
        config: RunConfig,
        lengths: list[int],
        first_step: Callable[[], int],
        sight: Sight | None = None,
        every: Sequence[int] = (),
    ) -> None:
        self.store, self.config, self.lengths, self.first_step = store, config, lengths, first_step
        self.sight, self.every = sight, every or [1] * len(lengths)

    def __iter__(self) -> Iterator[list[Batch | CriticBatch]]:
        for step in range(self.first_step(), total_steps(self.config)):
            levels = active_levels(self.config, step)
            if levels:
                yield [
                    draw(self.store, self.config, k, self.lengths[k], step, self.sight, self.every[k])
                    for k, _ in levels
                ]
            else:
                yield [draw_critic(self.store, self.config, step, self.sight)]


class TrajectoryData(L.LightningDataModule):
    """Whole batches from a trajectory store; see `Batches`."""

    def __init__(
        self,
        store: TrajectoryStore,
        config: RunConfig,
        lengths: list[int],
        sight: Sight | None = None,
        every: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.store, self.config, self.lengths, self.sight, self.every = store, config, lengths, sight, every

    def train_dataloader(self) -> DataLoader[list[Batch | CriticBatch]]:
        def first_step() -> int:
            return 0 if self.trainer is None else self.trainer.global_step

        # Loading is far faster than a training step: no worker processes.
        batches = Batches(self.store, self.config, self.lengths, first_step, self.sight, self.every)
        return DataLoader(batches, batch_size=None)

    def transfer_batch_to_device(
        self, batch: list[Batch | CriticBatch], device: torch.device, dataloader_idx: int
    ) -> list[Batch | CriticBatch]:
        return [part.to(device) for part in batch]

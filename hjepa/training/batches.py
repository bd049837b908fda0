"""Training batches: windows of a trajectory store, each a function of seed and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from hjepa.model.form import PLAIN, Form
from hjepa.model.stack import Stack
from hjepa.settings import RunConfig
from hjepa.tensors import as_tensor
from hjepa.training.latents import LatentTable
from hjepa.training.sources import Source


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process gets that trains with others: its number, from 0, and how many they are."""

    number: int = 0
    count: int = 1

    def of(self, plans: int) -> slice:
        """Its floor plans, of so many."""
        each = plans // self.count
        return slice(self.number * each, (self.number + 1) * each)


ALL = Share()


@dataclass(frozen=True)
class Batch:
    """Windows for one level.

    Attributes:
        level: from 0.
        grid: what memories are written from: a picture (P, ...) of each layout, or of each window (P * n, ...), or told
            floor plans (P, W, H, 3).
        agent: (P, n, F, ...) observations in the form that ``form`` says, or all L told agents.
        action: (P, n, L - 1) integers, or (P, n, L - 1, A) numbers.
        state: (P, n, F', A) what a simulator knows at the level's own moments, for probes alone; None: nothing.
        form: how observations are given.
    """

    level: int
    grid: Tensor
    agent: Tensor
    action: Tensor
    state: Tensor | None = None
    form: Form = PLAIN

    def to(self, device: torch.device) -> Batch:
        state = None if self.state is None else self.state.to(device)
        grid, agent, action = (part.to(device) for part in (self.grid, self.agent, self.action))
        return Batch(self.level, grid, agent, action, state, self.form)


PIECES = 32
"""Most pieces that are drawn in the place of one long trajectory: every piece reads an observation of its own."""


@dataclass(frozen=True)
class CriticBatch:
    """Whole trajectories for the critics.

    Attributes:
        grid: (P, W, H, 3) floor plans.
        agent: (P, n, L, A) agent vectors.
        goal: number (P,) of a trajectory, and (P,) of a moment in it.
        form: how the agents are given.
    """

    grid: Tensor
    agent: Tensor
    goal: tuple[Tensor, Tensor]
    form: Form = PLAIN

    def to(self, device: torch.device) -> CriticBatch:
        trajectory, moment = self.goal
        goal = trajectory.to(device), moment.to(device)
        return CriticBatch(self.grid.to(device), self.agent.to(device), goal, self.form)


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
    source: Source,
    config: RunConfig,
    level: int,
    length: int,
    step: int,
    told: bool = True,
    every: int = 1,
    table: LatentTable | None = None,
    share: Share = ALL,
) -> Batch:
    """The batch of one level at one step.

    Args:
        source: of windows.
        config: of the run.
        level: from 0.
        length: observations in a window.
        step: of training.
        told: whether the level is told; its memory is written from the first row of each layout's windows,
            which changes nothing, and of one that sees from any, or with `MemorySettings.own` of every window from its
            own first row.
        every: steps between two observations.
        table: level 1's latents, where they do not change any more.
        share: of the batch that is wanted; what is drawn is the same for all.
    """
    train, rng = config.train, _generator(config, step, level)
    plans, each = train.plans, train.batch // (config.levels[level].rollout * train.plans)
    pieces = source.pieces(rng, each * plans, length, plans)
    action = as_tensor(pieces.action).view(plans, each, length - 1, *pieces.action.shape[2:])
    moments = pieces.rows[:, ::every].reshape(plans, each, -1)
    mine, whole = share.of(plans), moments
    moments, action = moments[mine], action[mine]
    if told:
        grid, agent = source.layout(moments[:, 0, 0]), as_tensor(source.show(moments))
        return Batch(level, torch.from_numpy(grid), agent, action)
    memory = config.levels[level].memory
    if memory is not None and memory.own:
        context = moments[:, :, 0].reshape(-1)
    else:
        layout = np.arange(plans)
        context = whole[layout, rng.integers(0, each, plans), rng.integers(0, whole.shape[2], plans)][mine]
    state = source.state(pieces.rows[:, :: config.spans[level]].reshape(plans, each, -1)[mine])
    return Batch(
        level,
        torch.from_numpy(source.layout(context)),
        torch.from_numpy(source.show(moments)) if table is None else table.look_up(moments),
        action,
        None if state is None else as_tensor(state),
        Form(every, table is not None),
    )


def _generator(config: RunConfig, step: int, stream: int) -> np.random.Generator:
    """What a batch is drawn with: a function of seed, step and what it is for."""
    return np.random.Generator(np.random.Philox(key=[config.train.seed, (step << 8) | stream]))


def draw_critic(
    source: Source, config: RunConfig, step: int, table: LatentTable | None = None, share: Share = ALL
) -> CriticBatch:
    """The batch of the critics at one step: pieces as `CriticSettings.clip` says, and a moment of one as the goal."""
    settings = config.critic
    assert settings is not None
    rng = _generator(config, step, 255)
    length, plans = min(source.clip, settings.clip or source.clip), settings.plans
    each = settings.trajectories * min(source.clip // length, PIECES)
    pieces = source.pieces(rng, plans * each, length, plans)
    moment, mine = rng.integers(length // 4, length, plans), share.of(plans)
    goal = torch.from_numpy(rng.integers(0, each, plans)[mine]), torch.from_numpy(moment[mine])
    moments = pieces.rows.reshape(plans, each, length)[mine]
    grid = torch.from_numpy(source.layout(moments[:, 0, 0]))
    if table is None:
        return CriticBatch(grid, as_tensor(source.show(moments)), goal)
    return CriticBatch(grid, table.look_up(moments), goal, Form(encoded=True))


class Batches(IterableDataset[list[Batch | CriticBatch]]):
    """Endless batches; where iteration begins is asked for when it begins, so that a resumed run goes on.

    Args:
        source: of windows.
        config: run.
        lengths: observations in a window, per level.
        first_step: tells the step to begin with.
        stack: in training, if it sees; None: it is told.
        share: of every batch.
        progress: whether to show how far the first look at all observations is.
    """

    def __init__(
        self,
        source: Source,
        config: RunConfig,
        lengths: list[int],
        first_step: Callable[[], int],
        stack: Stack | None = None,
        share: Share = ALL,
        progress: bool = False,
    ) -> None:
        self.source, self.config, self.lengths, self.first_step = source, config, lengths, first_step
        self.stack, self.share = stack, share
        self.table = None if stack is None or not stack.sees else LatentTable(stack, source, progress)

    def __iter__(self) -> Iterator[list[Batch | CriticBatch]]:
        for step in range(self.first_step(), total_steps(self.config)):
            levels = active_levels(self.config, step)
            if levels:
                yield [self._draw(k, step) for k, _ in levels]
            else:
                yield [draw_critic(self.source, self.config, step, self.table, self.share)]

    def _draw(self, k: int, step: int) -> Batch:
        length, stack = self.lengths[k], self.stack
        if stack is None or not stack.sees:
            return draw(self.source, self.config, k, length, step, share=self.share)
        train = self.config.train
        settled = train.keep_encoder or (k and train.schedule == "sequential")
        table = self.table if settled else None
        return draw(self.source, self.config, k, length, step, False, stack.every(k), table, self.share)


class TrajectoryData(L.LightningDataModule):
    """Whole batches from a trajectory store; see `Batches`."""

    def __init__(
        self,
        source: Source,
        config: RunConfig,
        lengths: list[int],
        stack: Stack | None = None,
        progress: bool = False,
    ) -> None:
        super().__init__()
        self.source, self.config, self.lengths, self.stack = source, config, lengths, stack
        self.progress = progress

    def train_dataloader(self) -> DataLoader[list[Batch | CriticBatch]]:
        def first_step() -> int:
            return 0 if self.trainer is None else self.trainer.global_step

        share = ALL if self.trainer is None else Share(self.trainer.global_rank, self.trainer.world_size)
        # Loading is far faster than a training step: no worker processes.
        progress = self.progress and share == ALL
        batches = Batches(self.source, self.config, self.lengths, first_step, self.stack, share, progress)
        return DataLoader(batches, batch_size=None)

    def transfer_batch_to_device(
        self, batch: list[Batch | CriticBatch], device: torch.device, dataloader_idx: int
    ) -> list[Batch | CriticBatch]:
        return [part.to(device) for part in batch]

"""Training steps of a stack that sees, through Lightning, beside the same mathematics in a bare loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from hjepa.bench.row import Options, Row, row
from hjepa.config import load_preset
from hjepa.settings import RunConfig
from hjepa.training.batches import Batches, CriticBatch, total_steps
from hjepa.training.fit import make_stack, standardise
from hjepa.training.module import TrainStack
from hjepa.training.sources import Source, open_source
from hjepa.training.trainer import run_trainer
from levels.settings import World
from tasks import collect

FLOOR = 0.95
STEPS, FIRST = 40, 4
"""Steps of each measurement, and how many are not counted: what is done only once is not a step's."""


class _Watch(Callback):
    """Processor time between two steps."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.begun = self.ended = 0.0

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, number: int) -> None:
        if number == self.first:
            self.begun = time.process_time()

    def on_train_end(self, trainer: Any, module: Any) -> None:
        self.ended = time.process_time()


def rows(options: Options) -> Iterator[Row]:
    """Each level of `nested-d2`, three levels from symbols."""
    steps = options.amount(STEPS, FIRST + 2)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "store"
        for k in range(3):
            config = _of_level(k, steps, options)
            if not data.exists():
                asked = config.collect
                collect(config.task, data, asked.plans, asked.episodes_per_plan, asked.length, asked.seed)
            source, world = open_source(data, config)
            pairs = [
                (_with_lightning(config, source, world), _bare(config, source, world))
                for _ in range(options.repeats)
            ]
            yield row(
                f"training steps of level {k + 1} of nested-d2",
                "the same losses, batches and optimiser in a bare loop",
                "steps/s",
                [((steps - FIRST) / own, (steps - FIRST) / other) for own, other in pairs],
                FLOOR,
                "hjepa bench training",
                rates=True,
            )


def _of_level(k: int, steps: int, options: Options) -> RunConfig:
    """A run that trains one level alone, on a small store."""
    each = [steps if level == k else 0 for level in range(3)]
    small = [f"collect.plans={options.amount(60, 16)}", f"train.steps={each}", "train.log_every=1000000"]
    if options.scale < 1:
        small.append("train.batch=256")
    return load_preset("nested-d2", [*small, "critic.steps=1"])


def _module(config: RunConfig, source: Source, world: World) -> TrainStack:
    torch.manual_seed(config.train.seed)
    stack = make_stack(config, world)
    standardise(stack, source)
    return TrainStack(stack, config)


def _batches(module: TrainStack, source: Source) -> Batches:
    stack = module.stack
    lengths = [stack.window_length(k) for k in range(stack.depth)]
    return Batches(source, module.config, lengths, lambda: 0, stack)


@torch.random.fork_rng(devices=[])
def _with_lightning(config: RunConfig, source: Source, world: World) -> float:
    """Seconds of processor time of the steps that count."""
    module, watch = _module(config, source, world), _Watch(FIRST)
    loader = torch.utils.data.DataLoader(_batches(module, source), batch_size=None)
    steps = total_steps(config) - 1
    run_trainer(
        module,
        "cpu",
        steps,
        None,
        [watch],
        {"gradient_clip_val": config.train.clip},
        train_dataloaders=loader,
    )
    return watch.ended - watch.begun


@torch.random.fork_rng(devices=[])
def _bare(config: RunConfig, source: Source, world: World) -> float:
    """The same without Lightning."""
    module = _module(config, source, world)
    made = module.configure_optimizers()
    optimiser, schedule = made["optimizer"], made["lr_scheduler"]["scheduler"]
    begun = 0.0
    for number, batch in enumerate(_batches(module, source)):
        if number == FIRST:
            begun = time.process_time()
        part = batch[0]
        if isinstance(part, CriticBatch):
            break
        torch.manual_seed(config.train.seed * 1_000_003 + number)
        memories = module.stack.write(part.grid)
        loss, _ = module.stack.loss(
            part.level, part.agent, part.action, memories, number / max(config.train.steps), state=part.state,
            form=part.form,
        )  # fmt: skip
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.train.clip)
        optimiser.step()
        schedule.step()
    return time.process_time() - begun

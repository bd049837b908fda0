"""Windows of pictures on their way into the model, beside reading the same rows of the file and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hjepa.bench.row import Options, Row, clock_of, row, timed
from hjepa.config import load_preset
from hjepa.sweeps.sweep import collect_store
from hjepa.training.batches import draw
from hjepa.training.sources import open_source

FLOOR = 0.8
BATCHES = 60
EPISODES = 300


def rows(options: Options) -> Iterator[Row]:
    """Batches of level 1 of `two-room`, as they are drawn in training."""
    plans = options.amount(EPISODES, 20)
    config = load_preset("two-room", [f"collect.plans={plans}"])
    clock = clock_of(options.device)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        collect_store(config, store)
        source, _ = open_source(store, config)
        level = config.levels[0]
        length = level.rollout + 1
        steps = range(options.amount(BATCHES, 4))
        shape = draw(source, config, 0, length, 0, False).agent.shape[:3]
        wanted = np.random.default_rng(0).integers(0, source.observations, (len(steps), *shape))

        def ours() -> None:
            for step in steps:
                draw(source, config, 0, length, step, False)

        def theirs() -> None:
            for some in wanted:
                source.show(some)

        ours()
        pairs = [(timed(clock, ours)[0], timed(clock, theirs)[0]) for _ in range(options.repeats)]
    windows = len(steps) * shape[0] * shape[1]
    rates = [(windows / own, windows / other) for own, other in pairs]
    yield row(
        f"windows of {length} images of 64 x 64, drawn for a batch",
        "as many images gathered from the file",
        "windows/s",
        rates,
        FLOOR,
        "hjepa bench windows",
        rates=True,
    )

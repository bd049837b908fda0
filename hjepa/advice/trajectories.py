"""Where the trajectories come from that a run is measured on: given ones, or some collected for its own task."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hjepa.errors import InputError
from hjepa.model.stack import Stack
from hjepa.model.worlds import world_played_in
from hjepa.settings import ANY
from hjepa.training.sources import Source, open_source
from tasks import collect, collect_world, open_world, task_spec

LAYOUTS = 4
"""That are measured on, where the world has so many."""

EACH = 64
"""Trajectories on each."""

LONGEST = 256
"""Observations in a trajectory that is collected, at most."""


@contextmanager
def trajectories(
    stack: Stack, described: dict[str, Any], data: str | os.PathLike[str] | None, seed: int
) -> Iterator[Source]:
    """A store of them, which is gone afterwards if it was collected here.

    Args:
        stack: that is measured.
        described: its ``model.json``.
        data: a store; None: collect on validation layouts of the task that the stack was trained for.
        seed: of what is collected.

    Raises:
        InputError: a stack whose own task nobody knows, or data that do not fit.
        StoreError: data that cannot be read.
    """
    if data is not None:
        source, world = open_source(data, stack.config)
        if world != stack.world:
            raise InputError(
                f"holds a world of {world.size} and {world.actions} actions, the run knows {stack.world.size} and"
                f" {stack.world.actions}",
                str(data),
                "give data like those that the run was trained on",
            )
        yield source
        return
    with TemporaryDirectory(prefix="hjepa-advise-") as folder:
        _collect(stack, described, Path(folder) / "data", seed)
        yield open_source(Path(folder) / "data", stack.config)[0]


def _collect(stack: Stack, described: dict[str, Any], out: Path, seed: int) -> None:
    config = stack.config
    needed = max(span * level.rollout for span, level in zip(config.spans, config.levels)) + 1
    if "played" in described:
        try:
            spec, _, _ = world_played_in(described["played"])
            length = min(max(needed, LONGEST // 2), spec.step_budget + 1)
            world = open_world(spec)
            policy = "random" if getattr(world, "explorer", None) is None else "explorer"
            collect_world(
                world, out, policy, episodes=LAYOUTS * EACH, length=length, seed=seed, split="validation",
                layouts=LAYOUTS,
            )  # fmt: skip
            world.close()
        except ValueError as error:
            raise InputError(str(error), "advise", "give --data DIR") from error
        return
    task = described.get("task", config.task)
    if task == ANY or not isinstance(task, str):
        raise InputError("the run does not say what task it was trained for", "advise", "give --data DIR")
    try:
        plans = LAYOUTS if task_spec(task).fixed_plan is None else 1
        length = min(max(needed, config.collect.length), max(LONGEST, needed))
        collect(
            task, out, plans, EACH * LAYOUTS // plans, length, seed, "validation", config.collect.explorer
        )
    except ValueError as error:
        raise InputError(str(error), "advise", "give --data DIR") from error

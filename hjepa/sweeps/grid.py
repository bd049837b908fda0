"""Grids: which cells an ablation has, from a preset's ``ablate`` section and the command line.

A preset may say what it is meant to be swept over; `hjepa fit` and the others ignore that section:

    ablate:
      levels: [1, 2, 3]
      depth: [trained]
      train_seeds: [0, 1]
      overrides: {plan.iterations: [2, 4]}
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hjepa.builder import build
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import DEPTHS, LARGEST_SEED
from hjepa.places import plain_name
from hjepa.settings import SEEDS
from hjepa.sweeps.cell import (
    Spec,
    canonical_overrides,
    cell_key,
    check_episodes,
    plan_request,
    resolved_config,
    yaml_line,
)
from levels.ranges import ranged


@dataclass(frozen=True)
class Grid:
    """The values that are combined, each with each.

    Attributes:
        levels: numbers of levels; None: 1 to the preset's.
        depth: of `hjepa.evaluation.plan_request.DEPTHS`.
        train_seeds: seeds of data order and initial weights.
        task: tasks evaluated on; None: the preset's.
        metric, planner: of planning; None: the preset's.
        budget_tflops: compute per episode in TFLOP; None: the task's.
        overrides: configuration key -> its values, each YAML on one line.
        split, tasks, seed, episodes: the evaluation episodes, the same for all; tasks None: each task's first kind.
    """

    levels: tuple[int, ...] | None = ranged(None, 1, 32)
    depth: tuple[str, ...] = DEPTHS
    train_seeds: tuple[int, ...] = ranged((0,), 0, SEEDS, entries=(1, 1000))
    task: tuple[str, ...] | None = None
    metric: tuple[str, ...] | None = None
    planner: tuple[str, ...] | None = None
    budget_tflops: tuple[float, ...] | None = ranged(None, 0, 1e6, above=True)
    overrides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: str = "test"
    tasks: str | None = None
    seed: int = ranged(0, 0, LARGEST_SEED)
    episodes: int = ranged(200, 1, 1_000_000)


def read_grid(preset: str, **given: Any) -> Grid:
    """The grid of a preset's ``ablate`` section, or the default one, with values replaced.

    Args:
        preset: name or file.
        given: fields of `Grid`; None leaves the preset's. Keys of ``overrides`` are added to the preset's.

    Raises:
        InputError: unknown preset, or a section that cannot be read.
    """
    from hjepa.config import read_preset

    content, path = read_preset(preset)
    section = content.get("ablate", {}) if isinstance(content, dict) else {}
    where = f"{path}, ablate"
    if not isinstance(section, dict):
        raise InputError(
            f"{section!r} is no section", where, f"give {', '.join(f.name for f in fields(Grid))}"
        )
    swept = section.get("overrides", {})
    if not isinstance(swept, dict):
        raise InputError(f"overrides is {swept!r}", where, "give key: [values]")
    lists = {
        key: [yaml_line(value) for value in (values if isinstance(values, list) else [values])]
        for key, values in swept.items()
    }
    lists |= {key: list(values) for key, values in (given.pop("overrides", None) or {}).items()}
    values = {name: value for name, value in section.items() if name != "overrides"}
    for name, value in values.items():
        # One value may stand without brackets, as on the command line.
        if name not in ("split", "tasks", "seed", "episodes") and not isinstance(value, (list, type(None))):
            values[name] = [value]
    values |= {name: list(v) if isinstance(v, tuple) else v for name, v in given.items() if v is not None}
    grid: Grid = build(Grid, values | {"overrides": lists}, where)
    return grid


def expand(preset: str, grid: Grid | None = None) -> list[Spec]:
    """Every combination as a complete specification, in a fixed order and each once.

    With as many levels as the preset has, truncated and trained are one and the same stack, called trained.
    What cannot work is refused here, before any cell runs.

    Args:
        preset: name or file.
        grid: the values to combine; None: as the preset says.

    Raises:
        InputError: more levels than the preset has, an unknown depth, or a configuration that cannot work.
    """
    from hjepa.config import load_preset, to_plain

    grid = grid or read_grid(preset)
    for depth in grid.depth:
        if depth not in DEPTHS:
            raise InputError(f"depth {depth!r}", "ablate", f"choose from {', '.join(DEPTHS)}")
    base = to_plain(load_preset(preset))
    weights = named_weights(preset)
    if weights is not None:
        check_kept(grid, base["train"]["seed"], weights["name"])
    specs: dict[str, Spec] = {}
    choices = [[f"{key}={value}" for value in values] for key, values in grid.overrides.items()]
    for chosen in itertools.product(*choices):
        overrides = canonical_overrides(chosen)
        config = load_preset(preset, overrides)
        deepest = len(config.levels)
        for task, count, depth, train_seed, metric, planner, budget in itertools.product(
            grid.task or (config.task,),
            grid.levels or range(1, deepest + 1),
            grid.depth,
            grid.train_seeds,
            grid.metric or (None,),
            grid.planner or (None,),
            grid.budget_tflops or (None,),
        ):
            if not 1 <= count <= deepest:
                raise InputError(
                    f"{count} levels", f"preset {preset}", f"choose from 1 to its {deepest} levels"
                )
            spec = {
                "preset": Path(plain_name(preset)).stem,
                "config": base,
                "overrides": overrides,
                "task": task,
                "split": grid.split,
                "tasks": grid.tasks or first_kind(task),
                "seed": grid.seed,
                "episodes": grid.episodes,
                "levels": count,
                "depth": "trained" if count == deepest else depth,
                "train_seed": train_seed,
                "metric": metric,
                "planner": planner,
                "budget_tflops": budget,
                **({} if weights is None else {"weights": weights}),
            }
            check_spec(spec)
            specs.setdefault(cell_key(spec), spec)
    names = ("task", "split", "tasks", "episodes", "seed")
    for drawn in dict.fromkeys(tuple(spec[name] for name in names) for spec in specs.values()):
        check_episodes(*drawn)
    return list(specs.values())


def named_weights(preset: str) -> dict[str, str] | None:
    """Name and SHA-256 of the weights that a preset plans with as they are; None: it trains.

    Raises:
        InputError: no such weights.
    """
    from hjepa.config import read_preset
    from hjepa.model.checkpoints import describe

    content, _ = read_preset(preset)
    name = content.get("weights") if isinstance(content, dict) else None
    return None if name is None else {"name": name, "sha256": describe(name)["sha256"]}


def check_kept(grid: Grid, seed: int, weights: str) -> None:
    """Raise InputError for values that ask for a training where weights are planned with as they are."""
    where = f"ablate with weights {weights}, where nothing is trained"
    if grid.depth != ("truncated",):
        raise InputError(f"depth {', '.join(grid.depth)}", where, "give --depth truncated")
    if set(grid.train_seeds) != {seed}:
        raise InputError(f"train_seeds {', '.join(map(str, grid.train_seeds))}", where, f"leave {seed}")
    for key in grid.overrides:
        if not key.startswith("plan."):
            raise InputError(f"{key}", where, "set keys that begin with plan., or take a preset that trains")


def first_kind(task: str) -> str:
    """How a task's episodes are drawn unless said otherwise.

    Raises:
        InputError: an unknown task.
    """
    from tasks import task_spec

    try:
        return task_spec(task).kinds[0]
    except ValueError as error:
        raise InputError(str(error), "ablate") from error


def check_spec(spec: Spec) -> None:
    """Raise InputError for a cell that would fail, as far as that can be told before training."""
    named = [f"plan.{name}={spec[name]}" for name in ("metric", "planner") if spec[name] is not None]
    config = resolved_config(spec, [*spec["overrides"], *named])
    plan_request(spec, "")
    if spec["task"] != config.task:
        check_task(spec["task"], config.task)


def check_task(task: str, trained: str) -> None:
    """Raise InputError when a stack trained on ``trained`` cannot see or move in ``task``."""
    from tasks import task_spec

    try:
        here, there = task_spec(task), task_spec(trained)
    except ValueError as error:
        raise InputError(str(error), "ablate") from error
    if (here.width, here.height, here.actions) != (there.width, there.height, there.actions):
        raise InputError(
            f"{task} has {here.width}x{here.height} grids, {trained} has {there.width}x{there.height}",
            "ablate",
            f"choose another --task, or train on it with --set task={task}",
        )

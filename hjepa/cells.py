"""Cells of an ablation: what one is, its name, and how a grid of them is written down.

A cell is one evaluation of one trained stack. Its specification is a plain dictionary:

| field | meaning |
|---|---|
| `preset` | name or file of the configuration |
| `overrides` | `key=value` on top of it, sorted by key; keys below ``plan.`` concern planning alone |
| `config_sha256` | of the resolved configuration, so that an edited preset makes a new cell |
| `task, split, tasks, seed, episodes` | the evaluation episodes |
| `levels, depth` | levels planned with; `truncated` from the preset's stack or `trained` with that many |
| `train_seed` | seed of data order and initial weights |
| `metric, planner, budget_tflops` | of planning; null: the default of the checkpoint or the task |

The name of a cell is the SHA-256 of its specification alone, written as canonical JSON.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hjepa.errors import InputError
from hjepa.json_files import plain
from hjepa.requests import DEPTHS

Spec = dict[str, Any]

FIELDS = (
    "preset",
    "overrides",
    "config_sha256",
    "task",
    "split",
    "tasks",
    "seed",
    "episodes",
    "levels",
    "depth",
    "train_seed",
    "metric",
    "planner",
    "budget_tflops",
)

PLANNING = "plan."
"""Prefix of the configuration keys that change planning and leave the weights alone."""


def digest(content: Any) -> str:
    """SHA-256, in hexadecimal, of the content as canonical JSON: sorted keys, no white space, no NaN."""
    text = json.dumps(
        plain(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def cell_key(spec: Mapping[str, Any]) -> str:
    """The name of the cell.

    Raises:
        InputError: fields are missing or unknown.
    """
    odd = sorted(set(FIELDS).symmetric_difference(spec))
    if odd:
        raise InputError(
            f"{', '.join(odd)} missing or unknown", "cell specification", f"give {', '.join(FIELDS)}"
        )
    return digest(spec)


def canonical_overrides(overrides: Sequence[str]) -> list[str]:
    """Overrides sorted by key; of several for one key, the last counts.

    Raises:
        InputError: one does not read key=value.
    """
    values: dict[str, str] = {}
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise InputError(f"{override!r} does not read key=value", "overrides", "write key=value")
        values[key.strip()] = value.strip()
    return [f"{key}={value}" for key, value in sorted(values.items())]


def training_overrides(spec: Mapping[str, Any]) -> list[str]:
    """The overrides that the weights depend on, the training seed among them."""
    kept = [override for override in spec["overrides"] if not override.startswith(PLANNING)]
    return canonical_overrides([*kept, f"train.seed={spec['train_seed']}"])


def training_config(spec: Mapping[str, Any]) -> Any:
    """The configuration a cell's stack is trained with; equal ones share their weights.

    Overrides of planning are left out: they are applied when planning.
    """
    from hjepa.config import load_preset, with_levels

    config = load_preset(spec["preset"], training_overrides(spec))
    return with_levels(config, spec["levels"]) if spec["depth"] == "trained" else config


def planning_overrides(spec: Mapping[str, Any]) -> list[str]:
    """What planning needs on top of the configuration that the cell's stack is trained with.

    The values are resolved for the cell's number of levels: ``plan.horizon=[6,4]`` becomes
    ``plan.horizon=[6]`` for a stack that is trained with one level.
    """
    import yaml

    from hjepa.config import load_preset, with_levels

    wanted = load_preset(spec["preset"], spec["overrides"])
    if spec["depth"] == "trained":
        wanted = with_levels(wanted, spec["levels"])
    trained = asdict(training_config(spec).plan)
    changed = {name: value for name, value in asdict(wanted.plan).items() if value != trained[name]}
    # A list's YAML without its brackets: the one form in which any value fits on a line.
    lines = {
        name: yaml.safe_dump([plain(value)], default_flow_style=True).split()
        for name, value in changed.items()
    }
    return [f"{PLANNING}{name}={' '.join(words)[1:-1]}" for name, words in lines.items()]


def training_group(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """Equal only for cells that share their weights; told without resolving the configuration."""
    levels = spec["levels"] if spec["depth"] == "trained" else None
    return (spec["preset"], *training_overrides(spec), levels)


def expand(
    preset: str,
    *,
    overrides: Mapping[str, Sequence[str]] | None = None,
    levels: Sequence[int] | None = None,
    depths: Sequence[str] = DEPTHS,
    train_seeds: Sequence[int] = (0,),
    metrics: Sequence[str | None] = (None,),
    planners: Sequence[str | None] = (None,),
    budgets: Sequence[float | None] = (None,),
    task: str | None = None,
    split: str = "test",
    tasks: str = "far",
    seed: int = 0,
    episodes: int = 200,
) -> list[Spec]:
    """Every combination as a complete specification, in a fixed order and each once.

    With as many levels as the preset has, truncated and trained are one and the same stack, called trained.

    Args:
        preset: name or file.
        overrides: configuration key -> the values to try.
        levels: numbers of levels; None: 1 to the preset's.
        depths: of `hjepa.requests.DEPTHS`.
        train_seeds, metrics, planners, budgets: the values to try; None: the default.
        task: evaluated on; None: the preset's.
        split, tasks, seed, episodes: the evaluation episodes.

    Raises:
        InputError: more levels than the preset has, an unknown depth, or a configuration that cannot work.
    """
    from hjepa.config import load_preset

    for depth in depths:
        if depth not in DEPTHS:
            raise InputError(f"depth {depth!r}", "ablate", f"choose from {', '.join(DEPTHS)}")
    specs: dict[str, Spec] = {}
    choices = [[f"{key}={value}" for value in values] for key, values in (overrides or {}).items()]
    for chosen in itertools.product(*choices):
        chosen_overrides = canonical_overrides(chosen)
        config = load_preset(preset, chosen_overrides)
        config_sha256 = digest(asdict(config))
        deepest = len(config.levels)
        for count, depth, train_seed, metric, planner, budget in itertools.product(
            levels or range(1, deepest + 1), depths, train_seeds, metrics, planners, budgets
        ):
            if not 1 <= count <= deepest:
                raise InputError(
                    f"{count} levels", f"preset {preset}", f"choose from 1 to its {deepest} levels"
                )
            spec = {
                "preset": preset,
                "overrides": chosen_overrides,
                "config_sha256": config_sha256,
                "task": task or config.task,
                "split": split,
                "tasks": tasks,
                "seed": seed,
                "episodes": episodes,
                "levels": count,
                "depth": "trained" if count == deepest else depth,
                "train_seed": train_seed,
                "metric": metric,
                "planner": planner,
                "budget_tflops": budget,
            }
            specs.setdefault(cell_key(spec), spec)
    return list(specs.values())

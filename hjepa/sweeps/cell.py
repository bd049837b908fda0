"""Cells of an ablation: what one is, its name, and the configurations it stands for.

A cell is one evaluation of one trained stack. Its specification is a plain dictionary:

| field | meaning |
|---|---|
| `preset` | name of the configuration |
| `config` | the configuration itself, resolved: a cell needs no file, and an edited preset makes new cells |
| `overrides` | `key=value` on top of it, sorted by key; keys below ``plan.`` concern planning alone |
| `task, split, tasks, seed, episodes` | the evaluation episodes |
| `levels, depth` | levels planned with; `truncated` from the preset's stack or `trained` with that many |
| `train_seed` | seed of data order and initial weights |
| `metric, planner, budget_tflops` | of planning; null: the default of the checkpoint or the task |
| `weights` | only where nothing is trained: `name` of the weights that are planned with, and their `sha256` |

The name of a cell is the SHA-256 of its specification alone, written as canonical JSON. `hjepa.sweeps.grid` makes
the specifications of a whole ablation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.json_files import plain

if TYPE_CHECKING:
    from hjepa.settings import RunConfig

Spec = dict[str, Any]

FIELDS = (
    "preset",
    "config",
    "overrides",
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
    odd = sorted(set(FIELDS).symmetric_difference(set(spec) - {"weights"}))
    if odd:
        raise InputError(
            f"{', '.join(odd)} missing or unknown", "cell specification", f"give {', '.join(FIELDS)}"
        )
    return digest(spec)


def check_episodes(task: str, split: str, tasks: str | None, episodes: int, seed: int) -> None:
    """Draw the evaluation episodes, so that what is wrong with them is known before any work.

    Raises:
        InputError: a kind of episodes that the task has not, too few layouts, or a layout that is not supported.
    """
    from tasks import sample_episodes

    try:
        sample_episodes(task, split, tasks, episodes=episodes, seed=seed)
    except ValueError as error:
        raise InputError(str(error), f"episodes of {task}") from error


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
    return canonical_overrides([*_not_planning(spec), f"train.seed={spec['train_seed']}"])


def resolved_config(spec: Mapping[str, Any], overrides: Sequence[str]) -> RunConfig:
    """The cell's configuration with ``overrides``, cut to the levels that its stack is trained with.

    Raises:
        InputError: an override that cannot work.
    """
    from hjepa.checks import check
    from hjepa.config import with_levels

    config = _parsed(spec["preset"], json.dumps(spec["config"]), tuple(overrides))
    if spec["depth"] == "trained":
        config = with_levels(config, spec["levels"])
        check(config, f"preset {spec['preset']} with {spec['levels']} levels")
    return config


@lru_cache(maxsize=1024)
def _parsed(preset: str, content: str, overrides: tuple[str, ...]) -> RunConfig:
    # Kept: a tenth of a second each, and the cells of a grid have few different ones.
    from hjepa.config import override, parse_config
    from hjepa.own_code import allow, named_in

    whole = override(json.loads(content), overrides)
    allow(named_in(whole))  # a cell is what its preset made it
    return parse_config(whole, f"preset {preset}")


def training_config(spec: Mapping[str, Any]) -> RunConfig:
    """The configuration a cell's stack is trained with; equal ones share their weights.

    Overrides of planning are left out: they are applied when planning.
    """
    return resolved_config(spec, training_overrides(spec))


def planning_overrides(spec: Mapping[str, Any]) -> list[str]:
    """What planning needs on top of the configuration that the cell's stack is trained with.

    The values are resolved for the cell's number of levels: ``plan.horizon=[6,4]`` becomes
    ``plan.horizon=[6]`` for a stack that is trained with one level.
    """
    wanted = asdict(resolved_config(spec, spec["overrides"]).plan)
    trained = asdict(resolved_config(spec, _not_planning(spec)).plan)
    return [
        f"{PLANNING}{name}={yaml_line(value)}" for name, value in wanted.items() if value != trained[name]
    ]


def plan_request(spec: Mapping[str, Any], checkpoint: str, progress: Path | None = None) -> PlanRequest:
    """What the cell asks of `hjepa.sweeps.plan_cells.plan_command`.

    Args:
        spec: of the cell.
        checkpoint: the run folder of its stack.
        progress: where unfinished planning is kept.

    Raises:
        InputError: a value that cannot work.
    """
    return PlanRequest(
        checkpoint=checkpoint,
        task=spec["task"],
        levels=(spec["levels"],),
        episodes=spec["episodes"],
        seed=(spec["seed"],),
        split=spec["split"],
        tasks=spec["tasks"],
        metric=None if spec["metric"] is None else (spec["metric"],),
        planner=None if spec["planner"] is None else (spec["planner"],),
        budget_tflops=None if spec["budget_tflops"] is None else (spec["budget_tflops"],),
        overrides=planning_overrides(spec),
        progress=progress,
    )


def training_group(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """Equal only for cells that share their weights; told without resolving the configuration."""
    levels = spec["levels"] if spec["depth"] == "trained" else None
    weights = (spec.get("weights") or {}).get("sha256")
    return (spec["preset"], digest(spec["config"]), *training_overrides(spec), levels, weights)


def _not_planning(spec: Mapping[str, Any]) -> list[str]:
    # A stack without a critic has to be given another metric before it can be trained.
    kept = "plan.metric=" if "critic=null" in spec["overrides"] else "train."
    return [text for text in spec["overrides"] if text.startswith(kept) or not text.startswith(PLANNING)]


def yaml_line(value: Any) -> str:
    """A value as YAML on one line, as ``--set key=value`` reads it."""
    import yaml

    # A list's YAML without its brackets: the one form in which any value fits on a line.
    return " ".join(yaml.safe_dump([plain(value)], default_flow_style=True).split())[1:-1]

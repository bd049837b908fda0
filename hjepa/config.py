"""The configuration of a run, read from presets and command lines. No torch.

A preset is a YAML file with the fields of `hjepa.settings.RunConfig`; ``load_preset("demo",
["train.steps=[100,100,100]"])`` reads one and replaces values. What cannot work is refused here, before any work is
done.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import yaml

from hjepa.builder import build, build_field, nearest
from hjepa.checks import check
from hjepa.errors import InputError
from hjepa.json_files import read_object
from hjepa.own_code import allow, named_in
from hjepa.places import plain_name, shipped_or_here
from hjepa.settings import PlanSettings, RunConfig, WalkSettings
from hjepa.yaml_files import parse_yaml, read_yaml
from levels.metrics_names import METRICS
from levels.ranges import shown
from levels.registry import module_of

PER_METRIC = ("flat", "deep")
"""Settings of planning that hold values per metric."""

PRESETS = Path(__file__).parent / "presets"

DEEPEST = 8
"""Parts of a key in an override."""


def load_preset(name: str, overrides: Sequence[str] = ()) -> RunConfig:
    """A preset by name or file, with values replaced.

    Args:
        name: of a file in ``hjepa/presets``, or in its folder ``methods``, or a path to a YAML file; see
            `hjepa.places.shipped_or_here`.
        overrides: ``"key.below=value"``; list entries by number, as ``levels.1.stride=4``. A value of planning
            replaces those of `PlanSettings.flat` and `PlanSettings.deep` as well.

    Raises:
        InputError: unknown preset or key, a value of the wrong type, or a configuration that cannot work.
    """
    content, path = read_preset(name)
    if isinstance(content, dict):
        content.pop("ablate", None)  # what hjepa.sweeps.grid reads
        if "weights" in content:
            content = {**weights_config(content.pop("weights"), str(path)), **content}
    content = override(content, overrides)
    allow(named_in(content))  # a person named the preset, and so what it names
    return parse_config(content, str(path))


def read_preset(name: str) -> tuple[Any, Path]:
    """What stands in a preset, unchecked, and its file.

    Raises:
        InputError: unknown preset, a name of two, or no YAML.
    """
    shipped = PRESETS / f"{plain_name(name)}.yaml"
    method = PRESETS / "methods" / shipped.name
    if os.path.isfile(method) and os.sep not in name:
        shipped = method
    path = shipped_or_here(name, shipped, "settings", folder=False)
    if not os.path.isfile(path):
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("**/*.yaml")))
        raise InputError(f"preset {name[:200]!r}", "", f"choose from {known}, or give a YAML file")
    return read_yaml(path), path


def weights_config(name: Any, where: str) -> dict[str, Any]:
    """What weights were trained with, unchecked: a preset that names them under ``weights`` begins with it.

    Args:
        name: shipped weights, or a run folder.
        where: named in errors.

    Raises:
        InputError: no such weights.
    """
    if not isinstance(name, str):
        raise InputError(f"weights is {shown(name)}", where, "name shipped weights or a run folder")
    folder = shipped_or_here(name, PRESETS.with_name("weights") / plain_name(name), "weights", folder=True)
    if not (folder / "model.json").is_file():
        known = ", ".join(sorted(file.parent.name for file in PRESETS.parent.glob("weights/*/model.json")))
        raise InputError(f"weights {shown(name)}", where, f"choose from {known}, or name a run folder")
    config = read_object(folder / "model.json").get("config")
    if not isinstance(config, dict):
        raise InputError("has no config that can be read", str(folder / "model.json"), "train it again")
    return config


def override(content: Any, overrides: Sequence[str]) -> Any:
    """A nested dictionary with values replaced; the original is left alone.

    Raises:
        InputError: an override that does not read key=value, or an index that is not there.
    """
    content = _copy(content)
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator:
            raise InputError(f"{shown(text)} does not read key=value", "override", "write key=value")
        *parents, last = key.strip().split(".")
        if len(parents) >= DEEPEST:
            raise InputError(
                f"{shown(text)} has a key of {len(parents) + 1} parts", "override", "shorten the key"
            )
        parsed = parse_yaml(value, f"override {shown(key)}")
        place: Any = content
        for part in parents:
            place = place.setdefault(part, {}) if isinstance(place, dict) else _entry(place, part, text)
        if isinstance(place, list):
            _entry(place, last, text)
            place[int(last)] = parsed
        elif isinstance(place, dict):
            place[last] = parsed
        else:
            raise InputError(
                f"{shown(text)} names something inside a plain value", "override", "shorten the key"
            )
        if parents == ["plan"] and last not in PER_METRIC:
            for part in PER_METRIC:
                _replace_under(place.get(part), last)
    return content


def _replace_under(metrics: Any, name: str) -> None:
    """Drop what stands per metric instead of a value that is replaced."""
    for own in metrics.values() if isinstance(metrics, dict) else ():
        if isinstance(own, dict):
            own.pop(name, None)
            if name == "horizon":
                own.pop("commit", None)  # of a plan of another length


def parse_config(content: Any, where: str) -> RunConfig:
    """A configuration from plain values, checked.

    Args:
        content: nested dictionaries and lists.
        where: named in errors.

    Raises:
        InputError: a key or value that cannot work.
    """
    config: RunConfig = build(RunConfig, content, where)
    for part in PER_METRIC:
        under: dict[str, dict[str, Any]] = getattr(config.plan, part)
        built: Any = {metric: _under(part, metric, values, where) for metric, values in under.items()}
        config = replace(config, plan=replace(config.plan, **{part: built}))
    check(config, where)
    return config


def _under(part: str, metric: str, values: dict[str, Any], where: str) -> dict[str, Any]:
    """The values under a metric, each of the type and range of the setting that it replaces."""
    if metric not in METRICS and module_of(metric) is None:
        raise InputError(f"plan.{part} of metric {shown(metric)}", where, nearest(metric, METRICS))
    known = [item.name for item in fields(PlanSettings) if item.name not in ("metric", "share", *PER_METRIC)]
    walks = [item.name for item in fields(WalkSettings)]
    built: dict[str, Any] = {}
    for name, value in values.items():
        key = f"plan.{part}.{metric}.{name}"
        if name not in known:
            raise InputError(f"there is no setting {shown(key)}", where, nearest(name, known))
        if name == "walks":
            if not isinstance(value, dict) or not set(value) <= set(walks):
                raise InputError(f"{key} is {shown(value)}", where, f"give {', '.join(walks)}")
            built[name] = {n: build_field(WalkSettings, n, v, where, f"{key}.{n}") for n, v in value.items()}
        elif name == "horizon" and part == "flat":
            (built[name],) = build_field(PlanSettings, name, [value], where, key)
        else:
            built[name] = build_field(PlanSettings, name, value, where, key)
    return built


def with_levels(config: RunConfig, count: int) -> RunConfig:
    """The configuration of a stack that is trained with only the lowest ``count`` levels."""
    train, plan = config.train, config.plan
    return replace(
        config,
        levels=config.levels[:count],
        train=replace(train, steps=train.steps[:count]),
        plan=replace(
            plan,
            horizon=plan.horizon[:count],
            share=plan.share[:count],
            deep={metric: _shortened(values, count) for metric, values in plan.deep.items()},
        ),
    )


def _shortened(values: dict[str, Any], count: int) -> dict[str, Any]:
    """Values of `PlanSettings.deep` for fewer levels."""
    return {name: value[:count] if name == "horizon" else value for name, value in values.items()}


def with_plan(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """The configuration with values of planning replaced, each ``"plan.key=value"``.

    Raises:
        InputError: another key, which nothing can change after training, or a value that cannot work.
    """
    for text in overrides:
        if not text.strip().startswith("plan."):
            key = text.partition("=")[0].strip()
            raise InputError(
                f"{shown(key)} cannot be changed after training",
                "plan",
                "set keys that begin with plan., or train anew",
            )
    return parse_config(override(to_plain(config), overrides), "plan") if overrides else config


def to_plain(config: RunConfig) -> dict[str, Any]:
    """Nested dictionaries and lists, as they stand in ``config.yaml``."""
    return _copy(asdict(config))


def dump(config: RunConfig) -> str:
    """The configuration as YAML, everything resolved."""
    return yaml.safe_dump(to_plain(config), sort_keys=False)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value


def _entry(place: Any, part: str, text: str) -> Any:
    try:
        if not part.isdigit():
            raise ValueError
        return place[int(part)]
    except (ValueError, TypeError, IndexError, KeyError):
        raise InputError(
            f"{shown(text)}: no entry {shown(part)} there", "override", "count entries from 0"
        ) from None

"""Code of a user's own that a file names: imported where a person has named the module, and nowhere else.

A configuration names parts as ``module:Name``, and importing a module runs it. Who writes a preset or an override names
their own code. A checkpoint comes from anywhere: what it names is refused until a person says which modules they trust,
with ``--allow MODULE``, ``load_stack(..., allow=["module"])`` or the environment variable `VARIABLE`, which workers
inherit. Presets that a person names allow the modules in them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from hjepa.errors import InputError
from levels.registry import module_of

VARIABLE = "HJEPA_ALLOW"
"""Modules, separated by commas."""

TASK = "task"
"""Key whose id may name a module too; it is imported where the task is asked for, see `check_task`."""


def allow(modules: Iterable[str]) -> None:
    """Trust modules from now on, in this process and in those that it starts."""
    known = allowed()
    os.environ[VARIABLE] = ",".join([*known, *(name for name in dict.fromkeys(modules) if name not in known)])


def allowed() -> list[str]:
    """The modules that are trusted."""
    return [name for name in os.environ.get(VARIABLE, "").split(",") if name]


def named_in(content: Any) -> list[str]:
    """Modules that a configuration, as plain values, names; its task and what it collects aside."""
    return list(dict.fromkeys(module for text in _words(content) if (module := module_of(text))))


def check_named(content: Any, where: str, also: Collection[str] = ()) -> None:
    """Refuse a configuration of somebody's that names modules nobody has allowed.

    Args:
        content: plain values.
        where: named in errors.
        also: modules that are trusted for this once.

    Raises:
        InputError: the first of them.
    """
    for module in named_in(content):
        _check(module, where, also)


def check_task(task: str, where: str) -> None:
    """Refuse a task's id, read from a file, that names a module nobody has allowed.

    Raises:
        InputError: it does.
    """
    module, colon, _ = task.rpartition(":")
    if colon:
        _check(module, where, ())


def _check(module: str, where: str, also: Collection[str]) -> None:
    if module not in also and module not in allowed():
        raise InputError(
            f"names code of the module {module[:200]!r}, which runs when it is imported",
            where,
            f"say --allow {module[:200]} if you trust it",
        )


def _words(content: Any) -> Iterator[str]:
    """All words of plain values, keys too."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield str(key)
            if key not in (TASK, "collect"):
                yield from _words(value)
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from _words(value)

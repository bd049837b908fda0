"""Settings made from plain values, strictly: every key known, every value of its type and within its range."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_origin

from hjepa.errors import InputError
from levels.ranges import Range, kinds_of, number_refusal, range_of, shown, without_none

_POWER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", re.ASCII)
"""A number with an exponent, such as 1e-3, which YAML 1.1 reads as a word unless it has a dot and a sign."""

_WORDS = {bool: "true or false", str: "a word, in quotes if it looks like a number", int: "a whole number",
          float: "a number"}  # fmt: skip


def build(kind: Any, content: Any, where: str, key: str = "") -> Any:
    """A value of a type, of plain values.

    Args:
        kind: a dataclass, bool, int, float, str, a tuple or mapping of them, each perhaps or None; Any takes all.
        content: nested dictionaries and lists.
        where: named in errors.
        key: dotted place of the value, named in errors.

    Raises:
        InputError: an unknown or missing key, a value of another type or out of its range.
    """
    return _build(kind, content, None, where, key)


def build_field(settings: type, name: str, content: Any, where: str, key: str) -> Any:
    """The value of one field of a dataclass, of plain values; see `build`."""
    item = next(item for item in fields(settings) if item.name == name)
    return _build(kinds_of(settings)[name], content, range_of(item), where, key)


def nearest(word: object, known: Iterable[str]) -> str:
    """What to do about an unknown word: the known one that it looks like, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(word)[:80], known, n=1)
    return f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}"


def _build(kind: Any, content: Any, within: Range | None, where: str, key: str) -> Any:
    if within is not None:
        content = _powers(content)
        remedy = number_refusal(kind, within, content)
        if remedy is not None:
            raise InputError(f"{key} is {shown(content)}", where, remedy)
    kind, null = without_none(kind)
    if content is None and null:
        return None
    if is_dataclass(kind):
        return _settings(kind, content, where, key)
    origin = get_origin(kind)
    if origin is tuple:
        if not isinstance(content, (list, tuple)):
            raise InputError(f"{key} is {shown(content)}", where, "give a list, as [1, 2]")
        inner = get_args(kind)[0]
        return tuple(_build(inner, one, None, where, f"{key}.{n}") for n, one in enumerate(content))
    if origin in (dict, Mapping):
        return {
            k: _build(get_args(kind)[1], v, None, where, f"{key}.{k}") for k, v in _keyed(content, where, key)
        }
    return _plain(kind, content, where, key)


def _settings(kind: Any, content: Any, where: str, key: str) -> Any:
    """A dataclass."""
    kinds, items, values = kinds_of(kind), {item.name: item for item in fields(kind)}, {}
    for name, value in _keyed(content, where, key):
        place = f"{key}.{name}" if key else name
        if name not in items:
            raise InputError(f"there is no setting {place[:200]!r}", where, nearest(name, items))
        values[name] = _build(kinds[name], value, range_of(items[name]), where, place)
    for name, item in items.items():
        if name not in values and item.default is MISSING and item.default_factory is MISSING:
            raise InputError(f"{f'{key}.' if key else ''}{name} is missing", where, "give it")
    try:
        return kind(**values)
    except ValueError as error:
        raise InputError(str(error), f"{where}, {key}" if key else where) from None


def _keyed(content: Any, where: str, key: str) -> list[tuple[str, Any]]:
    """The entries of a mapping."""
    if not isinstance(content, Mapping):
        raise InputError(f"{key or 'it'} is {shown(content)}", where, "give a section of keys and values")
    for name in content:
        if not isinstance(name, str):
            raise InputError(f"{key or 'it'} has the key {shown(name)}", where, "give keys that are words")
    return list(content.items())


def _plain(kind: Any, content: Any, where: str, key: str) -> Any:
    """A number, word or switch."""
    if kind is Any:
        return content
    if kind is float:
        content = _powers(content)
        if isinstance(content, int) and not isinstance(content, bool) and abs(content) < 1 << 1023:
            content = float(content)
        if isinstance(content, float) and math.isfinite(content):
            return content
    elif isinstance(content, kind) and not (kind is int and isinstance(content, bool)):
        return content
    raise InputError(f"{key} is {shown(content)}", where, f"give {_WORDS.get(kind, kind)}")


def _powers(content: Any) -> Any:
    """Words such as 1e-3, also in a list, made numbers."""
    if isinstance(content, (list, tuple)):
        return [_powers(one) for one in content]
    return float(content) if isinstance(content, str) and _POWER.fullmatch(content) else content

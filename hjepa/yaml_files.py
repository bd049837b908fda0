"""YAML as settings and missions need it: plain values, small and shallow, every key once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from hjepa.errors import InputError, one_line

LARGEST, DEEPEST = 131_072, 24
"""Characters of a text, and how deep its lists and mappings may be nested."""


class _Loader(yaml.SafeLoader):
    """Refuses what makes YAML more than plain values: anchors, aliases, tags, merged and repeated keys."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _refused("an anchor or alias, & or *", "write the value out", event)
        if event.tag is not None:
            raise _refused(f"the tag {event.tag[:80]}", "leave the tag out", event)
        self.depth += 1
        if self.depth > DEEPEST:
            raise _refused(f"more than {DEEPEST} levels of nesting", "nest less", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def flatten_mapping(self, node: Any) -> None:
        """Called before a mapping is made; merged keys would be put in here."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise _refused("a key that is no word", "give plain keys", key)
            if key.value in seen:
                raise _refused(f"the key {key.value[:80]!r} twice", "give it once", key)
            seen.add(key.value)


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """The content of a YAML file.

    Raises:
        InputError: it cannot be read, or holds more than plain values.
    """
    try:
        with Path(path).open("rb") as file:
            found = file.read(4 * LARGEST + 1)
        text = found.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"not YAML ({one_line(reason)})", str(path)[:200], "mend the file") from None
    return parse_yaml(text, str(path)[:200])


def parse_yaml(text: str, where: str) -> Any:
    """The content of a text of YAML.

    Args:
        text: of at most `LARGEST` characters.
        where: named in errors.

    Raises:
        InputError: no YAML, or more than plain values.
    """
    if len(text) > LARGEST:
        raise InputError(f"more than {LARGEST} characters of YAML", where, "give less")
    try:
        return yaml.load(text, _Loader)
    except InputError as error:
        raise InputError(str(error), where) from None
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        reason = one_line(error)[:300] or type(error).__name__
        raise InputError(f"not YAML ({reason})", where, "mend it") from None


def _refused(what: str, remedy: str, found: Any) -> InputError:
    mark = found.start_mark
    return InputError(f"{what}, in line {mark.line + 1}", "", remedy)

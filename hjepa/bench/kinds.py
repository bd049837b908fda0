"""What can be measured, by name; a new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from levels.registry import Registry

if TYPE_CHECKING:
    from hjepa.bench.row import Options, Row

KINDS = Registry(
    "benchmark",
    {
        "tasks": "hjepa.bench.worlds:rows",
        "peers": "hjepa.bench.peers:rows",
        "windows": "hjepa.bench.windows:rows",
        "training": "hjepa.bench.training:rows",
        "plan": "hjepa.bench.planning:rows",
        "shared": "hjepa.bench.shared:rows",
        "solvers": "hjepa.bench.solvers:rows",
        "actor": "hjepa.bench.actor:rows",
        "growth": "hjepa.bench.growth:rows",
        "memory": "hjepa.bench.memory:rows",
    },
    "a function of options that yields rows",
)


def measured(name: str, options: Options) -> Iterator[Row]:
    """Rows of one kind, each as soon as it is there.

    Raises:
        ValueError: no such kind.
    """
    rows: Callable[[Options], Iterator[Row]] = KINDS.get(name)
    return rows(options)

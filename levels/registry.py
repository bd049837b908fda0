"""Parts by name: ours, and those of a user's own module, ``module:Name``. Needs no torch.

A part of ours is one file and one line in its `Registry`; a part of a user's is a line of their settings. Importing a
module runs what stands in it, so who reads names out of a file of others asks `named_modules` first and lets a person
say which of them are trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


def module_of(name: str) -> str | None:
    """The module of ``module:Name``; None for a name of ours."""
    module, colon, _ = name.partition(":")
    return module if colon else None


def named_modules(names: Iterable[str]) -> list[str]:
    """The modules that names need beside ours, each once, in order."""
    return list(dict.fromkeys(module for name in names if (module := module_of(name)) is not None))


def resolve(name: str, kind: str = "part") -> Any:
    """What ``module:Name`` names; the name may have dots, as ``module:Outer.inner``.

    Args:
        name: of a module on Python's path, and of what stands in it.
        kind: what it is meant to be, for messages.

    Raises:
        ValueError: no such module, one that fails while it is imported, or nothing of that name in it.
    """
    module, _, path = name.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *path.split("."))):
        raise ValueError(f"{kind} {name[:200]!r} does not read module:Name; write it so")
    try:
        found: Any = import_module(module)
    except Exception as error:  # whatever a user's module raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            f"{kind} {name!r}: module {module!r} cannot be imported ({reason}); mend it, or put its folder on"
            " PYTHONPATH"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{kind} {name!r}: {module} has no {path!r}; name something that it has")
        found = getattr(found, part)
    return found


@dataclass(frozen=True)
class Registry:
    """The parts of one kind.

    Attributes:
        kind: what they are, as messages say it: ``encoder``.
        ours: name -> ``module:Name``, imported when it is asked for.
        wants: what a part has to be, as messages say it.
        fits: whether an object is that; asked of a user's parts alone.
    """

    kind: str
    ours: Mapping[str, str]
    wants: str = "something to call"
    fits: Callable[[Any], bool] = field(default=callable)

    def check(self, name: str) -> None:
        """Raise ValueError unless ``name`` is one of ours, or names a part in a user's module.

        Names of ours are looked up alone; a user's module is imported, so that a slip is known before any work.
        """
        if name not in self.ours:
            self._users(name)

    def get(self, name: str) -> Any:
        """The part itself.

        Raises:
            ValueError: see `check`.
        """
        return resolve(self.ours[name], self.kind) if name in self.ours else self._users(name)

    def _users(self, name: str) -> Any:
        if module_of(name) is None:
            known = ", ".join(self.ours)
            raise ValueError(f"{self.kind} is {name!r}; choose from {known}, or name your own as module:Name")
        found = resolve(name, self.kind)
        if not self.fits(found):
            raise ValueError(
                f"{self.kind} {name!r} is of type {type(found).__name__}; it has to be {self.wants}"
            )
        return found

"""Registers the tasks with Gymnasium on ``import hjepa``, without making that import load Gymnasium.

Where Gymnasium is loaded already, they are registered at once; otherwise as soon as it is, in whichever order a user
imports the two.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_AWAITED = "gymnasium"


def register_with_gymnasium() -> None:
    """Register now or as soon as Gymnasium is imported."""
    if _AWAITED in sys.modules:
        import_module("tasks")
    elif not any(isinstance(finder, _Awaiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Awaiting())


class _Awaiting(MetaPathFinder):
    """Finds Gymnasium as Python would, and has the tasks registered once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _AWAITED:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Registering(spec.loader)
        return spec


class _Registering(Loader):
    """A loader that registers the tasks after the module is loaded."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader  # whoever reads files of the package asks its own loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        import_module("tasks")

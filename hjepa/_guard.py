"""Refuses to start when `levels`, `planners` or `tasks` are not the packages that belong to this `hjepa`.

The three names are ordinary words: other distributions use them, and a `tasks.py` in the working folder would hide
ours. Half of the project running against a stranger's module fails late and strangely, so `import hjepa` looks first.

And refuses to train with versions of lightning that are known to be malicious.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PILLARS = ("levels", "planners", "tasks")

MALICIOUS = ("2.6.2", "2.6.3")
"""Versions of lightning that were uploaded by an attacker (GHSA-w37p-236h-pfx3); importing one runs its code."""


def check_pillars(root: Path | None = None) -> None:
    """Checks that the three pillars would be, or were, imported from the folder that holds `hjepa`.

    Nothing is imported. Editable installs and wheels both put the four packages side by side.

    Args:
        root: the folder that should hold the pillars; by default the one that holds this `hjepa`.

    Raises:
        ImportError: another module of that name comes first, or none is there; names the path and the remedy.
    """
    root = (root or Path(__file__).parent.parent).resolve()
    for name in PILLARS:
        expected = root / name
        found = _places(name)
        if not found:
            raise ImportError(
                f"hjepa needs its package {name!r} at {expected} and finds none; the installation is "
                "incomplete: install hjepa again"
            )
        if expected not in found:
            raise ImportError(
                f"hjepa needs its package {name!r} at {expected}, but {found[0]} comes first on the "
                "import path; rename or uninstall that one, or start Python from another folder"
            )


def check_lightning(name: str = "lightning") -> None:
    """Checks, without importing it, that the installed lightning is no malicious upload.

    Args:
        name: of the distribution.

    Raises:
        InputError: it is; pip would have refused it, so that it was installed by other means.
    """
    # Late: which packages are ours is looked at before anything else of ours is imported.
    from hjepa.errors import InputError

    for one in (name, f"pytorch-{name}"):
        try:
            found = version(one)
        except PackageNotFoundError:
            continue
        if found in MALICIOUS:
            raise InputError(
                f"{one} {found} is a malicious upload (GHSA-w37p-236h-pfx3), and was not imported",
                "",
                f'remove it, change what this machine may have leaked, and install "{one}>=2.6.4"',
            )


def _places(name: str) -> list[Path]:
    """The folders of package ``name``, or the file of a plain module; empty when there is none."""
    module = sys.modules.get(name)
    spec: ModuleSpec | None = getattr(module, "__spec__", None) if module is not None else find_spec(name)
    if spec is None:
        file = getattr(module, "__file__", None)
        return [Path(file).resolve()] if file else []
    if spec.submodule_search_locations is not None:
        return [Path(place).resolve() for place in spec.submodule_search_locations]
    return [Path(spec.origin or name).resolve()]

"""Lists the licence of everything that installing the project brings along, as docs/licences.md has it.

    python .ci/licences.py [extra ...]

Exit code 1: a package names no licence, or one that a user of MIT-licensed software would not expect.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ASKING = re.compile(r"\b(A?GPL|SSPL|BUSL|Commons Clause|Non-?Commercial|Proprietary)", re.IGNORECASE)
"""Licences that ask more of a user than to be named."""

LENIENT = re.compile(r"\bLGPL|Lesser|NVIDIA", re.IGNORECASE)
"""Of libraries that are linked or loaded, not copied; and of the CUDA libraries that builds of torch bring."""


def main(extras: list[str]) -> int:
    """Prints the table."""
    rows = sorted(licence_of(each) for each in closure("hjepa", extras))
    print("| package | licence |\n|---|---|")
    bad = []
    for name, licence in rows:
        print(f"| {name} | {licence} |")
        if licence == "unknown" or (ASKING.search(licence) and not LENIENT.search(licence)):
            bad.append(f"{name}: {licence}")
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


def closure(name: str, extras: list[str]) -> list[Distribution]:
    """What a package needs here, directly or not, as far as it is installed; itself left out.

    What other platforms need does not count, though something else may have brought it along.
    """
    found: dict[str, Distribution] = {}
    todo, seen = [(name, frozenset(extras))], set()
    while todo:
        asked = todo.pop()
        if asked in seen:
            continue
        seen.add(asked)
        for text in distribution(asked[0]).requires or ():
            wanted = Requirement(text)
            key = canonicalize_name(wanted.name)
            needed = wanted.marker is None or any(
                wanted.marker.evaluate({"extra": extra}) for extra in asked[1] or {""}
            )
            if key == name or not needed:
                continue
            try:
                found[key] = distribution(key)
            except PackageNotFoundError:
                continue
            todo.append((key, frozenset(wanted.extras)))
    return list(found.values())


def licence_of(package: Distribution) -> tuple[str, str]:
    """Name and licence, on one line."""
    about = package.metadata
    name = canonicalize_name(about["Name"])
    expression = about.get("License-Expression")
    classifiers = [
        each.rsplit(" :: ", 1)[1]
        for each in about.get_all("Classifier") or ()
        if each.startswith("License :: ") and not each.endswith(":: OSI Approved")
    ]
    written = (about.get("License") or "").strip().split("\n")[0][:60]
    return name, expression or ", ".join(classifiers) or written or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

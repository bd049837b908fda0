"""The commands that ask for records again: rebuilt from specifications and records, and as few as can ask for all."""

from __future__ import annotations

import itertools
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hjepa.evaluation.records import Record, overrides_of
from hjepa.json_files import read_object
from hjepa.model.checkpoints import DESCRIPTION, SHIPPED
from hjepa.report.sources import Material, SourceFile
from hjepa.sweeps.cell import digest
from tasks import task_spec


@dataclass(frozen=True)
class Asked:
    """Commands that belong together.

    Attributes:
        note: what they are of, and how they are known.
        lines: the commands.
        needs: what has to be there before, in sentences.
    """

    note: str
    lines: list[str]
    needs: list[str] = field(default_factory=list)


def asked(material: Material, weights: Mapping[str, str]) -> list[Asked]:
    """The commands behind all files: those of an ablation merged, those of other files file by file.

    Args:
        material: what was read.
        weights: SHA-256 -> name of weights that are there, see `weights_here`.
    """
    found, folders = [], dict.fromkeys(file.folder for file in material.files if _specs(file))
    for folder in folders:
        files = [file for file in material.files if file.folder == folder and _specs(file)]
        out = str(folder) if folder is not None else "sweep"
        specs = [spec for file in files for spec in _specs(file)]
        note = f"The ablation {Path(out).name}, from the specifications of its cells:"
        found.append(Asked(note, _ablations(specs, out)))
    for file in material.files:
        if _specs(file):
            continue
        lines, known = commands(file, weights)
        unknown = {str(r["checkpoint_sha256"]) for _, r in file.records} - set(weights) - {"None"}
        stated = all(isinstance(r.get("command"), str) for _, r in file.records)
        needs = [] if stated else [
            f"{_folder(sha)} stands for weights that are not here, those with sha256 {sha}." for sha in sorted(unknown)
        ]  # fmt: skip
        found.append(Asked(f"{file.shown}, {known}:", lines, needs))
    return found


def commands(file: SourceFile, weights: Mapping[str, str] | None = None) -> tuple[list[str], str]:
    """The commands behind a file, and a word on how far they are known.

    A record may hold its own ``command``. Otherwise it is rebuilt: exactly, from a cell's specification, or from
    the fields of a record of ``hjepa plan``, of which old ones do not hold the overrides of planning.
    """
    stated = [record["command"] for _, record in file.records if isinstance(record.get("command"), str)]
    if len(stated) == len(file.records):
        return list(dict.fromkeys(stated)), "stated in the records"
    specs = _specs(file)
    if specs:
        out = str(file.folder) if file.folder is not None else "sweep"
        return list(dict.fromkeys(_ablate(spec, out) for spec in specs)), "from the specification"
    found = [_plan(merged, weights or {}) for merged in _merged([record for _, record in file.records])]
    return list(dict.fromkeys(found)), "rebuilt from the records; old ones do not hold overrides of planning"


def weights_here(material: Material) -> dict[str, str]:
    """SHA-256 -> how a command names them, of shipped weights and of those in the folders that were read."""
    found = {}
    for file in sorted(SHIPPED.glob(f"*/{DESCRIPTION}")):
        found[str(read_object(file).get("sha256"))] = file.parent.name
    folders = dict.fromkeys(
        folder for file in material.files for folder in (file.path.parent, file.folder) if folder is not None
    )
    for folder in folders:
        for held in (folder / DESCRIPTION, *sorted(folder.glob(f"train/*/{DESCRIPTION}"))):
            if held.is_file():
                here = str(held.parent)
                found.setdefault(
                    str(read_object(held).get("sha256")), here if held.parent.is_absolute() else f"./{here}"
                )
    return found


def _specs(file: SourceFile) -> list[dict[str, Any]]:
    """The specifications of a file's records; none unless all have one."""
    specs = [record.get("spec") for _, record in file.records]
    return [spec for spec in specs if spec] if all(specs) else []


_AXES = ("task", "levels", "depth", "train_seed", "metric", "planner", "budget_tflops")


def _ablations(specs: Sequence[dict[str, Any]], out: str) -> list[str]:
    """As few commands as ask for all cells: one for those that are a whole grid, else one a cell."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for spec in specs:
        rest = {name: value for name, value in spec.items() if name not in _AXES}
        groups.setdefault(digest(rest), []).append(spec)
    lines: list[str] = []
    for group in groups.values():
        for depth in (None, "truncated", "trained"):
            part = [
                spec
                for spec in group
                if depth in (None, _depth(spec), "trained" if _depth(spec) == "" else None)
            ]
            joined = _grid(part)
            if joined is not None:
                lines.append(_ablate(joined, out))
                group = [spec for spec in group if spec not in part]
        lines += [_ablate(spec, out) for spec in group]
    return list(dict.fromkeys(lines))


def _depth(spec: dict[str, Any]) -> str:
    """Kind of depth; empty for all levels of the preset, which either kind asks for."""
    levels = (spec.get("config") or {}).get("levels")
    return "" if isinstance(levels, list) and len(levels) == spec.get("levels") else str(spec.get("depth"))


def _grid(specs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The specifications as one with lists, where they are every combination of these; else None."""
    cells = {tuple(_depth(spec) if axis == "depth" else spec.get(axis) for axis in _AXES) for spec in specs}
    if not cells:
        return None
    values = {axis: sorted({cell[i] for cell in cells}, key=str) for i, axis in enumerate(_AXES)}
    if any(None in found and len(found) > 1 for found in values.values()):
        return None
    levels, kinds = values["levels"], [kind for kind in values["depth"] if kind] or ["trained"]
    whole = {cell[1] for cell in cells if cell[2] == ""}
    rest = [axis for axis in _AXES if axis not in ("levels", "depth")]
    wanted = set()
    for count, chosen in itertools.product(levels, itertools.product(*(values[axis] for axis in rest))):
        for kind in [""] if count in whole else kinds:
            held = dict(zip(rest, chosen)) | {"levels": count, "depth": kind}
            wanted.add(tuple(held[axis] for axis in _AXES))
    if wanted != cells:
        return None
    lists = {**values, "levels": levels, "depth": kinds}
    return {**specs[0], **{axis: _list(found) for axis, found in lists.items()}}


def _list(values: Sequence[Any]) -> str | None:
    shown = [
        f"{value:g}" if isinstance(value, float) else str(value) for value in values if value is not None
    ]
    return ",".join(shown) or None


def _merged(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Records that one command can ask for as one, with lists of levels, metrics, planners, memories and seeds."""
    several = ("levels", "metric", "planner", "memory", "seed")
    single = (
        "task",
        "oracle",
        "perception",
        "budget_tflops",
        "split",
        "tasks",
        "episodes",
        "mission",
        "checkpoint_sha256",
    )
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        same = (
            *(record.get(name) for name in single),
            tuple(overrides_of(record)),
            str(record.get("guardrails")),
        )
        groups.setdefault(same, []).append(record)
    found: list[dict[str, Any]] = []
    for group in groups.values():
        parts: dict[tuple[str, str], list[Record]] = {}
        if _product(group, several) is None:
            # One level is often planned with a planner of its own.
            for record in group:
                parts.setdefault((record["metric"], record["planner"]), []).append(record)
        for part in list(parts.values()) or [group]:
            lists = _product(part, several)
            found += part if lists is None else [{**part[0], **lists}]
    return found


def _product(records: Sequence[Record], names: Sequence[str]) -> dict[str, str | None] | None:
    """The values of these fields as lists, where the records are every combination of them; else None."""
    lists = {name: sorted({str(record.get(name, "")) for record in records}) for name in names}
    if len(records) != math.prod(map(len, lists.values())):
        return None
    return {name: ",".join(filter(None, values)) or None for name, values in lists.items()}


def _ablate(spec: dict[str, Any], out: str) -> str:
    words: list[object] = ["hjepa", "ablate", "--preset", spec.get("preset"), "--out", out]
    for override in spec.get("overrides") or []:
        words += ["--set", override]
    names = (
        ("--levels", "levels"), ("--depth", "depth"), ("--train-seeds", "train_seed"), ("--metric", "metric"),
        ("--planner", "planner"), ("--budget-tflops", "budget_tflops"), ("--task", "task"),
        ("--split", "split"), ("--tasks", "tasks"), ("--episodes", "episodes"), ("--seed", "seed"),
    )  # fmt: skip
    return _words(words, names, spec)


def _plan(record: Record, weights: Mapping[str, str]) -> str:
    sha = str(record["checkpoint_sha256"])
    words: list[object] = ["hjepa", "plan", "--checkpoint", weights.get(sha, _folder(sha))]
    names = (
        ("--task", "task"), ("--levels", "levels"), ("--metric", "metric"), ("--planner", "planner"),
        ("--oracle", "oracle"), ("--perception", "perception"), ("--memory", "memory"), ("--mission", "mission"),
        ("--budget-tflops", "budget_tflops"), ("--split", "split"), ("--tasks", "tasks"), ("--episodes", "episodes"),
        ("--seed", "seed"),
    )  # fmt: skip
    for override in overrides_of(record):
        words += ["--set", override]
    line = _words(words, names, record)
    if "guardrails" in record:
        line += "" if _has_lava(record["task"]) else " --zones"
        line += "" if record["guardrails"] else " --unguarded"
    return line


def _folder(sha: str) -> str:
    """Where weights that are not here are said to be."""
    return f"./weights-{sha[:12]}"


def _has_lava(task: str) -> bool:
    try:
        return task_spec(task).lava
    except ValueError:
        return False


def _words(words: list[object], names: tuple[tuple[str, str], ...], values: dict[str, Any]) -> str:
    for option, name in names:
        if values.get(name) is not None:
            words += [option, values[name]]
    return shlex.join(str(word) for word in words)

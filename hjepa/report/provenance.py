"""Where every number comes from: the commands that ask for it again, and the files with their hashes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from hjepa.evaluation.records import Record
from hjepa.report.asking import asked, weights_here
from hjepa.report.markup import counted
from hjepa.report.sources import FailedCell, Material, SourceFile, config_hash
from hjepa.report.template import rendered
from hjepa.sweeps.cell import digest

MOST_UNFOLDED = 4
"""With more files than these, each shows its records and unfolds for the rest."""


def sources_section(material: Material, page: Path) -> Markup:
    """The commands, grouped, and one entry per file: path, SHA-256, and its records with the names that the page uses.

    Args:
        material: what was read.
        page: where the page will be, for links to the files.
    """
    return rendered(
        "sources.html",
        groups=asked(material, weights_here(material)),
        files=[_file(file, material.repeated, page) for file in material.files],
        unfolded=len(material.files) <= MOST_UNFOLDED,
    )


def failed_section(failed: list[FailedCell]) -> Markup:
    """The cells without a result, each with its error; empty where there is none."""
    if not failed:
        return Markup()
    names = ("levels", "depth", "metric", "budget_tflops", "train_seed", "overrides")
    cells = []
    for cell in failed:
        what = ", ".join(
            f"{name.replace('train_', 'training ')} {cell.spec[name]}"
            for name in names
            if cell.spec.get(name) not in (None, [], "")
        )
        cells.append({
            "what": what or "a cell", "error": cell.error, "shown": cell.shown, "traceback": cell.traceback
        })  # fmt: skip
    return rendered("failed.html", cells=cells)


def _file(file: SourceFile, repeated: dict[str, str], page: Path) -> dict[str, Any]:
    """What the template says of a file."""
    there = Path(os.path.relpath(file.path.resolve(), page.resolve().parent))
    versions = dict.fromkeys(_versions(record) for _, record in file.records)
    return {
        "link": quote(os.fsencode(there.as_posix())),
        "shown": file.shown,
        "sha256": file.sha256,
        "specs": [
            {
                "digest": digest(spec),
                "fits": "is the file’s name" if digest(spec) == file.path.stem else "is not the file’s name",
                "config": config_hash(spec) or "not recorded",
            }
            for spec in filter(None, (record.get("spec") for _, record in file.records))
        ],
        "versions": "; ".join(filter(None, versions)) or "not recorded",
        "records": [_record(name, record, repeated) for name, record in file.records],
    }


def _record(name: str, record: Record, repeated: dict[str, str]) -> dict[str, str]:
    """One line: the record's name, what it is of, its seeds and its weights."""
    parts = [
        record["task"],
        f"{counted(record['levels'])} {record['depth']}",
        record["metric"],
        record["planner"],
        f"oracle {record['oracle']}" if record["oracle"] else None,
        None if record["budget_tflops"] is None else f"at most {record['budget_tflops']:g} TFLOP",
        f"{record['episodes']} {record['tasks']} {record['split']} episodes",
        f"seed {record['seed']}",
        None if record["train_seed"] is None else f"training seed {record['train_seed']}",
    ]
    return {
        "name": name,
        "what": ", ".join(str(part) for part in parts if part),
        "weights": str(record["checkpoint_sha256"] or "not recorded"),
        "same": f"; the same as {repeated[name]}, so it counts once" if name in repeated else "",
    }


def _versions(record: Record) -> str:
    held = record["versions"]
    names = [f"{name} {held[name]}" for name in ("hjepa", "python", "torch", "numpy") if held.get(name)]
    return ", ".join(names + ([f"{held['threads']} thread(s)"] if held.get("threads") else []))

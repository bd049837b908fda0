"""Finding the records of a report, and remembering which file each of them came from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hjepa.errors import InputError
from hjepa.evaluation.comparison import EVALUATION, Entry, setting_of
from hjepa.evaluation.records import Record, overrides_of, read_records, without_timing
from hjepa.json_files import read_json
from hjepa.sweeps.cell import digest


@dataclass(frozen=True)
class SourceFile:
    """A file with records.

    Attributes:
        path: of the file.
        shown: how the page calls it: the name of what was given, then the path below it.
        owner: which of the given paths it belongs to, counted from 0.
        folder: the ablation or run folder it belongs to, as it was given; None for a file given by itself.
        sha256: of its bytes.
        records: name (``R1`` and so on) and record, in the file's order.
    """

    path: Path
    shown: str
    owner: int
    folder: Path | None
    sha256: str
    records: list[tuple[str, Record]] = field(default_factory=list)


@dataclass(frozen=True)
class FailedCell:
    """A cell of an ablation that has no record: its file, as shown, the error and the specification."""

    shown: str
    error: str
    traceback: str
    spec: dict[str, Any]


@dataclass(frozen=True)
class Material:
    """Everything a report is made of; ``repeated`` names records that are there twice and count once."""

    files: list[SourceFile]
    entries: list[Entry]
    failed: list[FailedCell]
    repeated: dict[str, str]


def gather(given: Sequence[str | os.PathLike[str]]) -> Material:
    """Reads folders of ablations (``cells/*.json``), run folders (``results.json``), folders with files of records and
    such files.

    Raises:
        InputError: nothing to read, a file that holds no records, or an unfinished ablation without any cell.
    """
    files: list[SourceFile] = []
    failed: list[FailedCell] = []
    seen: set[Path] = set()
    for owner, name in enumerate(given):
        place = Path(name)
        found, failures = _files(place)
        failed += failures
        for path in found:
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            folder = place if place.is_dir() else None
            shown = f"{place.resolve().name}/{path.relative_to(place).as_posix()}" if folder else path.name
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            files.append(SourceFile(path, shown, owner, folder, content))
    if not files:
        what = f"no cell has finished and {len(failed)} failed, first: {failed[0].error}" if failed else ""
        raise InputError(
            what or "no results in it",
            ", ".join(map(str, given)) or "report",
            "mend it and run hjepa ablate again" if failed else "give what hjepa plan or hjepa ablate wrote",
        )
    held = {file.path: _records(file.path) for file in files}
    # Cells are named by hashes; in the order of what they hold, the records of one agent get neighbouring names.
    files.sort(key=lambda file: (file.owner, *(_place(held[file.path]))))
    pairs: list[tuple[SourceFile, Entry]] = []
    for file in files:
        for record in held[file.path]:
            entry = Entry(record, f"R{len(pairs) + 1}")
            file.records.append((entry.source, record))
            pairs.append((file, entry))
    if not pairs:
        raise InputError("an empty list of records", str(files[0].path), "delete the file or write it anew")
    entries, repeated = _variants(pairs)
    return Material(files, entries, failed, repeated)


def _files(place: Path) -> tuple[list[Path], list[FailedCell]]:
    if place.is_file():
        return [place], []
    if not place.is_dir():
        raise InputError("no such file or folder", str(place), "give what hjepa plan or hjepa ablate wrote")
    found = sorted(place.glob("cells/*.json"))
    if (place / "results.json").is_file():
        found.append(place / "results.json")
    failed = [_failed(place, path) for path in sorted(place.glob("failed/*.json"))]
    if not found:
        # A folder in which somebody kept what `hjepa plan --json` wrote, maybe beside other lists.
        found = [path for path in sorted(place.glob("*.json")) if _holds_records(path)]
    if not found and not failed:
        raise InputError(
            "no cells/*.json and no results.json in it",
            str(place),
            "give the --out of hjepa ablate, a run folder or the --json of hjepa plan",
        )
    return found, failed


def _holds_records(path: Path) -> bool:
    """Whether a file is a list of records; another list of the same folder is none of the report's business."""
    try:
        return bool(read_records(path))
    except InputError:
        return False


def _failed(place: Path, path: Path) -> FailedCell:
    content = read_json(path)
    content = content if isinstance(content, dict) else {}
    spec = content.get("spec")
    return FailedCell(
        f"{place.resolve().name}/{path.relative_to(place).as_posix()}",
        str(content.get("error") or "no reason is given"),
        str(content.get("traceback") or ""),
        spec if isinstance(spec, dict) else {},
    )


def _records(path: Path) -> list[Record]:
    records = read_records(path)
    for record in records:
        spec = record.get("spec")
        if spec is not None and not isinstance(spec, dict):
            raise InputError("spec is no object", str(path), "delete the file or write it anew")
    return records


def _place(records: list[Record]) -> tuple[str, ...]:
    names = (
        *EVALUATION,
        "oracle",
        "metric",
        "planner",
        "budget_tflops",
        "levels",
        "depth",
        "train_seed",
        "seed",
    )
    return tuple(f"{len(str(v)):04d}{v}" for v in (records[0][name] for name in names)) if records else ()


def _variants(pairs: list[tuple[SourceFile, Entry]]) -> tuple[list[Entry], dict[str, str]]:
    """Tells apart what a record's own fields do not: other overrides, an edited preset, another folder.

    Results that are there twice, the timing apart, count once.
    """
    texts = [_variant_text(entry.record) for _, entry in pairs]
    hashes: dict[str, set[str]] = {}
    for text, (_, entry) in zip(texts, pairs):
        hashes.setdefault(text, set()).add(config_hash(entry.record.get("spec")))
    named = []
    for text, (file, entry) in zip(texts, pairs):
        edited = len(hashes[text]) > 1 and text
        full = f"{text} (configuration {config_hash(entry.record.get('spec'))[:8]})" if edited else text
        named.append((file, replace(entry, variant=full)))
    # A record of hjepa plan as shipped has no specification: it goes with the only variant of ablations that there is.
    planned = any("overrides" in entry.record or _kept_to(entry.record) for _, entry in pairs)
    if not planned and len({entry.variant for _, entry in named} - {""}) <= 1:
        named = [(file, replace(entry, variant="")) for file, entry in named]
    firsts: dict[Any, tuple[SourceFile, Entry]] = {}
    kept, repeated, clash = [], {}, False
    alike: set[Path] = set()
    for file, entry in named:
        identity = (*(entry.record[n] for n in EVALUATION), setting_of(entry), entry.record["levels"],
                    entry.record["depth"], entry.record["train_seed"], entry.record["seed"])  # fmt: skip
        file_before, before = firsts.setdefault(identity, (file, entry))
        if before is entry:
            kept.append((file, entry))
        elif _outcome(before.record) == _outcome(entry.record):
            repeated[entry.source] = before.source
        else:
            clash |= file_before.owner != file.owner
            # Files of one folder are told apart by their names; cells have none that says anything.
            if file_before is not file and file.path.parent.name != "cells":
                alike |= {file_before.path, file.path}
            kept.append((file, entry))
    if alike and not clash:
        kept = [
            (
                f,
                replace(e, variant=", ".join(filter(None, (f.path.stem, e.variant))))
                if f.path in alike
                else e,
            )
            for f, e in kept
        ]
    if clash:
        kept = [(f, replace(e, variant=", ".join(filter(None, (_owner(f), e.variant))))) for f, e in kept]
    return [entry for _, entry in kept], repeated


def _variant_text(record: Record) -> str:
    overrides = [text for text in overrides_of(record) if not text.startswith("train.seed=")]
    spec = record.get("spec") or {}
    said = " ".join([Path(str(spec.get("preset", ""))).stem, *overrides]).strip()
    return ", ".join(filter(None, [said, *_kept_to(record)]))


def _kept_to(record: Record) -> list[str]:
    """What an agent was held to, or given, that its settings do not say: guardrails, a memory, a mission."""
    found = []
    if isinstance(record.get("guardrails"), list):
        held = " and ".join(map(str, record["guardrails"]))
        found.append(f"guarded ({held})" if held else "unguarded")
    if record.get("memory") is not None:
        found.append(f"memory {record['memory']}")
    if record.get("mission") is not None:
        found.append(f"mission {record['mission']}")
    return found


def config_hash(spec: dict[str, Any] | None) -> str:
    """SHA-256 of the preset's content in a cell's specification; empty where there is none."""
    config = (spec or {}).get("config")
    return digest(config) if config else ""


def _outcome(record: Record) -> str:
    return digest({name: value for name, value in without_timing(record).items() if name != "spec"})


def _owner(file: SourceFile) -> str:
    return file.folder.resolve().name if file.folder else file.path.resolve().parent.name

"""Where every number comes from: the files, their hashes, and the command that asks for each of them again."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hjepa.evaluation.records import Record, overrides_of
from hjepa.report.markup import counted, details, esc
from hjepa.report.sources import FailedCell, Material, SourceFile, config_hash
from hjepa.sweeps.cell import digest

MOST_UNFOLDED = 4
"""With more files than these, each shows its records and unfolds for the rest."""


def sources_section(material: Material, page: Path) -> str:
    """One entry per file: path, SHA-256, command, and its records with the names that the page uses.

    Args:
        material: what was read.
        page: where the page will be, for links to the files.
    """
    unfolded = len(material.files) <= MOST_UNFOLDED
    return "".join(_file(file, material.repeated, page, unfolded) for file in material.files)


def failed_section(failed: list[FailedCell]) -> str:
    """The cells without a result, each with its error."""
    items = []
    for cell in failed:
        spec = cell.spec
        what = ", ".join(
            f"{name.replace('train_', 'training ')} {spec[name]}"
            for name in ("levels", "depth", "metric", "budget_tflops", "train_seed", "overrides")
            if spec.get(name) not in (None, [], "")
        )
        trace = details("traceback", f"<pre>{esc(cell.traceback)}</pre>") if cell.traceback else ""
        items.append(
            f"<li><p><strong>{esc(what) or 'a cell'}</strong><br>{esc(cell.error)}</p>"
            f'<p class="path">{esc(cell.shown)}</p>{trace}</li>'
        )
    return f'<ul class="failed">{"".join(items)}</ul>'


def commands(file: SourceFile) -> tuple[list[str], str]:
    """The commands behind a file, and a word on how far they are known.

    A record may hold its own ``command``. Otherwise it is rebuilt: exactly, from a cell's specification, or from
    the fields of a record of ``hjepa plan``, of which old ones do not hold the overrides of planning.
    """
    stated = [record["command"] for _, record in file.records if isinstance(record.get("command"), str)]
    if len(stated) == len(file.records):
        return list(dict.fromkeys(stated)), "stated in the record"
    specs = [record.get("spec") for _, record in file.records]
    if all(specs):
        out = str(file.folder) if file.folder is not None else "DIR"
        return list(dict.fromkeys(_ablate(spec, out) for spec in specs if spec)), "from the specification"
    found = [_plan(merged, file) for merged in _merged([record for _, record in file.records])]
    weights = sorted({str(r["checkpoint_sha256"]) for _, r in file.records if r["checkpoint_sha256"]})
    note = "rebuilt from the record; old ones do not hold overrides of planning"
    if weights and not _is_run(file):
        note += f"; RUN is the checkpoint with sha256 {', '.join(weights)}"
    return found, note


def _merged(records: list[Record]) -> list[dict[str, Any]]:
    """Records that one command can ask for as one, with lists of levels, metrics and planners."""
    several = ("levels", "metric", "planner")
    single = ("task", "oracle", "perception", "budget_tflops", "split", "tasks", "episodes", "seed")
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        same = (*(record.get(name) for name in single), overrides_of(record))
        groups.setdefault(same, []).append(record)
    found = []
    for group in groups.values():
        lists = {name: sorted({record[name] for record in group}) for name in several}
        if len(group) == len(lists["levels"]) * len(lists["metric"]) * len(lists["planner"]):
            joined = {name: ",".join(map(str, values)) for name, values in lists.items()}
            kept = {name: group[0].get(name) for name in (*single, "overrides")}
            found.append({**kept, **joined})
        else:
            found += group
    return found


def _ablate(spec: dict[str, Any], out: str) -> str:
    words: list[object] = ["hjepa", "ablate", "--preset", spec.get("preset"), "--out", out]
    for override in spec.get("overrides") or []:
        words += ["--set", override]
    names = (
        ("--levels", "levels"), ("--depth", "depth"), ("--train-seeds", "train_seed"), ("--metric", "metric"),
        ("--planner", "planner"), ("--budget-tflops", "budget_tflops"), ("--task", "task"),
        ("--split", "split"), ("--tasks", "tasks"), ("--episodes", "episodes"), ("--seed", "seed"),
    )  # fmt: skip
    return _joined(words, names, spec)


def _plan(record: Record, file: SourceFile) -> str:
    words: list[object] = ["hjepa", "plan", "--checkpoint", file.path.parent if _is_run(file) else "RUN"]
    names = (
        ("--task", "task"), ("--levels", "levels"), ("--metric", "metric"), ("--planner", "planner"),
        ("--oracle", "oracle"), ("--perception", "perception"), ("--budget-tflops", "budget_tflops"),
        ("--split", "split"),
        ("--tasks", "tasks"), ("--episodes", "episodes"), ("--seed", "seed"),
    )  # fmt: skip
    for override in overrides_of(record):
        words += ["--set", override]
    return _joined(words, names, record)


def _joined(words: list[object], names: tuple[tuple[str, str], ...], values: dict[str, Any]) -> str:
    for option, name in names:
        if values.get(name) is not None:
            words += [option, values[name]]
    return shlex.join(str(word) for word in words)


def _is_run(file: SourceFile) -> bool:
    return (file.path.parent / "model.json").is_file()


def _file(file: SourceFile, repeated: dict[str, str], page: Path, unfolded: bool) -> str:
    link = quote(os.fsencode(Path(os.path.relpath(file.path.resolve(), page.resolve().parent)).as_posix()))
    asked, known = commands(file)
    lines = [
        f'<dt>file</dt><dd class="path"><a href="{esc(link)}">{esc(file.shown)}</a></dd>'
        f'<dt>sha256</dt><dd class="path">{esc(file.sha256)}</dd>'
    ]
    for spec in filter(None, (record.get("spec") for _, record in file.records)):
        fits = "is the file’s name" if digest(spec) == file.path.stem else "is not the file’s name"
        lines.append(
            f'<dt>specification</dt><dd class="path">{esc(digest(spec))} <i>{fits}</i><br>'
            f"configuration {esc(config_hash(spec) or 'not recorded')}</dd>"
        )
    code = "".join(f"<code>{esc(line)}</code>" for line in asked)
    lines.append(f"<dt>command</dt><dd><i>{esc(known)}</i>{code}</dd>")
    versions = dict.fromkeys(_versions(record) for _, record in file.records)
    lines.append(f"<dt>made with</dt><dd>{esc('; '.join(filter(None, versions)) or 'not recorded')}</dd>")
    held = "".join(f"<li>{_record(name, record, repeated)}</li>" for name, record in file.records)
    opened = " open" if unfolded else ""
    return f'<details class="source"{opened}><summary><ul>{held}</ul></summary><dl>{"".join(lines)}</dl></details>'


def _record(name: str, record: Record, repeated: dict[str, str]) -> str:
    """One line: the record's name, what it is of, its seeds and its weights."""
    same = f"; the same as {repeated[name]}, so it counts once" if name in repeated else ""
    oracle = f"oracle {record['oracle']}" if record["oracle"] else None
    budget = None if record["budget_tflops"] is None else f"at most {record['budget_tflops']:g} TFLOP"
    trained = None if record["train_seed"] is None else f"training seed {record['train_seed']}"
    weights = str(record["checkpoint_sha256"] or "not recorded")
    parts = [
        record["task"],
        f"{counted(record['levels'])} {record['depth']}",
        record["metric"],
        record["planner"],
        oracle,
        budget,
        f"{record['episodes']} {record['tasks']} {record['split']} episodes",
        f"seed {record['seed']}",
        trained,
    ]
    return (
        f'<b id="{esc(name)}">{esc(name)}</b> {esc(", ".join(part for part in parts if part))}, weights '
        f'<span class="path" title="sha256 {esc(weights)}">{esc(weights[:12])}</span>{esc(same)}'
    )


def _versions(record: Record) -> str:
    held = record["versions"]
    names = [f"{name} {held[name]}" for name in ("hjepa", "python", "torch", "numpy") if held.get(name)]
    return ", ".join(names + ([f"{held['threads']} thread(s)"] if held.get("threads") else []))

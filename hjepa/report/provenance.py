"""Where every number comes from: the files, their hashes, and the command that asks for each of them again."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hjepa.cells import digest
from hjepa.records import Record
from hjepa.report.markup import details, esc, table
from hjepa.report.sources import FailedCell, Material, SourceFile


def sources_section(material: Material, page: Path) -> str:
    """One entry per file: path, SHA-256, command, and its records with the names that the page uses.

    Args:
        material: what was read.
        page: where the page will be, for links to the files.
    """
    return "".join(_file(file, material.repeated, page) for file in material.files)


def failed_section(failed: list[FailedCell]) -> str:
    """The cells without a result, each with its error."""
    items = []
    for cell in failed:
        spec = cell.spec
        what = ", ".join(
            f"{name} {spec[name]}"
            for name in ("levels", "depth", "metric", "train_seed", "overrides")
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
    the fields of a record of ``hjepa plan``, which do not hold the overrides of planning.
    """
    stated = [record["command"] for _, record in file.records if isinstance(record.get("command"), str)]
    if len(stated) == len(file.records):
        return list(dict.fromkeys(stated)), "stated in the record"
    specs = [record.get("spec") for _, record in file.records]
    if all(specs):
        out = str(file.folder) if file.folder is not None else "DIR"
        return list(dict.fromkeys(_ablate(spec, out) for spec in specs if spec)), "from the specification"
    found = list(dict.fromkeys(_plan(record, file) for _, record in file.records))
    weights = sorted({str(r["checkpoint_sha256"]) for _, r in file.records if r["checkpoint_sha256"]})
    note = "rebuilt from the record; overrides of planning, if there were any, are not in it"
    if weights and not _is_run(file):
        note += f"; RUN is the checkpoint with sha256 {', '.join(weights)}"
    return found, note


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
        ("--oracle", "oracle"), ("--budget-tflops", "budget_tflops"), ("--split", "split"),
        ("--tasks", "tasks"), ("--episodes", "episodes"), ("--seed", "seed"),
    )  # fmt: skip
    return _joined(words, names, record)


def _joined(words: list[object], names: tuple[tuple[str, str], ...], values: dict[str, Any]) -> str:
    for option, name in names:
        if values.get(name) is not None:
            words += [option, values[name]]
    return shlex.join(str(word) for word in words)


def _is_run(file: SourceFile) -> bool:
    return (file.path.parent / "model.json").is_file()


def _file(file: SourceFile, repeated: dict[str, str], page: Path) -> str:
    link = quote(Path(os.path.relpath(file.path.resolve(), page.resolve().parent)).as_posix())
    asked, known = commands(file)
    rows = []
    for name, record in file.records:
        seed = "–" if record["train_seed"] is None else record["train_seed"]
        weights = str(record["checkpoint_sha256"] or "not recorded")
        same = f" = {repeated[name]}, counts once" if name in repeated else ""
        what = ", ".join(filter(None, (record["metric"], record["planner"], record["oracle"] or "")))
        rows.append([
            f'<span id="{esc(name)}">{esc(name)}</span>{esc(same)}', esc(record["task"]),
            f"{record['levels']} {esc(record['depth'])}", esc(what),
            f"{record['episodes']} {esc(record['tasks'])} {esc(record['split'])}", esc(record["seed"]),
            esc(seed), f'<span class="path" title="{esc(weights)}">{esc(weights[:12])}</span>',
        ])  # fmt: skip
    head = ["record", "task", "levels", "planned with", "episodes", "evaluation seed", "training seed",
            "weights"]  # fmt: skip
    lines = [f"<dt>sha256</dt><dd class='path'>{esc(file.sha256)}</dd>"]
    for spec in filter(None, (record.get("spec") for _, record in file.records)):
        fits = "which is the file’s name" if digest(spec) == file.path.stem else "which is not the file’s name"
        lines.append(
            f"<dt>specification</dt><dd class='path'>{esc(digest(spec))} <i>{fits}</i><br>"
            f"configuration {esc(spec.get('config_sha256', 'not recorded'))}</dd>"
        )
    code = "".join(f"<code>{esc(line)}</code>" for line in asked)
    lines.append(f"<dt>command</dt><dd><i>{esc(known)}</i>{code}</dd>")
    versions = dict.fromkeys(_versions(record) for _, record in file.records)
    lines.append(f"<dt>made with</dt><dd>{esc('; '.join(filter(None, versions)) or 'not recorded')}</dd>")
    return (
        f'<article><h3><a href="{esc(link)}">{esc(file.shown)}</a></h3><dl>{"".join(lines)}</dl>'
        f"{table(head, rows, kind='small')}</article>"
    )


def _versions(record: Record) -> str:
    held = record["versions"]
    names = [f"{name} {held[name]}" for name in ("hjepa", "python", "torch", "numpy") if held.get(name)]
    return ", ".join(names + ([f"{held['threads']} thread(s)"] if held.get("threads") else []))

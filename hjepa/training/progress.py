"""What a run in progress keeps beside its output, so that a kill at any moment loses nothing and leaves nothing.

``OUT.partial`` holds the run's identity, its configuration, its metrics so far and what Lightning needs to go on. The
finished run is put together in a folder inside of it, which one rename makes ``OUT``; only then is the rest removed.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from hjepa.config import dump, parse_config
from hjepa.errors import InputError, one_line
from hjepa.json_files import read_json, write_json, write_text
from hjepa.own_code import named_in
from hjepa.settings import RunConfig

NOTE, CONFIG, RESUME, METRICS_FILE, MADE = "run.json", "config.yaml", "resume.ckpt", "metrics.csv", "finished"
COLUMNS = ("step", "level", "loss", "prediction", "prior", "variance", "covariance", "sigreg", "similarity",
           "inverse", "look", "probe", "critic")  # fmt: skip

LOG_FOLDERS = ("tensorboard", "wandb")
"""Of loggers that a run was asked for."""

KEYS = COLUMNS[:3]
"""What every table begins with; terms have come behind them in the course of time."""

# In the order in which they are removed: without its note, what is left belongs to nobody.
OWN = (f"{RESUME}.new", RESUME, METRICS_FILE, CONFIG, NOTE)


def claim(folder: Path, config: RunConfig, identity: dict[str, Any]) -> None:
    """Begin a run in a folder that is there, or check that what it holds is this run's and can be gone on with.

    Args:
        folder: of the run in progress, locked.
        config: of the run.
        identity: configuration, and hashes of the data and of what it starts with.

    Raises:
        InputError: progress of another run, or that cannot be read, or anything else.
    """
    note = folder / NOTE
    if note.exists():
        if not same_run(read_json(note), identity):
            raise InputError(
                "holds an unfinished run of another configuration or data",
                str(folder),
                "finish that run, or remove the folder",
            )
        saved = folder / RESUME
        drop_metrics(folder / METRICS_FILE, read_resume(saved)["global_step"] if saved.exists() else 0)
        return
    strange = sorted(item.name for item in folder.iterdir() if not _own(item.name))
    if strange:
        raise InputError(
            f"holds {strange[0]}, which no run has put there", str(folder), "move it, or choose another --out"
        )
    _clear(folder)
    write_text(folder / CONFIG, dump(config))
    write_json(note, identity)


def finish(folder: Path, out: Path, save: Callable[[Path], None]) -> None:
    """Put the finished run together and rename it into place; then remove the progress.

    Args:
        folder: of the run in progress.
        out: its output, not there or an empty folder.
        save: writes the checkpoint into the folder that it is given.
    """
    made = folder / MADE
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for name in (CONFIG, METRICS_FILE):
        shutil.copyfile(folder / name, made / name)
    for name in LOG_FOLDERS:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, made / name, symlinks=True)
    save(made)
    made.rename(out)
    _clear(folder)
    folder.rmdir()


def remove_progress_of(folder: Path, identity: dict[str, Any]) -> None:
    """Remove what a killed run has left beside its finished output, if it is that run's."""
    if not folder.is_dir() or not all(_own(item.name) for item in folder.iterdir()):
        return
    note = folder / NOTE
    if note.exists() and not same_run(read_json(note), identity):
        return
    _clear(folder)
    with suppress(OSError):
        folder.rmdir()


def same_run(found: Any, identity: dict[str, Any]) -> bool:
    """Whether a folder is of a run. Configurations are parsed first, so that later settings have defaults."""
    if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
        return False
    if any(found.get(key) != identity.get(key) for key in ("data_sha256", "start_sha256")):
        return False
    # What a run of others names is not even imported to tell that it is another one.
    if not set(named_in(found["config"])) <= set(named_in(identity["config"])):
        return False
    return parse_config(found["config"], "run folder") == parse_config(identity["config"], "run")


def read_resume(file: Path) -> dict[str, Any]:
    """What Lightning has saved to go on with.

    Raises:
        InputError: it cannot be read.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        whole = isinstance(content, dict) and isinstance(content.get("global_step"), int)
        whole = whole and isinstance(content.get("state_dict"), dict)
    except Exception as error:  # torch raises what its parts raise: of zip files, pickles, end of file
        raise _broken(file, one_line(error)[:120] or type(error).__name__) from None
    if not whole:
        raise _broken(file, "it holds something else")
    return dict(content)


def check_resume(file: Path, wanted: Mapping[str, torch.Tensor]) -> None:
    """Raise InputError for saved weights of other shapes than a run's."""
    found = read_resume(file)["state_dict"]
    if {name: value.shape for name, value in found.items()} != {n: v.shape for n, v in wanted.items()}:
        raise _broken(file, "its weights have other shapes")


def append_metrics(file: Path, rows: list[dict[str, Any]]) -> None:
    """Append rows to a table with a header; terms that it has no column for get one behind the others."""
    columns, known = _table(file)
    more = list(dict.fromkeys(name for row in rows for name in row if name not in columns))
    whole = file.exists() and file.read_bytes().startswith(_written(columns, []).encode())
    if more or not whole:
        columns = [*columns, *more]
        write_text(file, _written(columns, known))
    with file.open("a", newline="") as stream:
        csv.DictWriter(stream, columns, restval="").writerows(rows)


def drop_metrics(file: Path, step: int) -> None:
    """Keep only the whole rows up to a step; a kill meets the old table or the new one."""
    if file.exists():
        columns, rows = _table(file)
        kept = [row for row in rows if int(row["step"]) <= step]
        write_text(file, _written(columns if kept else [*COLUMNS], kept))


def _table(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and whole rows of a table; `COLUMNS` and none where there is no table yet."""
    if not file.exists():
        return [*COLUMNS], []
    with file.open(newline="", encoding="utf-8", errors="replace") as stream:
        reader = csv.DictReader(stream)
        columns = list(reader.fieldnames or ())
        if columns[: len(KEYS)] != [*KEYS]:
            return [*COLUMNS], []
        # A row that a kill has cut off lacks columns, and may have lost digits of its step.
        rows = [
            row
            for row in reader
            if set(row) == set(columns) and None not in row.values() and row["step"].isdigit()
        ]
    return columns, rows


def _written(columns: list[str], rows: list[dict[str, str]]) -> str:
    """A table as text; what a row lacks stays empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _broken(file: Path, why: str) -> InputError:
    return InputError(f"cannot be gone on with ({why})", str(file), f"remove {file.parent} to begin anew")


def _own(name: str) -> bool:
    temporary = name.startswith(".") and name.endswith(".tmp")
    return name in (*OWN, MADE, *LOG_FOLDERS) or temporary


def _clear(folder: Path) -> None:
    """Remove what a run keeps, its note last."""
    for name in (MADE, *LOG_FOLDERS):
        shutil.rmtree(folder / name, ignore_errors=True)
    for item in folder.glob(".*.tmp"):
        item.unlink(missing_ok=True)
    for name in OWN:
        (folder / name).unlink(missing_ok=True)

"""What is kept beside the weights of a checkpoint: further weights, each with its description.

The description names the file of its weights, which is called after its contents. Replacing it is the one switch from
an old pair of files to a new one, so that a reader, or a kill at any moment, meets a whole pair.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hjepa.errors import InputError
from hjepa.json_files import write_bytes, write_json

LARGEST = 1 << 20
"""Bytes of a description."""


def save_beside(folder: Path, kind: str, state: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write weights and their description; earlier ones of the kind stay whole until they are replaced.

    Args:
        folder: of the checkpoint.
        kind: ``actors`` or ``pixels``; begins the names of both files.
        state: the weights.
        facts: entries of the description; ``weights`` and ``sha256`` are added.
    """
    content = save({name: value.detach().cpu().contiguous() for name, value in state.items()})
    sha256 = hashlib.sha256(content).hexdigest()
    weights = f"{kind}-{sha256[:16]}.safetensors"
    write_bytes(folder / weights, content)
    write_json(folder / f"{kind}.json", {**facts, "weights": weights, "sha256": sha256})
    for old in folder.glob(f"{kind}*.safetensors"):
        if old.name != weights and _belongs(old.name, kind):
            with suppress(OSError):
                old.unlink()


def load_beside(folder: Path, kind: str, remedy: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """A description and its weights; None where there are none.

    Args:
        folder: of the checkpoint.
        kind: see `save_beside`.
        remedy: said in errors.

    Raises:
        InputError: files that cannot be read, or weights of other contents than described.
    """
    file = folder / f"{kind}.json"
    if not os.path.lexists(file):
        return None
    content = read_description(file, remedy)
    # Descriptions written before weights were called after their contents name none, and some no hash.
    name = content.get("weights", f"{kind}.safetensors")
    if not isinstance(name, str) or not _belongs(name, kind):
        raise InputError(f"names the weights {str(name)[:80]!r}", str(file), remedy)
    try:
        stored = (folder / name).read_bytes()
        if content.get("sha256", hashlib.sha256(stored).hexdigest()) != hashlib.sha256(stored).hexdigest():
            raise InputError(
                f"does not have the contents that {file.name} describes", str(folder / name), remedy
            )
        return content, load(stored)
    except (OSError, SafetensorError) as error:
        raise InputError(f"weights cannot be read ({error})", str(file), remedy) from None


def read_description(file: Path, remedy: str) -> dict[str, Any]:
    """A JSON file that describes weights.

    Raises:
        InputError: it cannot be read, is larger than `LARGEST`, or holds something else than named values.
    """
    try:
        size = file.stat().st_size
        if size > LARGEST:
            raise InputError(f"has {size} bytes, more than a description has", str(file), remedy)
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot be read ({error})", str(file), remedy) from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot be read ({type(error).__name__})", str(file), remedy) from None
    if not isinstance(content, dict):
        raise InputError("describes nothing", str(file), remedy)
    return content


def _belongs(name: str, kind: str) -> bool:
    return re.fullmatch(rf"{kind}(-[0-9a-f]{{16}})?\.safetensors", name) is not None

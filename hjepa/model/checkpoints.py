"""Checkpoints: weights as safetensors, everything else as JSON. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hjepa.config import parse_config, to_plain
from hjepa.errors import InputError
from hjepa.json_files import write_json
from hjepa.model.actors import load_actors
from hjepa.model.pixels import load_pixels
from hjepa.model.stack import Stack
from levels.settings import Sight, World

FORMAT = "hjepa-stack"
VERSION = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
SHIPPED = Path(__file__).parents[1] / "weights"


def save_stack(stack: Stack, folder: str | os.PathLike[str], facts: dict[str, Any] | None = None) -> None:
    """Write a stack into a folder that exists.

    Args:
        stack: any device.
        folder: gets `WEIGHTS` and `DESCRIPTION`.
        facts: further entries of the description, such as the hash of the data.
    """
    folder = Path(folder)
    state = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in stack.state_dict().items()
        if not name.startswith("actors.")  # kept for themselves
    }
    save_file(state, folder / WEIGHTS)
    write_json(
        folder / DESCRIPTION,
        {
            "format": FORMAT,
            "version": VERSION,
            "config": to_plain(stack.config),
            **asdict(stack.world),
            "sha256": file_sha256(folder / WEIGHTS),
            **(facts or {}),
        },
    )


def checkpoint_folder(name: str | os.PathLike[str]) -> Path:
    """The folder of shipped weights of that name, or the run folder itself.

    Raises:
        InputError: neither is there.
    """
    shipped = SHIPPED / str(name)
    folder = shipped if (shipped / DESCRIPTION).exists() else Path(name)
    if not (folder / DESCRIPTION).exists():
        known = ", ".join(sorted(p.parent.name for p in SHIPPED.glob(f"*/{DESCRIPTION}"))) or "none yet"
        raise InputError(
            f"no checkpoint {str(name)!r}",
            "",
            f"give a run folder made by hjepa fit, or shipped weights ({known})",
        )
    return folder


def describe(name: str | os.PathLike[str]) -> dict[str, Any]:
    """``model.json`` of a checkpoint.

    Raises:
        InputError: not a checkpoint of this project, or another version.
    """
    file = checkpoint_folder(name) / DESCRIPTION
    try:
        content = json.loads(file.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot be read ({error})", str(file), "train the stack again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError("is no checkpoint of this project", str(file), "give another folder")
    if content.get("version") != VERSION:
        raise InputError(
            f"has version {content.get('version')}, this code reads {VERSION}",
            str(file),
            "train the stack again",
        )
    return content


def load_stack(name: str | os.PathLike[str], device: str = "cpu") -> Stack:
    """A trained stack, ready to plan.

    Args:
        name: shipped weights or a run folder.
        device: where to.

    Raises:
        InputError: missing, truncated or foreign files, or weights of other shapes than described.
    """
    folder, content = checkpoint_folder(name), describe(name)
    weights = folder / WEIGHTS
    if not weights.exists():
        raise InputError("is missing", str(weights), "restore it or train the stack again")
    if file_sha256(weights) != content.get("sha256"):
        raise InputError(
            f"does not have the contents that {DESCRIPTION} describes",
            str(weights),
            "restore it or train again",
        )
    try:
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise InputError(f"is no safetensors file ({error})", str(weights), "train the stack again") from None
    config = parse_config(content["config"], str(folder / DESCRIPTION))
    # Descriptions written before there were other worlds name size and actions alone.
    world = World(
        tuple(content["size"]),
        int(content["actions"]),
        int(content.get("doors", 0)),
        bool(content.get("continuous", False)),
        int(content.get("keys", 0)),
        _sight(content.get("sight")),
    )
    stack = Stack(config, world)
    try:
        stack.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"does not fit its description ({error})", str(weights), "train the stack again"
        ) from None
    broken = [key for key, value in state.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise InputError(
            f"holds values that are not finite in {broken[0]}", str(weights), "train the stack again"
        )
    load_actors(stack, folder, content["sha256"])
    stack.pixels = load_pixels(folder, world, content["sha256"], device)
    return stack.to(device).eval().requires_grad_(False)


def _sight(content: dict[str, Any] | None) -> Sight | None:
    """What level 1 sees, from a description."""
    if content is None:
        return None
    return Sight(content["kind"], tuple(content["shape"]), tuple(content["codes"]))


def file_sha256(file: Path) -> str:
    """Hash of a file's contents."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

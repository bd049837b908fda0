"""Checkpoints: weights as safetensors, everything else as JSON. Nothing is unpickled."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hjepa.config import parse_config, to_plain
from hjepa.devices import in_plain_modes
from hjepa.errors import InputError
from hjepa.json_files import write_json
from hjepa.model.actors import load_actors
from hjepa.model.beside import read_description
from hjepa.model.described import described_world, fits, header
from hjepa.model.pixels import load_pixels
from hjepa.model.stack import Stack
from hjepa.own_code import check_named
from hjepa.places import is_empty, is_shipped, output_folder, plain_name, shipped_or_here

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
    """The folder of shipped weights of that name, or the run folder itself, see `hjepa.places.shipped_or_here`.

    Raises:
        InputError: neither is there, or both are.
    """
    folder = shipped_or_here(name, SHIPPED / plain_name(str(name)), "weights", folder=True)
    if not os.path.exists(folder / DESCRIPTION):
        known = ", ".join(sorted(p.parent.name for p in SHIPPED.glob(f"*/{DESCRIPTION}"))) or "none yet"
        raise InputError(
            f"no checkpoint {str(name)[:200]!r}",
            "",
            f"give a run folder made by hjepa fit, or shipped weights ({known})",
        )
    return folder


def folder_to_add_to(name: str | os.PathLike[str], out: str | os.PathLike[str] | None) -> Path:
    """Where something that belongs to a checkpoint is going to be kept: its own folder, or that of a copy.

    Args:
        name: of the checkpoint.
        out: the folder of a copy; None: none is made.

    Raises:
        InputError: shipped weights without ``out``, a folder that holds something else, or one that cannot be written.
    """
    source = checkpoint_folder(name)
    if out is None:
        if is_shipped(source):
            raise InputError("comes with the package", str(name), "name a folder for a copy with --out DIR")
        return output_folder(source, renamed=False)
    folder = output_folder(out)
    if not is_empty(folder):
        same = (folder / DESCRIPTION).exists() and describe(folder)["sha256"] == describe(name)["sha256"]
        if not same:
            raise InputError("holds something else", str(out), "choose another --out")
        return output_folder(out, renamed=False)
    return folder


def copy_checkpoint(name: str | os.PathLike[str], folder: Path) -> None:
    """Copy a checkpoint to where `folder_to_add_to` says, unless it is there."""
    if not is_empty(folder):
        return
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(checkpoint_folder(name), partial)
    partial.rename(folder)


def describe(name: str | os.PathLike[str]) -> dict[str, Any]:
    """``model.json`` of a checkpoint.

    Raises:
        InputError: not a checkpoint of this project, or another version.
    """
    file = checkpoint_folder(name) / DESCRIPTION
    content = read_description(file, "train the stack again")
    if content.get("format") != FORMAT:
        raise InputError("is no checkpoint of this project", str(file), "give another folder")
    if content.get("version") != VERSION:
        raise InputError(
            f"has version {content.get('version')}, this code reads {VERSION}",
            str(file),
            "train the stack again",
        )
    for key, kind in (("config", dict), ("size", list), ("actions", int), ("sha256", str)):
        if not isinstance(content.get(key), kind):
            raise InputError(f"has no {key} that can be read", str(file), "train the stack again")
    return content


@torch.random.fork_rng(devices=[])  # new weights are drawn; the random state is the caller's
@in_plain_modes
def load_stack(name: str | os.PathLike[str], device: str = "cpu", *, allow: Collection[str] = ()) -> Stack:
    """A trained stack, ready to plan.

    Args:
        name: shipped weights or a run folder.
        device: where to.
        allow: modules of a user's own parts that may be imported, beside those that `hjepa.own_code` knows of.

    Raises:
        InputError: missing, truncated or foreign files, weights of other shapes than described, or code that nobody has
            allowed.
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
    check_named(content["config"], str(folder / DESCRIPTION), allow)
    config = parse_config(content["config"], str(folder / DESCRIPTION))
    try:
        world = described_world(content)
    except ValueError as error:
        raise InputError(str(error), str(folder / DESCRIPTION), "train the stack again") from None
    try:
        with torch.device("meta"):  # shapes are compared before anything is made
            fits(header(weights), Stack(config, world))
        state = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise InputError(f"is no safetensors file ({error})", str(weights), "train the stack again") from None
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"does not fit its description ({error})", str(weights), "train the stack again"
        ) from None
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


def file_sha256(file: Path) -> str:
    """Hash of a file's contents."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

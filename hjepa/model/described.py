"""What a description says of weights, checked against their shapes before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor, nn

from levels.settings import SEEING, Sight, World

LONGEST, MOST_ACTIONS, MOST_SLOTS, MOST_FRAMES = 1024, 4096, 256, 64
"""Cells a side of a world, its actions, and its doors or keys."""


def whole(value: Any, name: str, least: int, most: int) -> int:
    """A whole number between two others.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} is {str(value)[:80]}, not a whole number from {least} to {most}")
    return value


def described_world(content: Mapping[str, Any]) -> World:
    """The world that a checkpoint's description names; those of old name size and actions alone.

    Raises:
        ValueError: an entry that is missing or cannot be.
    """
    size, continuous = content.get("size"), content.get("continuous", False)
    if not isinstance(size, list) or len(size) != 2:
        raise ValueError(f"size is {str(size)[:80]}, not the width and height of a world")
    if not isinstance(continuous, bool):
        raise ValueError(f"continuous is {str(continuous)[:80]}, neither true nor false")
    return World(
        (whole(size[0], "size", 1, LONGEST), whole(size[1], "size", 1, LONGEST)),
        whole(content.get("actions"), "actions", 1, MOST_ACTIONS),
        whole(content.get("doors", 0), "doors", 0, MOST_SLOTS),
        continuous,
        whole(content.get("keys", 0), "keys", 0, MOST_SLOTS),
        None if content.get("sight") is None else _sight(content["sight"]),
    )


def _sight(content: Any) -> Sight:
    """What level 1 sees."""
    if not isinstance(content, Mapping) or content.get("kind") not in SEEING:
        raise ValueError(f"sight is {str(content)[:80]}, not one of {', '.join(SEEING)} with its shape")
    lists = {name: content.get(name) for name in ("shape", "codes")}
    for name, values in lists.items():
        if not isinstance(values, list) or len(values) > 3:
            raise ValueError(f"sight.{name} is {str(values)[:80]}, not a list of up to 3 numbers")
    shape = tuple(whole(value, "sight.shape", 1, LONGEST * LONGEST) for value in content["shape"])
    codes = tuple(whole(value, "sight.codes", 1, 256) for value in content["codes"])
    axes = 1 if content["kind"] == "vector" else 3
    if len(shape) != axes or len(codes) != (shape[2] if content["kind"] == "symbols" else 0):
        raise ValueError(
            f"sight {content['kind']} has shape {list(shape)} and codes {list(codes)}; they do not fit"
        )
    frames = whole(content.get("frames", 1), "sight.frames", 1, MOST_FRAMES)
    if frames > 1 and (content["kind"] != "image" or shape[2] % frames):
        raise ValueError(
            f"sight {content['kind']} of shape {list(shape)} has {frames} frames; they do not fit"
        )
    return Sight(content["kind"], shape, codes, frames)


def header(file: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in a file, without their contents."""
    with safe_open(file, framework="pt") as stored:
        return {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118


def fits(found: Mapping[str, Tensor | tuple[int, ...]], module: nn.Module) -> None:
    """Compare what was found with what a module holds.

    Args:
        found: tensors, or their shapes, by name.
        module: on any device, ``meta`` too.

    Raises:
        ValueError: names or shapes differ; says the first.
    """
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    shapes = {name: tuple(getattr(value, "shape", value)) for name, value in found.items()}
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            raise ValueError(
                f"{name} is {shapes.get(name, 'missing')} where {wanted.get(name, 'nothing')} is described"
            )

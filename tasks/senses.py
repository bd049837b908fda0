"""From what an environment returns to the entries of an observation: which spaces can be sensed, and as what.

- A picture, uint8 with sides of 32 and more and at most 4 channels (or none: grey), is an ``image``; so are several of
  them, the moments of Gymnasium's ``FrameStackObservation``, as one whose channels hold them one behind the other.
- A small grid of integers from 0 up, a Box or a MultiDiscrete of 2 or 3 axes, is ``symbols``.
- A row of numbers is a ``vector``, and so is a Discrete number, as one number 1 among zeros.

The entries of a Dict keep its keys, ``outer.inner`` where a Dict is in a Dict. An observation that is no Dict has one
entry, named by its kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from tasks.worlds import Actions, Sense

PICTURE = 32
"""Pixels a side from which on a grid of bytes is a picture."""

MOST_CODES = 256
"""Codes a channel of symbols may have."""


def senses_of(space: Space[Any], kind: str = "") -> dict[str, Sense]:
    """What can be sensed of an observation space, by name.

    Args:
        space: of single observations.
        kind: of the senses that are wanted, one of `tasks.worlds.KINDS`; empty: all of them.

    Returns:
        The senses; entries that cannot be sensed, such as text, are left out, so there may be none.
    """
    found = {}
    for path, leaf in leaves(space):
        sense = sense_of(leaf, kind)
        if sense is not None and kind in ("", sense.kind):
            found[".".join(path) or sense.kind] = sense
    return found


def leaves(space: Space[Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Space[Any]]]:
    """The keys that lead to each space that is no Dict, and the space."""
    if not isinstance(space, spaces.Dict):
        yield path, space
        return
    for name, inner in space.spaces.items():
        yield from leaves(inner, (*path, str(name)))


def sense_of(space: Space[Any], kind: str = "") -> Sense | None:
    """The sense of one space that is no Dict, or None; ``kind`` decides where a small picture could be symbols."""
    if isinstance(space, spaces.Discrete):
        return Sense("vector", (int(space.n),))
    if isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
        return Sense("vector", space.shape)
    if isinstance(space, spaces.MultiDiscrete):
        start = np.broadcast_to(space.start, space.shape)
        return _symbols(space.shape, np.asarray(start), np.asarray(space.nvec) + start - 1)
    if not isinstance(space, spaces.Box) or min(space.shape, default=0) < 1:
        return None
    if len(space.shape) == 1:
        return Sense("vector", space.shape)
    picture = _picture(space, PICTURE if kind == "" else 1)
    if picture is not None and kind in ("", "image"):
        return picture
    if np.issubdtype(space.dtype, np.integer) and (kind == "symbols" or max(space.shape[:2]) < PICTURE):
        return _symbols(space.shape, space.low, space.high)
    return None


def _picture(space: spaces.Box, least: int) -> Sense | None:
    shape = (*space.shape, 1) if len(space.shape) == 2 else space.shape
    frames, shape = (shape[0], shape[1:]) if len(shape) == 4 else (1, shape)
    if space.dtype != np.uint8 or len(shape) != 3 or min(shape[:2]) < least or shape[2] > 4:
        return None
    return Sense("image", (*shape[:2], frames * shape[2]), frames=frames)


def _symbols(shape: tuple[int, ...], low: np.ndarray, high: np.ndarray) -> Sense | None:
    if len(shape) not in (2, 3) or (low < 0).any() or (high >= MOST_CODES).any():
        return None
    most = high.reshape(*shape[:2], -1).max((0, 1))
    codes = tuple(int(each) + 1 for each in most)
    return Sense("symbols", (*shape[:2], len(codes)), codes)


def symbol_space(shape: tuple[int, ...], codes: tuple[int, ...]) -> spaces.Box:
    """The space of symbols (W, H, C) uint8, which says how many codes each channel has.

    Libraries of reinforcement learning take every Box of three axes with bytes from 0 to 255 for a picture, and give it
    to a network that small grids do not fit.

    Args:
        shape: of one grid.
        codes: C numbers of codes.
    """
    high = np.broadcast_to(np.array(codes) - 1, shape).astype(np.uint8)
    return spaces.Box(np.zeros_like(high), high, dtype=np.uint8)


def sensed(raw: Any, space: Space[Any], sense: Sense) -> np.ndarray:
    """One entry of an observation, as its sense has it.

    Args:
        raw: the entry as the environment returned it.
        space: of the entry.
        sense: what is wanted of it; a picture of another size is averaged to the wanted one.

    Returns:
        An array of the sense's shape, float32 of a vector and uint8 otherwise.
    """
    if isinstance(space, spaces.Discrete):
        out = np.zeros(sense.shape, dtype=np.float32)
        out[int(raw) - int(space.start)] = 1.0
        return out
    found = np.asarray(raw)
    if sense.kind == "vector":
        return found.astype(np.float32)
    if found.ndim == 2:
        found = found[..., None]
    if found.ndim == 4:
        found = behind(found)
    if sense.kind == "image":
        return average(found, sense.shape[0], sense.shape[1])
    return found.astype(np.uint8)


def behind(frames: np.ndarray) -> np.ndarray:
    """Frames (K, H, W, C), the latest last, as one picture (H, W, K C)."""
    return np.concatenate(list(frames), -1)


def average(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture (H, W, C) uint8 in another size, each pixel the mean of the area it covers, (height, width, C) uint8.

    A picture that has the size is returned as it is.
    """
    if picture.shape[:2] == (height, width):
        return picture
    rows, columns = shares(picture.shape[0], height), shares(picture.shape[1], width)
    mixed = np.tensordot(rows, picture.astype(np.float32), (1, 0))
    mixed = np.tensordot(mixed, columns, (1, 1)).transpose(0, 2, 1)
    return np.ascontiguousarray(np.rint(mixed).astype(np.uint8))


def shares(old: int, new: int) -> np.ndarray:
    """(new, old) float32: which share of each new pixel every old one covers; rows add up to 1."""
    edges = np.arange(new + 1) * (old / new)
    pixels = np.arange(old)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(covered, 0, None) * (new / old)).astype(np.float32)


def actions_of(space: Space[Any], world: str) -> Actions:
    """What can be done in an action space.

    Args:
        space: of single actions.
        world: id, for messages.

    Raises:
        ValueError: a space that is neither Discrete nor a row of bounded numbers.
    """
    if isinstance(space, spaces.Discrete):
        return Actions(int(space.n))
    where = f"actions of {world}: {space}"
    if not isinstance(space, spaces.Box):
        raise ValueError(
            f"{where} is neither Discrete nor Box; wrap the environment so that an action is one integer or one row"
            " of numbers"
        )
    if len(space.shape) != 1 or not np.issubdtype(space.dtype, np.floating):
        raise ValueError(
            f"{where} is not one row of numbers; wrap the environment with a TransformAction that has one"
        )
    if not space.is_bounded() or not (space.low < space.high).all():
        raise ValueError(
            f"{where} has bounds that are not finite or leave no room; wrap it with"
            " gymnasium.wrappers.RescaleAction or ClipAction over finite bounds"
        )
    low, high = (tuple(float(each) for each in bound) for bound in (space.low, space.high))
    return Actions(len(low), low, high)

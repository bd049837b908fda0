"""What an observation store's description must say and its arrays must be; the table is in :mod:`tasks.store`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tasks.store_files import META, StoreError
from tasks.worlds import Actions, Sense

FORMAT = "hjepa-observations"
VERSION = 2
KIND = "observation store"

EPISODE_ARRAYS: dict[str, str] = {
    "offsets": "int64",
    "group": "int64",
    "seed": "int64",
    "terminated": "bool",
    "truncated": "bool",
}
"""Arrays with one entry per episode (``offsets``: and one more), and their dtypes."""


def action_dtype(actions: Actions) -> np.dtype[Any]:
    """How actions are kept."""
    if actions.continuous:
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if actions.count <= 256 else np.int64)


def sense_dtype(sense: Sense) -> np.dtype[Any]:
    """How observations of a sense are kept."""
    return np.dtype(np.float32 if sense.kind == "vector" else np.uint8)


def row_arrays(
    senses: dict[str, Sense], actions: Actions
) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Dtype and shape of one row, by name, of the arrays with one entry per observation; state is not among them."""
    arrays = {f"observation/{name}": (sense_dtype(sense), sense.shape) for name, sense in senses.items()}
    return arrays | {"action": (action_dtype(actions), (actions.count,) if actions.continuous else ())}


def senses_of(meta: dict[str, Any]) -> dict[str, Sense]:
    """The senses that a description names."""
    return {
        name: Sense(sense["kind"], tuple(sense["shape"]), tuple(sense["codes"]), sense.get("frames", 1))
        for name, sense in meta["senses"].items()
    }


def actions_of(meta: dict[str, Any]) -> Actions:
    """The actions that a description names."""
    actions = meta["actions"]
    return Actions(actions["count"], tuple(actions["low"]), tuple(actions["high"]))


def describe_space(senses: dict[str, Sense], actions: Actions) -> dict[str, Any]:
    """What `senses_of` and `actions_of` read."""
    return {"senses": {name: described(sense) for name, sense in senses.items()}, "actions": asdict(actions)}


def described(sense: Sense) -> dict[str, Any]:
    """A sense as plain values; one frame is not said, as in stores of the time when there was no more."""
    values = asdict(sense)
    return values if sense.frames > 1 else {name: value for name, value in values.items() if name != "frames"}


def check_description(folder: Path, meta: dict[str, Any]) -> None:
    """Raise StoreError where a description does not say what is needed to read the arrays it names."""
    try:
        wanted = {*row_arrays(senses_of(meta), actions_of(meta)), *EPISODE_ARRAYS}
        state = meta.get("state", {})
        safe = all(Path(name).name == name for name in [*meta["senses"], *state])
        fits = set(meta["arrays"]) == wanted and bool(meta["senses"]) and safe
        fits = fits and all({"dtype", "shape", "sha256"} <= set(found) for found in state.values())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{folder / META} does not describe senses and actions ({error!r}); collect the store again"
        ) from None
    if not fits:
        raise StoreError(f"{folder / META} does not describe every array; collect the store again")


def check_arrays(
    folder: Path, arrays: dict[str, np.ndarray], senses: dict[str, Sense], actions: Actions
) -> None:
    """Raise StoreError where arrays do not fit the senses and actions or one another."""
    rows = row_arrays(senses, actions)
    for name, dtype in EPISODE_ARRAYS.items():
        if str(arrays[name].dtype) != dtype or arrays[name].ndim != 1:
            raise StoreError(f"{folder} has {name} as {arrays[name].dtype} {arrays[name].shape}, not {dtype}")
    for name, (wanted, shape) in rows.items():
        if arrays[name].dtype != wanted or arrays[name].shape[1:] != shape:
            found = f"{arrays[name].dtype} {arrays[name].shape[1:]}"
            raise StoreError(f"{folder} has rows of {name} as {found}, not {wanted} {shape}")
    offsets, group, count = arrays["offsets"], arrays["group"], len(arrays["action"])
    problem = None
    if not len(group) or any(len(arrays[name]) != len(group) for name in EPISODE_ARRAYS if name != "offsets"):
        problem = "arrays of different numbers of episodes"
    elif len(offsets) != len(group) + 1:
        problem = f"{len(offsets)} offsets for {len(group)} episodes"
    elif offsets[0] != 0 or offsets[-1] != count or (np.diff(offsets) < 1).any():
        problem = f"offsets that do not divide {count} observations into episodes"
    elif any(len(array) != count for name, array in arrays.items() if name not in EPISODE_ARRAYS):
        problem = "observations, actions and state of different lengths"
    elif len(np.unique(group)) != int((group[1:] != group[:-1]).sum()) + 1:
        problem = "episodes of one group that do not stand together"
    if problem:
        raise StoreError(f"{folder} has {problem}; collect the store again")

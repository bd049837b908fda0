"""What a store holds, compared with what its world can show and do, before it is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hjepa.errors import InputError
from levels.grid.memory import SYMBOLS
from tasks import ObservationStore, TaskSpec, TrajectoryStore

REMEDY = "collect the store again"
HEADINGS = 4
AT_ONCE = 1 << 16
"""Rows that are looked at together."""


def check_states(store: TrajectoryStore, spec: TaskSpec) -> None:
    """Raise InputError for agents, actions or floor plans that the task of a store cannot have."""
    path, size = store.path, (spec.width, spec.height)
    if store.grids.shape[1:] != (*size, len(SYMBOLS)) or store.agent.shape[1:] != (spec.agent_size,):
        raise InputError(
            f"holds floor plans {store.grids.shape[1:]} and agents {store.agent.shape[1:]}; {spec.id} has {size}",
            str(path),
            REMEDY,
        )
    kinds = "f" if spec.continuous else "iu"
    width = (spec.actions,) if spec.continuous else ()
    for name, array, inner in (
        ("agent", store.agent, store.agent.shape[1:]),
        ("action", store.action, width),
    ):
        if array.dtype.kind not in kinds or array.shape[1:] != inner:
            raise InputError(f"holds {array.dtype} of shape {array.shape}", _file(path, name), REMEDY)
    _within(store.grid_index, np.array(0), np.array(len(store.grids) - 1), _file(path, "grid_index"))
    _within(store.grids, np.zeros(len(SYMBOLS)), np.array(SYMBOLS) - 1, _file(path, "grids"))
    doors, keys = (3 if spec.keys else 2,) * spec.doors, (2,) * spec.keys
    states = np.array(size if spec.continuous else (*size, HEADINGS, *doors, *keys))
    _within(store.agent, np.zeros(len(states)), states - (0 if spec.continuous else 1), _file(path, "agent"))
    least, most = (-1, 1) if spec.continuous else (0, spec.actions - 1)
    _within(store.action, np.array(least), np.array(most), _file(path, "action"))


def check_seen(store: ObservationStore, name: str) -> None:
    """Raise InputError for actions or observations of a sense that the world of a store cannot have."""
    actions, sense = store.actions, store.senses[name]
    if actions.continuous:
        _within(
            store.action,
            np.array(actions.low),
            np.array(actions.high),
            _file(store.path, "action"),
            slack=1e-4,
        )
    else:
        _within(store.action, np.array(0), np.array(actions.count - 1), _file(store.path, "action"))
    seen, file = store.observation[name], _file(store.path, name)
    if sense.kind == "symbols":
        _within(seen, np.zeros(len(sense.codes)), np.array(sense.codes) - 1, file)
    elif sense.kind == "vector":
        _within(seen, np.array(-1e30), np.array(1e30), file)


def _file(path: Path, name: str) -> str:
    return str(path / f"{name}.npy")


def _within(values: np.ndarray, least: np.ndarray, most: np.ndarray, where: str, slack: float = 0.0) -> None:
    """Compare rows (N, ...) with bounds that broadcast over them."""
    for first in range(0, len(values), AT_ONCE):
        rows = np.asarray(values[first : first + AT_ONCE])
        wrong = ~((rows >= least - slack) & (rows <= most + slack))  # NaN is neither
        if wrong.any():
            place = tuple(index[0] for index in np.nonzero(wrong))
            bounds = f"{np.broadcast_to(least, rows.shape)[place]:g} to {np.broadcast_to(most, rows.shape)[place]:g}"
            raise InputError(f"holds {rows[place]} in row {first + place[0]}, not {bounds}", where, REMEDY)

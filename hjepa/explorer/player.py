"""The explorer inside a notebook: the same page for traces at hand."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hjepa.errors import InputError
from hjepa.explorer.episodes import plain_walk
from hjepa.explorer.packing import Blobs
from hjepa.explorer.page import page
from hjepa.explorer.recording import empty, plain_world
from hjepa.explorer.request import plain_agent
from hjepa.figures.walk import read_walk
from tasks import task_spec

if TYPE_CHECKING:
    from hjepa.evaluation.playing import Trace


@dataclass(frozen=True)
class Player:
    """A page for the output of a notebook's cell; it shows itself there.

    Attributes:
        page: HTML, as ``hjepa explore`` writes it.
        height: of its frame, in pixels.
    """

    page: str = field(repr=False)
    height: int

    def _repr_html_(self) -> str:
        # In a frame of its own, which may run its script and nothing else: the notebook and the page leave each
        # other's style alone.
        return (
            f'<iframe sandbox="allow-scripts" title="explorer" width="100%" height="{self.height}" style="border:0"'
            f' srcdoc="{html.escape(self.page, quote=True)}"></iframe>'
        )


def player(
    trace: Trace | Sequence[Trace],
    episode: int = 0,
    names: Sequence[str] | None = None,
    task: str | None = None,
    height: int = 900,
) -> Player:
    """An episode to play, step by step, with the plans and subgoals of every level; of two traces side by side.

    Costs and latents of all states are in the page that ``hjepa explore`` writes.

    Args:
        trace: from `hjepa.watch`, or several of the same episodes.
        episode: row of the traces, from 0.
        names: of the agents; None: the task that each stack was trained for.
        task: id; None: the task that the first stack was trained for.
        height: of the frame in pixels.

    Raises:
        InputError: no trace, no such episode, traces of other tasks, or without decisions.
    """
    traces = [*trace] if isinstance(trace, Sequence) else [trace]
    given = [one.stack.config.task for one in traces] if names is None else [*names]
    if not traces or len(given) != len(traces):
        raise InputError(f"{len(given)} names of {len(traces)} traces", "figures", "give a name for each")
    walks = [read_walk(one, episode) for one in traces]
    spec = task_spec(task or traces[0].stack.config.task)
    batch = traces[0].episodes.select([episode])
    content, blobs = empty(spec.id), Blobs()
    content["worlds"].append(plain_world(spec, batch, blobs, episode))
    for name, one, walk in zip(given, traces, walks):
        if not np.array_equal(one.episodes.grid[episode], batch.grid[0]):
            raise InputError("traces of different tasks", "figures", "plan the same episodes with all agents")
        walked = plain_walk(walk, [None] * len(walk.plans), batch.continuous, blobs)
        content["agents"].append(plain_agent(name, one.stack, one.stack.depth, None, 0, [walked]))
    content["blobs"] = blobs.texts
    return Player(page(content), height)

"""One episode of a trace, in cells and steps: what the pictures of an episode draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from hjepa.errors import InputError
from tasks import EpisodeBatch, distances
from tasks.key_oracles import key_distances, steps_from
from tasks.point_dynamics import SPEED
from tasks.point_oracles import lattice_distances, remaining

if TYPE_CHECKING:
    from hjepa.evaluation.evaluate import Trace


@dataclass(frozen=True)
class Imagined:
    """One plan of one level, decoded to positions by the level's probe.

    Attributes:
        number: from 1, counted over the plans of this level that were not skipped; 0 for a skipped one.
        time: environment steps taken before it was made.
        origin: (2,) x, y of the agent at that time.
        positions: (H, 2) x, y of the predicted latents; the first is the subgoal given to the level below.
        at_goal: whether it aimed at the goal, rather than at a subgoal.
        skipped: whether the level passed the goal down instead.
        latents: (H, D) the predicted latents.
    """

    number: int
    time: int
    origin: np.ndarray
    positions: np.ndarray
    at_goal: bool
    skipped: bool
    latents: torch.Tensor


@dataclass(frozen=True)
class Walk:
    """One episode.

    Attributes:
        episode: its row in the trace.
        task: id of the task the stack was trained for.
        walls: (W, H) bool.
        goal: (A,) x, y, heading; of a continuous world x, y.
        path: (S + 1, A) agents from the start to the end.
        left: (S + 1,) steps of the shortest path to the goal that are left.
        success: whether it reached the goal.
        shortest: steps of the shortest path from the start.
        plans: per level, level 1 first, in order of time.
    """

    episode: int
    task: str
    walls: np.ndarray
    goal: np.ndarray
    path: np.ndarray
    left: np.ndarray
    success: bool
    shortest: int
    plans: list[list[Imagined]]

    @property
    def steps(self) -> int:
        """S, environment steps walked."""
        return len(self.path) - 1

    @property
    def outcome(self) -> str:
        """How it went, in words."""
        how = "reached the goal in" if self.success else "did not reach the goal in"
        return f"{how} {self.steps} steps (shortest path: {self.shortest})"


def read_walk(trace: Trace, episode: int = 0) -> Walk:
    """One episode of a trace.

    Args:
        trace: from `hjepa.evaluation.evaluate.play`.
        episode: row of the trace, from 0.

    Raises:
        InputError: no such episode, or a trace of an agent that did not record its decisions.
    """
    count = len(trace.episodes)
    if not 0 <= episode < count:
        raise InputError(
            f"episode {episode} of a trace of {count}", "figures", f"choose from 0 to {count - 1}"
        )
    if not trace.decisions:
        raise InputError(
            "the trace holds no decisions", "figures", "play with an agent made with record=True"
        )
    steps = int(trace.results.steps[episode])
    path = np.asarray(trace.agent[episode, : steps + 1])
    batch = trace.episodes.select([episode])
    return Walk(
        episode=episode,
        task=trace.stack.config.task,
        walls=batch.walls[0],
        goal=batch.goal[0],
        path=path,
        left=steps_left(batch, path),
        success=bool(trace.results.success[episode]),
        shortest=int(batch.oracle_steps[0]),
        plans=_decode(trace, episode, path),
    )


def steps_left(batch: EpisodeBatch, agents: np.ndarray) -> np.ndarray:
    """Steps of the shortest path to the goal, (N,) int64, from agents (N, A) of the one episode of a batch; -1 where
    there is none."""
    if batch.continuous:
        cells = remaining(lattice_distances(batch.walls, batch.goal), agents[None])[0]
        return np.where(np.isfinite(cells), np.ceil(np.nan_to_num(cells, posinf=0) / SPEED), -1).astype(
            np.int64
        )
    if batch.keys:
        table = key_distances(batch.barriers, batch.goal[:, :2], batch.doors)
        return steps_from(np.broadcast_to(table, (len(agents), *table.shape[1:])), agents)
    return distances(batch.walls, batch.goal)[0][agents[:, 0], agents[:, 1], agents[:, 2]].astype(np.int64)


@torch.no_grad()
def _decode(trace: Trace, episode: int, path: np.ndarray) -> list[list[Imagined]]:
    plans: list[list[Imagined]] = [[] for _ in range(trace.stack.depth)]
    counts = [0] * trace.stack.depth
    for decision in trace.decisions:
        found = (decision.rows == episode).nonzero().flatten().tolist()
        for row in found:
            k, time, skipped = decision.level - 1, int(decision.time[row]), bool(decision.skipped[row])
            counts[k] += not skipped
            positions = trace.stack.probe(k).expected(decision.plan.latents[row]).cpu().numpy()
            plans[k].append(
                Imagined(
                    number=0 if skipped else counts[k],
                    time=time,
                    origin=path[time, :2],
                    positions=positions,
                    at_goal=bool(decision.at_goal),
                    skipped=skipped,
                    latents=decision.plan.latents[row],
                )
            )
    return plans


def between(plans: list[Imagined], start: int, stop: int) -> list[Imagined]:
    """The plans made at steps from start up to, without, stop."""
    return [plan for plan in plans if start <= plan.time < stop]

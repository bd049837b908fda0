"""Agents of any world: what it showed them, what they imagined, and how far they thought the goal was.

Where there is no floor plan, latents are the map: those of held-out observations, or of what was met on the way, in the
two directions in which they differ most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hjepa.agent.agent import Agent
from hjepa.agent.episodes import Episodes
from hjepa.evaluation.playing import Results
from hjepa.evaluation.worlds import WorldEvaluation, play_world
from hjepa.explorer.frames import Frames
from hjepa.explorer.latent_maps import ENCODED, costs
from hjepa.explorer.packing import bytes_between, whole
from hjepa.figures.projection import SIDE, Projection
from planners.noise import combine
from tasks import ObservationStore, TaskBatch, World
from tasks.world_pictures import goal_pictures, pictures
from tasks.worlds import Observation

AROUND = 300
"""Held-out observations in a map of latents."""


@dataclass
class Watched:
    """What happened in E tasks; see `hjepa.evaluation.worlds.Watch`.

    Attributes:
        world: that is played in.
        name: of the sense that the agent sees.
        state: what the agent kept.
        seen: per step, (E, ...).
        shown: per step, pictures (E, H, W, 3), or None.
    """

    world: World
    name: str
    state: Episodes | None = None
    seen: list[np.ndarray] = field(default_factory=list)
    shown: list[np.ndarray | None] = field(default_factory=list)

    def begin(self, state: Episodes, seen: Observation) -> None:
        """The tasks have begun."""
        self.state = state
        self.step(seen)

    def step(self, seen: Observation) -> None:
        """This is seen now."""
        self.seen.append(np.array(seen[self.name]))
        self.shown.append(pictures(self.world, seen))


def plain_seen_world(
    asked: WorldEvaluation, world: World, tasks: TaskBatch, name: str, frames: Frames
) -> dict[str, Any]:
    """A world that shows no floor plan, and its tasks.

    Args:
        asked: which tasks they are.
        world: is begun anew.
        tasks: E of them.
        name: of the sense that agents see.
        frames: get the pictures of the goals.
    """
    shown = goal_pictures(world, tasks)
    goals = [None] * len(tasks) if shown is None else frames.add(shown)
    return {
        "kind": "seen",
        "task": world.spec.id,
        "split": asked.split,
        "starts": f"goals {asked.goals}",
        "seed": asked.seed,
        "step_budget": world.spec.step_budget,
        "every": frames.every,
        "observation": world.spec.senses[name].kind,
        "episodes": [
            {
                "number": row,
                "goal": goals[row],
                "shortest": None if np.isnan(steps := tasks.oracle_steps[row]) else int(steps),
            }
            for row in range(len(tasks))
        ],
    }


def played_seen(
    agent: Agent,
    world: World,
    tasks: TaskBatch,
    first: int,
    asked: WorldEvaluation,
    name: str,
    frames: Frames,
) -> Iterator[dict[str, Any]]:
    """Play tasks and give each as plain values.

    Args:
        agent: records its decisions.
        world: to play in.
        tasks: of it.
        first: number of the first one in its evaluation set.
        asked: the evaluation.
        name: of the sense that the agent sees.
        frames: get the pictures.
    """
    watched = Watched(world, name)
    results = play_world(agent, world, tasks, first, asked.seed, name, watched)
    assert watched.state is not None
    # The same keys give the same costs as the agent had when it was played.
    keys = combine(asked.seed, torch.arange(first, first + len(tasks)))
    world.reset(tasks)
    goal = world.goal()
    assert goal is not None
    begun = agent.begin({"image": watched.seen[0]}, {"image": goal[name]}, keys)
    around = _around(asked.data, name)
    for row in range(len(tasks)):
        yield _plain(agent, watched, begun, results, row, around, frames)


def _around(data: ObservationStore | None, name: str) -> np.ndarray | None:
    """Observations (N, ...) of held-out trajectories, evenly over them; None: there are none."""
    if data is None:
        return None
    values = data.recorded().observations[name]
    rows = np.unique(np.linspace(0, len(values) - 1, AROUND).astype(np.int64))
    return np.asarray(values[rows])


def _plain(
    agent: Agent,
    watched: Watched,
    begun: Episodes,
    results: Results,
    row: int,
    around: np.ndarray | None,
    frames: Frames,
) -> dict[str, Any]:
    steps = int(results.steps[row])
    walked = np.stack([seen[row] for seen in watched.seen[: steps + 1]])
    memories = [None if memory is None else memory[row : row + 1] for memory in begun.memories]
    path = _encode(agent, walked, memories)
    states = path if around is None else _encode(agent, around, memories)
    made = _plans(watched.state, agent.depth, row)
    levels = []
    for k in range(agent.depth):
        goal = begun.plan.levels[k].goal[row]
        apart, unit, metric = costs(agent, begun, row, k, path[k])
        others, _, _ = costs(agent, begun, row, k, states[k])
        low, high = float(min(apart.min(), others.min())), float(max(apart.max(), others.max()))
        # The way and the goal lie in the map, whatever else does.
        projection = Projection.of(torch.cat([states[k], path[k], goal[None]]), metric)
        levels.append(
            {
                "plans": [{**plan, "uv": whole(projection.place(latents))} for plan, latents in made[k]],
                "map": {
                    "states": frames.blobs.add(bytes_between(projection.place(states[k]), 0.0, SIDE, 255)),
                    "shade": frames.blobs.add(bytes_between(others, low, high, 254)),
                    "costs": [float(f"{value:.4g}") for value in apart],
                    "low": float(f"{low:.4g}"),
                    "high": float(f"{high:.4g}"),
                    "unit": unit,
                    "goal": whole(projection.place(goal)),
                    "path": whole(projection.place(path[k])),
                    "shown": round(projection.shown, 3),
                },
            }
        )
    return {
        "success": int(results.success[row]),
        "steps": steps,
        "frames": _frames(watched, row, steps, frames),
        "levels": levels,
    }


def _frames(watched: Watched, row: int, steps: int, frames: Frames) -> list[str]:
    """Names of the pictures of every so many steps, from the start on, and of the last."""
    times = sorted({*range(0, steps + 1, frames.every), steps})
    shown = [watched.shown[time] for time in times]
    return (
        []
        if any(one is None for one in shown)
        else frames.add([one[row] for one in shown if one is not None])
    )


def _plans(state: Episodes | None, depth: int, row: int) -> list[list[tuple[dict[str, Any], Tensor]]]:
    """Per level, in order of time, plans of one episode and the latents (H, D) that they predict."""
    found: list[list[tuple[dict[str, Any], Tensor]]] = [[] for _ in range(depth)]
    for decision in [] if state is None else state.plan.decisions:
        for place in (decision.rows == row).nonzero().flatten().tolist():
            plan = {
                "at": int(decision.time[place]),
                "skipped": int(decision.skipped[place]),
                "goal": int(decision.at_goal),
            }
            found[decision.level - 1].append((plan, decision.plan.latents[place]))
    return found


@torch.no_grad()
def _encode(agent: Agent, seen: np.ndarray, memories: list[Tensor | None]) -> list[Tensor]:
    """Latents (N, D_k) per level of what was seen (N, ...) in one episode."""
    device, parts = agent.stack.step_distance.device, []
    for first in range(0, len(seen), ENCODED):
        some = torch.from_numpy(np.ascontiguousarray(seen[first : first + ENCODED]))
        parts.append([latent[0] for latent in agent.stack.encode(some[None].to(device), memories)])
    return [torch.cat(level) for level in zip(*parts)]

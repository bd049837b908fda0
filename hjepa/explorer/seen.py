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
from hjepa.evaluation.worlds import WorldEvaluation, begin_tasks, play_world
from hjepa.explorer.frames import Frames
from hjepa.explorer.latent_maps import costs
from hjepa.explorer.packing import bytes_between, whole
from hjepa.figures.latent_map import ENCODED
from hjepa.figures.projection import SIDE, Projection
from planners.noise import combine
from tasks import ObservationStore, TaskBatch, World
from tasks.world_pictures import drawn, goal_pictures, pictures
from tasks.worlds import Observation

AROUND = 300
"""Held-out observations in a map of latents."""


@dataclass(frozen=True)
class Held:
    """Observations of held-out trajectories.

    Attributes:
        seen: (N, ...) of the sense that agents see.
        pictures: N names, None where there is no picture.
    """

    seen: np.ndarray
    pictures: list[str | None]


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
        "held": None,
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
    held: Held | None,
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
        held: what the map of latents is made of; None: what was met on the way.
    """
    watched = Watched(world, name)
    results = play_world(agent, world, tasks, first, asked.seed, name, watched)
    assert watched.state is not None
    # The same keys give the same costs as the agent had when it was played.
    keys = combine(asked.seed, torch.arange(first, first + len(tasks)))
    world.reset(tasks)
    goal = world.goal()
    assert goal is not None
    begun = begin_tasks(agent, tasks, watched.seen[0], goal[name], keys)
    for row in range(len(tasks)):
        yield _plain(agent, watched, begun, results, row, held, frames)


def held_out(data: ObservationStore | None, world: World, name: str, frames: Frames) -> Held | None:
    """Observations of held-out trajectories, evenly over them, with pictures where they are something to look at.

    Args:
        data: the trajectories; None: there are none.
        world: that they are from.
        name: of the sense that agents see.
        frames: get the pictures; where those of the way have to be fewer, so are these.
    """
    if data is None:
        return None
    values = data.recorded().observations[name]
    rows = np.unique(np.linspace(0, len(values) - 1, AROUND).astype(np.int64))
    seen = np.asarray(values[rows])
    shown = drawn(world.spec, {name: seen})
    if shown is None:
        return Held(seen, [None] * len(seen))
    frames.begin(shown)
    names: list[str | None] = [None] * len(seen)
    names[:: frames.every] = frames.add(shown[:: frames.every])
    return Held(seen, names)


def _plain(
    agent: Agent,
    watched: Watched,
    begun: Episodes,
    results: Results,
    row: int,
    held: Held | None,
    frames: Frames,
) -> dict[str, Any]:
    steps = int(results.steps[row])
    walked = np.stack([seen[row] for seen in watched.seen[: steps + 1]])
    memories = [None if memory is None else memory[row : row + 1] for memory in begun.memories]
    path = _encode(agent, walked, memories)
    states = path if held is None else _encode(agent, held.seen, memories)
    made = _plans(watched.state, agent.depth, row)
    times = sorted({*range(0, steps + 1, frames.every), steps})
    shown = _frames(watched, row, times, frames)
    pictured = _pictured(held, times, shown)
    levels = []
    for k in range(agent.depth):
        goal = begun.plan.levels[k].goal[row]
        apart, unit, metric = costs(agent, begun, row, k, path[k])
        others, _, _ = costs(agent, begun, row, k, states[k])
        low, high = float(min(apart.min(), others.min())), float(max(apart.max(), others.max()))
        # The way and the goal lie in the map, whatever else does.
        projection = Projection.of(torch.cat([states[k], path[k], goal[None]]), metric)
        plans = [{**plan, "uv": whole(projection.place(latents))} for plan, latents in made[k]]
        if k:
            ahead = [latents[0] for _, latents in made[k]]
            for plan, near in zip(plans, nearest(ahead, states[k], path[k], pictured, metric)):
                plan["near"] = None if plan["skipped"] else near
        levels.append(
            {
                "plans": plans,
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
        "frames": shown,
        "levels": levels,
    }


def _frames(watched: Watched, row: int, times: list[int], frames: Frames) -> list[str]:
    """Names of the pictures at some steps; none where the world has no pictures."""
    shown = [watched.shown[time] for time in times]
    return (
        []
        if any(one is None for one in shown)
        else frames.add([one[row] for one in shown if one is not None])
    )


def _pictured(held: Held | None, times: list[int], shown: list[str]) -> list[tuple[bool, int, str]]:
    """All states of an episode that have a picture: whether it was met on the way, its row there or among the
    held-out ones, and the picture."""
    found = [] if held is None else [(False, row, name) for row, name in enumerate(held.pictures) if name]
    return [*found, *((True, time, name) for time, name in zip(times, shown))]


def nearest(
    ahead: list[Tensor],
    states: Tensor,
    path: Tensor,
    pictured: list[tuple[bool, int, str]],
    metric: Tensor | None = None,
) -> list[str | None]:
    """What imagined latents look like: pictures of the states whose latents, of the same level, are nearest to them.

    Args:
        ahead: P latents (D,).
        states: (N, D) of held-out observations.
        path: (S + 1, D) of what was met on the way.
        pictured: which of them have pictures, see `_pictured`.
        metric: (D, M), what the level sees differences of; None: all the same.

    Returns:
        P names, None where nothing has a picture.
    """
    if not ahead or not pictured:
        return [None] * len(ahead)
    known = torch.stack([(path if walked else states)[row] for walked, row, _ in pictured]).double()
    aims = torch.stack(ahead).double()
    if metric is not None:
        aims, known = aims @ metric.double(), known @ metric.double()
    least = torch.cdist(aims, known).argmin(1)
    return [pictured[place][2] for place in least.tolist()]


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

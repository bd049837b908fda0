"""Agents are played on the same episodes, and what they did and imagined becomes the data of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import to_hex

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.devices import fix_threads
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent, play
from hjepa.evaluation.playing import Trace
from hjepa.explorer.episodes import plain_task, plain_walk, steps_to_goal
from hjepa.explorer.latent_maps import LatentMap, latent_maps
from hjepa.explorer.packing import Blobs
from hjepa.explorer.request import OF_SEEN, ExploreRequest, Opened, choices, plain_agent
from hjepa.explorer.schema import FORMAT, VERSION
from hjepa.explorer.seen_players import add_seen, seen_players
from hjepa.figures.style import GOAL, level_colour
from hjepa.figures.walk import read_walk
from hjepa.model.checkpoints import describe, load_stack
from hjepa.own_code import check_task
from planners.noise import combine
from tasks import EpisodeBatch, TaskSpec, sample_episodes, task_spec

TOGETHER = 10
"""Episodes played at once: their records are large."""

COLOURS = 6
"""Levels with a colour of their own."""


@dataclass(frozen=True)
class Player:
    """One agent of the page.

    Attributes:
        run: as it was named.
        of: levels of the run.
        spec: its task.
        agent: records its decisions.
    """

    run: str
    of: int
    spec: TaskSpec
    agent: Agent


def record(request: ExploreRequest, tell: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """The data of the page.

    Everything that cannot work is refused before the first episode.

    Args:
        request: what to show.
        tell: called with the episodes played so far and all of them.

    Raises:
        InputError: runs, levels, metrics or episodes that cannot be.
    """
    fix_threads()
    opened = [_opened(run) for run in request.runs]
    players = [player for run in opened if not run.seen for player in _players(request, run)]
    batches = {player.spec.id: _episodes(request, player.spec) for player in players}
    seen = seen_players(request, [run for run in opened if run.seen])
    if not players and not seen:
        raise InputError(
            f"levels {','.join(map(str, request.levels or ()))}",
            "explore",
            "no run has as many; choose fewer",
        )
    content, blobs = empty(" against ".join(request.runs)), Blobs()
    for task, batch in batches.items():
        spec = task_spec(task)
        facts = request.split, request.starts or spec.kinds[0], request.seed
        content["worlds"].append(plain_world(spec, batch, blobs, 0, *facts))
    done, every = 0, (len(players) + len(seen)) * request.episodes

    def told(more: int) -> None:
        nonlocal done
        done += more
        if tell is not None:
            tell(done, every)

    told(0)

    for player in players:
        batch, episodes = batches[player.spec.id], []
        for first in range(0, request.episodes, TOGETHER):
            part = batch.select(slice(first, first + TOGETHER))
            episodes += list(played(player.agent, player.spec, part, first, request.seed, blobs))
            told(len(part))
        stack, metric = player.agent.stack, player.agent.settings.metric
        world = list(batches).index(player.spec.id)
        content["agents"].append(plain_agent(player.run, stack, player.of, metric, world, episodes))
    add_seen(content, seen, blobs, told)
    content["blobs"] = blobs.texts
    return content


def empty(title: str) -> dict[str, Any]:
    """The data of a page with nothing on it."""
    ramp = [to_hex(colour) for colour in colormaps["viridis_r"](np.linspace(0, 1, 32))]
    levels = [level_colour(level) for level in range(1, COLOURS + 1)]
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "colours": {"levels": levels, "ramp": ramp, "goal": GOAL},
        "worlds": [],
        "agents": [],
        "blobs": {},
    }


def plain_world(
    spec: TaskSpec,
    batch: EpisodeBatch,
    blobs: Blobs,
    first: int = 0,
    split: str | None = None,
    starts: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """A task and its episodes, the first of them with number ``first``; None what is not known of them."""
    return {
        "kind": "cells",
        "task": spec.id,
        "split": split,
        "starts": starts,
        "seed": seed,
        "continuous": batch.continuous,
        "width": int(batch.grid.shape[1]),
        "height": int(batch.grid.shape[2]),
        "step_budget": spec.step_budget,
        "episodes": [plain_task(batch.select([row]), first + row, blobs) for row in range(len(batch))],
    }


def played(
    agent: Agent, spec: TaskSpec, batch: EpisodeBatch, first: int, seed: int, blobs: Blobs
) -> Iterator[dict[str, Any]]:
    """Play episodes and give each as plain values.

    Args:
        agent: records its decisions.
        spec: task.
        batch: of it.
        first: number of the first one in its evaluation set.
        seed: of the evaluation.
        blobs: get what is large.
    """
    trace = play(agent, spec, batch, first, seed)
    maps = _maps(agent, trace, first, seed)
    for row in range(len(batch)):
        yield plain_walk(read_walk(trace, row), maps[row], batch.continuous, blobs)


def _maps(agent: Agent, trace: Trace, first: int, seed: int) -> list[list[LatentMap | None]]:
    """Maps per episode and level; None in worlds that are seen in parts, where costs change with every view."""
    batch = trace.episodes
    if agent.memory is not None:
        return [[None] * agent.depth for _ in range(len(batch))]
    show, keys = agent.perception.show, combine(seed, torch.arange(first, first + len(batch)))
    # The same keys give the same costs as the agent had when it was played.
    begun = agent.begin(
        show(batch.start_observation, batch.grid, batch.start),
        show(batch.goal_observation, batch.grid, batch.goal),
        keys,
    )
    found: list[list[LatentMap | None]] = []
    for row in range(len(batch)):
        one, length = batch.select([row]), int(trace.results.steps[row]) + 1
        found.append([*latent_maps(agent, begun, row, one, trace.agent[row, :length], steps_to_goal(one))])
    return found


def _opened(run: str) -> Opened:
    stack, content = load_stack(run), describe(run)
    return Opened(run, stack, content)


def _players(request: ExploreRequest, run: Opened) -> Iterator[Player]:
    stack = run.stack
    for name in OF_SEEN:
        if getattr(request, name) is not None:
            raise InputError(
                f"--{name.replace('_', '-')}",
                "explore",
                f"it goes with checkpoints of a store of observations, and {run.name} is none; leave it out",
            )
    if request.task is None:
        check_task(run.content["task"], f"checkpoint {run.name}")
    try:
        spec = task_spec(request.task or run.content["task"])
    except ValueError as error:
        raise InputError(str(error), "explore") from None
    for levels, settings in choices(request, run):
        made = make_agent(stack, spec, AgentOptions(levels, request.budget_tflops, settings, record=True))
        yield Player(run.name, stack.depth, spec, made)


def _episodes(request: ExploreRequest, spec: TaskSpec) -> EpisodeBatch:
    try:
        return sample_episodes(
            spec.id, request.split, request.starts, episodes=request.episodes, seed=request.seed
        )
    except ValueError as error:
        raise InputError(str(error), "explore") from None

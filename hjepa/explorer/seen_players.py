"""Agents of worlds that were learned from a store of observations, and their part of the page's data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.evaluation.worlds import WorldEvaluation, begin_world, within_budget
from hjepa.explorer.frames import Frames
from hjepa.explorer.packing import Blobs
from hjepa.explorer.request import ExploreRequest, Opened, choices, plain_agent
from hjepa.explorer.seen import AROUND, Held, held_out, plain_seen_world, played_seen
from tasks import ObservationStore, StoreError, TaskBatch, World
from tasks.world_pictures import open_rendered

TOGETHER = 5
"""Tasks played at once: an environment of each is open, with all that it shows."""


@dataclass(frozen=True)
class SeenWorld:
    """A world and its tasks, which all agents in it play.

    Attributes:
        asked: the evaluation.
        world: to play in.
        tasks: E of them.
    """

    asked: WorldEvaluation
    world: World
    tasks: TaskBatch


@dataclass(frozen=True)
class SeenPlayer:
    """One agent of the page.

    Attributes:
        run: as it was named.
        of: levels of the run.
        sense: name of what it sees.
        place: its world and the tasks.
        agent: records its decisions.
    """

    run: str
    of: int
    sense: str
    place: SeenWorld
    agent: Agent


def seen_players(request: ExploreRequest, runs: Sequence[Opened]) -> list[SeenPlayer]:
    """The agents of runs.

    Runs of the same world play the same tasks, and whether a goal is reached is judged by the data of the first.

    Raises:
        InputError: goals or worlds that cannot be.
    """
    players: list[SeenPlayer] = []
    if not runs:
        return players
    data = _data(request)
    places: dict[str, SeenWorld] = {}
    for run in runs:
        played = run.content["played"]
        if request.task not in (None, played["world"]["id"]):
            raise InputError(
                f"--task {request.task}",
                "explore",
                f"{run.name} learned {played['world']['id']}; leave it out",
            )
        if data is not None and data.sha256 == run.content.get("data_sha256"):
            raise InputError(
                f"--data is what {run.name} was trained on", str(request.data), "give held-out trajectories"
            )
        key = json.dumps([played["world"], played["sense"]], sort_keys=True)
        if key not in places:
            asked = WorldEvaluation(
                played=played,
                episodes=request.episodes,
                seed=request.seed,
                goals=request.goals or "world",
                data=data,
                success=request.success,
                split=request.split,
                step_budget=request.step_budget,
            )
            world, _, tasks = begin_world(asked, open_rendered)
            places[key] = SeenWorld(asked, world, tasks)
        place = places[key]
        for levels, settings in choices(request, run):
            options = AgentOptions(levels, request.budget_tflops, settings, record=True)
            spec = place.world.spec
            agent = Agent(run.stack, spec.step_budget, within_budget(options, spec))
            players.append(SeenPlayer(run.name, run.stack.depth, played["sense"], place, agent))
    return players


def _data(request: ExploreRequest) -> ObservationStore | None:
    try:
        return None if request.data is None else ObservationStore.open(request.data)
    except StoreError as error:
        raise InputError(str(error), "explore") from None


def add_seen(
    content: dict[str, Any], players: Sequence[SeenPlayer], blobs: Blobs, tell: Callable[[int], None]
) -> None:
    """Play agents, and add them and their worlds to the data of a page.

    Args:
        content: of the page.
        players: all of them.
        blobs: get what is large.
        tell: called with how many episodes more were played.
    """
    count = sum(len(one.place.tasks) * (one.place.world.spec.step_budget + 1) for one in players)
    frames = Frames(blobs, count + AROUND * any(one.place.asked.data is not None for one in players))
    places: list[SeenWorld] = []
    around: list[Held | None] = []
    first_world = len(content["worlds"])
    for player in players:
        place = player.place
        if not any(place is one for one in places):
            places.append(place)
            world = plain_seen_world(place.asked, place.world, place.tasks, player.sense, frames)
            around.append(held_out(place.asked.data, place.world, player.sense, frames))
            world["held"] = None if around[-1] is None else around[-1].pictures
            content["worlds"].append(world)
        index = next(i for i, one in enumerate(places) if one is place)
        episodes: list[dict[str, Any]] = []
        for first in range(0, len(place.tasks), TOGETHER):
            part = place.tasks.select(np.arange(first, min(first + TOGETHER, len(place.tasks))))
            episodes += played_seen(
                player.agent, place.world, part, first, place.asked, player.sense, frames, around[index]
            )
            tell(len(part))
        metric = player.agent.settings.metric
        content["agents"].append(
            plain_agent(player.run, player.agent.stack, player.of, metric, first_world + index, episodes)
        )
    for world in content["worlds"][first_world:]:
        world["every"] = frames.every  # known since the first picture, which need not be one of a goal
    for place in places:
        place.world.close()

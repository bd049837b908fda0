"""Planning where the world is seen in parts: look, remember, and plan anew on what is known now.

Tokens and fields are written anew when a level is about to plan and something was seen since, not at every step. A plan
in whose way something turns up ends at once, at every level; how often that may be in an episode is part of the compute
budget (`hjepa.agent.budget`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hjepa.agent.episodes import Episodes
from hjepa.errors import InputError
from hjepa.gridworld.configurator import Course
from hjepa.gridworld.guardrails import without_lava
from hjepa.gridworld.short_term_memory import Memory, Remembering, believed
from hjepa.model.perception import Observation, as_numpy
from hjepa.model.stack import Stack
from hjepa.settings import PlanSettings
from planners.blocks import blocks
from planners.top_down import PlanState, TopDownPlanner
from tasks.observations import DOOR, grid_to_lava, grid_to_walls

IN_THE_WAY = 0.5
"""Belief that a plan leads through a cell, above which a wall that is seen there ends the plan."""


class Allowance(Protocol):
    """What looking costs, and how often it may be followed by planning anew."""

    look_flops: float
    rewrite_flops: list[float]

    @property
    def surprises(self) -> int:
        """How often in an episode everything may be planned anew."""
        ...


class Writer(Protocol):
    """Writes what a level remembers of a floor plan."""

    def write_level(self, k: int, grid: np.ndarray) -> Tensor | None:
        """What level k + 1 remembers of floor plans (E, W, H, 3), one row each; None: nothing."""
        ...


class Onlooker(Protocol):
    """An agent as far as looking, remembering and planning anew concern it; `hjepa.agent.agent.Agent` is one."""

    stack: Stack
    settings: PlanSettings
    memory: Remembering | None
    planner: TopDownPlanner

    @property
    def searches(self) -> Allowance:
        """What looking may cost."""
        ...

    @property
    def reader(self) -> Writer:
        """What writes memories anew."""
        ...

    def zone(self, floor: np.ndarray, course: Course | None) -> Tensor | None:
        """(E, W, H) 1.0 where plans must not lead in floor plans (E, W, H, 3); None: nowhere."""
        ...

    def aim(self, episodes: Episodes, rows: Tensor, latent: Tensor) -> None:
        """Measure costs anew in the episodes ``rows`` (R,), from latents of now (E, D)."""
        ...


def begin_memory(agent: Onlooker, observation: Observation) -> Memory | None:
    """A memory of E episodes with the first observations in it; None where the world is seen whole.

    Raises:
        InputError: a part of the world is seen and the agent has no memory, or the whole and it has one.
    """
    partial = isinstance(observation, Mapping) and "pose" in observation
    if partial != (agent.memory is not None):
        shown, remedy = ("a part", "give it one") if partial else ("the whole", "leave it out")
        raise InputError(f"the world shows {shown} of itself", "memory of the agent", remedy)
    if agent.memory is None:
        return None
    assert isinstance(observation, Mapping)
    view, pose = (as_numpy(observation[name]) for name in ("image", "pose"))
    memory = agent.memory.make(len(pose), agent.stack.world.size)
    memory.write(view, pose)
    return memory


def look(agent: Onlooker, episodes: Episodes, observation: Observation, active: Tensor) -> None:
    """Remember what is seen now, and end plans that a wall turns out to stand in the way of.

    Args:
        agent: with a memory.
        episodes: changed in place.
        observation: views and poses of now.
        active: (E,) bool, episodes that still run.
    """
    plan = episodes.plan
    if not bool(plan.time.any()):
        return  # as it was when the episodes began
    assert agent.memory is not None and episodes.short_term is not None and isinstance(observation, Mapping)
    episodes.short_term.write(*(as_numpy(observation[name]) for name in ("image", "pose")))
    floor, before = believed(episodes.short_term.read()), episodes.floor
    device = active.device
    episodes.stale |= torch.from_numpy((floor != before).any((1, 2, 3))).to(device) & active
    episodes.floor = floor
    # At once, not with the next plan: actions are held to it too.
    plan.zone = agent.zone(floor, episodes.course)
    if not agent.memory.keeps_plans:
        agent.planner.plan_anew(plan, active.nonzero().squeeze(1))
        return
    walls = torch.from_numpy(_closed(floor) & ~_closed(before)).float().to(device)
    asks = active & (walls.flatten(1).amax(1) > 0) & (episodes.surprised < agent.searches.surprises)
    for index, kept in blocks(asks.nonzero().squeeze(1), agent.settings.block):
        rows = index[:kept][_in_the_way(agent, plan, index, walls[index])[:kept]]
        plan.flops[index[:kept]] += agent.searches.look_flops
        episodes.surprised[rows] += 1
        agent.planner.plan_anew(plan, rows)


def renew(agent: Onlooker, episodes: Episodes, latent: Tensor, asks: list[Tensor]) -> None:
    """Write anew what levels that are about to plan read of what has been seen since they last did.

    Args:
        agent: with a memory.
        episodes: changed in place.
        latent: (E, D_1) of now.
        asks: per level, (E,) bool, which episodes plan there.
    """
    plan, changed = episodes.plan, asks[0] & episodes.stale[0]
    for k, asked in enumerate(asks):
        rows, memory = (asked & episodes.stale[k]).nonzero().squeeze(1), episodes.memories[k]
        if memory is not None and len(rows):
            written = agent.reader.write_level(k, without_lava(episodes.floor[rows.cpu().numpy()]))
            assert written is not None
            memory[rows] = written
            plan.flops[rows] += agent.searches.rewrite_flops[k]
        episodes.stale[k] &= ~asked
    rows = changed.nonzero().squeeze(1)
    if len(rows):
        agent.aim(episodes, rows, latent)


def _closed(floor: np.ndarray) -> np.ndarray:
    """(E, W, H) bool, where floor plans (E, W, H, 3) show that no way leads, or none before a door is opened."""
    return grid_to_walls(floor) | grid_to_lava(floor) | (floor[..., 0] == DOOR)


def _in_the_way(agent: Onlooker, plan: PlanState, index: Tensor, walls: Tensor) -> Tensor:
    """(B,) bool, whether walls (B, W, H) are on what is left of level 1's plan, or where a subgoal is."""
    first = plan.levels[0]
    step = torch.arange(plan.expected.shape[1], device=index.device)
    left = (step >= first.cursor[index, None]) & (step < first.length[index, None])
    meets = ((agent.stack.probe(0).inside(plan.expected[index], walls) > IN_THE_WAY) & left).any(1)
    for k, level in enumerate(plan.levels[:-1]):
        assert level.target is not None
        inside = agent.stack.probe(k + 1).inside(level.target[index].unsqueeze(1), walls).squeeze(1)
        meets |= (inside > IN_THE_WAY) & ~level.aims_at_goal[index]
    return meets

"""Models written by hand whose optimal plans are known; tests get them through the fixture ``hand``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from planners.planner import Planner
from planners.proposals import EnumerationProposal, PriorProposal
from planners.protocols import ActionSpace, Model, Objective, Plan, Problem
from planners.refiners import AdamRefiner, NoRefiner
from planners.spaces import Box, Simplex
from planners.top_down import Decision, LevelPlanner, PlanState, TopDownPlanner

MOVES = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
"""Stay, east, west, north, south."""


def squared(first: Tensor, second: Tensor) -> Tensor:
    """Squared Euclidean distance: (..., D), (..., D) -> (...)."""
    return (first - second).square().sum(-1)


def problem(start: Tensor, objective: Objective, horizon: int, seed: int = 0, **more: Tensor) -> Problem:
    """A problem per row of ``start``, with the keys seed, seed + 1, ..."""
    keys = torch.arange(seed, seed + len(start))
    return Problem(start, more.pop("memory", None), horizon, objective, keys, **more)


class PointMass:
    """A point in the plane; actions in [-1, 1]^2 move it by ``reach`` times themselves, memory (E, 2) is
    wind.

    Within ``H * reach`` of the start in both coordinates the best squared distance to a goal after H steps is
    0; beyond, it is the sum of the squares of what is missing.
    """

    flops = 10.0
    lift_flops = 3.0

    def __init__(self, reach: float = 1.0, coarser: float = 4.0) -> None:
        self.space: ActionSpace = Box(-torch.ones(2), torch.ones(2))
        self.reach = reach
        self.coarser = coarser

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return latent if memory is None else latent + memory.unsqueeze(1)

    def prior(self, condition: Tensor) -> Tensor:
        """Mean 0 and standard deviation 0.5 everywhere."""
        return torch.cat([torch.zeros_like(condition), torch.full_like(condition, 0.5).log()], -1)

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        return condition + self.reach * action

    def lift(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return latent / self.coarser


class OpenGrid:
    """The plane without walls, one of `MOVES` per step; what is at most H moves away can be reached."""

    flops = 10.0

    def __init__(self, logits: Tensor | None = None) -> None:
        self.space: ActionSpace = Simplex(5)
        self.logits = torch.zeros(5) if logits is None else logits

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return latent

    def prior(self, condition: Tensor) -> Tensor:
        return self.logits.expand(*condition.shape[:-1], 5)

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        return latent + action @ MOVES


class TableModel:
    """Places with coordinates, and a table of where each action leads from each of them.

    Args:
        places: (S, D) whole numbers, the coordinates; the latents.
        table: (S, A) number of the next place.
        above: (S, D_above) latents of the places one level up.
    """

    flops = 7.0
    lift_flops = 2.0

    def __init__(self, places: Tensor, table: Tensor, above: Tensor | None = None) -> None:
        self.places, self.table, self.above = places.float(), table, above
        self.space: ActionSpace = Simplex(table.shape[1])
        self.corner, extent = places.amin(0), places.amax(0) - places.amin(0) + 1
        self.digits = torch.cat([extent[1:].flip(0).cumprod(0).flip(0), torch.ones(1, dtype=torch.int64)])
        self.numbers = torch.zeros(int(extent.prod()), dtype=torch.int64)
        self.numbers[((places - self.corner) * self.digits).sum(-1)] = torch.arange(len(places))

    def number(self, latent: Tensor) -> Tensor:
        """(..., D) -> number of the place there, (...)."""
        return self.numbers[((latent.round().long() - self.corner) * self.digits).sum(-1)]

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return latent

    def prior(self, condition: Tensor) -> Tensor:
        return torch.zeros(*condition.shape[:-1], self.table.shape[1])

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        following = self.places[self.table[self.number(latent)]]
        return (action.unsqueeze(-1) * following).sum(-2)

    def lift(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        assert self.above is not None
        return self.above[self.number(latent)].float()


class Neural(nn.Module):
    """A network with random weights and widths that fit no register; memory (E, 3) is one of its inputs."""

    flops = 100.0
    lift_flops = 20.0

    def __init__(self, space: ActionSpace, prior_dim: int, seed: int, dim: int = 5, above: int = 7) -> None:
        super().__init__()
        self.space = space
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.trunk = nn.Sequential(nn.Linear(dim + 3, 11), nn.GELU())
            self.priors = nn.Linear(11, prior_dim)
            self.step = nn.Sequential(nn.Linear(11 + space.action_dim, 13), nn.GELU(), nn.Linear(13, dim))
            self.up = nn.Sequential(nn.Linear(dim, 13), nn.GELU(), nn.Linear(13, above))
        self.requires_grad_(False)

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        assert memory is not None
        return self.trunk(torch.cat([latent, memory.unsqueeze(1).expand(-1, latent.shape[1], -1)], -1))

    def prior(self, condition: Tensor) -> Tensor:
        return self.priors(condition)

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        return latent + self.step(torch.cat([condition, action], -1))

    def lift(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return self.up(latent)


def serpent(rows: int = 8, width: int = 8) -> tuple[Tensor, Tensor]:
    """A corridor folded into rows, place s is s steps from its mouth: (S, 2) coordinates, (S, 5) by `MOVES`.

    Neighbouring rows touch but are joined only at alternating ends, so the straight line misleads everywhere.
    """
    number = torch.arange(rows * width)
    row, along = number // width, number % width
    places = torch.stack([torch.where(row % 2 == 0, along, width - 1 - along), row], 1)
    table = number[:, None].repeat(1, len(MOVES))
    for here in range(len(number)):
        for there in (here - 1, here + 1):
            if 0 <= there < len(number):
                move = (places[there] - places[here]).tolist()
                table[here, MOVES.tolist().index(move)] = there
    return places, table


def line(count: int) -> tuple[Tensor, Tensor]:
    """Places 0, 1, ... on a line: (S, 1) coordinates, and (S, 3) where back, stay and forth lead."""
    number = torch.arange(count)
    return number[:, None], (number[:, None] + torch.tensor([-1, 0, 1])).clamp(0, count - 1)


def serpent_levels(depth: int) -> list[LevelPlanner]:
    """1 to 3 levels of the serpent: its places; blocks of 4 places along it; blocks of 3 of those.

    Every level searches exhaustively, over 4, 3 and 3 of its own steps.
    """
    places, table = serpent()
    number = torch.arange(len(places))
    blocks, block_table = line(len(places) // 4)
    regions, region_table = line(6)
    models = [
        TableModel(places, table, (number // 4)[:, None]),
        TableModel(blocks, block_table, (torch.arange(len(blocks)) // 3)[:, None]),
        TableModel(regions, region_table),
    ]
    search = Planner(EnumerationProposal(), NoRefiner())
    return [
        LevelPlanner(model, stride, horizon, search, search, squared, reached=0.25, step_cost=0.01)
        for model, stride, horizon in zip(models[:depth], (1, 4, 3), (4, 3, 3))
    ]


def neural_levels(candidates: int = 8) -> list[LevelPlanner]:
    """Two levels of random networks, discrete below and continuous above, searched by gradients."""
    low, high = torch.full((3,), -0.9), torch.full((3,), 1.1)
    models = [Neural(Simplex(5), 5, 1), Neural(Box(low, high), 6, 2, dim=7)]
    search = Planner(PriorProposal(candidates), AdamRefiner(2, 0.7))
    return [
        LevelPlanner(
            model, stride, horizon, search, search, squared, 0.5, step_cost=0.01, support=0.1, ground=8
        )
        for model, stride, horizon in zip(models, (1, 3), (4, 3))
    ]


@dataclass
class Walk:
    """E episodes that were walked: latents (E, T + 1, D), arrival times (E,) or -1, the planner's state."""

    latents: Tensor
    arrived: Tensor
    state: PlanState


def goals_of(levels: list[LevelPlanner], goal: Tensor) -> list[Tensor]:
    """The goal's latents at every level."""
    goals = [goal]
    for level in levels[:-1]:
        goals.append(level.model.lift(goals[-1].unsqueeze(1), None).squeeze(1))
    return goals


def walk(
    planner: TopDownPlanner, start: Tensor, goal: Tensor, steps: int, gusts: dict[int, Tensor] | None = None
) -> Walk:
    """Play episodes in a world that equals level 1's model, but for gusts (E, D) at given times."""
    levels = list(planner.levels)
    model, latent = levels[0].model, start
    state = planner.start(goals_of(levels, goal), [None] * len(levels), torch.arange(len(start)))
    latents, arrived = [latent], torch.full((len(start),), -1)
    for time in range(steps):
        arrived[(arrived < 0) & (latent == goal).all(-1)] = time
        action = planner.act(state, latent, arrived < 0)
        one = latent.unsqueeze(1)
        moved = model.advance(one, model.condition(one, None), action.unsqueeze(1)).squeeze(1)
        latent = torch.where((arrived < 0)[:, None], moved, latent)
        if gusts and time + 1 in gusts:
            latent = latent + gusts[time + 1]
        latents.append(latent)
    return Walk(torch.stack(latents, 1), arrived, state)


def of_level(decisions: list[Decision], level: int, row: int = 0) -> list[tuple[int, bool, bool]]:
    """(time, aimed at the goal, skipped) of one level's decisions in one episode."""
    return [
        (int(decision.time[place]), decision.at_goal, bool(decision.skipped[place]))
        for decision in decisions
        if decision.level == level
        for place in (decision.rows == row).nonzero().flatten().tolist()
    ]


class Spy:
    """Keeps the problems that a planner is given."""

    def __init__(self, planner: Planner) -> None:
        self.planner, self.problems = planner, list[Problem]()
        self.propose, self.refine = planner.propose, planner.refine

    def __call__(self, model: Model, problem: Problem) -> Plan:
        self.problems.append(problem)
        return self.planner(model, problem)

    passes = Planner.passes


def spied(level: LevelPlanner) -> tuple[LevelPlanner, Spy, Spy]:
    """A level whose two searches are watched."""
    to_goal, to_subgoal = Spy(level.to_goal), Spy(level.to_subgoal)
    return replace(level, to_goal=to_goal, to_subgoal=to_subgoal), to_goal, to_subgoal  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def hand() -> SimpleNamespace:
    """The models and helpers above, by name."""
    shared = (problem, squared, serpent, line, serpent_levels, neural_levels, goals_of, walk, of_level, spied)
    classes = (PointMass, OpenGrid, TableModel, Neural)
    return SimpleNamespace(MOVES=MOVES, **{part.__name__: part for part in (*shared, *classes)})

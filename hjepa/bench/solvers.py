"""Planning in one level: our refiners beside stable-worldmodel's solvers, in the same model, by the same cost.

Their package (arXiv 2602.08968) is needed for this alone. It asks for torchvision, whose usual build does not go with
every torch; its solvers do not, and are imported without the rest where the rest cannot be.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hjepa.bench.row import Missing, Options, Row, clock_of, row, timed, unit_of
from hjepa.integrations.solver_model import SolverModel, as_model
from hjepa.model.level_model import LevelModel
from planners.cross_entropy import CategoricalRefiner
from planners.objectives import SubgoalCost
from planners.planner import Planner
from planners.proposals import PriorProposal
from planners.protocols import Problem
from planners.refiners import AdamRefiner, Refiner, RefitRefiner
from tasks import open_world, world_spec
from tasks.goals import world_tasks

CONTINUOUS, DISCRETE = ("two-room", "hjepa/TwoRoom-v0"), ("nested-d2-images", "hjepa/NestedRooms-d2-v0")
"""Weights shipped that see images, which their solvers can plan in, and the world that is shown."""
EPISODES, CANDIDATES, HORIZON, ROUNDS, ELITES = 64, 64, 8, 10, 8
RATE = 0.1
"""Of Adam on both sides, in actions between -1 and 1."""
METRIC = "l2"
FLOOR, FLOOR_AT_COST = 1.5, 50.0
INSTALL = "pip install --no-deps stable-worldmodel loguru"
LONGEST = 512
"""Most steps that theirs gets to plan as well as ours."""

COUNTS = {"num_samples": CANDIDATES, "n_steps": ROUNDS}
FITS = {**COUNTS, "topk": ELITES}
DESCENDS = {**COUNTS, "optimizer_cls": torch.optim.Adam, "optimizer_kwargs": {"lr": RATE}}


@dataclass(frozen=True)
class Given:
    """What both sides plan for.

    Attributes:
        name: of the weights.
        model: level 1 behind their interface.
        seen, goal: (E, *shape) uint8 pictures.
    """

    name: str
    model: SolverModel
    seen: Tensor
    goal: Tensor


def rows(options: Options) -> Iterator[Row]:
    """Gradient descent, cross-entropy and its categorical kind at equal settings; gradient descent to an equal cost.

    Raises:
        Missing: stable-worldmodel's solvers cannot be imported.
    """
    solvers = theirs()
    continuous, discrete = (opened(*chosen, options) for chosen in (CONTINUOUS, DISCRETE))
    share = ELITES / CANDIDATES
    refiners: tuple[tuple[str, Refiner, Given, dict[str, Any]], ...] = (
        ("GradientSolver", AdamRefiner(ROUNDS, RATE), continuous, DESCENDS),
        ("CEMSolver", RefitRefiner(ROUNDS, share), continuous, FITS),
        ("CategoricalCEMSolver", CategoricalRefiner(ROUNDS, share), discrete, FITS),
    )
    for name, refine, given, asked in refiners:
        solver = getattr(solvers, name)
        yield beside(options, given, refine, solver, asked, f"{name} at equal settings", FLOOR)
    few = AdamRefiner(ROUNDS, RATE, share)
    solver, wanted = solvers.GradientSolver, float(ours(continuous, few).mean())
    longest = max(round(LONGEST * options.scale), 1)
    steps, found = 1, float(others(continuous, solver, {**DESCENDS, "n_steps": 1}).mean())
    while found > wanted and 2 * steps <= longest:
        steps *= 2
        found = float(others(continuous, solver, {**DESCENDS, "n_steps": steps}).mean())
    said = (
        "at an equal cost of the plan"
        if found <= wanted
        else f"whose plan still costs {found / wanted:.2f} of ours"
    )
    asked = {**DESCENDS, "n_steps": steps}
    yield beside(
        options, continuous, few, solver, asked, f"GradientSolver, {steps} steps, {said}", FLOOR_AT_COST
    )


def beside(
    options: Options,
    given: Given,
    refine: Refiner,
    solver: Any,
    asked: dict[str, Any],
    name: str,
    floor: float,
) -> Row:
    """Both sides by turns, in time for a plan; pictures are encoded by both.

    Args:
        options: how often.
        given: what is planned for.
        refine: ours.
        solver: a class of theirs.
        asked: its arguments.
        name: of it.
        floor: of the ratio.
    """
    clock, pairs = clock_of(options.device), []
    ours(given, refine), others(given, solver, {**asked, "n_steps": 1})
    for _ in range(options.repeats):
        own, theirs_took = timed(clock, ours, given, refine)[0], timed(clock, others, given, solver, asked)[0]
        pairs.append((1e3 * own / len(given.seen), 1e3 * theirs_took / len(given.seen)))
    elites = getattr(refine, "elites", None)
    descend = f", {ELITES} of which descend" if isinstance(refine, AdamRefiner) and elites != 1 else ""
    return row(
        f"a plan of {HORIZON} steps with level 1 of {given.name}, {len(given.seen)} episodes at once, {CANDIDATES}"
        f" candidates{descend}, {ROUNDS} rounds",
        f"stable-worldmodel's {name}",
        unit_of(options.device),
        pairs,
        floor,
        "hjepa bench solvers",
    )


def opened(name: str, task: str, options: Options) -> Given:
    """Weights, and pictures of starts and goals of validation tasks."""
    model = as_model(name, metric=METRIC, device=str(options.device))
    world = open_world(world_spec(task, "image"))
    tasks = world_tasks(world, "validation", episodes=options.amount(EPISODES, 2))
    seen, goal = world.reset(tasks)["image"], tasks.goal or world.goal()
    assert goal is not None, "both worlds show their goals"
    return Given(name, model, torch.from_numpy(seen.copy()), torch.from_numpy(goal["image"].copy()))


@torch.no_grad()
def ours(given: Given, refine: Refiner) -> Tensor:
    """Costs (E,) of plans found by a refiner of ours, which reads folded tokens."""
    model, stack = LevelModel(given.model.stack, 0, 2.0), given.model.stack
    memories = stack.write(given.seen)
    now, goal = (
        stack.encode(picture.unsqueeze(1), memories, upto=1)[0][:, 0] for picture in (given.seen, given.goal)
    )
    level, memory = stack.level(0), memories[0]
    if memory is not None and level.foldable:
        memory = level.fold(memory)
    due = torch.full((len(now),), HORIZON)
    objective = SubgoalCost(goal, due, lambda latent: latent, stack.distance(METRIC, 0))
    problem = Problem(now, memory, HORIZON, objective, torch.arange(len(now)))
    return Planner(PriorProposal(CANDIDATES), refine)(model, problem).cost


def others(given: Given, solver: Any, asked: dict[str, Any]) -> Tensor:
    """Costs (E,) of plans found by a solver of theirs."""
    count, level = len(given.seen), given.model.stack.level(0)
    made = solver(given.model, batch_size=count, **asked)
    space: spaces.Space[Any] = spaces.Discrete(level.action_dim)
    if level.continuous:
        space = spaces.Box(-1, 1, (count, level.action_dim), np.float32)
    made.configure(action_space=space, n_envs=count, config=SimpleNamespace(horizon=HORIZON, action_block=1))
    info = {"pixels": given.seen.unsqueeze(1), "goal": given.goal.unsqueeze(1)}
    with contextlib.redirect_stdout(io.StringIO()):
        actions = made.solve(dict(info))["actions"].reshape(count, 1, HORIZON, -1)
    with torch.no_grad():
        return given.model.get_cost({name: value.unsqueeze(1) for name, value in info.items()}, actions)[:, 0]


def theirs() -> ModuleType:
    """Their solvers.

    Raises:
        Missing: they are not installed, or ask for something that is not.
    """
    package, folder = "stable_worldmodel", importlib.util.find_spec("stable_worldmodel")
    if folder is None:
        raise Missing("stable-worldmodel is not installed", "bench solvers", INSTALL)
    for place in ("planning.solver", "solver"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(f"{package}.{place}")
        # Its package imports everything that it has; a bare one in its place leads to the solvers alone.
        bare = ModuleType(package)
        bare.__spec__ = folder
        bare.__path__ = list(folder.submodule_search_locations or [])
        kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == package}
        sys.modules[package] = bare
        with contextlib.suppress(ImportError):
            return importlib.import_module(f"{package}.{place}")
        sys.modules.pop(package)
        sys.modules.update(kept)
    raise Missing("stable-worldmodel's solvers cannot be imported", "bench solvers", INSTALL)

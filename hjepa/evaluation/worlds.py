"""Evaluation in any world: what was learned from its observations, on goals it shows or that were seen in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from hjepa.agent.agent import Agent
from hjepa.agent.episodes import Episodes
from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.evaluation.playing import Progress, Results, further
from hjepa.evaluation.records import UNKNOWN, Record, build_record
from hjepa.model.stack import Stack
from hjepa.model.worlds import from_bounds, world_played_in
from planners.noise import combine
from tasks import (
    ObservationStore,
    TaskBatch,
    World,
    WorldSpec,
    open_world,
    read_goals,
    success_rule,
    trajectory_tasks,
    world_tasks,
)
from tasks.field.registry import FIELD_TASKS, published_budget
from tasks.goals import Reached
from tasks.gymnasium_world import draw_actions
from tasks.worlds import Observation

TFLOP_PER_STEP = 1e-4
"""Compute of an episode by default, for each step of its budget, where its task says nothing else."""

DEFAULT_BATCH = 50
"""Episodes planned at once, unless said otherwise."""


@dataclass(frozen=True)
class WorldEvaluation:
    """Tasks of any world, and the agent that plans them.

    Attributes:
        played: which world, as checkpoints say it, see `hjepa.model.worlds.played_in`.
        agent: what plans; budget None: what `within_budget` gives.
        episodes: how many.
        seed: of the tasks, and of the planner's noise on them.
        goals: ``world``, or ``offset:K`` of held-out trajectories.
        data: those trajectories.
        success: rule, see `tasks.success_rule`; None: the world's default.
        split: whose tasks, where the world makes them.
        step_budget: steps of an episode; None: the world's, and with goals from trajectories as many as are published
            for the task, else twice as many as those took, if that is less.
        episode_batch: episodes planned at once; None: `DEFAULT_BATCH`.

    Raises:
        InputError: a number below what there can be, or goals without the trajectories that they are from.
    """

    played: Mapping[str, Any]
    agent: AgentOptions = field(default_factory=AgentOptions)
    episodes: int = 200
    seed: int = 0
    goals: str = "world"
    data: ObservationStore | None = None
    success: str | None = None
    split: str = "test"
    step_budget: int | None = None
    episode_batch: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("episodes", self.episodes, 1),
            ("seed", self.seed, 0),
            ("step budget", self.step_budget, 1),
            ("episode batch", self.episode_batch, 1),
        ):
            if value is not None and value < least:
                raise InputError(f"{name} {value}", "plan", f"give {least} or more")
        if self.offset and self.data is None:
            raise InputError(f"goals {self.goals}", "plan", "give --data, a store of held-out trajectories")

    @property
    def offset(self) -> int:
        """Steps from a start to its goal in a trajectory; 0: the world shows the goals."""
        try:
            return read_goals(self.goals)
        except ValueError as error:
            raise InputError(str(error), "plan") from None


def make_tasks(asked: WorldEvaluation, world: World, spread: Mapping[str, np.ndarray]) -> TaskBatch:
    """The tasks of an evaluation.

    Args:
        asked: which.
        world: to plan in.
        spread: of vectors in training.

    Raises:
        InputError: goals that cannot be.
    """
    try:
        if asked.data is None or not asked.offset:
            return world_tasks(world, asked.split, episodes=asked.episodes, seed=asked.seed)
        rule = success_rule(world.spec, asked.success, dict(spread))
        key = ("goals", world.spec.id, asked.goals, asked.seed)
        return trajectory_tasks(asked.data.recorded(), asked.offset, rule, *key, episodes=asked.episodes)
    except ValueError as error:
        raise InputError(str(error), "plan") from None


def begin_world(
    asked: WorldEvaluation, opened: Callable[[WorldSpec], World] = open_world
) -> tuple[World, str, TaskBatch]:
    """The world of an evaluation with its step budget, the name of what is seen in it, and its tasks.

    Args:
        asked: which.
        opened: makes the world of its spec.

    Raises:
        InputError: what cannot work together.
    """
    try:
        spec, name, spread = world_played_in(asked.played)
        steps = spec.step_budget if asked.step_budget is None else asked.step_budget
        if asked.step_budget is None and asked.offset:
            steps = min(steps, published_budget(spec.id, asked.offset) or 2 * asked.offset)
        world = opened(replace(spec, step_budget=steps))
    except ValueError as error:
        raise InputError(str(error), "plan") from None
    return world, name, make_tasks(asked, world, spread)


def within_budget(options: AgentOptions, spec: WorldSpec) -> AgentOptions:
    """Options with a budget of compute: their own, or for each step what the task has, else `TFLOP_PER_STEP`."""
    if options.budget_tflops is not None:
        return options
    task = FIELD_TASKS.get(spec.id)
    each = TFLOP_PER_STEP if task is None else task.default_budget_tflops / task.step_budget
    return replace(options, budget_tflops=each * spec.step_budget)


def play_world(
    agent: Agent,
    world: World,
    tasks: TaskBatch,
    first: int,
    seed: int,
    name: str,
    watch: Watch | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Results:
    """Run tasks to their ends; success is what the world says.

    Args:
        agent: plans.
        world: is stepped.
        tasks: E of them.
        first: number of the first one in its evaluation set.
        seed: of the evaluation.
        name: of the sense that the agent sees.
        watch: looks on; None: nobody.
        tell: called after every step with how many tasks are over, and how many of them were solved.
    """
    count, bounds = len(tasks), world.spec.actions
    seen = world.reset(tasks)
    goal = world.goal()
    if goal is None:
        raise InputError(f"{world.spec.id} shows no goal", "plan", "choose --goals offset:K")
    state = begin_tasks(
        agent, tasks, seen[name], goal[name], combine(seed, torch.arange(first, first + count))
    )
    if watch is not None:
        watch.begin(state, seen)
    done = np.zeros(count, dtype=bool)
    success, steps = np.zeros((2, count), dtype=np.int64)
    seconds = 0.0
    for _ in range(world.spec.step_budget):
        begun = time.perf_counter()
        action = agent.act(state, {"image": seen[name]}, torch.from_numpy(~done))
        seconds += time.perf_counter() - begun
        after = world.step(from_bounds(action, bounds.low, bounds.high))
        seen = after.observation
        if watch is not None:
            watch.step(seen)
        steps += ~done
        success |= (after.success & ~done).astype(np.int64)
        done |= after.success | after.terminated | after.truncated
        if tell is not None:
            tell(int(done.sum()), int(success.sum()))
        if done.all():
            break
    return Results.of(state, success, steps, seconds)


def begin_tasks(
    agent: Agent, tasks: TaskBatch, seen: np.ndarray, goal: np.ndarray, keys: torch.Tensor
) -> Episodes:
    """Begin tasks of any world.

    Where a goal is reached when all that is seen is the same, it is more than a place: beside a critic's steps to go
    the distance of latents counts, see `PlanSettings.exact`.

    Args:
        agent: plans.
        tasks: E of them.
        seen: (E, ...) at their starts.
        goal: (E, ...) at their goals.
        keys: (E,) random keys.
    """
    begun = agent.begin({"image": seen}, {"image": goal}, keys)
    if isinstance(tasks.reached, Reached) and tasks.reached.limit is None:
        state = begun.plan
        state.exact = torch.full_like(state.flops, agent.settings.exact, dtype=torch.float32)
    return begun


def random_world(world: World, tasks: TaskBatch, seed: int) -> float:
    """Share of tasks that random actions solve: the floor of every result.

    Raises:
        InputError: tasks that do not begin in this world as they were recorded.
    """
    try:
        world.reset(tasks)
    except ValueError as error:  # trajectories of another making of the world
        raise InputError(str(error), "plan") from None
    rng = np.random.Generator(np.random.Philox(key=[seed, 1 << 43]))
    done, success = np.zeros((2, len(tasks)), dtype=bool)
    for _ in range(world.spec.step_budget):
        after = world.step(draw_actions(world.spec.actions, rng, len(tasks)))
        success |= after.success & ~done
        done |= after.success | after.terminated | after.truncated
        if done.all():
            break
    return float(success.mean())


class Watch(Protocol):
    """Looks on while tasks are played."""

    def begin(self, state: Episodes, seen: Observation) -> None:
        """The tasks have begun: what the agent keeps, in place, and what is seen, arrays (E, ...) by name."""
        ...

    def step(self, seen: Observation) -> None:
        """A step was taken, and this is seen now; episodes that are over stay as they are."""
        ...


class RecordProgress(Progress, Protocol):
    """Where the work for one record is kept.

    Attributes:
        finished: the record; None: it is not.
    """

    finished: Record | None

    def record(self, record: Record) -> None:
        """Keep the record."""
        ...


def evaluate_world(
    stack: Stack,
    asked: WorldEvaluation,
    levels: Sequence[int] | None = None,
    facts: Mapping[str, Any] | None = None,
    progress: Callable[[int], RecordProgress] | None = None,
) -> list[Record]:
    """Plan tasks of a world with one or several numbers of levels; one record for each.

    Args:
        stack: trained levels.
        asked: the tasks, and the agent that plans them but for its levels.
        levels: how many to use; None: each number from 1 to all.
        facts: further entries of the records.
        progress: of a number of levels, where its work is kept; None: nowhere.

    Raises:
        InputError: what cannot work together.
    """
    world, name, tasks = begin_world(asked)
    floor, steps = random_world(world, tasks, asked.seed), world.spec.step_budget
    options = within_budget(asked.agent, world.spec)
    records = []
    for count in levels or range(1, stack.depth + 1):
        kept = None if progress is None else progress(count)
        if kept is not None and kept.finished is not None:
            records.append(kept.finished)
            continue
        agent = Agent(stack, steps, replace(options, levels=count))
        begun, parts = time.perf_counter(), [] if kept is None else list(kept.parts)
        first = before = sum(len(part.success) for part in parts)
        while first < asked.episodes:
            rows = np.arange(first, min(first + (asked.episode_batch or DEFAULT_BATCH), asked.episodes))
            tell = None if kept is None else partial(further, kept, parts)
            parts.append(play_world(agent, world, tasks.select(rows), first, asked.seed, name, None, tell))
            first += len(rows)
            if kept is not None:
                kept.keep(parts)
        seconds = (time.perf_counter() - begun) / max(asked.episodes - before, 1)
        record = _record(agent, stack, asked, tasks, Results.join(parts), floor, seconds, facts or {})
        if kept is not None:
            kept.record(record)
        records.append(record)
    world.close()
    return records


def _record(
    agent: Agent,
    stack: Stack,
    asked: WorldEvaluation,
    tasks: TaskBatch,
    results: Results,
    floor: float,
    seconds: float,
    facts: Mapping[str, Any],
) -> Record:
    """The record of one number of levels, with the success of random actions and seconds per episode."""
    spec, _, _ = world_played_in(asked.played)
    known = {name: value for name, value in facts.items() if name != "overrides"}
    oracle = np.nan_to_num(tasks.oracle_steps, nan=0.0).astype(np.int64)
    record = build_record(
        task=spec.id,
        split=asked.split,
        tasks=asked.goals,
        seed=asked.seed,
        levels=agent.depth,
        depth="trained" if agent.depth == stack.depth else "truncated",
        metric=agent.settings.metric,
        planner=agent.settings.planner,
        oracle=None,
        budget_tflops=agent.budget_tflops,
        step_budget=agent.step_budget,
        success=results.success,
        steps=results.steps,
        oracle_steps=np.maximum(oracle, 1),
        active_share=results.planned.sum(0) / np.maximum(results.asked.sum(0), 1),
        tflops_per_episode=float(results.flops.mean() / 1e12),
        violations=results.violated,
        random_success_rate=floor,
        plan_ms=float(np.median(results.plan_ms)),
        seconds_per_episode=seconds,
        peak_mb=0.0,
        layout=[str(group) for group in tasks.group.tolist()],
        **known,
    )
    if facts.get("overrides"):
        record["overrides"] = list(facts["overrides"])
    sight = stack.world.sight
    assert sight is not None
    record["observation"], record["information"], record["goals"] = sight.kind, "seen", asked.goals
    record["steps_to_success"] = results.steps_to_success
    if np.isnan(tasks.oracle_steps).any():  # worlds that only show a goal
        record |= {"ways": UNKNOWN, "path_ratio": None}
    return record

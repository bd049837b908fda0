"""Evaluation in any world: what was learned from its observations, on goals it shows or that were seen in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hjepa.agent.agent import Agent
from hjepa.config import PlanSettings
from hjepa.errors import InputError
from hjepa.evaluation.playing import Results
from hjepa.evaluation.records import Record, build_record
from hjepa.model.perception import Seen
from hjepa.model.stack import Stack
from hjepa.model.worlds import from_bounds, world_played_in
from planners.noise import combine
from tasks import (
    ObservationStore,
    TaskBatch,
    World,
    open_world,
    read_goals,
    success_rule,
    trajectory_tasks,
    world_tasks,
)
from tasks.field.registry import published_budget
from tasks.gymnasium_world import draw_actions

TFLOP_PER_STEP = 1e-4
"""Compute of an episode by default, for each step of its budget."""

DEFAULT_BATCH = 50
"""Episodes planned at once, unless said otherwise."""


def make_tasks(
    world: World,
    goals: str,
    data: ObservationStore | None,
    success: str | None,
    spread: dict[str, np.ndarray],
    split: str,
    episodes: int,
    seed: int,
) -> TaskBatch:
    """The tasks of an evaluation.

    Args:
        world: to plan in.
        goals: ``world``, or ``offset:K`` of held-out trajectories.
        data: trajectories that goals are drawn from, where they are.
        success: rule, see `tasks.success_rule`; None: the world's default.
        spread: of vectors in training.
        split: whose tasks, where the world makes them.
        episodes: how many.
        seed: of the evaluation.

    Raises:
        InputError: goals that cannot be.
    """
    try:
        offset = read_goals(goals)
        if not offset:
            return world_tasks(world, split, episodes=episodes, seed=seed)
        if data is None:
            raise InputError(f"goals {goals}", "plan", "give --data, a store of held-out trajectories")
        rule = success_rule(world.spec, success, spread)
        key = ("goals", world.spec.id, goals, seed)
        return trajectory_tasks(data.recorded(), offset, rule, *key, episodes=episodes)
    except ValueError as error:
        raise InputError(str(error), "plan") from None


def play_world(agent: Agent, world: World, tasks: TaskBatch, first: int, seed: int, name: str) -> Results:
    """Run tasks to their ends; success is what the world says.

    Args:
        agent: plans.
        world: is stepped.
        tasks: E of them.
        first: number of the first one in its evaluation set.
        seed: of the evaluation.
        name: of the sense that the agent sees.
    """
    count, bounds = len(tasks), world.spec.actions
    seen = world.reset(tasks)
    goal = world.goal()
    if goal is None:
        raise InputError(f"{world.spec.id} shows no goal", "plan", "choose --goals offset:K")
    keys = combine(seed, torch.arange(first, first + count))
    state = agent.begin({"image": seen[name]}, {"image": goal[name]}, keys)
    done = np.zeros(count, dtype=bool)
    success, steps = np.zeros((2, count), dtype=np.int64)
    seconds = 0.0
    for _ in range(world.spec.step_budget):
        begun = time.perf_counter()
        action = agent.act(state, {"image": seen[name]}, torch.from_numpy(~done))
        seconds += time.perf_counter() - begun
        after = world.step(from_bounds(action, bounds.low, bounds.high))
        seen = after.observation
        steps += ~done
        success |= (after.success & ~done).astype(np.int64)
        done |= after.success | after.terminated | after.truncated
        if done.all():
            break
    asked = np.stack([level.asked.cpu().numpy() for level in state.plan.levels], 1)
    planned = np.stack([level.planned.cpu().numpy() for level in state.plan.levels], 1)
    nothing = np.zeros(count, dtype=np.int64)
    return Results(
        success=success,
        steps=steps,
        flops=state.flops.cpu().numpy(),
        asked=asked,
        planned=planned,
        repaired=state.plan.repaired.cpu().numpy(),
        violated=nothing,
        plan_ms=np.full(count, 1e3 * seconds / max(int(asked[:, 0].sum()), 1)),
        placed=nothing,
    )


def random_world(world: World, tasks: TaskBatch, seed: int) -> float:
    """Share of tasks that random actions solve: the floor of every result."""
    world.reset(tasks)
    rng = np.random.Generator(np.random.Philox(key=[seed, 1 << 43]))
    done, success = np.zeros((2, len(tasks)), dtype=bool)
    for _ in range(world.spec.step_budget):
        after = world.step(draw_actions(world.spec.actions, rng, len(tasks)))
        success |= after.success & ~done
        done |= after.success | after.terminated | after.truncated
        if done.all():
            break
    return float(success.mean())


def evaluate_world(
    stack: Stack,
    played: dict[str, Any],
    levels: Sequence[int] | None = None,
    episodes: int = 200,
    seed: int = 0,
    goals: str = "world",
    data: ObservationStore | None = None,
    success: str | None = None,
    split: str = "test",
    budget_tflops: float | None = None,
    settings: PlanSettings | None = None,
    step_budget: int | None = None,
    facts: dict[str, Any] | None = None,
) -> list[Record]:
    """Plan tasks of a world with one or several numbers of levels; one record for each.

    Args:
        stack: trained levels.
        played: of its checkpoint, see `hjepa.model.worlds.played_in`.
        levels: how many to use; None: each number from 1 to all.
        episodes, seed, split: of the evaluation.
        goals, data, success: see `make_tasks`.
        budget_tflops: per episode; None: `TFLOP_PER_STEP` for each step of the budget.
        settings: of planning; None: the stack's own.
        step_budget: steps of an episode; None: the world's, and with goals from trajectories as many as are published
            for the task, else twice as many as those took, if that is less.
        facts: further entries of the records.

    Raises:
        InputError: what cannot work together.
    """
    try:
        spec, name, spread = world_played_in(played)
        steps = spec.step_budget if step_budget is None else step_budget
        if step_budget is None and read_goals(goals):
            offset = read_goals(goals)
            steps = min(steps, published_budget(spec.id, offset) or 2 * offset)
        world = open_world(replace(spec, step_budget=steps))
    except ValueError as error:
        raise InputError(str(error), "plan") from None
    tasks = make_tasks(world, goals, data, success, spread, split, episodes, seed)
    floor = random_world(world, tasks, seed)
    sight = stack.world.sight
    assert sight is not None
    budget = TFLOP_PER_STEP * steps if budget_tflops is None else budget_tflops
    records = []
    for count in levels or range(1, stack.depth + 1):
        agent = Agent(stack, steps, count, budget, settings, perception=Seen(sight))
        begun, parts = time.perf_counter(), []
        for first in range(0, episodes, DEFAULT_BATCH):
            rows = np.arange(first, min(first + DEFAULT_BATCH, episodes))
            parts.append(play_world(agent, world, tasks.select(rows), first, seed, name))
        results = Results.join(parts)
        oracle = np.nan_to_num(tasks.oracle_steps, nan=0.0).astype(np.int64)
        record = build_record(
            task=spec.id,
            split=split,
            tasks=goals,
            seed=seed,
            levels=agent.depth,
            depth="trained" if agent.depth == stack.depth else "truncated",
            metric=agent.settings.metric,
            planner=agent.settings.planner,
            oracle=None,
            budget_tflops=budget,
            step_budget=steps,
            success=results.success,
            steps=results.steps,
            oracle_steps=np.maximum(oracle, 1),
            active_share=results.planned.sum(0) / np.maximum(results.asked.sum(0), 1),
            tflops_per_episode=float(results.flops.mean() / 1e12),
            violations=results.violated,
            random_success_rate=floor,
            plan_ms=float(np.median(results.plan_ms)),
            seconds_per_episode=(time.perf_counter() - begun) / episodes,
            peak_mb=0.0,
            layout=[str(group) for group in tasks.group.tolist()],
            **(facts or {}),
        )
        record["observation"], record["information"], record["goals"] = sight.kind, "seen", goals
        record["steps_to_success"] = [
            int(n) if solved else None for n, solved in zip(results.steps, results.success)
        ]
        records.append(record)
    world.close()
    return records

"""Evaluation: an agent on held-out episodes, per-episode results, and their record."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from hjepa.agent.agent import Agent
from hjepa.config import PlanSettings
from hjepa.devices import fix_threads, torch_device
from hjepa.errors import InputError
from hjepa.evaluation.diagnostics import Finding, diagnose, join_findings
from hjepa.evaluation.oracles import OracleAgent
from hjepa.evaluation.playing import Results, Trace, play
from hjepa.evaluation.records import Record, build_record
from hjepa.evaluation.value_map import VALUE_MAP, ValueMapAgent
from hjepa.gridworld.guardrails import Guardrail, Lava, Region, sample_zones
from hjepa.gridworld.missions import mission_text, read_mission, sample_missions
from hjepa.gridworld.short_term_memory import Remembering, memory_for
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.perception import describe_world, world_of
from hjepa.model.pixels import perception_of
from hjepa.model.stack import Stack
from planners.noise import combine
from tasks import EpisodeBatch, TaskSpec, random_success, sample_episodes, task_spec
from tasks.mission_oracles import random_missions
from tasks.missions import MissionBatch
from tasks.named import has_twin
from tasks.replay import random_success_named

__all__ = ["Results", "Trace", "bench", "evaluate", "make_agent", "play", "watch"]

DEFAULT_BATCH = 100
"""Episodes planned at once, unless said otherwise."""

ORACLE_BATCH = 20
"""The same with an oracle, which keeps tables of all pairs of states of every episode."""

DIAGNOSED = 80
"""Episodes that diagnostics are measured on, at most."""


def make_agent(
    stack: Stack,
    spec: TaskSpec,
    levels: int | None = None,
    budget_tflops: float | None = None,
    settings: PlanSettings | None = None,
    record: bool = False,
    oracle: str | None = None,
    guardrails: Sequence[Guardrail] | None = None,
    memory: str | Remembering | None = None,
    perception: str = "symbolic",
) -> Agent:
    """An agent for a task, with the task's default budget, guardrails and memory unless others are given.

    Raises:
        InputError: a stack of another grid, more levels than it has, a perception that it has not, or a memory that
            does not fit.
    """
    encoder = stack.config.levels[0].encoder
    shown = world_of(spec, encoder)
    if stack.world != shown:
        raise InputError(
            f"the stack was made for {describe_world(stack.world)}; {spec.id} has {describe_world(shown)}",
            "",
            "give a checkpoint that was trained for the task",
        )
    if levels is not None and not 1 <= levels <= stack.depth:
        raise InputError(
            f"{levels} levels of a stack of {stack.depth}", "levels", f"choose 1 to {stack.depth}"
        )
    sees = perception_of(stack, spec, perception)
    budget = spec.default_budget_tflops if budget_tflops is None else budget_tflops
    if guardrails is None:
        guardrails = (Lava(),) if spec.lava else ()
    remembering = memory_for(spec, memory)
    if (settings or stack.config.plan).planner == VALUE_MAP and oracle is None:
        return ValueMapAgent(
            spec, stack, spec.step_budget, levels, budget, settings, record, guardrails, remembering, sees
        )
    if oracle is None:
        return Agent(stack, spec.step_budget, levels, budget, settings, record, guardrails, remembering, sees)
    if remembering is not None:
        raise InputError(f"oracle {oracle} on {spec.id}", "plan", "oracles know the whole; plan without")
    if guardrails:
        raise InputError(
            f"oracle {oracle} on {spec.id}", "plan", "oracles know no guardrails; plan unguarded"
        )
    return OracleAgent(
        stack, spec.step_budget, levels, budget, settings, record, perception=sees, oracle=oracle
    )


def evaluate(
    stack: Stack,
    task: str,
    levels: int | None = None,
    episodes: int = 200,
    seed: int = 0,
    split: str = "test",
    tasks: str | None = None,
    budget_tflops: float | None = None,
    settings: PlanSettings | None = None,
    episode_batch: int | None = None,
    depth: str | None = None,
    oracle: str | None = None,
    zones: bool = False,
    unguarded: bool = False,
    mission: str | None = None,
    memory: str | None = None,
    perception: str = "symbolic",
    diagnostics: bool = False,
    facts: dict[str, Any] | None = None,
    keep: Callable[[list[Results]], None] | None = None,
    done: Sequence[Results] = (),
    tell: Callable[[int, int], None] | None = None,
) -> Record:
    """Plan held-out episodes with one agent; the record of ``hjepa plan``.

    The result is a function of the arguments, whatever ``episode_batch``.

    Args:
        stack: trained levels.
        task: id.
        levels: how many to use; None: all.
        episodes, seed, split, tasks: the evaluation episodes; ``tasks`` None: the task's first kind.
        budget_tflops: per episode; None: the task's.
        settings: of planning; None: the stack's own.
        episode_batch: episodes planned at once.
        depth: ``truncated`` or ``trained``; None: told by whether all levels are used.
        oracle: a part that is replaced by the truth, see `hjepa.evaluation.oracles`.
        zones: forbid cells across the way of every episode, see `sample_zones`; the agent is told.
        unguarded: the agent keeps no guardrail.
        mission: what to do instead of reaching the goal, see `hjepa.gridworld.missions.read_mission`.
        memory: of what has been seen, where the world is seen in parts, see
            `hjepa.gridworld.short_term_memory`; None: a map.
        perception: what it sees with, one of `hjepa.evaluation.plan_request.PERCEPTIONS`.
        diagnostics: measure what every level knows and does on the first `DIAGNOSED` episodes.
        facts: `train_seed` and `checkpoint_sha256` for the record.
        keep: called with all results so far after each batch.
        done: results of batches finished earlier.
        tell: called after every step with the episodes that are over and those of them that were solved.

    Raises:
        InputError: what cannot work together.
    """
    spec = task_spec(task)
    drawn: np.ndarray | None = None
    missions: MissionBatch | None = None
    if mission is not None:
        batch, missions = sample_missions(task, read_mission(mission), split, tasks, episodes, seed)
    elif zones:
        batch, drawn = sample_zones(task, split, tasks, episodes, seed)
    else:
        batch = sample_episodes(task, split, tasks, episodes=episodes, seed=seed)
    guardrails: Sequence[Guardrail] | None = None
    if unguarded:
        guardrails = ()
    elif drawn is not None:
        guardrails = (Region(drawn[0]),)
    agent = make_agent(
        stack, spec, levels, budget_tflops, settings, False, oracle, guardrails, memory, perception
    )
    if diagnostics and spec.view:
        raise InputError(f"diagnostics on {task}", "plan", "they know the whole floor plan; plan without")
    parts, begun = list(done), time.perf_counter()
    first = sum(len(part.success) for part in parts)
    planned_now = episodes - first
    while first < episodes:
        size = episode_batch or (DEFAULT_BATCH if oracle is None else ORACLE_BATCH)
        rows = np.arange(first, min(first + size, episodes))
        own = None if drawn is None else drawn[rows]
        if own is not None and not unguarded:
            agent.guard([Region(own)])
        orders = None if missions is None else missions.select(rows)
        solved = sum(int(part.success.sum()) for part in parts)
        further = None if tell is None else partial(_further, tell, first, solved)
        parts.append(play(agent, spec, batch.select(rows), first, seed, own, orders, further).results)
        first += len(rows)
        if keep is not None:
            keep(parts)
    results = Results.join(parts)
    seconds = time.perf_counter() - begun
    record = build_record(
        task=task,
        split=split,
        tasks=tasks or spec.kinds[0],
        seed=seed,
        levels=agent.depth,
        depth=depth or ("trained" if agent.depth == stack.depth else "truncated"),
        metric=agent.settings.metric,
        planner=agent.settings.planner,
        oracle=oracle,
        budget_tflops=agent.budget_tflops,
        step_budget=spec.step_budget,
        success=results.success,
        steps=results.steps,
        oracle_steps=batch.oracle_steps,
        active_share=results.planned.sum(0) / np.maximum(results.asked.sum(0), 1),
        tflops_per_episode=float(results.flops.mean() / 1e12),
        violations=results.violated,
        random_success_rate=_random_success(spec, batch, missions, seed),
        plan_ms=float(np.median(results.plan_ms)),
        seconds_per_episode=seconds / max(planned_now, 1),
        peak_mb=peak_mb(),
        layout=batch.layouts,
        **(facts or {}),
    )
    sight = stack.world.sight
    record["observation"] = "state" if sight is None else sight.kind
    record["information"] = "told" if sight is None else "seen"
    # Further than the contract: where success comes from (tasks.replay) ...
    record["stepped"] = "twin" if has_twin(task) else "environment"
    record["replayed"] = episodes if has_twin(task) else 0
    record["placed"] = int(results.placed.sum())
    # ... and a level that plans once, far from the goal, has a small share of all plans.
    record["active_episodes"] = (results.planned > 0).mean(0).tolist()
    if zones or spec.lava:
        record["guardrails"] = [guardrail.name for guardrail in agent.guardrails]
        record["violated"] = results.violated.tolist()
    if mission is not None:
        record["mission"] = mission_text(mission)
        record["violated"] = results.violated.tolist()
    if agent.memory is not None:
        record["memory"] = agent.memory.name
    if perception != "symbolic":
        record |= {"perception": perception, "perception_sha256": agent.perception.sha256}
    if diagnostics:
        watcher = make_agent(
            stack, spec, levels, budget_tflops, settings, True, oracle, perception=perception
        )
        record["diagnostics"] = _diagnose(watcher, spec, batch, seed)
    return record


def _further(tell: Callable[[int, int], None], first: int, before: int, over: int, solved: int) -> None:
    tell(first + over, before + solved)


def _random_success(spec: TaskSpec, batch: EpisodeBatch, missions: MissionBatch | None, seed: int) -> float:
    """Of random actions; in an environment that has no twin, stepped itself where there is no mission."""
    if missions is None and not has_twin(spec.id):
        return random_success_named(spec, batch, seed)
    if missions is None:
        return float(random_success(batch, spec.step_budget, seed=seed))
    return random_missions(batch.barriers, batch.start, missions, spec.step_budget, seed)


def _diagnose(agent: Agent, spec: TaskSpec, batch: EpisodeBatch, seed: int) -> list[dict[str, Finding]]:
    """What `hjepa.evaluation.diagnostics` finds on the first episodes, per level."""
    count = min(len(batch.start), DIAGNOSED)
    parts = []
    for first in range(0, count, ORACLE_BATCH):
        rows = np.arange(first, min(first + ORACLE_BATCH, count))
        trace = play(agent, spec, batch.select(rows), first, seed)
        keys = combine(seed, torch.from_numpy(rows))
        parts.append(diagnose(agent, trace.episodes, torch.from_numpy(trace.agent), trace.decisions, keys))
    return join_findings(parts)


def watch(
    stack: Stack,
    task: str,
    levels: int | None = None,
    episodes: int = 1,
    seed: int = 0,
    split: str = "test",
    tasks: str | None = None,
    budget_tflops: float | None = None,
    settings: PlanSettings | None = None,
) -> Trace:
    """Plan a few episodes and keep everything that was imagined, for figures.

    Args:
        stack: trained levels.
        task, levels, episodes, seed, split, tasks, budget_tflops, settings: as in `evaluate`, whose first episodes
            these are.

    Raises:
        InputError: what cannot work together.
    """
    spec = task_spec(task)
    agent = make_agent(stack, spec, levels, budget_tflops, settings, record=True)
    return play(agent, spec, sample_episodes(task, split, tasks, episodes=episodes, seed=seed), 0, seed)


def bench(checkpoint: str, device: str = "auto", precision: str = "32", episodes: int = 32) -> dict[str, Any]:
    """Speed of planning with a checkpoint: many episodes at once against one after another.

    Args:
        checkpoint: shipped weights or a run folder.
        device: see `hjepa.devices`.
        precision: only ``32`` plans.
        episodes: how many are planned.

    Returns:
        seconds per episode both ways and their ratio, milliseconds per replan, threads.
    """
    if precision != "32":
        raise InputError(f"precision {precision!r}", "bench plan", "planning computes in 32 bits")
    fix_threads()
    stack, task = load_stack(checkpoint, str(torch_device(device))), describe(checkpoint)["task"]
    spec, batch = task_spec(task), sample_episodes(task, episodes=episodes)
    agent = make_agent(stack, spec)
    begun = time.perf_counter()
    together = play(agent, spec, batch, 0, 0).results
    batched = (time.perf_counter() - begun) / episodes
    alone = min(episodes, 4)
    begun = time.perf_counter()
    for i in range(alone):
        play(agent, spec, batch.select(np.array([i])), i, 0)
    single = (time.perf_counter() - begun) / alone
    return {
        "task": task,
        "levels": stack.depth,
        "episodes": episodes,
        "seconds_per_episode": batched,
        "seconds_per_episode_alone": single,
        "speedup": single / batched,
        "plan_ms": float(np.median(together.plan_ms)),
        "threads": torch.get_num_threads(),
    }


def peak_mb() -> float:
    """Peak memory in MB: of the GPU where one was used, otherwise of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e6
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used / 1e3

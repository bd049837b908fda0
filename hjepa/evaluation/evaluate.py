"""Evaluation: an agent on held-out episodes, per-episode results, and their record."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.evaluation.diagnostics import Finding, diagnose, join_findings
from hjepa.evaluation.held_out import Evaluation, HeldOut, draw
from hjepa.evaluation.oracles import OracleAgent
from hjepa.evaluation.playing import Progress, Results, Trace, further, play
from hjepa.evaluation.records import Record, build_record
from hjepa.evaluation.value_map import VALUE_MAP, ValueMapAgent
from hjepa.gridworld.guardrails import Lava, Region
from hjepa.gridworld.short_term_memory import memory_for
from hjepa.model.perception import describe_world, world_of
from hjepa.model.resizing import misfit, resized
from hjepa.model.stack import Stack
from planners.noise import combine
from tasks import EpisodeBatch, TaskSpec, random_success
from tasks.mission_oracles import random_missions
from tasks.missions import MissionBatch
from tasks.named import has_twin
from tasks.replay import random_success_named

__all__ = [
    "AgentOptions",
    "Evaluation",
    "Results",
    "Trace",
    "evaluate",
    "make_agent",
    "play",
    "watch",
]

DEFAULT_BATCH = 100
"""Episodes planned at once, unless said otherwise."""

ORACLE_BATCH = 20
"""The same with an oracle, which keeps tables of all pairs of states of every episode."""

DIAGNOSED = 80
"""Episodes that diagnostics are measured on, at most."""


def make_agent(
    stack: Stack, spec: TaskSpec, options: AgentOptions | None = None, oracle: str | None = None
) -> Agent:
    """An agent for a task: what the options leave open is as the task asks.

    Args:
        stack: trained levels.
        spec: the task.
        options: budget None: the task's; guardrails None: lava where there is any; memory None: a map where the world
            is seen in parts.
        oracle: a part that is replaced by the truth, see `hjepa.evaluation.oracles`; None: nothing is.

    A stack that sees and knows no absolute places plans on grids of every size, see `hjepa.model.resizing`.

    Raises:
        InputError: a stack of another grid, more levels than it has, or parts that do not fit the task or each other.
    """
    stack = _of_its_size(stack, spec)
    options = _fitted(stack, spec, options or AgentOptions())
    settings = options.settings or stack.config.plan
    if oracle is None:
        if settings.planner == VALUE_MAP:
            return ValueMapAgent(stack, spec, options)
        return Agent(stack, spec.step_budget, options)
    if options.memory is not None:
        raise InputError(f"oracle {oracle} on {spec.id}", "plan", "oracles know the whole; plan without")
    if options.guardrails:
        raise InputError(
            f"oracle {oracle} on {spec.id}", "plan", "oracles know no guardrails; plan unguarded"
        )
    return OracleAgent(stack, spec.step_budget, options, oracle)


def _of_its_size(stack: Stack, spec: TaskSpec) -> Stack:
    """The stack as the task's world needs it, on the same weights."""
    shown = world_of(spec, stack.config.levels[0].sees)
    if stack.world == shown:
        return stack
    reason = misfit(stack, shown)
    if reason is not None:
        raise InputError(
            f"the stack was made for {describe_world(stack.world)}; {spec.id} has {describe_world(shown)}, and"
            f" {reason}",
            "",
            "give a checkpoint that was trained for the task",
        )
    return resized(stack, shown)


def _fitted(stack: Stack, spec: TaskSpec, options: AgentOptions) -> AgentOptions:
    """The options with nothing left open that a task has a default for."""
    if options.levels is not None and options.levels > stack.depth:
        raise InputError(
            f"{options.levels} levels of a stack of {stack.depth}", "levels", f"choose 1 to {stack.depth}"
        )
    guardrails = ((Lava(),) if spec.lava else ()) if options.guardrails is None else options.guardrails
    budget = spec.default_budget_tflops if options.budget_tflops is None else options.budget_tflops
    memory = memory_for(spec, options.memory)
    return replace(options, guardrails=guardrails, budget_tflops=budget, memory=memory)


def evaluate(
    stack: Stack,
    what: Evaluation | str,
    *,
    facts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **words: Any,
) -> Record:
    """Plan held-out episodes with one agent; the record of ``hjepa plan``.

    ``evaluate(stack, "hjepa/NestedRooms-d3-v0", levels=2, episodes=20)`` says in words what
    ``evaluate(stack, Evaluation(spec, AgentOptions(levels=2), episodes=20))`` says in objects. The result is a function
    of the arguments, whatever ``episode_batch``.

    Args:
        stack: trained levels.
        what: to plan, and with which agent; or the id of a task, and ``words`` say the rest.
        facts: `train_seed` and `checkpoint_sha256` for the record.
        progress: told of every batch, and asked for those finished earlier; None: nothing is kept.
        **words: see `hjepa.evaluation.held_out.Evaluation.of`; with a task's id alone.

    Raises:
        InputError: what cannot work together.
    """
    asked = evaluation_of(stack, what, words)
    held, options = draw(asked), asked.agent
    if held.zones is not None and options.guardrails is None:
        options = replace(options, guardrails=(Region(held.zones[0]),))
    agent = make_agent(stack, asked.task, options, asked.oracle)
    if asked.diagnostics:
        agent.stack.probe(0)  # refused before the work where it knows nothing
    done = [] if progress is None else list(progress.parts)
    planned_now = asked.episodes - sum(len(part.success) for part in done)
    begun = time.perf_counter()
    results = Results.join(_played(agent, asked, held, done, progress))
    seconds = (time.perf_counter() - begun) / max(planned_now, 1)
    record = _record(agent, stack, asked, held, results, seconds, facts or {})
    _say_more(record, agent, stack, asked, results)
    if asked.diagnostics:
        watching = replace(asked.agent, record=True, guardrails=None, memory=None)
        watcher = make_agent(stack, asked.task, watching, asked.oracle)
        record["diagnostics"] = _diagnose(watcher, asked.task, held.episodes, asked.seed)
    return record


def evaluation_of(stack: Stack, what: Evaluation | str, words: Mapping[str, Any]) -> Evaluation:
    """What is to be planned, in objects.

    Raises:
        InputError: words beside an evaluation, or those that `Evaluation.of` refuses.
    """
    if isinstance(what, str):
        return Evaluation.of(stack, what, **words)
    if words:
        raise InputError(f"{', '.join(sorted(words))} beside an evaluation", "", "put it into the evaluation")
    return what


def _played(
    agent: Agent, asked: Evaluation, held: HeldOut, done: list[Results], progress: Progress | None
) -> list[Results]:
    """Results of all batches, those ``done`` earlier first."""
    parts = list(done)
    first = sum(len(part.success) for part in parts)
    size = asked.episode_batch or (DEFAULT_BATCH if asked.oracle is None else ORACLE_BATCH)
    # Zones that the agent is told are each batch's own.
    tells = held.zones is not None and asked.agent.guardrails is None
    while first < asked.episodes:
        rows = np.arange(first, min(first + size, asked.episodes))
        zones = None if held.zones is None else held.zones[rows]
        if tells and zones is not None:
            agent.guard([Region(zones)])
        missions = None if held.missions is None else held.missions.select(rows)
        tell = None if progress is None else partial(further, progress, parts)
        episodes = held.episodes.select(rows)
        trace = play(agent, asked.task, episodes, first, asked.seed, zones, missions, tell)
        parts.append(trace.results)
        first += len(rows)
        if progress is not None:
            progress.keep(parts)
    return parts


def _record(
    agent: Agent,
    stack: Stack,
    asked: Evaluation,
    held: HeldOut,
    results: Results,
    seconds: float,
    facts: Mapping[str, Any],
) -> Record:
    """What the contract asks for, of ``seconds`` per episode."""
    spec = asked.task
    return build_record(
        task=spec.id,
        split=asked.split,
        tasks=asked.tasks or spec.kinds[0],
        seed=asked.seed,
        levels=agent.depth,
        depth="trained" if agent.depth == stack.depth else "truncated",
        metric=agent.settings.metric,
        planner=agent.settings.planner,
        oracle=asked.oracle,
        budget_tflops=agent.budget_tflops,
        step_budget=spec.step_budget,
        success=results.success,
        steps=results.steps,
        oracle_steps=held.episodes.oracle_steps,
        active_share=results.planned.sum(0) / np.maximum(results.asked.sum(0), 1),
        tflops_per_episode=float(results.flops.mean() / 1e12),
        violations=results.violated,
        random_success_rate=_random_success(spec, held.episodes, held.missions, asked.seed),
        plan_ms=float(np.median(results.plan_ms)),
        seconds_per_episode=seconds,
        peak_mb=peak_mb(),
        layout=held.episodes.layouts,
        **facts,
    )


def _say_more(record: Record, agent: Agent, stack: Stack, asked: Evaluation, results: Results) -> None:
    """Add to a record what goes further than the contract."""
    spec, sight = asked.task, stack.world.sight
    record["observation"] = "state" if sight is None else sight.kind
    record["information"] = "told" if sight is None else "seen"
    record["steps_to_success"] = results.steps_to_success
    # Where success comes from (tasks.replay) ...
    record["stepped"] = "twin" if has_twin(spec.id) else "environment"
    record["replayed"] = asked.episodes if has_twin(spec.id) else 0
    record["placed"] = int(results.placed.sum())
    # ... and a level that plans once, far from the goal, has a small share of all plans.
    record["active_episodes"] = (results.planned > 0).mean(0).tolist()
    if asked.zones or spec.lava:
        record["guardrails"] = [guardrail.name for guardrail in agent.guardrails]
        record["violated"] = results.violated.tolist()
    if asked.mission is not None:
        record["mission"] = asked.mission
        record["violated"] = results.violated.tolist()
    if agent.stack.world != stack.world:
        record["trained_size"] = list(stack.world.size)
    if agent.memory is not None:
        record["memory"] = agent.memory.name
    if agent.perception.name not in ("symbolic", "seen"):
        record |= {"perception": agent.perception.name, "perception_sha256": agent.perception.sha256}


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


def watch(stack: Stack, what: Evaluation | str, **words: Any) -> Trace:
    """Plan a few episodes and keep everything that was imagined, for figures.

    Args:
        stack: trained levels.
        what, **words: as in `evaluate`, whose first episodes these are; one episode unless ``episodes`` says more.

    Raises:
        InputError: what cannot work together.
    """
    asked = evaluation_of(stack, what, words if not isinstance(what, str) else {"episodes": 1} | words)
    held = draw(asked)
    options = replace(asked.agent, record=True)
    if held.zones is not None and options.guardrails is None:
        options = replace(options, guardrails=(Region(held.zones),))
    agent = make_agent(stack, asked.task, options, asked.oracle)
    return play(agent, asked.task, held.episodes, 0, asked.seed, held.zones, held.missions)


def peak_mb() -> float:
    """Peak memory in MB: of the GPU where one was used, otherwise of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e6
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used / 1e3

"""What every level of an agent knows and does, measured against the truth: which part holds success back.

All of it is measured on held-out floor plans, on the first episodes of an evaluation, and needs the true states of
these plans; an agent knows none of it.

Per level:

rank_correlation_map    Spearman's, of the metric's distance with the true steps, over the whole plan; of a critic, with
                        the steps to the goal
rank_correlation_span   the same among states no further apart than the level looks ahead
rank_correlations_map   both on each floor plan, as lists
rank_correlations_span
descent                 the metric without search: share of episodes solved by hopping to whichever truly reachable
                        state it puts nearest to the goal, with as many steps a hop as the level looks ahead
position_accuracy       share of states whose cell a probe reads from the latent
effective_rank          directions of the latent in use: the exponential of the entropy of its variances
imagined_feasible       share of the steps imagined under the level's prior that can really be taken
imagined_beyond_walls   share of them that lead more than `BEYOND` steps further than the level's span
support_distance        nats per step by which the chosen actions are less likely than typical under the prior
candidate_coverage      share of plans that come, in imagination, as near to their target as counts as reached
optimality_gap          level 1: what its plans cost more than the best sequence of actions, found by trying all where
                        they are few enough, in median distances of one stride
optimal_plans           level 1: share of its plans that no sequence of actions undercuts by `OPTIMAL`
subgoals_feasible       share of the subgoals it set that can be reached in its stride, from where it set them
subgoals_gain           steps that a subgoal is closer to the goal than where it was set, over the stride: 1 at best
subgoals_reached        share of the subgoals in whose cell the agent stood when they were due
subgoals_stale          share of them that were missed, and no closer to the goal than the agent when they were due
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from hjepa.agent.agent import Agent
from hjepa.agent.encoding import Reader
from hjepa.evaluation.statistics import rank_correlation
from hjepa.evaluation.true_states import Truth
from levels.metrics import squared_distance
from planners.grounding import Unconstrained
from planners.noise import combine
from planners.protocols import Problem
from planners.rollouts import sample_rollout
from planners.top_down import Decision
from tasks import EpisodeBatch

BEYOND = 3
"""Steps more than a stride from which a step counts as leading through a wall."""

OPTIMAL = 0.01
"""Part of the median distance of one stride by which the best plan may undercut one that still counts as optimal."""

PAIRS = 2000
"""Pairs of states per plan for rank correlations."""

STARTS = 64
"""Imagined trajectories per plan, a multiple of `planners.rollouts.ALIGNED`."""

Finding = float | None | list[float | None]
"""A mean over floor plans, or a number for each of them; None where nothing could be measured."""


@torch.no_grad()
def diagnose(
    agent: Agent, episodes: EpisodeBatch, walked: Tensor, decisions: list[Decision], keys: Tensor
) -> list[dict[str, Finding]]:
    """One dictionary per level.

    Args:
        agent: that planned.
        episodes: E of them.
        walked: (E, T + 1, 3) x, y, heading after every step.
        decisions: every planner call.
        keys: (E,) int64, random keys of the episodes.
    """
    stack = agent.stack
    # One picture is read for many episodes at once, which folded tokens would be copied for.
    plain = Reader(stack, replace(agent.settings, folded=False), agent.searches)
    memories = plain.write(episodes.grid)
    truth = Truth(stack, episodes, memories)
    path = truth.numbers(walked.numpy())
    rows = torch.arange(len(episodes))
    goals = [truth.encode(k, truth.goal, rows) for k in range(stack.depth)]
    ends = torch.stack([truth.encode(0, path[:, 0], rows), goals[0]], 1)
    fields, metrics = agent.reader.judge(episodes.grid, ends, goals, memories, keys)
    metrics = [
        stack.metric(agent.settings.metric, k) if own is None else own for k, own in enumerate(metrics)
    ]
    found = []
    for k in range(stack.depth):
        far = _to_goal(agent, truth, k, metrics[k], fields[k])
        ahead = truth.spans[k] * agent.settings.horizon[k]
        values: dict[str, Finding] = {}
        values |= _latent(agent, truth, k, metrics[k], None if fields[k] is None else far, ahead)
        values["descent"] = _descent(agent, truth, far, ahead)
        values |= _imagined(agent, truth, k, memories[k], keys)
        own = [d for d in decisions if d.level == k + 1]
        values |= _planned(agent, k, metrics[k], fields[k], own)
        if k:
            values |= _subgoals(truth, k, path, own)
        found.append(values)
    return found


def _to_goal(agent: Agent, truth: Truth, k: int, metric: Tensor | None, field: Tensor | None) -> Tensor:
    """(E, S) the distance of every state to the goal, as planning measures it; infinite where padded."""
    known = truth.latents[k].isfinite().all(-1)
    latent = torch.where(known[..., None], truth.latents[k], 0.0)
    if field is not None:
        return agent.stack.critic(k)(latent, field).masked_fill(~known, torch.inf)
    goal = truth.encode(k, truth.goal, torch.arange(len(latent), device=latent.device))
    return squared_distance(latent, goal[:, None].expand_as(latent), metric).masked_fill(~known, torch.inf)


def _latent(
    agent: Agent, truth: Truth, k: int, metric: Tensor | None, to_go: Tensor | None, ahead: int
) -> dict[str, Finding]:
    """How well latents tell where the agent is, and how well their distance, or the critic, tells the way."""
    generator = torch.Generator().manual_seed(k)
    near, far, right, ranks = [], [], [], []
    probe = agent.stack.probe(k)
    for row, count in enumerate(truth.count.tolist()):
        pair = torch.randint(0, count, (2, PAIRS), generator=generator)
        latent = truth.latents[k][row, :count].cpu()
        own = None if metric is None else (metric if metric.ndim == 2 else metric[row]).cpu()
        distance = squared_distance(latent[pair[0]], latent[pair[1]], own).numpy()
        if to_go is not None:
            # A critic knows the way to the goal alone.
            pair[1] = truth.goal[row]
            distance = to_go[row, pair[0]].cpu().numpy()
        steps = truth.steps[row, pair[0], pair[1]].cpu().numpy()
        within = steps <= ahead
        far.append(_known(rank_correlation(distance, steps)))
        near.append(_known(rank_correlation(distance[within], steps[within])))
        seen = probe(truth.latents[k][row, :count])[:, :2].cpu()
        right.append((seen == truth.states[row, :count, :2].cpu()).all(-1).float().mean())
        variance = torch.linalg.eigvalsh(torch.cov(latent.double().T)).clamp_min(1e-12)
        share = variance / variance.sum()
        ranks.append((-(share * share.log()).sum()).exp())
    return {
        "rank_correlation_map": mean_known(far),
        "rank_correlation_span": mean_known(near),
        "rank_correlations_map": far,
        "rank_correlations_span": near,
        "position_accuracy": mean_known(right),
        "effective_rank": mean_known(ranks),
    }


def _descent(agent: Agent, truth: Truth, distance: Tensor, ahead: int) -> float:
    rows = torch.arange(len(truth.goal), device=truth.goal.device)
    within = truth.within(ahead)
    here = truth.start
    arrived = torch.zeros_like(here, dtype=torch.bool)
    for _ in range(max(agent.step_budget // ahead, 1)):
        arrived |= truth.steps[rows, here, truth.goal] <= ahead
        here = distance.masked_fill(~within[rows, here], torch.inf).argmin(1)
    return float((arrived & _sees_goal(truth, distance)).float().mean())


def _sees_goal(truth: Truth, distance: Tensor) -> Tensor:
    """(E,) whether nothing is nearer to the goal than its cell, at any heading: then a hop ends there once it can."""
    rows = torch.arange(len(truth.goal), device=truth.goal.device)
    elsewhere = truth.steps[rows, :, truth.goal] != 0
    return distance.masked_fill(elsewhere, torch.inf).amin(1) <= distance.amin(1)


def _imagined(agent: Agent, truth: Truth, k: int, memory: Tensor | None, keys: Tensor) -> dict[str, Finding]:
    """Whether what a level imagines under its prior can be done."""
    span, horizon = truth.spans[k], agent.settings.horizon[k]
    within = truth.within(span)
    feasible, beyond = [], []
    for row, count in enumerate(truth.count.tolist()):
        generator = torch.Generator().manual_seed(row)
        begin = torch.randint(0, count, (STARTS,), generator=generator).to(truth.count.device)
        own = torch.full((STARTS,), row, device=begin.device)
        problem = Problem(
            truth.encode(k, begin, own),
            None if memory is None else memory[row : row + 1].expand(STARTS, *memory.shape[1:]),
            horizon,
            Unconstrained(),
            combine(keys[row].expand(STARTS), 11, torch.arange(STARTS, device=begin.device)),
        )
        drawn = sample_rollout(agent.models[k], problem, 1)
        there = truth.locate(k, drawn.latents[:, 0].flatten(0, 1)[None], own[:1]).view(STARTS, horizon)
        before = torch.cat([begin[:, None], there[:, :-1]], 1)
        if k == 0 and not agent.models[0].level.continuous:
            action = drawn.actions[:, 0].argmax(-1)
            feasible.append((truth.following[row, before, action] == there).float().mean())
        else:
            feasible.append(within[row, before, there].float().mean())
        beyond.append((truth.steps[row, before, there] > span + BEYOND).float().mean())
    return {"imagined_feasible": mean_known(feasible), "imagined_beyond_walls": mean_known(beyond)}


def _planned(
    agent: Agent, k: int, metric: Tensor | None, field: Tensor | None, decisions: list[Decision]
) -> dict[str, Finding]:
    """What a level's plans promise."""
    surprise = [d.plan.surprise[~d.skipped] for d in decisions]
    covered = []
    for d in decisions:
        if d.at_goal:
            own = metric[d.rows] if metric is not None and metric.ndim == 3 else metric
            nearest = squared_distance(d.plan.latents, d.target[:, None], own).amin(1)
            critic = agent.planner.levels[k].critic
            if critic is not None and field is not None:
                nearest = critic(d.plan.latents, field[d.rows]).amin(1)
        else:
            nearest = d.plan.cost
        reached = agent.planner.levels[k if d.at_goal else k + 1].reached
        covered.append((nearest <= reached)[~d.skipped].float())
    found: dict[str, Finding] = {
        "support_distance": _mean_of(surprise),
        "candidate_coverage": _mean_of(covered),
    }
    if k == 0:
        unit = agent.stack.stride_quantile(agent.settings.metric, 0, 0.5)
        gaps = [(d.plan.cost - d.plan.optimum) / unit for d in decisions if d.plan.optimum is not None]
        found |= {
            "optimality_gap": _mean_of(gaps),
            "optimal_plans": _mean_of([(gap <= OPTIMAL).float() for gap in gaps]),
        }
    return found


def _subgoals(truth: Truth, k: int, path: Tensor, decisions: list[Decision]) -> dict[str, Finding]:
    """What became of the subgoals that a level set."""
    span = truth.spans[k]
    feasible, gain, reached, stale = [], [], [], []
    within = truth.within(span)
    for d in decisions:
        kept = ~d.skipped
        rows, time = d.rows[kept], d.time[kept]
        if not len(rows):
            continue
        here = path[rows, time]
        subgoal = truth.locate(k, d.plan.latents[kept, 0][:, None], rows)[:, 0]
        goal = truth.goal[rows]
        feasible.append(within[rows, here, subgoal].float())
        closer = truth.steps[rows, here, goal] - truth.steps[rows, subgoal, goal]
        gain.append(closer.float() / span)
        # Where an episode is over before, its last state stays: it stands at the goal, or time is up.
        due = path[rows, (time + span).clamp_max(path.shape[1] - 1)]
        met = truth.steps[rows, due, subgoal] == 0
        late = truth.steps[rows, due, goal] <= truth.steps[rows, subgoal, goal]
        reached.append(met.float())
        stale.append((late & ~met).float())
    return {
        "subgoals_feasible": _mean_of(feasible),
        "subgoals_gain": _mean_of(gain),
        "subgoals_reached": _mean_of(reached),
        "subgoals_stale": _mean_of(stale),
    }


def join_findings(parts: Sequence[list[dict[str, Finding]]]) -> list[dict[str, Finding]]:
    """What `diagnose` found on several groups of episodes as one: means of means, and lists end to end."""
    joined: list[dict[str, Finding]] = []
    for levels in zip(*parts):
        found: dict[str, Finding] = {}
        for name, first in levels[0].items():
            if isinstance(first, list):
                found[name] = [value for level in levels for value in _as_list(level[name])]
            else:
                found[name] = mean_known([level[name] for level in levels])
        joined.append(found)
    return joined


def mean_known(values: Sequence[Any]) -> float | None:
    """Mean of the numbers that are there; None where none is."""
    known = torch.tensor([float(value) for value in values if value is not None])
    known = known[known.isfinite()]
    return float(known.mean()) if len(known) else None


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


def _as_list(finding: Finding) -> list[float | None]:
    assert isinstance(finding, list)
    return finding


def _mean_of(parts: list[Tensor]) -> float | None:
    joined = torch.cat(parts) if parts else torch.zeros(0)
    return float(joined.float().mean()) if len(joined) else None

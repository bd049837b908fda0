"""Imagining trajectories in a model."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from planners.noise import uniform
from planners.protocols import Model, Outset, Problem, Trajectory

ALIGNED = 8
"""Matrix products work on tiles of a few rows, and the bits of a row can depend on its place in a tile. Where
every episode takes a multiple of this many rows, they do not depend on its place among the others."""


@torch.no_grad()
def at_outset(model: Model, problem: Problem) -> Problem:
    """The problem with what the first step of all candidates shares, for all rollouts that begin there.

    Computed for one tile of rows instead of for every candidate of every rollout, which gives it the same bits. Counted
    operations are those of computing it for each: what a search may spend does not depend on how it is computed.
    """
    condition = model.condition(problem.start.unsqueeze(1).expand(-1, ALIGNED, -1), problem.memory)
    return replace(problem, outset=Outset(condition, model.prior(condition)))


def look(model: Model, problem: Problem, latent: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Condition and prior of candidates' latents (E, N, D) before a step, from 0."""
    shared, count = problem.outset, latent.shape[1]
    # A part of a tile is not what bits are known of.
    if step or shared is None or count % ALIGNED:
        condition = model.condition(latent, problem.memory)
        return condition, model.prior(condition)
    # Tile by tile: what is computed of one latent can differ in its last bits from row to row of a tile.
    tiles = count // ALIGNED
    return shared.condition.repeat(1, tiles, 1), shared.prior.repeat(1, tiles, 1)


def rollout(model: Model, problem: Problem, actions: Tensor) -> Trajectory:
    """Imagine candidates (E, N, H, A) from the problem's start."""
    _, candidates, horizon, _ = actions.shape
    latent = problem.start.unsqueeze(1).expand(-1, candidates, -1)
    latents, surprise = [], []
    for step in range(horizon):
        action = actions[:, :, step]
        condition, prior = look(model, problem, latent, step)
        surprise.append(model.space.surprise(prior, action))
        latent = model.advance(latent, condition, action)
        latents.append(latent)
    return Trajectory(problem.start, actions, torch.stack(latents, 2), torch.stack(surprise, 2))


def held(noise: Tensor, longest: int) -> Tensor:
    """Draws (E, N, H, A), kept for 1, 2, 4, ... steps, up to ``longest``, by the candidates in turn.

    What is drawn anew at every step goes nowhere where actions are directions: its steps cancel.
    """
    lengths = [2**power for power in range(longest.bit_length())]
    candidate = torch.arange(noise.shape[1], device=noise.device) % len(lengths)
    length = torch.tensor(lengths, device=noise.device)[candidate]
    step = torch.arange(noise.shape[2], device=noise.device)
    first = step - step % length[:, None]
    return noise.gather(2, first[None, :, :, None].expand(noise.shape))


def sample_rollout(model: Model, problem: Problem, candidates: int, hold: int = 1) -> Trajectory:
    """Imagine candidates whose actions are drawn from the model's prior, step by step along the way.

    Args:
        model: that imagines them.
        problem: where they begin.
        candidates: N.
        hold: steps that a draw is kept for at most, see `held`.
    """
    noise = uniform(problem.keys, candidates, problem.horizon, model.space.noise_dim)
    if hold > 1:
        noise = held(noise, hold)
    latent = problem.start.unsqueeze(1).expand(-1, candidates, -1)
    actions, latents, surprise = [], [], []
    for step in range(problem.horizon):
        condition, prior = look(model, problem, latent, step)
        action = model.space.sample(prior, noise[:, :, step])
        surprise.append(model.space.surprise(prior, action))
        latent = model.advance(latent, condition, action)
        actions.append(action)
        latents.append(latent)
    return Trajectory(
        problem.start, torch.stack(actions, 2), torch.stack(latents, 2), torch.stack(surprise, 2)
    )


def finite_cost(cost: Tensor) -> Tensor:
    """Costs of any shape, infinite where they are not finite, so that no minimum is taken by a NaN."""
    return torch.where(cost.isfinite(), cost, torch.inf)


def rollout_flops(model: Model, problem: Problem) -> float:
    """Floating point operations of one candidate, forward: model and objective."""
    return model.flops * problem.horizon + problem.objective.flops

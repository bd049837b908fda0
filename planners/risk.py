"""Plans where a step may end in several ways: several futures of each candidate, and what they are worth together.

``mean``    what it costs on average
``worst``   what the worst of the futures costs
``cvar``    what the worst share of them costs on average, the conditional value at risk (Rockafellar and Uryasev 2000):
            between the two, and insensitive to a single draw

All candidates of an episode meet the same chance, step by step, so that one is not better than another by luck alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from planners.noise import combine, uniform
from planners.protocols import Model, Problem, Trajectory

RISKS = ("mean", "worst", "cvar")


@runtime_checkable
class UncertainModel(Model, Protocol):
    """A model whose steps may end in several ways."""

    def advance_by_chance(self, latent: Tensor, condition: Tensor, action: Tensor, chance: Tensor) -> Tensor:
        """(E, N, D), (E, N, F), (E, N, A), uniform numbers (E, N) in [0, 1) -> one of the next latents (E, N, D)."""
        ...


@dataclass(frozen=True)
class Risk:
    """How the costs of several futures of a candidate become one.

    Attributes:
        kind: of `RISKS`.
        futures: F, imagined of each candidate.
        share: of the futures that ``cvar`` looks at, the worst ones, at least one.

    Raises:
        ValueError: another kind, no futures, or a share outside (0, 1].
    """

    kind: str = "mean"
    futures: int = 8
    share: float = 0.25

    def __post_init__(self) -> None:
        if self.kind not in RISKS:
            raise ValueError(f"risk {self.kind!r}; choose from {', '.join(RISKS)}")
        if self.futures < 1 or not 0 < self.share <= 1:
            raise ValueError(
                f"risk of {self.futures} futures and a share of {self.share};"
                " give at least 1 future, and a share from above 0 to 1"
            )

    def of(self, cost: Tensor) -> Tensor:
        """Costs (..., F) -> (...); what is not finite counts as infinite."""
        cost = torch.where(cost.isfinite(), cost, torch.inf)
        if self.kind == "mean":
            return cost.mean(-1)
        worst = 1 if self.kind == "worst" else math.ceil(self.share * cost.shape[-1] - 1e-9)
        return cost.sort(-1, descending=True).values[..., :worst].mean(-1)


def imagine_futures(model: UncertainModel, problem: Problem, actions: Tensor, futures: int) -> Trajectory:
    """Several futures of each of the candidates (E, N, H, A): a trajectory of N x F, those of one side by side."""
    episodes, candidates, horizon, _ = actions.shape
    chance = uniform(combine(problem.keys, 5), futures, horizon, 1)[..., 0]
    chance = chance[:, None].expand(-1, candidates, -1, -1).reshape(episodes, -1, horizon)
    repeated = actions.repeat_interleave(futures, 1)
    latent = problem.start.unsqueeze(1).expand(-1, candidates * futures, -1)
    latents, surprise = [], []
    for step in range(horizon):
        action = repeated[:, :, step]
        condition = model.condition(latent, problem.memory)
        surprise.append(model.space.surprise(model.prior(condition), action))
        latent = model.advance_by_chance(latent, condition, action, chance[:, :, step].to(latent))
        latents.append(latent)
    return Trajectory(problem.start, repeated, torch.stack(latents, 2), torch.stack(surprise, 2))


def risky_cost(model: Model, problem: Problem, actions: Tensor, risk: Risk) -> Tensor:
    """What candidates (E, N, H, A) cost by their futures, (E, N).

    Raises:
        ValueError: a model that knows one future alone.
    """
    if not isinstance(model, UncertainModel):
        raise ValueError(f"risk {risk.kind} in a model that imagines one future; leave it out")
    cost = problem.objective(imagine_futures(model, problem, actions, risk.futures))
    return risk.of(cost.unflatten(1, (-1, risk.futures)))

"""A level of a stack as a model that stable-worldmodel's solvers plan in (arXiv 2602.08968).

    from hjepa.integrations.solver_model import as_model
    model = as_model("runs/two-rooms", level=1)
    solver = CEMSolver(model, num_samples=300)                                      # as released: costs by get_cost
    solver = CEMSolver(ShootingCostEvaluator(model, GoalMSE()), num_samples=300)    # newer: encode and rollout

Solvers hand over dictionaries of tensors (B, T, ...), of ``get_cost`` and ``rollout`` (B, S, T, ...) with every entry
repeated for S candidates, and candidates (B, S, H, A). One action of a level is a candidate's step: an upper level is
planned in by its own macro-actions, over its own strides. Continuous actions are in the agent's units: between -1 and 1
at level 1, within what training saw above; candidates beyond are taken for the nearest. Discrete ones are numbers of
actions (A = 1, integers), or weights of all of them, of which the largest is taken; gradients pass straight through.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hjepa.errors import InputError
from hjepa.model.checkpoints import load_stack
from hjepa.model.stack import Stack

WHERE = "stable-worldmodel"

NOW, MEMORY = "hjepa_latent", "hjepa_memory"
"""Entries kept in the dictionaries of a solver, which hold one problem: what is seen is encoded once for it."""


class SolverModel(nn.Module):
    """One level behind the interfaces of their models and costs.

    Args:
        stack: all levels; sees images or vectors.
        level: its number, from 1.
        metric: that `get_cost` measures the way to the goal with; None: the stack's own.
        observation, goal: entries of what is seen now, and of what would be at the goal.

    Attributes:
        actions: A, numbers in an action of the level, or how many there are of discrete ones.
        span: environment steps in one of them.

    Raises:
        InputError: a level that there is not, a stack that sees neither images nor vectors, or a metric it has not.
    """

    def __init__(
        self,
        stack: Stack,
        level: int = 1,
        metric: str | None = None,
        observation: str = "pixels",
        goal: str = "goal",
    ) -> None:
        super().__init__()
        sight = stack.world.sight
        if sight is None or sight.kind == "symbols":
            kind = "is told" if sight is None else "sees symbols"
            raise InputError(f"a stack that {kind}", WHERE, "give a checkpoint trained on images or vectors")
        if not 1 <= level <= stack.depth:
            raise InputError(f"level {level} of {stack.depth}", WHERE, f"choose from 1 to {stack.depth}")
        self.stack, self.k, self.sight = stack, level - 1, sight
        self.metric = stack.config.plan.metric if metric is None else metric
        if self.metric == "imagined":
            raise InputError(
                "metric imagined, which every episode has its own of", WHERE, "choose l2, commute or critic"
            )
        if self.metric == "critic":
            stack.critic(self.k)
        else:
            stack.distance(self.metric, self.k)
        self.observation, self.goal = observation, goal
        self.actions = stack.level(self.k).action_dim
        self.span = stack.config.spans[self.k]

    def encode(self, info: dict[str, Any]) -> dict[str, Any]:
        """Adds ``emb`` (B, T, D), the level's latents of what an entry (B, T, ...) shows.

        Raises:
            InputError: an entry that is missing, or of another shape than the stack sees.
        """
        shown = self._shown(info, self.observation)
        pictures = shown.unsqueeze(1) if shown.ndim == len(self.sight.shape) + 1 else shown
        memories = self.stack.write(pictures[:, 0])
        info["emb"] = self.stack.encode(pictures, memories, upto=self.k + 1)[-1]
        return info

    def rollout(self, info: dict[str, Any], candidates: Tensor) -> dict[str, Any]:
        """Adds ``predicted_emb`` (B, S, H, D), latents after each step of candidates (B, S, H, A).

        Args:
            info: entries (B, S, T, ...), the same for all S; the last of T is now.
            candidates: see above.

        Raises:
            InputError: as `encode`, or candidates of other actions.
        """
        level = self.stack.level(self.k)
        if NOW not in info:
            now = self._last(info, self.observation)
            memories = self.stack.write(now)
            info[NOW] = self.stack.encode(now.unsqueeze(1), memories, upto=self.k + 1)[-1][:, 0]
            memory = memories[self.k]
            info[MEMORY] = level.fold(memory) if memory is not None and level.foldable else memory
        memory = info[MEMORY]
        samples = candidates.shape[1]
        latent = info[NOW].unsqueeze(1).expand(-1, samples, -1)
        steps = []
        for action in self._taken(candidates).unbind(2):
            latent = level.advance(latent, level.condition(latent, memory), action)
            steps.append(latent)
        info["predicted_emb"] = torch.stack(steps, 2)
        return info

    def criterion(self, info: dict[str, Any], candidates: Tensor | None = None) -> Tensor:
        """Costs (B, S): how far the last of ``predicted_emb`` is from ``goal_emb`` (B, T, D), by the metric.

        Candidates, which solvers hand over as well, cost nothing.
        """
        last, goal = info["predicted_emb"][:, :, -1], info["goal_emb"][:, -1]
        if self.metric != "critic":
            return self.stack.distance(self.metric, self.k)(last, goal.unsqueeze(1))
        critic, settings = self.stack.critic(self.k), self.stack.config.critic
        assert settings is not None
        found: Tensor = critic(last, critic.field(self._last(info, self.observation), goal, settings.sweeps))
        return found

    def get_cost(self, info: dict[str, Any], candidates: Tensor) -> Tensor:
        """Costs (B, S) of candidates (B, S, H, A), as solvers ask for them.

        Raises:
            InputError: as `rollout`.
        """
        if "goal_emb" not in info:
            aim = self._last(info, self.goal)
            memories = self.stack.write(self._last(info, self.observation))
            info["goal_emb"] = self.stack.encode(aim.unsqueeze(1), memories, upto=self.k + 1)[-1]
        return self.criterion(self.rollout(info, candidates))

    def _taken(self, candidates: Tensor) -> Tensor:
        """Actions (B, S, H, A) of the level."""
        level = self.stack.level(self.k)
        if level.continuous and candidates.shape[-1] == self.actions:
            low, high = (getattr(self.stack, f"action_{end}_{self.k}") for end in ("low", "high"))
            return candidates.maximum(low).minimum(high)
        if not level.continuous and candidates.shape[-1] == 1 and not candidates.is_floating_point():
            return F.one_hot(candidates[..., 0].long(), self.actions).float()
        if not level.continuous and candidates.shape[-1] == self.actions:
            weights = candidates.float().softmax(-1)
            hard = F.one_hot(candidates.argmax(-1), self.actions).float()
            return hard + weights - weights.detach()
        kind = "numbers" if level.continuous else "discrete actions"
        raise InputError(
            f"candidates of {candidates.shape[-1]} numbers a step, level {self.k + 1} has {self.actions} {kind}",
            WHERE,
            "configure the solver with that many, and an action block of 1",
        )

    def _last(self, info: Mapping[str, Any], name: str) -> Tensor:
        """What an entry (B, S, T, ...) shows last, of the first of S, which are the same: (B, *shape)."""
        shown = self._shown(info, name)
        extra = shown.ndim - 1 - len(self.sight.shape)
        if extra > 1:
            shown = shown[:, 0]
        return shown[:, -1] if extra else shown

    def _shown(self, info: Mapping[str, Any], name: str) -> Tensor:
        """An entry as the stack sees it: (..., *shape)."""
        if name not in info:
            raise InputError(
                f"no entry {name!r}", WHERE, f"name one of {', '.join(sorted(info))} as observation and goal"
            )
        shown, shape = torch.as_tensor(info[name]), self.sight.shape
        if self.sight.kind == "image" and shown.shape[-3:] == (shape[2], *shape[:2]) != shape:
            shown = shown.movedim(-3, -1)
        if shown.shape[shown.ndim - len(shape) :] != shape:
            raise InputError(
                f"{name} of shape {tuple(shown.shape)}, the stack sees {shape}",
                WHERE,
                "give what it was trained on",
            )
        if self.sight.kind == "image" and shown.dtype != torch.uint8:
            raise InputError(f"{name} of {shown.dtype}", WHERE, "give pictures of uint8, without a transform")
        return shown.to(self.stack.step_distance.device)


def as_model(
    checkpoint: str | os.PathLike[str],
    level: int = 1,
    *,
    metric: str | None = None,
    observation: str = "pixels",
    goal: str = "goal",
    device: str = "cpu",
) -> SolverModel:
    """A level of a checkpoint as a model for stable-worldmodel's solvers; their package is not needed for it.

    Args:
        checkpoint: shipped weights or a run folder.
        level, metric, observation, goal: see `SolverModel`.
        device: ``cpu`` or ``cuda``.

    Raises:
        InputError: see `SolverModel`, or a checkpoint that cannot be read.
    """
    return SolverModel(load_stack(checkpoint, device), level, metric, observation, goal).eval()

"""The actors of a stack: each level's inverse policy as planners take it, and the files it is kept in.

Actors are distilled from the plans of a trained stack (`hjepa.training.actor_distillation`) and kept beside its
weights, which stay as
they are: `ACTOR_DESCRIPTION` and the weights that it names, in the folder of the checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hjepa.errors import InputError
from hjepa.model.beside import load_beside, save_beside
from hjepa.model.described import fits, whole
from hjepa.model.level_model import PROBED, count_flops
from hjepa.model.stack import Stack
from levels.actor import Actor
from levels.grid.critic import Critic
from planners.protocols import Aim

FORMAT = "hjepa-actors"
ACTOR_DESCRIPTION = "actors.json"

RADIUS = 3
"""Cells in each direction in which an actor sees how the critic's field goes on."""


def make_actors(stack: Stack, hidden: int) -> list[Actor]:
    """Untrained actors for every level of a stack."""
    made = []
    for k, settings in enumerate(stack.config.levels):
        level = stack.level(k)
        above = stack.config.levels[k + 1].latent_dim if k + 1 < stack.depth else 0
        prior_dim = (2 if level.continuous else 1) * level.action_dim
        made.append(
            Actor(settings.hidden, settings.latent_dim, around_dim(stack, k), above, prior_dim, hidden)
        )
    return made


def around_dim(stack: Stack, k: int) -> int:
    """Numbers in what level k + 1's actor sees of the critic's field; 0 without a critic over cells."""
    return _around_dim(_critic_over_cells(stack, k))


def _around_dim(critic: Critic | None) -> int:
    return 0 if critic is None else critic.headings * (2 * RADIUS + 1) ** 2


def _critic_over_cells(stack: Stack, k: int) -> Critic | None:
    """Level k + 1's critic, where its field is over cells; None for others and none."""
    critic = stack.critic(k) if len(stack.critics) else None
    return critic if isinstance(critic, Critic) else None


class LevelPolicy:
    """One level's actor, as planners take it.

    Args:
        stack: with actors.
        k: which level, from 0.

    Raises:
        InputError: a stack without actors.
    """

    def __init__(self, stack: Stack, k: int) -> None:
        if len(stack.actors) <= k:
            raise InputError(
                "the stack has no actors",
                "planner actor",
                "distil them with `hjepa distill`, or choose another planner",
            )
        self.stack, self.k, self.actor = stack, k, stack.actor(k)
        self.critic = _critic_over_cells(stack, k)
        self.flops = self._count()

    def __call__(self, condition: Tensor, latent: Tensor, aim: Aim, left: Tensor) -> Tensor:
        """See `planners.policies.Policy`."""
        count = latent.shape[1]
        if aim.target is not None:
            target = aim.target.unsqueeze(1).expand(-1, count, -1)
            described = self.actor.to_subgoal(
                condition, latent, target, left.unsqueeze(1).expand(-1, count).to(latent)
            )
        else:
            goal = aim.goal.unsqueeze(1).expand(-1, count, -1)
            around = _read_around(self.critic, latent, aim.field)
            described = self.actor.to_goal(condition, latent, goal, around)
        return described

    def _count(self) -> float:
        level, device = self.stack.level(self.k), self.stack.step_distance.device
        latent = torch.zeros(1, PROBED, level.settings.latent_dim, device=device)
        condition = torch.zeros(1, PROBED, level.settings.hidden, device=device)
        field = None
        if self.critic is not None:
            field = torch.zeros(1, self.critic.headings, *self.stack.world.size, device=device)
        aim = Aim(latent[:, 0], None, torch.ones(1, device=device), 1.0, field)
        return count_flops(lambda: self(condition, latent, aim, aim.left)) / PROBED


def look_around(stack: Stack, k: int, latent: Tensor, field: Tensor | None) -> Tensor:
    """What level k + 1's actor sees of the critic's field around latents (P, N, D): (P, N, S).

    Zeros for an agent that plans without it, and none where the field is not over cells.
    """
    return _read_around(_critic_over_cells(stack, k), latent, field)


def _read_around(critic: Critic | None, latent: Tensor, field: Tensor | None) -> Tensor:
    if field is None or critic is None:
        return latent.new_zeros(*latent.shape[:2], _around_dim(critic))
    return critic.around(latent, field, RADIUS)


def save_actors(stack: Stack, folder: Path, facts: dict[str, Any]) -> None:
    """Write the actors of a stack beside its weights.

    Args:
        stack: with actors.
        folder: the checkpoint's.
        facts: entries of the description; ``checkpoint_sha256`` is the hash of the weights they were distilled from.
    """
    described = {"format": FORMAT, "version": 1, "radius": RADIUS, **facts}
    save_beside(folder, "actors", stack.actors.state_dict(), described)


def load_actors(stack: Stack, folder: Path, sha256: str) -> None:
    """Give a stack the actors in its checkpoint's folder, where there are some.

    Raises:
        InputError: files that do not belong to these weights, or cannot be read.
    """
    file, remedy = folder / ACTOR_DESCRIPTION, "distil them again with `hjepa distill`"
    found = load_beside(folder, "actors", remedy)
    if found is None:
        return
    content, state = found
    if content.get("format") != FORMAT or content.get("radius") != RADIUS:
        raise InputError("describes no actors of this version", str(file), remedy)
    if content.get("checkpoint_sha256") != sha256:
        raise InputError("belongs to other weights than those beside it", str(file), remedy)
    try:
        hidden = whole(content.get("hidden"), "hidden", 1, 1 << 16)
        with torch.device("meta"):  # shapes are compared before anything is made
            fits(state, nn.ModuleList(make_actors(stack, hidden)))
        stack.actors.extend(make_actors(stack, hidden))
        stack.actors.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"does not fit its description ({error})", str(file), remedy) from None

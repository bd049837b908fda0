"""The actor: what a level does to get somewhere, at a glance and without search.

A goal-conditioned inverse policy, distilled from plans: from a latent, what surrounds it and a target it gives the
distribution of actions that planning chose there. Followed by itself it is the fast mode of the agent (LeCun, "A path
towards autonomous machine intelligence", 2022, sections 3.1 and 4.7: mode 1); drawn from, it makes candidates for the
slow one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from levels.networks import mlp


class Actor(nn.Module):
    """The inverse policy of one level.

    Args:
        condition_dim: numbers in what the level's predictor says about a state, before any action.
        latent_dim: D.
        around_dim: numbers that say how the way to the goal goes on around a latent, see
            `levels.grid.critic.Critic.around`.
        target_dim: numbers in a subgoal, a latent of the level above; 0 for the top level, which has none.
        prior_dim: numbers that describe a distribution of actions.
        hidden: width.
    """

    def __init__(
        self,
        condition_dim: int,
        latent_dim: int,
        around_dim: int,
        target_dim: int,
        prior_dim: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.goal = mlp(condition_dim + 2 * latent_dim + around_dim, hidden, prior_dim)
        inputs = condition_dim + latent_dim + target_dim + 1
        self.subgoal = mlp(inputs, hidden, prior_dim) if target_dim else None

    def to_goal(self, condition: Tensor, latent: Tensor, goal: Tensor, around: Tensor) -> Tensor:
        """Distributions (P, N, Q) of actions to the goal.

        Args:
            condition: (P, N, F).
            latent: (P, N, D).
            goal: (P, N, D).
            around: (P, N, S).
        """
        return self.goal(torch.cat([condition, latent, goal, around], -1))

    def to_subgoal(self, condition: Tensor, latent: Tensor, target: Tensor, left: Tensor) -> Tensor:
        """Distributions (P, N, Q) of actions to a subgoal.

        Args:
            condition: (P, N, F).
            latent: (P, N, D).
            target: (P, N, D_above).
            left: (P, N) share of the stride that is left until it is due.

        Raises:
            ValueError: at the top level, which has no subgoals.
        """
        if self.subgoal is None:
            raise ValueError("the top level's actor knows no subgoals; give the goal")
        return self.subgoal(torch.cat([condition, latent, target, left.unsqueeze(-1)], -1))

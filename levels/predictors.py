"""The predictor: one step of a level, and the prior over the actions that data takes there.

A trunk reads state and floor plan once; an action then modulates its output feature by feature (FiLM, Perez
et al., arXiv 1709.07871). All A discrete actions of a state therefore cost one trunk and A small heads.
Linear in the action, so it takes one-hot actions, points of the simplex between them, and real numbers alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from levels.networks import begin_normal, mlp
from levels.reading import make_reader
from levels.settings import LevelSettings, World


class Predictor(nn.Module):
    """Latent and action -> next latent.

    Args:
        world: what is seen.
        places: leading numbers of a latent that are places on the picture.
        settings: of the level.
        action_dim: A.
        prior_dim: numbers that describe the prior over actions of one state.
    """

    def __init__(
        self, world: World, places: int, settings: LevelSettings, action_dim: int, prior_dim: int
    ) -> None:
        super().__init__()
        dim, hidden = settings.latent_dim, settings.hidden
        self.reader = None if settings.memory is None else make_reader(dim, places, world, settings.memory)
        # Where it is, a level need not know to tell what happens: what it sees there says so.
        self.unseen = 0 if settings.absolute or settings.memory is None else places
        inputs = dim - self.unseen + (0 if self.reader is None else self.reader.outputs)
        self.trunk = nn.Sequential(mlp(inputs, hidden, hidden), nn.GELU())
        self.features = nn.Linear(hidden, settings.head)
        self.scale = nn.Linear(action_dim, settings.head)
        self.shift = nn.Linear(action_dim, settings.head, bias=False)
        self.outputs = nn.Linear(settings.head, dim)
        self.prior = nn.Linear(hidden, prior_dim)
        # Actions start out clearly different, or gradient descent takes long to tell them apart.
        begin_normal(self.scale.weight, std=0.5)
        nn.init.ones_(self.scale.bias)
        begin_normal(self.shift.weight, std=0.5)

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        """What does not depend on the action: (P, N, D), memory -> (P, N, hidden)."""
        if self.reader is not None:
            assert memory is not None
            # No slice of everything: it would sum gradients in another order, and change published plans with them.
            kept = latent[..., self.unseen :] if self.unseen else latent
            latent = torch.cat([kept, self.reader(latent, memory)], -1)
        return self.trunk(latent)

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        """Latent (P, N, D), condition (P, N, hidden), action (P, N, A) -> next latent (P, N, D)."""
        hidden = self.features(condition) * self.scale(action) + self.shift(action)
        return latent + self.outputs(F.relu(hidden))

    def branch(self, latent: Tensor, condition: Tensor) -> Tensor:
        """The next latents of all A discrete actions: (P, N, D), (P, N, hidden) -> (P, N, A, D)."""
        # Contiguous, or the large tensor below gets their layout and has to be copied for the last product.
        scale = (self.scale.weight.T + self.scale.bias).contiguous()
        shift = self.shift.weight.T.contiguous()
        hidden = self.features(condition).unsqueeze(-2) * scale
        hidden = F.relu(hidden + shift) if torch.is_grad_enabled() else hidden.add_(shift).relu_()
        return latent.unsqueeze(-2) + self.outputs(hidden)

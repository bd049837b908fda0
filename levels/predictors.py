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
from levels.tokens import Glimpse

FOLDED = 5
"""Axes of folded tokens, which have one more than tokens."""


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
        """What does not depend on the action: (P, N, D), memory or what `fold` made of it -> (P, N, hidden)."""
        if self.reader is not None:
            assert memory is not None
            if memory.ndim == FOLDED:
                return self._condition_folded(latent, memory)
            # No slice of everything: it would sum gradients in another order, and change published plans with them.
            kept = latent[..., self.unseen :] if self.unseen else latent
            latent = torch.cat([kept, self.reader(latent, memory)], -1)
        return self.trunk(latent)

    @property
    def foldable(self) -> bool:
        """Whether the first layer can read tokens once and for all, see `fold`."""
        return isinstance(self.reader, Glimpse) and self.reader.foldable

    def fold(self, memory: Tensor) -> Tensor:
        """Tokens (P, W, H, C) -> what the first layer makes of them around every place, (P, M, W', H', hidden).

        `condition` takes it in the place of the tokens: the same but for rounding, and quicker for many states of
        one picture. It holds for the weights of now.

        Raises:
            ValueError: a level that is not `foldable`.
        """
        if not isinstance(self.reader, Glimpse):
            raise ValueError("a level folds tokens that it glimpses, and this one reads none")
        weight = self._first.weight
        return self.reader.fold(memory, weight[:, weight.shape[1] - self.reader.outputs :])

    @property
    def _first(self) -> nn.Linear:
        layer = self.trunk[0][0]  # type: ignore[index]
        assert isinstance(layer, nn.Linear)
        return layer

    def _condition_folded(self, latent: Tensor, folded: Tensor) -> Tensor:
        assert isinstance(self.reader, Glimpse)
        first, second = self._first, self.trunk[0][2]  # type: ignore[index]
        kept = latent[..., self.unseen :]
        hidden = F.linear(kept, first.weight[:, : kept.shape[-1]], first.bias)
        hidden = hidden + self.reader.read_folded(latent, folded)
        condition: Tensor = F.gelu(second(F.gelu(hidden)))
        return condition

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

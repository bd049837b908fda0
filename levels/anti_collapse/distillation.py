"""Self-distillation: the prediction aims at a slow copy of the encoder, and no gradient reaches that.

As in BYOL (Grill et al., arXiv 2006.07733) and V-JEPA (Bardes et al., arXiv 2404.08471, equation 1), with encoder f,
predictor P and weights θ:

    |P(f_θ(x_t), a_t) - sg(f_θ'(x_t+1))|²,    θ' <- m θ' + (1 - m) θ  at every step.

Nothing pushes latents apart. That they stay apart rests on the predictor and the slow aim, so it depends on the rest of
the loss: terms that pull latents together, such as similarity, are not held back by it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from levels.anti_collapse.base import AntiCollapse


class Distillation(AntiCollapse):
    """See the module.

    Args:
        encoder: of the level.
        momentum: m, the share of the slow copy that stays at each step; 0: the aim is the encoder itself, and only the
            gradient stops (SimSiam, Chen and He, arXiv 2011.10566).

    Raises:
        ValueError: a momentum outside of [0, 1).
    """

    def __init__(self, encoder: nn.Module, momentum: float = 0.99) -> None:
        super().__init__(encoder)
        if not 0 <= momentum < 1:
            raise ValueError(f"distillation has momentum {momentum}; give at least 0 and less than 1")
        self.momentum = momentum
        self.teacher = copy.deepcopy(encoder).requires_grad_(False)
        # The pupil is not a part of this one: its weights are the level's. A tuple hides it from torch.
        self._pupil = (encoder,)

    @torch.no_grad()
    def aim(self, latent: Tensor, encode: Callable[[nn.Module], Tensor]) -> Tensor:
        """What the slow copy sees; in training it follows the encoder first."""
        if self.training:
            self._follow()
        return encode(self.teacher)

    def forward(self, pairs: Tensor) -> dict[str, Tensor]:
        """No term of its own."""
        return {}

    def _follow(self) -> None:
        (pupil,) = self._pupil
        for slow, weight in zip(self.teacher.parameters(), pupil.parameters()):
            slow.lerp_(weight, 1 - self.momentum)
        # What is measured, such as the spread of the data, is no weight: it is taken over as it is.
        for kept, measured in zip(self.teacher.buffers(), pupil.buffers()):
            kept.copy_(measured)

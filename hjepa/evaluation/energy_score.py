"""How good imagined futures are, when what comes is not certain: the energy score, and what the latent variable tells.

The energy score of F futures x drawn by a model, of which y came,

    mean over x of |x - y|  -  1/2 mean over pairs of different x of |x - x'|,

is least on average for who draws from what really comes (Gneiting and Raftery 2007), and is plain distance for a model
of one future, so that the two can be compared on the same transitions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hjepa.errors import InputError
from levels.latent_variable import categorical_divergence
from levels.level import Level


def energy_score(futures: Tensor, came: Tensor) -> Tensor:
    """Futures (B, F, D), drawn independently, and what came (B, D) -> (B,).

    Raises:
        InputError: no futures.
    """
    count = futures.shape[1]
    if not count:
        raise InputError("no futures", "energy score", "draw at least 1")
    away = (futures - came.unsqueeze(1)).norm(dim=-1).mean(1)
    if count == 1:
        return away
    apart = torch.cdist(futures, futures).sum((1, 2)) / (count * (count - 1))
    return away - apart / 2


@torch.no_grad()
def score_level(
    level: Level,
    latent: Tensor,
    following: Tensor,
    action: Tensor,
    memory: Tensor | None,
    futures: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Energy scores and bits of a level's transitions.

    Args:
        level: of primitive actions.
        latent, following: (P, N, D) before and after.
        action: (P, N, A).
        memory: what the level remembers of each of P layouts.
        futures: F, drawn of each transition by a level with a latent variable; without there is one.
        generator: of the draws.

    Returns:
        (P, N) scores, and (P, N) what the latent variable had to be told, the divergence of its posterior from its
        prior in bits; 0 without one.
    """
    condition = level.condition(latent, memory)
    if level.variable is None:
        one = level.advance(latent, condition, action)
        return energy_score(one.flatten(0, 1)[:, None], following.flatten(0, 1)).view(
            latent.shape[:2]
        ), latent.new_zeros(latent.shape[:2])
    outcomes, logits = level.outcomes(latent, condition, action)
    chances = logits.softmax(-1).flatten(0, 1)
    drawn = torch.multinomial(chances, futures, replacement=True, generator=generator)
    flat = outcomes.flatten(0, 1)
    sample = flat.gather(1, drawn.unsqueeze(-1).expand(-1, -1, flat.shape[-1]))
    score = energy_score(sample, following.flatten(0, 1)).view(latent.shape[:2])
    posterior = level.posterior(latent, condition, action, following)
    return score, categorical_divergence(posterior, logits) / math.log(2)


def widened(level: Level, source: Level) -> Level:
    """The level with the weights of one without a latent variable, which it otherwise equals.

    The columns of its predictor that read codes keep what they began with, and so does the prior over codes.

    Raises:
        InputError: levels of other shapes.
    """
    given, own = source.state_dict(), level.state_dict()
    for name, value in own.items():
        if name.startswith("variable."):
            continue
        if name not in given or given[name].shape[:1] != value.shape[:1]:
            raise InputError(f"no weights for {name}", "the level", "give the level that it widens")
        if given[name].shape == value.shape:
            own[name] = given[name]
        else:
            own[name] = torch.cat([given[name], value[:, given[name].shape[1] :]], 1)
    level.load_state_dict(own)
    return level

"""One JEPA level: an encoder, a predictor, actions with a prior, and what keeps the latent from collapsing.

All levels are instances of one class. Level 1 sees the agent, the others the latent of the level below.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from levels.anti_collapse.kinds import make_anti_collapse
from levels.encoders.given import Given, make_encoder
from levels.encoders.normal import Normal
from levels.encoders.picture import PictureEncoder
from levels.grid.memory import MemoryReader
from levels.latent_variable import LatentVariable, categorical_divergence, code_by_chance
from levels.macro_actions import (
    CHUNK_ENCODERS,
    StochasticChunkEncoder,
    categorical_loss,
    gaussian_divergence,
    gaussian_draw,
    gaussian_loss,
    one_hot_draw,
    one_hot_max,
    responsibilities,
)
from levels.networks import mlp
from levels.pictures import distinct
from levels.predictors import Predictor
from levels.reading import make_writer
from levels.settings import CONTINUOUS, SEEING, LevelSettings, World

ANNEALED_SHARE = 0.6
"""Share of training after which outcome codes are told apart at their final scale."""


class Level(nn.Module):
    """A JEPA level.

    Args:
        settings: what it is made of.
        below_dim: numbers in the latent of the level below; ignored at level 1.
        below_actions: numbers in an action of the level below (level 1: the primitive actions).
        world: what level 1 sees and does.
        below_places: leading numbers in the latent of the level below that are places on the picture.

    Attributes:
        places: the same of this level's latent.

    Raises:
        ValueError: parts that do not fit together.
    """

    def __init__(
        self, settings: LevelSettings, below_dim: int, below_actions: int, world: World, below_places: int = 0
    ) -> None:
        super().__init__()
        self.settings = settings
        self._seen_axes = 3 if settings.sees in ("symbols", "image") else 1
        self.action_dim = settings.action_dim(below_actions)
        chunk = settings.macro_action in CONTINUOUS
        self.continuous = chunk or (settings.macro_action == "primitive" and world.continuous)
        dim = settings.latent_dim
        self.writer = make_writer(world, settings)
        self.encoder = make_encoder(Given(settings, world, below_dim, below_places))
        if (settings.fine or settings.loss.shift > 0) and not isinstance(self.encoder, PictureEncoder):
            raise ValueError(
                f"level fine or loss.shift with encoder {settings.encoder}, which finds no places in a picture; leave"
                " them out"
            )
        self.normal = Normal(dim) if settings.normalize else None
        self.places = 0 if settings.normalize else int(getattr(self.encoder, "places", 0))
        prior_dim = 2 * self.action_dim if self.continuous else self.action_dim
        unsaid = settings.latent_variable
        taken = self.action_dim + (0 if unsaid is None else unsaid.codes)
        self.predictor = Predictor(world, self.places, settings, taken, prior_dim)
        made = CHUNK_ENCODERS.get(settings.macro_action)
        sizes = (settings.stride, below_actions, settings.hidden, self.action_dim)
        self.chunk_encoder = None if made is None else made(*sizes)
        infers = settings.macro_action != "outcome" and settings.loss.inverse > 0
        self.inverse = mlp(2 * dim, settings.hidden // 2, self.action_dim) if infers else None
        self.expander = mlp(dim, settings.expander, settings.expander) if settings.expander else None
        own = settings.encoder != "shared"
        kind, numbers = settings.anti_collapse, settings.anti_collapse_with
        self.anti_collapse = make_anti_collapse(kind, self.encoder, numbers) if own else None
        # Last, so that levels begin the same with it and without.
        self.variable = None if unsaid is None else LatentVariable(unsaid, settings.hidden, self.action_dim)

    def write(self, grid: Tensor) -> Tensor | None:
        """Pictures (P, ...), or told floor plans (P, W, H, 3), -> memory (P, W, H, C); None: the level has none."""
        return None if self.writer is None else self.writer(grid)

    @property
    def foldable(self) -> bool:
        """Whether nothing but the predictor's first layer reads the memory, so that `fold` may take its place.

        Of an encoder of a user's own nobody knows what it reads.
        """
        reads = getattr(self.encoder, "reader", None) is not None or ":" in self.settings.encoder
        return self.predictor.foldable and not reads

    def fold(self, memory: Tensor) -> Tensor:
        """The memory as the predictor's first layer reads it, see `levels.predictors.Predictor.fold`."""
        return self.predictor.fold(memory)

    def encode(self, below: Tensor, memory: Tensor | None) -> Tensor:
        """What the level below has, (P, ..., D_below), -> latent (P, ..., D). Level 1: observations (P, ..., shape)."""
        return self._encode_with(self.encoder, below, memory)

    def _encode_with(self, encoder: nn.Module, below: Tensor, memory: Tensor | None) -> Tensor:
        axes = self._seen_axes
        flat = below.reshape(below.shape[0], -1, *below.shape[-axes:])
        latent: Tensor = encoder(flat, memory)
        if self.normal is not None:
            latent = self.normal(latent)
        return latent.reshape(*below.shape[:-axes], -1)

    def see(self, below: Tensor, memory: Tensor | None) -> Tensor:
        """`encode` for training: windows (P, n, F, ...) -> (P, n, F, D), every different picture seen once."""
        if not isinstance(self.encoder, PictureEncoder):
            return self.encode(below, memory)
        pictures, number = distinct(below.flatten(0, 2))
        latent: Tensor = self.encode(pictures[None], None)[0]
        return latent[number].view(*below.shape[:3], -1)

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        """What predictor and prior share: (P, N, D) -> (P, N, hidden).

        A memory of P times n pictures has one for each n-th part of a plan's states, in their order.
        """
        if memory is None or len(memory) <= len(latent):
            return self.predictor.condition(latent, memory)
        own = rearrange(latent, "p (n m) d -> (p n) m d", n=len(memory) // len(latent))
        return rearrange(self.predictor.condition(own, memory), "(p n) m d -> p (n m) d", p=len(latent))

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        """One step: (P, N, D), (P, N, hidden), (P, N, A) -> (P, N, D).

        Of a level with a latent variable by the likeliest code, unless ``action`` names one itself, (P, N, A + K).
        """
        if self.variable is not None and action.shape[-1] == self.action_dim:
            action = torch.cat([action, one_hot_max(self.variable(condition, action))], -1)
        return self.predictor.advance(latent, condition, action)

    def advance_by_chance(self, latent: Tensor, condition: Tensor, action: Tensor, chance: Tensor) -> Tensor:
        """One step to a future drawn from the prior by uniform numbers ``chance`` (P, N) in [0, 1); else as `advance`.

        Without a latent variable there is one future.
        """
        if self.variable is not None:
            code = code_by_chance(self.variable(condition, action), chance)
            action = torch.cat([action, code], -1)
        return self.predictor.advance(latent, condition, action)

    def outcomes(
        self, latent: Tensor, condition: Tensor, action: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """All that may come of a step, (P, N, K, D), and how likely each is, logits (P, N, K).

        Args:
            latent: (P, N, D).
            condition: (P, N, hidden).
            action: (P, N, A); outcome levels have none, the code is all there is.
        """
        if action is None:
            return self.predictor.branch(latent, condition), self.prior(condition)
        if self.variable is None:
            following = self.predictor.advance(latent, condition, action).unsqueeze(-2)
            return following, following.new_zeros(following.shape[:-1])
        codes = self.variable.codes
        flat = self.variable.with_each(action).flatten(1, 2)
        here, given = (part.repeat_interleave(codes, 1) for part in (latent, condition))
        following = self.predictor.advance(here, given, flat)
        return following.unflatten(1, (-1, codes)), self.variable(condition, action)

    def posterior(self, latent: Tensor, condition: Tensor, action: Tensor, following: Tensor) -> Tensor:
        """(P, N, K): how likely each code of the latent variable is, given what came; arguments as in `outcomes`.

        Raises:
            ValueError: a level without one.
        """
        if self.variable is None:
            raise ValueError("the level has no latent variable; give its settings latent_variable")
        outcomes, logits = self.outcomes(latent, condition, action)
        scale = self._weights(following).sqrt()
        return responsibilities(
            scale * outcomes, logits.log_softmax(-1), scale * following, self.variable.variance
        )

    def prior(self, condition: Tensor) -> Tensor:
        """(P, N, hidden) -> logits (P, N, A), or mean and spread (P, N, 2A) of continuous actions."""
        return self.predictor.prior(condition)

    def infer(self, latent: Tensor, following: Tensor, memory: Tensor | None) -> Tensor:
        """The outcome code that leads from one latent to the other.

        (P, N, D), (P, N, D) -> one-hot (P, N, K).

        Raises:
            ValueError: a level whose actions are not outcomes.
        """
        if self.settings.macro_action != "outcome":
            raise ValueError(
                f"actions of a {self.settings.macro_action!r} level are not inferred from latents"
            )
        condition = self.condition(latent, memory)
        outcomes = self.predictor.branch(latent, condition)
        log_prior = self.prior(condition).log_softmax(-1)
        scale = self._weights(latent).sqrt()
        variance = self.settings.sigma**2
        return one_hot_max(responsibilities(scale * outcomes, log_prior, scale * following, variance))

    def losses(
        self,
        below: Tensor,
        actions: Tensor | None,
        memory: Tensor | None,
        progress: float,
        place: Tensor | None = None,
        encoded: bool = False,
        latent: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted loss and its terms on windows of the level's own steps.

        Args:
            below: (P, n, F, D_below), F moments one stride apart in each of n windows of P plans; level 1:
                (P, n, F, ...) observations.
            actions: what was done between the moments: level 1 (P, n, F-1, A), one-hot if discrete; levels of chunks
                (P, n, F-1, stride, A_below); None for outcome levels.
            memory: from `write`.
            progress: share of training done, for the annealing of outcome codes.
            place: (P, n, F, 2) cells x, y where the observations show the agent, for readers of the floor plan
                to learn where to look; None: they find out themselves.
            encoded: ``below`` is this level's latents (P, n, F, D), made by an encoder that does not change: only what
                becomes of them is learned.
            latent: what `see` makes of ``below``, from whoever has it already.

        Returns:
            the scalar to minimise, and every term unweighted by name.
        """
        weights = self.settings.loss
        if latent is None:
            latent = below if encoded else self.see(below, memory)
        described: Tensor | None = None
        if self.chunk_encoder is not None:
            assert actions is not None
            if isinstance(self.chunk_encoder, StochasticChunkEncoder):
                described = self.chunk_encoder.describe(actions)
                actions = gaussian_draw(described)
            else:
                actions = self.chunk_encoder(actions)
        aim = latent
        if self.anti_collapse is not None and not encoded:
            aim = self.anti_collapse.aim(latent, lambda other: self._encode_with(other, below, memory))
        terms = self._imagine(latent, aim, actions, memory, progress, described)
        if not encoded:
            terms |= self._regularise(latent)
        if isinstance(self.encoder, PictureEncoder) and weights.shift > 0 and not encoded:
            terms["shift"] = self.encoder.shift_loss(below[:, :, 0], latent[:, :, 0])
        if self.inverse is not None and not encoded:
            assert actions is not None
            terms["inverse"] = self._inverse_loss(below, latent, actions)
        if place is not None and memory is not None:
            terms["look"] = self._look_loss(below, latent, place)
        # A term of weight 0 is left out: 0 times what is not a number would be no number either.
        used = [weights.of(name) * value for name, value in terms.items() if weights.of(name) > 0]
        return sum(used, torch.zeros((), device=latent.device)), terms

    def _imagine(
        self,
        latent: Tensor,
        aim: Tensor,
        actions: Tensor | None,
        memory: Tensor | None,
        progress: float,
        drawn_from: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Prediction and prior terms, means over steps; errors are towards the aim, steps begin at the latent.

        Half of the windows are rolled out from their first moment over all of them, so that errors do not
        pile up when planning; the other half predict each moment from the true one before it. Of actions that were
        drawn the divergence of what they were ``drawn_from`` (P, n, F-1, 2A) takes the place of their likelihood.
        """
        half = latent.shape[1] // 2
        imagined = latent[:, :, 0]
        prediction, prior, told = [], [], []
        for step in range(1, latent.shape[2]):
            condition = self.condition(imagined, memory)
            target, true = aim[:, :, step], latent[:, :, step]
            if actions is None:
                imagined, error, code_loss = self._best_outcome(imagined, condition, target, progress)
                prediction.append(error)
                prior.append(code_loss)
                imagined = torch.cat([imagined[:, :half], true[:, half:]], 1)
                continue
            action = actions[:, :, step - 1]
            described = self.prior(condition.detach())
            if drawn_from is not None:
                prior.append(gaussian_divergence(drawn_from[:, :, step - 1], described).mean())
            elif self.continuous:
                prior.append(gaussian_loss(described, action.detach()))
            else:
                prior.append(categorical_loss(described, action))
            if self.variable is not None:
                action, nats = self._likely_code(imagined, condition, action, target, progress)
                told.append(nats)
            imagined = self.advance(imagined, condition, action)
            prediction.append(self._error(imagined, target).mean())
            imagined = torch.cat([imagined[:, :half], true[:, half:]], 1)
        name = "prior" if drawn_from is None else "kl"
        terms = {"prediction": torch.stack(prediction).mean(), name: torch.stack(prior).mean()}
        return terms | ({"kl": torch.stack(told).mean()} if told else {})

    def _best_outcome(
        self, latent: Tensor, condition: Tensor, target: Tensor, progress: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of expectation-maximisation: next latent by a likely code, and the two losses.

        The code is drawn from its posterior, so the gradient is that of all codes weighted by responsibility,
        at the price of one. The scale at which codes are told apart shrinks during training (deterministic
        annealing, Rose 1998), so that they split one after another instead of dying at the start.
        """
        logits = self.prior(condition)
        with torch.no_grad():
            outcomes = self.predictor.branch(latent, condition)
            variance = self.settings.sigma**2
            weight = self._annealed(outcomes, logits, target, variance, progress)
            code = one_hot_draw(weight)
        following = self.advance(latent, condition, code)
        return following, self._error(following, target).mean(), categorical_loss(logits, weight)

    def _likely_code(
        self, latent: Tensor, condition: Tensor, action: Tensor, target: Tensor, progress: float
    ) -> tuple[Tensor, Tensor]:
        """The action with a code drawn from its posterior behind it, and the posterior's divergence from the prior."""
        assert self.variable is not None
        with torch.no_grad():
            outcomes, logits = self.outcomes(latent, condition, action)
            weight = self._annealed(outcomes, logits, target, self.variable.variance, progress)
            code = one_hot_draw(weight)
        nats = categorical_divergence(weight, self.variable(condition, action)).mean()
        return torch.cat([action, code], -1), nats

    def _annealed(
        self, outcomes: Tensor, logits: Tensor, target: Tensor, variance: float, progress: float
    ) -> Tensor:
        """The posterior over codes (P, N, K) at a scale that shrinks from 1 to its own during training."""
        share = min(1.0, progress / ANNEALED_SHARE)
        scale = self._weights(target).sqrt()
        return responsibilities(scale * outcomes, logits.log_softmax(-1), scale * target, variance**share)

    def _weights(self, latent: Tensor) -> Tensor:
        """What each number of a latent (..., D) counts in errors: (D,), 1 for places."""
        weights = latent.new_full(latent.shape[-1:], self.settings.loss.rest)
        # A latent without places is all that is to be imagined.
        weights[: self.places or None] = 1.0
        return weights

    def _error(self, imagined: Tensor, target: Tensor) -> Tensor:
        """Squared errors of latents (..., D), weighted."""
        error = (imagined - target).square()
        return error if self.settings.loss.rest == 1 else self._weights(target) * error

    def _regularise(self, latent: Tensor) -> dict[str, Tensor]:
        terms = {"similarity": (latent[:, :, 1:] - latent[:, :, :-1]).square().mean()}
        if self.anti_collapse is None:
            return terms
        pairs = latent[:, :, list(self.anti_collapse.moments)]
        found: dict[str, Tensor] = self.anti_collapse(
            pairs if self.expander is None else self.expander(pairs)
        )
        return terms | found

    def _look_loss(self, below: Tensor, latent: Tensor, place: Tensor) -> Tensor:
        readers = [(self.predictor.reader, latent), (getattr(self.encoder, "reader", None), below)]
        losses = [
            reader.look_loss(state.flatten(1, 2), place.flatten(1, 2))
            for reader, state in readers
            if isinstance(reader, MemoryReader)
        ]
        return torch.stack(losses).mean()

    def _inverse_loss(self, below: Tensor, latent: Tensor, actions: Tensor) -> Tensor:
        """Action from two successive latents, where something changed: no-ops look all the same."""
        assert self.inverse is not None
        # Who is told where it is learns inverse dynamics in no time; who sees needs all the pairs there are.
        pairs = latent.shape[2] - 1 if self.settings.sees in SEEING else 1
        guess = self.inverse(torch.cat([latent[:, :, :pairs], latent[:, :, 1 : pairs + 1]], -1))
        done = actions[:, :, :pairs]
        if self.continuous:
            # The guess follows the macro-action, not the other way round: constants would be easy to guess.
            return F.mse_loss(guess, done.detach())
        changed = (below[:, :, :pairs] != below[:, :, 1 : pairs + 1]).flatten(3).any(-1)
        return categorical_loss(guess[changed], done[changed])

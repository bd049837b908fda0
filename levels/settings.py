"""What a level is made of, as plain values that need no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from levels.anti_collapse import kinds as anti_collapses
from levels.encoders.kinds import KINDS, seen_by
from levels.ranges import check_ranges, ranged

SEEING = ("symbols", "image", "vector")
"""Encoders of level 1 that see what the environment shows; ``agent`` is told."""

ENCODERS = tuple(KINDS.ours)
MACRO_ACTIONS = ("primitive", "outcome", "chunk", "stochastic")
CONTINUOUS = ("chunk", "stochastic")
"""Macro-actions that are numbers, whatever the agent's own actions are."""
ANTI_COLLAPSE = tuple(anti_collapses.KINDS.ours)

DOOR_STATES, KEY_STATES = 3, 2
"""States of a door and of a key in a world with keys."""


@dataclass(frozen=True)
class Sight:
    """What an environment shows: the observation that level 1 sees.

    Attributes:
        kind: ``symbols``, ``image`` or ``vector``.
        shape: symbols (W, H, C), image (H, W, C) or vector (n,).
        codes: of symbols, how many codes each of the C channels has.
        frames: moments that an image shows, one behind the other in its channels, the latest last.
    """

    kind: str
    shape: tuple[int, ...]
    codes: tuple[int, ...] = ()
    frames: int = 1

    @property
    def colours(self) -> int:
        """Channels of one moment of an image."""
        return self.shape[2] // self.frames


@dataclass(frozen=True)
class World:
    """What level 1 sees of an agent, and what the agent can do.

    Attributes:
        size: (W, H) cells of the grid.
        actions: number of discrete actions, or of the numbers in a continuous one.
        doors: door states M behind x, y and heading in the agent vector, each 0 (open) or 1 (closed), or 2 (locked)
            where there are keys.
        keys: key states K behind the door states, each 0 (in hand) or 1 (lying).
        continuous: the agent vector is a position (x, y) in cells, and an action a vector in [-1, 1].
        sight: what is seen; None: nothing, perception hands over the agent vector and a grid (the level is told). Where
            it is given, size, doors and keys are what probes read, and no level knows of them.
    """

    size: tuple[int, int]
    actions: int
    doors: int = 0
    continuous: bool = False
    keys: int = 0
    sight: Sight | None = None

    @property
    def agent_dim(self) -> int:
        """Numbers in an agent vector."""
        return 2 if self.continuous else 3 + self.doors + self.keys

    @property
    def slots(self) -> tuple[int, ...]:
        """How many states each door and each key has; none in a world without keys, where doors are plain numbers."""
        return (DOOR_STATES,) * self.doors + (KEY_STATES,) * self.keys if self.keys else ()


@dataclass(frozen=True)
class MemorySettings:
    """How a floor plan is written and read.

    Attributes:
        channels: numbers written per cell.
        dilations: one residual 3x3 convolution per entry, with this dilation; together they set how far a
            cell's features see.
        heads: places a reader looks at per state.
        wide: hidden units per cell of a network that sees a whole neighbourhood at once, behind the convolutions:
            a 5x5 convolution and a pointwise layer; 0: none. What can be reached in many steps is a question about the
            neighbourhood as a whole, which a chain of small convolutions learns slowly.
        spacing: cells between the taps of the wide convolution, which sees twice as far on each side.
        local: channels of the convolutions below the wide one.
        numbers: doors of a floor plan that are told apart by the number under which the agent's observation lists their
            states, from 0 on; the others look alike.
        glimpse: of a level that sees, places in each direction that a state reads around its own; 0: its own alone.
        apart: places between two that are read.
        own: of a level that sees, whether every window of training is read in the picture at its own first moment, and
            every plan in the picture of now. Where something in a picture changes, as doors do, it says what is so.
            Without it the windows of a layout share a picture of any moment of one of them, and plans read the first of
            their episode, which is fewer to write.

    Raises:
        ValueError: a number out of its range.
    """

    channels: int = ranged(16, 1, 4096)
    dilations: tuple[int, ...] = ranged((1, 1), 1, 64)
    heads: int = ranged(1, 1, 256)
    wide: int = ranged(0, 0, 16_384)
    spacing: int = ranged(3, 1, 256)
    local: int = ranged(12, 1, 4096)
    numbers: int = ranged(0, 0, 256)
    glimpse: int = ranged(1, 0, 64)
    apart: float = ranged(1.0, 0, 1000, above=True)
    own: bool = False

    def __post_init__(self) -> None:
        check_ranges(self, "memory")


@dataclass(frozen=True)
class LatentVariableSettings:
    """What a step has that nothing says beforehand, see `levels.latent_variable`.

    Attributes:
        codes: K, how many different things can come of one state and action.
        sigma: smallest scale at which codes tell latents apart; what differs by less is not told by any of them.
        hidden: width of the prior.

    Raises:
        ValueError: a number out of its range.
    """

    codes: int = ranged(4, 2, 4096)
    sigma: float = ranged(0.2, 0, 1e6, above=True)
    hidden: int = ranged(64, 1, 16_384)

    def __post_init__(self) -> None:
        check_ranges(self, "latent_variable")


@dataclass(frozen=True)
class LossWeights:
    """Weights of a level's loss terms; 0 leaves a term out.

    Attributes:
        prediction: squared error of the imagined latents, or its soft minimum over outcome codes.
        prior: likelihood of the actions under the level's prior (level 1 and chunk macro-actions).
        variance, covariance: VICReg (arXiv 2105.04906), measured within each floor plan.
        sigreg: sketched isotropic Gaussian regularisation (arXiv 2511.08544).
        rate_reduction: MCR² (arXiv 2006.08558).
        barlow: Barlow twins (arXiv 2103.03230).
        contrastive: InfoNCE (arXiv 1807.03748).
        rest: in the error of what is imagined, of the numbers of a latent that are no places on the picture. Below 1,
            outcome codes are spent on where a stride can end, before how it looks there.
        similarity: squared change of the latent over one stride. Large values shrink the fast modes, so that
            plain distance in the latent orders states by the time it takes to get from one to the other.
        inverse: inverse dynamics, the action from two successive latents; outcome levels have none, their
            codes are inferred from latents anyway.
        kl: divergence of a stochastic macro-action from the level's prior, in nats; the prior learns from it too. Of a
            level with a latent variable, that of its codes' posterior from their prior.
        shift: of levels that look at pictures, how places follow when all of the picture moves, see
            `levels.encoders.picture.PictureEncoder.shift_loss`. Places are then where things are, between patches too.
        look: where readers of the floor plan look, against where the observation shows the agent.
        others: of terms that a user's own anti-collapse has, by name; 1 where none is given.

    Raises:
        ValueError: a weight out of its range.
    """

    prediction: float = ranged(1.0, 0, 1e6)
    prior: float = ranged(1.0, 0, 1e6)
    variance: float = ranged(10.0, 0, 1e6)
    covariance: float = ranged(2.0, 0, 1e6)
    sigreg: float = ranged(0.1, 0, 1e6)
    similarity: float = ranged(1.0, 0, 1e6)
    inverse: float = ranged(1.0, 0, 1e6)
    kl: float = ranged(0.1, 0, 1e6)
    shift: float = ranged(0.0, 0, 1e6)
    look: float = ranged(1.0, 0, 1e6)
    rate_reduction: float = ranged(1.0, 0, 1e6)
    barlow: float = ranged(10.0, 0, 1e6)
    contrastive: float = ranged(1.0, 0, 1e6)
    rest: float = ranged(1.0, 0, 1e6)
    others: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ranges(self, "loss weight")
        for name, value in self.others.items():
            if not 0 <= value <= 1e6:
                raise ValueError(f"loss weight {name} is {value}; give a number from 0 to 1000000")

    def of(self, term: str) -> float:
        """The weight of a term."""
        weight: float = vars(self).get(term, self.others.get(term, 1.0))
        return weight


@dataclass(frozen=True)
class LevelSettings:
    """One level.

    Attributes:
        stride: steps of the level below that make one step of this level (level 1: 1).
        latent_dim: D, numbers in a latent.
        hidden: width of encoder and of the predictor's trunk.
        head: width of the part of the predictor that sees the action; outcome levels evaluate it once per
            code.
        encoder: of level 1 ``symbols``, ``image`` or ``vector``, what the environment shows, ``masked``, the image
            through frozen features (`levels.encoders.masked_picture`), or ``agent``, told x, y and heading; above
            ``mlp`` (own latent space) or ``shared`` (the latent of the level below, unchanged). Or a class of one's own
            as ``module:Name``, see `levels.encoders.kinds`.
        encoder_reads: whether the encoder reads the floor plan; only encoder mlp does.
        carried: what the places that encoder mlp carries along from the level below count in this level's plain
            distance, as a factor of their squares; 0 leaves it to what the level has learned itself.
        macro_action: ``primitive`` (level 1), ``outcome`` (a code inferred from the two end latents),
            ``chunk`` (numbers encoded from the actions of the level below) or ``stochastic`` (the same with a spread).
        codes: number of outcome codes.
        macro_dim: numbers in a chunk or stochastic macro-action.
        sigma: smallest scale at which outcome codes tell latents apart.
        rollout: steps imagined in training; nothing longer can be planned.
        anti_collapse: a name of `levels.anti_collapse.kinds`, or a class of one's own as ``module:Name``.
        anti_collapse_with: numbers that it takes beside its weights, such as ``momentum`` or ``temperature``.
        expander: width of the expander that anti-collapse looks through; 0: none.
        normalize: whether latents pass a batch normalisation without weights of its own, see
            `levels.encoders.normal`: their spread cannot shrink. They have no places then, so the level has no memory.
        channels: of the features that encoders symbols and image look at.
        maps: places that they find in a picture.
        patch: pixels a side of the patch that one place stands for; 1 for symbols.
        fine: whether what is in a patch says where in it, so that places are finer than patches are.
        octaves: of encoder vector, waves that each number is given as beside itself, each half as long as the one
            before: for what changes within a small part of a number's range, such as walls; 0: none.
        absolute: whether the predictor knows the places of a latent themselves, beside what it reads there. Without,
            what it learned holds everywhere on a picture, and on pictures of another size.
        memory: how this level writes and reads the floor plan; None: it does not see it.
        latent_variable: what a step has that nothing says beforehand; primitive levels alone. None: nothing.
        loss: weights.

    Raises:
        ValueError: a name that is not known, a number out of range, or parts that do not fit together.
    """

    stride: int = ranged(1, 1, 10_000)
    latent_dim: int = ranged(16, 1, 4096)
    hidden: int = ranged(128, 1, 16_384)
    head: int = ranged(64, 1, 16_384)
    encoder: str = "mlp"
    encoder_reads: bool = False
    carried: float = ranged(1.0, 0, 1e6)
    macro_action: str = "outcome"
    codes: int = ranged(32, 1, 65_536)
    macro_dim: int = ranged(4, 1, 4096)
    sigma: float = ranged(0.2, 0, 1e6, above=True)
    rollout: int = ranged(4, 1, 10_000)
    anti_collapse: str = "vicreg"
    anti_collapse_with: dict[str, float] = field(default_factory=dict)
    expander: int = ranged(0, 0, 16_384)
    normalize: bool = False
    channels: int = ranged(32, 1, 4096)
    maps: int = ranged(2, 1, 256)
    patch: int = ranged(1, 1, 1024)
    fine: bool = False
    octaves: int = ranged(0, 0, 32)
    absolute: bool = False
    memory: MemorySettings | None = field(default_factory=MemorySettings)
    latent_variable: LatentVariableSettings | None = None
    loss: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if self.macro_action not in MACRO_ACTIONS:
            raise ValueError(
                f"level macro_action is {self.macro_action!r}; choose from {', '.join(MACRO_ACTIONS)}"
            )
        KINDS.check(self.encoder)
        anti_collapses.KINDS.check(self.anti_collapse)
        check_ranges(self, "level")
        if self.macro_action == "stochastic" and self.loss.kl == 0:
            raise ValueError(
                "level macro_action is stochastic with loss.kl 0; give more, the prior learns from it"
            )
        if self.latent_variable is not None and self.macro_action != "primitive":
            raise ValueError(
                f"level latent_variable with macro_action {self.macro_action!r}; leave it out, or choose primitive"
            )
        if self.latent_variable is not None and self.loss.kl == 0:
            raise ValueError("level latent_variable with loss.kl 0; give more, its prior learns from it")
        if self.encoder_reads and self.encoder in ENCODERS and self.encoder != "mlp":
            raise ValueError(
                f"level encoder_reads is true but encoder is {self.encoder!r}; choose encoder mlp"
            )
        if self.looks and self.latent_dim <= 2 * self.maps:
            raise ValueError(
                f"level latent_dim is {self.latent_dim} with {self.maps} maps, two numbers each;"
                f" give {2 * self.maps + 1} or more"
            )
        if self.loss.shift > 0 and (self.normalize or (self.encoder in ENCODERS and not self.looks)):
            raise ValueError(
                f"level loss.shift is {self.loss.shift}, but its latent (encoder {self.encoder}, normalize"
                f" {str(self.normalize).lower()}) has no places that it finds in a picture; set it 0"
            )
        if self.fine and self.encoder in ENCODERS and (self.patch == 1 or self.encoder not in ("image", "masked")):
            raise ValueError(
                f"level fine is true with encoder {self.encoder} and patch {self.patch}, where nothing is within a"
                " place; set it false"
            )
        if self.octaves and self.encoder in ENCODERS and self.encoder != "vector":
            raise ValueError(
                f"level octaves is {self.octaves} but encoder is {self.encoder!r}; choose encoder vector, or set 0"
            )
        if self.carried != 1 and self.encoder in ENCODERS and self.encoder != "mlp":
            raise ValueError(
                f"level carried is {self.carried} but encoder is {self.encoder!r}; choose encoder mlp"
            )
        if self.normalize and self.encoder in ("shared", "agent"):
            raise ValueError(
                f"level normalize is true but encoder is {self.encoder!r}; choose another, or set false"
            )
        if self.normalize and self.memory is not None:
            raise ValueError(
                "level normalize is true with a memory, which is read at the places of a latent; set memory null"
            )
        if self.encoder_reads and self.memory is None:
            raise ValueError("level encoder_reads is true but memory is null; give the level a memory")

    @property
    def sees(self) -> str:
        """What the encoder sees: one of `levels.encoders.kinds.SENSES`, or ``agent`` for a level that is told."""
        return seen_by(self.encoder)

    @property
    def looks(self) -> bool:
        """Whether the encoder finds places in a picture."""
        return self.encoder in ("symbols", "image", "masked")

    def action_dim(self, primitive: int) -> int:
        """A, numbers in one action of this level, given the number of primitive actions."""
        return {"primitive": primitive, "outcome": self.codes}.get(self.macro_action, self.macro_dim)

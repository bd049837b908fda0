"""The stack: JEPA levels on top of each other, with their probes, metrics and calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hjepa.checks import QUANTILES
from hjepa.config import with_levels
from hjepa.errors import InputError
from hjepa.model.form import PLAIN, Form
from hjepa.model.look_ahead import look_ahead
from hjepa.model.perception import Perception
from hjepa.settings import RunConfig
from levels.actor import Actor
from levels.costs.base import CostHead
from levels.costs.kinds import Given, make_head
from levels.distances import make_distance
from levels.grid.critic import Critic
from levels.level import Level
from levels.metrics import squared_distance
from levels.metrics_names import DISTANCES, METRICS, distance_of
from levels.probes import PositionProbe
from levels.settings import CONTINUOUS, World
from tasks.observations import DOOR

CLAIMS_FROM = 0.75
"""Share of the critics' training after which their claims are tested."""


class Stack(nn.Module):
    """Levels 1 to K of one agent.

    Args:
        config: which levels.
        world: what level 1 sees and does.

    Attributes:
        levels: `levels.level.Level`, level 1 first.
        probes: read the agent out of each level's latent; train nothing else.
        actors: what each level does at a glance, where they have been distilled (`hjepa.model.actors`); else none.
        distances: between latents that the stack is calibrated for: `levels.metrics_names.DISTANCES`, and those that
            its settings of planning name beside them, whose modules are `measures`.
        critics: estimate steps to the goal, one for each latent that levels do not share; none without
            `RunConfig.critic`.
        probed: whether the probes know anything; those of a stack for pictures of another size do not
            (`hjepa.model.resizing`).
        pixels: sees pictures, where it has learned to (`hjepa.model.pixels`); else None.
    """

    stride_distance: Tensor
    step_distance: Tensor

    def __init__(self, config: RunConfig, world: World) -> None:
        super().__init__()
        self.config = config
        self.world = world
        built: list[Level] = []
        below_dim, below_actions, places = 0, world.actions, 0
        for settings in config.levels:
            built.append(Level(settings, below_dim, below_actions, world, places))
            places = built[-1].places
            below_dim, below_actions = settings.latent_dim, built[-1].action_dim
        self.levels = nn.ModuleList(built)
        self.probes = nn.ModuleList(PositionProbe(level.latent_dim, world) for level in config.levels)
        for k, level in enumerate(built):
            self.register_buffer(f"commute_{k}", _identity(level.settings.latent_dim))
            self.register_buffer(f"action_low_{k}", torch.full((level.action_dim,), -1.0))
            self.register_buffer(f"action_high_{k}", torch.ones(level.action_dim))
        # Squared distances over one stride of each level: (distance, level, quantile).
        self.distances = (*DISTANCES, *config.plan.own_distances)
        self.register_buffer("stride_distance", torch.ones(len(self.distances), len(built), len(QUANTILES)))
        # Squared distance between level 1's latents one step apart, where something changed.
        self.register_buffer("step_distance", torch.ones(()))
        # Last, so that levels begin the same with a critic and without.
        self.critics = nn.ModuleList()
        for k in self.own_latents() if config.critic is not None else ():
            assert config.critic is not None
            dim, critic, patch = config.levels[k].latent_dim, config.critic, config.levels[0].patch
            own = critic.patch or patch
            given = Given(
                world, dim, built[k].places, own, critic.hidden, critic.unit, critic.begins, patch / own,
                lag=critic.lag, looks=config.levels[k].memory is not None,
            )  # fmt: skip
            self.critics.append(make_head(critic.kind, given))
        self.measures = nn.ModuleList(
            nn.ModuleList(make_distance(name, level.latent_dim) for level in config.levels)
            for name in self.distances[len(DISTANCES) :]
        )
        self.actors = nn.ModuleList()
        self.pixels: Perception | None = None
        self.probed = True

    @property
    def depth(self) -> int:
        """K, the number of levels."""
        return len(self.levels)

    def level(self, k: int) -> Level:
        """Level k + 1."""
        part = self.levels[k]
        assert isinstance(part, Level)
        return part

    def actor(self, k: int) -> Actor:
        """The actor of level k + 1."""
        part = self.actors[k]
        assert isinstance(part, Actor)
        return part

    def probe(self, k: int) -> PositionProbe:
        """The probe of level k + 1's latent.

        Raises:
            InputError: a stack for pictures of another size, whose probes know nothing.
        """
        if not self.probed:
            size = "x".join(map(str, self.world.size))
            raise InputError(
                f"no probe knows the cells of {size} grids",
                "the stack",
                "leave out guardrails, diagnostics and pictures of plans, or give a checkpoint trained for the task",
            )
        part = self.probes[k]
        assert isinstance(part, PositionProbe)
        return part

    def own_latents(self) -> list[int]:
        """Levels, from 0, with a latent of their own."""
        return [k for k, level in enumerate(self.config.levels) if level.encoder != "shared"]

    @property
    def sees(self) -> bool:
        """Whether level 1 sees what the environment shows; if not, it is told."""
        return self.world.sight is not None

    def blank(self, count: int = 1) -> Tensor:
        """What memories are written from, with nothing in it: pictures (count, ...), or told floor plans."""
        sight = self.world.sight
        shape, kind = ((*self.world.size, 3), "symbols") if sight is None else (sight.shape, sight.kind)
        dtype = torch.float32 if kind == "vector" else torch.int64
        return torch.zeros(count, *shape, dtype=dtype, device=self.step_distance.device)

    def blank_moments(self, count: int) -> Tensor:
        """What level 1 encodes, with nothing in it: (1, count, ...)."""
        if self.sees:
            return self.blank(count).unsqueeze(0)
        return torch.zeros(1, count, self.world.agent_dim, device=self.step_distance.device)

    def critic(self, k: int) -> Critic | CostHead:
        """The critic that reads level k + 1's latent.

        Raises:
            InputError: a stack without critics.
        """
        if not len(self.critics):
            raise InputError(
                "the stack has no critic",
                "metric critic",
                "train it with a critic section, or choose another metric",
            )
        part = self.critics[sum(own <= k for own in self.own_latents()) - 1]
        assert isinstance(part, (Critic, CostHead))
        return part

    @torch.random.fork_rng(devices=[])  # new weights are drawn; the random state is the caller's
    def truncate(self, count: int) -> Stack:
        """The agent of the lowest ``count`` levels, sharing this stack's weights.

        Raises:
            ValueError: more levels than there are, or none.
        """
        if not 1 <= count <= self.depth:
            raise ValueError(f"{count} levels of a stack of {self.depth}; choose from 1 to {self.depth}")
        if count == self.depth:
            return self
        part = Stack(with_levels(self.config, count), self.world)
        part.levels, part.probes = self.levels[:count], self.probes[:count]
        part.critics = self.critics[: len(part.critics)]
        part.actors = self.actors[:count]
        part.measures = nn.ModuleList(own[:count] for own in self.measures)  # type: ignore[index]
        part.pixels, part.probed = self.pixels, self.probed
        for name, _ in list(part.named_buffers(recurse=False)):
            whole = getattr(self, name)
            setattr(part, name, whole[:, :count] if name == "stride_distance" else whole)
        part.train(self.training)
        return part

    def write(self, grid: Tensor, upto: int | None = None) -> list[Tensor | None]:
        """Perception of pictures (P, ...), or told floor plans (P, W, H, 3), once per episode: memory of each of the
        first ``upto`` levels, or of all."""
        return [self.write_level(k, grid) for k in range(self.depth if upto is None else upto)]

    def write_level(self, k: int, grid: Tensor) -> Tensor | None:
        """What level k + 1 remembers of pictures (P, ...), or told floor plans (P, W, H, 3)."""
        told = self.world.sight is None and self.world.doors
        return self.level(k).write(_number_doors(grid) if told else grid)

    def encode(
        self,
        agent: Tensor,
        memories: Sequence[Tensor | None],
        detach: bool = False,
        upto: int | None = None,
        form: Form = PLAIN,
    ) -> list[Tensor]:
        """Latents of up to ``upto`` levels: observations or told agents (P, ..., A) -> [(P, ..., D_1), ...].

        With ``detach`` no gradient flows from a level into the one below; ``form`` says if level 1's latents are given.
        """
        latents: list[Tensor] = []
        below = agent
        for k in range(self.depth if upto is None else upto):
            if k or not form.encoded:
                below = self.level(k).encode(below, memories[k])
            latents.append(below)
            below = below.detach() if detach else below
        return latents

    def every(self, k: int) -> int:
        """Steps between two observations that level k + 1 learns from."""
        lowest = k
        while lowest and self.config.levels[lowest].macro_action in CONTINUOUS:
            lowest -= 1
        inferred = self.config.levels[lowest].macro_action == "outcome"
        return self.config.spans[lowest if inferred else k] if self.sees else 1

    def window_length(self, k: int) -> int:
        """Observations in a training window of level k + 1."""
        return self.config.spans[k] * self.config.levels[k].rollout + 1

    def loss(
        self,
        k: int,
        agent: Tensor,
        action: Tensor,
        memories: Sequence[Tensor | None],
        progress: float,
        end_to_end: bool = False,
        state: Tensor | None = None,
        form: Form = PLAIN,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of level k + 1 and of its probe on windows.

        Args:
            k: which level, from 0.
            agent: (P, n, L, ...) observations or told agents, L from `window_length`; of them those that ``form`` says.
            action: (P, n, L - 1) primitive actions, or (P, n, L - 1, 2) continuous ones.
            memories: from `write`.
            progress: share of the level's training done.
            end_to_end: let the gradient reach the levels below.
            state: agents (P, n, F, A) at the level's own moments, for the probe alone; None: who is told is it, and who
                sees trains no probe.
            form: how observations are given.

        Returns:
            scalar, and its terms by name.
        """
        moments = agent[:, :, :: self.config.spans[k] // form.every]
        with torch.set_grad_enabled(end_to_end or k == 0):
            below = self.encode(moments, memories, upto=k, form=form)[-1] if k else moments
            chunks = self._chunks(k, agent, action, memories, form)
        level = self.level(k)
        place = None if self.sees else moments[..., :2]
        known = form.encoded and not k
        latent = below if known else level.see(below, memories[k])
        total, terms = level.losses(below, chunks, memories[k], progress, place, known, latent)
        state = state if self.sees else moments
        if state is None:
            return total, terms
        terms["probe"] = self.probe(k).loss(latent.detach(), state)
        return total + terms["probe"], terms

    def critic_loss(
        self,
        grid: Tensor,
        agent: Tensor,
        goal: tuple[Tensor, Tensor],
        progress: float = 1.0,
        form: Form = PLAIN,
    ) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Loss of all critics on whole trajectories; the gradient reaches them alone.

        Args:
            grid: pictures (P, ...), or told floor plans (P, W, H, 3).
            agent: observations or told agents (P, n, L, ...).
            goal: number (P,) of the trajectory, and (P,) of the moment in it, whose place is the goal.
            progress: share of the critics' training done.
            form: how observations are given, all of them.

        Returns:
            scalar, and per critic its terms.
        """
        settings = self.config.critic
        assert settings is not None
        with torch.no_grad():
            memories = self.write(grid)
            latents = self.encode(agent, memories, form=form)
            claims = settings.ahead > 0 and progress >= CLAIMS_FROM
            heads = [self.critic(k) for k in self.own_latents()]
            unsure = any(isinstance(head, CostHead) and not head.chosen for head in heads)
            levels = [self.level(k) for k in range(self.depth)]
            ahead = (
                look_ahead(levels, self.world, settings.states, latents[0], memories)
                if claims or unsure
                else None
            )
            for head, k in zip(heads, self.own_latents()):
                if isinstance(head, CostHead) and not head.chosen and ahead is not None:
                    head.choose(latents[k], ahead[k][1])
                    if k == 0 and self.level(0).settings.looks:
                        both = torch.cat([grid, grid.flip(1, 2)])
                        head.centre(*self.level(0).encode(both.unsqueeze(1), None)[:, 0].chunk(2))
            tested = ahead if claims else None
        total, terms = torch.zeros((), device=agent.device), []
        for k in self.own_latents():
            critic, claim = self.critic(k), None if tested is None else (*tested[k], settings.ahead)
            times = (settings.train_sweeps, settings.under, settings.farthest, claim)
            if isinstance(critic, CostHead):
                loss, own = critic.loss(latents[k], grid, goal, *times)
            else:
                place = agent[..., :3].long()
                loss, own = critic.loss(latents[k], place, grid, goal, *times, settings.apart)
            total = total + loss
            terms.append(own)
        return total, terms

    def _chunks(
        self,
        k: int,
        agent: Tensor,
        action: Tensor,
        memories: Sequence[Tensor | None],
        form: Form = PLAIN,
    ) -> Tensor | None:
        """What level k + 1 learns its actions from: one-hot primitives, chunks of the level below, or nothing."""
        kind = self.config.levels[k].macro_action
        if kind == "outcome":
            return None
        if kind == "primitive":
            continuous = self.world.continuous
            return action if continuous else F.one_hot(action.long(), self.world.actions).float()
        lower = self.window_actions(k - 1, agent, action, memories, form)
        return lower.unflatten(2, (-1, self.config.levels[k].stride))

    def window_actions(
        self,
        k: int,
        agent: Tensor,
        action: Tensor,
        memories: Sequence[Tensor | None],
        form: Form = PLAIN,
    ) -> Tensor:
        """The actions of level k + 1 along a window of whole strides: (P, n, M, A_k); arguments as in `loss`."""
        level = self.level(k)
        if level.settings.macro_action == "outcome":
            moments = agent[:, :, :: self.config.spans[k] // form.every]
            latent = self.encode(moments, memories, upto=k + 1, form=form)[-1]
            pairs = [latent[:, :, :-1].flatten(1, 2), latent[:, :, 1:].flatten(1, 2)]
            codes = level.infer(pairs[0], pairs[1], memories[k])
            return codes.unflatten(1, (agent.shape[1], -1))
        chunks = self._chunks(k, agent, action, memories, form)
        assert chunks is not None
        return chunks if level.chunk_encoder is None else level.chunk_encoder(chunks)

    def metric(self, name: str, k: int) -> Tensor | None:
        """The linear map of a metric at level k + 1; None for plain L2 and for what depends on the episode.

        Of `critic`, that of the distance it measures subgoals with.
        """
        if distance_of(name) not in DISTANCES:
            raise InputError(
                f"metric {name} is no linear map", "metric", f"choose from {', '.join(METRICS)} for this"
            )
        return getattr(self, f"commute_{k}") if distance_of(name) == "commute" else self._carried(k)

    def _carried(self, k: int) -> Tensor | None:
        """The map of plain L2 where places that level k + 1 carries along count differently; None: they do not."""
        settings, places = self.config.levels[k], self.level(k).places
        if settings.encoder != "mlp" or settings.carried == 1 or not places:
            return None
        weights = torch.ones(settings.latent_dim, device=self.step_distance.device)
        weights[:places] = settings.carried**0.5
        return torch.diag(weights)

    def distance(self, name: str, k: int) -> Callable[..., Tensor]:
        """How a metric measures between latents of level k + 1, see `planners.level_planner.LevelPlanner`.

        Raises:
            InputError: a metric that the stack is not calibrated for.
        """
        row = self._row(name)
        if row >= len(DISTANCES):
            own = self.measures[row - len(DISTANCES)]
            assert isinstance(own, nn.ModuleList)
            return own[k]
        metric = self.metric(name, k)
        return squared_distance if metric is None else partial(squared_distance, metric=metric)

    def _row(self, metric: str) -> int:
        if distance_of(metric) not in self.distances:
            raise InputError(
                f"metric {metric!r} of a stack that was calibrated for {', '.join(self.distances)}",
                "metric",
                "choose one of these, or train with plan.metric set to it",
            )
        return self.distances.index(distance_of(metric))

    def stride_quantile(self, metric: str, k: int, quantile: float) -> float:
        """Squared distance over one stride of level k + 1 in the data, at one of `QUANTILES`."""
        return float(self.stride_distance[self._row(metric), k, QUANTILES.index(quantile)])


def _identity(size: int) -> Tensor:
    """(size, size). Of zeros, or torch would load its compiler where only shapes are asked for."""
    return torch.zeros(size, size).fill_diagonal_(1.0)


def _number_doors(grid: Tensor) -> Tensor:
    """The grid (P, W, H, 3) with the number of its slot in the place of a door's colour.

    Which door an agent's door state belongs to follows from the order of doors in the grid (`tasks.door_cells`), which
    a state that stands before one cannot see.
    """
    doors = grid[..., 0] == DOOR
    slot = doors.flatten(1).cumsum(1).view(doors.shape) - 1
    colour = torch.where(doors, slot.to(grid.dtype), grid[..., 1])
    return torch.stack([grid[..., 0], colour, grid[..., 2]], -1)

"""What the compute budget of an episode becomes: the search of every level.

Each level in use gets its share of the budget, spread over the plans that an episode may need, and as many candidates
as that pays for. Most episodes end long before their step budget does, so an episode has parts with a pace each, and
the first ones may spend more.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from hjepa.agent.imagination import imagined_flops
from hjepa.errors import InputError
from hjepa.model.actors import LevelPolicy
from hjepa.model.level_model import LevelModel, critic_flops, perception_flops, probe_flops, write_flops
from hjepa.model.stack import Stack
from hjepa.planner_names import ACTORS, PLANNERS
from hjepa.settings import PlanSettings
from levels.costs.base import CostHead
from levels.costs.field import FieldCost
from planners.grounding import grounding_flops
from planners.intrinsic import IntrinsicCost
from planners.level_planner import LevelPlanner
from planners.planner import Planner
from planners.policies import PolicyPlanner, PolicyProposal
from planners.proposals import EnumerationProposal, PriorProposal, Proposal
from planners.refiners import NoRefiner, Refiner
from planners.risk import Risk
from planners.rollouts import ALIGNED

REPAIR_SHARE = 0.2
"""Share of the compute budget kept for plans that have to be mended on the way."""

PHASES = 8
"""Parts of an episode, equally long, with a number of candidates each."""

SURPRISE_SHARE = 0.3
"""The same where the world is seen in parts, for plans that a wall ends which had not been seen when they were made."""

LEAP = 1.25
"""How much nearer a step may bring the goal by the critic, whose estimates are not exact, in its own length, before it
must have crossed what a guardrail forbids."""


class Searches:
    """The searches of an agent's levels.

    Args:
        stack: of the levels in use.
        settings: of planning.
        step_budget: environment steps of an episode.
        budget_tflops: compute per episode, in TFLOP.
        guarded: whether there are guardrails to keep.
        goals: how many goals an episode has, one after another.
        remembers: whether the world is seen in parts, so that what is remembered is written again and again.
        forgets: whether all plans are made anew at every step.
        seeing: operations of seeing one observation, before it is encoded.

    Attributes:
        models: of the levels, as planners see them.
        write_flops, encode_flops: of perceiving a floor plan and a goal, and the agent.
        metric_flops: of a metric that an episode has for itself.
        rewrite_flops: per level, of writing its memory anew.
        own: per level, whether its memory is written anew of what is seen wherever it plans, see
            `levels.settings.MemorySettings`.
        judge_flops: of what costs are measured by, when the goal is another one or a floor plan turns out different.
        look_flops: of asking whether something is in the way.
        critic_flops: per level, of one latent's steps to go.
        spreads: whether subgoals are measured by the critic.
        spread_flops: of the field of one subgoal.
        doubts: whether the critic's ways are doubted, see `hjepa.agent.doubt`.
        doubt_flops: of one doubt.
        phases: the levels' planners in each part of an episode.

    Raises:
        InputError: a budget below one candidate per plan, or a search that does not fit the budget.
    """

    def __init__(
        self,
        stack: Stack,
        settings: PlanSettings,
        step_budget: int,
        budget_tflops: float,
        guarded: bool,
        goals: int = 1,
        remembers: bool = False,
        forgets: bool = False,
        seeing: float = 0.0,
    ) -> None:
        self.stack = stack
        self.settings = settings
        self.step_budget = step_budget
        self.budget_tflops = budget_tflops
        self.guarded = guarded
        self.goals = goals
        self.remembers = remembers
        self.forgets = forgets
        self.write_flops, self.encode_flops = perception_flops(stack)
        # An episode begins with two observations: the start, and the goal.
        self.write_flops, self.encode_flops = self.write_flops + 2 * seeing, self.encode_flops + seeing
        self.models = [LevelModel(stack, k, settings.margin) for k in range(stack.depth)]
        self.metric_flops, self.critic_flops = 0.0, [0.0] * stack.depth
        if settings.metric == "imagined":
            self.metric_flops = imagined_flops(self.models, settings.walks)
        if settings.metric == "critic":
            self.metric_flops, self.critic_flops = critic_flops(stack, self.sweeps)
            heads = [stack.critic(k) for k in stack.own_latents()]
            if guarded and any(isinstance(head, CostHead) and not head.leads_around for head in heads):
                raise InputError(
                    "guardrails, and this critic cannot lead around closed places",
                    "plan.metric",
                    "plan by another metric, or train a critic of kind field",
                )
        self.spreads, self.spread_flops = self._whether_spread(), 0.0
        if self.spreads:
            critic = stack.critic(0)
            assert isinstance(critic, FieldCost)
            self.spread_flops = critic.field_operations(self.sweeps, stack.world.size)
        self.doubts, self.doubt_flops = self._whether_doubted(), 0.0
        if self.doubts:
            fields = [stack.critic(k) for k in stack.own_latents()]
            made = [c.field_operations(self.sweeps, stack.world.size) for c in fields if isinstance(c, FieldCost)]
            self.doubt_flops = sum(made) + self.critic_flops[0]
        self.danger_flops = probe_flops(stack) if guarded else [0.0] * stack.depth
        lifts = sum(model.lift_flops for model in self.models[:-1])
        self.judge_flops = self.metric_flops + self.encode_flops + lifts
        self.rewrite_flops, self.look_flops = [0.0] * stack.depth, 0.0
        # In training these were read in the picture at the moment of planning, and a told stack has none.
        self.own = [
            stack.sees and level.memory is not None and level.memory.own
            for level in stack.config.levels[: stack.depth]
        ]
        if any(self.own):
            self.rewrite_flops = [flops * own for flops, own in zip(write_flops(stack), self.own)]
        if remembers:
            asked = probe_flops(stack)
            self.rewrite_flops = write_flops(stack)
            self.look_flops = asked[0] * settings.horizon[0] + sum(asked[1:])
        self._plan_flops = [0.0] * stack.depth
        self.phases = [self._planners(phase) for phase in range(PHASES if settings.front > 1 else 1)]

    def _whether_spread(self) -> bool:
        """Whether subgoals are measured by the critic; InputError where it measures goals alone."""
        if self.settings.subgoals == "distance" or self.settings.metric != "critic":
            return False
        if not isinstance(self.stack.critic(0), FieldCost):
            kind = "one's own" if self.stack.sees else "a told"
            raise InputError(
                f"plan.subgoals is {self.settings.subgoals!r}, and {kind} critic measures goals alone",
                "plan.subgoals",
                "set distance",
            )
        return self.stack.depth > 1

    def _whether_doubted(self) -> bool:
        """Whether the critic's ways are doubted; InputError where they cannot be."""
        settings = self.settings
        if settings.doubt is None or settings.metric != "critic":
            return False
        if not all(isinstance(self.stack.critic(k), FieldCost) for k in range(self.stack.depth)):
            said, remedy = "this critic is no field over what moves cost", "leave it out"
        elif settings.pace is not None:
            said, remedy = "plan.pace charges for long steps, as one is after a doubt", "leave one of them out"
        else:
            # A guardrail takes a step for one that crossed it by how much nearer it brings the goal (`LEAP`).
            return not self.guarded
        raise InputError(f"plan.doubt is {settings.doubt}, and {said}", "plan.doubt", remedy)

    @property
    def sweeps(self) -> int:
        """Of the critic's field; ways around a guardrail may be twice as long."""
        critic = self.stack.config.critic
        return 0 if critic is None else critic.sweeps * (2 if self.guarded else 1)

    @property
    def repairs(self) -> int:
        """How often in an episode level 1 may plan again because what happened left its plan."""
        first, *above = self.phases[0]
        search = first.to_subgoal if above else first.to_goal
        steps = above[0].stride if above else first.horizon
        # A plan to the goal is judged by the critic, and one to a subgoal is lifted to the level above.
        own = self.models[0].lift_flops if above else self.critic_flops[0] * (steps + (self.settings.pace is not None))
        cost = search.passes(first.model, steps) * (steps * (first.model.flops + self.danger_flops[0]) + own)
        return int(REPAIR_SHARE * self.budget_tflops * 1e12 / cost)

    @property
    def surprises(self) -> int:
        """How often in an episode all levels may plan anew because something was seen in the way."""
        once = sum(self._plan_flops) + sum(self.rewrite_flops) + self.judge_flops
        return int(SURPRISE_SHARE * self.budget_tflops * 1e12 / once) if self.remembers else 0

    def _interval(self, k: int) -> int:
        """Steps between two plans of level k + 1."""
        if self.forgets:
            return 1
        return self.settings.commit if self.stack.depth == 1 else self.stack.config.spans[max(k, 1)]

    def _seen_flops(self) -> float:
        """Most operations that a step takes on average because what is read changes, surprises left out."""
        # Level 1 may be mended at any step, and then reads what is new.
        first, *above = self.rewrite_flops
        written = first + sum(flops / self._interval(k) for k, flops in enumerate(above, 1))
        return written + self.look_flops + self.judge_flops if self.remembers else written

    def _planners(self, phase: int) -> tuple[LevelPlanner, ...]:
        """The planners of all levels in one part of the episode."""
        return tuple(self._level_planner(model, k, phase) for k, model in enumerate(self.models))

    def _level_planner(self, model: LevelModel, k: int, phase: int) -> LevelPlanner:
        config, settings = self.stack.config, self.settings
        top = k + 1 == self.stack.depth
        horizon = settings.horizon[k]
        due = horizon if top else config.levels[k + 1].stride
        unit = self.stack.stride_quantile(settings.metric, k, 0.5)
        above = unit if top else self.stack.stride_quantile(settings.metric, k + 1, 0.5)
        # The same at all levels: in a unit that grows with the stride, support would outweigh the goal at the top.
        nat = self.stack.stride_quantile(settings.metric, min(1, self.stack.depth - 1), 0.5)
        lift = 0.0 if top else model.lift_flops
        guard = self.danger_flops[k]
        judged = self.critic_flops[k] * (horizon + (settings.pace is not None)) + guard * horizon
        if self.guarded and k:
            lift += self.critic_flops[k] * (due + 1)
            judged += self.critic_flops[k] * (horizon + 1)
        judged_by_critic = settings.metric == "critic"
        reached = settings.critic_reached if judged_by_critic else settings.reached
        veto = settings.critic_veto if judged_by_critic else settings.veto
        to_goal: Planner
        to_subgoal: Planner
        if settings.planner in ACTORS:
            policy = LevelPolicy(self.stack, k)
            # To the goal no more is imagined than will be walked: above level 1 that is the first step.
            walked = settings.commit if self.stack.depth == 1 else config.levels[1].stride
            compare = settings.planner == "actor"
            to_goal = PolicyPlanner(policy, 1 if k else walked, compare)
            to_subgoal = PolicyPlanner(policy, compare=compare)
            self._plan_flops[k] = to_goal.passes(model, horizon) * horizon * model.flops
        else:
            to_goal = self._search(k, model, horizon, judged, phase)
            to_subgoal = self._search(k, model, due, lift + guard * due, phase)
        return LevelPlanner(
            model=model,
            stride=config.levels[k].stride,
            horizon=horizon,
            to_goal=to_goal,
            to_subgoal=to_subgoal,
            distance=self.stack.distance(settings.metric, k),
            reached=self.stack.stride_quantile(settings.metric, k, reached),
            critic=self._critic(k),
            critic_flops=self.critic_flops[k],
            spread=self._spread(k) if self.spreads and k else None,
            spread_flops=self.spread_flops,
            veto=float("inf") if top or veto is None else veto * above,
            pace=None if settings.pace is None else settings.pace * unit,
            step_cost=settings.step_cost * unit,
            haste=settings.haste,
            intrinsic=None if k else self._intrinsic(model, unit),
            support=settings.support * nat,
            support_free=settings.support_free,
            ground=settings.ground if k and settings.planner not in ACTORS else 0,
            ground_weight=settings.ground_weight,
            ground_depth=settings.ground_depth,
            danger=self.stack.probe(k).inside if self.guarded else None,
            danger_flops=guard,
            danger_limit=settings.danger,
            leap=LEAP * unit,
        )

    def _intrinsic(self, model: LevelModel, unit: float) -> IntrinsicCost | None:
        """What plans of level 1 cost whatever they are for; InputError for prices of other actions than there are."""
        given, count = self.settings.intrinsic, model.space.action_dim
        if not given.energy and not given.discomfort:
            return None
        prices = given.prices or ()
        if not model.level.continuous:
            prices = prices or (1.0,) * count
        if len(prices) not in (0, count) or (prices and model.level.continuous):
            raise InputError(
                f"{len(prices)} prices for {'continuous' if model.level.continuous else count} actions",
                "plan.intrinsic.prices",
                "leave them out, or give one for each discrete action",
            )
        moved = float(self.stack.step_distance)
        return IntrinsicCost(given.energy * unit, prices, given.discomfort * unit, moved)

    def _risk(self, k: int) -> Risk | None:
        """How level k + 1 weighs several futures; InputError where level 1 knows one alone."""
        given = self.settings.risk
        if given is None or k:
            return None
        if self.stack.level(0).variable is None:
            raise InputError(
                "level 1 has no latent variable, it knows one future alone",
                "plan.risk",
                "leave it out, or train with levels.0.latent_variable",
            )
        try:
            return Risk(given.kind, given.futures, given.share)
        except ValueError as error:
            raise InputError(str(error), "plan.risk") from None

    def _critic(self, k: int) -> Callable[[Tensor, Tensor], Tensor] | None:
        """Level k + 1's distance to the goal in the unit of its distance between latents; None without a critic."""
        if self.settings.metric != "critic":
            return None
        critic = self.stack.critic(k)
        unit = self.stack.stride_quantile("critic", k, 0.5) / self.stack.config.spans[k]
        return lambda latent, field: unit * critic(latent, field)

    def _spread(self, k: int) -> Callable[[Tensor, Tensor], Tensor]:
        """Layouts (E, 4, W, H) and subgoals (E, D) of level k + 1 -> fields of steps to them."""
        critic = self.stack.critic(k)
        assert isinstance(critic, FieldCost)
        return lambda layout, subgoal: critic.spread(layout, subgoal, self.sweeps)

    def _pace(self, phase: int) -> float:
        """The part of the compute for planning that one step of this part of the episode may take.

        It falls from part to part by the same factor. A plan made at the end of a part is walked in the next one, so
        the longest interval between plans is paid for at the first pace, and the whole never exceeds the budget.
        """
        front = self.settings.front
        if front == 1:
            return 1 / self.step_budget
        paces = [front ** (-part / (PHASES - 1)) for part in range(PHASES)]
        interval = self._interval(self.stack.depth - 1)
        whole = sum(paces) * self.step_budget / PHASES + (paces[0] - paces[-1]) * interval
        return paces[phase] / whole

    def _search(self, k: int, model: LevelModel, horizon: int, objective_flops: float, phase: int) -> Planner:
        """A planner with as many candidates as the level's share of the budget pays for."""
        refine, one = self._refiner(k), model.flops * horizon + objective_flops
        # Where every plan is made anew at the next step, nothing can be left or stand in its way.
        kept = 0.0 if self.forgets else REPAIR_SHARE + SURPRISE_SHARE * self.remembers
        interval = self._interval(k)
        share = self.settings.share[k] / sum(self.settings.share[: self.stack.depth])
        each = self.encode_flops + (ALIGNED * (self.models[0].flops + self.danger_flops[0])) * self.guarded
        each += self._seen_flops()
        fixed = self.write_flops + self.metric_flops + each * (self.step_budget + 1)
        fixed += (self.goals - 1) * self.judge_flops
        if self.doubts and self.settings.doubt is not None:
            looked = self.critic_flops[0] + self.doubt_flops / (self.settings.doubt + 1)
            fixed += looked * (self.step_budget + 1)
        exhaustive = self.settings.planner == "exhaustive" and k == 0
        # What tries everything cannot spend more early.
        pace, last = (
            (1 / self.step_budget,) * 2 if exhaustive else (self._pace(phase), self._pace(PHASES - 1))
        )
        ground = self._grounding_flops(k) + self.spread_flops
        allowance = (
            max(self.budget_tflops * 1e12 * (1 - kept) - fixed, 0.0) * pace * share * interval - ground
        )

        def enough(needed: float) -> str:
            return f"give {1.01e-12 * ((needed + ground) / (last * share * interval) + fixed) / (1 - kept):.3g} or more"

        limit, milliseconds = self.settings.max_rollouts, self.settings.max_milliseconds
        if exhaustive:
            try:
                count = EnumerationProposal().count(model, horizon)
            except ValueError as error:
                raise InputError(str(error), "plan.planner") from None
            if count > allowance / one:
                raise InputError(
                    f"exhaustive search of {count} sequences needs more than {self.budget_tflops} TFLOP an episode",
                    "budget",
                    enough(count * one),
                )
            if limit is not None and count > limit:
                raise InputError(
                    f"exhaustive search of {count} sequences is more than {limit} rollouts",
                    "plan.max_rollouts",
                    f"give {count} or more",
                )
            self._plan_flops[k] = max(self._plan_flops[k], count * one)
            return Planner(EnumerationProposal(), NoRefiner(), milliseconds, self._risk(k))
        candidates = _aligned(self.settings.max_candidates)
        while True:
            search = Planner(self._proposal(k, candidates), refine, milliseconds, self._risk(k))
            needed, rollouts = search.passes(model, horizon) * one, search.rollouts(model, horizon)
            if needed <= allowance and (limit is None or rollouts <= limit):
                self._plan_flops[k] = max(self._plan_flops[k], needed + ground)
                return search
            if candidates == 1:
                break
            candidates = _aligned(candidates - 1)
        if needed > allowance:
            raise InputError(
                f"{self.budget_tflops} TFLOP an episode do not pay for one candidate per plan at level {k + 1}",
                "budget",
                enough(needed),
            )
        raise InputError(
            f"{limit} rollouts do not pay for one candidate per plan at level {k + 1}",
            "plan.max_rollouts",
            f"give {rollouts} or more",
        )

    def _proposal(self, k: int, candidates: int) -> Proposal:
        """Where level k + 1's candidates come from."""
        prior = PriorProposal(candidates, self.settings.warm_start, 1 if k else self.settings.hold)
        if not self.settings.actor:
            return prior
        return PolicyProposal(prior, LevelPolicy(self.stack, k), self.settings.actor)

    def _grounding_flops(self, k: int) -> float:
        """What lower levels imagine before one plan of level k + 1."""
        if not (k and self.settings.ground) or self.settings.planner in ACTORS:
            return 0.0
        low = max(k - self.settings.ground_depth, 0)
        models = self.models[low:k]
        steps = self.stack.config.spans[k] // self.stack.config.spans[low]
        return grounding_flops(models, steps, self.settings.ground)

    def _refiner(self, k: int) -> Refiner:
        """How level k + 1 makes candidates better."""
        if self.settings.planner == "exhaustive" and k == 0:
            return NoRefiner()
        if self.settings.planner == "categorical-cem" and self.stack.level(k).continuous:
            raise InputError(
                f"planner categorical-cem with the continuous actions of level {k + 1}",
                "plan.planner",
                "choose cem, which is categorical where actions are discrete",
            )
        made: Refiner = PLANNERS.get(self.settings.planner)(self.settings)
        return made


def _aligned(count: int) -> int:
    """A number of candidates that gives every row the same bits, see `planners.protocols.ALIGNED`."""
    return count if count < ALIGNED else count // ALIGNED * ALIGNED

"""Risk: a cliff whose short way is dear on bad days, and a safe way round; what each taste takes, by hand."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from planners.planner import Planner
from planners.proposals import EnumerationProposal
from planners.protocols import ActionSpace, Problem, Trajectory
from planners.refiners import NoRefiner
from planners.risk import Risk, UncertainModel, imagine_futures, risky_cost
from planners.spaces import Simplex

EAST, NORTH, SOUTH = range(3)
LENGTH, HEIGHT = 3, 20.0
"""Cells along the cliff, and what a fall costs."""


class Cliff:
    """Row 0 runs along a cliff, row 1 does not. In row 0 a step to the east falls with probability ``slips``.

    Latents are x, row, and 1 after a fall; who fell stays. The goal is at x = 3 in row 0.
    """

    flops, lift_flops = 5.0, 0.0

    def __init__(self, slips: float) -> None:
        self.slips = slips
        self.space: ActionSpace = Simplex(3)

    def condition(self, latent: Tensor, memory: Tensor | None) -> Tensor:
        return latent

    def prior(self, condition: Tensor) -> Tensor:
        return torch.zeros(*condition.shape[:-1], 3)

    def advance(self, latent: Tensor, condition: Tensor, action: Tensor) -> Tensor:
        return self.advance_by_chance(latent, condition, action, torch.ones(latent.shape[:-1]))

    def advance_by_chance(self, latent: Tensor, condition: Tensor, action: Tensor, chance: Tensor) -> Tensor:
        x, row, fell = latent.unbind(-1)
        taken = action.argmax(-1)
        fell = torch.where((taken == EAST) & (row == 0) & (x < LENGTH) & (chance < self.slips), 1.0, fell)
        moved = torch.where(taken == EAST, (x + 1).clamp_max(LENGTH), x)
        row = torch.where(taken == NORTH, 1.0, torch.where(taken == SOUTH, 0.0, row))
        still = fell > 0
        return torch.stack([torch.where(still, x, moved), torch.where(still, latent[..., 1], row), fell], -1)


class CliffCost:
    """Steps until the goal, one more than there are for who does not get there, and `HEIGHT` for a fall."""

    flops = 1.0

    def __call__(self, trajectory: Trajectory) -> Tensor:
        x, row, fell = trajectory.latents.unbind(-1)
        away = ~((x == LENGTH) & (row == 0))
        return 1 + away.float().cumprod(-1).sum(-1) + HEIGHT * fell[..., -1]


def planned(
    hand: SimpleNamespace, slips: float, risk: Risk | None, episodes: int = 6
) -> tuple[list[str], Tensor]:
    """What is planned from the foot of the cliff, and what it is thought to cost."""
    search = Planner(EnumerationProposal(), NoRefiner(), risk=risk)
    plan = search(Cliff(slips), hand.problem(torch.zeros(episodes, 3), CliffCost(), 5))
    ways = ["".join("ENS"[number] for number in row) for row in plan.actions.argmax(-1).tolist()]
    return ["short" if way.startswith("EEE") else way for way in ways], plan.cost


def test_the_mean_takes_the_short_way_and_the_tail_the_safe_one(hand: SimpleNamespace) -> None:
    """Short: 3 steps, and a fall in 1 - 0.98³ = 5.9 % of futures, 4.4 on average. Safe: 5 steps, whatever happens."""
    assert isinstance(Cliff(0.0), UncertainModel)
    ways, cost = planned(hand, 0.02, None)
    assert ways == ["short"] * 6 and cost.tolist() == [3.0] * 6
    ways, cost = planned(hand, 0.02, Risk("mean", 2048))
    assert ways == ["short"] * 6
    fall = 1 - 0.98**3
    assert cost.mean().item() == pytest.approx(3 * (1 - fall) + (6 + HEIGHT) * fall, abs=0.35)
    for risk in (Risk("worst", 256), Risk("cvar", 512, 0.2)):
        ways, cost = planned(hand, 0.02, risk)
        assert ways == ["NEEES"] * 6 and cost.tolist() == [5.0] * 6


def test_the_mean_takes_the_safe_way_too_where_falls_are_common(hand: SimpleNamespace) -> None:
    """More than 3 + 20 (1 - 0.9³) = 8.4 on average."""
    assert planned(hand, 0.1, Risk("mean", 512))[0] == ["NEEES"] * 6


def test_what_futures_take_is_foreseen_and_not_twice_over(hand: SimpleNamespace) -> None:
    model, problem = Cliff(0.1), hand.problem(torch.zeros(1, 3), CliffCost(), 5)
    search = Planner(EnumerationProposal(), NoRefiner(), risk=Risk("mean", 8))
    imagined = 3**5 * (1 + 8)  # every sequence once without chance, and its futures
    for foreseen in (search.passes(model, 5), search.rollouts(model, 5)):
        assert imagined <= foreseen <= 2 * imagined
    step = model.flops + CliffCost.flops
    assert search(model, problem).flops.item() <= search.passes(model, 5) * 5 * step


def test_without_chance_every_taste_takes_the_short_way(hand: SimpleNamespace) -> None:
    for kind in ("mean", "worst", "cvar"):
        ways, cost = planned(hand, 0.0, Risk(kind, 16))
        assert ways == ["short"] * 6 and cost.tolist() == [3.0] * 6


def test_cvar_lies_between_the_mean_and_the_worst() -> None:
    cost = torch.randn(50, 7, 40, generator=torch.Generator().manual_seed(0))
    mean, worst = Risk("mean", 40).of(cost), Risk("worst", 40).of(cost)
    shares = [Risk("cvar", 40, share).of(cost) for share in (1.0, 0.5, 0.25, 0.025)]
    assert torch.allclose(shares[0], mean, atol=1e-6) and torch.equal(shares[-1], worst)
    assert torch.equal(worst, cost.amax(-1))
    for looser, stricter in itertools.pairwise(shares):
        assert (looser <= stricter + 1e-6).all()
    assert Risk("cvar", 4, 0.5).of(torch.tensor([1.0, 8.0, 2.0, 6.0])).item() == 7.0
    assert Risk("mean", 2).of(torch.tensor([1.0, torch.nan])).item() == torch.inf


def test_all_candidates_meet_the_same_chance_and_episodes_their_own(hand: SimpleNamespace) -> None:
    problem: Problem = hand.problem(torch.zeros(8, 3), CliffCost(), 3)
    east = torch.eye(3)[EAST].expand(8, 4, 3, -1)
    futures = imagine_futures(Cliff(0.3), problem, east, 32)
    assert futures.latents.shape == (8, 128, 3, 3)
    fell = futures.latents[:, :, -1, 2].unflatten(1, (4, 32))
    assert (fell == fell[:, :1]).all() and not (fell == fell[:1]).all()
    assert fell.mean().item() == pytest.approx(1 - 0.7**3, abs=0.1)
    alone: Problem = hand.problem(torch.zeros(1, 3), CliffCost(), 3, seed=5)
    assert torch.equal(imagine_futures(Cliff(0.3), alone, east[:1], 32).latents[0], futures.latents[5])


def test_futures_are_counted(hand: SimpleNamespace) -> None:
    model, problem = Cliff(0.1), hand.problem(torch.zeros(2, 3), CliffCost(), 2)
    plain, risky = (
        Planner(EnumerationProposal(), NoRefiner()),
        Planner(EnumerationProposal(), NoRefiner(), risk=Risk("worst", 8)),
    )
    plans = [search(model, problem) for search in (plain, risky)]
    assert plans[1].rollouts - plans[0].rollouts == 16 * 8
    assert torch.equal(plans[1].flops, plans[0].flops * 9)
    assert risky.rollouts(model, 2) >= plans[1].rollouts and plain.rollouts(model, 2) == plans[0].rollouts


def test_what_cannot_be_risky(hand: SimpleNamespace) -> None:
    problem = hand.problem(torch.zeros(1, 2), CliffCost(), 2)
    with pytest.raises(ValueError, match="risk mean in a model that imagines one future; leave it out"):
        risky_cost(hand.OpenGrid(), problem, torch.zeros(1, 1, 2, 5), Risk())
    with pytest.raises(ValueError, match="risk 'brave'; choose from mean, worst, cvar"):
        Risk("brave")
    with pytest.raises(ValueError, match="0 futures"):
        Risk("mean", 0)

"""Guardrails: no candidate gets past one, no action either, and the best allowed way is still found."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from planners.grounding import imagined_ends
from planners.guardrails import PRUNED, Guarded, nearest_allowed, priced
from planners.level_planner import LevelPlanner
from planners.objectives import GoalCost
from planners.planner import Planner
from planners.proposals import EnumerationProposal, PriorProposal
from planners.protocols import Objective, Trajectory
from planners.refiners import AdamRefiner, NoRefiner
from planners.spaces import Box
from planners.top_down import TopDownPlanner

OFFSET = 10
"""The plane's origin in a zone of 21 x 21 cells."""


def inside(latent: Tensor, zone: Tensor) -> Tensor:
    """Danger: 1 where a latent of the plane (E, N, H, 2) stands in a forbidden cell of its zone (E, 21, 21)."""
    cell = (latent.round().long() + OFFSET).clamp(0, 20)
    rows = torch.arange(len(latent)).view(-1, *[1] * (latent.ndim - 2))
    return zone[rows, cell[..., 0], cell[..., 1]]


def zone_of(*cells: tuple[int, int], count: int = 1) -> Tensor:
    zone = torch.zeros(count, 21, 21)
    for x, y in cells:
        zone[:, x + OFFSET, y + OFFSET] = 1
    return zone


WALL = tuple((2, y) for y in (-1, 0, 1))
"""Three cells across the straight way east."""


def plane_levels(hand: SimpleNamespace, planner: Planner, horizon: int) -> list[LevelPlanner]:
    level = LevelPlanner(
        hand.OpenGrid(),
        1,
        horizon,
        planner,
        planner,
        hand.squared,
        reached=0.25,
        step_cost=0.01,
        danger=inside,
        danger_flops=1.0,
    )
    return [level]


def walk(planner: TopDownPlanner, start: Tensor, goal: Tensor, zone: Tensor | None, steps: int) -> Tensor:
    """Where an agent of one level goes in a world that equals its model: (E, T + 1, 2)."""
    model, latent = planner.levels[0].model, start
    state = planner.start([goal], [None], torch.arange(len(start)), zone=zone)
    latents = [latent]
    for _ in range(steps):
        action = planner.act(state, latent, (latent != goal).any(-1))
        latent = model.advance(latent.unsqueeze(1), latent.unsqueeze(1), action.unsqueeze(1)).squeeze(1)
        latents.append(latent)
    return torch.stack(latents, 1)


def test_the_shortest_allowed_way_is_walked(hand: SimpleNamespace) -> None:
    search = Planner(EnumerationProposal(), NoRefiner())
    planner = TopDownPlanner(plane_levels(hand, search, 5), commit=5)
    start, goal = torch.zeros(1, 2), torch.tensor([[4.0, 0.0]])
    careless = walk(planner, start, goal, None, 12)[0]
    assert careless[4].tolist() == [4, 0] and careless[2].tolist() == [2, 0]
    path = walk(planner, start, goal, zone_of(*WALL), 30)[0]
    assert not inside(path[None, None], zone_of(*WALL)).any()
    # Greedy with five steps: the far side of the wall is out of sight until the agent has stepped aside.
    open_end = walk(planner, start, goal, zone_of((2, 0), (2, 1)), 12)[0]
    assert not inside(open_end[None, None], zone_of((2, 0), (2, 1))).any()
    assert open_end[6].tolist() == [4, 0], "two steps more than the straight way, the shortest around"


@pytest.mark.parametrize("refine", [NoRefiner(), AdamRefiner(3, 1.0, 0.25)])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_ever_enters_whatever_is_drawn(hand: SimpleNamespace, refine: object, seed: int) -> None:
    torch.manual_seed(seed)
    zone = (torch.rand(8, 21, 21) < 0.3).float()
    start, goal = torch.zeros(8, 2), torch.randint(-6, 7, (8, 2)).float()
    zone[:, OFFSET, OFFSET] = 0
    search = Planner(PriorProposal(16), refine)  # type: ignore[arg-type]
    path = walk(TopDownPlanner(plane_levels(hand, search, 4), commit=4), start, goal, zone, 30)
    assert not inside(path.unsqueeze(1), zone).any()
    careless = walk(TopDownPlanner(plane_levels(hand, search, 4), commit=4), start, goal, None, 30)
    assert inside(careless.unsqueeze(1), zone).any(), "the test could fail"


def test_an_upper_level_is_held_too(hand: SimpleNamespace) -> None:
    """The serpent in two levels: a block nobody may enter ends the way before it, for both of them."""
    levels = hand.serpent_levels(2)
    places, _ = hand.serpent()

    def place(latent: Tensor, zone: Tensor) -> Tensor:
        return zone.gather(1, levels[0].model.number(latent).flatten(1)).view(latent.shape[:-1])

    def block(latent: Tensor, zone: Tensor) -> Tensor:
        numbers = (latent[..., 0].round().long() * 4).flatten(1)
        return zone.gather(1, numbers).view(latent.shape[:-1])

    zone = torch.zeros(1, 64)
    zone[:, 20:24] = 1
    guarded = [replace(level, danger=danger) for level, danger in zip(levels, (place, block))]
    planner = TopDownPlanner(guarded, record=True)
    start, goal = places[[0]].float(), places[[40]].float()
    state = planner.start(hand.goals_of(guarded, goal), [None] * 2, torch.arange(1), zone=zone)
    latent, seen = start, []
    for _ in range(60):
        action = planner.act(state, latent, torch.ones(1, dtype=torch.bool))
        latent = guarded[0].model.advance(latent[:, None], latent[:, None], action[:, None])[:, 0]
        seen.append(int(guarded[0].model.number(latent)))
    assert 16 <= max(seen) <= 19, "to the block before it, and no further"
    subgoals = [d.plan.latents[0, :, 0] for d in state.decisions if d.level == 2]
    assert all((plan.round() != 5).all() for plan in subgoals)


def test_the_price_is_above_any_other_and_finite() -> None:
    excess = torch.tensor([0.0, 1e-6, 0.5, 3.0], requires_grad=True)
    price = priced(excess)
    assert price[0] == 0 and (price[1:] >= PRUNED).all() and price.isfinite().all()
    assert (price[1:].diff() > 0).all()
    price.sum().backward()
    assert excess.grad is not None and (excess.grad[1:] > 0).all(), "gradients lead out"


def test_where_all_candidates_break_it_the_one_that_does_so_least_is_found(hand: SimpleNamespace) -> None:
    zone = zone_of(*((x, y) for x in range(-3, 4) for y in range(-3, 4) if (x, y) != (0, 0)))
    objective = GoalCost(torch.tensor([[0.0, 3.0]]), hand.squared)
    danger = lambda latents: inside(latents, zone)  # noqa: E731
    plan = Planner(EnumerationProposal(), NoRefiner())(
        hand.OpenGrid(),
        hand.problem(torch.zeros(1, 2), Guarded(objective, danger, 0.1, flops=2.0), 3),
    )
    assert plan.cost.isfinite().all() and (plan.latents == 0).all(), "it stays"
    assert isinstance(Guarded(objective, danger, 0.1), Objective)
    assert Guarded(objective, danger, 0.1, flops=2.0).flops == objective.flops + 2


def test_a_step_that_gains_more_than_its_length_has_crossed_something(hand: SimpleNamespace) -> None:
    latents = torch.tensor([[9.0, 8.0], [2.0, 1.0], [5.0, 0.0]]).view(1, 3, 2, 1)
    imagined = Trajectory(torch.tensor([[10.0]]), torch.zeros(1, 3, 2, 1), latents, torch.zeros(1, 3, 2))
    nothing = lambda latents: latents[..., 0] * 0  # noqa: E731
    guarded = Guarded(
        GoalCost(torch.zeros(1, 1), hand.squared),
        nothing,
        0.1,
        to_go=lambda latents: latents[..., 0],
        pace=5.0,
    )
    assert guarded.excess(imagined).tolist() == [[0.0, 3.0, 0.0]]


def test_actions_give_way_to_the_nearest_that_is_allowed(hand: SimpleNamespace) -> None:
    east = torch.zeros(2, 5)
    east[:, 1] = 1
    zone = zone_of((1, 0), count=2)
    zone[1] = 0
    danger = lambda latents: inside(latents, zone)  # noqa: E731
    moved, flops = nearest_allowed(hand.OpenGrid(), torch.zeros(2, 2), None, east, danger, 0.1)
    assert moved.argmax(-1).tolist() == [2, 1] and flops > 0, "only where it is needed"
    point = hand.PointMass(reach=1.0)
    action = torch.tensor([[1.0, 0.0]])
    shorter, _ = nearest_allowed(
        point, torch.zeros(1, 2), None, action, lambda latents: (latents[..., 0] > 0.6).float(), 0.1
    )
    assert shorter.tolist() == [[0.5, 0.0]]
    assert Box(-torch.ones(2), torch.ones(2)).alternatives(action)[0, 0].tolist() == [1.0, 0.0]


def test_futures_that_lead_through_do_not_ground(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    low = hand.serpent_levels(2)[0].model
    start, keys = places[[30]].float(), torch.tensor([4])

    def beyond(latent: Tensor) -> Tensor:
        return (low.number(latent) > 31).float()

    free = imagined_ends([low], [None, None], start, 4, 256, keys)
    held = imagined_ends([low], [None, None], start, 4, 256, keys, beyond, 0.1)
    assert (free == 8).any() and not (held == 8).any() and held.shape == free.shape
    none = imagined_ends([low], [None, None], start, 4, 256, keys, lambda z: torch.ones(z.shape[:-1]), 0.1)
    assert torch.equal(none, free), "where none is allowed, as if nothing were forbidden"


def test_one_zone_for_each_episode(hand: SimpleNamespace) -> None:
    planner = TopDownPlanner(hand.serpent_levels(1))
    with pytest.raises(ValueError, match="the zone of level 1 has 3 rows for 2 keys"):
        planner.start([torch.zeros(2, 2)], [None], torch.arange(2), zone=torch.zeros(3, 64))

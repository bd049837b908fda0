"""Plans through several levels have the same bits in any company; episodes that ended are left alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from planners.top_down import PlanState, TopDownPlanner


def neural_walk(
    hand: SimpleNamespace, episodes: list[int], block: int, candidates: int, veto: float = 0.14
) -> list[Tensor]:
    """Everything that 12 steps leave behind, per episode, in a world of its own for each of them."""
    levels = [replace(level, veto=veto) for level in hand.neural_levels(candidates)]
    planner = TopDownPlanner(levels, off_plan=0.3, repairs=99, block=block, warm_start=True)
    generator = torch.Generator().manual_seed(5)
    everyone = 11
    start = torch.randn(everyone, 5, generator=generator)[episodes]
    goals = [torch.randn(everyone, dim, generator=generator)[episodes] for dim in (5, 7)]
    memories = [torch.randn(everyone, 3, generator=generator)[episodes] for _ in levels]
    gusts = 0.1 * torch.randn(12, everyone, 5, generator=generator)[:, episodes]
    ends = torch.randint(6, 13, (everyone,), generator=generator)[episodes]
    state = planner.start(goals, memories, torch.tensor(episodes) + 1000)
    latent, latents, actions = start, [], []
    for time in range(12):
        active = time < ends
        action = planner.act(state, latent, active)
        # Element by element, so that only the planner can tell batches apart.
        latent = torch.where(active[:, None], 0.9 * latent + 0.1 * action + gusts[time], latent)
        latents.append(latent)
        actions.append(action)
    left = [state.flops, state.repaired, state.time, state.expected]
    for level in state.levels:
        left += [level.actions, level.asked, level.planned, level.walked]
    return [torch.stack(latents, 1), torch.stack(actions, 1), *left]


@pytest.mark.parametrize(("block", "candidates"), [(1, 8), (4, 8), (8, 8), (16, 8), (16, 24), (8, 5)])
def test_results_have_the_same_bits_in_any_company(
    hand: SimpleNamespace, block: int, candidates: int
) -> None:
    everyone = list(range(11))
    together = neural_walk(hand, everyone, block, candidates)
    repaired = together[3]
    assert repaired.sum() > 0 and together[2].unique().numel() > 1, "the episodes differ"
    believing = neural_walk(hand, everyone, block, candidates, float("inf"))
    assert not torch.equal(believing[0], together[0]), "some subgoals are left"
    # Of every size of block that there is.
    for company in (everyone[::-1], [4], [7, 0, 10, 3, 5], [9, 2], everyone[1:9]):
        apart = neural_walk(hand, company, block, candidates)
        for whole, part in zip(together, apart):
            assert torch.equal(part, whole[company])


def tensors_of(state: PlanState) -> dict[str, Tensor]:
    """Every tensor of a state by name, copied."""
    found = {name: value for name, value in vars(state).items() if isinstance(value, Tensor)}
    for number, level in enumerate(state.levels):
        found |= {
            f"{number}.{name}": value for name, value in vars(level).items() if isinstance(value, Tensor)
        }
    return {name: value.clone() for name, value in found.items()}


def test_inactive_episodes_are_left_alone(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    planner = TopDownPlanner(hand.serpent_levels(3), off_plan=0.5)
    start, goal = places[[3, 5, 9]].float(), places[[40, 50, 60]].float()
    state = planner.start(hand.goals_of(list(planner.levels), goal), [None] * 3, torch.arange(3))
    planner.act(state, start, torch.tensor([True, True, True]))
    active, before = torch.tensor([True, False, True]), tensors_of(state)
    for _ in range(6):
        # Wherever an inactive episode is said to be, even off its plan, nothing of it changes.
        action = planner.act(state, start.flip(0), active)
        assert action[1].eq(0).all() and action[0].sum() == 1
    after = tensors_of(state)
    assert all(torch.equal(after[name][1], value[1]) for name, value in before.items())
    assert (after["time"] == torch.tensor([7, 1, 7])).all()


def test_nobody_active_is_fine(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    planner = TopDownPlanner(hand.serpent_levels(2))
    state = planner.start(
        hand.goals_of(list(planner.levels), places[:3].float()), [None] * 2, torch.arange(3)
    )
    action = planner.act(state, places[:3].float(), torch.zeros(3, dtype=torch.bool))
    assert action.eq(0).all() and state.flops.eq(0).all()

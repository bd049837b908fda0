"""Grounding: subgoals are charged for what the levels below do not imagine they can reach."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from planners.grounding import GroundingCost, Unconstrained, imagined_ends
from planners.noise import combine
from planners.planner import Planner
from planners.proposals import EnumerationProposal
from planners.protocols import Objective, Problem, Trajectory
from planners.refiners import NoRefiner
from planners.rollouts import sample_rollout
from planners.top_down import LevelPlanner, TopDownPlanner


def test_imagined_ends_are_where_the_prior_leads(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    low, middle, _ = (level.model for level in hand.serpent_levels(3))
    start, keys = places[[0, 30, 63]].float(), torch.tensor([4, 5, 6])
    ends = imagined_ends([low], [None, None], start, 4, 256, keys)
    assert ends.shape == (3, 256, 1)
    # Four steps lead to the neighbouring blocks at most; the corridor's ends are on its one side only.
    reached = [set(row.unique().tolist()) for row in ends[..., 0]]
    assert reached[0] <= {0.0, 1.0} and reached[1] == {6.0, 7.0, 8.0} and reached[2] <= {14.0, 15.0}
    walked = sample_rollout(low, Problem(start, None, 4, Unconstrained(), keys), 256).latents[:, :, -1]
    assert torch.equal(ends, low.lift(walked, None))
    # Through two levels: the regions of those blocks.
    far = imagined_ends([low, middle], [None] * 3, start, 4, 256, keys)
    assert torch.equal(far, middle.lift(ends, None))


def test_grounding_cost_is_the_distance_of_the_first_step_to_the_nearest_end(hand: SimpleNamespace) -> None:
    ends = torch.tensor([[[0.0], [4.0]], [[10.0], [11.0]]])
    latents = torch.tensor([[1.0, 9.0], [3.5, 0.0]]).view(1, 2, 2, 1).repeat(2, 1, 1, 1)
    walked = Trajectory(torch.zeros(2, 1), torch.zeros(2, 2, 2, 1), latents, torch.zeros(2, 2, 2))
    cost = GroundingCost(ends, hand.squared, 2.0)
    assert isinstance(cost, Objective) and isinstance(Unconstrained(), Objective)
    assert cost(walked).tolist() == [[2.0, 0.5], [162.0, 84.5]]
    far = GroundingCost(ends, lambda first, second: 3 * hand.squared(first, second), 1.0)
    assert far(walked).tolist() == [[3.0, 0.75], [243.0, 126.75]], "measured as the level measures"
    assert Unconstrained()(walked).tolist() == [[0.0, 0.0]] * 2


def dreaming(hand: SimpleNamespace, **grounding: float) -> list[LevelPlanner]:
    """Two levels of the serpent; the upper one believes that it can jump five blocks at once."""
    low, high = hand.serpent_levels(2)
    blocks, table = hand.line(16)
    jump = (torch.arange(16) + 5).clamp_max(15)
    model = hand.TableModel(blocks, torch.cat([table, jump[:, None]], 1))
    search = Planner(EnumerationProposal(), NoRefiner())
    return [low, replace(high, model=model, to_goal=search, to_subgoal=search, **grounding)]


@pytest.mark.parametrize(("ground", "subgoal"), [(0, 5.0), (256, 1.0)])
def test_a_level_that_dreams_is_brought_back_to_what_can_be_reached(
    hand: SimpleNamespace, ground: int, subgoal: float
) -> None:
    places, _ = hand.serpent()
    planner = TopDownPlanner(dreaming(hand, ground=ground, ground_weight=100.0), record=True)
    found = hand.walk(planner, places[2:3].float(), places[60:61].float(), 1)
    assert found.state.levels[0].target is not None
    assert found.state.levels[0].target.tolist() == [[subgoal]]


def test_weak_grounding_only_leans(hand: SimpleNamespace) -> None:
    places, _ = hand.serpent()
    planner = TopDownPlanner(dreaming(hand, ground=256, ground_weight=1e-3))
    found = hand.walk(planner, places[2:3].float(), places[60:61].float(), 1)
    assert found.state.levels[0].target is not None
    assert found.state.levels[0].target.tolist() == [[5.0]]


@pytest.mark.parametrize(
    ("k", "depth", "steps", "lifts"), [(2, 1, 3, 1), (2, 2, 12, 2), (2, 9, 12, 2), (1, 1, 4, 1), (1, 9, 4, 1)]
)
def test_operations_of_grounding_are_counted(
    hand: SimpleNamespace, k: int, depth: int, steps: int, lifts: int
) -> None:
    """Of a stride of the level, in steps of the lowest level that is asked."""
    places, _ = hand.serpent()
    levels = hand.serpent_levels(3)
    grounded = [*levels]
    grounded[k] = replace(levels[k], ground=16, ground_depth=depth)
    start, goal = places[:1].float(), places[60:61].float()
    plain = hand.walk(TopDownPlanner(levels), start, goal, 1).state.flops
    found = hand.walk(TopDownPlanner(grounded), start, goal, 1).state.flops
    # Imagining the futures, lifting them, and comparing each of 32 candidates with all of them.
    expected = 16 * (steps * 7.0 + lifts * 2.0) + 32 * 3.0 * 16
    assert (found - plain).tolist() == [expected]


def test_futures_have_noise_of_their_own(hand: SimpleNamespace) -> None:
    """The futures of a level below are no copies of its own candidates, and each replan has new ones."""
    seen = []

    class Watching(hand.TableModel):  # type: ignore[misc, name-defined]
        def lift(self, latent: torch.Tensor, memory: torch.Tensor | None) -> torch.Tensor:
            if latent.shape[1] == 64:
                seen.append(latent.clone())
            return super().lift(latent, memory)

    low, high = dreaming(hand, ground=64)
    model = low.model
    watching = Watching(model.places.long(), model.table, model.above)
    places, _ = hand.serpent()
    planner = TopDownPlanner([replace(low, model=watching), high], block=1)
    walked = hand.walk(planner, places[30:31].float(), places[62:63].float(), 8)
    assert len(seen) == 2
    key = combine(torch.tensor([0]), 1, torch.tensor([0]))
    own = sample_rollout(model, Problem(places[30:31].float(), None, 4, Unconstrained(), key), 64)
    assert not torch.equal(seen[0], own.latents[:, :, -1])
    moved = walked.latents[:, 4] - walked.latents[:, 0]
    assert not torch.equal(seen[1] - moved, seen[0])


def test_arguments_that_cannot_work_are_refused(hand: SimpleNamespace) -> None:
    for wrong in ({"ground": -1}, {"ground_depth": 0}):
        with pytest.raises(ValueError, match="ground"):
            TopDownPlanner(dreaming(hand, **wrong))

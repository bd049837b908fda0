"""What planning may spend, and where it starts: settings reach the planners, what cannot work is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hjepa.agent import Agent
from hjepa.config import load_preset
from hjepa.stack import Stack
from tasks import compose_image, sample_episodes, task_spec

TINY = Path(__file__).parents[1] / "end_to_end" / "tiny.yaml"


@pytest.fixture(scope="module")
def stack() -> Stack:
    """A stack that nobody has trained: its plans are bad, what they cost is real."""
    torch.manual_seed(0)
    config = load_preset(str(TINY))
    spec = task_spec(config.task)
    return Stack(config, (spec.width, spec.height), spec.actions).eval().requires_grad_(False)


def agent_of(stack: Stack, **settings: object) -> Agent:
    """An agent that records its decisions, with some settings of planning replaced."""
    plan = replace(stack.config.plan, **settings)
    return Agent(stack, 64, budget_tflops=0.2, settings=plan, record=True)


def test_warm_starts_are_a_setting(stack: Stack) -> None:
    assert not agent_of(stack).planner.warm_start
    assert agent_of(stack, warm_start=True).planner.warm_start
    assert load_preset(str(TINY), ["plan.warm_start=true"]).plan.warm_start


def test_a_warm_agent_offers_its_last_plan(stack: Stack) -> None:
    """Level 1's horizon is 3 and nothing is above: after one step of a plan two are left to try."""
    episodes = sample_episodes(stack.config.task, "validation", episodes=2, seed=0)
    image = compose_image(episodes.grid, episodes.start)
    for warm_start in (False, True):
        part = Agent(
            stack, 64, 1, 0.2, replace(stack.config.plan, warm_start=warm_start, commit=1), record=True
        )
        level, seen = part.planner.levels[0], []
        propose = level.to_goal.propose

        class Spy:
            def __call__(self, model, problem, propose=propose, seen=seen):
                seen.append(problem)
                return propose(model, problem)

            count = propose.count

        level.to_goal.propose = Spy()
        begun = part.begin(image, episodes.goal_image, torch.arange(2))
        part.act(begun, image)
        rest = begun.plan.actions[:, 1:].clone()
        part.act(begun, image)
        assert len(seen) == 2
        if warm_start:
            assert seen[0].warm_steps.eq(0).all() and seen[1].warm_steps[:2].tolist() == [2, 2]
            assert torch.equal(seen[1].warm[:2, :2], rest)
        else:
            assert seen[1].warm is None

"""Ways that a critic claims and nobody comes along cost more: walkers leave walls that it takes for ways."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import hjepa
from hjepa.agent.agent import Agent
from hjepa.agent.doubt import DEARER, Doubt, descending
from hjepa.agent.episodes import Episodes
from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.playing import play
from hjepa.gridworld.guardrails import Region
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from levels.costs.field import FieldCost
from levels.encoders.picture import PLACE
from levels.settings import Sight
from tasks import sample_episodes, task_spec

SIDE, SWEEPS, PATIENCE = 9, 160, 2
TASK, BUDGET = "hjepa/NestedRooms-d2-v0", 0.003


def latent_at(cells: np.ndarray) -> Tensor:
    """Latents (E, 3) of one map at cells (E, 2)."""
    places = (torch.from_numpy(cells).float() - (SIDE - 1) / 2) * PLACE
    return torch.cat([places, torch.zeros(len(cells), 1)], 1)


def critic(begins: float | None = 1.0) -> FieldCost:
    head = FieldCost(Sight("symbols", (SIDE, SIDE, 1), (2,)), 2, 1, begins=begins)
    head.share[0] = 1.0
    return head


def doubted(
    goals: np.ndarray, patience: int = PATIENCE, begins: float | None = 1.0
) -> tuple[Doubt, Any]:
    """Doubts of a critic that knows no walls, and what the planner keeps of the episodes."""
    head, count = critic(begins), len(goals)
    moves = torch.ones(count, 4, SIDE, SIDE)
    goal = latent_at(goals)
    level = SimpleNamespace(field=head.spread(moves, goal, SWEEPS), goal=goal)
    flops = torch.zeros(count, dtype=torch.float64)
    state = SimpleNamespace(levels=[level], layout=moves.clone(), flops=flops)
    return Doubt.begin([head], [0], patience, [moves]), state


SEARCHES: Any = SimpleNamespace(sweeps=SWEEPS, doubt_flops=100.0, critic_flops=[1.0])


def walked(
    wall: np.ndarray,
    start: np.ndarray,
    goal: np.ndarray,
    steps: int,
    patience: int,
    begins: float | None = 1.0,
) -> np.ndarray:
    """Steps (E,) after which walkers that step to the least neighbour of the field are at their goals, else -1.

    They know walls (E, SIDE, SIDE), as a level does that imagines; the field does not.
    """
    doubt, state = doubted(goal, patience, begins)
    at, arrived = start.copy(), np.full(len(start), -1)
    for step in range(steps):
        running = arrived < 0
        doubt.watch(state, latent_at(at), torch.from_numpy(running), SEARCHES, 4)
        for episode in np.flatnonzero(running):
            field = state.levels[0].field[episode, 0].numpy()
            around = [at[episode] + move for move in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
            free = [x for x in around if (x >= 0).all() and (x < SIDE).all() and not wall[episode][tuple(x)]]
            at[episode] = min(free, key=lambda x: field[tuple(x)])
            if (at[episode] == goal[episode]).all():
                arrived[episode] = step + 1
    return arrived


@pytest.mark.parametrize("begins", [1.0, None])
def test_walkers_go_round_any_wall_that_the_critic_takes_for_a_way(begins: float | None) -> None:
    """Also where the critic's field begins everywhere, and no way may be longer than 8 steps a place."""
    rng = np.random.default_rng(0)
    walls = np.zeros((8, SIDE, SIDE), dtype=bool)
    for wall in walls:
        row = rng.integers(2, SIDE - 2)
        wall[row] = True
        wall[row, rng.choice([0, SIDE - 1])] = False  # one gap, at an end
        wall[row - 1, 2], wall[row - 1, 6] = True, True  # and a pocket before it
    start = np.stack([np.zeros(8, dtype=int), np.full(8, 4)], 1)
    goal = np.stack([np.full(8, SIDE - 1), np.full(8, 4)], 1)
    assert (walked(walls, start, goal, 150, 10_000, begins) == -1).all(), "who believes stands before the wall"
    assert (walked(walls, start, goal, 150, PATIENCE, begins) > 0).all()


def test_who_comes_nearer_doubts_nothing() -> None:
    none = np.zeros((1, SIDE, SIDE), dtype=bool)
    start, goal = np.array([[0, 4]]), np.array([[8, 4]])
    assert walked(none, start, goal, 20, 1).tolist() == [8]
    doubt, state = doubted(goal)
    before = state.levels[0].field.clone()
    for x in range(8):
        doubt.watch(state, latent_at(np.array([[x, 4]])), torch.tensor([True]), SEARCHES, 4)
    assert torch.equal(state.levels[0].field, before) and state.flops.item() == 8


def test_a_doubt_raises_the_one_move_that_was_meant_and_what_leads_over_it() -> None:
    doubt, state = doubted(np.array([[8, 4], [8, 4]]))
    before, stands = state.levels[0].field.clone(), latent_at(np.array([[3, 4], [3, 4]]))
    for _ in range(PATIENCE + 2):
        doubt.watch(state, stands, torch.tensor([True, False]), SEARCHES, 4)
    raised = (doubt.moves[0] - 1).nonzero()
    assert raised.tolist() == [[0, 0, 3, 4]], "towards x = 4, of the episode that still runs"
    assert doubt.moves[0][0, 0, 3, 4] == 1 + DEARER
    field = state.levels[0].field
    assert field[0, 0, 3, 4] == before[0, 0, 3, 4] + 2, "the way is now round that place"
    assert torch.equal(field[1], before[1]) and torch.equal(state.layout, doubt.moves[0])
    assert state.flops.tolist() == [PATIENCE + 2 + 100, 0]
    assert doubt.waited[0] == 0 and doubt.nearest[0] == field[0, 0, 3, 4]


def test_doubts_outlast_a_picture_read_anew() -> None:
    doubt, state = doubted(np.array([[8, 4]]))
    for _ in range(PATIENCE + 2):
        doubt.watch(state, latent_at(np.array([[3, 4]])), torch.tensor([True]), SEARCHES, 4)
    doubt.read_anew(torch.tensor([0]), [torch.full((1, 4, SIDE, SIDE), 2.0)])
    doubt.spread(state, torch.tensor([0]), SWEEPS)
    assert doubt.moves[0][0, 0, 3, 4] == 2 + DEARER and doubt.moves[0].sum() == 2 * 4 * SIDE**2 + DEARER
    assert state.levels[0].field[0, 0, 3, 4] == 2 * 5 + 4, "round that place"
    assert doubt.nearest.isinf().all(), "how near it had come by the other picture says nothing"


def test_moves_are_looked_for_on_the_map() -> None:
    head, moves = critic(), torch.ones(1, 4, SIDE, SIDE)
    corner = latent_at(np.array([[0, 8]]))
    field = head.spread(moves, latent_at(np.array([[0, 0]])), SWEEPS)
    assert [int(part) for part in descending(head, corner, field, moves)] == [3, 0, 8]


# --- in an agent --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack() -> Stack:
    """Untrained, so that nothing that it claims comes true."""
    torch.manual_seed(0)
    made = Stack(load_preset("nested-d2", []), world_of(task_spec(TASK), "symbols")).eval()
    head = made.requires_grad_(False).critic(0)
    assert isinstance(head, FieldCost)
    head.share[0] = 1.0
    return made


def agent_of(stack: Stack, levels: int = 3, **changes: Any) -> Agent:
    settings = replace(stack.config.plan, **changes)
    spec = replace(task_spec(TASK), step_budget=12)
    return make_agent(stack, spec, AgentOptions(levels, budget_tflops=BUDGET, settings=settings))


def test_it_is_the_same_in_any_company(stack: Stack) -> None:
    agent, spec = agent_of(stack, doubt=1), replace(task_spec(TASK), step_budget=12)
    episodes = sample_episodes(TASK, "test", episodes=3, seed=0)
    together = play(agent, spec, episodes, 0, 0)
    for number in range(3):
        apart = play(agent, spec, episodes.select(np.array([number])), number, 0)
        steps = apart.agent.shape[1]
        assert (apart.agent[0] == together.agent[number, :steps]).all()
        assert apart.results.flops[0] == together.results.flops[number]


def test_it_is_paid_for_and_keeps_the_budget(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fields that cost a good part of what plans do, so that it shows."""
    monkeypatch.setattr(FieldCost, "field_operations", lambda self, sweeps, size: 0.02 * BUDGET * 1e12)
    believing, doubting = agent_of(stack, 1), agent_of(stack, 1, doubt=1)
    assert doubting.searches.doubt_flops == 0.02 * BUDGET * 1e12 + doubting.searches.critic_flops[0]
    level = [agent.planner.levels[0] for agent in (believing, doubting)]
    most, fewer = (one.to_goal.passes(one.model, 8) for one in level)
    assert fewer < most, "what doubts take is not spent on plans"
    episodes = sample_episodes(TASK, "test", episodes=2, seed=0)
    start = episodes.start_observation
    begun = doubting.begin(start, episodes.goal_observation, torch.arange(2))
    spent = []
    for _ in range(12):
        before = begun.plan.flops.clone()
        doubting.act(begun, start)  # it stands still, and doubts at every second step at least
        spent.append((begun.plan.flops - before)[0].item())
    assert sum(each >= 0.02 * BUDGET * 1e12 for each in spent) >= 5
    assert (begun.plan.flops <= BUDGET * 1e12).all()


@pytest.mark.parametrize("levels", [1, 3])
def test_agents_doubt_where_they_stand_and_believe_otherwise(stack: Stack, levels: int) -> None:
    episodes = sample_episodes(TASK, "validation", episodes=2, seed=0)
    for patience in (None, 1):
        settings = replace(stack.config.plan, doubt=patience)
        options = AgentOptions(levels, budget_tflops=BUDGET, settings=settings)
        agent = make_agent(stack, replace(task_spec(TASK), step_budget=16), options)
        begun = agent.begin(episodes.start_observation, episodes.goal_observation, torch.arange(2))
        fields = fields_of(begun)
        for _ in range(4):
            agent.act(begun, episodes.start_observation)  # it stands still
        moved = [not torch.equal(one, other) for one, other in zip(fields, fields_of(begun))]
        assert len(fields) == levels and moved == [patience is not None] * levels
        if patience is not None and levels > 1:
            assert begun.doubt is not None and begun.plan.layout is not None
            assert torch.equal(begun.plan.layout, begun.doubt.moves[0])


def fields_of(begun: Episodes) -> list[Tensor]:
    return [level.field.clone() for level in begun.plan.levels if level.field is not None]


def test_a_level_with_a_critic_of_its_own_doubts_the_same_move() -> None:
    torch.manual_seed(0)
    config = load_preset("demo", [])
    made = Stack(config, world_of(task_spec(config.task), "symbols")).eval().requires_grad_(False)
    for head in made.critics:
        assert isinstance(head, FieldCost)
        head.share[0] = 1.0
    settings = replace(config.plan, doubt=1)
    agent = make_agent(made, task_spec(config.task), AgentOptions(budget_tflops=0.02, settings=settings))
    episodes = sample_episodes(config.task, "test", episodes=1, seed=0)
    begun = agent.begin(episodes.start_observation, episodes.goal_observation, torch.arange(1))
    assert begun.doubt is not None and begun.doubt.own == [0, 2]
    before, fields = [moves.clone() for moves in begun.doubt.moves], fields_of(begun)
    assert torch.equal(fields[0], fields[1]) and not torch.equal(fields[1], fields[2])
    for _ in range(3):
        agent.act(begun, episodes.start_observation)
    raised = begun.doubt.raised
    assert raised.sum() == DEARER
    for one, moves in zip(before, begun.doubt.moves):
        torch.testing.assert_close(moves - one, raised)
    after = fields_of(begun)
    assert torch.equal(after[0], after[1]) and not torch.equal(after[0], fields[0])


def test_goals_that_change_are_aimed_at_over_what_is_doubted(stack: Stack) -> None:
    agent = agent_of(stack, doubt=1)
    episodes = sample_episodes(TASK, "test", episodes=2, seed=0)
    begun = agent.begin(episodes.start_observation, episodes.goal_observation, torch.arange(2))
    for _ in range(3):
        agent.act(begun, episodes.start_observation)
    doubt = begun.doubt
    assert doubt is not None
    moves = doubt.moves[0].clone()
    begun.goal = begun.goal.flip(0)
    agent.aim(begun, torch.tensor([0, 1]), agent.reader.encode(torch.from_numpy(begun.floor)))
    assert torch.equal(doubt.moves[0], moves) and doubt.nearest.isinf().all()
    head = stack.critic(0)
    assert isinstance(head, FieldCost)
    expected = head.spread(moves, begun.plan.levels[0].goal, agent.searches.sweeps)
    assert all(torch.equal(field, expected) for field in fields_of(begun))


def test_where_there_are_guardrails_nothing_is_doubted(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(stack, doubt=1)
    episodes = sample_episodes(TASK, "test", episodes=1, seed=0)
    begun = agent.begin(episodes.start_observation, episodes.goal_observation, torch.arange(1))
    assert begun.doubt is not None
    monkeypatch.setattr("hjepa.agent.agent.without_lava", lambda floor: floor)
    agent.guard([Region(np.zeros((1, 9, 9), dtype=bool))], begun)
    assert begun.doubt is None and not agent.searches.doubts


def test_only_a_field_can_be_doubted_and_not_beside_a_pace(stack: Stack) -> None:
    told = hjepa.load_stack("told-nested-d2")
    settings = replace(told.config.plan, doubt=8, metric="critic")
    with pytest.raises(InputError, match="no field over what moves cost"):
        make_agent(told, task_spec(TASK), AgentOptions(budget_tflops=0.01, settings=settings))
    believing = make_agent(told, task_spec(TASK), AgentOptions(settings=replace(settings, metric="l2")))
    assert not believing.searches.doubts
    with pytest.raises(InputError, match="charges for long steps"):
        agent_of(stack, doubt=8, pace=1.0)

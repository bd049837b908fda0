"""A stack with a critic: refused where there is none, read and paid for where there is one, harmless to the levels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset, with_levels
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent, play
from hjepa.figures.landscape import landscape
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.settings import CriticSettings
from hjepa.training.batches import active_levels, critic_progress, draw_critic, total_steps
from hjepa.training.sources import StateSource
from planners.level_costs import LevelCosts
from tasks import EpisodeBatch, TrajectoryStore, collect, make_batched, sample_episodes, task_spec

TASK = "hjepa/NestedRooms-d2-v0"


def seen(episodes: EpisodeBatch) -> dict[str, np.ndarray]:
    """The first observations of some episodes."""
    world = make_batched(task_spec(TASK), len(episodes.start), copy=False)
    return world.reset(options={"episodes": episodes})[0]


@pytest.fixture(scope="module")
def judged() -> Stack:
    """Untrained levels and critics, two levels with a latent of their own above a shared one."""
    config = load_preset("told-nested-d2", ["critic.hidden=8", "levels.3.encoder=mlp", "plan.metric=critic"])
    torch.manual_seed(0)
    return Stack(config, world_of(task_spec(TASK))).eval().requires_grad_(False)


def test_a_stack_without_critics_says_so(judged: Stack) -> None:
    with pytest.raises(InputError, match="plan.metric is critic, but there is none"):
        load_preset("told-demo", ["plan.metric=critic"])
    with pytest.raises(InputError, match="critic.plans is 9 of 1"):
        load_preset("told-demo", ["critic.plans=9"])
    with pytest.raises(InputError, match="critic.clip is 4 with a critic that learns from the times of whole ways"):
        load_preset("told-demo", ["critic.clip=4", "critic.plans=1"])
    with pytest.raises(InputError, match="critic.under is 2"):
        load_preset("told-demo", ["critic.under=2", "critic.plans=1"])
    for name in ("reached", "critic_reached"):
        with pytest.raises(InputError, match=f"plan.{name} is 0.4; choose from 0.1, 0.25"):
            load_preset("told-demo", [f"plan.{name}=0.4"])
    for name in ("veto", "critic_veto"):
        with pytest.raises(
            InputError, match=f"plan.{name} is 0.0; give a number above 0, up to 1000000, or null"
        ):
            load_preset("told-demo", [f"plan.{name}=0.0"])
    bare = Stack(replace(judged.config, critic=None), judged.world)
    with pytest.raises(InputError, match="the stack has no critic"):
        make_agent(bare, task_spec(TASK), AgentOptions(settings=judged.config.plan))


def test_levels_begin_the_same_with_a_critic_and_without(judged: Stack) -> None:
    torch.manual_seed(0)
    bare = Stack(replace(judged.config, critic=None), judged.world)
    theirs = dict(judged.named_parameters())
    for name, value in bare.named_parameters():
        assert torch.equal(value, theirs.pop(name))
    assert theirs and all(name.startswith("critics.") for name in theirs)


def test_levels_that_share_a_latent_share_a_critic(judged: Stack) -> None:
    assert len(judged.critics) == 2
    assert judged.critic(0) is judged.critic(1) is judged.critic(2) is judged.critics[0]
    assert judged.critic(3) is judged.critics[1]
    part = judged.truncate(3)
    assert len(part.critics) == 1 and part.critic(2) is judged.critics[0]
    assert len(Stack(with_levels(judged.config, 3), judged.world).critics) == 1


def test_the_agent_walks_down_the_field(judged: Stack) -> None:
    """Whatever the critic says is the goal: here, the number of a column."""
    spec, episodes = task_spec(TASK), sample_episodes(TASK, "validation", episodes=4, seed=0)
    agent = make_agent(judged, spec, AgentOptions(4, budget_tflops=0.005))
    state = agent.begin(seen(episodes), episodes.goal_observation, torch.arange(4))
    fields = [level.field for level in state.plan.levels]
    assert fields[0] is fields[1] is fields[2] and fields[3] is not fields[0]
    width, height = judged.world.size
    assert fields[0] is not None and fields[0].shape == (4, 4, width, height)
    goals = [level.goal for level in state.plan.levels]
    for k, (field, goal) in enumerate(zip(fields, goals)):
        assert field is not None and judged.config.critic is not None
        alone = judged.critic(k).field(
            torch.from_numpy(episodes.grid[2:3]), goal[2:3], judged.config.critic.sweeps
        )
        assert torch.allclose(alone[0], field[2], atol=1e-5)
    level = agent.planner.levels[0]
    index = torch.arange(4)
    latents = torch.randn(4, 8, 1, judged.config.levels[0].latent_dim)
    measured = LevelCosts(agent.planner.levels, state.plan, 0, index).to_go()(
        latents, goals[0][:, None, None]
    )
    assert level.critic is not None and torch.equal(measured, level.critic(latents, fields[0]))
    unit = judged.stride_quantile("critic", 0, 0.5)
    assert torch.allclose(measured, unit * judged.critic(0)(latents, fields[0]))


def test_what_the_critic_takes_is_counted(judged: Stack) -> None:
    spec, episodes = task_spec(TASK), sample_episodes(TASK, "validation", episodes=3, seed=0)
    by_metric = {}
    for metric in ("commute", "critic"):
        settings = replace(judged.config.plan, metric=metric, max_candidates=8, flat={})
        agent = make_agent(judged, spec, AgentOptions(1, budget_tflops=0.005, settings=settings))
        state = agent.begin(seen(episodes), episodes.goal_observation, torch.arange(3))
        begun = state.flops.clone()
        agent.act(state, seen(episodes))
        by_metric[metric] = (agent, float(begun[0]), float(state.flops[0] - begun[0]))
    critic, plain = by_metric["critic"], by_metric["commute"]
    agent = critic[0]
    assert critic[1] - plain[1] == agent.searches.metric_flops > 0
    search = agent.planner.levels[0].to_goal
    passes = search.passes(agent.models[0], agent.settings.horizon[0]) - search.propose.rollouts(
        agent.models[0], agent.settings.horizon[0]
    )
    # Proposals are imagined without looking at them; everything after is.
    extra = critic[2] - plain[2]
    assert 0 < extra <= (passes + 8) * agent.settings.horizon[0] * agent.searches.critic_flops[0]
    results = play(agent, spec, episodes, 0, 0).results
    assert float(results.flops.max()) <= 0.005e12


def test_critics_train_after_the_levels_and_leave_them_alone(judged: Stack, tmp_path) -> None:
    config = replace(judged.config, critic=CriticSettings(steps=3, plans=2, trajectories=2, hidden=8))
    levels = sum(config.train.steps)
    assert total_steps(config) == levels + 3
    assert [critic_progress(config, step) for step in (levels - 1, levels, levels + 2, levels + 3)] == [
        None,
        0.0,
        2 / 3,
        None,
    ]
    assert active_levels(config, levels - 1) and not active_levels(config, levels)
    collect(TASK, tmp_path / "data", plans=3, episodes_per_plan=3, length=20, seed=0)
    store = StateSource(TrajectoryStore.open(tmp_path / "data"), None)
    batch, again = (
        draw_critic(store, config, levels),
        draw_critic(store, config, levels),
    )
    assert torch.equal(batch.agent, again.agent) and batch.agent.shape[:3] == (2, 2, 20)
    assert not torch.equal(batch.agent, draw_critic(store, config, levels + 1).agent)
    torch.manual_seed(0)
    stack = Stack(config, judged.world)
    loss, terms = stack.critic_loss(batch.grid, batch.agent, batch.goal)
    loss.backward()
    assert len(terms) == 2 and all(float(own["steps"]) > 0 for own in terms)
    assert all(p.grad is None for part in (stack.levels, stack.probes) for p in part.parameters())
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in stack.critics.parameters())


def test_pieces_of_trajectories_are_as_short_as_asked_and_as_many_more(judged: Stack, tmp_path: Path) -> None:
    collect(TASK, tmp_path / "data", plans=3, episodes_per_plan=3, length=20, seed=0)
    store = StateSource(TrajectoryStore.open(tmp_path / "data"), None)
    for clip, shape in ((None, (2, 2, 20)), (4, (2, 10, 4)), (6, (2, 6, 6)), (99, (2, 2, 20))):
        critic = replace(judged.config.critic, plans=2, trajectories=2, clip=clip)
        batch = draw_critic(store, replace(judged.config, critic=critic), 0)
        assert batch.agent.shape[:3] == shape
        trajectory, moment = batch.goal
        assert int(trajectory.max()) < shape[1] and int(moment.max()) < shape[2]
    with pytest.raises(InputError, match="critic.clip is 1; give"):
        replace(judged.config.critic, clip=1)


def test_estimates_that_are_too_low_weigh_as_the_setting_says(judged: Stack, tmp_path: Path) -> None:
    """The loss is a sum of a part that does not know of `critic.under` and one that is proportional to it."""
    collect(TASK, tmp_path / "data", plans=3, episodes_per_plan=3, length=20, seed=0)
    config = replace(judged.config, critic=replace(judged.config.critic, plans=2, trajectories=2))
    store = StateSource(TrajectoryStore.open(tmp_path / "data"), None)
    batch = draw_critic(store, config, 0)
    found = []
    for under in (0.25, 0.5, 1.0):
        part = Stack(replace(config, critic=replace(config.critic, under=under)), judged.world)
        part.load_state_dict(judged.state_dict())
        found.append(part.critic_loss(batch.grid, batch.agent, batch.goal)[0].item())
    quarter, half = found[1] - found[0], found[2] - found[1]
    assert quarter > 0 and half == pytest.approx(2 * quarter, rel=1e-3)


def test_the_landscape_of_a_critic_is_its_field(judged: Stack) -> None:
    episodes = sample_episodes(TASK, "validation", episodes=1, seed=0)
    found = landscape(judged, episodes.grid[0], episodes.goal[0], 2, "critic")
    assert np.isfinite(found.energy).sum() == np.isfinite(found.path).sum()


def test_a_goal_is_handed_down_from_further_away_under_the_critic(judged: Stack) -> None:
    spec, part = task_spec(TASK), replace(judged.config.plan, reached=0.25, critic_reached=0.75)
    judged.stride_distance[:] = torch.arange(5.0)
    for metric, quantile in (("critic", 3.0), ("commute", 1.0)):
        agent = make_agent(
            judged, spec, AgentOptions(4, budget_tflops=0.005, settings=replace(part, metric=metric))
        )
        assert [level.reached for level in agent.planner.levels] == [quantile] * 4
    judged.stride_distance.fill_(1.0)


def test_subgoals_are_left_from_a_cost_of_their_own_under_the_critic(judged: Stack) -> None:
    spec, part = task_spec(TASK), replace(judged.config.plan, veto=None, critic_veto=0.5)
    for metric, share in (("critic", 0.5), ("commute", float("inf"))):
        levels = make_agent(
            judged, spec, AgentOptions(4, budget_tflops=0.005, settings=replace(part, metric=metric))
        ).planner.levels
        above = [judged.stride_quantile(metric, k + 1, 0.5) for k in range(3)]
        assert [level.veto for level in levels] == [*(share * unit for unit in above), float("inf")]


def test_an_agent_with_another_metric_has_no_fields(judged: Stack) -> None:
    episodes = sample_episodes(TASK, "validation", episodes=1, seed=0)
    agent = Agent(
        judged, 64, AgentOptions(2, budget_tflops=0.005, settings=replace(judged.config.plan, metric="l2"))
    )
    state = agent.begin(seen(episodes), episodes.goal_observation, torch.arange(1))
    assert [level.field for level in state.plan.levels] == [None, None]
    assert all(level.critic is None for level in agent.planner.levels)


def test_only_a_critic_of_images_has_patches_of_its_own() -> None:
    with pytest.raises(InputError, match="critic.patch is 4 with an encoder that sees symbols"):
        load_preset("nested-d2", ["critic.patch=4"])
    assert load_preset("nested-d2-images", ["critic.patch=4"]).critic is not None


def test_pairs_several_steps_apart_are_for_heads_of_single_steps_and_fit_their_pieces() -> None:
    with pytest.raises(InputError, match="critic.lag is 2 with a critic of another kind"):
        load_preset("nested-d2", ["critic.lag=2"])
    steps = ["critic.kind=step_field", "critic.clip=4"]
    with pytest.raises(InputError, match="critic.lag is 4 in pieces of 4 moments"):
        load_preset("nested-d2", [*steps, "critic.lag=4"])
    assert load_preset("nested-d2", [*steps, "critic.lag=3"]).critic is not None


@pytest.mark.parametrize("kind", [None, "grid"])
def test_a_grid_critic_has_no_say_in_where_it_begins(kind: str | None) -> None:
    with pytest.raises(InputError, match="critic.begins is 1.0 with a critic of kind grid"):
        load_preset("told-four-rooms", ["critic.begins=1", *([f"critic.kind={kind}"] if kind else [])])
    assert load_preset("four-rooms", ["critic.begins=1"]).critic is not None
    with pytest.raises(InputError, match="critic.begins is 1.0 with a critic of kind quasimetric"):
        load_preset("four-rooms", ["critic.begins=1", "critic.kind=quasimetric"])
    given = ["critic.kind=quasimetric", "critic.begins=null"]
    with pytest.raises(InputError, match="plan.subgoals is critic with a critic of kind quasimetric"):
        load_preset("nested-d3", given)
    with pytest.raises(InputError, match="plan.doubt is 8 with a critic of kind quasimetric"):
        load_preset("nested-d3", [*given, "plan.subgoals=distance"])
    assert load_preset("nested-d3", [*given, "plan.subgoals=distance", "plan.doubt=null"]).critic is not None

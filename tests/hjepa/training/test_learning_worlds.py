"""The learning side in every kind of world: doors to toggle, continuous positions, and nested rooms as ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent, watch
from hjepa.evaluation.held_out import Evaluation
from hjepa.figures.walk import read_walk
from hjepa.model.checkpoints import describe, load_stack, save_stack
from hjepa.model.perception import see, world_of
from hjepa.model.stack import Stack
from hjepa.settings import RunConfig
from hjepa.training.batches import draw
from hjepa.training.fit import fit
from hjepa.training.sources import StateSource
from levels.settings import World
from tasks import TrajectoryStore, collect, compose_image, sample_episodes, task_spec

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"
KEYS = "hjepa/NestedKeys-d2-v0"
TASKS = ("MiniGrid-MultiRoom-N6-v0", "MiniGrid-FourRooms-v0", "hjepa/NestedPoint-d2-v0", KEYS)


def config_for(task: str) -> RunConfig:
    return load_preset(str(TINY), [f"task={task}", "plan.metric=imagined"])


@pytest.fixture(scope="module", params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def store(task: str, tmp_path_factory: pytest.TempPathFactory) -> TrajectoryStore:
    config = config_for(task)
    folder = tmp_path_factory.mktemp("data") / "store"
    wanted = replace(config.collect, plans=2, episodes_per_plan=4)
    collect(task, folder, **vars(wanted))
    return TrajectoryStore.open(folder)


def untrained(task: str) -> Stack:
    torch.manual_seed(0)
    return Stack(config_for(task), world_of(task_spec(task)))


def test_a_stack_learns_from_trajectories_of_the_world(task: str, store: TrajectoryStore) -> None:
    stack = untrained(task)
    for k in range(stack.depth):
        batch = draw(StateSource(store, None), stack.config, k, stack.window_length(k), 0)
        loss, terms = stack.loss(k, batch.agent, batch.action, stack.write(batch.grid), 0.5)
        loss.backward()
        assert all(bool(value.isfinite()) for value in terms.values())
    own = stack.level(0).encoder
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in own.parameters())


def test_it_plans_there(task: str) -> None:
    stack = untrained(task).eval().requires_grad_(False)
    spec = replace(task_spec(task), step_budget=24)
    asked = Evaluation(spec, AgentOptions(budget_tflops=0.004), episodes=2)
    record = evaluate(stack, asked)
    assert record["tasks"] == task_spec(task).kinds[0]
    assert record["tflops_per_episode"] <= 0.004 and record["levels"] == stack.depth
    again = evaluate(stack, replace(asked, episode_batch=1))
    assert again["steps"] == record["steps"] and again["success"] == record["success"]


def test_fit_from_nothing_in_a_continuous_world(tmp_path: Path) -> None:
    task = "hjepa/NestedPoint-d2-v0"
    config = load_preset(str(TINY), [f"task={task}", "train.steps=[3,2,2]"])
    collect(task, tmp_path / "data", **vars(config.collect))
    stack = fit(config, tmp_path / "data", tmp_path / "run", device="cpu", progress=False)
    assert stack.world == World((9, 9), 2, 0, True)
    with pytest.raises(InputError, match="the stack was made for 9x9 grids, 2 continuous actions"):
        make_agent(stack, task_spec("hjepa/NestedRooms-d2-v0"))


def test_door_states_reach_the_latent_and_their_numbers_the_memory() -> None:
    task = "MiniGrid-MultiRoom-N6-v0"
    stack, batch = untrained(task).eval(), sample_episodes(task, episodes=2)
    floor, agent = see(batch.start_observation, stack.world)
    assert agent.shape == (2, 8)
    toggled = agent.clone()
    toggled[:, 3] = 1 - toggled[:, 3]
    with torch.no_grad():
        assert not torch.allclose(
            *[stack.encode(rows[:, None], [None] * 3, upto=1)[0] for rows in (agent, toggled)]
        )
        # The floor plan with two doors exchanged in colour alone is the same plan; their numbers are what counts.
        painted = floor.copy()
        painted[..., 1] = np.where(painted[..., 0] == 4, 5 - painted[..., 1], painted[..., 1])
        first, second = (stack.write(torch.from_numpy(plan))[0] for plan in (floor, painted))
    assert first is not None and second is not None and torch.equal(first, second)


def test_a_key_in_hand_is_seen_and_kept_with_the_checkpoint(tmp_path: Path) -> None:
    stack, batch = untrained(KEYS).eval(), sample_episodes(KEYS, episodes=3)
    assert stack.world == World((9, 9), 7, doors=1, keys=1)
    floor, agent = see(batch.start_observation, stack.world)
    assert (floor == batch.grid).all() and agent[:, 3:].tolist() == [[2, 1]] * 3
    taken = agent.clone()
    taken[:, 4] = 0
    image = compose_image(floor, taken.numpy())
    assert (see({"image": image}, stack.world, floor)[1] == taken).all(), "what does not lie is in hand"
    latents = [stack.encode(rows[:, None], [None] * 3, upto=1)[0] for rows in (agent, taken)]
    assert not torch.allclose(*latents)
    save_stack(stack, tmp_path)
    again = load_stack(tmp_path)
    assert again.world == stack.world
    assert torch.equal(again.encode(taken[:, None], [None] * 3, upto=1)[0], latents[1])


def test_the_steps_left_of_a_watched_walk_count_the_key() -> None:
    trace = watch(untrained(KEYS).eval().requires_grad_(False), KEYS, episodes=2, budget_tflops=0.002)
    for episode in range(2):
        walk = read_walk(trace, episode)
        assert walk.left[0] == walk.shortest == trace.episodes.oracle_steps[episode]
        assert (np.abs(np.diff(walk.left)) <= 2).all() and walk.path.shape[1] == 5


def test_a_checkpoint_from_before_there_were_keys_has_none() -> None:
    assert "keys" not in describe("told-nested-d2")
    stack = load_stack("told-nested-d2")
    assert stack.world.keys == 0 and stack.probe(0).slots == 0
    with pytest.raises(InputError, match=f"{KEYS} has 9x9 grids, 7 discrete actions, 1 doors, 1 keys"):
        make_agent(stack, task_spec(KEYS))


def test_an_agent_in_a_doorway_is_seen_with_the_remembered_floor_plan() -> None:
    task = "MiniGrid-MultiRoom-N6-v0"
    spec = task_spec(task)
    stack, batch = untrained(task).eval().requires_grad_(False), sample_episodes(task, episodes=1)
    agent = Agent(stack, spec.step_budget, AgentOptions(budget_tflops=0.004))
    begun = agent.begin(batch.start_observation, batch.goal_observation, torch.zeros(1, dtype=torch.int64))
    door = np.argwhere(batch.grid[0, ..., 0] == 4)[0]
    standing = batch.start.copy()
    standing[0, :2], standing[0, 3:] = door, 0
    image = compose_image(batch.grid, standing)
    _, seen = see({"image": image}, stack.world, begun.floor)
    assert (
        seen[0, :2].tolist() == door.tolist()
        and (begun.floor[0, ..., 0] == 4).sum() == (batch.grid[0, ..., 0] == 4).sum()
    )
    assert agent.act(begun, {"image": image}).shape == (1,)

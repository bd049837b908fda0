"""Actors: distilled from plans, kept beside weights that stay as they are, followed or drawn from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hjepa.agent.options import AgentOptions
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent
from hjepa.model.actors import ACTOR_DESCRIPTION, RADIUS, LevelPolicy, look_around, make_actors
from hjepa.model.checkpoints import WEIGHTS, file_sha256, load_stack, save_stack
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.training.actor_distillation import distill
from planners.policies import PolicyPlanner
from tasks import collect, task_spec

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"
TASK = "hjepa/NestedRooms-d2-v0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained checkpoint with actors that learned a little."""
    config = load_preset(str(TINY), ["plan.metric=critic"])
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("actors")
    save_stack(Stack(config, world_of(task_spec(TASK))), made, {"task": TASK, "train_seed": 0})
    before = file_sha256(made / WEIGHTS)
    data = made / "data"
    collect(TASK, data, **{name: value for name, value in vars(config.collect).items()})
    stack = distill(str(made), str(data), questions=16, steps=4, hidden=8, progress=False)
    assert len(stack.actors) == stack.depth == 3
    assert not any(part.requires_grad for part in stack.actors.parameters()), "nobody goes on learning in it"
    assert file_sha256(made / WEIGHTS) == before, "the levels stay as they are"
    return made


def test_what_is_distilled_is_read_again_and_acts(folder: Path) -> None:
    stack = load_stack(folder)
    assert len(stack.actors) == 3 and not any(part.requires_grad for part in stack.parameters())
    settings = replace(stack.config.plan, planner="actor", flat={})
    record = evaluate(stack, TASK, levels=3, episodes=4, split="validation", settings=settings)
    again = evaluate(
        load_stack(folder), TASK, levels=3, episodes=4, split="validation", settings=settings, episode_batch=1
    )
    assert record["steps"] == again["steps"] and record["planner"] == "actor"
    agent = make_agent(stack, task_spec(TASK), AgentOptions(3, settings=settings))
    assert all(
        isinstance(level.to_goal, PolicyPlanner) and not level.ground for level in agent.planner.levels
    )
    slow = evaluate(stack, TASK, levels=3, episodes=4, split="validation", budget_tflops=0.001)
    assert record["tflops_per_episode"] < slow["tflops_per_episode"]


def test_candidates_of_actors_fit_the_budget(folder: Path) -> None:
    stack = load_stack(folder)
    settings = replace(stack.config.plan, actor=8, flat={})
    record = evaluate(
        stack, TASK, levels=2, episodes=4, split="validation", settings=settings, budget_tflops=0.0005
    )
    assert 0 < record["tflops_per_episode"] <= 0.0005
    with pytest.raises(InputError, match="plan.actor is 4; give a multiple of 8"):
        load_preset(str(TINY), ["plan.actor=4"])


def test_an_actor_sees_how_the_way_goes_on_around_it(folder: Path) -> None:
    stack = load_stack(folder)
    critic, dim = stack.critic(0), stack.config.levels[0].latent_dim
    latent = torch.randn(2, 5, dim)
    field = torch.arange(81.0).view(9, 9).expand(2, 4, 9, 9).clone()
    seen = look_around(stack, 0, latent, field).view(2, 5, 4, 2 * RADIUS + 1, 2 * RADIUS + 1)
    assert (seen[:, :, :, RADIUS, RADIUS] == 0).all() and seen.abs().max() <= 1
    x, y, _ = (part.argmax(-1) for part in critic._where(latent))
    inner = (y < 8) & (x < 8)
    one = 1 / (4 * RADIUS)
    assert torch.allclose(seen[:, :, 0, RADIUS, RADIUS + 1][inner], torch.tensor(one))
    assert (seen[:, :, 0, RADIUS, RADIUS + 1][y == 8] == 1).all(), "nothing leads over the edge"
    assert not look_around(stack, 0, latent, None).any()


def test_files_that_do_not_belong_are_refused(folder: Path, tmp_path: Path) -> None:
    good = json.loads((folder / ACTOR_DESCRIPTION).read_text())
    for name in ("model.safetensors", "model.json", good["weights"], ACTOR_DESCRIPTION):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    for change, reason in (
        ({"checkpoint_sha256": "0"}, "belongs to other weights"),
        ({"radius": 9}, "no actors of this version"),
        ({"hidden": 9}, "does not fit its description"),
        ({"hidden": 10**9}, "hidden is 1000000000"),
        ({"hidden": "wide"}, "hidden is wide"),
        ({"weights": "../model.safetensors"}, "names the weights"),
        ({"weights": 3}, "names the weights"),
    ):
        (tmp_path / ACTOR_DESCRIPTION).write_text(json.dumps(good | change))
        with pytest.raises(InputError, match=reason):
            load_stack(tmp_path)
    (tmp_path / ACTOR_DESCRIPTION).write_text(json.dumps(good))
    (tmp_path / good["weights"]).write_bytes(b"nothing")
    with pytest.raises(InputError, match="does not have the contents"):
        load_stack(tmp_path)
    (tmp_path / good["weights"]).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        load_stack(tmp_path)
    (tmp_path / ACTOR_DESCRIPTION).write_text("[" * 100_000)
    with pytest.raises(InputError, match="cannot be read"):
        load_stack(tmp_path)


def test_a_stack_without_actors_says_so() -> None:
    stack = Stack(load_preset(str(TINY)), world_of(task_spec(TASK)))
    with pytest.raises(InputError, match="the stack has no actors.*hjepa distill"):
        LevelPolicy(stack, 0)
    assert [part.subgoal is None for part in make_actors(stack, 8)] == [False, False, True]

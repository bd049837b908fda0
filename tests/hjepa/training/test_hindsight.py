"""Actors from data: every lesson is what a trajectory did on the way to where it came, and cloning it gets there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate
from hjepa.model.actors import ACTOR_DESCRIPTION, make_actors
from hjepa.model.checkpoints import load_stack, save_stack
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.training.actor_distillation import _train, distill
from hjepa.training.hindsight import hindsight
from hjepa.training.sources import Pieces
from levels.settings import Sight, World
from tasks import collect, task_spec

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"
TASK = "hjepa/NestedRooms-d2-v0"
WORLD = World((1, 1), 2, sight=Sight("vector", (2,)))
LENGTH, EPISODES = 13, 6


class Line:
    """Episodes of a walker on a line that goes one way, and in the next episode the other: (episode, place) is seen."""

    clip, layouts = LENGTH, EPISODES

    def pieces(self, rng: np.random.Generator, count: int, length: int, layouts: int) -> Pieces:
        episode = rng.integers(0, EPISODES, count)
        rows = episode[:, None] * LENGTH + np.arange(length)
        return Pieces(rows, self.action(rows[:, :-1]))

    def action(self, rows: np.ndarray) -> np.ndarray:
        return rows // LENGTH % 2

    def show(self, rows: np.ndarray) -> np.ndarray:
        episode, moment = rows // LENGTH, rows % LENGTH
        place = np.where(episode % 2, LENGTH - 1 - moment, moment)
        return np.stack([episode, place], -1).astype(np.float32)

    layout = show


def seen_stack() -> Stack:
    torch.manual_seed(0)
    config = load_preset("vector", ["levels.1.stride=3", "levels.0.rollout=4", "plan.horizon=[4,4]"])
    return Stack(config, WORLD).requires_grad_(False)


def rows_of(latent: Tensor, table: Tensor) -> np.ndarray:
    """Numbers of the latents (n, D) in a table (N, D), each of which has to be there."""
    distance = (latent[:, None] - table).abs().amax(-1)
    assert distance.amin(1).max() < 1e-5
    return distance.argmin(1).numpy()


def test_a_lesson_is_what_was_done_on_the_way_to_a_later_moment() -> None:
    stack, source = seen_stack(), Line()
    course = hindsight(stack, source, 64, seed=0, progress=False)  # type: ignore[arg-type]
    assert set(course) == {(0, True), (0, False), (1, True)}
    everything = np.arange(EPISODES * LENGTH)
    tables = [part[0] for part in stack.encode(torch.from_numpy(source.show(everything))[None], [None, None])]
    condition, here, goal, around = course[0, True].inputs
    now, later = rows_of(here, tables[0]), rows_of(goal, tables[0])
    assert (now // LENGTH == later // LENGTH).all() and (later > now).all()
    assert len(now) == 60 * 12 and around.shape == (len(now), 0)
    assert set(later - now) == set(range(1, LENGTH)), "any later moment"
    assert (course[0, True].action.argmax(-1).numpy() == source.action(now)).all()
    assert torch.allclose(condition, stack.level(0).condition(here[None], None)[0], atol=1e-5)
    _, here, target, left = course[0, False].inputs
    now, due = rows_of(here, tables[0]) % LENGTH, rows_of(target, tables[1]) % LENGTH
    assert (due == (now // 3 + 1) * 3).all(), "the end of the stride that it is in"
    assert np.allclose(left.numpy(), (due - now) / 3)
    _, here, goal, _ = course[1, True].inputs
    now, later = rows_of(here, tables[1]), rows_of(goal, tables[1])
    assert (now % LENGTH % 3 == 0).all() and ((later - now) % 3 == 0).all() and (later > now).all()
    chunk = torch.nn.functional.one_hot(torch.from_numpy(source.action(now)), 2).float()
    done = stack.level(1).chunk_encoder(chunk[:, None].expand(-1, 3, -1))
    assert torch.allclose(course[1, True].action, done, atol=1e-5)
    again = hindsight(stack, source, 64, seed=0, progress=False)  # type: ignore[arg-type]
    assert torch.equal(again[0, True].action, course[0, True].action)


def test_a_clone_goes_where_the_goal_is() -> None:
    stack, source = seen_stack(), Line()
    course = hindsight(stack, source, 64, seed=0, progress=False)  # type: ignore[arg-type]
    stack.actors.extend(make_actors(stack, 32)).requires_grad_(True)
    _train(stack, course, 150, 0, "cpu", False)
    place = torch.cartesian_prod(torch.arange(LENGTH), torch.arange(LENGTH))
    place = place[place[:, 0] != place[:, 1]]
    # Episode 2.5 is none of those seen: neither even, which went one way, nor odd.
    seen = torch.stack([torch.full_like(place, 2.5, dtype=torch.float32), place.float()], -1)
    latent = stack.encode(seen, [None, None])[0]
    here, goal = latent[:, :1], latent[:, 1:]
    level, actor = stack.level(0), stack.actor(0)
    chosen = actor.to_goal(level.condition(here, None), here, goal, here[..., :0]).argmax(-1)[:, 0]
    assert ((chosen == 1) == (place[:, 1] < place[:, 0])).float().mean() > 0.9


def test_clones_are_distilled_kept_and_followed(tmp_path: Path) -> None:
    config = load_preset(str(TINY), ["plan.metric=l2", "critic=null"])
    torch.manual_seed(0)
    made, copy, data = tmp_path / "made", str(tmp_path / "copy"), tmp_path / "data"
    made.mkdir()
    save_stack(Stack(config, world_of(task_spec(TASK))), made, {"task": TASK, "train_seed": 0})
    collect(TASK, data, **vars(config.collect))
    distill(str(made), str(data), questions=32, steps=3, hidden=8, progress=False, out=copy, source="data")
    assert json.loads((Path(copy) / ACTOR_DESCRIPTION).read_text())["from"] == "data"
    assert not load_stack(made).actors, "a copy gets them"
    stack = load_stack(copy)
    assert len(stack.actors) == 3
    settings = replace(stack.config.plan, planner="clone", flat={})
    for levels in (1, 3):
        record = evaluate(stack, TASK, levels=levels, episodes=2, split="validation", settings=settings)
        assert record["planner"] == "clone" and record["random_success_rate"] is not None
        took = [steps if won else None for steps, won in zip(record["steps"], record["success"])]
        assert record["steps_to_success"] == took
    with pytest.raises(InputError, match="actors from 'dreams'; choose from plans, data|dreams"):
        distill(str(made), str(data), source="dreams")


def test_a_told_critic_is_not_cloned() -> None:
    stack = Stack(load_preset(str(TINY), ["plan.metric=critic"]), world_of(task_spec(TASK)))
    with pytest.raises(InputError, match="has a critic.*without the critic section"):
        hindsight(stack, Line(), 8, 0, False)  # type: ignore[arg-type]

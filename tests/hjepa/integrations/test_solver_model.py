"""A level as a model of stable-worldmodel's solvers: against a stand-in that calls it as theirs do, and theirs."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.integrations.solver_model import SolverModel, as_model
from hjepa.model.checkpoints import save_stack
from hjepa.model.stack import Stack
from levels.settings import Sight, World

SMALL = ["levels.0.hidden=8", "levels.1.hidden=8", "plan.metric=l2"]


def stack(continuous: bool = True) -> Stack:
    torch.manual_seed(0)
    world = World((1, 1), 2 if continuous else 3, continuous=continuous, sight=Sight("vector", (3,)))
    return Stack(load_preset("vector", SMALL), world).eval().requires_grad_(False)


def seen(count: int = 3) -> dict[str, Tensor]:
    """A problem in each of some environments: arrays (B, 1, ...), as their worlds hold them."""
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(count, 1, 3, generator=generator) for name in ("pixels", "goal")} | {
        "action": torch.zeros(count, 1, 2)
    }


def expanded(info: dict[str, Tensor], samples: int) -> dict[str, Any]:
    """Every entry repeated for S candidates: (B, S, 1, ...)."""
    return {name: value.unsqueeze(1).expand(-1, samples, *value.shape[1:]) for name, value in info.items()}


def search(model: SolverModel, info: dict[str, Tensor], rounds: int = 12, samples: int = 64) -> Tensor:
    """The cross-entropy method, calling the model as their solvers do: (B,) the mean cost of the elites."""
    generator = torch.Generator().manual_seed(2)
    count, held = len(info["pixels"]), expanded(info, samples)
    mean, spread = torch.zeros(count, 4, model.actions), torch.ones(count, 4, model.actions)
    for _ in range(rounds):
        noise = torch.randn(count, samples, 4, model.actions, generator=generator)
        candidates = mean[:, None] + spread[:, None] * noise
        costs = model.get_cost(held, candidates)
        assert costs.shape == (count, samples)
        best, chosen = costs.topk(8, 1, largest=False)
        elite = candidates.gather(1, chosen[..., None, None].expand(-1, -1, *candidates.shape[2:]))
        mean, spread = elite.mean(1), elite.std(1)
    return best.mean(1)


@pytest.mark.parametrize("level", [1, 2])
def test_costs_are_those_of_walking_by_hand(level: int) -> None:
    whole, info = stack(), seen()
    model = SolverModel(whole, level)
    own = whole.level(level - 1)
    candidates = 0.3 * torch.randn(3, 5, 4, model.actions)
    if not own.continuous:
        candidates = candidates.argmax(-1, keepdim=True)
    found = model.get_cost(expanded(info, 5), candidates)
    for row in range(3):
        now, aim = (
            whole.encode(info[name][row : row + 1], [None] * whole.depth)[level - 1][0]
            for name in ("pixels", "goal")
        )
        for sample in range(5):
            latent = now[None]
            for action in candidates[row, sample]:
                taken = torch.eye(model.actions)[action[0]] if not own.continuous else action.clamp(-1, 1)
                latent = own.advance(latent, own.condition(latent, None), taken[None, None])
            assert float(found[row, sample]) == pytest.approx(
                float((latent[0] - aim).square().sum()), rel=1e-4
            )


def test_every_environment_has_a_goal_of_its_own() -> None:
    model, info = SolverModel(stack()), seen()
    same = {
        **info,
        "goal": info["goal"][:1].expand(3, -1, -1),
        "pixels": info["pixels"][:1].expand(3, -1, -1),
    }
    candidates = torch.zeros(3, 2, 2, 2)
    assert len(set(model.get_cost(expanded(info, 2), candidates)[:, 0].tolist())) == 3
    assert len(set(model.get_cost(expanded(same, 2), candidates)[:, 0].tolist())) == 1
    alone = [
        model.get_cost(
            expanded({name: value[row : row + 1] for name, value in info.items()}, 2), candidates[:1]
        )
        for row in range(3)
    ]
    assert torch.allclose(torch.cat(alone), model.get_cost(expanded(info, 2), candidates), rtol=1e-5)


def test_encode_and_rollout_are_enough_for_the_newer_interface() -> None:
    """Their evaluator encodes the goal as if it were seen, rolls out, and compares the last latents by squares."""
    model, info = SolverModel(stack()), seen()
    held = expanded(info, 6)
    goal = {"pixels": held["goal"][:, 0]}
    goal_emb = model.encode(goal)["emb"]
    candidates = torch.rand(3, 6, 4, 2)
    predicted = model.rollout({**held, "goal_emb": goal_emb}, candidates)["predicted_emb"]
    assert goal_emb.shape == (3, 1, 16) or goal_emb.shape[:2] == (3, 1)
    assert predicted.shape == (3, 6, 4, goal_emb.shape[-1])
    cost = (predicted[:, :, -1] - goal_emb).square().sum(-1)
    assert torch.allclose(cost, model.get_cost(expanded(info, 6), candidates), rtol=1e-5)


def test_search_finds_better_and_gradients_arrive() -> None:
    model, info = SolverModel(stack()), seen()
    assert (search(model, info) < search(model, info, rounds=1)).all()
    candidates = torch.zeros(3, 2, 4, 2, requires_grad=True)
    model.get_cost(expanded(info, 2), candidates).sum().backward()
    assert candidates.grad is not None and float(candidates.grad.abs().sum()) > 0


def test_discrete_actions_by_number_and_by_weight() -> None:
    model, info = SolverModel(stack(continuous=False)), seen()
    number = torch.tensor([0, 2, 1, 1]).view(1, 1, 4, 1).expand(3, 2, -1, -1)
    weight = torch.nn.functional.one_hot(number[..., 0], 3) * 2.0 - 0.5
    by_number = model.get_cost(expanded(info, 2), number)
    assert torch.allclose(by_number, model.get_cost(expanded(info, 2), weight), rtol=1e-5)
    weight.requires_grad_()
    model.get_cost(expanded(info, 2), weight).sum().backward()
    assert weight.grad is not None and float(weight.grad.abs().sum()) > 0


def test_what_does_not_fit_is_refused() -> None:
    model, info = SolverModel(stack()), expanded(seen(), 2)
    for changed, candidates, reason in (
        ({"pixels": torch.zeros(3, 2, 1, 5)}, torch.zeros(3, 2, 4, 2), "the stack sees"),
        ({}, torch.zeros(3, 2, 4, 7), "level 1 has 2 numbers"),
    ):
        with pytest.raises(InputError, match=reason):
            model.get_cost({**info, **changed}, candidates)
    with pytest.raises(InputError, match="no entry 'goal'"):
        model.get_cost({"pixels": info["pixels"]}, torch.zeros(3, 2, 4, 2))
    with pytest.raises(InputError, match="level 3 of 2; choose from 1 to 2|level 3 of 2"):
        SolverModel(stack(), 3)
    with pytest.raises(InputError, match="metric imagined"):
        SolverModel(stack(), 1, "imagined")


def test_a_checkpoint_is_a_model(tmp_path: Path) -> None:
    save_stack(stack(), tmp_path, {"task": "their world", "train_seed": 0})
    model = as_model(tmp_path, 1, observation="pixels")
    assert (model.actions, model.span) == (2, 1)
    assert next(model.parameters()).dtype == torch.float32


def their_solver(name: str) -> Any:
    """A solver of theirs, where the package is installed: in whichever of the two places it is."""
    pytest.importorskip("stable_worldmodel")
    for place in ("planning.solver", "solver"):
        with suppress(ImportError, AttributeError):
            return getattr(import_module(f"stable_worldmodel.{place}"), name)
    raise AssertionError(f"stable_worldmodel has no {name}")


def test_their_solver_of_discrete_actions_plans_in_it() -> None:
    model, info = SolverModel(stack(continuous=False)), seen()
    solver = their_solver("CategoricalCEMSolver")(model, batch_size=3, num_samples=64, n_steps=6, topk=8)
    solver.configure(
        action_space=spaces.Discrete(3), n_envs=3, config=SimpleNamespace(horizon=4, action_block=1)
    )
    found = solver.solve(info)["actions"].reshape(3, 1, 4, -1)
    assert (found.unique() < 3).all()
    if found.is_floating_point():
        found = found.long()
    planned = model.get_cost(expanded(info, 1), found)
    every = torch.cartesian_prod(*[torch.arange(3)] * 4)[None, :, :, None].expand(3, -1, -1, -1)
    costs = model.get_cost(expanded(info, 81), every)
    assert (planned[:, 0] <= costs.quantile(0.2, dim=1)).all(), "among the best fifth of all plans there are"


def test_their_solver_plans_in_it() -> None:
    model, info = SolverModel(stack()), seen()
    solver = their_solver("CEMSolver")(model, batch_size=3, num_samples=64, n_steps=12, topk=8)
    space = spaces.Box(-1, 1, (3, 2), np.float32)
    solver.configure(action_space=space, n_envs=3, config=SimpleNamespace(horizon=4, action_block=1))
    found = solver.solve(info)
    assert found["actions"].shape == (3, 4, 2)
    planned = model.get_cost(expanded(info, 1), found["actions"][:, None])
    assert (planned < model.get_cost(expanded(info, 1), torch.zeros(3, 1, 4, 2))).all()

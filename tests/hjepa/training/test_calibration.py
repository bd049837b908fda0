"""Calibration measures what it says, against numpy: distances of a stride, bounds of macro-actions, steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hjepa.checks import QUANTILES
from hjepa.config import load_preset
from hjepa.model.stack import Stack
from hjepa.training.calibration import calibrate
from hjepa.training.sources import SeenSource, open_source
from levels.metrics import commute_metric
from tasks import collect_world, make_world

SEED, TRAJECTORIES, PLANS = 3, 12, 3
SMALL = ["levels.0.hidden=8", "levels.1.hidden=8", "levels.1.macro_dim=3", "levels.1.rollout=2",
         "levels.0.rollout=4", "plan.horizon=[4,2]", "collect.length=9", "plan.walks.lag=2"]  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> SeenSource:
    folder = tmp_path_factory.mktemp("pendulum")
    collect_world(make_world("Pendulum-v1"), folder / "data", "random", episodes=12, length=30, seed=0)
    return open_source(folder / "data", load_preset("vector"))[0]  # type: ignore[return-value]


@pytest.fixture(scope="module")
def stack(source: SeenSource, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    world = open_source(source.path, load_preset("vector"))[1]
    torch.manual_seed(0)
    made = Stack(load_preset("vector", SMALL), world).eval().requires_grad_(False)
    calibrate(made, source, SEED, TRAJECTORIES, PLANS)
    return made


@pytest.fixture(scope="module")
def walked(stack: Stack, source: SeenSource) -> dict[str, np.ndarray]:
    """The trajectories that calibration draws, once more: latents of both levels (the same), and actions."""
    length = (source.clip - 1) // 4 * 4 + 1
    rng = np.random.Generator(np.random.Philox(key=[SEED, 1 << 40]))
    pieces = source.pieces(rng, TRAJECTORIES, length, PLANS)
    seen = torch.from_numpy(source.show(pieces.rows))
    latent = stack.level(0).encode(seen, None)
    actions = torch.from_numpy(pieces.action).unflatten(1, (-1, 4))
    chunk = stack.level(1).chunk_encoder
    assert chunk is not None
    macro = chunk(actions[:, None])
    return {"latent": latent.numpy(), "macro": macro.flatten(0, 2).numpy(), "seen": seen.numpy()}


@pytest.mark.parametrize("level", [0, 1])
def test_distances_of_one_stride(stack: Stack, walked: dict[str, np.ndarray], level: int) -> None:
    latent, span = walked["latent"].astype(np.float64), (1, 4)[level]
    apart = latent[:, span:] - latent[:, :-span]
    commute = getattr(stack, f"commute_{level}").double().numpy()
    for row, lengths in enumerate((apart, apart @ commute)):
        expected = np.quantile((lengths**2).sum(-1), QUANTILES)
        assert stack.stride_distance[row, level].numpy() == pytest.approx(expected, rel=1e-4)
    assert len(set(stack.stride_distance[:, level, 2].tolist())) == 3, "the metrics differ"
    assert stack.stride_quantile("l2", level, 0.75) == float(stack.stride_distance[0, level, 3])


def test_the_imagined_metric_is_calibrated_by_maps_of_each_layout(
    stack: Stack, walked: dict[str, np.ndarray]
) -> None:
    latent = torch.from_numpy(walked["latent"]).unflatten(0, (PLANS, -1))
    found = []
    for plan in latent:  # lag 2 of level 1
        own = commute_metric(plan, 2).double()
        apart = (plan[:, 1:] - plan[:, :-1]).double() @ own
        found.append(apart.square().sum(-1).flatten())
    expected = np.quantile(torch.cat(found).numpy(), QUANTILES)
    assert stack.stride_distance[2, 0].numpy() == pytest.approx(expected, rel=1e-3)


def test_actions_are_bound_to_all_but_two_percent_on_each_side(
    stack: Stack, walked: dict[str, np.ndarray]
) -> None:
    macro = walked["macro"].astype(np.float64)
    assert macro.shape[1] == 3
    low, high = stack.action_low_1.numpy(), stack.action_high_1.numpy()  # type: ignore[operator]
    assert low == pytest.approx(np.quantile(macro, 0.02, axis=0), rel=1e-4)
    assert high == pytest.approx(np.quantile(macro, 0.98, axis=0), rel=1e-4)
    assert (macro < low).mean(0).max() <= 0.04 and (macro.min(0) < low).all(), "tails are cut, and only tails"
    assert stack.action_low_0.tolist() == [-1] and stack.action_high_0.tolist() == [1]  # type: ignore[operator]


def test_the_smallest_steps_are_those_of_moments_that_changed(
    stack: Stack, walked: dict[str, np.ndarray]
) -> None:
    latent = walked["latent"].astype(np.float64)
    steps = ((latent[:, 1:] - latent[:, :-1]) ** 2).sum(-1)
    changed = (walked["seen"][:, 1:] != walked["seen"][:, :-1]).any(-1)
    assert float(stack.step_distance) == pytest.approx(np.quantile(steps[changed], 0.1), rel=1e-4)


def test_calibration_is_a_function_of_its_seed(stack: Stack, source: SeenSource) -> None:
    again, other = (Stack(stack.config, stack.world).eval() for _ in range(2))
    for each in (again, other):
        each.load_state_dict(stack.state_dict())
    calibrate(again, source, SEED, TRAJECTORIES, PLANS)
    calibrate(other, source, SEED + 1, TRAJECTORIES, PLANS)
    assert torch.equal(again.stride_distance, stack.stride_distance)
    assert not torch.equal(other.stride_distance, stack.stride_distance)


def test_plans_of_stochastic_macro_actions_stay_within_their_prior(source: SeenSource) -> None:
    """Bounds are quantiles of draws from the prior along the data, and not of means, which may all be alike."""
    world = open_source(source.path, load_preset("vector"))[1]
    torch.manual_seed(0)
    stochastic = [*SMALL, "levels.1.macro_action=stochastic"]
    made = Stack(load_preset("vector", stochastic), world).eval().requires_grad_(False)
    prior = made.level(1).predictor.prior
    prior.weight.zero_()
    prior.bias.copy_(torch.tensor([3.0, 0.0, -3.0, 0.0, -0.5, -40.0]))
    calibrate(made, source, SEED, 100 * PLANS, PLANS)
    normal = torch.distributions.Normal(0.0, 1.0)
    spread = (1 - 5 * torch.sigmoid(-prior.bias[3:])).exp()
    for bound, share in (("action_low_1", 0.02), ("action_high_1", 0.98)):
        expected = prior.bias[:3] + spread * normal.icdf(torch.tensor(share))
        assert torch.allclose(getattr(made, bound), expected, atol=0.3 * float(spread.max()))
    assert (made.action_high_1 - made.action_low_1)[2] < 0.2

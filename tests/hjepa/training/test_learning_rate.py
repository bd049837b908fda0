"""The learning rate: a warm-up over a tenth of what trains, a cosine to 0, and nothing outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hjepa.config import load_preset
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.training.fit import TrainStack
from tasks import task_spec

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"
PEAKS = (0.5, 0.25, 0.25, 0.125)
"""Of level 1, the levels above and the critics."""


def rates(*overrides: str) -> tuple[list[list[float]], int]:
    """Rates of level 1, 2, 3 and the critics at every step of a training, and how many steps it has."""
    own = ["train.learning_rate=0.5", "train.upper_learning_rate=0.25", "critic.learning_rate=0.125"]
    config = load_preset(str(TINY), ["train.steps=[1000,500,200]", "critic.steps=100", *own, *overrides])
    module = TrainStack(Stack(config, world_of(task_spec(config.task))), config)
    made = module.configure_optimizers()
    groups, schedule = made["optimizer"].param_groups, made["lr_scheduler"]["scheduler"]
    assert [group["initial_lr"] for group in groups] == list(PEAKS)
    assert made["lr_scheduler"]["interval"] == "step"
    steps = 1801 if not overrides else 1101
    return [
        [PEAKS[k] * schedule.lr_lambdas[k](step) for step in range(steps)] for k in range(len(groups))
    ], steps


def test_each_level_warms_up_and_decays_within_its_own_steps() -> None:
    found, _ = rates()
    begins, counts = (0, 1000, 1500, 1700), (1000, 500, 200, 100)
    for k, (begin, count) in enumerate(zip(begins, counts)):
        own = found[k][begin : begin + count]
        # A hundredth of the peak at first, half of it half way up, all of it (less the cosine) after a tenth.
        assert own[0] == pytest.approx(0.01 * PEAKS[k], rel=0.02)
        assert own[count // 20] == pytest.approx(0.51 * 0.9938 * PEAKS[k], rel=1e-3)
        assert own[count // 10] == pytest.approx(0.9755 * PEAKS[k], rel=1e-3)
        assert own[count // 2] == pytest.approx(0.5 * PEAKS[k], rel=1e-3)
        assert 0 < own[-1] < 0.001 * PEAKS[k] or count < 200
        rising = own[: count // 10]
        assert rising == sorted(rising) and own[count // 10 :] == sorted(own[count // 10 :], reverse=True)
        others = found[k][:begin] + found[k][begin + count :]
        assert set(others) == {0.0}, "nothing moves while another level trains"


def test_joint_levels_share_the_longest_schedule_and_critics_come_after() -> None:
    found, steps = rates("train.schedule=joint")
    assert steps == 1101
    for k in range(3):
        assert [rate / PEAKS[k] for rate in found[k]] == pytest.approx([r / PEAKS[0] for r in found[0]])
    assert found[0][500] == pytest.approx(0.25) and found[0][1000] == 0.0
    assert set(found[3][:1000]) == {0.0} and found[3][1000] > 0


def test_the_first_step_of_an_optimiser_is_a_small_one() -> None:
    config = load_preset(str(TINY))
    module = TrainStack(Stack(config, world_of(task_spec(config.task))), config)
    made = module.configure_optimizers()
    weight = next(module.stack.levels[0].parameters())
    before = weight.detach().clone()
    weight.grad = torch.ones_like(weight)
    made["optimizer"].step()
    # Adam's first step is as long as the rate: a tenth of the way up after a thousandth of the training.
    moved = (weight.detach() - before).abs().max()
    assert moved == pytest.approx(0.01 * config.train.learning_rate, rel=0.05)

"""What a level shows of itself while it trains, and the warning when it collapses."""

from __future__ import annotations

import csv
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.model.form import Form
from hjepa.model.stack import Stack
from hjepa.training import module as fitting
from hjepa.training.batches import Batch, draw
from hjepa.training.collapse import LEAST_MOVE, LEAST_SPREAD, CollapseMonitor, CollapseWarning
from hjepa.training.fit import fit
from hjepa.training.signals import SIGNALS, WINDOWS, signals
from hjepa.training.sources import open_source
from levels.costs.field import FieldCost
from tasks import TrajectoryStore, collect

TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryStore:
    settings = load_preset(TINY).collect
    out = tmp_path_factory.mktemp("signals") / "data"
    return collect(
        "hjepa/NestedRooms-d2-v0", out, settings.plans, settings.episodes_per_plan, settings.length, 0
    )


def batch(store: TrajectoryStore, k: int) -> tuple[Stack, Batch, list[torch.Tensor | None]]:
    config = load_preset(TINY, ["levels.0.rollout=9", "train.batch=144", "train.steps=[1,1,1]"])
    source, world = open_source(store.path, config)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stack = Stack(config, world)
    part = draw(source, config, k, stack.window_length(k), 3)
    return stack, part, stack.write(part.grid)


def test_errors_ahead_are_those_of_imagined_steps_in_a_row(store: TrajectoryStore) -> None:
    stack, part, memories = batch(store, 0)
    found = signals(stack, part, memories)
    level = stack.level(0)
    latent = level.encode(part.agent[:, :WINDOWS], memories[0]).detach()
    imagined, error, copied = latent[:, :, 0], {}, {}
    for step in range(1, 10):
        action = torch.eye(stack.world.actions)[part.action[:, :WINDOWS, step - 1].long()]
        imagined = level.advance(imagined, level.condition(imagined, memories[0]), action).detach()
        error[step] = float((imagined - latent[:, :, step]).pow(2).sum())
        copied[step] = float((latent[:, :, 0] - latent[:, :, step]).pow(2).sum())
    for steps in (1, 4, 8):
        assert found[f"ahead_{steps}"] == pytest.approx(error[steps] / copied[steps], rel=1e-4)
    assert set(found) == set(SIGNALS)


def test_a_level_shows_only_what_it_has(store: TrajectoryStore) -> None:
    for k, steps in ((1, {1}), (2, {1})):  # rollouts of 3 and 2 steps
        found = signals(*batch(store, k))
        assert {name for name in found if name.startswith("ahead")} == {f"ahead_{n}" for n in steps}
        assert 0 < found["effective_rank"] <= (6, 4)[k - 1]


@pytest.mark.parametrize("k", [1, 2])
def test_a_level_shows_the_same_where_it_is_given_its_own_moments_alone(
    store: TrajectoryStore, k: int
) -> None:
    stack, part, memories = batch(store, k)
    span = stack.config.spans[k]
    own = replace(part, agent=part.agent[:, :, ::span], form=Form(every=span))
    assert span > 1 and signals(stack, own, memories) == signals(stack, part, memories)


def test_the_error_of_the_probe_is_in_cells(store: TrajectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    stack, part, memories = batch(store, 0)
    seen = part.agent[:, :WINDOWS]
    away = seen[..., :3] + torch.tensor([3, -4, 0])
    monkeypatch.setattr(stack.probe(0), "forward", lambda latent: away)
    assert signals(stack, part, memories)["position_error"] == pytest.approx(5.0)


def test_a_latent_that_does_not_move_cannot_be_copied_worse(store: TrajectoryStore) -> None:
    stack, part, memories = batch(store, 0)
    with torch.no_grad():
        for weight in stack.level(0).encoder.parameters():
            weight.zero_()
    found = signals(stack, part, memories)
    assert found["effective_rank"] == found["spread"] == 0.0 and "ahead_1" not in found


def test_nothing_is_drawn_and_nothing_learns(
    store: TrajectoryStore, tmp_path: Path, monkeypatch: Any
) -> None:
    arguments = {"device": "cpu", "progress": False}
    config = load_preset(TINY, ["train.steps=[4,2,2]", "critic.steps=2"])
    fit(config, store.path, tmp_path / "with", **arguments)
    monkeypatch.setattr(fitting, "signals", lambda *_: {"effective_rank": 6.0, "spread": 1.0})
    fit(config, store.path, tmp_path / "without", **arguments)
    name = "model.safetensors"
    assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    with (tmp_path / "with" / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows[:4]:
        assert all(float(row[name]) >= 0 for name in SIGNALS[:4]), row


def test_the_monitor_warns_once_after_two_readings() -> None:
    monitor, low = CollapseMonitor(), {"effective_rank": 1.25, "spread": 0.5}
    good = {"effective_rank": 9.0, "spread": 0.5}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.look(50, 1, 16, 0.05, low)  # what it begins with
        monitor.look(100, 1, 16, 0.2, low)
        monitor.look(150, 1, 16, 0.3, good)
        monitor.look(200, 1, 16, 0.4, low)
        monitor.look(200, 2, 16, 0.4, low)
    with pytest.warns(
        CollapseWarning, match=r"step 250: the latents of level 1 collapse: effective rank 1\.25 of 16"
    ):
        monitor.look(250, 1, 16, 0.5, low)
    with pytest.warns(CollapseWarning, match=r"level 2 collapse.*spread 0\.01 .*levels\.1\.anti_collapse"):
        monitor.look(250, 2, 16, 0.5, {"effective_rank": 9.0, "spread": LEAST_SPREAD / 5})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.look(300, 1, 16, 0.6, low)


def test_the_monitor_says_once_of_each_critic_that_its_moves_are_all_but_free() -> None:
    monitor = CollapseMonitor()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.look_at_moves(50, 1, 1e-9)
        monitor.look_at_moves(50, 3, 1.0)
        monitor.look_at_moves(100, 1, LEAST_MOVE)  # not below
        monitor.look_at_moves(150, 1, 1e-9)
        monitor.look_at_moves(150, 3, 1e-9)  # the first of this one
    with pytest.warns(CollapseWarning, match=r"step 200: .* level 1's critic cost less than 1e-09 .*learning_rate"):
        monitor.look_at_moves(200, 1, 1e-9)
    with pytest.warns(CollapseWarning, match="level 3's critic"):
        monitor.look_at_moves(200, 3, 1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step, move in ((250, 1.0), (300, 1e-9), (350, 1e-9)):  # come back and gone again
            monitor.look_at_moves(step, 1, move)


def test_training_says_that_a_critics_moves_are_free(
    store: TrajectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs that a step took too far: no gradient reaches them any more."""
    monkeypatch.setattr(FieldCost, "costs", lambda self, picture: self.reader(self.stem(picture)) * 0 + 1e-9)
    changes = [
        "train.steps=[1,1,1]", "critic.steps=20", "train.log_every=5", "train.batch=64", "train.plans=2",
        "critic.plans=2", "critic.trajectories=2", "critic.ahead=0",
        f"collect.plans={store.plans}", f"collect.length={int(store.lengths.max())}",
        "levels.0.rollout=8", "plan.flat={}",
    ]  # fmt: skip
    with pytest.warns(CollapseWarning, match="level 1's critic cost less than 1e-09 steps"):
        fit(load_preset("nested-d2", changes), store.path, tmp_path / "run", device="cpu", progress=False)


def test_training_says_that_a_level_collapses(store: TrajectoryStore, tmp_path: Path) -> None:
    changes = [
        "levels.0.anti_collapse=none", "levels.0.loss.inverse=0", "levels.0.loss.similarity=300",
        "train.steps=[120,1,1]", "critic.steps=1", "train.learning_rate=0.02", "train.log_every=10",
    ]  # fmt: skip
    with pytest.warns(CollapseWarning, match="the latents of level 1 collapse"):
        fit(load_preset(TINY, changes), store.path, tmp_path / "run", device="cpu", progress=False)


def test_parts_that_refuse_leave_nothing_behind(store: TrajectoryStore, tmp_path: Path) -> None:
    config = load_preset(
        TINY, ["levels.0.anti_collapse=contrastive", "levels.0.anti_collapse_with.temperature=-1"]
    )
    with pytest.raises(InputError, match=r"temperature -1.*give a positive number"):
        fit(config, store.path, tmp_path / "run", device="cpu", progress=False)
    assert not list(tmp_path.iterdir())

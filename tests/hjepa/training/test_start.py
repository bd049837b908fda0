"""Levels that begin with the weights of an earlier run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from hjepa.config import RunConfig, load_preset
from hjepa.errors import InputError
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.training.fit import fit
from hjepa.training.start import start_from
from levels.encoders.picture import SETTLED, PictureEncoder
from tasks import collect, task_spec

SEEN = [
    "train.batch=24",
    "train.plans=2",
    "collect.plans=4",
    "collect.episodes_per_plan=2",
    "collect.length=24",
    "critic.steps=2",
    "critic.plans=2",
    "train.metric_trajectories=8",
    "levels.0.rollout=4",
    "levels.1.rollout=2",
    "levels.2.rollout=2",
    "plan.horizon=[4,2,2]",
]


def config(*more: str) -> RunConfig:
    return load_preset("nested-d2", [*SEEN, *more])


def untrained(seed: int, *more: str) -> Stack:
    made = config(*more)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Stack(made, world_of(task_spec(made.task), "symbols"))


def alike(one: nn.Module, other: nn.Module) -> bool:
    theirs = dict(other.named_parameters())
    return all(torch.equal(value, theirs[name]) for name, value in one.named_parameters())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "store"
    made = config()
    collect(made.task, folder, **vars(made.collect))
    return folder


@pytest.fixture(scope="module")
def earlier(data: Path) -> Path:
    out = data.parent / "earlier"
    fit(config("train.steps=[2,1,1]"), data, out, device="cpu", progress=False)
    return out


def test_untrained_levels_stay_and_others_go_on(data: Path, earlier: Path, tmp_path: Path) -> None:
    before = load_stack(earlier)
    made = fit(config("train.steps=[0,2,0]"), data, tmp_path / "run", "cpu", progress=False, start=earlier)
    for k, same in enumerate((True, False, True)):
        weights, old = made.level(k).state_dict(), before.level(k).state_dict()
        assert all(torch.equal(weights[name], old[name]) for name in old) == same
    assert describe(tmp_path / "run")["start_sha256"] == describe(earlier)["sha256"]


def test_a_stack_of_other_upper_levels_begins_with_level_1(data: Path, earlier: Path, tmp_path: Path) -> None:
    wider = config("train.steps=[0,1,1]", "levels.1.codes=40")
    made = fit(wider, data, tmp_path / "run", "cpu", progress=False, start=earlier)
    weights, old = made.level(0).state_dict(), load_stack(earlier).level(0).state_dict()
    assert all(torch.equal(weights[name], old[name]) for name in old)


def test_probes_and_critics_that_fit_come_along() -> None:
    """Level 2 is another one, and with it what is read from it; a stack of pictures has one critic."""
    mine, theirs = (untrained(seed, f"levels.1.codes={codes}") for seed, codes in ((0, 40), (1, 64)))
    assert start_from(mine, theirs, "theirs") == 1
    assert alike(mine.probe(0), theirs.probe(0)) and alike(mine.critic(0), theirs.critic(0))
    assert not alike(mine.probe(1), theirs.probe(1)) and not alike(mine.level(2), theirs.level(2))


def test_a_kept_encoder_sees_as_before_while_the_rest_of_level_1_learns(
    data: Path, earlier: Path, tmp_path: Path
) -> None:
    before = load_stack(earlier).level(0)
    kept = config("train.steps=[3,1,1]", "train.keep_encoder=true")
    made = fit(kept, data, tmp_path / "run", "cpu", progress=False, start=earlier).level(0)
    for part in ("encoder", "predictor", "writer"):
        weights, old = getattr(made, part).state_dict(), getattr(before, part).state_dict()
        assert all(torch.equal(weights[name], old[name]) for name in old) == (part == "encoder")


def test_a_level_1_of_other_parts_begins_with_the_eyes_alone(
    data: Path, earlier: Path, tmp_path: Path
) -> None:
    before = load_stack(earlier).level(0)
    kept = config(
        "train.steps=[3,1,1]", "train.keep_encoder=true", "levels.0.head=48", "levels.0.absolute=true"
    )
    made = fit(kept, data, tmp_path / "run", "cpu", progress=False, start=earlier).level(0)
    weights, old = made.encoder.state_dict(), before.encoder.state_dict()
    assert all(torch.equal(weights[name], old[name]) for name in old)
    assert made.settings.head == 48
    with pytest.raises(InputError, match="leaves level 1 untrained"):
        fit(
            config("train.steps=[0,1,1]", "levels.0.head=48"),
            data,
            tmp_path / "b",
            "cpu",
            progress=False,
            start=earlier,
        )


def test_who_has_learned_to_see_looks_sharply(data: Path, earlier: Path) -> None:
    encoder = load_stack(earlier).level(0).encoder
    assert isinstance(encoder, PictureEncoder)
    assert float(encoder.sharpness) == SETTLED


def test_what_cannot_begin_so_is_refused(data: Path, earlier: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leaves a level untrained.*--start RUN"):
        fit(config("train.steps=[0,1,1]"), data, tmp_path / "a", "cpu", progress=False)
    with pytest.raises(InputError, match="start .* has an encoder of other parts"):
        other = config("train.steps=[0,1,1]", "levels.0.hidden=96")
        fit(other, data, tmp_path / "b", "cpu", progress=False, start=earlier)
    with pytest.raises(InputError, match="leaves level 2 untrained"):
        other = config("train.steps=[0,0,1]", "levels.1.codes=40")
        fit(other, data, tmp_path / "c", "cpu", progress=False, start=earlier)
    with pytest.raises(InputError, match="train.keep_encoder without a run to begin with"):
        fit(config("train.keep_encoder=true"), data, tmp_path / "d", "cpu", progress=False)
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_only_from_the_same_start(data: Path, earlier: Path, tmp_path: Path) -> None:
    again = config("train.steps=[1,1,1]")
    fit(again, data, tmp_path / "run", "cpu", progress=False, start=earlier)
    fit(again, data, tmp_path / "run", "cpu", progress=False, start=earlier)  # loads what is there
    with pytest.raises(InputError, match="another configuration or data"):
        fit(replace(again), data, tmp_path / "run", "cpu", progress=False)


def test_what_a_kept_encoder_is_normalised_by_comes_along(data: Path, tmp_path: Path) -> None:
    own = [f"levels.{k}.memory=null" for k in range(3)] + ["levels.0.normalize=true", "plan.metric=l2"]
    flat = replace(config(*own, "train.steps=[2,1,1]"), critic=None)
    before = fit(flat, data, tmp_path / "run", "cpu", progress=False).level(0)
    kept = replace(flat, train=replace(flat.train, keep_encoder=True, steps=(2, 1, 1)))
    kept = replace(kept, levels=(replace(kept.levels[0], head=48), *kept.levels[1:]))
    made = fit(kept, data, tmp_path / "other", "cpu", progress=False, start=tmp_path / "run").level(0)
    assert made.normal is not None and before.normal is not None
    assert before.normal.mean.abs().min() > 0
    assert torch.equal(made.normal.mean, before.normal.mean)
    assert torch.equal(made.normal.variance, before.normal.variance)


def test_eyes_that_look_into_patches_begin_with_those_that_do_not() -> None:
    def seen(fine: bool, *more: str) -> Stack:
        made = load_preset("nested-point-d3", [f"levels.0.fine={str(fine).lower()}", *more])
        return Stack(made, world_of(task_spec(made.task), "image"))

    learns = "train.keep_encoder=false"
    fine, coarse = seen(True, learns), seen(False)
    assert start_from(fine, coarse, "coarse") == fine.depth
    assert alike(coarse.level(0).encoder, fine.level(0).encoder)
    assert start_from(seen(True), fine, "fine") == fine.depth, "what was learned may be kept"
    with pytest.raises(InputError, match="encoder of other parts"):
        start_from(seen(False), fine, "fine")
    with pytest.raises(InputError, match="look into them would never be learned"):
        start_from(seen(True), coarse, "coarse")
    with pytest.raises(InputError, match="shift is 1.0 with train.keep_encoder, so nothing would learn"):
        seen(True, "levels.0.loss.shift=1")

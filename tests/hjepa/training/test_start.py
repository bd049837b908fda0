"""Levels that begin with the weights of an earlier run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hjepa.config import RunConfig, load_preset
from hjepa.errors import InputError
from hjepa.model.checkpoints import describe, load_stack
from hjepa.training.fit import fit
from levels.encoders.picture import SETTLED, PictureEncoder
from tasks import collect

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

"""Runs of masked prediction: reproducible, resumable to the bit, read by probes, and level 1 of a stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.masked_reading import MaskedReading, against_control, reached_at, read_masked
from hjepa.json_files import read_json
from hjepa.model.checkpoints import load_stack
from hjepa.training.clips import draw_clips
from hjepa.training.fit import fit
from hjepa.training.masked_fit import MaskedRun, TrainMasked, fit_masked, load_encoder, snapshots
from hjepa.training.masked_start import masked_start
from levels.encoders.masked_picture import FrozenStem
from levels.masked import MaskedSettings
from tasks import TrajectoryStore, collect
from tasks.rendering import render_frames

SMALL = MaskedSettings(frames=2, width=16, depth=1, heads=2, predictor_width=8, predictor_depth=1)
RUN = MaskedRun(SMALL, steps=4, batch=2, snapshot_every=2, checkpoint_every=2, log_every=1)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("masked")
    for split in ("train", "test"):
        collect("hjepa/NestedRooms-d2-v0", folder / split, 2, 4, 24, 0, split=split)
    return [folder / "train", folder / "test"]


def test_a_killed_run_goes_on_to_the_same_bits(
    stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_rng_state()
    whole = fit_masked(RUN, stores[0], tmp_path / "whole", "cpu", progress=False)
    assert torch.equal(torch.get_rng_state(), before), "the random state is the caller's"
    step = TrainMasked.training_step

    def killed(self: TrainMasked, batch: Any, batch_idx: int) -> Any:
        if self.global_step == 3:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(TrainMasked, "training_step", killed)
        fit_masked(RUN, stores[0], tmp_path / "again", "cpu", progress=False)
    with pytest.raises(InputError, match="unfinished run of other settings"):
        fit_masked(replace(RUN, seed=1), stores[0], tmp_path / "again", "cpu", progress=False)
    again = fit_masked(RUN, stores[0], tmp_path / "again", "cpu", progress=False)
    assert list(snapshots(whole)) == [0, 2, 4]
    for number, file in snapshots(whole).items():
        one, other = load_file(file), load_file(snapshots(again)[number])
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert read_json(whole / "masked.json") == read_json(again / "masked.json")
    assert [row[0] for row in read_json(whole / "masked.json")["losses"]] == [1, 2, 3, 4]
    assert sorted(file.name for file in again.iterdir()) == [
        "encoder-000000.safetensors", "encoder-000002.safetensors", "encoder-000004.safetensors", "masked.json",
    ]  # fmt: skip
    with pytest.raises(InputError, match="holds something else"):
        fit_masked(replace(RUN, seed=1), stores[0], whole, "cpu", progress=False)
    assert not all(
        torch.equal(a, b)
        for a, b in zip(load_encoder(whole, 0).parameters(), load_encoder(whole).parameters())
    )

    found = read_masked(whole, *stores, labels=(4, 16), asked=8, steps=5, at=(0, 4))
    assert {(r.step, r.labels) for r in found} == {(0, 4), (0, 16), (4, 4), (4, 16)}
    assert {"position", "heading", "quadrant", "passages", "dimming", "flicker"} == {r.fact for r in found}
    with pytest.raises(InputError, match="another split"):
        read_masked(whole, stores[0], stores[0])


def test_clips_are_the_worlds_pictures_moment_after_moment(stores: list[Path]) -> None:
    store = TrajectoryStore.open(stores[0])
    clips = draw_clips(store, np.random.default_rng(0), 5, 3, flicker=0, drift=0)
    assert (np.diff(clips.rows) == 1).all()
    for n, t in ((0, 0), (4, 2)):
        row = clips.rows[n, t]
        drawn = render_frames(store.grids[store.grid_index[[row]]], store.agent[[row]])
        assert (clips.frames[n, t] == drawn[0]).all()


def test_textures_can_be_left_out_and_are_never_less_than_nothing() -> None:
    plain = MaskedRun(flicker=0, drift=0)
    assert (plain.flicker, plain.drift) == (0, 0)
    for name in ("flicker", "drift"):
        with pytest.raises(ValueError, match=f"masked run {name} is -1; give a number from 0 to 255"):
            MaskedRun(**{name: -1})  # type: ignore[arg-type]


def test_a_trained_encoder_is_level_1_of_a_stack_and_stays_as_it_is(
    stores: list[Path], tmp_path: Path
) -> None:
    run = fit_masked(RUN_OF_DEFAULTS, stores[0], tmp_path / "masked", "cpu", progress=False)
    config = load_preset("nested-d2-images", TINY)
    before = torch.get_rng_state()
    masked_start(config, run, tmp_path / "start")
    assert torch.equal(torch.get_rng_state(), before), "the random state is the caller's"
    fit(config, stores[0], tmp_path / "run", "cpu", progress=False, start=tmp_path / "start")
    stem = load_stack(tmp_path / "run").level(0).encoder.stem
    assert isinstance(stem, FrozenStem)
    trained = load_encoder(run).state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in stem.frozen.state_dict().items())
    begun = load_stack(tmp_path / "start").level(0).encoder.stem
    assert not torch.equal(stem.inner.weight, begun.inner.weight)  # type: ignore[union-attr,arg-type]
    with pytest.raises(InputError, match="levels.0.encoder=masked"):
        masked_start(load_preset("nested-d2-images"), run, tmp_path / "other")


RUN_OF_DEFAULTS = MaskedRun(steps=1, batch=1, snapshot_every=1, checkpoint_every=1)
TINY = [
    "levels.0.encoder=masked", "train.batch=16", "train.plans=2", "critic.steps=1", "critic.plans=1",
    "critic.trajectories=2", "train.metric_trajectories=2", "levels.0.rollout=4", "levels.1.rollout=2",
    "levels.2.rollout=2", "plan.horizon=[4,2,2]", "train.steps=[1,1,1]", "collect.length=24",
]  # fmt: skip


def test_curves_are_compared_where_they_reach_the_controls_score() -> None:
    assert reached_at([0, 100, 200], [0.1, 0.3, 0.7], 0.5) == pytest.approx(150)
    assert reached_at([0, 100], [0.5, 0.7], 0.5) == 0
    assert reached_at([0, 100], [0.1, 0.3], 0.5) is None

    def curve(scores: dict[int, float]) -> list[MaskedReading]:
        few = [MaskedReading(step, "room", 10, score / 2, 0.1) for step, score in scores.items()]
        return few + [MaskedReading(step, "room", 100, score, 0.1) for step, score in scores.items()]

    found = against_control(curve({0: 0.0, 10: 0.8, 20: 1.0}), curve({0: 0.0, 10: 0.2, 20: 0.4}), "room")
    assert found["bar"] == 0.4
    assert found["steps"] == [pytest.approx(5), pytest.approx(20)]
    assert found["steps_ratio"] == pytest.approx(4)
    assert found["labels"] == [10, 100]
    assert found["labels_ratio"] == 10
    never = against_control(curve({0: 0.0, 10: 0.1}), curve({0: 0.0, 10: 0.5}), "room")
    assert never["steps_ratio"] is None

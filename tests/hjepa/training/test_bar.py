"""The bar of a training says how far it is, also of one that goes on, and nothing else is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lightning.pytorch.callbacks import Callback

from hjepa.config import load_preset
from hjepa.training import bar as bars
from hjepa.training.fit import fit
from tasks import collect

TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")


class Stop(Callback):
    def on_train_batch_end(self, trainer: object, *others: object) -> None:
        if trainer.global_step == 5:  # type: ignore[attr-defined]
            raise RuntimeError("killed")


def test_a_bar_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made, Real = [], bars.tqdm

    def tqdm(**words: object) -> object:
        made.append(words)
        return Real(**{**words, "mininterval": 0.0})

    monkeypatch.setattr(bars, "tqdm", tqdm)
    config = load_preset(
        TINY, ["train.steps=[6,3,3]", "critic.steps=2", "train.checkpoint_every=2", "train.log_every=1"]
    )
    asked = config.collect
    collect(config.task, tmp_path / "data", asked.plans, asked.episodes_per_plan, asked.length, asked.seed)
    monkeypatch.setitem(__import__("sys").modules, "stopping", __import__(__name__, fromlist=["Stop"]))
    with pytest.raises(RuntimeError, match="killed"):
        fit(config, tmp_path / "data", tmp_path / "run", device="cpu", callbacks=["stopping:Stop"])
    capfd.readouterr()
    fit(config, tmp_path / "data", tmp_path / "run", device="cpu")
    assert [(words["total"], words["initial"]) for words in made] == [(14, 0), (14, 4)]
    out, err = capfd.readouterr()
    assert not out
    lines = [line for line in re.split(r"[\r\n]+", err) if line.strip()]
    assert all(
        line.startswith("training: ") or "CollapseWarning" in line or "monitor.look" in line for line in lines
    )
    assert any(re.search(r" 14/14 .*level=critic, loss=[\d.e+-]+", line) for line in lines)
    assert any(re.search(r"level=1, loss=[\d.e+-]+, probe_off_by=[\d.]+", line) for line in lines)

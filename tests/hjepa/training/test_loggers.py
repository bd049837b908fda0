"""Loggers of other programs get the numbers of metrics.csv, inside the run folder."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import pytest
from lightning.pytorch.loggers.logger import DummyLogger

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.training import fit as fitting
from hjepa.training import loggers
from hjepa.training.fit import fit
from tasks import collect

TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_package_that_is_not_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda package: None)
    with pytest.raises(InputError, match=f"needs the package {name}; pip install {name}"):
        fit(load_preset(TINY), tmp_path / "no data yet", tmp_path / "run", logger=name)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="logger 'mlflow'; choose from tensorboard, wandb"):
        loggers.check_logger("mlflow")


def trained(tmp_path: Path, logger: str) -> list[dict[str, str]]:
    """Rows of the table of a run with a logger."""
    config = load_preset(TINY, ["train.steps=[4,2,2]", "critic.steps=2"])
    data = config.collect
    collect(config.task, tmp_path / "data", data.plans, data.episodes_per_plan, data.length, data.seed)
    fit(config, tmp_path / "data", tmp_path / "run", device="cpu", progress=False, logger=logger)
    assert not (tmp_path / "run.partial").exists()
    with (tmp_path / "run" / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_any_logger_gets_the_table_of_levels_and_critics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: dict[tuple[int, str], float] = {}

    class Kept(DummyLogger):
        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            assert step is not None
            got.update({(step, name): value for name, value in metrics.items()})

    monkeypatch.setattr(fitting, "check_logger", lambda name: None)
    monkeypatch.setattr(fitting, "make_logger", lambda name, folder, run: Kept())
    rows = trained(tmp_path, "kept")
    held = {
        (int(row["step"]), f"level_{row['level']}/{name}"): float(value)
        for row in rows
        for name, value in row.items()
        if value and name not in ("step", "level")
    }
    assert got == pytest.approx(held, rel=1e-5, abs=1e-7)
    # Levels train one after another, and the critics of their latents last; every second step is kept.
    assert [(row["step"], row["level"]) for row in rows] == [
        ("2", "1"), ("4", "1"), ("6", "2"), ("8", "3"), ("10", "1"), ("10", "2"), ("10", "3"),
    ]  # fmt: skip
    assert all(float(row["critic"]) > 0 for row in rows[-3:])


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
def test_tensorboard_holds_the_table(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = trained(tmp_path, "tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for row in rows:
        for name, value in row.items():
            if value and name not in ("step", "level"):
                points = {point.step: point.value for point in events.Scalars(f"level_{row['level']}/{name}")}
                assert points[int(row["step"])] == pytest.approx(float(value), rel=1e-5, abs=1e-7)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("wandb") is None, reason="needs wandb")
def test_weights_and_biases_gets_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    trained(tmp_path, "wandb")
    written = list((tmp_path / "run" / "wandb").rglob("*.wandb"))
    assert len(written) == 1 and b"level_1/effective_rank" in written[0].read_bytes()

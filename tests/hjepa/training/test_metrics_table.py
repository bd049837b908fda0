"""metrics.csv: terms that nobody knew of before get a column of their own, and a kill loses no whole row."""

from __future__ import annotations

import csv
from pathlib import Path

from hjepa.figures.training import read_metrics
from hjepa.training.progress import COLUMNS, append_metrics, drop_metrics


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_new_term_gets_a_column_behind_the_others(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    append_metrics(file, [{"step": 50, "level": 1, "loss": 1.5, "prediction": 0.5}])
    append_metrics(file, [{"step": 100, "level": 1, "loss": 1.0, "novelty": 0.25, "prediction": 0.4}])
    append_metrics(file, [{"step": 150, "level": 2, "loss": 0.5}])
    assert file.read_text().splitlines()[0] == ",".join([*COLUMNS, "novelty"])
    assert [row["novelty"] for row in rows(file)] == ["", "0.25", ""]
    assert [row["prediction"] for row in rows(file)] == ["0.5", "0.4", ""]
    assert [row["step"] for row in rows(file)] == ["50", "100", "150"]
    steps, values = read_metrics(file)[1, "novelty"]
    assert steps.tolist() == [100] and values.tolist() == [0.25]


def test_a_run_that_goes_on_keeps_the_columns_and_drops_what_a_kill_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    append_metrics(file, [{"step": 50, "level": 1, "loss": 1.0, "novelty": 0.5}])
    append_metrics(file, [{"step": 100, "level": 1, "loss": 1.0, "novelty": 0.25}])
    whole = file.read_text()
    file.write_text(whole[: len(whole) - 6])
    drop_metrics(file, 100)
    assert [row["step"] for row in rows(file)] == ["50"]
    drop_metrics(file, 0)
    assert file.read_text().splitlines() == [",".join(COLUMNS)]


def test_a_header_that_a_kill_cut_off_is_written_anew(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,level,lo")
    append_metrics(file, [{"step": 50, "level": 1, "loss": 1.0}])
    assert [row["loss"] for row in rows(file)] == ["1.0"]


def test_a_table_with_fewer_columns_than_today_is_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,level,loss,prediction\r\n50,1,1.5,0.5\r\n")
    drop_metrics(file, 50)
    append_metrics(file, [{"step": 100, "level": 1, "loss": 1.0, "barlow": 0.25}])
    assert [(row["step"], row["prediction"], row["barlow"]) for row in rows(file)] == [
        ("50", "0.5", ""),
        ("100", "", "0.25"),
    ]

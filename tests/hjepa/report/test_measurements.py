"""Numbers in files of measurements: found by the steps that lead to them, held to bars, compared with texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hjepa.cli import main
from hjepa.errors import InputError
from hjepa.report.claims import Claim
from hjepa.report.measurements import number_at

ROWS: list[dict[str, Any]] = [
    {"work": "planning 64 episodes at once", "ratio": 3.0, "least": 2.5, "most": 4.0, "ours": 0.4},
    {"work": "planning alone", "ratio": None, "met": True, "parts": [{"ms": 1, "interval": [0.5, 1.5]}]},
]


@pytest.mark.parametrize(
    ("named", "value", "interval"),
    [
        ("planning 64 > ratio", 3.0, (2.5, 4.0)),
        ("planning 64 episodes at once > ours", 0.4, None),
        ("#2 > parts > #1 > ms", 1.0, (0.5, 1.5)),
    ],
)
def test_a_number_is_found_with_its_interval(
    named: str, value: float, interval: tuple[float, float] | None
) -> None:
    found = number_at(ROWS, named, "here")
    assert (found.value, found.interval) == (value, interval)
    assert found.beside == ({"ours": 0.4} if "planning" in named else {})


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "planning > ratio",
            "here: 2 entries have a text that begins 'planning'; name the one that is meant",
        ),
        ("plan 64 > ratio", "0 entries"),
        ("#3 > ratio", "entry 3 of 2; count from 1"),
        ("#0 > ratio", "entry 0 of 2"),
        ("#1 > ration", "no 'ration' there; did you mean ratio"),
        ("#2 > ratio", "is null; name a number"),
        ("#2 > met", "is True; name a number"),
        ("#1 > ratio > more", "'more' of 3.0; name fewer steps"),
        ("#1", "name a number"),
    ],
)
def test_a_place_that_is_no_number_is_refused(named: str, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        number_at(ROWS, named, "here")


def test_a_measurement_has_no_records() -> None:
    given: dict[str, Any] = {
        "part": "speed",
        "task": "any",
        "metric": "measurement",
        "results_file": "bench.json",
        "command": "hjepa bench",
    }
    assert Claim(**given, filter={}, of="#1 > ratio").words() == "#1 > ratio"
    with pytest.raises(InputError, match="it is one number"):
        Claim(**given, filter={"seed": 0}, of="#1 > ratio")
    with pytest.raises(InputError, match="it is one number"):
        Claim(**given, filter={}, of="#1 > ratio", control={"levels": 1})
    with pytest.raises(InputError, match="without a field"):
        Claim(**given, filter={})


@pytest.mark.parametrize(("printed", "code"), [("3.0 (2.5 to 4)", 0), ("3.1 (2.5 to 4)", 1)])
def test_what_a_card_prints_is_compared(
    printed: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "published" / "speed"
    folder.mkdir(parents=True)
    (folder / "bench.json").write_text(json.dumps(ROWS))
    (folder / "card.md").write_text(f"Together, in 0.40 s, it is {printed} times faster.")
    (folder / "claims.yaml").write_text(
        "- {part: speed, task: any, metric: measurement, results_file: bench.json, filter: {}, command: hjepa bench,\n"
        "   of: 'planning 64 > ratio', bar: '>= 8',\n"
        "   stated: {card.md: 'in {ours} s, it is {value} ({low} to {high}) times'}}\n"
    )
    assert main(["claims", "--cards", str(folder.parent), "--json", str(tmp_path / "found.json")]) == code
    (found,) = json.loads((tmp_path / "found.json").read_text())
    assert (found["value"], found["interval"], found["met"]) == (3.0, [2.5, 4.0], False)
    assert ("states value 3.1" in capsys.readouterr().err) == (code == 1)

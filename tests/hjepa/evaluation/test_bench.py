"""What `hjepa bench plan` says: medians with their spread, ratios beside their floor, and no padding alone."""

from __future__ import annotations

import json

import pytest

import hjepa.evaluation.bench as benching
from hjepa.errors import InputError
from hjepa.json_files import plain


def test_the_measurements_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, played = [], benching.play

    def play(agent: object, spec: object, batch: object, first: int, seed: int) -> object:
        sizes.append((agent.planner.block, len(batch.start)))  # type: ignore[attr-defined]
        return played(agent, spec, batch, first, seed)  # type: ignore[arg-type]

    monkeypatch.setattr(benching, "play", play)
    found = json.loads(json.dumps(plain(benching.bench("nested-d2", "cpu", episodes=2, repeats=2))))
    for name in ("seconds_per_episode", "seconds_per_episode_alone", "speedup", "plan_ms"):
        assert 0 < found[name]["least"] <= found[name]["median"] <= found[name]["most"]
    assert found["speedup_floor"] == benching.FLOOR and found["clock"] == "cpu"
    assert (found["episodes"], found["repeats"], found["levels"]) == (2, 2, 3)
    assert sizes[1:] == [(16, 2), (1, 1), (1, 1)] * 2, "by turns, and nobody is padded alone"


def test_spread_is_of_all_values() -> None:
    assert benching.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "least": 1.0, "most": 3.0}


@pytest.mark.parametrize(
    ("words", "message"),
    [({"precision": "bf16"}, "32 bits"), ({"repeats": 0}, "0 repeats"), ({"episodes": 0}, "0 episodes")],
)
def test_what_cannot_be_measured_is_refused(words: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        benching.bench("nested-d2", "cpu", **words)  # type: ignore[arg-type]

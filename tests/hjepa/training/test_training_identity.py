"""What counts as the same run when a folder is found."""

from __future__ import annotations

from typing import Any

from hjepa.config import load_preset, to_plain
from hjepa.training.progress import same_run


def test_a_setting_that_came_later_does_not_orphan_a_run() -> None:
    def identity() -> dict[str, Any]:
        return {"config": to_plain(load_preset("told-demo")), "data_sha256": "a" * 64}

    older = identity()
    del older["config"]["plan"]["max_milliseconds"]
    assert same_run(older, identity())
    other = identity()
    other["config"]["train"]["seed"] = 1
    assert not same_run(other, identity())
    assert not same_run({**identity(), "data_sha256": "b" * 64}, identity())
    assert not same_run({}, identity())

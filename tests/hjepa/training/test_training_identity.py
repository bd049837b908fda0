"""What counts as the same run when a folder is found."""

from __future__ import annotations

from typing import Any

from hjepa.config import load_preset, to_plain
from hjepa.training.fit import _same


def test_a_setting_that_came_later_does_not_orphan_a_run() -> None:
    def identity() -> dict[str, Any]:
        return {"config": to_plain(load_preset("demo")), "data_sha256": "a" * 64}

    older = identity()
    del older["config"]["plan"]["max_milliseconds"]
    assert _same(older, identity())
    other = identity()
    other["config"]["train"]["seed"] = 1
    assert not _same(other, identity())
    assert not _same({**identity(), "data_sha256": "b" * 64}, identity())
    assert not _same({}, identity())

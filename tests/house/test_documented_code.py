"""Code on pages that says it is run by a test is run here, block after block as a reader would."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import levels
import planners

sys.path.insert(0, str(Path(__file__).parent))
from documented import FENCE, ROOT


def test_parts_by_themselves_do_what_their_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "parts.md").read_text(encoding="utf-8")
    blocks = [block for language, block in FENCE.findall(page) if language == "python"]
    names: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(blocks[0], names)
    assert float(names["plan"].cost) < 0.05, "the point comes to the goal and stays"
    for block in blocks[1:]:
        exec(block, names)
    assert names["plan"].actions.shape == (1, 5, 2)
    assert "torch.Size([1, 5, 2])" in capsys.readouterr().out
    assert all(len(block.splitlines()) < 40 for block in blocks)


@pytest.mark.parametrize("package", [planners, levels])
def test_packages_export_what_they_name(package: Any) -> None:
    assert sorted(package._HOMES) == package.__all__
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'dreams'"):
        package.dreams  # noqa: B018

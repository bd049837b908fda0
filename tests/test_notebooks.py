"""Notebooks come in pairs: the .ipynb that people read holds exactly the cells of the .py that we edit."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_and_its_source_say_the_same(source: Path) -> None:
    written = jupytext.read(source)
    shown = jupytext.read(source.with_suffix(".ipynb"))
    cells = [[(cell.cell_type, cell.source) for cell in book.cells] for book in (written, shown)]
    assert cells[0] == cells[1], f"run: jupytext --to ipynb --execute {source.name}"


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_with_its_outputs(source: Path) -> None:
    code = [cell for cell in jupytext.read(source.with_suffix(".ipynb")).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert source.with_suffix(".ipynb").stat().st_size < 5e6

"""Notebooks come in pairs: the .ipynb that people read holds exactly the cells of the .py that we edit."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_and_its_source_say_the_same(notebook: Path) -> None:
    written = jupytext.read(notebook.with_suffix(".py"))
    shown = jupytext.read(notebook)
    cells = [[(cell.cell_type, cell.source) for cell in book.cells] for book in (written, shown)]
    assert cells[0] == cells[1], (
        f"run: jupytext --to ipynb notebooks/{notebook.stem}.py, then ./run test --notebooks --overwrite"
    )


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_with_its_outputs(notebook: Path) -> None:
    code = [cell for cell in jupytext.read(notebook).cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert notebook.stat().st_size < 5e6

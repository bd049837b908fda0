"""Trainings side by side, what levels know, what is hidden of a clip, and what surprises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from hjepa.errors import InputError
from hjepa.evaluation.surprise import Noticed
from hjepa.figures.learning import (
    GREY,
    WAYS,
    collapse_curves,
    facts_by_level,
    grey_patches,
    noticed_map,
    surprise_along,
)
from levels.anti_collapse.kinds import KINDS
from levels.masked import patches_of

PUBLISHED = Path(__file__).parents[3] / "hjepa" / "published" / "learning"


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    """Two runs of three logged steps."""
    found = {}
    for name, spread in (("none", 0.01), ("sigreg x2", 0.9)):
        found[name] = tmp_path / name
        found[name].mkdir()
        lines = [f"{step},1,{spread / step},{step / 10},{1 / step}" for step in (10, 20, 30)]
        (found[name] / "metrics.csv").write_text(
            "\n".join(["step,level,spread,effective_rank,position_error", *lines]) + "\n"
        )
    return found


def test_every_way_has_a_look_of_its_own() -> None:
    assert set(WAYS) == set(KINDS.ours)
    for looks in zip(*WAYS.values()):
        assert len(set(looks)) == len(looks)


def test_curves_are_those_of_the_runs(runs: dict[str, Path]) -> None:
    figure = collapse_curves(runs, latent_dim=16, open_marks=["sigreg x2"])
    spread, rank, error = figure.axes
    assert spread.get_yscale() == "log" and rank.get_ylim()[1] > 16
    for panel, first in ((spread, 0.9 / 10), (rank, 1.0), (error, 0.1)):
        (line,) = [one for one in panel.lines if one.get_gid() == "sigreg x2"]
        assert line.get_xdata().tolist() == [10, 20, 30] and line.get_ydata()[0] == pytest.approx(first)
        assert line.get_markerfacecolor() == "white"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(runs)


def test_curves_refuse_what_cannot_be_drawn(runs: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="ways none"):
        collapse_curves({}, latent_dim=16)
    with pytest.raises(InputError, match="ways whitening"):
        collapse_curves({"whitening": runs["none"]}, latent_dim=16)
    (runs["none"] / "metrics.csv").write_text("step,level,spread\n10,1,0.5\n")
    with pytest.raises(InputError, match="has no effective_rank"):
        collapse_curves({"none": runs["none"]}, latent_dim=16)


def test_facts_stand_where_they_were_measured() -> None:
    levels = json.loads((PUBLISHED / "levels-nested-d2.json").read_text())[0]["levels"]
    panels = list(Figure().subplots(1, 4))
    facts_by_level(panels, levels)
    for panel in panels:
        facts = [level["facts"][panel.get_title()] for level in levels]
        for name in ("read", "imagined", "unchanged"):
            drawn = [line.get_ydata()[0] for line in panel.lines if line.get_gid() == name]
            assert drawn == [pytest.approx(100 * fact[name]) for fact in facts]
    with pytest.raises(InputError, match="4 facts, 3 panels"):
        facts_by_level(panels[:3], levels)


def test_what_is_hidden_is_grey_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 200, (2, 12, 8, 3), dtype=np.uint8)  # never as bright as what is hidden
    hidden = rng.random(2 * 3 * 2) < 0.5
    shown, clip = (
        patches_of(torch.from_numpy(each)[None], 4)[0]
        for each in (grey_patches(frames, hidden, 4), frames)
    )  # fmt: skip
    assert torch.equal(shown[~hidden], clip[~hidden])
    assert bool((shown[hidden] == torch.tensor(GREY) / 255 - 0.5).all())


def test_surprise_stands_at_the_steps_of_its_level() -> None:
    axes = Figure().add_subplot()
    p_values = [np.linspace(0.001, 1, 6), np.array([0.5, 0.02])]
    surprise_along(axes, p_values, (1, 3), 4)
    stairs = {patch.get_gid(): patch.get_data() for patch in axes.patches if patch.get_gid()}
    for level, edges in ((1, [0, 1, 2, 3, 4, 5, 6]), (2, [0, 3, 6])):
        assert stairs[f"level-{level}"].edges.tolist() == edges
        assert np.array_equal(stairs[f"level-{level}"].values, p_values[level - 1])
    bottom, top = axes.get_ylim()
    assert bottom > 1 > 0.001 > top


def test_a_map_says_who_notices_what() -> None:
    def of(level: int, violation: str, area: float) -> Noticed:
        return Noticed(level, violation, 10, 5, area, area - 0.1, area, 0.5, 0.0)

    axes = Figure().add_subplot()
    found = {"a": [of(1, "teleport", 0.9), of(2, "teleport", 0.6)], "b": [of(1, "door", 0.75)]}
    noticed_map(axes, found)
    said = {text.get_position(): text.get_text() for text in axes.texts}
    assert said[0, 0] == "0.90\n(0.80, 0.90)" and said[0, 1].startswith("0.60")
    assert said[1, 0].startswith("0.75") and (1, 1) not in said
    areas = axes.images[0].get_array()
    assert areas[1, 0] == 0.6 and np.ma.is_masked(areas[1, 1])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["teleport", "door"]
    with pytest.raises(InputError, match="no violations"):
        noticed_map(axes, {})

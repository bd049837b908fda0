"""How a level learns: trainings that collapse and that do not, what levels know, what is hidden, and what surprises."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hjepa.errors import InputError
from hjepa.evaluation.surprise import ALARM, Noticed
from hjepa.figures.style import (
    BODY,
    FAINT,
    INK,
    MUTED,
    REFERENCE,
    SMALL,
    level_colour,
    new_figure,
    plain_axes,
)
from hjepa.figures.training import METRICS_FILE, read_metrics
from hjepa.training.collapse import LEAST_SPREAD

WAYS = {
    "none": (INK, "X"),
    "vicreg": ("#0072B2", "o"),
    "sigreg": ("#D55E00", "s"),
    "distillation": ("#CC79A7", "v"),
    "rate_reduction": ("#E69F00", "P"),
    "barlow": ("#009E73", "^"),
    "contrastive": ("#56B4E9", "D"),
}
"""Colour and marker of every way not to collapse."""

GREY = 215
"""Colour of what is hidden, of 255."""

SIGNALS = (
    ("spread", "spread of a number of the latent"),
    ("effective_rank", "effective rank"),
    ("position_error", "the probe's error of the place, cells"),
)


def collapse_curves(
    runs: Mapping[str, str | os.PathLike[str]], latent_dim: int, open_marks: Sequence[str] = ()
) -> Figure:
    """Spread, effective rank and the probe's error of level 1 along several trainings.

    Args:
        runs: name -> run folder of ``hjepa fit``. The first word of a name is the way, see `WAYS`.
        latent_dim: numbers in the latent, the largest effective rank there can be.
        open_marks: names of runs that are drawn dashed and with open marks.

    Raises:
        InputError: no runs, a way that is not known, or a run without these columns.
    """
    unknown = [name for name in runs if name.split()[0] not in WAYS]
    if unknown or not runs:
        raise InputError(f"ways {', '.join(unknown) or 'none'}", "figures", f"choose from {', '.join(WAYS)}")
    figure = new_figure(11.5, 4.4)
    panels = figure.subplots(1, len(SIGNALS))
    for number, (name, folder) in enumerate(runs.items()):
        curves = read_metrics(Path(folder) / METRICS_FILE)
        colour, mark = WAYS[name.split()[0]]
        dashed = name in open_marks
        for panel, (term, _) in zip(panels, SIGNALS):
            if (1, term) not in curves:
                raise InputError(f"has no {term} of level 1", str(folder), "give a run where it is known")
            steps, values = curves[1, term]
            panel.plot(
                steps, values, color=colour, marker=mark, markevery=(number % 3, 3), markersize=6.5,
                linewidth=4.0 if name == "none" else 1.7, zorder=2 if name == "none" else 3,
                linestyle="--" if dashed else "-", markerfacecolor="white" if dashed else colour, label=name, gid=name,
            )  # fmt: skip
    for panel, (_, label) in zip(panels, SIGNALS):
        plain_axes(panel)
        panel.set_xlabel("training step", fontsize=BODY)
        panel.set_title(label, fontsize=BODY, color=INK)
    panels[0].set_yscale("log")
    _limit(panels[0], LEAST_SPREAD, "a warning is due below")
    panels[1].set_ylim(0, 1.08 * latent_dim)
    _limit(panels[1], latent_dim, f"all {latent_dim} numbers")
    panels[2].set_ylim(0, None)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=SMALL,
    )
    return figure


def facts_by_level(panels: Sequence[Axes], levels: Sequence[Mapping[str, Any]]) -> None:
    """What a probe reads of every level, from its latent and from what it imagined one stride before.

    Args:
        panels: one for each fact.
        levels: of a row of ``measure_levels.py``: ``level``, ``span`` and ``facts``.

    Raises:
        InputError: another number of facts than panels.
    """
    facts = list(levels[0]["facts"])
    if len(facts) != len(panels):
        raise InputError(f"{len(facts)} facts, {len(panels)} panels", "figures", "give one panel each")
    place = np.arange(len(levels))
    for panel, fact in zip(panels, facts):
        plain_axes(panel)
        values = {name: [100 * level["facts"][fact][name] for level in levels] for name in KINDS}
        panel.plot(place, values["chance"], color=REFERENCE, linestyle=":", linewidth=1.5, gid="chance")
        for name in ("unchanged", "imagined", "read"):
            for x, (level, value) in enumerate(zip(levels, values[name])):
                colour = level_colour(level["level"])
                panel.plot(x + SHIFT[name], value, color=colour, gid=name, **KINDS[name][1])
        panel.set_title(fact, fontsize=BODY, color=INK)
        names = [
            f"level {level['level']}\n{level['span']} step{'s' * (level['span'] > 1)}" for level in levels
        ]
        panel.set_xticks(place, names)
        panel.set(xlim=(-0.5, len(levels) - 0.5), ylim=(-3, 106))


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "read": ("read from the latent", {"marker": "o", "markersize": 9}),
    "imagined": (
        "read from what was imagined one stride before",
        {"marker": "D", "markersize": 8, "markerfacecolor": "white", "markeredgewidth": 1.8},
    ),
    "unchanged": (
        "copying: as it was one stride before",
        {"marker": "x", "markersize": 7, "markeredgewidth": 1.6},
    ),
    "chance": ("chance", {"linestyle": ":", "linewidth": 1.5}),
}
"""What `facts_by_level` draws: in words, and its mark."""

SHIFT = {"read": -0.17, "imagined": 0.03, "unchanged": 0.23}


def facts_legend(figure: Figure) -> None:
    """What the marks of `facts_by_level` mean, below its panels."""
    handles = [
        Line2D([], [], color=MUTED, label=words, **({"linestyle": ""} | look))
        for words, look in KINDS.values()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=SMALL)


def grey_patches(frames: np.ndarray, hidden: np.ndarray, patch: int) -> np.ndarray:
    """A clip whose hidden patches are grey.

    Args:
        frames: (T, H, W, 3) uint8.
        hidden: (S,) bool, of the tokens in the order of `levels.masked.patches_of`.
        patch: pixels a side.
    """
    time, height, width = frames.shape[:3]
    cells = hidden.reshape(time, width // patch, height // patch).transpose(0, 2, 1)
    mask = cells.repeat(patch, 1).repeat(patch, 2)
    return np.where(mask[..., None], np.uint8(GREY), frames)


def surprise_along(axes: Axes, p_values: Sequence[np.ndarray], spans: Sequence[int], moment: int) -> None:
    """How rare what happened is for every level, along one trajectory; up: more surprising.

    Args:
        axes: to draw in; its vertical axis becomes that of the p-value, logarithmic and upside down.
        p_values: per level (steps,), see `hjepa.evaluation.surprise.Calibration`.
        spans: environment steps in one of each level's.
        moment: the first observation that cannot be.
    """
    plain_axes(axes)
    axes.axvspan(moment - 1, moment, color=FAINT, alpha=0.6, linewidth=0, zorder=0)
    axes.axhline(ALARM, color=INK, linestyle="--", linewidth=1.2, gid="alarm")
    for level in range(len(p_values), 0, -1):
        edges = spans[level - 1] * np.arange(len(p_values[level - 1]) + 1)
        axes.stairs(
            p_values[level - 1], edges, baseline=None, color=level_colour(level), linewidth=0.6 + 1.5 * level,
            label=f"level {level}", gid=f"level-{level}",
        )  # fmt: skip
    axes.set_yscale("log")
    lowest = min(float(values.min()) for values in p_values)
    axes.set_ylim(1.5, 0.6 * min(lowest, ALARM))
    axes.set_xlim(0, spans[0] * len(p_values[0]))
    axes.set_ylabel("p-value; up: more surprising", fontsize=BODY)


def noticed_map(axes: Axes, found: Mapping[str, Sequence[Noticed]]) -> None:
    """Which level notices which violation: the area under the curve as a colour, with its number and 95 % interval.

    Args:
        axes: to draw in.
        found: name of weights -> what each of their levels notices of each violation.

    Raises:
        InputError: nothing to draw.
    """
    columns = list(dict.fromkeys((name, one.violation) for name, rows in found.items() for one in rows))
    if not columns:
        raise InputError("no violations to draw", "figures", "give what was noticed")
    depth = max(one.level for rows in found.values() for one in rows)
    areas = np.full((depth, len(columns)), np.nan)
    colours = Normalize(0.5, 1.0)
    for name, rows in found.items():
        for one in rows:
            row, column = one.level - 1, columns.index((name, one.violation))
            areas[row, column] = one.auroc
            axes.text(
                column, row, f"{one.auroc:.2f}\n({one.lo:.2f}, {one.hi:.2f})", ha="center", va="center", fontsize=SMALL,
                color="white" if colours(one.auroc) < 0.55 else INK,
            )  # fmt: skip
    image = axes.imshow(np.ma.masked_invalid(areas), cmap="cividis", norm=colours, aspect="auto")
    axes.set_yticks(range(depth), [f"level {level}" for level in range(1, depth + 1)])
    axes.set_xticks(range(len(columns)), [violation for _, violation in columns], fontsize=SMALL)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    names = [name for name, _ in columns]
    for name in found:
        own = [i for i, other in enumerate(names) if other == name]
        if not own:
            continue
        axes.text(
            float(np.mean(own)),
            -0.62,
            name,
            ha="center",
            va="bottom",
            fontsize=BODY,
            fontweight="bold",
            color=INK,
        )
        if own[-1] + 1 < len(names):
            axes.axvline(own[-1] + 0.5, color="white", linewidth=6)
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
    bar.set_label("AUROC; 0.5: a guess", fontsize=SMALL)


def _limit(axes: Axes, value: float, name: str) -> None:
    """A dotted line that says what it is, above it."""
    axes.axhline(value, color=REFERENCE, linestyle=":", linewidth=1.4, zorder=1)
    axes.annotate(
        name, (1, value), (0, 2), xycoords=axes.get_yaxis_transform(), textcoords="offset points", ha="right",
        va="bottom", fontsize=SMALL, color=MUTED,
    )  # fmt: skip

"""How costs grow: seconds against amounts on two logarithmic axes, with the exponent that was fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from hjepa.figures.style import BODY, INK, MUTED, REFERENCE, SMALL, level_colour, plain_axes


@dataclass(frozen=True)
class Growth:
    """What one cost was measured to be.

    Attributes:
        name: of the amount.
        points: amounts, and the median seconds that each took; two or more.
        exponent: fitted, the slope.
        least, most: exponents of the single repeats.
    """

    name: str
    points: Sequence[tuple[float, float]]
    exponent: float
    least: float
    most: float


def growth_panel(axes: Axes, growth: Growth) -> None:
    """Measured seconds, the fitted power, and growth in proportion from the first of them.

    Raises:
        ValueError: fewer than two points, or amounts or seconds that are not positive.
    """
    given = np.array(growth.points, float).reshape(-1, 2)
    if len(given) < 2 or given.min() <= 0:
        raise ValueError(f"growth in {growth.name} of points {growth.points}; give two or more positive ones")
    amounts, seconds = given.T
    level = np.exp(np.mean(np.log(seconds) - growth.exponent * np.log(amounts)))
    axes.plot(
        amounts, seconds[0] * amounts / amounts[0], color=REFERENCE, ls="--", lw=1.2, label="in proportion"
    )
    axes.plot(amounts, level * amounts**growth.exponent, color=level_colour(1), lw=1.8, label="fitted power")
    axes.plot(amounts, seconds, "o", color=INK, ms=5, label="measured")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
    axes.minorticks_off()
    low, high = seconds.min(), max(seconds.max(), seconds[0] * amounts[-1] / amounts[0])
    ticks = [lead * 10.0**power for power in range(-4, 5) for lead in (1, 2, 5)]
    axes.set_yticks([tick for tick in ticks if low / 1.6 <= tick <= high * 1.6])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(low / 1.6, high * 1.6)
    axes.set_xlabel(growth.name, fontsize=BODY, color=INK)
    axes.set_ylabel("seconds of processor time", fontsize=SMALL, color=MUTED)
    axes.set_title(
        f"exponent {growth.exponent:.2f} ({growth.least:.2f} to {growth.most:.2f})", fontsize=BODY, color=INK
    )
    plain_axes(axes, "both")

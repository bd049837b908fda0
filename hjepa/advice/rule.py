"""From measurements to advice: few thresholds, and one sentence why.

A level reaches as far as its plans look, as what it imagines is trusted, and as the data's clips are long: the least of
the three, in environment steps. The descent test with hops of that length says how many goals its distance would lead
to if search were perfect. The advice is the fewest levels that come within `NEAR` of the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log, log2

from hjepa.advice.imagined_error import trusted_steps
from hjepa.advice.measure import LevelMeasures

TRUST = 0.5
"""Squared error, in the spread of the latents, from which on what is imagined is not trusted."""

NEAR = 0.02
"""Share of goals by which fewer levels may arrive at less."""

GAP = 2.0
"""Frequency gap that a latent of a level's own needs at least: below, it leaves nothing out."""

STRIDE = 4
"""Longest stride that is advised."""


@dataclass(frozen=True)
class Reach:
    """How far one level reaches, and what for.

    Attributes:
        level: its number.
        steps: environment steps.
        held_by: ``plans``, ``prediction`` or ``clips``, whichever is the least.
        arrives: share of goals that the descent test arrives at with such hops.
        counts: whether its own latent leaves anything out, and one step of it can be trusted.
    """

    level: int
    steps: int
    held_by: str
    arrives: float
    counts: bool


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes:
        levels: of this run to use.
        strides: of a stack that would be trained anew, level 1 first.
        hop: steps that the descent test needs.
        line: the advice in a sentence.
        reaches: per level.
    """

    levels: int
    strides: tuple[int, ...]
    hop: int
    line: str
    reaches: tuple[Reach, ...]


def reach_of(measures: LevelMeasures, clip: int) -> Reach:
    """How far a level reaches in data whose clips have so many observations."""
    trusted = measures.span * trusted_steps(measures.growth, TRUST)
    limits = {"plans": measures.looks, "prediction": trusted, "clips": clip - 1}
    if len(measures.growth) * measures.span <= trusted:
        # Nothing that was measured is wrong, so plans are the limit and not what was measured.
        del limits["prediction"]
    held_by = min(limits, key=lambda name: limits[name])
    steps = limits[held_by]
    abstracts = not measures.own_latent or measures.gap >= GAP
    return Reach(
        measures.level,
        steps,
        held_by,
        arrivals(measures.descent, steps),
        abstracts and steps >= measures.span,
    )


def arrivals(descent: dict[int, float], hop: int) -> float:
    """Share of goals arrived at with hops of any length, between those tested; 0 for no hop at all."""
    if hop < 1:
        return 0.0
    hops = sorted(descent)
    below = max((known for known in hops if known <= hop), default=hops[0])
    above = min((known for known in hops if known >= hop), default=hops[-1])
    if above == below:
        return descent[below]
    share = (log2(hop) - log2(below)) / (log2(above) - log2(below))
    return descent[below] + share * (descent[above] - descent[below])


def advise(levels: Sequence[LevelMeasures], clip: int, way: int) -> Advice:
    """The advice.

    Args:
        levels: measured, level 1 first.
        clip: observations in the data's clips.
        way: steps of the median way between starts and goals.
    """
    reaches = tuple(reach_of(level, clip) for level in levels)
    counting = [reach for reach in reaches if reach.counts] or [reaches[0]]
    best = max(reach.arrives for reach in counting)
    chosen = next(reach for reach in counting if reach.arrives >= best - NEAR)
    curve = {hop: max(level.descent[hop] for level in levels) for hop in levels[0].descent}
    most = max(curve.values())
    hop = min(hop for hop, share in curve.items() if share >= most - NEAR)
    strides = _strides(hop, max(reaches[0].steps, 1))
    return Advice(chosen.level, strides, hop, _line(chosen, reaches, strides, hop, way, most), reaches)


def _strides(hop: int, reach: int) -> tuple[int, ...]:
    """Of the fewest levels whose top reaches a hop, if each makes as many steps of its own as level 1, that many."""
    times = hop / reach
    if times <= 1:
        return (1,)
    above = ceil(log(times) / log(STRIDE) - 1e-9)
    return (1, *[max(ceil(times ** (1 / above) - 1e-9), 2)] * above)


def _line(
    chosen: Reach, reaches: tuple[Reach, ...], strides: tuple[int, ...], hop: int, way: int, most: float
) -> str:
    count = f"{chosen.level} level{'s' if chosen.level > 1 else ''}"
    held = {
        "plans": "as far as its plans look",
        "prediction": "further than that it imagines wrongly",
        "clips": "the data's clips are no longer",
    }[chosen.held_by]
    why = f"level {chosen.level} reaches {chosen.steps} steps ({held}), and such hops arrive at {chosen.arrives:.0%}"
    others = [reach for reach in reaches if reach.level != chosen.level]
    beside = ""
    if others:
        beside = (
            "; "
            + ", ".join(f"{reach.level}: {reach.arrives:.0%}" for reach in others)
            + " with other numbers"
        )
    anew = ", ".join(map(str, strides))
    return (
        f"Use {count}: ways are {way} steps long, {why}{beside}. Trained anew: strides {anew}, for hops of {hop} steps"
        f" arrive at {most:.0%} or nearly so."
    )

"""How many levels to use, by a rule that is stated and read from paired intervals.

1. Settings that plan with a piece of the truth (oracles) are left out. Of the others the one whose best number
   of levels solves most is taken, settings with several numbers of levels first.
2. Stacks trained with each number of levels are preferred to stacks cut out of a deeper one.
3. *Best* is the number of levels that solves most. The answer is the fewest levels that are not shown to be
   worse than the best: the 95 % interval of the paired difference, best minus fewer, reaches zero.
4. The answer is *clear* when no other number of levels could be better by more than `MARGIN`, by the same
   intervals. When the success of the answer is not above the random policy's, there is no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hjepa.evaluation.comparison import Agent, Block, Comparison, Measured, Setting

MARGIN = 0.05
"""A difference in success that a person would pay another level for."""


@dataclass(frozen=True)
class Differing:
    """A setting in which numbers of levels differ.

    Attributes:
        setting: which.
        comparison: of the best number of levels, or of the most where the fewest are best, with the fewest.
    """

    setting: Setting
    comparison: Comparison


@dataclass(frozen=True)
class Answer:
    """What one block says.

    Attributes:
        block: which evaluation.
        setting, depth: in which setting and kind of depth the question is answered.
        series: number of levels -> agent, of that setting and depth.
        chosen, best: number of levels; None for ``chosen`` when nothing beats the random policy.
        rate: success of the chosen, or of the best where none is chosen.
        steps: (levels, comparison with the next fewer levels that were run).
        rivals: number of levels -> its comparison with the chosen (rival minus chosen).
        clear: whether no rival can be better by more than `MARGIN`.
        alone: whether only one number of levels was run.
        other: kind of depth -> number of levels that the rule gives there.
        elsewhere: other setting with several numbers of levels -> number of levels that the rule gives there.
        settings: how many settings the one was taken from.
        differing: the setting in which levels differ most, of those whose interval leaves out zero; None: no such.
    """

    block: Block
    setting: Setting
    depth: str
    series: dict[int, Agent]
    chosen: int | None
    best: int
    rate: Measured
    steps: dict[int, Comparison]
    rivals: dict[int, Comparison]
    clear: bool
    alone: bool
    other: dict[str, int]
    elsewhere: dict[Setting, int]
    settings: int
    differing: Differing | None


def answer(block: Block) -> Answer | None:
    """The answer of one block; None where every result has an oracle."""
    settings = block.settings()
    if not settings:
        return None
    setting = max(settings, key=lambda one: _strength(block, one))
    depths = block.depths(setting)
    depth = _preferred(depths)
    series = depths[depth]
    chosen, best = pick(block, series)
    floor = block.floor()
    rate = _rate(block, series[chosen])
    beaten = floor is None or (rate.lo is not None and rate.lo > floor.value)
    rivals = {}
    for levels, agent in series.items():
        found = block.compare(agent, series[chosen]) if levels != chosen else None
        if found is not None:
            rivals[levels] = found
    steps = {}
    for fewer, more in pairwise(series):
        step = block.compare(series[more], series[fewer])
        if step is not None:
            steps[more] = step
    return Answer(
        block,
        setting,
        depth,
        series,
        chosen if beaten else None,
        best,
        rate if beaten else _rate(block, series[best]),
        steps,
        rivals,
        all((c.difference.hi or 0.0) <= MARGIN for c in rivals.values()) and len(rivals) == len(series) - 1,
        len(series) == 1,
        {
            name: pick(block, agents)[0]
            for name, agents in depths.items()
            if name != depth and len(agents) > 1
        },
        {one: pick(block, agents)[0] for one, agents in _others(block, settings, setting) if len(agents) > 1},
        len(settings),
        differing(block, settings),
    )


def differing(block: Block, settings: list[Setting]) -> Differing | None:
    """The setting in which most and fewest levels differ most, if any tells them apart; see `Answer`."""
    found = []
    for setting in settings:
        depths = block.depths(setting)
        series = depths[_preferred(depths)]
        fewest = min(series)
        best = pick(block, series)[1]
        other = best if best != fewest else max(series)
        if other == fewest:
            continue
        compared = block.compare(series[other], series[fewest])
        if compared is None:
            continue
        lo, hi = compared.difference.lo or 0.0, compared.difference.hi or 0.0
        if lo > 0 or hi < 0:
            found.append(Differing(setting, compared))
    return max(found, key=lambda one: abs(one.comparison.difference.value), default=None)


def pick(block: Block, series: dict[int, Agent]) -> tuple[int, int]:
    """The fewest levels not shown to be worse than the best, and the best; ties go to fewer levels."""
    best = max(series, key=lambda levels: (_rate(block, series[levels]).value, -levels))
    for levels in sorted(series):
        if levels >= best:
            break
        found = block.compare(series[best], series[levels])
        if found is not None and found.difference.lo is not None and found.difference.lo <= 0:
            return levels, best
    return best, best


def _preferred(depths: dict[str, dict[int, Agent]]) -> str:
    return "trained" if len(depths.get("trained", {})) > 1 else max(depths, key=lambda d: len(depths[d]))


def _others(block: Block, settings: list[Setting], taken: Setting) -> list[tuple[Setting, dict[int, Agent]]]:
    found = [(one, block.depths(one)) for one in settings if one != taken]
    return [(one, depths[_preferred(depths)]) for one, depths in found]


def _strength(block: Block, setting: Setting) -> tuple[bool, float, float]:
    depths = block.depths(setting)
    agents = {agent for series in depths.values() for agent in series.values()}
    top = max(agents, key=lambda agent: _rate(block, agent).value)
    several = any(len(series) > 1 for series in depths.values())
    return several, _rate(block, top).value, -(top.mean("tflops_per_episode") or 0.0)


def _rate(block: Block, agent: Agent) -> Measured:
    rate = block.rate(agent)
    assert rate is not None  # a record holds at least one episode
    return rate

"""The first screen: the answer in a sentence, the main figure and a small table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from hjepa.evaluation.comparison import SMALLEST_BUCKET, Agent, Block, Comparison, Measured, Setting
from hjepa.figures.measured import Panel, level_panels
from hjepa.report.answer import MARGIN, Answer
from hjepa.report.markup import (
    NOTHING,
    compact,
    counted,
    details,
    level_name,
    links,
    number,
    ordinal,
    percent,
    picture,
    plain_number,
    points,
    table,
)
from hjepa.report.pictures import Pictures
from hjepa.report.sections import setting_name
from hjepa.report.template import joined, rendered, say

KIND = {"trained": "stacks trained with so many levels", "truncated": "levels cut out of a deeper stack"}


def headline(answers: Sequence[Answer]) -> str:
    """The answer in a few words."""
    if not answers:
        return "No answer: every result plans with a piece of the truth"
    chosen = {a.chosen for a in answers}
    if len(chosen) > 1:
        return "How many levels to use depends on the task"
    a = answers[0]
    if a.chosen is None:
        return "No number of levels beats the random policy"
    if all(one.alone for one in answers):
        return f"Only {counted(a.chosen)} tried, so nothing to compare"
    if all(one.clear for one in answers):
        return f"Use {counted(a.chosen)}"
    return f"Use {counted(a.chosen)}, as far as these episodes can tell"


def sentence(a: Answer) -> Markup:
    """The answer of one evaluation with its numbers."""
    shown = a.best if a.chosen is None else a.chosen
    first = say(
        "{} {} {} of {}", level_name(shown), "solves" if shown == 1 else "solve", percent(a.rate, 0), _episodes(a.block)
    )  # fmt: skip
    said = [first if a.chosen is not None else first + ", and that is not above the random policy"]
    fewer = [levels for levels in a.series if levels < shown]
    if fewer and shown in a.steps:
        said.append(say("{} {}", _name_step(shown, fewer[-1]), _effect(a.steps[shown])))
    more = [levels for levels in a.series if levels > shown]
    if more and more[0] in a.rivals:
        said.append(say("{} {}", _name_step(more[0], shown), _effect(a.rivals[more[0]])))
    text = joined(said, "; ") + "."
    if a.chosen is not None and a.best != a.chosen and a.best in a.rivals:
        text += say(
            " {} solved most, but {} points more than {} may be chance, so the fewer are enough.",
            counted(a.best).capitalize(), points(a.rivals[a.best].difference), counted(a.chosen),
        )  # fmt: skip
    open_ones = [k for k, c in a.rivals.items() if (c.difference.hi or 0) > MARGIN and k != a.best]
    if a.chosen is not None and a.best != a.chosen and (a.rivals[a.best].difference.hi or 0) > MARGIN:
        open_ones.append(a.best)
    if a.chosen is not None and open_ones:
        text += say(
            " These episodes do not rule out that {} would be better by more than {} points: run more of them before "
            "you settle.",
            " or ".join(str(k) for k in sorted(open_ones)), f"{100 * MARGIN:.0f}",
        )  # fmt: skip
    return text


def beside(a: Answer) -> Markup:
    """Where numbers of levels differ, when that is not the answer's own setting; empty for a single one."""
    found = a.differing
    if a.settings == 1 or (found is not None and found.setting == a.setting):
        return Markup()
    if found is None:
        return say("In none of the {} settings do these episodes tell numbers of levels apart.", a.settings)
    one = found.comparison
    return say(
        "Levels differ most with {}: {} {} {}, {} {}, a difference of {} points.",
        setting_name(found.setting, a.block.settings()) or found.setting.metric,
        level_name(one.upper.levels), "solves" if one.upper.levels == 1 else "solve",
        percent(a.block.rate(one.upper), 0),
        level_name(one.lower.levels), percent(a.block.rate(one.lower), 0), points(one.difference, 0),
    )  # fmt: skip


def caveats(a: Answer) -> str:
    """What the answer does not say."""
    texts = []
    named = ", ".join(
        filter(None, [
            f"metric {a.setting.metric}",
            f"planner {a.setting.planner}",
            f"{a.setting.budget_tflops:g} TFLOP an episode at most" if a.setting.budget_tflops > 0 else "",
            a.setting.variant,
        ])
    )  # fmt: skip
    texts.append(f"Planned with {named}; {KIND[a.depth]}.")
    if 1 in a.series and len(a.series) > 1 and a.series[1].depth == "truncated":
        texts.append(
            "One level is the stack’s own level 1, not a flat agent that was trained and tuned for itself."
        )
    if a.settings > 1:
        said = f"This is the best of {a.settings} settings on these very episodes, which flatters it a little"
        if a.elsewhere:
            others = "the other gives" if len(a.elsewhere) == 1 else "the others give"
            said += f"; {others} {_counts(list(a.elsewhere.values()))}"
        texts.append(f"{said}.")
    for kind, levels in a.other.items():
        verb = "agree" if levels == a.chosen else "differ: the same rule gives"
        texts.append(
            f"{KIND[kind].capitalize()} {verb}{'' if levels == a.chosen else ' ' + counted(levels)}."
        )
    seeds = {len(agent.seeds) for agent in a.series.values()}
    if max(seeds) == 1:
        texts.append("One training seed: another training may do otherwise.")
    else:
        few = " With so few, how much trainings differ is itself barely known." if max(seeds) < 5 else ""
        spread = str(max(seeds)) if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
        texts.append(f"Intervals cover {spread} training seeds as well as the episodes.{few}")
    return " ".join(texts)


def first_screen(answers: Sequence[Answer], pictures: Pictures) -> Markup:
    """Everything above the sections; the figures are kept in ``pictures`` too."""
    shown = [_evaluation(a, place, len(answers) > 1, pictures) for place, a in enumerate(answers)]
    return rendered("first_screen.html", headline=headline(answers), evaluations=shown)


def _evaluation(a: Answer, place: int, several: bool, pictures: Pictures) -> dict[str, Any]:
    """What the template says of one evaluation."""
    block = a.block
    panels = main_panels(block, a.setting)
    where = beside(a)
    if where and a.differing is not None:
        other = main_panels(block, a.differing.setting)[:1]
        title = setting_name(a.differing.setting, block.settings())
        panels[1:1] = [replace(panel, title=title) for panel in other]
    name = "success_by_levels" + (f"_{place + 1}" if several else "")
    wide, narrow = (level_panels(panels, width, lead=True) for width in (960, 358))
    pictures.keep(name, wide)
    small = sum(int(mask.sum() < SMALLEST_BUCKET) for _, mask in block.buckets())
    few = f"; lengths with fewer than {SMALLEST_BUCKET} episodes only in the numbers below" if small else ""
    caption = say(
        "Success by number of levels, over all episodes and by length of the shortest path, with 95 % "
        "intervals{}. From {}.",
        few, links(_sources(block, a.setting)),
    )  # fmt: skip
    return {
        "task": f"{block.task}, {block.tasks} {block.split}",
        "sentence": sentence(a),
        "beside": where,
        "caveats": caveats(a),
        "picture": picture(name, wide, narrow, "success by levels", caption),
        "table": _small_table(a),
        "behind": details("The numbers in the figure", _behind(block, a.setting)),
    }


def main_panels(block: Block, setting: Setting) -> list[Panel]:
    """All episodes, then one panel per distance bucket that holds more than a handful of them."""
    floor, top = block.floor(), block.ceiling()
    panels = []
    crowded = [(name, mask) for name, mask in block.buckets() if mask.sum() >= SMALLEST_BUCKET]
    for name, mask in [("", None), *crowded]:
        series: dict[str, dict[int, Measured]] = {}
        found: dict[Agent, Measured | None] = {}
        for depth, agents in block.depths(setting).items():
            for levels, agent in agents.items():
                # A stack that ends both series is measured, and drawn, once.
                if agent not in found:
                    found[agent] = block.rate(agent, mask)
                rate = found[agent]
                if rate is not None:
                    series.setdefault(depth, {})[levels] = rate
        if not series:
            continue
        count = len(block.episodes) if mask is None else int(mask.sum())
        title = "All episodes" if mask is None else f"{name} steps"
        whole = mask is None
        panels.append(
            Panel(title, f"n = {count}", series, floor.value if whole and floor else None,
                  top.value if whole else None)
        )  # fmt: skip
    return panels


def _small_table(a: Answer) -> Markup:
    block = a.block
    rows: list[list[str]] = []
    floor, top = block.floor(), block.ceiling()
    for levels, agent in a.series.items():
        step = a.steps.get(levels)
        ratio = _path_ratio(agent)
        name = level_name(levels)
        rows.append([
            say("<strong>{}</strong>", name) if levels == a.chosen else name,
            percent(block.rate(agent), 1),
            points(step.difference) if step else NOTHING,
            plain_number(ratio, 2, agent.sources),
            compact(agent.mean("tflops_per_episode"), agent.sources),
            links(agent.sources),
        ])  # fmt: skip
    if floor is not None:
        rows.insert(0, ["random policy", percent(floor), "–", "–", "–", links(floor.sources)])
    rows.append(
        ["shortest path", percent(top), "–", number("1.00", 1.0, top.sources), "–", links(top.sources)]
    )
    head = ["", "success (95\u00a0%)", "against one fewer", "path / shortest", "TFLOP / episode", "from"]
    return table(head, rows, kind="hero-table")


def _behind(block: Block, setting: Setting) -> Markup:
    rows = []
    buckets = block.buckets()
    agents = {agent for series in block.depths(setting).values() for agent in series.values()}
    for agent in sorted(agents, key=lambda one: (one.levels, one.depth)):
        cells = [percent(block.rate(agent, mask)) for _, mask in buckets]
        rows.append([say("{}, {}", level_name(agent.levels), agent.depth), percent(block.rate(agent)), *cells,
                     links(agent.sources)])  # fmt: skip
    heads = [f"{name} steps, n = {int(mask.sum())}" for name, mask in buckets]
    return table(["", "all", *heads, "from"], rows, kind="small")


def _path_ratio(agent: Agent) -> float | None:
    ratios = agent.ratios[agent.ratios == agent.ratios]
    return float(ratios.mean()) if ratios.size else None


def _sources(block: Block, setting: Setting) -> list[str]:
    agents = [agent for series in block.depths(setting).values() for agent in series.values()]
    return [source for agent in agents for source in agent.sources]


def _episodes(block: Block) -> Markup:
    count = number(f"{len(block.episodes)}", len(block.episodes), block.sources)
    return say("{} {} {} episodes", count, block.tasks, block.split)


def _counts(levels: list[int]) -> str:
    """``2 levels`` when all agree, else ``2, 3 and 3 levels``."""
    if len(set(levels)) == 1:
        return counted(levels[0])
    return f"{', '.join(map(str, levels[:-1]))} and {counted(levels[-1])}"


def _name_step(levels: int, fewer: int) -> str:
    return f"the {ordinal(levels)} level" if levels == fewer + 1 else f"going from {fewer} to {levels} levels"


def _effect(step: Comparison) -> Markup:
    lo, hi = step.difference.lo or 0.0, step.difference.hi or 0.0
    verb = "adds" if lo > 0 else "costs" if hi < 0 else "makes no clear difference,"
    return say("{} {} points", verb, points(step.difference, 0))

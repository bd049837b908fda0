"""The first screen: the answer in a sentence, the main figure and a small table."""

from __future__ import annotations

from collections.abc import Sequence

from hjepa.evaluation.comparison import SMALLEST_BUCKET, Agent, Block, Comparison, Measured, Setting
from hjepa.figures.measured import Panel, level_panels
from hjepa.report.answer import MARGIN, Answer
from hjepa.report.markup import (
    compact,
    counted,
    details,
    esc,
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


def sentence(a: Answer) -> str:
    """The answer of one evaluation with its numbers, HTML."""
    shown = a.best if a.chosen is None else a.chosen
    verb = "solves" if shown == 1 else "solve"
    rate = a.rate
    said = [
        f"{level_name(shown)} {verb} {percent(rate, 0)} of {_episodes(a.block)}"
        + ("" if a.chosen is not None else ", and that is not above the random policy")
    ]
    fewer = [levels for levels in a.series if levels < shown]
    if fewer and shown in a.steps:
        step = a.steps[shown]
        said.append(f"{_name_step(shown, fewer[-1])} {_effect(step)}")
    more = [levels for levels in a.series if levels > shown]
    if more and more[0] in a.rivals:
        said.append(f"{_name_step(more[0], shown)} {_effect(a.rivals[more[0]])}")
    text = "; ".join(said) + "."
    if a.chosen is not None and a.best != a.chosen and a.best in a.rivals:
        rival = a.rivals[a.best]
        text += (
            f" {counted(a.best).capitalize()} solved most, but {points(rival.difference)} points more than "
            f"{counted(a.chosen)} may be chance, so the fewer are enough."
        )
    open_ones = [k for k, c in a.rivals.items() if (c.difference.hi or 0) > MARGIN and k != a.best]
    if a.chosen is not None and a.best != a.chosen and (a.rivals[a.best].difference.hi or 0) > MARGIN:
        open_ones.append(a.best)
    if a.chosen is not None and open_ones:
        names = " or ".join(str(k) for k in sorted(open_ones))
        text += (
            f" These episodes do not rule out that {names} would be better by more than "
            f"{100 * MARGIN:.0f} points: run more of them before you settle."
        )
    return text


def caveats(a: Answer) -> str:
    """What the answer does not say, HTML."""
    texts = []
    named = ", ".join(
        filter(None, [
            f"metric {a.setting.metric}",
            f"planner {a.setting.planner}",
            f"{a.setting.budget_tflops:g} TFLOP an episode at most" if a.setting.budget_tflops > 0 else "",
            a.setting.variant,
        ])
    )  # fmt: skip
    texts.append(f"Planned with {esc(named)}; {KIND[a.depth]}.")
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


def first_screen(answers: Sequence[Answer], pictures: Pictures) -> str:
    """Everything above the sections, HTML; the figures are kept in ``pictures`` too."""
    parts = [f"<h1>{esc(headline(answers))}</h1>"]
    for place, a in enumerate(answers):
        block = a.block
        if len(answers) > 1:
            parts.append(f"<h2 class='task'>{esc(block.task)}, {esc(block.tasks)} {esc(block.split)}</h2>")
        parts.append(f'<p class="answer">{sentence(a)}</p><p class="quiet">{caveats(a)}</p>')
        panels = main_panels(block, a.setting)
        name = "success_by_levels" + (f"_{place + 1}" if len(answers) > 1 else "")
        wide, narrow = (level_panels(panels, width, lead=True) for width in (960, 358))
        pictures.keep(name, wide)
        behind = _behind(block, a.setting)
        small = sum(int(mask.sum() < SMALLEST_BUCKET) for _, mask in block.buckets())
        few = (
            f"; lengths with fewer than {SMALLEST_BUCKET} episodes only in the numbers below" if small else ""
        )
        caption = (
            "Success by number of levels, over all episodes and by length of the shortest path, with 95 % "
            f"intervals{few}. From {links(_sources(block, a.setting))}."
        )
        parts.append(f'<div class="hero">{picture(name, wide, narrow, "success by levels", caption)}')
        parts.append(_small_table(a) + "</div>")
        parts.append(details("The numbers in the figure", behind))
    return "".join(parts)


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


def _small_table(a: Answer) -> str:
    block, rows = a.block, []
    floor, top = block.floor(), block.ceiling()
    for levels, agent in a.series.items():
        step = a.steps.get(levels)
        ratio = _path_ratio(agent)
        name = level_name(levels)
        rows.append([
            f"<strong>{name}</strong>" if levels == a.chosen else name,
            percent(block.rate(agent), 1),
            points(step.difference) if step else "–",
            plain_number(ratio, 2, agent.sources),
            compact(agent.mean("tflops_per_episode"), agent.sources),
            links(agent.sources),
        ])  # fmt: skip
    if floor is not None:
        rows.insert(0, ["random policy", percent(floor), "–", "–", "–", links(floor.sources)])
    rows.append(
        ["shortest path", percent(top), "–", number("1.00", 1.0, top.sources), "–", links(top.sources)]
    )
    head = ["", "success (95&nbsp;%)", "against one fewer", "path / shortest", "TFLOP / episode", "from"]
    return table(head, rows, kind="hero-table")


def _behind(block: Block, setting: Setting) -> str:
    rows = []
    buckets = block.buckets()
    agents = {agent for series in block.depths(setting).values() for agent in series.values()}
    for agent in sorted(agents, key=lambda one: (one.levels, one.depth)):
        cells = [percent(block.rate(agent, mask)) for _, mask in buckets]
        rows.append([f"{level_name(agent.levels)}, {esc(agent.depth)}", percent(block.rate(agent)), *cells,
                     links(agent.sources)])  # fmt: skip
    heads = [f"{esc(name)} steps, n = {int(mask.sum())}" for name, mask in buckets]
    return table(["", "all", *heads, "from"], rows, kind="small")


def _path_ratio(agent: Agent) -> float | None:
    ratios = agent.ratios[agent.ratios == agent.ratios]
    return float(ratios.mean()) if ratios.size else None


def _sources(block: Block, setting: Setting) -> list[str]:
    agents = [agent for series in block.depths(setting).values() for agent in series.values()]
    return [source for agent in agents for source in agent.sources]


def _episodes(block: Block) -> str:
    count = number(f"{len(block.episodes)}", len(block.episodes), block.sources)
    return f"{count} {esc(block.tasks)} {esc(block.split)} episodes"


def _counts(levels: list[int]) -> str:
    """``2 levels`` when all agree, else ``2, 3 and 3 levels``."""
    if len(set(levels)) == 1:
        return counted(levels[0])
    return f"{', '.join(map(str, levels[:-1]))} and {counted(levels[-1])}"


def _name_step(levels: int, fewer: int) -> str:
    return f"the {ordinal(levels)} level" if levels == fewer + 1 else f"going from {fewer} to {levels} levels"


def _effect(step: Comparison) -> str:
    lo, hi = step.difference.lo or 0.0, step.difference.hi or 0.0
    verb = "adds" if lo > 0 else "costs" if hi < 0 else "makes no clear difference,"
    return f"{verb} {points(step.difference, 0)} points"

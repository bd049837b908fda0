"""The sections below the first screen: settings, compute, paired differences, everything in one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from hjepa.evaluation.comparison import Agent, Block, Comparison, Measured, Setting
from hjepa.figures.measured import Cost, Panel, Row, compute_figure, level_panels, rows_figure
from hjepa.report.answer import Answer
from hjepa.report.markup import (
    NOTHING,
    compact,
    counted,
    details,
    level_name,
    links,
    number,
    percent,
    picture,
    plain,
    plain_number,
    points,
    table,
)
from hjepa.report.pictures import Pictures
from hjepa.report.template import joined, say

MOST_ROWS = 24
"""More paired differences than these are drawn for the answer's own setting alone."""

MOST_PANELS = 12
"""More settings than this are told in the table alone."""


def settings_section(blocks: Sequence[Block], pictures: Pictures) -> Markup:
    """Success against levels, one panel per setting; empty where there is only one."""
    panels, sources = [], []
    for block in blocks:
        settings = block.settings()
        floor, top = block.floor(), block.ceiling()
        for setting in settings:
            title = setting_name(setting, settings) or setting.metric
            if len(blocks) > 1:
                title = f"{block.task.rpartition('/')[2]} {block.tasks}\n{title}"
            rates: dict[str, dict[int, Measured | None]] = {}
            found: dict[Agent, Measured | None] = {}
            for depth, agents in block.depths(setting).items():
                found |= {agent: block.rate(agent) for agent in agents.values() if agent not in found}
                rates[depth] = {levels: found[agent] for levels, agent in agents.items()}
                sources += [source for agent in agents.values() for source in agent.sources]
            shown = {d: {k: r for k, r in known.items() if r is not None} for d, known in rates.items()}
            played = sorted({int(np.isfinite(agent.success).any(0).sum()) for agent in found})
            told = f"n = {' to '.join(map(str, {played[0]: 0, played[-1]: 0}))}"
            panels.append(Panel(title, told, shown, floor.value if floor else None, top.value))
    if not 1 < len(panels) <= MOST_PANELS:
        return Markup()
    wide, narrow = (level_panels(panels, width) for width in (960, 358))
    pictures.keep("success_by_setting", wide)
    caption = say("Success against levels in every setting that was run. From {}.", links(sources))
    tuned = {f"{s.metric}: {planner}" for block in blocks for s, planner in block.flat_planners.items()}
    if tuned:
        caption += say(" One level plans as it was tuned, {}.", ", ".join(sorted(tuned)))
    return picture("success_by_setting", wide, narrow, "success by levels in every setting", caption)


def compute_section(answers: Sequence[Answer], pictures: Pictures) -> Markup:
    """Success against compute, one figure per evaluation."""
    parts = []
    for place, a in enumerate(answers):
        block = a.block
        lines: dict[tuple[object, ...], Cost] = {}
        for agent in block.agents:
            rate, spent = block.rate(agent), agent.mean("tflops_per_episode")
            if agent.setting.oracle or rate is None or spent is None:
                continue
            one = agent.setting
            rest = (one.metric, one.planner, one.variant)
            faint = rest != (a.setting.metric, a.setting.planner, a.setting.variant)
            key = (agent.levels, agent.depth, *rest)
            lines.setdefault(key, Cost(agent.levels, agent.depth, [], faint)).points.append((spent, rate))
        costs = list(lines.values())
        floor, top = block.floor(), block.ceiling()
        wide, narrow = (
            compute_figure(costs, width, floor.value if floor else None, top.value) for width in (960, 358)
        )
        name = "success_by_compute" + (f"_{place + 1}" if len(answers) > 1 else "")
        pictures.keep(name, wide)
        pale = " Pale: other settings than the answer’s." if any(cost.faint for cost in costs) else ""
        caption = say(
            "{}: success against the mean compute of an episode, forward, backward and every candidate counted; "
            "a line joins budgets.{} Up and to the left is better. From {}.",
            block.task, pale, links(block.sources),
        )  # fmt: skip
        parts.append(picture(name, wide, narrow, "success by compute", caption))
    return joined(parts)


def differences_section(answers: Sequence[Answer], pictures: Pictures) -> Markup:
    """Paired differences: one level more, trained against cut, one setting changed; figure and table."""
    parts = []
    for place, a in enumerate(answers):
        found = comparisons(a)
        if not found:
            continue
        rows = [Row(name, [(c.upper.levels, c.difference)], group) for group, name, c in found]
        shown = rows if len(rows) <= MOST_ROWS else [row for row in rows if row.group == rows[0].group]
        wide, narrow = (
            rows_figure(shown, width, "difference in success, percentage points", zero=True)
            for width in (960, 358)
        )
        name = "paired_differences" + (f"_{place + 1}" if len(answers) > 1 else "")
        pictures.keep(name, wide)
        caption = (
            "First minus second on the same episodes, with 95 % intervals; right of zero, the first is better. "
            "The colour is that of the first one’s levels."
        )
        mine: list[list[str]] = []
        rest: list[list[str]] = []
        for group, title, c in found:
            part = mine if c.upper.setting == c.lower.setting == a.setting else rest
            if [group] not in part:
                part.append([group])
            part.append([
                title, points(c.difference), percent(c.improvement),
                number(str(c.difference.episodes), c.difference.episodes, c.difference.sources),
                f"{c.difference.trainings}{'' if c.paired_trainings else ', not paired'}",
                links(c.difference.sources),
            ])  # fmt: skip
        head = ["first − second", "difference, points (95\u00a0%)", "does better on an episode (95\u00a0%)", "episodes",
                "training seeds", "from"]  # fmt: skip
        parts.append(
            say("<h3>{}, {} {}</h3>", a.block.task, a.block.tasks, a.block.split)
            + picture(name, wide, narrow, "paired differences", caption)
            + table(head, mine, kind="small")
            + (details("All other pairs", table(head, rest, kind="small")) if rest else Markup())
        )
    return joined(parts)


def comparisons(a: Answer) -> list[tuple[str, str, Comparison]]:
    """(group, name, comparison) of everything worth comparing in one evaluation."""
    block, found = a.block, []
    settings = block.settings()
    others = [setting for setting in settings if setting != a.setting]
    for setting in [a.setting, *others]:
        kind = setting_name(setting, settings) or setting.metric
        depths = block.depths(setting)
        for depth, series in depths.items():
            group = f"one more level, {depth}" + (f" ({kind})" if others else "")
            for fewer, more in pairwise(series):
                found.append((group, f"{more} − {fewer} levels", series[more], series[fewer]))
        if len(depths) == 2:
            group = "trained − cut" + (f" ({kind})" if others else "")
            for levels in sorted(set(depths["trained"]) & set(depths["truncated"])):
                pair = (depths["trained"][levels], depths["truncated"][levels])
                if pair[0] is not pair[1]:
                    found.append((group, f"{levels} trained − {levels} cut", *pair))
    # A change of budget is told by the figure of compute; two changes at once would not say which one did it.
    for place, one in enumerate([a.setting, *others]):
        for other in others[place:]:
            names = setting_name(one, [one, other]), setting_name(other, [one, other])
            if one.budget_tflops != other.budget_tflops or len(one.differing([one, other])) > 1:
                continue
            rivals = block.depths(other)
            for depth, series in block.depths(one).items():
                budget = (
                    f", {one.budget_tflops:g} TFLOP" if len({s.budget_tflops for s in settings}) > 1 else ""
                )
                group = f"{names[0]} − {names[1]}, {depth}{budget}"
                for levels in sorted(set(series) & set(rivals.get(depth, {}))):
                    found.append((group, counted(levels), series[levels], rivals[depth][levels]))
    pairs = ((group, name, block.compare(upper, lower)) for group, name, upper, lower in found)
    return [(group, name, result) for group, name, result in pairs if result is not None]


def all_results(blocks: Sequence[Block]) -> Markup:
    """Every agent of every evaluation: what it reached in one table, and what that took in a second one."""
    parts = []
    for block in blocks:
        settings = block.settings(oracle=True)
        several = len({agent.depth for agent in block.agents}) > 1
        reached: list[list[str]] = []
        took: list[list[str]] = []
        for agent in block.agents:
            source = agent.sources
            scores = agent.scores[agent.scores == agent.scores]
            ratios = agent.ratios[agent.ratios == agent.ratios]
            name = level_name(
                agent.levels, f"{counted(agent.levels)}, {_KIND[agent.depth]}" if several else ""
            )
            setting = setting_name(agent.setting, settings) or NOTHING
            reached.append([
                name, setting, percent(block.rate(agent)), percent(block.iqm(agent)),
                plain_number(float(ratios.mean()) if ratios.size else None, 2, source),
                plain_number(float(scores.mean()), 2, source),
                percent_plain(agent.mean("violations"), source), str(len(agent.seeds)), links(source),
            ])  # fmt: skip
            took.append([
                name, setting, compact(agent.mean("tflops_per_episode"), source),
                compact(agent.mean("plan_ms"), source), compact(agent.mean("seconds_per_episode"), source),
            ])  # fmt: skip
        caption = (
            f"{block.task}: {len(block.episodes)} {block.tasks} episodes{_plans(block)} of the {block.split} split, "
            f"evaluation seed {', '.join(map(str, block.seeds))}, at most {block.step_budget} steps"
        )
        head = ["", "setting", "success (95\u00a0%)", "IQM (95\u00a0%)", "path / shortest", "SPL", "violations",
                "training seeds", "from"]  # fmt: skip
        parts.append(_without_idle_columns(head, reached, caption))
        head = ["", "setting", "TFLOP an episode", "ms a replan", "seconds an episode"]
        parts.append(_without_idle_columns(head, took, f"{block.task}: what that took"))
    return joined(parts)


def _without_idle_columns(head: list[str], rows: list[list[str]], caption: str) -> Markup:
    """A table without the columns that say nothing in any row: they only take room."""
    idle = {str(NOTHING), "0.0 %"}
    kept = [i for i in range(len(head)) if i == 0 or {plain(row[i]) for row in rows} - idle]
    return table([head[i] for i in kept], [[row[i] for i in kept] for row in rows], caption, "small results")


_KIND = {"trained": "trained", "truncated": "cut"}
"""Kinds of depth in a table."""


def _plans(block: Block) -> str:
    """How many floor plans there are, where episodes share some."""
    count = len(set(block.layouts))
    return "" if count == len(block.episodes) else f" on {count} floor plan{'s' if count > 1 else ''}"


def percent_plain(value: float | None, sources: Iterable[str]) -> Markup:
    """A share in percent that carries no interval."""
    return NOTHING if value is None else number(f"{100 * value:.1f} %", value, sources)


def setting_name(setting: Setting, among: Sequence[Setting]) -> str:
    """What tells a setting from the others; empty for the only one."""
    texts = setting.differing(among)
    if texts.get("oracle") == "none":
        del texts["oracle"]
    return ", ".join(f"{value}" if name != "oracle" else f"oracle {value}" for name, value in texts.items())

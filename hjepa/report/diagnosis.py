"""What is inside an agent: the ladder of oracles, and the diagnostics of every level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from hjepa.evaluation.comparison import Agent, Block, Setting
from hjepa.figures.measured import Row, diagnostics_figure, rows_figure
from hjepa.report.markup import NOTHING, compact, level_name, links, percent, picture, points, table
from hjepa.report.pictures import Pictures
from hjepa.report.template import joined, say

RUNGS = ("random-subgoals", "", "cost", "dynamics", "subgoals")
"""From the least help to the most; others come behind, by name."""

MEANING = {
    "random-subgoals": "subgoals drawn at random: what the lower levels reach without direction",
    "": "everything learned: the agent itself",
    "cost": "the true path length in place of the learned cost",
    "dynamics": "the true world in place of the predictors",
    "subgoals": "subgoals from a shortest path in place of the level’s own",
}

DIAGNOSTICS = {
    "active_share": "share of replans in which the level planned instead of being skipped",
    "rank_correlation_span": "rank correlation of the metric with the true path length, as far as the level looks",
    "rank_correlation_map": "the same over the whole map",
    "descent": "success of hopping to whatever reachable state the metric puts nearest to the goal: no search",
    "position_accuracy": "accuracy of a probe that reads the agent’s position from the latent",
    "effective_rank": "how many directions of the latent are used",
    "imagined_feasible": "share of imagined steps that can really be taken",
    "imagined_beyond_walls": "share of imagined steps that lead far beyond what can be reached",
    "support_distance": "nats by which chosen actions are less likely than typical; large: search has left the data",
    "candidate_coverage": "share of plans that get to their target in imagination",
    "subgoals_feasible": "share of subgoals that can be reached in their stride",
    "subgoals_gain": "how much closer to the goal a subgoal is, in strides; 1 at best",
    "subgoals_reached": "share of subgoals that were reached in their stride",
    "subgoals_stale": "share of subgoals that were missed and no use any more when they fell due",
}


def ladder_section(blocks: Sequence[Block], pictures: Pictures) -> Markup:
    """Success with pieces of the truth put in; empty where no record has an oracle."""
    parts: list[Markup] = []
    for block in blocks:
        for key in sorted({_apart(s) for s in block.settings(oracle=True) if s.oracle}):
            agents = [agent for agent in block.agents if _apart(agent.setting) == key]
            # One rung, one number of levels, one row: stacks trained with that number where there are both.
            rungs: dict[str, dict[int, Agent]] = {}
            for agent in sorted(agents, key=lambda one: one.depth, reverse=True):
                rungs.setdefault(agent.setting.oracle, {})[agent.levels] = agent
            ordered = sorted(rungs, key=_height)
            rates = {rung: {k: block.rate(a) for k, a in sorted(rungs[rung].items())} for rung in ordered}
            rows = [
                Row(_rung_name(rung), [(k, rate) for k, rate in rates[rung].items() if rate is not None])
                for rung in ordered
            ]
            name = f"ladder_{len(parts) + 1}"
            floor = block.floor()
            marks = {"random policy": floor.value} if floor else {}
            wide, narrow = (rows_figure(rows, width, "success, %", marks=marks) for width in (960, 358))
            pictures.keep(name, wide)
            sources = [source for agent in agents for source in agent.sources]
            terms = joined(
                (
                    say("<b>{}</b>: {}", _rung_name(rung), MEANING[rung.partition(":")[0]])
                    for rung in ordered
                    if rung.partition(":")[0] in MEANING
                ),
                "; ",
            )
            caption = say(
                "{}, {}: each rung puts the truth in one learned piece’s place; the largest jump names the weakest. "
                "{}. From {}.",
                block.task, _apart_name(key), terms, links(sources),
            )  # fmt: skip
            parts.append(picture(name, wide, narrow, "ladder of oracles", caption))
            parts.append(_ladder_table(block, rungs, ordered))
    return joined(parts)


def diagnostics_section(blocks: Sequence[Block], pictures: Pictures) -> Markup:
    """Numbers of every level, for the deepest agent of every setting."""
    parts: list[Markup] = []
    for place, block in enumerate(blocks):
        agents = _deepest(block)
        names = sorted({name for agent in agents for name in _names(agent)}, key=_known_order)
        values = {name: {_agent_name(a, agents): _values(a, name) for a in agents} for name in names}
        for name in names:
            values[name] = {who: v for who, v in values[name].items() if any(x is not None for x in v)}
        if not names:
            continue
        wide, narrow = (diagnostics_figure(values, width) for width in (960, 358))
        key = f"levels_inside_{place + 1}" if len(blocks) > 1 else "levels_inside"
        pictures.keep(key, wide)
        sources = [source for agent in agents for source in agent.sources]
        lines = joined(
            (
                say("<b>{}</b>: {}", name.replace("_", " "), DIAGNOSTICS[name])
                for name in names
                if name in DIAGNOSTICS
            ),
            "; ",
        )
        several = " Points side by side are settings, in the order of the table." if len(agents) > 1 else ""
        caption = say("{}.{} {}. From {}.", block.task, several, lines, links(sources))
        parts.append(picture(key, wide, narrow, "diagnostics of every level", caption))
        rows = []
        for agent in agents:
            for level in range(1, agent.levels + 1):
                cells = [_cell(_values(agent, name), level, agent) for name in names]
                rows.append([_one_level(level), _agent_name(agent, agents), *cells, links(agent.sources)])
        head = ["level", "agent", *(name.replace("_", " ") for name in names), "from"]
        parts.append(table(head, rows, kind="small"))
    return joined(parts)


def _ladder_table(block: Block, rungs: dict[str, dict[int, Agent]], ordered: list[str]) -> Markup:
    counts = sorted({levels for found in rungs.values() for levels in found})
    rows = []
    for rung in ordered:
        cells = []
        for levels in counts:
            agent, base = rungs[rung].get(levels), rungs.get("", {}).get(levels)
            cell = percent(block.rate(agent)) if agent else NOTHING
            gain = block.compare(agent, base) if agent and base and rung else None
            more = say('<br><span class="quiet">{}</span>', points(gain.difference)) if gain else Markup()
            cells.append(cell + more)
        sources = [source for agent in rungs[rung].values() for source in agent.sources]
        rows.append([_rung_name(rung), *cells, links(sources)])
    head = ["rung", *(level_name(levels) for levels in counts), "from"]
    caption = "Success (95 %), and below it the paired difference to the agent itself in points"
    return table(head, rows, caption, "small")


def _apart(setting: Setting) -> tuple[Any, ...]:
    """What a ladder's rungs have in common: the setting without its oracle."""
    return setting.metric, setting.planner, setting.budget_tflops, setting.variant


def _apart_name(key: tuple[Any, ...]) -> str:
    metric, planner, budget, variant = key
    return ", ".join(filter(None, [metric, planner, f"{budget:g} TFLOP" if budget > 0 else "", variant]))


def _height(rung: str) -> tuple[int, str]:
    kind = rung.partition(":")[0]
    return (RUNGS.index(kind) if kind in RUNGS else len(RUNGS)), rung


def _rung_name(rung: str) -> str:
    kind, _, level = rung.partition(":")
    if kind == "subgoals" and level:
        return f"oracle subgoals of level {level}"
    known = {"": "none: the agent", "random-subgoals": "random subgoals", "subgoals": "oracle subgoals"}
    return known.get(rung, f"oracle {rung}")


def _deepest(block: Block) -> list[Agent]:
    """The deepest agent of every setting without an oracle; of those with diagnostics, where there are any."""
    found: dict[Setting, Agent] = {}
    for agent in block.agents:
        best = found.get(agent.setting)
        if not agent.setting.oracle and (best is None or agent.levels >= best.levels):
            found[agent.setting] = agent
    told = [agent for agent in found.values() if any(e.record.get("diagnostics") for e in agent.entries)]
    return told or list(found.values())


def _agent_name(agent: Agent, among: Sequence[Agent]) -> str:
    texts = agent.setting.differing(one.setting for one in among)
    return ", ".join(texts.values()) or agent.setting.metric


def _tables(agent: Agent) -> list[list[dict[str, Any]]]:
    """Diagnostics of each record: a dictionary per level; what has another form is passed over."""
    found = []
    for entry in agent.entries:
        held = entry.record.get("diagnostics")
        levels = held if isinstance(held, list) else []
        shares = entry.record["active_share"]
        joined = []
        for level in range(agent.levels):
            one = levels[level] if level < len(levels) and isinstance(levels[level], dict) else {}
            joined.append({"active_share": shares[level], **one})
        found.append(joined)
    return found


def _names(agent: Agent) -> set[str]:
    return {
        name
        for levels in _tables(agent)
        for one in levels
        for name, v in one.items()
        if _finite(v) is not None
    }


def _values(agent: Agent, name: str) -> list[float | None]:
    """Mean over the records, per level."""
    means: list[float | None] = []
    for level in range(agent.levels):
        known = [_finite(levels[level].get(name)) for levels in _tables(agent)]
        numbers = [value for value in known if value is not None]
        means.append(sum(numbers) / len(numbers) if numbers else None)
    return means


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _cell(values: list[float | None], level: int, agent: Agent) -> Markup:
    return compact(values[level - 1], agent.sources)


def _one_level(level: int) -> Markup:
    return level_name(level, f"level {level}")


def _known_order(name: str) -> tuple[int, str]:
    order = list(DIAGNOSTICS)
    return (order.index(name) if name in order else len(order)), name

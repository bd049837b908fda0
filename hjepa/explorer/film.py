"""A film strip: still pictures of one episode, for readers whose browser runs no script."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import Any

import numpy as np

from hjepa.explorer.opening import highest_active, opening
from tasks.observations import HEADINGS, LAVA, WALL

PICTURES = 6
"""Of each agent, evenly spread from its first step to its last."""


PERCEPTION = {
    "told": "told: coordinates and the grid",
    "seen": "told: nothing",
}
"""What agents are given; the script says the same."""


def film_strip(content: Mapping[str, Any]) -> str:
    """HTML of an episode of the first world, walked by the agents that the page opens with; nothing if there is
    none."""
    if not content["agents"]:
        return ""
    begin = opening(content, 0)
    agents = [content["agents"][index] for index in begin["agents"]]
    parts = [_strip(content, agent, begin["episode"]) for agent in agents]
    return "\n".join([_legend(content, max(agent["levels"] for agent in agents)), *parts])


def _legend(content: Mapping[str, Any], levels: int) -> str:
    """What lines and marks mean, where there are as many levels at most."""
    if content["worlds"][0]["kind"] == "seen":
        if levels < 2:
            return ""
        return (
            "<p>Above: the world as it was. Below: the subgoal that the highest level hands down at that step, as the"
            " nearest state seen: the picture whose latent is nearest to what the level imagines.</p>"
        )
    return (
        "<p>Grey line: way walked. Dark triangle or disc: the agent. Star: the goal. Lines in colour: what a level"
        " imagines, whole for level 1, dashed above it. Disc with a number, as (3): the subgoal that this level hands"
        " down; it is gone while the level is skipped.</p>"
    )


def _strip(content: Mapping[str, Any], agent: Mapping[str, Any], episode: int) -> str:
    world, walk = content["worlds"][0], agent["episodes"][episode]
    task = world["episodes"][episode]
    how = "reached the goal" if walk["success"] else "did not reach the goal"
    metric = "" if agent["metric"] is None else f", cost {agent['metric']}"
    title = (
        f"{agent['run']}, {agent['levels']} level{'s' if agent['levels'] > 1 else ''}{metric}: {how}"
        f" in {walk['steps']} steps"
    )
    if world["kind"] == "cells":
        title += f" (shortest way {task['shortest']})"
        frames = _drawn(content, world, task, walk)
    else:
        frames = _seen(content, world, task, walk)
    title += f"; episode {task['number']}; {PERCEPTION[agent['information']]}"
    return f'<h2>{html.escape(title)}</h2>\n<div class="strip">{frames}</div>'


def _drawn(
    content: Mapping[str, Any], world: Mapping[str, Any], task: Mapping[str, Any], walk: Mapping[str, Any]
) -> str:
    """Pictures of a floor plan."""
    walls = _walls(content, world, task)
    moments = sorted({round(walk["steps"] * part / (PICTURES - 1)) for part in range(PICTURES)})
    return "".join(
        f'<figure class="still">{_picture(content, world, task, walk, walls, step)}<figcaption>step {step}</figcaption>'
        "</figure>"
        for step in moments
    )


def _seen(
    content: Mapping[str, Any], world: Mapping[str, Any], task: Mapping[str, Any], walk: Mapping[str, Any]
) -> str:
    """Pictures of a world that renders them, with the subgoal of the highest level that plans, the goal last."""
    count = len(walk["frames"])
    chosen = sorted({round((count - 1) * part / (PICTURES - 1)) for part in range(PICTURES)}) if count else []
    level = highest_active(walk)
    found = []
    for n in chosen:
        step = min(n * world["every"], walk["steps"])
        inside = _image(content, walk["frames"][n], f"the world at step {step}", f"step {step}")
        if level > 1:
            made = [plan for plan in walk["levels"][level - 1]["plans"] if plan["at"] <= step]
            near = made[-1]["near"] if made else None
            text = f"level {level}: {'subgoal' if near else 'skipped'}"
            inside += _image(
                content, near, f"subgoal of level {level} at step {step}, nearest state seen", text
            )
        found.append(inside)
    if task["goal"] is not None:
        found.append(_image(content, task["goal"], "the world at the goal", "the goal"))
    return "".join(f'<figure class="still">{inside}</figure>' for inside in found)


def _image(content: Mapping[str, Any], name: str | None, alt: str, text: str) -> str:
    image = "" if name is None else f'<img alt="{alt}" src="data:image/webp;base64,{content["blobs"][name]}">'
    return f"{image}<figcaption>{text}</figcaption>"


def _walls(content: Mapping[str, Any], world: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    raw = np.frombuffer(base64.b64decode(content["blobs"][task["grid"]]), np.uint8)
    grid = raw.reshape(world["height"], world["width"])
    paths = []
    for code, colour in ((WALL, "#4a4a4a"), (LAVA, "#d55e00")):
        cells = "".join(f"M{x} {y}h1v1h-1z" for y, x in np.argwhere(grid == code).tolist())
        paths.append(f'<path fill="{colour}" d="{cells}"/>' if cells else "")
    return "".join(paths)


def _picture(
    content: Mapping[str, Any],
    world: Mapping[str, Any],
    task: Mapping[str, Any],
    walk: Mapping[str, Any],
    walls: str,
    step: int,
) -> str:
    """One moment as SVG, a unit a cell."""
    size = min(1.2, 0.045 * world["width"])
    path = np.reshape(walk["path"], (-1, 3))[: step + 1]
    places = path[:, :2] / 10 + 0.5
    parts = [
        f'<rect width="{world["width"]}" height="{world["height"]}" fill="#ffffff"/>',
        walls,
        _line(places, "#8f8f8f", 0.45),
    ]
    discs = []
    for level in range(len(walk["levels"]), 0, -1):
        made = [plan for plan in walk["levels"][level - 1]["plans"] if plan["at"] <= step]
        if not made or made[-1]["skipped"]:
            continue
        plan, colour = made[-1], content["colours"]["levels"][(level - 1) % len(content["colours"]["levels"])]
        ahead = np.reshape(plan["xy"], (-1, 2)) / 10 + 0.5
        dashes = "" if level == 1 else ' stroke-dasharray="0.6 0.6"'
        parts.append(_line(np.vstack([places[plan["at"]], ahead]), colour, 0.3 * size, dashes))
        if level > 1:
            discs.append(_disc(ahead[0], colour, level, size))
    goal_x, goal_y = (value + 0.5 for value in task["goal"])
    star = " ".join(
        f"{goal_x + size * (0.45 if i % 2 else 1) * np.sin(np.pi * i / 5):.2f},"
        f"{goal_y - size * (0.45 if i % 2 else 1) * np.cos(np.pi * i / 5):.2f}"
        for i in range(10)
    )
    parts.append(
        f'<polygon points="{star}" fill="{content["colours"]["goal"]}" stroke="#222" stroke-width="0.12"/>'
    )
    return (
        f'<svg viewBox="0 0 {world["width"]} {world["height"]}" role="img" aria-label="floor plan at step {step}">'
        f"{''.join(parts + discs)}{_agent(places[-1], int(path[-1, 2]), size)}</svg>"
    )


def _line(points: np.ndarray, colour: str, width: float, more: str = "") -> str:
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{width:.2f}"{more}/>'


def _disc(place: np.ndarray, colour: str, level: int, size: float) -> str:
    x, y = place
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.2f}" fill="#fff" stroke="{colour}"'
        f' stroke-width="{0.3 * size:.2f}"/>'
        f'<text x="{x:.1f}" y="{y + 0.45 * size:.2f}" font-size="{1.3 * size:.2f}" font-weight="700"'
        f' text-anchor="middle" fill="#222">{level}</text>'
    )


def _agent(place: np.ndarray, heading: int, size: float) -> str:
    x, y = place
    if heading < 0:
        return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{0.8 * size:.2f}" fill="#222"/>'
    ahead = HEADINGS[heading].astype(float)
    side = np.array([-ahead[1], ahead[0]])
    corners = place + size * np.stack([ahead, -ahead + 0.8 * side, -ahead - 0.8 * side])
    text = " ".join(f"{a:.2f},{b:.2f}" for a, b in corners)
    return f'<polygon points="{text}" fill="#222" stroke="#fff" stroke-width="0.1"/>'

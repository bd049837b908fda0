"""How a page opens: which two agents stand side by side, and in which episode; one rule for script and film strip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def openings(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per world of the data of `hjepa.explorer.schema`: ``agents``, indices of one or two, and ``episode``."""
    return [opening(content, world) for world in range(len(content["worlds"]))]


def opening(content: Mapping[str, Any], world: int) -> dict[str, Any]:
    """How one world opens.

    The fewest levels stand on the left and the most on the right, for what levels bring is the question; of as many
    levels those that were trained so come before those of a stack cut to them. The episode is the first that one of
    the two solves and the other does not, or the first of all.

    Returns:
        ``agents``: indices of none, one or two; ``episode``.
    """
    agents = content["agents"]
    own = [index for index, agent in enumerate(agents) if agent["world"] == world]
    own.sort(key=lambda index: (agents[index]["levels"], agents[index]["depth"] == "truncated", index))
    chosen = own[:1]
    if len(own) > 1:
        most = next(i for i in own if agents[i]["levels"] == agents[own[-1]]["levels"])
        chosen = [own[0], own[1] if most == own[0] else most]
    outcomes = [[walk["success"] for walk in agents[index]["episodes"]] for index in chosen]
    differ = [row for row, pair in enumerate(zip(*outcomes)) if len(set(pair)) > 1]
    return {"agents": chosen, "episode": differ[0] if differ else 0}


def highest_active(walk: Mapping[str, Any]) -> int:
    """The highest level that plans in an episode: one that is always skipped has little to show."""
    return max(
        k if any(not p["skipped"] for p in level["plans"]) else 1 for k, level in enumerate(walk["levels"], 1)
    )

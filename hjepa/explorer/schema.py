"""What the page reads: plain values, documented here and checked by `check`.

```
format       "hjepa-explorer"
version      1
title        text
colours      {levels: [#RRGGBB per level, they come again], ramp: [#RRGGBB from near to far], goal: #RRGGBB}
worlds       a list, one per task; of a world that was learned from a store of observations see below:
  kind         cells
  task         id
  split        train, validation or test
  starts       kind of start and goal, as far or uniform
  seed         of the episodes; these three are null where they are not known
  continuous   whether agents are points
  width, height  cells
  step_budget  environment steps of an episode
  episodes     a list:
    number       in the evaluation set, from 0
    grid         blob of W H bytes, object codes of MiniGrid, cell (x, y) at y W + x
    steps        blob of W H unsigned 16-bit numbers, little endian: steps of the shortest path to the goal, 65535
                 where there is none
    goal         [x, y]
    shortest     steps of the shortest path from the start
agents       a list, each one run with one number of levels and one metric:
  run          shipped weights or run folder
  world        index of its world
  levels, of   levels in use, levels of the run
  depth        truncated or trained
  metric       of the goal cost, null where it is not known
  information  told or seen
  spans        environment steps that one step of each level takes, level 1 first
  episodes     a list, those of its world:
    success      0 or 1
    steps        S, environment steps walked
    path         S + 1 triples in one list: x and y in tenths of a cell, heading 0 east, 1 south, 2 west, 3 north,
                 -1 without one
    left         S + 1 steps of the shortest path to the goal that are left, -1 where there is none
    levels       a list, level 1 first:
      plans        a list in order of time:
        at           environment steps taken before it was made
        skipped      1: the level passed its goal down instead
        goal         1: it aimed at the goal, 0: at a subgoal
        xy           pairs in one list, tenths of a cell: where each predicted latent is, read by the level's probe;
                     the first is the subgoal of the level below
        uv           the same latents in the map of the latents
      map          the latents of all states of the floor plan, or null where they are not known:
        states       blob of pairs of bytes, one per free cell (x first, then y) and heading: place in the map / 1000
                     * 255
        headings     states per cell
        cost         blob of W H bytes: how far the level thinks the goal is, least over the headings, 0 near to 254
                     far, 255 at walls
        low, high    the cost of 0 and of 254
        unit         what it is counted in
        rank         rank correlation with the steps of the shortest path, or null
        goal         [u, v]
        path         S + 1 pairs in one list: the latents that were walked through
        shown        share of the variance of the latents that the map shows
blobs        name -> base64
```

A world that was learned from a store of observations has no floor plan. It and what happens in it say this instead:

```
worlds
  kind         seen
  task, split, starts, seed, step_budget   as above; starts says where goals are from
  observation  what agents are given: image, symbols or vector
  every        steps from one picture to the next
  held         a list of blobs, WebP, or null: of each held-out observation in the maps of latents; null where the
               maps are made of what was met on the way
  episodes     a list:
    number       in the evaluation set, from 0
    goal         blob of the picture of the goal, WebP, or null
    shortest     steps to the goal in the trajectory that it is from, or null
agents
  episodes     a list, those of its world:
    success, steps   as above
    frames       a list of blobs, WebP: the world at step 0, ``every``, 2 ``every``, ... and at the last; empty where
                 there are no pictures
    levels       a list, level 1 first:
      plans        as above, without xy, and above level 1:
        near         blob of the picture of the state whose latent of this level is nearest to the first in uv, as
                     the metric sees it, of held-out ones and of those on the way; null where there is none, or
                     the level was skipped
      map          the latents of held-out observations, or of those that were met where there are none:
        states       blob of pairs of bytes: place in the map / 1000 * 255
        shade        blob of a byte for each: how far the level thinks the goal is, 0 near to 254 far
        costs        S + 1 numbers: the same at every step
        low, high, unit, goal, path, shown   as above
```

Maps are 1000 wide and as high: u to the right, v downward. What is imagined can lie outside. A blob that several
places name is held once.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

FORMAT, VERSION = "hjepa-explorer", 1

NOWHERE = 65535
"""Steps to a goal that cannot be reached."""

WALLED = 255
"""Cost of a cell that nobody can be in."""


def check(content: Mapping[str, Any]) -> None:
    """Whether these are values that the page can draw.

    Raises:
        ValueError: something is missing or has another size; says what and where.
    """
    if content.get("format") != FORMAT or content.get("version") != VERSION:
        raise ValueError(f"explorer data: format {content.get('format')!r} {content.get('version')!r}")
    sizes = {}
    for name, text in content["blobs"].items():
        try:
            sizes[name] = len(base64.b64decode(text, validate=True))
        except (binascii.Error, TypeError) as error:
            raise ValueError(f"explorer data: blob {name!r} is not base64 ({error})") from None
    for place, world in enumerate(content["worlds"]):
        if world["kind"] == "seen":
            _known(sizes, world["held"] or [], f"worlds[{place}].held")
            continue
        cells = world["width"] * world["height"]
        for row, episode in enumerate(world["episodes"]):
            where = f"worlds[{place}].episodes[{row}]"
            _size(sizes, episode["grid"], cells, f"{where}.grid")
            _size(sizes, episode["steps"], 2 * cells, f"{where}.steps")
    for place, agent in enumerate(content["agents"]):
        if not 0 <= agent["world"] < len(content["worlds"]):
            raise ValueError(f"explorer data: agents[{place}].world is {agent['world']}")
        world = content["worlds"][agent["world"]]
        if len(agent["episodes"]) != len(world["episodes"]):
            raise ValueError(f"explorer data: agents[{place}] has other episodes than its world")
        check = _check_seen if world["kind"] == "seen" else _check_episode
        for row, episode in enumerate(agent["episodes"]):
            check(episode, agent, world, sizes, f"agents[{place}].episodes[{row}]")


def _check_episode(
    episode: Mapping[str, Any],
    agent: Mapping[str, Any],
    world: Mapping[str, Any],
    sizes: Mapping[str, int],
    where: str,
) -> None:
    moments = episode["steps"] + 1
    _length(episode["path"], 3 * moments, f"{where}.path")
    _length(episode["left"], moments, f"{where}.left")
    _length(episode["levels"], agent["levels"], f"{where}.levels")
    for k, level in enumerate(episode["levels"]):
        own = f"{where}.levels[{k}]"
        _in_order(level, episode, own)
        for plan in level["plans"]:
            _length(plan["uv"], len(plan["xy"]), f"{own}.plans at {plan['at']}")
        if level["map"] is not None:
            _length(level["map"]["path"], 2 * moments, f"{own}.map.path")
            _size(sizes, level["map"]["cost"], world["width"] * world["height"], f"{own}.map.cost")
            if level["map"]["states"] not in sizes:
                raise ValueError(f"explorer data: {own}.map.states names no blob")


def _check_seen(
    episode: Mapping[str, Any],
    agent: Mapping[str, Any],
    world: Mapping[str, Any],
    sizes: Mapping[str, int],
    where: str,
) -> None:
    moments = episode["steps"] + 1
    if episode["frames"]:
        _length(episode["frames"], 1 + -(-episode["steps"] // world["every"]), f"{where}.frames")
    _known(sizes, episode["frames"], f"{where}.frames")
    _length(episode["levels"], agent["levels"], f"{where}.levels")
    for k, level in enumerate(episode["levels"]):
        own, found = f"{where}.levels[{k}]", level["map"]
        _in_order(level, episode, own)
        _known(sizes, [plan["near"] for plan in level["plans"] if k], f"{own}.plans.near")
        if world["held"] is not None:
            _size(sizes, found["states"], 2 * len(world["held"]), f"{own}.map.states")
        _length(found["path"], 2 * moments, f"{own}.map.path")
        _length(found["costs"], moments, f"{own}.map.costs")
        _size(sizes, found["shade"], sizes.get(found["states"], -2) // 2, f"{own}.map.shade")


def _in_order(level: Mapping[str, Any], episode: Mapping[str, Any], where: str) -> None:
    times = [plan["at"] for plan in level["plans"]]
    if times != sorted(times) or (times and not 0 <= times[0] <= times[-1] <= episode["steps"]):
        raise ValueError(f"explorer data: {where}.plans are not in order of time")


def _known(sizes: Mapping[str, int], names: Sequence[str | None], where: str) -> None:
    if any(name is not None and name not in sizes for name in names):
        raise ValueError(f"explorer data: {where} names no blob")


def _length(values: Any, count: int, where: str) -> None:
    if len(values) != count:
        raise ValueError(f"explorer data: {where} has {len(values)} entries; {count} are needed")


def _size(sizes: Mapping[str, int], name: str, count: int, where: str) -> None:
    if sizes.get(name) != count:
        raise ValueError(f"explorer data: {where} has {sizes.get(name)} bytes; {count} are needed")

"""Missions to evaluate on: a description, read from a name, a file or a line, bound to held-out episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hjepa.errors import InputError
from hjepa.yaml_files import parse_yaml, read_yaml
from levels.ranges import shown
from tasks import EpisodeBatch, sample_episodes, task_spec
from tasks.mission_binding import bind
from tasks.missions import KINDS, Mission, MissionBatch, parse_mission

SPARE = 3
"""Episodes drawn for each that is asked for, because some have no place or no way for a mission."""


def read_mission(asked: str) -> Mission:
    """A mission by the name of its kind, from a YAML file, or as YAML on one line.

    Raises:
        InputError: neither, or a description that is wrong.
    """
    return _checked(KINDS[asked] if asked in KINDS else _description(asked), asked)


def mission_text(asked: str) -> str:
    """What tells a mission in a record: the name of its kind, or its description on one line.

    Raises:
        InputError: as `read_mission`.
    """
    read_mission(asked)
    if asked in KINDS:
        return asked
    return yaml.safe_dump(_description(asked), default_flow_style=True, width=10_000).strip()


def _description(asked: str) -> Any:
    file = Path(asked)
    named = file.suffix in (".yaml", ".yml", ".json")
    if not named and ":" not in asked:
        known = ", ".join(KINDS)
        raise InputError(f"mission {asked!r}", "plan", f"choose from {known}, or give a YAML file or a line")
    return read_yaml(file) if named else parse_yaml(asked, f"mission {shown(asked)}")


def _checked(description: Any, asked: str) -> Mission:
    try:
        return parse_mission(description)
    except ValueError as error:
        raise InputError(str(error), f"mission {asked}", "see `tasks.missions`") from None


def sample_missions(
    task: str, mission: Mission, split: str, tasks: str | None, episodes: int, seed: int
) -> tuple[EpisodeBatch, MissionBatch]:
    """Episodes to evaluate on, with their missions.

    Where a mission has nothing to do with keys and doors, agents begin with the key in hand and the doors open.

    Raises:
        InputError: a mission that the task's floor plans have no place for, or too few of them a way.
    """
    spec, asked = task_spec(task), SPARE * episodes
    drawn = sample_episodes(task, split, tasks, episodes=asked, seed=seed)
    if not any(verb in ("fetch", "open") for verb, _ in mission.legs):
        drawn.start[:, 3:], drawn.goal[:, 3:] = 0, 0
    try:
        found, bound = bind(mission, drawn, spec.step_budget, seed)
    except ValueError as error:
        raise InputError(
            str(error), f"mission on {task}", "choose another task, or another mission"
        ) from None
    if len(found) < episodes:
        raise InputError(
            f"{len(found)} of {asked} episodes of {task} have a way to do it in half of {spec.step_budget} steps",
            "mission",
            "ask for less, or choose another task",
        )
    return found.select(slice(0, episodes)), bound.select(slice(0, episodes))

"""The configurator: what planning is set to, from a mission (data) and where the agent stands.

A mission's legs are done one after another (`tasks.missions`). For each the configurator says which state to aim at,
whether the state counts or its place alone, and with how many levels to begin: as few as look far enough for what the
critic says is left. The horizon and the budget of a plan are those of the levels in use. Cells to avoid become a
guardrail. No weight changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from hjepa.settings import PlanSettings
from tasks.missions import VERBS, MissionBatch


@dataclass
class Course:
    """How far E episodes have come with their missions.

    Attributes:
        missions: of E episodes.
        leg: (E,) int64, legs done.
    """

    missions: MissionBatch
    leg: np.ndarray


@dataclass(frozen=True)
class Aims:
    """What R episodes are to aim at.

    Attributes:
        agent: (R, A) int64, agent vectors at the goals.
        exact: (R,) weight of the distance between latents beside the critic's steps to go.
    """

    agent: np.ndarray
    exact: np.ndarray


@runtime_checkable
class Configurator(Protocol):
    """Anything that sets planning."""

    def aims(self, course: Course, agent: np.ndarray, rows: np.ndarray) -> Aims:
        """What the episodes ``rows`` (R,), with agent vectors (R, A), aim at on their current legs."""
        ...

    def top(self, left: Tensor) -> Tensor:
        """The highest level in use, from 0, of episodes that have (R,) steps left to their goals."""
        ...


class LegByLeg:
    """The default: the legs of a mission in their order.

    Args:
        settings: of planning.
        spans: environment steps in a step of each level in use.
    """

    def __init__(self, settings: PlanSettings, spans: Sequence[int]) -> None:
        self.exact = settings.exact
        self.reach = [settings.horizon[k] * span for k, span in enumerate(spans)]

    def aims(self, course: Course, agent: np.ndarray, rows: np.ndarray) -> Aims:
        """See `Configurator`; doors and keys are to be as they are, but for what the leg is about."""
        leg = np.minimum(course.leg[rows], course.missions.legs - 1)
        place, slot = course.missions.place[rows, leg], course.missions.slot[rows, leg]
        state = course.missions.verb[rows, leg] == VERBS.index("match")
        goal = np.where(state[:, None], place, agent)
        goal[:, :3] = place[:, :3]
        handled = slot > 0
        goal[handled, slot[handled]] = 0
        return Aims(goal, self.exact * state)

    def top(self, left: Tensor) -> Tensor:
        """See `Configurator`: the lowest level that looks so far ahead."""
        reach = torch.tensor(self.reach[:-1], device=left.device, dtype=left.dtype)
        return (left.unsqueeze(-1) > reach).sum(-1)

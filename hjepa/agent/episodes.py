"""Episodes in progress: what an agent keeps between two steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hjepa.agent.doubt import Doubt
from hjepa.gridworld.configurator import Course
from hjepa.gridworld.short_term_memory import Memory
from planners.top_down import PlanState


@dataclass
class Episodes:
    """E episodes; `hjepa.agent.agent.Agent.begin` makes them, `Agent.act` changes them.

    Attributes:
        plan: state of the planner.
        memories: per level, what `hjepa.agent.encoding.Reader.write` made, one row per episode, or None.
        floor: (E, W, H, 3) floor plans, as the first observations showed them; in a world that is seen in parts, what
            is believed of them now.
        goal: (E, A) agent vectors at the goals.
        course: how far missions have come; None: there is one goal.
        short_term: what has been seen, in a world that is seen in parts.
        stale: (K, E) bool, levels whose memory was written before something else was seen.
        surprised: (E,) int64, how often everything was planned anew because something stood in the way.
        doubt: of ways that the critic claims; None: it is believed.
    """

    plan: PlanState
    memories: list[Tensor | None]
    floor: np.ndarray
    goal: Tensor
    course: Course | None
    short_term: Memory | None
    stale: Tensor
    surprised: Tensor
    doubt: Doubt | None = None

    @property
    def flops(self) -> Tensor:
        """(E,) float64, floating point operations so far, perception included."""
        return self.plan.flops

"""An agent with a stopwatch, to tell its time from the world's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hjepa.agent.agent import Agent
from hjepa.bench.row import timed


class Timed:
    """An agent with a stopwatch on what it does; else it is the agent.

    Args:
        agent: whose time is taken.
        clock: in seconds.

    Attributes:
        began, acted: seconds so far of beginning episodes, and of their steps.
        steps: of them, all episodes played at once counted as one.
    """

    def __init__(self, agent: Agent, clock: Callable[[], float]) -> None:
        self.agent, self.clock = agent, clock
        self.began = self.acted = 0.0
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agent, name)

    def begin(self, *arguments: Any) -> Any:
        """See `hjepa.agent.agent.Agent.begin`."""
        seconds, found = timed(self.clock, self.agent.begin, *arguments)
        self.began += seconds
        return found

    def act(self, *arguments: Any) -> Any:
        """See `hjepa.agent.agent.Agent.act`."""
        seconds, found = timed(self.clock, self.agent.act, *arguments)
        self.acted += seconds
        self.steps += 1
        return found

"""The grid value map: greedy descent of the critic's field, without a world model.

The critic is trained with cells as labels and spreads costs over the true grid, so its field is a plan already: at
every step the agent takes the action whose successor, by what the field itself says moves and turns cost, is nearest
to the goal. No predictor, no search, no levels. It is a control: what a result under the metric ``critic`` would have
been without everything that is measured there. It is planned with one level of a stack (``--planner value-map``).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hjepa.agent.agent import Agent
from hjepa.agent.episodes import Episodes
from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.gridworld.guardrails import without_lava
from hjepa.model.perception import Observation
from hjepa.model.stack import Stack
from levels.costs.hindsight import FAR
from levels.grid.critic import Critic
from tasks import TaskSpec
from tasks.missions import MissionBatch
from tasks.observations import FORWARD, HEADINGS, LEFT, RIGHT

VALUE_MAP = "value-map"
"""Name of this planner."""


class ValueMapAgent(Agent):
    """Descends the critic's field.

    Args:
        stack: with a critic.
        spec: the task, whose step budget it has.
        options: as of any agent; of one level, without guardrails.

    Raises:
        InputError: no critic, more than one level, or a world with more to do than to turn and to walk.
    """

    def __init__(self, stack: Stack, spec: TaskSpec, options: AgentOptions) -> None:
        super().__init__(stack, spec.step_budget, options)
        if self.settings.metric != "critic" or self.depth != 1:
            raise InputError(
                f"{self.depth} levels under {self.settings.metric}",
                f"planner {VALUE_MAP}",
                "it descends the critic's field: plan with --levels 1 --metric critic",
            )
        if spec.family == "nested-point" or spec.doors or spec.keys or spec.view or self.guardrails:
            raise InputError(
                f"planner {VALUE_MAP} on {spec.id}",
                "plan",
                "it knows walls alone: choose a task without more",
            )

    def begin(self, observation: Observation, goal: Observation | MissionBatch, keys: Tensor) -> Episodes:
        """As `Agent.begin`; the costs of moves and turns are read off the floor plans once."""
        if isinstance(goal, MissionBatch):
            raise InputError(f"planner {VALUE_MAP} with a mission", "plan", "plan without one of them")
        episodes = super().begin(observation, goal, keys)
        grid = torch.from_numpy(np.ascontiguousarray(without_lava(episodes.floor))).to(self._device)
        field = episodes.plan.levels[0].field
        assert field is not None
        critic = self.stack.critic(0)
        if not isinstance(critic, Critic):
            raise InputError(
                f"planner {VALUE_MAP} of a stack that sees", "plan", "it is a control of what is told"
            )
        with torch.no_grad():
            self._table = action_values(critic, grid, field)
        # What an agent writes for its predictors nobody reads here: the field, the start and the goal are all.
        episodes.plan.flops.fill_(self.searches.metric_flops + 2 * self.searches.encode_flops)
        return episodes

    @torch.no_grad()
    def act(self, episodes: Episodes, observation: Observation, active: Tensor | None = None) -> np.ndarray:
        """The next action (E,) of each episode, see `Agent.act`."""
        latent = self.reader.encode(self.perception.see(observation, episodes.floor)[1])
        critic = self.stack.critic(0)
        assert isinstance(critic, Critic)
        column, row, heading = (belief.argmax(-1) for belief in critic.place(latent))
        index = torch.arange(len(latent), device=latent.device)
        values = self._table[index, :, heading, column, row]
        running = torch.ones(len(latent), dtype=torch.bool) if active is None else active
        episodes.plan.flops += self.searches.encode_flops * running.to(self._device)
        # Asked at every step, and never planned: no level was active.
        episodes.plan.levels[0].asked += running.to(self._device)
        actions = np.array([LEFT, RIGHT, FORWARD])
        return actions[values.argmin(-1).cpu().numpy()]


def action_values(critic: Critic, grid: Tensor, field: Tensor) -> Tensor:
    """Steps to go after each action, its own cost included: floor plans (P, W, H, 3), field (P, 4, W, H) ->
    (P, 3, 4, W, H) of left, right and forward, at every heading and cell."""
    moves, turns = critic.costs(grid)
    headings = torch.arange(len(HEADINGS))
    turned = [field[:, (headings + step) % 4] + turns[:, headings, (headings + step) % 4] for step in (-1, 1)]
    walled = F.pad(field, (1, 1, 1, 1), value=FAR)
    width, height = critic.size
    ahead = []
    for heading, (dx, dy) in enumerate(HEADINGS.tolist()):
        there = walled[:, heading, 1 + dx : 1 + dx + width, 1 + dy : 1 + dy + height]
        ahead.append(there + moves[:, heading, NEIGHBOURS.index((dx, dy))])
    return torch.stack([*turned, torch.stack(ahead, 1)], 1)


NEIGHBOURS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Cells that the critic's moves lead to, in its order (`levels.critic.Critic`)."""

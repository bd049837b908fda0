"""The true states of floor plans beside what a stack makes of them: for oracles and diagnosis alone.

No agent that is evaluated may use it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hjepa.errors import InputError
from hjepa.model.form import Form
from hjepa.model.perception import draw
from hjepa.model.stack import Stack
from levels.grid.agent_encoders import HEADINGS
from tasks import EpisodeBatch, cell_distances, step_agents


class Truth:
    """All states of E floor plans, their latents, and how to get from one to another.

    Plans have different numbers of states; tables are padded to the largest, S, and what is padded is never
    nearest and never reachable.

    Args:
        stack: its latents.
        episodes: E of them.
        memories: per level, what the stack wrote of the plans, or None.

    Attributes:
        count: (E,) int64, states of each plan.
        states: (E, S, 3) int64, x, y, heading.
        following: (E, S, A) int64, the state after each action.
        steps: (E, S, S) int16, steps from a state (row) to the cell of another, headings free.
        latents: per level, (E, S, D), infinite where padded.
        start, goal: (E,) int64, the states of the first and of the goal observation.

    Raises:
        InputError: a task with doors, or a continuous one.
    """

    def __init__(self, stack: Stack, episodes: EpisodeBatch, memories: Sequence[Tensor | None]) -> None:
        if episodes.doors or episodes.continuous:
            raise InputError(
                "oracles know plans of walls alone", "oracle", "choose a task hjepa/NestedRooms..."
            )
        device = stack.step_distance.device
        self.spans = stack.config.spans
        plans = [cell_distances(walls, any_heading=False) for walls in episodes.walls]
        self.count = torch.tensor([len(states) for states, _ in plans], device=device)
        most = int(self.count.max())
        states = np.zeros((len(plans), most, 3), dtype=np.int64)
        exact = np.full((len(plans), most, most), -1, dtype=np.int16)
        for row, (own, between) in enumerate(plans):
            states[row] = own[0]  # padding stands on a free cell, where nothing is out of bounds
            states[row, : len(own)] = own
            exact[row, : len(own), : len(own)] = between
        number = np.zeros((len(plans), *episodes.walls.shape[1:], 4), dtype=np.int64)
        for row, (own, _) in enumerate(plans):
            number[row][tuple(own.T)] = np.arange(len(own))
        after = step_agents(
            episodes.walls[:, None, None], states[:, :, None], np.arange(stack.world.actions)[None, None]
        )
        rows = np.arange(len(plans))
        self.states = torch.from_numpy(states).to(device)
        self._exact = torch.from_numpy(exact).to(device)
        # States of one cell lie side by side, by heading: the nearest of the four is the cell.
        self.steps = self._exact.unflatten(2, (-1, HEADINGS)).amin(-1).repeat_interleave(HEADINGS, 2)
        self.following = torch.from_numpy(number[(rows[:, None, None], *np.moveaxis(after, -1, 0))]).to(
            device
        )
        self.goal = torch.from_numpy(number[(rows, *episodes.goal.T)]).to(device)
        self.start = torch.from_numpy(number[(rows, *episodes.start.T)]).to(device)
        self._number = number
        padded = torch.arange(most, device=device) >= self.count[:, None]
        with torch.no_grad():
            if stack.sees:
                encoded = stack.encode(_seen(stack, episodes, states), memories, form=Form(encoded=True))
            else:
                encoded = stack.encode(self.states, memories)
        self.latents = [latent.masked_fill(padded[..., None], torch.inf) for latent in encoded]

    def within(self, steps: int) -> Tensor:
        """(E, S, S) bool: can the second state, heading and all, be had from the first in so many steps or fewer?"""
        return (self._exact <= steps) & (self._exact >= 0)

    def locate(self, level: int, latent: Tensor, rows: Tensor, allowed: Tensor | None = None) -> Tensor:
        """The true state whose latent is nearest.

        Args:
            level: from 0.
            latent: (B, ..., D).
            rows: (B,) which plans.
            allowed: (B, ..., S) bool, states to choose from; None: all.

        Returns:
            (B, ...) int64.
        """
        flat = latent.flatten(1, -2) if latent.ndim > 2 else latent.unsqueeze(1)
        table = self.latents[level][rows]
        known = table.isfinite().all(-1)
        finite = torch.where(known[..., None], table, 0.0)
        # Squared distance, less what is the same for every state.
        distance = finite.square().sum(-1)[:, None] - 2 * flat @ finite.transpose(1, 2)
        distance = distance.masked_fill(~known[:, None], torch.inf)
        if allowed is not None:
            distance = distance.masked_fill(~allowed.reshape(distance.shape), torch.inf)
        return distance.argmin(-1).view(latent.shape[:-1])

    def encode(self, level: int, state: Tensor, rows: Tensor) -> Tensor:
        """Latents (B, ..., D) of states (B, ...) of the plans ``rows`` (B,)."""
        flat = state.flatten(1) if state.ndim > 1 else state.unsqueeze(1)
        table = self.latents[level][rows]
        found = table.gather(1, flat[..., None].expand(-1, -1, table.shape[-1]))
        return found.view(*state.shape, -1)

    def steps_between(self, first: Tensor, second: Tensor, rows: Tensor) -> Tensor:
        """Steps from states to the cells of others, of the same shape (B, ...), in plans ``rows`` (B,)."""
        shape = [-1] + [1] * (first.ndim - 1)
        return self.steps[rows.view(shape), first, second]

    def numbers(self, agent: np.ndarray) -> Tensor:
        """(E, ..., 3) x, y, heading -> (E, ...) numbers of the states."""
        rows = np.arange(len(agent)).reshape(-1, *[1] * (agent.ndim - 2))
        found = self._number[(rows, *np.moveaxis(agent, -1, 0))]
        return torch.from_numpy(found).to(self.states.device)

    def ahead(self, state: Tensor, rows: Tensor, steps: int) -> Tensor:
        """The states (B,) after walking so many steps of a shortest path to the goal; the goal's own once there."""
        goal = self.goal[rows]
        for _ in range(steps):
            choices = self.following[rows, state]
            left = self.steps[rows[:, None], choices, goal[:, None]].long()
            state = choices.gather(1, left.argmin(1, keepdim=True))[:, 0]
            arrived = self.steps[rows, state, goal] == 0
            state = torch.where(arrived, goal, state)
        return state


def _seen(stack: Stack, episodes: EpisodeBatch, states: np.ndarray) -> Tensor:
    """What level 1 makes of the pictures of all states (E, S, 3): latents (E, S, D)."""
    sight, level = stack.world.sight, stack.level(0)
    assert sight is not None
    latents = []
    for grid, own in zip(episodes.grid, states):
        pictures = draw(sight, np.repeat(grid[None], len(own), 0), own)
        latents.append(level.encode(torch.from_numpy(pictures)[None].to(stack.step_distance.device), None)[0])
    return torch.stack(latents)

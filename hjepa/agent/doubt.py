"""Ways that a critic claims and nobody comes along: from then on they cost more, in this episode.

A critic that takes a wall for a way sends its agent before the wall, and there it stays: nothing that a level imagines
from that place is nearer by the critic. Real-time search raises the estimate of a state that turned out to be no way
(LRTA*: Korf, "Real-time heuristic search", Artificial Intelligence 42, 1990). Here what raises is the move itself, by
which the field descends from where the agent has come no nearer for a while, and steps to go spread from the goal
anew: so the estimates of all places whose way it was rise with it, and the next way is another one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from levels.costs.field import FieldCost
from planners.blocks import blocks
from planners.plan_state import PlanState
from planners.rollouts import ALIGNED

DEARER = 16.0
"""Steps of the field's own that a doubted move costs more: as far as a way round may well be. Where there is no way
round it is walked all the same, for every other one costs more still."""

NEARER = 0.5
"""Steps of the agent by which it has to come nearer for that to count; less is the noise of places."""


@dataclass
class Doubt:
    """What E episodes doubt.

    Attributes:
        critics: per level, what its steps to go are read by.
        sweeps: of a field.
        patience: steps without coming nearer, after which the way is doubted.
        moves: of each critic that is another one than that of the level below, (E, 4, W, H) what moves cost.
        nearest: (E,) least steps to go since the last doubt.
        waited: (E,) int64, steps since then.
        flops: operations of one doubt of one episode.
        look_flops: of asking how far it is.
    """

    critics: list[FieldCost]
    sweeps: int
    patience: int
    moves: list[Tensor]
    nearest: Tensor
    waited: Tensor
    flops: float
    look_flops: float

    def watch(self, state: PlanState, latent: Tensor, active: Tensor, block: int) -> None:
        """Doubt the ways of the episodes that have not come nearer for too long.

        Args:
            state: of E episodes, whose fields change in place.
            latent: (E, D) level 1's latents of now.
            active: (E,) bool, episodes still running.
            block: episodes per call, padded: the same bits in any company.
        """
        rows = active.nonzero().squeeze(1)
        to_go = self._to_go(state, latent, rows, block)
        state.flops[rows] += self.look_flops
        nearer = to_go < self.nearest[rows] - NEARER
        self.nearest[rows] = torch.where(nearer, to_go, self.nearest[rows])
        self.waited[rows] = torch.where(nearer, 0, self.waited[rows] + 1)
        rows = rows[self.waited[rows] > self.patience]
        if not len(rows):
            return
        self._raise(state, latent[rows], rows)
        state.flops[rows] += self.flops
        self.nearest[rows] = self._to_go(state, latent, rows, block)
        self.waited[rows] = 0

    def _to_go(self, state: PlanState, latent: Tensor, rows: Tensor, block: int) -> Tensor:
        """Steps to go (R,) of the episodes ``rows`` (R,)."""
        field = state.levels[0].field
        assert field is not None
        parts = [
            self.critics[0](latent[index].unsqueeze(1).expand(-1, ALIGNED, -1), field[index])[:kept, 0]
            for index, kept in blocks(rows, block)
        ]
        return torch.cat(parts) if parts else latent.new_zeros(0)

    def _raise(self, state: PlanState, latent: Tensor, rows: Tensor) -> None:
        """Let the moves by which fields descend from latents (R, D) of the episodes ``rows`` (R,) cost more."""
        field = state.levels[0].field
        assert field is not None
        move = descending(self.critics[0], latent, field[rows], self.moves[0][rows])
        for moves in self.moves:
            moves[(rows, *move)] += DEARER
        self.spread(state, rows)

    def spread(self, state: PlanState, rows: Tensor) -> None:
        """Make the fields of the episodes ``rows`` (R,) anew, over what moves cost by now."""
        closed = None if state.zone is None else state.zone[rows] > 0
        part, fresh = -1, None
        for k, (level, critic) in enumerate(zip(state.levels, self.critics)):
            if not k or critic is not self.critics[k - 1]:
                part += 1
                fresh = critic.spread(self.moves[part][rows], level.goal[rows], self.sweeps, closed)
            assert level.field is not None and fresh is not None
            level.field[rows] = fresh
        if state.layout is not None:
            # Subgoals' fields spread over what the lowest critic reads.
            state.layout[rows] = self.moves[0][rows]


def descending(
    critic: FieldCost, latent: Tensor, field: Tensor, moves: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The move from the place nearest to each latent by which the field descends.

    Args:
        critic: whose places they are.
        latent: (R, D).
        field: (R, 1, W, H) steps to go.
        moves: (R, 4, W, H) what moves cost to the place after in x, before in x, after in y, before in y.

    Returns:
        (R,) which of the four, and the place's x and y.
    """
    width, height = field.shape[-2:]
    place = critic.where(latent) + latent.new_tensor([(width - 1) / 2, (height - 1) / 2])
    x, y = place.round().long().unbind(-1)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    row = torch.arange(len(latent), device=latent.device)
    steps = field[:, 0]
    ways = []
    for number, (right, down) in enumerate(((1, 0), (-1, 0), (0, 1), (0, -1))):
        beside = (x + right).clamp(0, width - 1), (y + down).clamp(0, height - 1)
        # At an edge the place beside is the place itself, and staying costs what the move costs.
        ways.append(steps[(row, *beside)] + moves[row, number, x, y])
    return torch.stack(ways, 1).argmin(1), x, y

"""Ways that a critic claims and nobody comes along: from then on they cost more, in this episode.

A critic that takes a wall for a way sends its agent before the wall, and there it stays: nothing that a level imagines
from that place is nearer by the critic. Real-time search raises the estimate of a state that turned out to be no way
(LRTA*: Korf, "Real-time heuristic search", Artificial Intelligence 42, 1990). Here the move itself is raised, by
which the field descends from where the agent has come no nearer for a while, and steps to go spread from the goal
anew: so the estimates of all places whose way it was rise with it, and the next way is another one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hjepa.agent.budget import Searches
from levels.costs.field import FieldCost
from planners.blocks import blocks
from planners.plan_state import PlanState
from planners.rollouts import ALIGNED

DEARER = 16.0
"""Steps of the field's own that a doubted move costs more: as far as a way round may well be. Where there is no way
round it is walked all the same, for every other one costs more still."""

ALONE = 1.0
"""Places from the goal within which a field that is spread anew begins, of critics whose field begins everywhere: there
no way is longer than `levels.costs.field.SLOPE` for each place, however dear its moves have become."""

NEARER = 0.5
"""Steps of the agent by which it has to come nearer for that to count; less is the noise of places."""


@dataclass
class Doubt:
    """What E episodes doubt.

    The move is always one of level 1's critic, at a place of level 1's latent. Where a level above has a latent and a
    critic of its own, the same move gets dearer there, for both read the same picture.

    Attributes:
        critics: per level, what its steps to go are read by.
        own: levels, from 0, that have another critic than the level below; level 1 is the first.
        patience: most steps in a row in which an episode may come no nearer without doubt.
        moves: of each of ``own``, (E, 4, W, H) what its critic says that moves cost, and what they are dearer by now.
        raised: (E, 4, W, H) the latter alone.
        nearest: (E,) least steps to go since the last doubt.
        waited: (E,) int64, steps since then.
    """

    critics: list[FieldCost]
    own: list[int]
    patience: int
    moves: list[Tensor]
    raised: Tensor
    nearest: Tensor
    waited: Tensor

    @staticmethod
    def begin(critics: list[FieldCost], own: list[int], patience: int, moves: list[Tensor]) -> Doubt:
        """Nothing is doubted yet."""
        never = moves[0].new_full((len(moves[0]),), float("inf"))
        none = torch.zeros(len(never), dtype=torch.int64, device=never.device)
        return Doubt(critics, own, patience, moves, torch.zeros_like(moves[0]), never, none)

    def watch(self, state: PlanState, latent: Tensor, active: Tensor, searches: Searches, block: int) -> None:
        """Doubt the ways of the episodes that have not come nearer for too long.

        Plans under way are walked to their ends: the compute of an episode is spread over plans at the pace of strides,
        and what is left for repairs is level 1's.

        Args:
            state: of E episodes, whose fields change in place.
            latent: (E, D) level 1's latents of now.
            active: (E,) bool, episodes still running.
            searches: how far fields spread, and what that takes.
            block: episodes per call, padded: the same bits in any company.
        """
        rows = active.nonzero().squeeze(1)
        to_go = self._to_go(state, latent, rows, block)
        state.flops[rows] += searches.critic_flops[0]
        nearer = to_go < self.nearest[rows] - NEARER
        self.nearest[rows] = torch.where(nearer, to_go, self.nearest[rows])
        self.waited[rows] = torch.where(nearer, 0, self.waited[rows] + 1)
        rows = rows[self.waited[rows] > self.patience]
        if not len(rows):
            return
        field = state.levels[0].field
        assert field is not None
        move = descending(self.critics[0], latent[rows], field[rows], self.moves[0][rows])
        for dearer in (self.raised, *self.moves):
            dearer[(rows, *move)] += DEARER
        self.spread(state, rows, searches.sweeps)
        state.flops[rows] += searches.doubt_flops
        self.nearest[rows] = self._to_go(state, latent, rows, block)

    def read_anew(self, rows: Tensor, moves: list[Tensor]) -> None:
        """Take other pictures' moves, of each of ``own`` (R, 4, W, H), for the episodes ``rows`` (R,); doubts stay."""
        for kept, read in zip(self.moves, moves):
            kept[rows] = read + self.raised[rows]

    def spread(self, state: PlanState, rows: Tensor, sweeps: int) -> None:
        """Make the fields of the episodes ``rows`` (R,) anew, over what moves cost by now, and wait again."""
        fresh = None
        for k, (level, critic) in enumerate(zip(state.levels, self.critics)):
            if k in self.own:
                moves = self.moves[self.own.index(k)][rows]
                fresh = critic.spread(moves, level.goal[rows], sweeps, begins=critic.begins or ALONE)
                if not k and state.layout is not None:
                    state.layout[rows] = moves  # subgoals' fields spread over what the lowest critic reads
            assert level.field is not None and fresh is not None
            level.field[rows] = fresh
        self.nearest[rows], self.waited[rows] = float("inf"), 0

    def _to_go(self, state: PlanState, latent: Tensor, rows: Tensor, block: int) -> Tensor:
        """Steps to go (R,) of the episodes ``rows`` (R,)."""
        field = state.levels[0].field
        assert field is not None
        parts = [
            self.critics[0](latent[index].unsqueeze(1).expand(-1, ALIGNED, -1), field[index])[:kept, 0]
            for index, kept in blocks(rows, block)
        ]
        return torch.cat(parts) if parts else latent.new_zeros(0)


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

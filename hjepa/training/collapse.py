"""Says, while a stack trains, that the latents of a level collapse, or the costs of a critic's moves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

RANK_SHARE = 0.1
"""Effective rank, as a share of the numbers in a latent, below which a level counts as collapsed."""

LEAST_SPREAD = 0.05
"""Spread below which it does so too: a twentieth of what regularisers aim at. All directions may shrink alike."""

SETTLED = 0.1
"""Share of a level's training before which nothing is said: what it begins with is no collapse."""


LEAST_MOVE = 0.01
"""What half of the moves of a critic's field cost at least, in its own steps, unless they have collapsed."""


class CollapseWarning(UserWarning):
    """The latents of a level have become all but the same, or a critic's moves all but free."""


class CollapseMonitor:
    """Warns once per level, after two readings in a row that say so."""

    def __init__(self) -> None:
        self._low: dict[int, int] = {}
        self._said: set[int] = set()
        self._free: dict[int, int] = {}
        self._freed: set[int] = set()

    def look(
        self, step: int, level: int, latent_dim: int, progress: float, found: Mapping[str, float]
    ) -> None:
        """Take a reading.

        Args:
            step: of training.
            level: its number, from 1.
            latent_dim: numbers in its latent.
            progress: share of its training that is done.
            found: from `hjepa.training.signals.signals`.
        """
        rank, spread, least = found["effective_rank"], found["spread"], RANK_SHARE * latent_dim
        if progress < SETTLED or (rank >= least and spread >= LEAST_SPREAD):
            self._low.pop(level, None)
            return
        self._low[level] = self._low.get(level, 0) + 1
        if self._low[level] == 2 and level not in self._said:
            self._said.add(level)
            warnings.warn(
                f"step {step}: the latents of level {level} collapse: effective rank {rank:.2f} of {latent_dim}"
                f" (low is below {least:g}), spread {spread:.2g} (low is below {LEAST_SPREAD:g}); raise the weights of"
                f" its anti-collapse, or choose another with levels.{level - 1}.anti_collapse",
                CollapseWarning,
                stacklevel=2,
            )

    def look_at_moves(self, step: int, level: int, move: float) -> None:
        """Warn once per critic, after two readings in a row, that its moves are all but free.

        Costs are exponentials: from nothing they do not come back, and steps to go are the same everywhere.

        Args:
            step: of training.
            level: whose latent the critic reads, from 1.
            move: what half of its moves cost less than, in its own steps.
        """
        self._free[level] = self._free.get(level, 0) + 1 if move < LEAST_MOVE else 0
        if self._free[level] == 2 and level not in self._freed:
            self._freed.add(level)
            warnings.warn(
                f"step {step}: half of the moves of the field of level {level}'s critic cost less than {move:.2g} steps"
                f" (low is below {LEAST_MOVE:g}), so no way is shorter than another; lower critic.learning_rate, or"
                " begin with a critic that was trained without critic.begins",
                CollapseWarning,
                stacklevel=2,
            )

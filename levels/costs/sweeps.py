"""Steps to go that spread from a goal over a grid, sweep by sweep, where no gradient is asked for.

The same numbers as with gradients, bit by bit, for they are sums of two and minima. Buffers and the views of them are
made once for all sweeps: on one floor plan they would take longer than what they hold.
"""

from __future__ import annotations

import torch
from torch import Tensor

from levels.costs.hindsight import FAR


def swept(field: Tensor, moves: Tensor, turns: Tensor, sweeps: int, closed: Tensor | None = None) -> Tensor:
    """Steps to go after all sweeps, or those after which nothing changes any more.

    Args:
        field: (P, C, W, H) steps to go before, by heading.
        moves: (P, C, 4, W, H) what a move takes to the cell after in x, before in x, after in y, before in y.
        turns: (P, C, C, W, H) what a turn takes to another heading.
        sweeps: of a move and a turn each.
        closed: (P, W, H) bool, cells that ways must not lead through; None: none.

    Returns:
        (P, C, W, H).
    """
    own = _own(field, moves, turns) if closed is None else len(field)
    moves, turns, start = moves[:own], turns[:own], field[:own]
    now, walled = start.clone(), start.new_full((*start.shape[:2], *(n + 2 for n in start.shape[2:])), FAR)
    inner = walled[:, :, 1:-1, 1:-1].copy_(start)
    around = [
        walled[:, :, 2:, 1:-1],
        walled[:, :, :-2, 1:-1],
        walled[:, :, 1:-1, 2:],
        walled[:, :, 1:-1, :-2],
    ]
    moved, turned, before = torch.empty_like(moves), torch.empty_like(turns), now[:, None]
    ways, headings = moved.unbind(2), turned.unbind(2)
    for _ in range(sweeps):
        torch.add(torch.stack(around, 2, out=moved), moves, out=moved)
        torch.minimum(inner, _least(ways), out=now)
        torch.add(before, turns, out=turned)
        torch.minimum(now, _least(headings), out=now)
        if closed is not None:
            now.masked_fill_(closed[:, None], FAR)
        # What one sweep leaves as it is, all others will.
        if settled(now, inner):
            break
        inner.copy_(now)
    return torch.cat([now, now[:1].expand(len(field) - own, *now.shape[1:])]) if own < len(field) else now


def settled(after: Tensor, before: Tensor) -> bool:
    """Whether a sweep changed nothing, where asking costs nothing.

    Elsewhere than on the CPU the host would wait for the answer, sweep by sweep; all of them are done sooner.
    """
    return after.device.type == "cpu" and torch.equal(after, before)


def _least(parts: tuple[Tensor, ...]) -> Tensor:
    """The minimum of tensors (...), in the first of them, which it overwrites."""
    for part in parts[1:]:
        torch.minimum(parts[0], part, out=parts[0])
    return parts[0]


def _own(*parts: Tensor) -> int:
    """How many of the rows (P, ...) are left without copies of the first at their end, with which blocks are filled."""
    own = len(parts[0])
    while own > 1 and all(settled(part[own - 1], part[0]) for part in parts):
        own -= 1
    return own

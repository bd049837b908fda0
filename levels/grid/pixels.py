"""An encoder of pictures: it reads out of every tile which symbols a cell shows, and where the agent is.

What it reads are probabilities: of every symbol in each cell, and of every place and heading of the agent. The most
likely ones are what the symbolic observation would have shown; all of them together are what embeddings and latents can
teach, see `likelihood_loss`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from levels.grid.agent_encoders import HEADINGS
from levels.grid.memory import SYMBOLS


@dataclass(frozen=True)
class View:
    """What pictures of E grids show, as logits.

    Attributes:
        symbols: (E, W, H, S) of the object, colour and state of each cell, one behind the other (`SYMBOLS`).
        place: (E, W, H) of the agent to be there.
        heading: (E, W, H, 4) of its heading, if it is there.
    """

    symbols: Tensor
    place: Tensor
    heading: Tensor

    def kinds(self, cells: Tensor) -> Tensor:
        """(n, S) log probability of each object, colour and state together, in the order of `every_symbol`.

        Args:
            cells: (n,) numbers of cells of all pictures together.
        """
        symbols = self.symbols.flatten(0, 2)[cells]
        objects, colours, states = (part.log_softmax(-1) for part in symbols.split(SYMBOLS, -1))
        return (objects[..., None, None] + colours[..., None, :, None] + states[..., None, None, :]).flatten(
            -3
        )

    @property
    def agents(self) -> Tensor:
        """(E, W * H * 4) log probability of the agent's cell and heading, in the order of `every_agent`."""
        place = self.place.flatten(1).log_softmax(-1)
        return (place.unsqueeze(-1) + self.heading.log_softmax(-1).flatten(1, 2)).flatten(1)

    def read(self) -> tuple[Tensor, Tensor]:
        """The most likely symbols (E, W, H, 3), and the most likely agent (E, 3): x, y, heading. Integers."""
        grid = torch.stack([part.argmax(-1) for part in self.symbols.split(SYMBOLS, -1)], -1)
        episodes, _, height = self.place.shape
        cell = self.place.flatten(1).argmax(-1)
        heading = self.heading.flatten(1, 2)[torch.arange(episodes, device=cell.device), cell].argmax(-1)
        return grid, torch.stack([cell // height, cell % height, heading], -1)


def every_agent(width: int, height: int) -> Tensor:
    """(W * H * 4, 3) integers: x, y and heading of every agent on a grid."""
    return torch.cartesian_prod(*(torch.arange(n) for n in (width, height, HEADINGS)))


def every_symbol() -> Tensor:
    """(S, 3) integers: object, colour and state of everything that a cell may show."""
    return torch.cartesian_prod(*(torch.arange(n) for n in SYMBOLS))


def likelihood_loss(log_probability: Tensor, known: Tensor, seen: Tensor, variance: Tensor) -> Tensor:
    """How unlikely a code is under what was read, in nats: a mixture of Gaussians around the codes that are known.

    Args:
        log_probability: (N, K) that were read.
        known: (K, D) the code of each of them.
        seen: (N,) integers, the one whose code it is to be.
        variance: of the Gaussians, see `spread`.

    Returns:
        scalar, the mean.
    """
    away = torch.cdist(known, known)[seen] ** 2 / (2 * variance)
    return -(log_probability - away).logsumexp(-1).mean()


def spread(known: Tensor) -> Tensor:
    """The median squared distance of codes (K, D) to the nearest other one: a scalar."""
    apart = torch.cdist(known, known) ** 2
    return apart.fill_diagonal_(torch.inf).min(1).values.median()


class PixelEncoder(nn.Module):
    """Pictures of grids -> what each cell shows.

    Convolutions whose windows do not overlap and whose strides make one tile: a cell is read from its own tile alone,
    wherever it is, because a picture of a grid shows nothing of a cell anywhere else; so a floor plan that was never
    seen is read like any other. Where the agent is follows from all cells together.

    Args:
        tile: pixels a side of one cell, an even number.
        hidden: channels.

    Raises:
        ValueError: an odd tile, or no channels.
    """

    def __init__(self, tile: int = 8, hidden: int = 24) -> None:
        super().__init__()
        if tile < 2 or tile % 2 or hidden < 1:
            raise ValueError(
                f"tile is {tile}, hidden {hidden}; give an even tile of 2 or more, and hidden units"
            )
        self.tile, self.hidden = tile, hidden
        half = tile // 2
        self.layers = nn.Sequential(
            nn.Conv2d(3, hidden, half, stride=half),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 2, stride=2),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, sum(SYMBOLS) + 1 + HEADINGS, 1),
        )

    def forward(self, frames: Tensor) -> View:
        """(E, H * tile, W * tile, 3) numbers from 0 to 255 -> what they show.

        Raises:
            ValueError: pictures that are not of whole tiles.
        """
        if (
            frames.ndim != 4
            or frames.shape[-1] != 3
            or frames.shape[1] % self.tile
            or frames.shape[2] % self.tile
        ):
            raise ValueError(
                f"pictures have shape {tuple(frames.shape)}; pass (E, height, width, 3) in whole tiles of {self.tile}"
                " pixels"
            )
        seen = self.layers(frames.permute(0, 3, 1, 2).float() / 255).permute(0, 3, 2, 1)
        symbols, place, heading = seen.split([sum(SYMBOLS), 1, HEADINGS], -1)
        return View(symbols, place.squeeze(-1), heading)

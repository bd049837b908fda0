"""What is read out of pictures, in shapes, in order, and in what it lets through."""

from __future__ import annotations

import pytest
import torch

from levels.encoders import HEADINGS
from levels.memory import SYMBOLS, MemoryWriter, symbol_planes
from levels.pixels import PixelEncoder, View, every_agent
from levels.settings import MemorySettings

WIDTH, HEIGHT, TILE = 5, 4, 6


def test_small_and_a_cell_is_read_from_its_own_tile_alone() -> None:
    torch.manual_seed(0)
    encoder = PixelEncoder(TILE, 8)
    assert sum(part.numel() for part in PixelEncoder().parameters()) < 100_000
    frames = torch.randint(0, 256, (2, HEIGHT * TILE, WIDTH * TILE, 3), dtype=torch.uint8)
    changed = frames.clone()
    changed[0, 2 * TILE + 1, 3 * TILE + 5] += 100  # in the tile of x = 3, y = 2
    before, after = encoder(frames), encoder(changed)
    assert before.symbols.shape == (2, WIDTH, HEIGHT, sum(SYMBOLS)) and before.heading.shape[-1] == HEADINGS
    for part, other in ((before.symbols, after.symbols), (before.place[..., None], after.place[..., None])):
        differs = (part != other).any(-1)
        assert differs.nonzero().tolist() == [[0, 3, 2]]


def test_probabilities_are_those_of_the_agent_and_symbols_that_are_read() -> None:
    generator = torch.Generator().manual_seed(1)
    view = View(*(8 * torch.randn(3, WIDTH, HEIGHT, *n, generator=generator) for n in ((21,), (), (4,))))
    grid, agent = view.read()
    likely = view.agents.argmax(-1)
    assert torch.allclose(view.agents.exp().sum(-1), torch.ones(3))
    # The likeliest cell, and the likeliest heading there: with one cell far ahead, the likeliest agent of all.
    ahead = View(view.symbols, 9 * view.place, view.heading)
    assert torch.equal(every_agent(WIDTH, HEIGHT)[ahead.agents.argmax(-1)], ahead.read()[1])
    assert likely.shape == (3,) and agent.shape == (3, 3)
    assert torch.allclose(view.planes.sum(-1), torch.full((3, WIDTH, HEIGHT), 3.0))
    assert torch.equal(symbol_planes(grid).argmax(-1), view.planes[..., :11].argmax(-1))


def test_certain_symbols_leave_the_memory_that_they_leave_themselves() -> None:
    torch.manual_seed(2)
    writer = MemoryWriter(MemorySettings(channels=4, dilations=(1,)))
    grid = torch.stack([torch.randint(0, n, (2, WIDTH, HEIGHT)) for n in SYMBOLS], -1)
    sure = View(60.0 * symbol_planes(grid), torch.zeros(2, WIDTH, HEIGHT), torch.zeros(2, WIDTH, HEIGHT, 4))
    assert torch.allclose(writer.mixture(sure.planes), writer(grid), atol=1e-6)
    assert sure.undecided < 1e-6 < View(0 * sure.symbols, sure.place, sure.heading).undecided


def test_pictures_of_broken_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="whole tiles of 8 pixels"):
        PixelEncoder(8)(torch.zeros(1, 16, 20, 3))
    with pytest.raises(ValueError, match="give an even tile"):
        PixelEncoder(7)

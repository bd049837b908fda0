"""What is read out of pictures, and what embeddings and latents teach about it."""

from __future__ import annotations

import pytest
import torch

from levels.grid.agent_encoders import HEADINGS
from levels.grid.memory import SYMBOLS, MemoryWriter, symbol_planes
from levels.grid.pixels import PixelEncoder, View, every_agent, every_symbol, likelihood_loss, spread
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
    cells = torch.arange(3 * WIDTH * HEIGHT)
    assert torch.allclose(view.agents.exp().sum(-1), torch.ones(3))
    assert torch.allclose(view.kinds(cells).exp().sum(-1), torch.ones(len(cells)))
    assert torch.equal(every_symbol()[view.kinds(cells).argmax(-1)], grid.flatten(0, 2))
    # The likeliest cell, and the likeliest heading there: with one cell far ahead, the likeliest agent of all.
    ahead = View(view.symbols, 9 * view.place, view.heading)
    assert torch.equal(every_agent(WIDTH, HEIGHT)[ahead.agents.argmax(-1)], agent)


def test_a_code_makes_its_own_probability_likely_also_where_it_is_thought_impossible() -> None:
    """A student that is sure and wrong learns as fast as one that is unsure."""
    known = torch.eye(5)
    variance = 0.1 * spread(known)
    assert torch.allclose(variance, torch.tensor(0.2))
    wrong = torch.tensor([[0.0, 30.0, 0.0, 0.0, 0.0]], requires_grad=True)
    loss = likelihood_loss(wrong.log_softmax(-1), known, torch.tensor([3]), 0.01 * variance)
    loss.backward()
    assert torch.allclose(loss, torch.tensor(30.0), atol=1e-3)
    assert torch.allclose(wrong.grad, torch.tensor([[0.0, 1.0, 0.0, -1.0, 0.0]]), atol=1e-3)


def test_what_has_one_code_need_not_be_told_apart() -> None:
    known = torch.tensor([[0.0, 0.0], [0.0, 0.0], [4.0, 0.0]])
    for believed in (0, 1):
        sure = torch.full((1, 3), -40.0)
        sure[0, believed] = 0.0
        assert likelihood_loss(sure, known, torch.tensor([0]), torch.tensor(0.1)) < 1e-3
        assert likelihood_loss(sure, known, torch.tensor([2]), torch.tensor(0.1)) > 10


def test_symbols_with_one_embedding_leave_one_memory_and_others_do_not() -> None:
    torch.manual_seed(2)
    writer = MemoryWriter(MemorySettings(channels=4, dilations=(1,)))
    with torch.no_grad():
        writer.inputs.weight[:, 3] = writer.inputs.weight[:, 1]  # objects 1 and 3 are the same to it
    grid = torch.ones(1, WIDTH, HEIGHT, 3, dtype=torch.int64)
    other, third = grid.clone(), grid.clone()
    other[0, 2, 2, 0], third[0, 2, 2, 0] = 3, 2
    assert torch.equal(writer.embed(grid), writer.embed(other))
    assert torch.allclose(writer(grid), writer(other), atol=1e-6)
    assert not torch.allclose(writer.embed(grid), writer.embed(third))
    # The embedding is what the first convolution makes of it.
    alone = writer.inputs(symbol_planes(grid).permute(0, 3, 1, 2).float())
    changed = writer.inputs(symbol_planes(third).permute(0, 3, 1, 2).float())
    difference = (writer.embed(third) - writer.embed(grid))[0, 2, 2].view(-1, 3, 3).flip(1, 2)
    assert torch.allclose((changed - alone)[0, :, 1:4, 1:4], difference, atol=1e-5)


def test_pictures_of_broken_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="whole tiles of 8 pixels"):
        PixelEncoder(8)(torch.zeros(1, 16, 20, 3))
    with pytest.raises(ValueError, match="give an even tile"):
        PixelEncoder(7)

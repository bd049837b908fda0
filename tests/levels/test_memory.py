"""The floor-plan memory: how far a cell sees, and that reading is cross-attention over all cells."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from levels.grid.memory import SYMBOLS, MemoryReader, MemoryWriter, door_numbers
from levels.settings import MemorySettings


@pytest.mark.parametrize("dilations", [(1,), (1, 1), (2,), (1, 2)])
def test_the_writer_sees_exactly_as_far_as_its_convolutions(dilations: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    writer = MemoryWriter(MemorySettings(channels=8, dilations=dilations))
    grid = torch.zeros(1, 15, 13, 3, dtype=torch.int64)
    changed = grid.clone()
    changed[0, 8, 5, 0] = 2
    differs = (writer(grid) != writer(changed)).any(-1)[0]
    x, y = differs.nonzero().unbind(1)
    radius = 1 + sum(dilations)
    assert (x.min(), x.max()) == (8 - radius, 8 + radius), "the first axis is x"
    assert (y.min(), y.max()) == (5 - radius, 5 + radius)
    if set(dilations) <= {1}:
        assert differs.sum() == (2 * radius + 1) ** 2


@pytest.mark.parametrize("spacing", [1, 2])
def test_the_wide_view_sees_twice_its_spacing_further_and_keeps_the_cells(spacing: int) -> None:
    torch.manual_seed(0)
    writer = MemoryWriter(MemorySettings(channels=8, dilations=(1,), wide=6, spacing=spacing, local=4))
    grid = torch.zeros(1, 19, 17, 3, dtype=torch.int64)
    changed = grid.clone()
    changed[0, 9, 8, 0] = 2
    written = writer(grid)
    assert written.shape == (1, 19, 17, 8)
    x, y = (written != writer(changed)).any(-1)[0].nonzero().unbind(1)
    radius = 2 + 2 * spacing
    assert (x.min(), x.max()) == (9 - radius, 9 + radius)
    assert (y.min(), y.max()) == (8 - radius, 8 + radius)


def test_layers_of_the_writer_add_to_what_is_there(toys: SimpleNamespace) -> None:
    torch.manual_seed(0)
    shallow, deep = (MemoryWriter(MemorySettings(channels=4, dilations=d)) for d in ((1,), (1, 2)))
    shallow.layers = nn.ModuleList()
    deep.inputs.load_state_dict(shallow.inputs.state_dict())
    with torch.no_grad():
        for parameter in deep.layers.parameters():
            parameter.zero_()
    assert torch.equal(deep(toys.grids()), shallow(toys.grids()))


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_the_writer_tells_all_symbols_apart(plane: int) -> None:
    torch.manual_seed(0)
    writer = MemoryWriter(MemorySettings(channels=8))
    grid = torch.zeros(SYMBOLS[plane], 5, 5, 3, dtype=torch.int64)
    grid[:, 2, 2, plane] = torch.arange(SYMBOLS[plane])
    written = writer(grid)[:, 2, 2]
    assert len(written.unique(dim=0)) == SYMBOLS[plane]


def test_the_writer_keeps_plans_apart(toys: SimpleNamespace) -> None:
    writer = MemoryWriter(MemorySettings(channels=3))
    grid = toys.grids(plans=4)
    written = writer(grid)
    assert written.shape == (4, *toys.SIZE, 3)
    assert torch.allclose(writer(grid[2:3])[0], written[2], atol=1e-6)


def test_symbols_of_any_integer_type(toys: SimpleNamespace) -> None:
    writer = MemoryWriter(MemorySettings(channels=3))
    assert torch.equal(writer(toys.grids().to(torch.uint8)), writer(toys.grids()))


@pytest.mark.parametrize("heads", [1, 3])
def test_reading_equals_cross_attention_with_product_keys(toys: SimpleNamespace, heads: int) -> None:
    """Cell (x, y) has the key one-hot(x) + one-hot(y); the softmax runs over all cells at once."""
    torch.manual_seed(heads)
    width, height = toys.SIZE
    reader = MemoryReader(6, toys.SIZE, MemorySettings(channels=4, heads=heads))
    latent, memory = torch.randn(2, 5, 6), torch.randn(2, width, height, 4)
    read = reader(latent, memory)
    assert read.shape == (2, 5, heads * 4) == (2, 5, reader.outputs)

    x, y = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="ij")
    keys = torch.cat([torch.eye(width)[x.flatten()], torch.eye(height)[y.flatten()]], -1)
    query = reader.query(latent).view(2, 5, heads, width + height)
    weights = torch.einsum("pnhk,ck->pnhc", query, keys).softmax(-1)
    expected = torch.einsum("pnhc,pcd->pnhd", weights, memory.flatten(1, 2)).flatten(2)
    assert torch.allclose(read, expected, atol=1e-6)


def test_a_reader_can_look_at_a_single_cell(toys: SimpleNamespace) -> None:
    reader = MemoryReader(6, toys.SIZE, MemorySettings(channels=4))
    memory = torch.randn(1, *toys.SIZE, 4)
    last = reader.query[-1]
    with torch.no_grad():
        for parameter in reader.query.parameters():
            parameter.zero_()
        last.bias[2] = last.bias[toys.SIZE[0] + 3] = 50.0
    assert torch.allclose(reader(torch.zeros(1, 1, 6), memory)[0, 0], memory[0, 2, 3])


def test_states_read_only_their_own_plan(toys: SimpleNamespace) -> None:
    reader = MemoryReader(6, toys.SIZE, MemorySettings(channels=4))
    latent, memory = torch.randn(2, 3, 6), torch.randn(2, *toys.SIZE, 4)
    read = reader(latent, memory)
    memory[1] += 1.0
    again = reader(latent, memory)
    assert torch.equal(again[0], read[0]) and not torch.equal(again[1], read[1])


def test_a_reader_learns_to_look_where_the_agent_is() -> None:
    torch.manual_seed(0)
    reader = MemoryReader(8, (7, 5), MemorySettings(channels=2, heads=2))
    places = torch.cartesian_prod(torch.arange(7), torch.arange(5)).unsqueeze(0)
    latents = torch.randn(1, 35, 8)
    before = reader.look_loss(latents, places)
    optimizer = torch.optim.Adam(reader.parameters(), 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        reader.look_loss(latents, places).backward()
        optimizer.step()
    assert before > 3.0 and reader.look_loss(latents, places) < 0.1
    # The first head now reads the agent's own cell; the second one is free.
    memory = torch.randn(1, 7, 5, 2)
    read = reader(latents, memory)[0].view(35, 2, 2)
    own = memory[0, places[0, :, 0], places[0, :, 1]]
    assert (read[:, 0] - own).abs().mean() < 0.1
    assert (read[:, 1] - own).abs().mean() > 0.3


def test_doors_are_numbered_in_the_order_of_the_agents_observation() -> None:
    grid = torch.ones(2, 5, 4, 3, dtype=torch.uint8)
    for x, y in ((3, 0), (1, 2), (1, 1)):
        grid[0, x, y, 0] = 4
    numbers = door_numbers(grid, 2)
    assert numbers.shape == (2, 5, 4, 2) and numbers.sum() == 2
    assert numbers[0, 1, 1].tolist() == [1, 0] and numbers[0, 1, 2].tolist() == [0, 1]


def test_a_writer_that_numbers_doors_tells_them_apart() -> None:
    writer = MemoryWriter(MemorySettings(channels=8, dilations=(1,), numbers=3))
    grid = torch.ones(1, 12, 4, 3, dtype=torch.uint8)
    grid[0, (2, 9), 2, 0] = 4
    written = writer(grid)
    assert not torch.allclose(written[0, 2, 2], written[0, 9, 2])
    alike = MemoryWriter(MemorySettings(channels=8, dilations=(1,)))(grid)
    assert torch.allclose(alike[0, 2, 2], alike[0, 9, 2], atol=1e-6)


def test_a_negative_number_of_doors_is_refused() -> None:
    with pytest.raises(ValueError, match="memory numbers is -1; give a whole number from 0 to"):
        MemorySettings(numbers=-1)

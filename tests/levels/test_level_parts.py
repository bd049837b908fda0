"""Encoders, the predictor and the probe, one by one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from levels.grid.agent_encoders import AgentEncoder
from levels.networks import mlp
from levels.probes import PositionProbe
from levels.settings import World


@pytest.mark.parametrize("macro_action", ["primitive", "outcome"])
@pytest.mark.parametrize("with_memory", [True, False])
def test_branch_equals_advance_on_every_one_hot_action(
    toys: SimpleNamespace, macro_action: str, with_memory: bool
) -> None:
    settings = {} if with_memory else {"memory": None}
    level = toys.make_level(macro_action=macro_action, **settings)
    latent, memory = torch.randn(2, 7, 6), level.write(toys.grids())
    condition = level.condition(latent, memory)
    branched = level.predictor.branch(latent, condition)
    assert branched.shape == (2, 7, level.action_dim, 6)
    for code in range(level.action_dim):
        action = torch.eye(level.action_dim)[code].expand(2, 7, -1)
        assert torch.allclose(level.advance(latent, condition, action), branched[:, :, code], atol=1e-5)
    apart = (branched.unsqueeze(2) - branched.unsqueeze(3)).abs().sum(-1) + torch.eye(level.action_dim)
    assert apart.min() > 1e-3, "actions start out different"


@pytest.mark.parametrize("encoder_reads", [False, True])
def test_readers_are_told_at_every_moment_where_the_agent_is(
    toys: SimpleNamespace, encoder_reads: bool
) -> None:
    level = toys.make_level(encoder="mlp", encoder_reads=encoder_reads)
    below, _ = toys.windows(level)
    place, memory = toys.agents(*below.shape[:3])[..., :2], level.write(toys.grids())
    _, terms = level.losses(below, None, memory, progress=0.5, place=place)
    told = [(level.predictor.reader, level.encode(below, memory))]
    told += [(level.encoder.reader, below)] if encoder_reads else []
    moments = range(toys.MOMENTS)
    errors = [reader.look_loss(state[:, :, t], place[:, :, t]) for reader, state in told for t in moments]
    assert terms["look"].item() == pytest.approx(torch.stack(errors).mean().item(), rel=1e-5)
    assert "look" not in level.losses(below, None, memory, progress=0.5)[1]


def test_the_predictor_reads_the_memory(toys: SimpleNamespace) -> None:
    level, latent = toys.make_level(), torch.randn(2, 3, 6)
    memory = level.write(toys.grids())
    other = level.write(toys.grids(seed=1))
    assert not torch.allclose(level.condition(latent, memory), level.condition(latent, other))


def test_the_encoder_reads_the_memory_only_if_told(toys: SimpleNamespace) -> None:
    for reads in (True, False):
        level = toys.make_level(encoder_reads=reads)
        below, _ = toys.windows(level)
        first, second = (level.encode(below, level.write(toys.grids(seed=seed))) for seed in (0, 1))
        assert torch.equal(first, second) != reads


def test_an_agent_is_known_by_all_its_coordinates(toys: SimpleNamespace) -> None:
    width, height = toys.SIZE
    encoder = AgentEncoder(toys.WORLD, 16, 8)
    everywhere = torch.cartesian_prod(torch.arange(width), torch.arange(height), torch.arange(4))
    latent = encoder(everywhere[None])[0]
    assert latent.shape == (width * height * 4, 8)
    assert torch.pdist(latent.double()).min() > 1e-6
    assert torch.equal(encoder(everywhere[None].to(torch.uint8))[0], latent)


def test_inference_of_codes_is_for_outcome_levels(toys: SimpleNamespace) -> None:
    level, latent = toys.make_level(macro_action="chunk"), torch.zeros(1, 1, 6)
    with pytest.raises(ValueError, match="actions of a 'chunk' level are not inferred"):
        level.infer(latent, latent, None)


def test_a_perceptron_is_its_parts_one_after_another() -> None:
    torch.manual_seed(0)
    layers, values = mlp(5, 8, 3, layers=2), torch.randn(4, 7, 5)
    found, parts = [], torch.nn.Sequential(*layers)
    for made in (layers, parts):
        layers.zero_grad()
        made(values).square().sum().backward()
        found.append([made(values), *(weight.grad.clone() for weight in layers.parameters())])
    assert list(layers.state_dict()) == list(parts.state_dict())
    assert all(torch.equal(first, second) for first, second in zip(*found))


def test_what_is_cut_out_of_a_perceptron_is_an_ordinary_sequence() -> None:
    whole, values = mlp(3, 4, 2, 2), torch.randn(5, 3)
    first = whole[:-1]
    assert type(first) is torch.nn.Sequential and len(first) == 4
    assert whole[-1](first(values)).equal(whole(values)), "the last unit is not lost"
    assert isinstance(whole[0], torch.nn.Linear)


def test_the_width_and_depth_of_a_perceptron() -> None:
    layers = mlp(3, 8, 2, layers=2)
    shapes = [tuple(layer.weight.shape) for layer in layers if isinstance(layer, torch.nn.Linear)]
    assert shapes == [(8, 3), (8, 8), (2, 8)]
    assert layers(torch.zeros(4, 5, 3)).shape == (4, 5, 2)


def test_a_probe_learns_to_read_the_agent(toys: SimpleNamespace) -> None:
    torch.manual_seed(0)
    width, height = toys.SIZE
    everywhere = torch.cartesian_prod(torch.arange(width), torch.arange(height), torch.arange(4))
    latent = AgentEncoder(toys.WORLD, 32, 16)(everywhere[None])[0].detach() * 4
    probe = PositionProbe(16, toys.WORLD)
    optimizer = torch.optim.Adam(probe.parameters(), 0.04)
    first = probe.loss(latent, everywhere).item()
    # Nothing known: the logarithm of the number of columns, rows and headings.
    assert first == pytest.approx(torch.tensor([width, height, 4.0]).log().sum().item(), rel=0.2)
    for _ in range(100):
        optimizer.zero_grad()
        loss = probe.loss(latent, everywhere)
        loss.backward()
        optimizer.step()
    assert (probe(latent) == everywhere).float().mean() > 0.98
    assert (probe.expected(latent) - everywhere[:, :2]).abs().mean() < 0.15
    assert probe(latent.view(5, -1, 16)).shape == (5, len(latent) // 5, 3)


def test_doors_and_keys_are_told_apart_by_encoder_and_probe(toys: SimpleNamespace) -> None:
    torch.manual_seed(0)
    world = World(toys.SIZE, 7, doors=1, keys=1)
    assert world.slots == (3, 2) and world.agent_dim == 5
    width, height = toys.SIZE
    sizes = (width, height, 4, *world.slots)
    everything = torch.cartesian_prod(*[torch.arange(n) for n in sizes])
    encoder, probe = AgentEncoder(world, 32, 16), PositionProbe(16, world)
    latent = encoder(everything[None])[0].detach() * 4
    optimizer = torch.optim.Adam(probe.parameters(), 0.04)
    first = probe.loss(latent, everything).item()
    assert first == pytest.approx(torch.tensor([float(n) for n in sizes]).log().sum().item(), rel=0.2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = probe.loss(latent, everything)
        loss.backward()
        optimizer.step()
    assert probe(latent).shape == everything.shape
    assert (probe(latent) == everything).float().mean() > 0.9
    # Locked is no closed door twice over: each state has a plane of its own.
    states = encoder(torch.tensor([[[1, 1, 0, state, 1] for state in range(3)]]))[0]
    assert not torch.allclose(states[2] - states[1], states[1] - states[0], atol=1e-3)
    imagined = latent[:6].clone().requires_grad_()
    in_hand = probe.states(imagined, 1)[:, 0]
    in_hand.sum().backward()
    assert imagined.grad is not None and bool(imagined.grad.any())
    for slot, count in enumerate(world.slots):
        belief = probe.states(latent, slot)
        assert belief.shape == (len(latent), count) and torch.allclose(
            belief.sum(-1), torch.ones(len(latent))
        )
        assert (belief.argmax(-1) == everything[:, 3 + slot]).float().mean() > 0.9
    with pytest.raises(ValueError, match="slot 2 of 2"):
        probe.states(latent, 2)


def test_worlds_without_keys_have_the_parts_they_always_had(toys: SimpleNamespace) -> None:
    world = World(toys.SIZE, 7, doors=2)
    assert world.slots == () and world.agent_dim == 5
    doors = AgentEncoder(world, 8, 4).doors
    assert doors is not None and doors.weight.shape == (8, 2)
    assert sum(PositionProbe(4, world).classes) == sum(toys.SIZE) + 4
    assert AgentEncoder(toys.WORLD, 8, 4).doors is None
    with pytest.raises(ValueError, match="slot 0 of 0"):
        PositionProbe(4, world).states(torch.zeros(1, 4), 0)


def test_an_uncertain_probe_expects_the_mean(toys: SimpleNamespace) -> None:
    probe = PositionProbe(2, toys.WORLD)
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.zero_()
    assert torch.allclose(probe.expected(torch.zeros(3, 2)), torch.tensor([3.0, 2.0]).expand(3, 2))

"""Stacks that see, on pictures of another size than they were trained on.

A level that knows no absolute place reads what is around where its latent is, wherever that is and however far the
picture goes, so its weights fit every size. Probes name cells and do not: a resized stack's know nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from hjepa.errors import InputError
from hjepa.model.stack import Stack
from levels.costs.field import FieldCost
from levels.settings import World


def resized(stack: Stack, world: World) -> Stack:
    """The same levels and critics, sharing their weights, in a world that shows pictures of another size.

    The critic's field spreads further on larger pictures: its sweeps grow with the area, as the longest ways do.
    Actors, which read absolute places, are left out.

    Args:
        stack: trained levels.
        world: what is seen there and done.

    Raises:
        InputError: weights that fit one size alone, or a world that shows or takes something else.
    """
    reason = misfit(stack, world)
    if reason is not None:
        raise InputError(reason, "the stack", "give a checkpoint that was trained for the task")
    config, critic = stack.config, stack.config.critic
    if critic is not None:
        larger = math.prod(world.size) / math.prod(stack.world.size)
        sweeps = math.ceil(critic.sweeps * max(1.0, larger))
        config = replace(config, critic=replace(critic, sweeps=sweeps))
    with torch.random.fork_rng(devices=[]):  # new weights are drawn, and given away at once
        part = Stack(config, world).to(stack.step_distance.device)
    part.levels, part.critics, part.measures = stack.levels, stack.critics, stack.measures
    part.probed = False
    for name, _ in list(part.named_buffers(recurse=False)):
        setattr(part, name, getattr(stack, name))
    part.train(stack.training)
    return part


def misfit(stack: Stack, world: World) -> str | None:
    """Why a stack's weights do not fit a world; None: they do."""
    own, other = stack.world.sight, world.sight
    if own is None or other is None or own.kind == "vector":
        return "what it is told or reads of a vector has one size"
    if (own.kind, own.codes, len(own.shape)) != (other.kind, other.codes, len(other.shape)):
        return f"it sees {own.kind} with codes {own.codes}, not {other.kind} with {other.codes}"
    if own.kind == "image" and (own.shape[2], own.frames) != (other.shape[2], other.frames):
        return f"it sees {own.colours} colours in {own.frames} frames, not {other.colours} in {other.frames}"
    if (stack.world.actions, stack.world.continuous) != (world.actions, world.continuous):
        return f"it has {stack.world.actions} actions, not {world.actions}"
    if not stack.level(0).places or not all(isinstance(head, FieldCost) for head in stack.critics):
        return "its encoder or its critic does not find places on a picture"
    for k in range(stack.depth):
        level = stack.level(k)
        if k and level.settings.encoder != "shared":
            return f"level {k + 1} makes its latent of absolute places"
        if level.predictor.unseen != level.places:
            return f"level {k + 1} knows absolute places"
    return None

"""Perception from pixels: what a small convolutional network reads in a picture goes where symbols went.

It is distilled through the trained stack (`hjepa.training.pixel_distillation`) and kept beside the weights,
which stay as they are:
`PIXEL_DESCRIPTION` and the weights that it names, in the folder of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PERCEPTIONS
from hjepa.model.beside import load_beside, save_beside
from hjepa.model.described import fits, whole
from hjepa.model.level_model import count_flops
from hjepa.model.perception import Observation, Perception, Seen, Symbolic, plain_observation, see, sight_of
from hjepa.model.stack import Stack
from levels.grid.pixels import PixelEncoder
from levels.settings import World
from planners.blocks import blocks
from tasks import TaskSpec, compose_image
from tasks.observations import AGENT, EMPTY_CELL
from tasks.rendering import render_frames

FORMAT, VERSION = "hjepa-pixels", 1
PIXEL_DESCRIPTION = "pixels.json"

READ = 32
"""Pictures per call of the network, padded: the same bits whatever the number of episodes."""


class Pixels:
    """Perception of pictures, see `hjepa.model.perception.Perception`.

    Args:
        encoder: trained.
        world: whose pictures it reads.
        sha256: of its weights.
        lava: whether it has learned to read lava.

    Attributes:
        flops: operations of reading one picture.

    Raises:
        InputError: a continuous world.
    """

    name = "pixels"

    def __init__(
        self, encoder: PixelEncoder, world: World, sha256: str | None = None, lava: bool = True
    ) -> None:
        if world.continuous:
            raise InputError(
                "pictures of continuous worlds are not read",
                "perception pixels",
                "choose perception symbolic",
            )
        self.encoder, self.world, self.sha256, self.lava = encoder, world, sha256, lava
        width, height = world.size
        blank = torch.zeros(1, height * encoder.tile, width * encoder.tile, 3, device=self._device)
        self.flops = count_flops(lambda: encoder(blank))

    @property
    def _device(self) -> torch.device:
        return next(self.encoder.parameters()).device

    def show(self, observation: Observation, floor: np.ndarray, agent: np.ndarray) -> Observation:
        """Pictures (E, H * tile, W * tile, 3) of floor plans and agents; the symbolic observation is not looked at."""
        return {"image": render_frames(floor, agent, self.encoder.tile)}

    def see(self, observation: Observation, floor: np.ndarray | None = None) -> tuple[np.ndarray, Tensor]:
        """Floor plan and agent of E pictures (E, H * tile, W * tile, 3), as `hjepa.model.perception.see` gives them.

        Raises:
            InputError: pictures of another world, or more doors read than the world has.
        """
        frames = plain_observation(observation)["image"]
        width, height = self.world.size
        wanted = (height * self.encoder.tile, width * self.encoder.tile, 3)
        if frames.ndim != 4 or frames.shape[1:] != wanted:
            raise InputError(
                f"pictures of shape {frames.shape}",
                "perception pixels",
                f"show (E, {', '.join(map(str, wanted))})",
            )
        grid, agent = self.read(frames)
        try:
            return see({"image": compose_image(grid, agent)}, self.world, floor)
        except ValueError as error:
            raise InputError(
                f"read what the world cannot show ({error})",
                "perception pixels",
                "train it longer with `hjepa see`",
            ) from None

    @torch.no_grad()
    def read(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Symbols (E, W, H, 3) uint8 of pictures (E, H * tile, W * tile, 3), and agents (E, 3): x, y, heading."""
        grids, agents = [], []
        for block, kept in blocks(torch.from_numpy(np.ascontiguousarray(frames)), READ, READ):
            grid, agent = self.encoder(block.to(self._device)).read()
            grids.append(grid[:kept])
            agents.append(agent[:kept])
        symbols = torch.cat(grids).cpu().numpy().astype(np.uint8)
        # The agent has a place of its own.
        symbols[symbols[..., 0] == AGENT] = EMPTY_CELL
        return symbols, torch.cat(agents).cpu().numpy()


def perception_of(stack: Stack, spec: TaskSpec, name: str) -> Perception:
    """What an agent of a stack sees a task with.

    Args:
        stack: of the agent.
        spec: the task.
        name: one of `hjepa.evaluation.plan_request.PERCEPTIONS`.

    Raises:
        InputError: a perception that is not known, that the stack has not learned, or that never saw what is there.
    """
    where = f"perception {name}"
    if stack.world.sight is not None:
        if name != "symbolic":
            raise InputError(where, "plan", "the stack sees for itself; leave it out")
        sight = sight_of(spec, stack.config.levels[0].encoder)  # which may be of another size
        assert sight is not None
        return Seen(sight)
    if name == "symbolic":
        return Symbolic(stack.world)
    if name != "pixels":
        raise InputError(where, "plan", f"choose from {', '.join(PERCEPTIONS)}")
    if stack.pixels is None:
        raise InputError(
            "the stack has not learned to see",
            where,
            "teach it with `hjepa see`, or choose perception symbolic",
        )
    if spec.lava and not (isinstance(stack.pixels, Pixels) and stack.pixels.lava):
        raise InputError("it has never seen lava", where, "train it again with `hjepa see --lava 0.1`")
    return stack.pixels


def save_pixels(encoder: PixelEncoder, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a perception beside the weights of its checkpoint.

    Args:
        encoder: trained.
        folder: the checkpoint's.
        facts: entries of the description; ``checkpoint_sha256`` is the hash of the weights it was distilled through,
            and ``lava`` the share of floor that was lava.
    """
    described = {"format": FORMAT, "version": VERSION, "tile": encoder.tile, "hidden": encoder.hidden}
    save_beside(folder, "pixels", encoder.state_dict(), {**described, **facts})


def load_pixels(folder: Path, world: World, sha256: str, device: str = "cpu") -> Pixels | None:
    """The perception in the folder of a checkpoint; None where there is none.

    Args:
        folder: the checkpoint's.
        world: the checkpoint's.
        sha256: of the weights beside it.
        device: where to.

    Raises:
        InputError: files that do not belong to these weights, or cannot be read.
    """
    file, remedy = folder / PIXEL_DESCRIPTION, "train it again with `hjepa see`"
    found = load_beside(folder, "pixels", remedy)
    if found is None:
        return None
    content, state = found
    if content.get("format") != FORMAT or content.get("version") != VERSION:
        raise InputError("describes no perception of this version", str(file), remedy)
    if content.get("checkpoint_sha256") != sha256:
        raise InputError("belongs to other weights than those beside it", str(file), remedy)
    try:
        tile = whole(content.get("tile"), "tile", 1, 1 << 10)
        hidden = whole(content.get("hidden"), "hidden", 1, 1 << 16)
        with torch.device("meta"):  # shapes are compared before anything is made
            fits(state, PixelEncoder(tile, hidden))
        encoder = PixelEncoder(tile, hidden)
        encoder.load_state_dict(state)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"does not fit its description ({error})", str(file), remedy) from None
    encoder = encoder.to(device).eval().requires_grad_(False)
    return Pixels(encoder, world, content.get("sha256"), bool(content.get("lava")))

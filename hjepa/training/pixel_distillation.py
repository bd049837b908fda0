"""Learning to see: a perception from pixels is distilled through a trained stack, which stays as it is.

Teacher and student look at one scene on a floor plan of the training split: the teacher at its symbols, the student
at its picture. The student learns what the stack makes of the symbols:

- Where the agent is: level 1 has a latent for every place and heading, and the student's probabilities of them make a
  mixture of Gaussians around these latents. It learns to make the latent of the scene likely.
- What stands where: the writers of all levels' memories embed every symbol, and the student learns to make the
  embedding of each cell's likely, in the same way.

Two symbols, or two agents, that are the same to the stack need not be told apart. Memories and latents are functions of
embeddings, so what is read right brings about the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from hjepa.devices import fix_threads, torch_device
from hjepa.errors import InputError
from hjepa.evaluation.records import installed_versions
from hjepa.model.checkpoints import copy_checkpoint, describe, folder_to_add_to, load_stack
from hjepa.model.pixels import Pixels, save_pixels
from hjepa.model.stack import Stack
from hjepa.tensors import as_tensor
from hjepa.training.fit import check_source
from hjepa.training.sources import told_source
from hjepa.training.trainer import run_trainer
from levels.grid.agent_encoders import HEADINGS, AgentEncoder
from levels.grid.memory import SYMBOLS, MemoryWriter
from levels.grid.pixels import PixelEncoder, View, every_agent, every_symbol, likelihood_loss, spread
from tasks import TrajectoryStore, door_cells, floor_plans
from tasks.observations import DOOR, EMPTY, EMPTY_CELL, LAVA, LAVA_CELL, WALL, world_grid
from tasks.rendering import render_frames
from tasks.suite import plan_seeds

WIDTH = 0.1
"""Variance of the Gaussians, in units of the squared distance to the nearest latent or embedding."""

CELLS = 16
"""Cells of a scene that are learned from in a step, on average: doors and goals are few, and count as much as walls."""

CHECKED = 1000
"""Pictures of validation plans that the finished perception is measured on."""


@dataclass(frozen=True)
class Scenes:
    """E scenes.

    Attributes:
        grid: (E, W, H, 3) uint8, with empty floor under the agent and doors as they stand.
        agent: (E, 3 + M) x, y, heading, door states.
        frames: (E, H * tile, W * tile, 3) uint8, their pictures.
        cells: (n,) numbers of cells, of all scenes together; of every kind that there is about as many.
    """

    grid: Tensor
    agent: Tensor
    frames: Tensor
    cells: Tensor

    def to(self, device: torch.device) -> Scenes:
        """The same on a device."""
        parts = (self.grid, self.agent, self.frames, self.cells)
        return Scenes(*(part.to(device) for part in parts))


def draw_scenes(rng: np.random.Generator, floor: np.ndarray, doors: int, lava: float, tile: int) -> Scenes:
    """Scenes on floor plans: an agent anywhere, doors open and closed, lava on half of the plans.

    Args:
        rng: source of every draw.
        floor: (E, W, H, 3) uint8 floor plans.
        doors: door slots.
        lava: share of the empty floor that is lava, where there is some.
        tile: pixels a side of one cell.
    """
    grid, count, height = floor.copy(), len(floor), floor.shape[2]
    rows = np.arange(count)
    passable = ~np.isin(grid[..., 0], (WALL, LAVA))
    cell = np.where(passable, rng.random(passable.shape), -1.0).reshape(count, -1).argmax(1)
    agent = np.zeros((count, 3 + doors), dtype=np.int64)
    agent[:, 0], agent[:, 1], agent[:, 2] = cell // height, cell % height, rng.integers(0, 4, count)
    if doors:
        places = door_cells(grid, doors)
        # Slots without a door stay 0, and who stands in a doorway has opened it.
        closed = (places[..., 0] >= 0) & (places != agent[:, None, :2]).any(-1)
        agent[:, 3:] = closed & (rng.random(closed.shape) < 0.5)
    strewn = (rng.random(grid.shape[:3]) < lava) & (rng.random((count, 1, 1)) < 0.5)
    strewn &= grid[..., 0] == EMPTY
    strewn[rows, agent[:, 0], agent[:, 1]] = False
    grid[strewn] = LAVA_CELL
    frames = render_frames(grid, agent, tile)
    shown = world_grid(grid, agent)
    shown[rows, agent[:, 0], agent[:, 1]] = EMPTY_CELL
    kind = np.ravel_multi_index(tuple(shown.reshape(-1, 3).astype(np.int64).T), SYMBOLS)
    share = 1 / np.bincount(kind)[kind]
    cells = rng.choice(share.size, count * CELLS, p=share / share.sum())
    return Scenes(
        torch.from_numpy(shown), as_tensor(agent), torch.from_numpy(frames), torch.from_numpy(cells)
    )


@torch.random.fork_rng(devices=[])  # weights and scenes are drawn; the random state is the caller's
def learn_to_see(
    checkpoint: str,
    data: str,
    steps: int = 600,
    batch: int = 64,
    hidden: int = 24,
    tile: int = 8,
    lava: float = 0.1,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    out: str | None = None,
) -> dict[str, float]:
    """Train the perception from pixels of a checkpoint and keep it in its folder, or in that of a copy.

    Args:
        checkpoint: shipped weights or a run folder.
        data: a trajectory store of its task, whose floor plans are of the training split.
        steps: of the optimiser.
        batch: scenes per step.
        hidden: channels of the network.
        tile: pixels a side of one cell.
        lava: share of the empty floor that is lava on half of the plans; 0: it never sees any.
        seed: of scenes and weights.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: show a bar.
        out: folder of a copy of the checkpoint that gets the perception; None: the checkpoint itself does.

    Returns:
        shares of what is read right on validation plans, see `accuracy`.

    Raises:
        InputError: data of another task or split, a stack through which nothing can be distilled, or shipped weights
            without ``out``.
        StoreError: the store cannot be read.
    """
    fix_threads()
    described, folder = describe(checkpoint), folder_to_add_to(checkpoint, out)
    stack, store = load_stack(checkpoint, str(torch_device(device))), TrajectoryStore.open(data)
    check_source(stack.config, told_source(store, stack.config))
    if store.meta["split"] != "train":
        raise InputError(
            f"holds plans of split {store.meta['split']}", str(store.path), "give a training store"
        )
    if not 0 <= lava < 1:
        raise InputError(f"lava {lava}", "see", "give a share from 0 to less than 1")
    if min(steps, batch) < 1:
        raise InputError(f"{steps} steps of {batch} scenes", "see", "give 1 or more of each")
    teach = Teacher(stack)
    torch.manual_seed(seed)
    encoder = PixelEncoder(tile, hidden)
    _train(encoder, teach, Draws(store, stack.world.doors, batch, lava, tile, seed), steps, device, progress)
    encoder = encoder.cpu().eval().requires_grad_(False)
    found = accuracy(Pixels(encoder, stack.world), stack.config.task, lava, seed)
    facts = {
        "checkpoint_sha256": described["sha256"],
        "data_sha256": store.sha256,
        "steps": steps,
        "batch": batch,
    }
    facts |= {
        "lava": lava,
        "seed": seed,
        "accuracy": found,
        "versions": installed_versions(),
    }
    copy_checkpoint(checkpoint, folder)
    save_pixels(encoder, folder, facts)
    return found


class Teacher:
    """What a frozen stack makes of every symbol and every agent.

    Args:
        stack: trained.

    Raises:
        InputError: level 1 does not encode an agent on a grid, or no level reads a floor plan.
    """

    def __init__(self, stack: Stack) -> None:
        encoder = stack.level(0).encoder
        writers = [stack.level(k).writer for k in range(stack.depth)]
        if not isinstance(encoder, AgentEncoder):
            raise InputError(
                "the stack's world has no cells for an agent to stand on",
                "see",
                "give a checkpoint of a grid world",
            )
        symbols = every_symbol().to(stack.step_distance.device)
        embedded = [writer.embed(symbols) for writer in writers if isinstance(writer, MemoryWriter)]
        if not embedded:
            raise InputError(
                "no level of the stack reads a floor plan, so none can teach what one looks like",
                "see",
                "give a checkpoint with a memory",
            )
        agents = every_agent(*stack.world.size).to(symbols)
        # Between open doors: doors are read from the cells where they are.
        agents = torch.cat([agents, agents.new_zeros(len(agents), stack.world.doors)], -1)
        self.size = (*stack.world.size, HEADINGS)
        self.embeddings, self.latents = torch.cat(embedded, -1).detach(), encoder(agents).detach()
        self.widths = [WIDTH * spread(known) for known in (self.embeddings, self.latents)]

    def loss(self, view: View, scenes: Scenes) -> Tensor:
        """How unlikely the embeddings of a scene's symbols, and the latent of its agent, are to what was read: nats."""
        symbols = _number(scenes.grid, SYMBOLS).flatten()[scenes.cells]
        agents = _number(scenes.agent[:, :3], self.size)
        kinds = view.kinds(scenes.cells)
        return likelihood_loss(kinds, self.embeddings, symbols, self.widths[0]) + likelihood_loss(
            view.agents, self.latents, agents, self.widths[1]
        )


def _number(parts: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The number (...) of a combination (..., n) of integers, each below its size."""
    number = torch.zeros_like(parts[..., 0], dtype=torch.int64)
    for i, size in enumerate(sizes):
        number = number * size + parts[..., i]
    return number


class TrainPixels(L.LightningModule):
    """A perception in training.

    Args:
        encoder: trained in place.
        teach: frozen.
        steps: of the optimiser.
        rate: of AdamW at its peak.
    """

    def __init__(self, encoder: PixelEncoder, teach: Teacher, steps: int, rate: float = 3e-3) -> None:
        super().__init__()
        self.encoder, self.teach, self.steps, self.rate = encoder, teach, steps, rate

    def transfer_batch_to_device(self, batch: Scenes, device: torch.device, dataloader_idx: int) -> Scenes:
        """Scenes on a device."""
        return batch.to(device)

    def training_step(self, batch: Scenes, batch_idx: int) -> Tensor:
        """`Teacher.loss`."""
        return self.teach.loss(self.encoder(batch.frames), batch)

    def configure_optimizers(self) -> Any:
        """AdamW, whose rate falls to 0 as a cosine."""
        optimizer = torch.optim.AdamW(self.encoder.parameters(), self.rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Draws(IterableDataset[Scenes]):
    """Endless scenes on the floor plans of a store, each batch a function of seed and step."""

    def __init__(
        self, store: TrajectoryStore, doors: int, size: int, lava: float, tile: int, seed: int
    ) -> None:
        self.store, self.doors, self.size = store, doors, size
        self.lava, self.tile, self.seed = lava, tile, seed

    def __iter__(self) -> Iterator[Scenes]:
        step = 0
        while True:
            rng = np.random.Generator(np.random.Philox(key=[self.seed, (step << 8) | 253]))
            floor = self.store.grids[rng.integers(0, len(self.store.grids), self.size)]
            yield draw_scenes(rng, floor, self.doors, self.lava, self.tile)
            step += 1


def _train(
    encoder: PixelEncoder, teach: Teacher, draws: Draws, steps: int, device: str, progress: bool
) -> None:
    run_trainer(
        TrainPixels(encoder, teach, steps),
        device,
        steps,
        50 if progress else None,
        settings={"gradient_clip_val": 1.0},
        train_dataloaders=DataLoader(draws, batch_size=None),
    )


def accuracy(pixels: Pixels, task: str, lava: float, seed: int, count: int = CHECKED) -> dict[str, float]:
    """Shares of what is read right in scenes on floor plans of the validation split.

    Args:
        pixels: measured.
        task: whose floor plans.
        lava: as in training.
        seed: of the scenes.
        count: how many.

    Returns:
        ``cells`` whose three symbols are right, but for the agent's cell; ``doors`` and ``lava``, the same of those
        cells alone, where there are any; ``agents`` whose cell and heading are right; ``scenes`` with all of it right.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, 252]))
    floor, _ = floor_plans(task, plan_seeds(task, "validation", count, "pixels"))
    scenes = draw_scenes(rng, floor, pixels.world.doors, lava, pixels.encoder.tile)
    grid, agent = scenes.grid.numpy(), scenes.agent.numpy()
    read, found = pixels.read(scenes.frames.numpy())
    right = (read == grid).all(-1)
    other = np.ones_like(right)
    other[np.arange(len(grid)), agent[:, 0], agent[:, 1]] = False
    agents = (found == agent[:, :3]).all(-1)
    shares = {"scenes": (agents & (right | ~other).all((1, 2))).mean(), "agents": agents.mean()}
    shares["cells"] = right[other].mean()
    for name, kind in (("doors", DOOR), ("lava", LAVA)):
        if (cells := other & (grid[..., 0] == kind)).any():
            shares[name] = right[cells].mean()
    return {name: float(share) for name, share in shares.items()}

"""Distillation: the plans of the slow mode become the actors of the fast one, or what data did does.

From moments of training trajectories to places that others of the same floor plan came to, the agent plans with every
number of levels, and each decision says what to do from where it stood, and from where it imagined to be after each
step. Nothing is walked. From data instead, the actors clone what its trajectories did on the way to where they came
(`hjepa.training.hindsight`). Only actors are trained; the stack stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.devices import fix_threads, torch_device
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import make_agent
from hjepa.evaluation.records import installed_versions
from hjepa.model.actors import look_around, make_actors, save_actors
from hjepa.model.checkpoints import copy_checkpoint, describe, folder_to_add_to, load_stack
from hjepa.model.perception import describe_world
from hjepa.model.stack import Stack
from hjepa.own_code import check_task
from hjepa.tensors import as_tensor
from hjepa.training.fit import check_source
from hjepa.training.hindsight import Course, Lessons, hindsight
from hjepa.training.sources import open_source, told_source
from hjepa.training.trainer import run_trainer
from levels.actor import Actor
from levels.macro_actions import gaussian_loss
from levels.ranges import shown
from planners.noise import combine
from planners.top_down import Decision
from tasks import TrajectoryStore, task_spec

SOURCES = ("plans", "data")
"""What actors can be distilled from."""

EACH = 8
"""Questions asked on a floor plan."""

PLANS = 8
"""Floor plans asked about at once."""


@torch.random.fork_rng(devices=[])  # weights and batches are drawn; the random state is the caller's
def distill(
    checkpoint: str,
    data: str,
    questions: int = 6000,
    steps: int = 4000,
    hidden: int = 128,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    out: str | None = None,
    source: str = "plans",
) -> Stack:
    """Train the actors of a checkpoint and keep them in its folder, or in that of a copy.

    Args:
        checkpoint: shipped weights or a run folder.
        data: a trajectory store of its task.
        questions: how many times the agent plans with each number of levels; with ``data``, pieces of trajectories.
        steps: of the optimiser.
        hidden: width of the actors.
        seed: of questions, weights and batches.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: show bars.
        out: folder of a copy of the checkpoint that gets the actors; None: the checkpoint itself does.
        source: what is learned, ``plans`` of the agent or what ``data`` did (goal-conditioned behaviour cloning).

    Returns:
        the stack with its actors.

    Raises:
        InputError: data of another task, a checkpoint that cannot plan, or shipped weights without ``out``.
        StoreError: the store cannot be read.
    """
    fix_threads()
    described, folder = describe(checkpoint), folder_to_add_to(checkpoint, out)
    if source not in SOURCES:
        raise InputError(f"actors from {shown(source)}", "distill", f"choose from {', '.join(SOURCES)}")
    stack = load_stack(checkpoint, str(torch_device(device)))
    check_task(stack.config.task, f"checkpoint {checkpoint}")
    stack.actors = nn.ModuleList()
    if source == "data":
        sha256, course = _cloned(stack, data, questions, seed, progress)
    else:
        store = TrajectoryStore.open(data)
        check_source(stack.config, told_source(store, stack.config))
        sha256, course = store.sha256, lectures(stack, store, questions, seed, progress)
    torch.manual_seed(seed)
    stack.actors.extend(make_actors(stack, hidden))
    stack.actors.to(stack.step_distance.device).requires_grad_(True).train()
    _train(stack, course, steps, seed, device, progress)
    stack.actors.cpu().requires_grad_(False).eval()
    facts = {"checkpoint_sha256": described["sha256"], "data_sha256": sha256, "hidden": hidden}
    facts |= {"from": source} if source == "data" else {}
    facts |= {"questions": questions, "steps": steps, "seed": seed, "versions": installed_versions()}
    copy_checkpoint(checkpoint, folder)
    save_actors(stack, folder, facts)
    return stack


def _cloned(stack: Stack, data: str, pieces: int, seed: int, progress: bool) -> tuple[str, Course]:
    """The hash of a store, and what its trajectories teach."""
    source, world = open_source(data, stack.config)
    if world != stack.world:
        raise InputError(
            f"holds {describe_world(world)}, the checkpoint is for {describe_world(stack.world)}",
            data,
            "give a store of the checkpoint's world",
        )
    check_source(stack.config, source)
    return source.sha256, hindsight(stack, source, pieces, seed, progress)


def lectures(stack: Stack, store: TrajectoryStore, questions: int, seed: int, progress: bool) -> Course:
    """What plans teach, with every number of levels, from moments of trajectories to places of others."""
    found: dict[tuple[int, bool], list[Lessons]] = {}
    spec, plans = task_spec(stack.config.task), min(PLANS, store.plans)
    batches = -(-questions // (plans * EACH))
    bar = tqdm(range(batches * stack.depth), desc="plans", disable=not progress)
    for number in bar:
        levels, batch = number // batches + 1, number % batches
        rng = np.random.Generator(np.random.Philox(key=[seed, (batch << 8) | 254]))
        if batch == 0:
            agent = make_agent(stack, spec, AgentOptions(levels, record=True))
        length = int(store.lengths.max())
        windows = store.windows(rng, plans * EACH, length, plans=plans)
        floor = store.grids[windows.grid_index[:, 0]]
        now, then = rng.integers(0, length, (2, plans * EACH))
        rows = np.arange(plans * EACH)
        # The place of another trajectory on the same plan.
        other = rows // EACH * EACH + (rows + 1) % EACH
        agents = as_tensor(np.stack([windows.agent[rows, now], windows.agent[other, then]], 1))
        keys = combine(seed, torch.arange(len(rows)) + batch * len(rows))
        for key, lessons in _asked(agent, floor, agents, keys):
            found.setdefault(key, []).append(lessons)
    return {key: Lessons.join(parts) for key, parts in found.items()}


@torch.no_grad()
def _asked(
    agent: Agent, floor: np.ndarray, agents: Tensor, keys: Tensor
) -> Iterator[tuple[tuple[int, bool], Lessons]]:
    """What first plans teach, of agents (E, 2, A) now and at the goal, on floor plans (E, W, H, 3)."""
    stack, device = agent.stack, agent.stack.step_distance.device
    memories = agent.reader.write(floor)
    latents = stack.encode(agents.to(device), memories)
    goals = [latent[:, 1] for latent in latents]
    fields, metrics = agent.reader.judge(floor, latents[0], goals, memories, keys.to(device))
    state = agent.planner.start(goals, memories, keys.to(device), metrics, fields)
    agent.planner.act(state, latents[0][:, 0], torch.ones(len(keys), dtype=torch.bool, device=device))
    yield from _lessons(stack, state.decisions, [latent[:, 0] for latent in latents], memories, fields)


@torch.no_grad()
def _lessons(
    stack: Stack,
    decisions: list[Decision],
    latents: list[Tensor],
    memories: list[Tensor | None],
    fields: list[Tensor | None],
) -> Iterator[tuple[tuple[int, bool], Lessons]]:
    """What decisions teach.

    Args:
        stack: of the levels in use.
        decisions: the first ones of E episodes.
        latents: per level, (E, D) where they were made.
        memories, fields: per level, of the episodes.
    """
    for decision in decisions:
        k, rows, plan = decision.level - 1, decision.rows, decision.plan
        memory, field, level = memories[k], fields[k], stack.level(k)
        steps = 1 if k else min(plan.actions.shape[1], stack.config.plan.commit)
        steps = steps if decision.at_goal else plan.actions.shape[1]
        start = latents[k][rows].unsqueeze(1)
        here = torch.cat([start, plan.latents], 1)[:, :steps]
        action = plan.actions[:, :steps]
        condition = level.condition(here, None if memory is None else memory[rows])
        aim = decision.target.unsqueeze(1).expand(-1, steps, -1)
        if decision.at_goal:
            around = look_around(stack, k, here, None if field is None else field[rows])
            inputs = (condition, here, aim, around)
            # What a plan does once it has arrived means nothing.
            wanted = stack.probe(k)(here)[..., :2] != stack.probe(k)(aim)[..., :2]
            useful = wanted.any(-1).flatten()
        else:
            left = 1 - torch.arange(steps, device=here.device) / steps
            inputs = (condition, here, aim, left.expand(len(rows), -1))
            useful = torch.ones(len(rows) * steps, dtype=torch.bool, device=here.device)
        flat = tuple(part.flatten(0, 1)[useful] for part in inputs)
        if bool(useful.any()):
            yield (k, decision.at_goal), Lessons(flat, action.flatten(0, 1)[useful])


class TrainActors(L.LightningModule):
    """Actors in training; what each batch holds of a level's lessons is weighed alike.

    Args:
        stack: whose actors are trained in place.
        rate: of AdamW at its peak.
        steps: of the optimiser.
    """

    def __init__(self, stack: Stack, steps: int, rate: float = 2e-3) -> None:
        super().__init__()
        self.actors, self.steps, self.rate = stack.actors, steps, rate
        self.continuous = [stack.level(k).continuous for k in range(stack.depth)]

    def transfer_batch_to_device(self, batch: Course, device: torch.device, dataloader_idx: int) -> Course:
        """Lessons of all levels, on a device."""
        return {key: lessons.to(device) for key, lessons in batch.items()}

    def training_step(self, batch: Course, batch_idx: int) -> Tensor:
        """The sum of the negative log-likelihoods of what was planned."""
        losses = []
        for (k, at_goal), lessons in batch.items():
            actor = self.actors[k]
            assert isinstance(actor, Actor)
            described = (actor.to_goal if at_goal else actor.to_subgoal)(
                *(part.unsqueeze(0) for part in lessons.inputs)
            ).squeeze(0)
            if self.continuous[k]:
                losses.append(gaussian_loss(described, lessons.action))
            else:
                losses.append(F.cross_entropy(described, lessons.action.argmax(-1)))
        return torch.stack(losses).sum()

    def configure_optimizers(self) -> Any:
        """AdamW, whose rate falls to 0 as a cosine."""
        optimizer = torch.optim.AdamW(self.actors.parameters(), self.rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Draws(IterableDataset[Course]):
    """Endless batches of lessons, each a function of seed and step."""

    def __init__(self, course: Course, size: int, seed: int) -> None:
        self.course, self.size, self.seed = course, size, seed

    def __iter__(self) -> Iterator[Course]:
        random = torch.Generator().manual_seed(self.seed)
        while True:
            batch = {}
            for key, lessons in self.course.items():
                rows = torch.randint(len(lessons.action), (self.size,), generator=random)
                batch[key] = Lessons(tuple(part[rows] for part in lessons.inputs), lessons.action[rows])
            yield batch


def _train(stack: Stack, course: Course, steps: int, seed: int, device: str, progress: bool) -> None:
    data = DataLoader(Draws(course, 512, seed), batch_size=None)
    run_trainer(TrainActors(stack, steps), device, steps, 50 if progress else None, train_dataloaders=data)

"""A picture for each window: what changes in the world is read as it was when the window began."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hjepa.config import RunConfig, load_preset
from hjepa.errors import InputError
from hjepa.evaluation.abstraction import look_ahead, walk
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.training.batches import draw
from hjepa.training.calibration import calibrate
from hjepa.training.hindsight import hindsight
from hjepa.training.memories import remember
from hjepa.training.signals import WINDOWS, signals
from hjepa.training.sources import StateSource
from tasks import TrajectoryStore, collect, task_spec

TASK = "MiniGrid-MultiRoom-N6-v0"
SMALL = [
    "train.plans=2",
    "train.batch=96",
    "levels.0.channels=8",
    "levels.0.rollout=8",
    "plan.flat={}",
    "levels.1.memory.wide=0",
    "levels.2.memory.wide=0",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> StateSource:
    folder = tmp_path_factory.mktemp("doors") / "store"
    collect(TASK, folder, plans=3, episodes_per_plan=2, length=60, seed=0, explorer="goal-seeking")
    return StateSource(TrajectoryStore.open(folder), world_of(task_spec(TASK), "symbols").sight)


def asked(own: bool) -> RunConfig:
    return load_preset("multi-room", [*SMALL, f"levels.0.memory.own={str(own).lower()}"])


def test_every_window_has_the_picture_it_begins_with(source: StateSource) -> None:
    torch.manual_seed(0)
    stack = Stack(asked(True), world_of(task_spec(TASK), "symbols"))
    batch = draw(source, stack.config, 0, stack.window_length(0), 3, told=False)
    assert batch.agent.shape[:2] == (2, 6)
    assert torch.equal(batch.grid, batch.agent[:, :, 0].flatten(0, 1))
    shared = draw(source, asked(False), 0, stack.window_length(0), 3, told=False)
    assert torch.equal(shared.agent, batch.agent) and len(shared.grid) == 2


def test_windows_are_read_in_their_own_pictures(source: StateSource) -> None:
    torch.manual_seed(0)
    stack = Stack(asked(True), world_of(task_spec(TASK), "symbols"))
    batch = draw(source, stack.config, 0, stack.window_length(0), 3, told=False)
    level, memory = stack.level(0), stack.write_level(0, batch.grid)
    assert memory is not None
    latent = stack.encode(batch.agent[:, :, 0], [None], upto=1)[0]
    with torch.no_grad():
        together = level.condition(latent, memory)
        alone = [
            level.condition(one[None, None], memory[i : i + 1]) for i, one in enumerate(latent.flatten(0, 1))
        ]
        wrong = level.condition(latent, memory.roll(1, 0))
    assert torch.allclose(together.flatten(0, 1), torch.cat(alone)[:, 0], atol=1e-6)
    assert not torch.allclose(together, wrong, atol=1e-3), "another window's picture says something else"


def test_levels_learn_and_show_themselves_with_pictures_of_their_own(source: StateSource) -> None:
    torch.manual_seed(0)
    stack = Stack(asked(True), world_of(task_spec(TASK), "symbols"))
    batch = draw(source, stack.config, 0, stack.window_length(0), 3, told=False)
    memories = stack.write(batch.grid)
    loss, terms = stack.loss(0, batch.agent, batch.action, memories, 0.5, state=batch.state, form=batch.form)
    loss.backward()
    assert torch.isfinite(loss) and np.isfinite(terms["inverse"].item())
    found = signals(stack, batch, memories)
    assert WINDOWS < 6 and found["ahead_8"] > 0


def test_what_is_measured_and_learned_from_hindsight_reads_the_pictures_that_windows_begin_with(
    source: StateSource,
) -> None:
    """Level 1 remembers every window, the levels above remember layouts."""
    torch.manual_seed(0)
    stack = Stack(asked(True), world_of(task_spec(TASK), "symbols"))
    pieces = source.pieces(np.random.default_rng(0), 6, 33, 2)
    rows = pieces.rows.reshape(2, 3, 33)
    own, layout = remember(stack, source, rows[:, :, 0])[:2]
    assert own is not None and layout is not None and (len(own), len(layout)) == (6, 2)
    last = stack.write_level(0, torch.from_numpy(source.show(rows[1, 2, :1])))
    assert last is not None and torch.allclose(own[-1:], last, atol=1e-6)
    walked = walk(stack, 0, source, 6, 2, 0)
    assert walked.memory is not None and len(walked.memory) == 6
    assert all(np.isfinite(look_ahead(stack, 0, walked)))
    calibrate(stack, source, 0, 6, 2)
    assert (stack.stride_distance > 0).all()
    for learned in hindsight(stack, source, 2, 0, progress=False).values():
        assert all(torch.isfinite(part).all() for part in learned.inputs)


@pytest.mark.parametrize("level", [0, 1])
def test_who_is_told_has_no_pictures_of_its_own(level: int) -> None:
    with pytest.raises(InputError, match=f"level {level + 1} memory.own is true, but level 1 is told"):
        load_preset("told-multi-room", [f"levels.{level}.memory.own=true"])


@pytest.mark.parametrize("own", [1, 2])
def test_encoders_that_read_layouts_have_no_pictures_of_windows(own: int) -> None:
    settings = ["levels.1.encoder=mlp", "levels.1.encoder_reads=true", "levels.0.memory.own=false"]
    with pytest.raises(
        InputError, match=f"level {own + 1} memory.own is true, but the encoder of level 2 reads"
    ):
        load_preset("multi-room", [*settings, f"levels.{own}.memory.own=true"])

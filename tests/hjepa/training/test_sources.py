"""Sources of windows: states that are told or drawn, and stores of what was seen; level 1's latents looked up."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.model.form import Form
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.training.batches import Batch, Batches, draw
from hjepa.training.fit import check_source
from hjepa.training.latents import LatentTable
from hjepa.training.sources import SeenSource, StateSource, open_source
from tasks import (
    ObservationStore,
    TrajectoryStore,
    collect,
    collect_world,
    compose_image,
    make_world,
    task_spec,
)
from tasks.import_files import import_npz

LENGTH, EPISODES = 30, 8
TASK = "hjepa/NestedRooms-d2-v0"
SMALL = [
    "train.plans=2",
    "train.batch=64",
    "levels.0.channels=8",
    "levels.1.memory.wide=0",
    "levels.2.memory.wide=0",
]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryStore:
    folder = tmp_path_factory.mktemp("states") / "store"
    collect(TASK, folder, plans=3, episodes_per_plan=2, length=40, seed=0)
    return TrajectoryStore.open(folder)


@pytest.fixture(scope="module")
def stack() -> Stack:
    torch.manual_seed(0)
    return Stack(load_preset("nested-d2", SMALL), world_of(task_spec(TASK), "symbols"))


def test_points_are_drawn_as_their_world_shows_them(tmp_path: Path) -> None:
    task = "hjepa/NestedPoint-d2-v0"
    collect(task, tmp_path / "points", plans=2, episodes_per_plan=2, length=30, seed=0)
    store = TrajectoryStore.open(tmp_path / "points")
    source = StateSource(store, world_of(task_spec(task), "image").sight)
    rows = np.arange(0, store.observations, 7)
    shown = source.show(rows)
    assert shown.shape == (len(rows), *make_world(task).spec.senses["image"].shape)
    red = shown[..., 0].astype(float) - shown[..., 1]  # what the body covers of each pixel
    rows_at, columns_at = np.indices(red.shape[1:]) + 0.5
    centre = np.stack([(red * at).sum((1, 2)) / red.sum((1, 2)) / 8 for at in (columns_at, rows_at)], 1)
    assert np.abs(centre - store.agent[rows]).max() < 0.01
    with pytest.raises(InputError, match="symbols"):
        world_of(task_spec(task), "symbols")


def test_states_are_drawn_as_the_world_shows_them(states: TrajectoryStore) -> None:
    sight = world_of(task_spec(TASK), "symbols").sight
    source = StateSource(states, sight)
    pieces = source.pieces(np.random.default_rng(0), 4, 9, 2)
    assert pieces.rows.shape == (4, 9) and (np.diff(pieces.rows, axis=1) == 1).all()
    assert np.array_equal(pieces.action, states.action[pieces.rows[:, :-1]])
    shown = source.show(pieces.rows)
    drawn = compose_image(states.grids[states.grid_index[pieces.rows]], states.agent[pieces.rows])
    assert np.array_equal(shown, drawn)
    assert np.array_equal(source.layout(pieces.rows[:, 0]), drawn[:, 0]), (
        "a memory is written from a picture too"
    )
    told = StateSource(states, None)
    assert np.array_equal(told.show(pieces.rows), states.agent[pieces.rows])
    assert np.array_equal(told.layout(pieces.rows[:, 0]), states.grids[states.grid_index[pieces.rows[:, 0]]])


def test_upper_levels_look_up_what_level_1_would_have_seen(states: TrajectoryStore, stack: Stack) -> None:
    source, k = StateSource(states, stack.world.sight), 1
    length, every = stack.window_length(k), stack.every(k)
    seen = draw(source, stack.config, k, length, 7, told=False, every=every)
    table = LatentTable(stack, source)
    known = draw(source, stack.config, k, length, 7, told=False, every=every, table=table)
    assert known.form == Form(every, encoded=True) and seen.form == Form(every)
    with torch.no_grad():
        latent = stack.encode(seen.agent, [None], upto=1)[0]
    assert torch.allclose(latent, known.agent, atol=1e-5)
    assert torch.equal(seen.grid, known.grid) and torch.equal(seen.action, known.action)
    memories = stack.write(seen.grid)
    torch.manual_seed(1)
    one, _ = stack.loss(k, seen.agent, seen.action, memories, 0.5, state=seen.state, form=seen.form)
    torch.manual_seed(1)
    other, _ = stack.loss(k, known.agent, known.action, memories, 0.5, state=known.state, form=known.form)
    assert torch.allclose(one, other, atol=1e-4)


def test_a_stack_that_sees_is_given_its_own_moments_and_what_probes_ask_for(
    states: TrajectoryStore, stack: Stack
) -> None:
    source, lengths = StateSource(states, stack.world.sight), [stack.window_length(k) for k in range(3)]
    for k, form in ((0, Form(1)), (1, Form(stack.every(1), encoded=True))):
        first = sum(stack.config.train.steps[:k])
        (batch,) = next(iter(Batches(source, stack.config, lengths, partial(int, first), stack)))
        assert isinstance(batch, Batch)
        assert batch.level == k and batch.form == form
        wanted = draw(source, stack.config, k, lengths[k], first, told=False, every=stack.every(k))
        assert batch.state is not None and wanted.state is not None
        assert torch.equal(batch.state, wanted.state) and torch.equal(batch.grid, wanted.grid)
    told = next(iter(Batches(StateSource(states, None), stack.config, lengths, lambda: 0)))[0]
    assert isinstance(told, Batch) and told.form == Form() and told.state is None


def test_observations_of_any_world(tmp_path: Path) -> None:
    world = make_world("Pendulum-v1")
    collect_world(world, tmp_path / "data", "random", episodes=6, length=30, seed=0)
    store = ObservationStore.open(tmp_path / "data")
    source = SeenSource(store, "vector")
    pieces = source.pieces(np.random.default_rng(0), 8, 9, 4)
    assert np.array_equal(source.show(pieces.rows), store.observation["vector"][pieces.rows])
    assert np.allclose(2 * pieces.action, store.action[pieces.rows[:, :-1]]), (
        "torques from -2 to 2 become -1 to 1"
    )
    assert source.state(pieces.rows) is None, "no probe reads a pendulum"
    config = load_preset("vector")
    opened, seen = open_source(tmp_path / "data", config)
    assert opened.sha256 == store.sha256
    assert seen.continuous and seen.actions == 1 and seen.sight is not None and seen.sight.shape == (3,)
    with pytest.raises(InputError, match="holds Pendulum-v1, not CartPole-v1"):
        open_source(tmp_path / "data", load_preset("vector", ["task=CartPole-v1"]))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of others, all of one group: the red of every pixel is the episode, the green the step."""
    folder = tmp_path_factory.mktemp("imported")
    episode, step = np.divmod(np.arange(EPISODES * LENGTH), LENGTH)
    pictures = np.zeros((len(step), 32, 32, 3), dtype=np.uint8)
    pictures[..., 0], pictures[..., 1] = episode[:, None, None], step[:, None, None]
    actions = np.stack([step, -step], -1).astype(np.float32) / LENGTH
    np.savez(folder / "d.npz", observations=pictures, actions=actions, terminals=step == LENGTH - 1)
    return import_npz(folder / "d.npz", folder / "s").path


def test_pictures_of_one_group_fill_a_batch_of_many_layouts(imported: Path) -> None:
    config = load_preset("pixels", ["train.plans=4", "train.batch=256"])
    source, _ = open_source(imported, config)
    check_source(config, source)
    batch = draw(source, config, 0, 9, step=0, told=False)
    assert batch.agent.shape == (4, 256 // 8 // 4, 9, 32, 32, 3) and batch.grid.shape == (4, 32, 32, 3)
    episode, step = batch.agent[..., 0, 0, 0].long(), batch.agent[..., 0, 0, 1].long()
    assert (episode == episode[..., :1]).all() and (step == step[..., :1] + torch.arange(9)).all()
    assert len(episode.unique()) > 4, "windows come from everywhere"


def test_one_group_counts_for_as_many_layouts_as_it_has_episodes(imported: Path) -> None:
    config = load_preset("pixels", [f"train.plans={EPISODES * 2}"])
    source, _ = open_source(imported, config)
    with pytest.raises(InputError, match=f"has {EPISODES} floor plans, a batch takes {EPISODES * 2}"):
        check_source(config, source)

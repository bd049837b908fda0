"""Perception from pixels: taught through a frozen stack, kept beside it, and in the place of symbols."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.agent.options import AgentOptions
from hjepa.cli import main
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate, make_agent, play
from hjepa.evaluation.records import pooled
from hjepa.evaluation.tables import table
from hjepa.model.checkpoints import WEIGHTS, checkpoint_folder, file_sha256, load_stack, save_stack
from hjepa.model.perception import Symbolic, see, world_of
from hjepa.model.pixels import PIXEL_DESCRIPTION, Pixels, perception_of
from hjepa.model.stack import Stack
from hjepa.training.pixel_distillation import Teacher, draw_scenes, learn_to_see
from levels.grid.pixels import PixelEncoder
from tasks import StoreError, collect, floor_plans, sample_episodes, task_spec
from tasks.observations import DOOR, EMPTY, GOAL, LAVA
from tasks.rendering import render_frames
from tasks.suite import plan_seeds

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"
TASK, DOORS, LAVAS = "hjepa/NestedRooms-d2-v0", "MiniGrid-MultiRoom-N6-v0", "hjepa/NestedLava-d3-v0"


def checkpoint(made: Path, task: str) -> Path:
    """An untrained checkpoint of a task with a store beside it: random embeddings tell symbols apart as well."""
    config = load_preset(str(TINY), [f"task={task}", "plan.metric=critic"])
    torch.manual_seed(0)
    save_stack(Stack(config, world_of(task_spec(task))), made, {"task": task, "train_seed": 0})
    collect(task, made / "data", **vars(config.collect))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that has hardly begun to see."""
    made = checkpoint(tmp_path_factory.mktemp("pixels"), TASK)
    before = file_sha256(made / WEIGHTS)
    learn_to_see(str(made), str(made / "data"), steps=3, batch=4, lava=0.0, device="cpu", progress=False)
    assert file_sha256(made / WEIGHTS) == before, "the levels stay as they are"
    return made


@pytest.mark.parametrize("name", ["told-nested-d2", "told-nested-d3"])
def test_shipped_perceptions_read_pictures_as_the_symbols_they_show(name: str) -> None:
    stack = load_stack(name)
    pixels = stack.pixels
    assert isinstance(pixels, Pixels) and stack.truncate(2).pixels is pixels
    batch = sample_episodes(stack.config.task, "validation", episodes=40)
    shown = pixels.show(batch.start_observation, batch.grid, batch.start)
    grid, agent = pixels.see(shown)
    floor, told = see(batch.start_observation, stack.world)
    assert np.array_equal(grid, floor) and torch.equal(agent, told)
    assert torch.equal(pixels.see(shown, floor[::-1])[1], told), "a known floor plan changes no agent"
    facts = json.loads((checkpoint_folder(name) / PIXEL_DESCRIPTION).read_text())
    assert facts["accuracy"] == dict.fromkeys(("scenes", "agents", "cells", "lava"), 1.0)
    assert (checkpoint_folder(name) / "pixels.safetensors").stat().st_size < 100_000


def test_lava_is_seen_and_kept_out_of() -> None:
    stack, spec = load_stack("told-nested-d3"), task_spec(LAVAS)
    batch = sample_episodes(LAVAS, "validation", episodes=4)
    read, _ = perception_of(stack, spec, "pixels").see({"image": render_frames(batch.grid, batch.start)})
    assert np.array_equal(read[..., 0] == LAVA, batch.grid[..., 0] == LAVA) and (read[..., 0] == LAVA).any()
    agent, one = (
        make_agent(stack, spec, AgentOptions(1, perception=perception_of(stack, spec, "pixels"))),
        batch.select(slice(0, 1)),
    )
    played = play(agent, spec, one, 0, 0).results
    assert agent.guardrails and played.success.all() and not played.violated.any()


def test_what_is_read_goes_where_symbols_went_and_is_paid_for() -> None:
    stack, spec = load_stack("told-nested-d2"), task_spec(TASK)
    batch = sample_episodes(TASK, "validation", episodes=3)
    symbolic, free = (make_agent(stack, spec, AgentOptions(3)) for _ in range(2))
    assert isinstance(symbolic.perception, Symbolic) and isinstance(stack.pixels, Pixels)
    free.perception = stack.pixels  # its searches believe that seeing costs nothing
    first, second = (play(agent, spec, batch, 0, 0) for agent in (symbolic, free))
    assert np.array_equal(first.agent, second.agent) and np.array_equal(
        first.results.flops, second.results.flops
    )
    paying = make_agent(stack, spec, AgentOptions(3, perception=perception_of(stack, spec, "pixels")))
    more = paying.searches.encode_flops - symbolic.searches.encode_flops
    assert (
        more == stack.pixels.flops == (paying.searches.write_flops - symbolic.searches.write_flops) / 2 > 1e5
    )
    third = play(paying, spec, batch, 0, 0)
    assert third.results.success.all() and (third.results.flops <= 1e12 * paying.budget_tflops).all()


def test_records_say_what_was_seen_with_only_where_it_was_no_symbols() -> None:
    stack = load_stack("told-nested-d2")
    plain = evaluate(stack, TASK, levels=1, episodes=3, split="validation")
    seen = evaluate(
        stack, TASK, levels=1, episodes=3, split="validation", perception="pixels", episode_batch=2
    )
    again = evaluate(stack, TASK, levels=1, episodes=3, split="validation", perception="pixels")
    assert not {"perception", "perception_sha256"} & plain.keys() and stack.pixels is not None
    assert (seen["perception"], seen["perception_sha256"]) == ("pixels", stack.pixels.sha256)
    assert seen["steps"] == again["steps"] and seen["tflops_per_episode"] == again["tflops_per_episode"]
    with pytest.raises(InputError, match="records differ in perception"):
        pooled([plain, seen])
    shown = table([plain, seen])
    assert "symbolic" in shown and "pixels" in shown and "perception" not in table([plain])


def test_doors_are_taught_by_their_embeddings(tmp_path: Path) -> None:
    made = checkpoint(tmp_path, DOORS)
    stack = load_stack(made)
    floor, _ = floor_plans(DOORS, plan_seeds(DOORS, "train", 8))
    torch.manual_seed(0)
    encoder, teach = PixelEncoder(6, 24), Teacher(stack)
    optimizer = torch.optim.Adam(encoder.parameters(), 5e-3)
    for step in range(120):
        scenes = draw_scenes(np.random.default_rng(step), floor, stack.world.doors, 0.0, 6)
        optimizer.zero_grad()
        teach.loss(encoder(scenes.frames), scenes).backward()
        optimizer.step()
    unseen, _ = floor_plans(DOORS, plan_seeds(DOORS, "validation", 8))
    scenes = draw_scenes(np.random.default_rng(9), unseen, stack.world.doors, 0.0, 6)
    _, agent = Pixels(encoder, stack.world).see(scenes.frames, unseen)
    assert torch.equal(agent, scenes.agent), "place, heading, and which doors are open"
    read, _ = Pixels(encoder, stack.world).read(scenes.frames.numpy())
    there = scenes.grid.numpy()
    for kind in (DOOR, GOAL):
        assert (
            np.array_equal(read[there[..., 0] == kind], there[there[..., 0] == kind]) and (read == kind).any()
        )


def test_scenes_are_ones_that_the_world_can_show() -> None:
    floor, _ = floor_plans(DOORS, plan_seeds(DOORS, "train", 40))
    scenes = draw_scenes(np.random.default_rng(0), floor, 5, 0.5, 4)
    grid, agent = scenes.grid.numpy(), scenes.agent.numpy()
    below = floor[np.arange(40), agent[:, 0], agent[:, 1]]
    assert set(below[:, 0]) <= {EMPTY, DOOR, GOAL} and len(set(agent[:, 2])) == 4
    lava = (grid[..., 0] == LAVA).any((1, 2))
    assert 5 < lava.sum() < 35 and not (below[:, 0] == LAVA).any()
    doors = grid[floor[..., 0] == DOOR]
    assert {tuple(row) for row in doors[doors[:, 0] == DOOR][:, [0, 2]]} == {(DOOR, 0), (DOOR, 1)}
    # Of every kind about as many cells: a door of some colour as often as a wall.
    kinds = np.unique(grid.reshape(-1, 3)[scenes.cells], axis=0, return_counts=True)[1]
    assert len(kinds) > 10 and kinds.max() < 3 * kinds.min() + 20


def test_files_that_do_not_belong_are_refused(folder: Path, tmp_path: Path) -> None:
    good = json.loads((folder / PIXEL_DESCRIPTION).read_text())
    for name in (WEIGHTS, "model.json", good["weights"], PIXEL_DESCRIPTION):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert load_stack(tmp_path).pixels is not None
    for change, reason in (
        ({"checkpoint_sha256": "0"}, "belongs to other weights"),
        ({"version": 2}, "no perception of this version"),
        ({"sha256": "0"}, "does not have the contents"),
        ({"hidden": 9}, "does not fit its description"),
        ({"hidden": 10**9}, "hidden is 1000000000"),
        ({"tile": 0.5}, "tile is 0.5"),
    ):
        (tmp_path / PIXEL_DESCRIPTION).write_text(json.dumps(good | change))
        with pytest.raises(InputError, match=reason):
            load_stack(tmp_path)
    (tmp_path / good["weights"]).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        load_stack(tmp_path)


def test_the_same_seed_learns_the_same(folder: Path, tmp_path: Path) -> None:
    made = checkpoint(tmp_path, TASK)
    found = learn_to_see(str(made), str(made / "data"), 3, 4, lava=0.0, device="cpu", progress=False)
    described = [json.loads((each / PIXEL_DESCRIPTION).read_text()) for each in (made, folder)]
    assert described[0]["sha256"] == described[1]["sha256"] == file_sha256(made / described[0]["weights"])
    assert set(found) == {"scenes", "agents", "cells"} and all(0 <= share <= 1 for share in found.values())


def test_what_cannot_see_says_so(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack, d2 = load_stack(folder), task_spec(TASK)
    assert stack.pixels is not None
    with pytest.raises(InputError, match="it has never seen lava"):
        perception_of(stack, task_spec(LAVAS), "pixels")
    with pytest.raises(InputError, match=r"show \(E, 72, 72, 3\)"):
        stack.pixels.see(np.zeros((1, 64, 72, 3), np.uint8))
    stack.pixels = None
    with pytest.raises(InputError, match="has not learned to see.*hjepa see"):
        make_agent(stack, d2, AgentOptions(perception=perception_of(stack, d2, "pixels")))
    with pytest.raises(InputError, match="choose from symbolic, pixels"):
        make_agent(stack, d2, AgentOptions(perception=perception_of(stack, d2, "sound")))
    point = "hjepa/NestedPoint-d2-v0"
    with pytest.raises(InputError, match="no cells for an agent"):
        Teacher(Stack(load_preset(str(TINY), [f"task={point}"]), world_of(task_spec(point))))
    blind = load_preset(
        str(TINY), [f"levels.{k}.memory=null" for k in range(3)] + ["levels.1.encoder_reads=false"]
    )
    with pytest.raises(InputError, match="no level of the stack reads a floor plan"):
        Teacher(Stack(blind, stack.world))
    other = tmp_path / "validation"
    collect(TASK, other, plans=4, episodes_per_plan=4, length=40, seed=0, split="validation")
    for words, reason in (
        (["--data", str(other)], "plans of split validation"),
        (["--data", str(folder / "data"), "--lava", "1"], "give a share from 0"),
        (["--data", str(folder / "data"), "--steps", "0"], "is not a whole number from 1"),
    ):
        assert main(["see", "--checkpoint", str(folder), *words]) == 2
        assert reason in capsys.readouterr().err
    with pytest.raises(StoreError):
        learn_to_see(str(folder), str(tmp_path / "nothing"))

"""Frozen evaluation: facts against the world's own geometry, and a hand-made level that knows exactly some of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from minigrid.core.constants import OBJECT_TO_IDX
from torch import Tensor

from hjepa.errors import InputError
from hjepa.evaluation.facts import (
    BINS,
    Fact,
    commonest,
    edges_of,
    facts_of_arrays,
    facts_of_states,
    right,
    unchanged,
)
from hjepa.evaluation.frozen import as_row, facts_at, label_efficiency
from hjepa.model.checkpoints import load_stack
from hjepa.model.stack import Stack
from hjepa.training.sources import SeenSource
from levels.frozen_probes import UNKNOWN
from tasks import TrajectoryStore, collect, floor_plan, task_spec
from tasks.observations import walls_to_grid

D3 = "hjepa/NestedRooms-d3-v0"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("frozen")
    for split in ("train", "test"):
        collect("hjepa/NestedRooms-d2-v0", folder / split, 6, 8, 32, 0, split=split)
    return [folder / "train", folder / "test"]


class Knows(SimpleNamespace):
    """Two levels: one whose latent is the agent, one that has forgotten all but the half of the map along x."""

    def __init__(self) -> None:
        from hjepa.config import load_preset

        super().__init__(
            config=load_preset("told-nested-d2"), depth=2, sees=False, step_distance=torch.ones(())
        )

    def write(self, grid: Tensor) -> list[Tensor | None]:
        return [torch.nn.functional.one_hot(grid[..., 0].long(), 11).float(), None]

    def encode(self, agent: Tensor, memories: Any) -> list[Tensor]:
        parts = [torch.nn.functional.one_hot(part.long(), 9) for part in agent.unbind(-1)]
        return [torch.cat(parts, -1).float(), (agent[..., :1] > 4).float()]


def test_facts_are_the_worlds_own() -> None:
    spec, plan = task_spec(D3), floor_plan(5, 3, 3)
    cells = plan.free_cells()
    agent = np.concatenate([cells, np.zeros((len(cells), 1), dtype=np.int64)], -1)
    grid = np.repeat(walls_to_grid(plan.walls[None]), len(cells), 0)
    facts = {fact.name: fact for fact in facts_of_states(grid, agent, spec)}
    doorway = (cells[:, None] == plan.doors).all(-1).any(-1)
    rooms, counts = np.unique(facts["room"].labels[~doorway], return_counts=True)
    assert rooms.tolist() == list(range(16))
    assert (counts == 9).all()  # three by three cells each
    assert (facts["room"].labels[doorway] == UNKNOWN).all()
    known = facts["quadrant"].labels[:, 0]
    assert (known[(cells < 8).all(-1)] == 0).all()
    assert (known[(cells > 8).all(-1)] == 3).all()
    assert (known[(cells == 8).any(-1)] == UNKNOWN).all()
    outermost = [plan.doors[0, 1], plan.doors[1, 1], plan.doors[2, 0], plan.doors[3, 0]]
    assert (facts["passages"].labels == outermost).all()
    assert right(facts["position"], cells) == 1
    assert right(facts["position"], cells + [0, 1]) == 0, "both numbers have to be right"
    classes = {name: fact.classes for name, fact in facts.items()}
    assert classes == {
        "position": (17, 17), "heading": (4,), "quadrant": (4,), "room": (16,), "passages": (17,) * 4,
    }, "as many as there are to be told apart"  # fmt: skip


def test_a_joint_fact_needs_all_labels_and_the_unknown_do_not_count() -> None:
    labels = np.array([[0, 1], [1, 1], [UNKNOWN, 1]])
    read = np.array([[0, 1], [1, 0], [0, 1]])
    assert right(Fact("a", labels, (2, 2), joint=True), read) == 0.5
    assert right(Fact("a", labels, (2, 2)), read) == pytest.approx(4 / 5)
    learned = Fact("a", np.array([[1, 1], [1, 1], [0, 0]]), (2, 2), joint=True)
    assert commonest(learned, Fact("a", labels, (2, 2), joint=True)) == 0.5


def test_numbers_are_read_in_equally_full_ranges() -> None:
    values = np.random.default_rng(0).normal(size=(4000, 3))
    (fact,) = facts_of_arrays({"qpos": values}, edges_of({"qpos": values}))
    assert fact.classes == (BINS,) * 3
    assert all((np.bincount(column, minlength=BINS) == 500).all() for column in fact.labels.T)


def test_agents_on_grids_have_places_and_any_other_numbers_ranges() -> None:
    agent, grid = np.array([[1, 2, 3], [3, 1, 0]]), np.zeros((2, 5, 5, 3), np.uint8)
    carried = np.array([[5, 0], [1, 2]])
    found = facts_of_arrays({"agent": agent, "grid": grid, "carried": carried})
    assert [(fact.name, fact.classes) for fact in found] == [
        ("position", (5, 5)), ("heading", (4,)), ("quadrant", (4,)), ("carried", (11,)),
    ]  # fmt: skip
    assert found[3].labels.tolist() == [[5], [1]], "the kind, not the colour"
    (alone,) = facts_of_arrays({"agent": agent})
    assert (alone.name, alone.classes) == ("agent", (BINS,) * 3)


def test_how_long_a_fact_stays() -> None:
    labels = np.array([[0], [0], [1], [1], [1], [1], [UNKNOWN], [1], [2]])
    assert unchanged(Fact("a", labels, (3,)), 3) == pytest.approx(3 / 5)


def test_probes_read_what_a_level_knows_and_no_more(stores: list[Path]) -> None:
    found, facts = label_efficiency(
        cast(Stack, Knows()), *stores, count=600, shares=(0.02, 1.0), tokens=False, steps=100
    )
    score = {(r.level, r.fact, r.labels): r for r in found}
    assert {r.reads for r in found} == {"latent"}
    assert facts["layouts"] == [6, 6]
    for fact in ("position", "heading"):
        assert score[1, fact, 600].accuracy > 0.97
        assert score[1, fact, 12].accuracy < score[1, fact, 600].accuracy
        assert score[2, fact, 600].accuracy < 0.5
    # Half of what a quadrant is lies open to the second level.
    assert 0.3 < score[2, "quadrant", 600].accuracy < 0.9
    assert set(as_row(found[0])) == {"level", "fact", "reads", "labels", "accuracy", "chance"}


def test_shipped_weights_that_see_are_read_too(stores: list[Path]) -> None:
    stack = load_stack("nested-d2").truncate(1)
    found, _ = label_efficiency(stack, *stores, count=200, shares=(1.0,), steps=40)
    by = {(r.reads, r.fact): r.accuracy for r in found}
    assert by["latent", "quadrant"] > 0.8
    assert ("tokens", "passages") in by


def test_probes_are_never_asked_about_floor_plans_they_learned_from(stores: list[Path]) -> None:
    with pytest.raises(InputError, match="collect it with another split"):
        label_efficiency(cast(Stack, Knows()), stores[0], stores[0], count=10)
    with pytest.raises(InputError, match="0 moments"):
        label_efficiency(cast(Stack, Knows()), *stores, count=0)
    assert TrajectoryStore.open(stores[0]).plans == 6


def test_a_store_without_states_has_no_facts() -> None:
    store = SimpleNamespace(path=Path("somewhere"), sha256="", state={})
    source = object.__new__(SeenSource)
    source.store, source.path = cast(Any, store), store.path
    with pytest.raises(InputError, match="somewhere: holds no state that a probe could be told"):
        facts_at(source, np.arange(3))


def test_what_is_carried_is_one_of_the_kinds_of_things_there_are() -> None:
    grid = np.ones((2, 5, 5, 3), np.uint8)
    state = {"agent": np.array([[1, 1, 0], [2, 1, 0]]), "grid": grid, "carried": np.array([[4, 0], [1, 0]])}
    fact = facts_of_arrays(state)[-1]
    assert (fact.name, fact.classes) == ("carried", (len(OBJECT_TO_IDX),))
    assert fact.labels.tolist() == [[4], [1]]

"""Results by family, on made-up outcomes whose rates are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hjepa.errors import InputError
from hjepa.evaluation.families import by_family, family_table
from hjepa.evaluation.records import build_record
from tasks import random_success, sample_episodes, task_spec
from tasks.layouts import MIXTURES, family_of

MIXED = "hjepa/Layouts-mixed-s9-v0"


def outcome(
    task: str, levels: int, solved: tuple[str, ...], seed: int = 0, episodes: int = 20
) -> dict[str, Any]:
    """A record of an agent that solves every episode of some families, and no other."""
    spec, batch = task_spec(task), sample_episodes(task, episodes=episodes, seed=seed)
    names = [family_of(spec.layout, s) if spec.layout else "nested" for s in batch.plan_seed.tolist()]
    success = np.isin(names, solved).astype(int)
    return build_record(
        task=task, split="test", tasks="far", seed=seed, levels=levels, depth="trained", metric="critic",
        planner="adam", oracle=None, budget_tflops=0.01, step_budget=spec.step_budget, success=success,
        steps=np.where(success, batch.oracle_steps, spec.step_budget), oracle_steps=batch.oracle_steps,
        active_share=np.ones(levels), tflops_per_episode=0.01, violations=0.0, random_success_rate=0.0,
        plan_ms=1.0, seconds_per_episode=0.1, peak_mb=1.0, train_seed=0, checkpoint_sha256="ab" * 32,
        layout=batch.layouts,
    )  # fmt: skip


def test_a_mixture_falls_apart_into_its_families() -> None:
    families = by_family(
        [outcome(MIXED, 1, ("maze", "cave")), outcome(MIXED, 2, ("maze", "rooms"), episodes=20)]
    )
    assert {family.name for family in families} == set(MIXTURES["mixed"])
    for family in families:
        assert family.episodes == 4 and family.solvable == 1.0 and family.steps > 1
        rates = {agent[:7]: rate for agent, (rate, _) in family.success.items()}
        assert rates == {
            "1 level": float(family.name in ("maze", "cave")),
            "2 level": float(family.name in ("maze", "rooms")),
        }
        low, high = next(iter(family.success.values()))[1]
        assert 0 <= low < high <= 1


def test_seeds_and_tasks_count_together() -> None:
    """Forty mazes: of two seeds of the family's own task, half of them solved, and eight of a mixture."""
    task = "hjepa/Layouts-maze-s9-v0"
    records = [outcome(task, 1, ("maze",), 0), outcome(task, 1, (), 1), outcome(MIXED, 1, (), episodes=40)]
    records.append(outcome("hjepa/NestedRooms-d2-v0", 1, ("nested",)))
    maze, *_ = (family for family in by_family(records) if family.name == "maze")
    assert maze.episodes == 48 and next(iter(maze.success.values()))[0] == pytest.approx(20 / 48)
    nested = next(family for family in by_family(records) if family.name == "nested")
    assert nested.episodes == 28 and next(iter(nested.success.values()))[0] == pytest.approx(20 / 28)


def test_the_floor_is_that_of_the_family() -> None:
    batch = sample_episodes(MIXED, episodes=40)
    rows = np.array([family_of("mixed", seed) == "cave" for seed in batch.plan_seed.tolist()])
    (cave,) = (family for family in by_family([outcome(MIXED, 1, (), episodes=40)]) if family.name == "cave")
    assert cave.random == random_success(batch.select(rows), task_spec(MIXED).step_budget)
    assert cave.steps == pytest.approx(batch.oracle_steps[rows].mean())


def test_the_table_has_a_row_for_each_family_and_a_column_for_each_agent() -> None:
    lines = family_table([outcome(MIXED, 1, ("maze",)), outcome(MIXED, 3, ())]).splitlines()
    assert "1 level critic abab" in lines[0] and "3 levels critic abab" in lines[0]
    assert [line.split()[0] for line in lines[1:]] == sorted(
        MIXTURES["mixed"], key=[line.split()[0] for line in lines[1:]].index
    )
    (maze,) = (line for line in lines if line.startswith("maze"))
    assert "100.0 % [" in maze and "  0.0 % [0.0" in maze


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="no records"):
        by_family([])
    with pytest.raises(
        InputError, match="1 level critic abab did not play hjepa/Layouts-cave-s9-v0 with seed 0"
    ):
        by_family([outcome("hjepa/Layouts-maze-s9-v0", 1, ()), outcome("hjepa/Layouts-cave-s9-v0", 2, ())])
    foreign = outcome(MIXED, 1, ()) | {"task": "MiniGrid-FourRooms-v0"}
    with pytest.raises(InputError, match="its floor plans are not ours"):
        by_family([foreign])

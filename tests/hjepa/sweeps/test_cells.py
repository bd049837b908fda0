"""Names of cells, and the configurations they stand for."""

from __future__ import annotations

from types import ModuleType

import pytest

from hjepa.config import with_plan
from hjepa.errors import InputError
from hjepa.sweeps import cell as cells
from hjepa.sweeps.grid import Grid, expand


def test_name_is_the_hash_of_the_specification_alone(fake: ModuleType) -> None:
    spec = fake.make()
    key = cells.cell_key(spec)
    assert key == cells.cell_key(dict(reversed(spec.items())))
    # a literal: a change of the canonical form would orphan the cells of every earlier ablation
    assert key == "d9f4ddc063b80a2931e08b149d5a6e140c1312d3265396c0bccf2aa8d0298674"
    for field_name in cells.FIELDS:
        assert cells.cell_key({**spec, field_name: "other"}) != key, field_name


def test_incomplete_specifications_are_refused(fake: ModuleType) -> None:
    spec = fake.make()
    del spec["config"]
    with pytest.raises(InputError, match="config missing or unknown"):
        cells.cell_key(spec)


def test_planning_settings_of_the_demo_fit_every_number_of_levels() -> None:
    """Lists that have an entry per level are cut to the levels trained."""
    overrides = {"plan.horizon": ("[5, 3, 2]",), "plan.learning_rate": ("0.00001",), "train.batch": ("128",)}
    specs = expand("told-demo", Grid(overrides=overrides))
    assert [(spec["levels"], spec["depth"]) for spec in specs][-1] == (3, "trained")
    found = {
        (spec["levels"], spec["depth"]): [
            text for text in cells.planning_overrides(spec) if not text.startswith("plan.flat=")
        ]
        for spec in specs
    }
    rate = "plan.learning_rate=1.0e-05"
    assert found[1, "trained"] == ["plan.horizon=[5]", rate]
    assert found[2, "trained"] == ["plan.horizon=[5, 3]", rate]
    assert found[1, "truncated"] == found[3, "trained"] == ["plan.horizon=[5, 3, 2]", rate]
    for spec in specs:
        trained = cells.training_config(spec)
        assert trained.train.batch == 128 and trained.plan.horizon[0] == 6
        planned = with_plan(trained, cells.planning_overrides(spec))
        assert planned.plan.horizon == (5, 3, 2)[: len(trained.levels)]
        assert planned.plan.learning_rate == 0.00001
        # What is asked for counts for the flat agent too, whose own horizon and commitment go together.
        assert not any({"horizon", "commit"} & set(own) for own in planned.plan.flat.values())


def test_settings_of_planning_share_the_weights(fake: ModuleType) -> None:
    group = cells.training_group(fake.make())
    assert cells.training_group(fake.make(metric="l2", overrides=["plan.commit=3"])) == group
    for change in ({"train_seed": 1}, {"levels": 2}, {"overrides": ["train.batch=9"]}, {"config": {}}):
        assert cells.training_group(fake.make(**change)) != group, change


def test_a_stack_without_a_critic_is_planned_with_the_metric_that_was_chosen() -> None:
    overrides = {"critic": ("null",), "plan.metric": ("l2",), "plan.commit": ("2",)}
    (spec,) = expand("told-nested-d2", Grid(levels=(2,), depth=("trained",), overrides=overrides))
    assert cells.training_config(spec).critic is None and cells.training_config(spec).plan.metric == "l2"
    assert not any(text.startswith("plan.metric") for text in cells.planning_overrides(spec))
    assert "plan.commit=2" in cells.planning_overrides(spec)

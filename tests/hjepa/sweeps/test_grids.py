"""Grids: every combination once, from a preset's section and the command line, refused before any cell runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hjepa.cli import main
from hjepa.config import load_preset, to_plain
from hjepa.errors import InputError
from hjepa.model.checkpoints import describe
from hjepa.sweeps.cell import cell_key, training_config, training_group
from hjepa.sweeps.grid import Grid, expand, read_grid
from hjepa.sweeps.sweep import trained_stack

TINY = Path(__file__).parents[2] / "end_to_end" / "tiny.yaml"


def preset(folder: Path, **section: Any) -> str:
    """A copy of the tiny preset with a grid."""
    file = folder / "swept.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(TINY.read_text()) | {"ablate": section}))
    return str(file)


def test_each_combination_once() -> None:
    specs = expand(str(TINY), Grid(train_seeds=(0, 1), metric=("l2", "commute")))
    assert [(s["levels"], s["depth"]) for s in specs[::4]] == [
        (1, "truncated"),
        (1, "trained"),
        (2, "truncated"),
        (2, "trained"),
        (3, "trained"),
    ]
    assert len({cell_key(spec) for spec in specs}) == len(specs) == 20


def test_overrides_are_axes_and_cells_need_no_file(tmp_path: Path) -> None:
    file = preset(tmp_path)
    specs = expand(file, Grid(overrides={"train.batch": ("48", "96"), "plan.commit": ("1",)}, levels=(2,)))
    Path(file).unlink()
    assert [spec["overrides"] for spec in specs[::2]] == [
        ["plan.commit=1", "train.batch=48"],
        ["plan.commit=1", "train.batch=96"],
    ]
    assert [training_config(spec).train.batch for spec in specs] == [48, 48, 96, 96]


def test_the_name_does_not_depend_on_how_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [cell_key(spec) for spec in expand(preset(tmp_path))]
    monkeypatch.chdir(tmp_path)
    assert [cell_key(spec) for spec in expand("./swept.yaml")] == before
    content = yaml.safe_load(Path("swept.yaml").read_text())
    Path("swept.yaml").write_text(yaml.safe_dump(content | {"train": content["train"] | {"batch": 96}}))
    assert not set(before) & {cell_key(spec) for spec in expand("swept.yaml")}, "an edited preset is another"


def test_several_tasks(tmp_path: Path) -> None:
    task = "hjepa/NestedRooms-d2-v0"
    assert [spec["task"] for spec in expand(str(TINY), Grid(levels=(3,)))] == [task]
    with pytest.raises(InputError, match=r"NestedRooms-d3-v0 has 17x17 grids, .*d2-v0 has 9x9"):
        expand(str(TINY), Grid(task=(task, "hjepa/NestedRooms-d3-v0")))
    with pytest.raises(InputError, match="unknown task 'mars'"):
        expand(str(TINY), Grid(task=("mars",)))
    fixed = {
        "task": ("hjepa/NestedRoomsFixed-d3-v0",),
        "collect.plans": ("1",),
        "train.plans": ("1",),
        "critic.plans": ("1",),
    }
    both = ("hjepa/NestedRooms-d3-v0", "hjepa/NestedRoomsFixed-d3-v0")
    assert {spec["task"] for spec in expand(str(TINY), Grid(task=both, overrides=fixed))} == set(both)


def test_a_preset_holds_a_grid_and_options_replace_it(tmp_path: Path) -> None:
    file = preset(
        tmp_path,
        levels=[1, 2],
        depth="trained",
        train_seeds=[3, 4],
        episodes=7,
        budget_tflops=0.5,
        overrides={"plan.horizon": [[3, 3, 2], [2, 2, 2]], "plan.learning_rate": 1e-5},
    )
    grid = read_grid(file)
    assert (grid.levels, grid.depth, grid.train_seeds, grid.episodes) == ((1, 2), ("trained",), (3, 4), 7)
    assert grid.budget_tflops == (0.5,) and grid.task is None and grid.split == "test"
    assert grid.overrides == {
        "plan.horizon": ("[3, 3, 2]", "[2, 2, 2]"),
        "plan.learning_rate": ("1.0e-05",),
    } or grid.overrides == {
        "plan.horizon": ["[3, 3, 2]", "[2, 2, 2]"],
        "plan.learning_rate": ["1.0e-05"],
    }
    assert len(expand(file, grid)) == len(expand(file)) == 8
    changed = read_grid(
        file, levels=(3,), episodes=None, overrides={"plan.horizon": ["[3,3,2]"], "plan.commit": ["1"]}
    )
    assert changed.levels == (3,) and changed.episodes == 7
    assert {key: list(values) for key, values in changed.overrides.items()} == {
        "plan.horizon": ["[3,3,2]"],
        "plan.learning_rate": ["1.0e-05"],
        "plan.commit": ["1"],
    }


def test_the_section_is_no_part_of_the_configuration(tmp_path: Path) -> None:
    assert to_plain(load_preset(preset(tmp_path, levels=[1]))) == to_plain(load_preset(str(TINY)))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"level": [1]}, "level"),
        ({"levels": ["two"]}, "two"),
        ({"overrides": ["plan.commit=1"]}, "give key: "),
    ],
)
def test_a_section_that_cannot_be_read_is_refused(
    tmp_path: Path, section: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_grid(preset(tmp_path, **section))
    assert "swept.yaml, ablate" in str(error.value)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid(levels=(4,)), "choose from 1 to its 3 levels"),
        (Grid(depth=("deep",)), "depth 'deep'"),
        (Grid(metric=("cosine",)), "plan.metric is 'cosine'"),
        (Grid(planner=("guess",)), "plan.planner is 'guess'"),
        (Grid(episodes=0), "episodes 0"),
        (Grid(seed=-1), "seed -1"),
        (Grid(budget_tflops=(0.0,)), "budget of 0.0"),
        (Grid(overrides={"plan.commit": ("1", "9")}), "plan.commit is 9"),
        (Grid(overrides={"plan.kommit": ("1",)}), "kommit"),
    ],
)
def test_what_cannot_work_is_refused_before_any_cell_runs(grid: Grid, message: str) -> None:
    with pytest.raises(InputError, match=message):
        expand(str(TINY), grid)


def test_the_tiny_preset_is_six_cells_that_train_six_stacks() -> None:
    specs = expand("tiny")
    assert [(spec["levels"], spec["train_seed"]) for spec in specs] == [
        (levels, seed) for levels in (1, 2, 3) for seed in (0, 1)
    ]
    assert {spec["depth"] for spec in specs} == {"trained"}
    assert {spec["task"] for spec in specs} == {"hjepa/NestedRooms-d2-v0"}
    assert len({repr(training_config(spec)) for spec in specs}) == 6


def test_the_smoke_preset_cuts_shipped_weights_and_trains_nothing() -> None:
    specs = expand("smoke")
    assert [(spec["levels"], spec["depth"]) for spec in specs] == [
        (1, "truncated"), (2, "truncated"), (3, "trained"),
    ] * 2  # fmt: skip
    assert {spec["weights"]["name"] for spec in specs} == {"nested-d2"}
    assert {training_group(spec)[-1] for spec in specs} == {describe("nested-d2")["sha256"]}
    assert trained_stack(specs[0], Path("nowhere")) == "nested-d2"
    with pytest.raises(InputError, match="are others than when the ablation began"):
        trained_stack({**specs[0], "weights": {"name": "nested-d2", "sha256": "0"}}, Path("nowhere"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"depth": ("trained",)}, "depth trained; give --depth truncated"),
        ({"train_seeds": (0, 1)}, "train_seeds 0, 1; leave 0"),
        ({"overrides": {"train.batch": ("9",)}}, "train.batch; set keys that begin with plan."),
    ],
)
def test_weights_that_are_kept_cannot_be_trained_otherwise(asked: dict[str, Any], message: str) -> None:
    what, remedy = message.split("; ")
    with pytest.raises(InputError, match=f"{what}") as error:
        expand("smoke", read_grid("smoke", **asked))
    assert remedy in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("named", "message"), [("nothing", "weights 'nothing'"), (3, "weights is 3")])
def test_a_preset_of_weights_that_are_not_there_is_refused(
    tmp_path: Path, named: object, message: str
) -> None:
    file = tmp_path / "kept.yaml"
    file.write_text(f"weights: {named}\nablate: {{depth: [truncated]}}\n")
    with pytest.raises(InputError, match=message):
        expand(str(file))


def test_a_preset_that_keeps_weights_is_not_for_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--preset", "smoke", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "plans with the weights nested-d2 as they are" in capsys.readouterr().err

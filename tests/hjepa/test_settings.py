"""Settings: every number has a range, every key is known, and what cannot be is refused with its name."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hjepa import settings
from hjepa.builder import build
from hjepa.config import load_preset, parse_config, to_plain, with_levels, with_plan
from hjepa.errors import InputError
from hjepa.settings import (
    CollectSettings,
    CriticSettings,
    IntrinsicSettings,
    PlanSettings,
    RiskSettings,
    RunConfig,
    TrainSettings,
    WalkSettings,
)
from hjepa.sweeps.grid import Grid, read_grid
from levels.ranges import kinds_of, range_of, ranged, refusal

TINY = str(Path(__file__).parents[1] / "end_to_end" / "tiny.yaml")
SECTIONS = (
    CollectSettings,
    TrainSettings,
    CriticSettings,
    WalkSettings,
    IntrinsicSettings,
    RiskSettings,
    PlanSettings,
)


@dataclass(frozen=True)
class Part:
    width: int = ranged(4, 1, 9)
    rate: float = ranged(0.5, 0, 1, above=True)
    on: bool = False


@dataclass(frozen=True)
class Whole:
    name: str
    parts: tuple[Part, ...] = ()
    part: Part | None = None
    least: float | None = ranged(None, 0, 1)
    sizes: tuple[int, ...] = ranged((1,), 1, 9)
    words: dict[str, dict[str, Any]] = field(default_factory=dict)


def test_plain_values_become_settings() -> None:
    content = {
        "name": "x",
        "parts": [{"width": 9}, {}],
        "part": {"rate": "1e-3", "on": True},
        "least": 1,
        "sizes": [1, 2],
        "words": {"a": {"b": [1]}},
    }
    found = build(Whole, content, "file")
    assert found == Whole("x", (Part(9), Part()), Part(rate=0.001, on=True), 1.0, (1, 2), {"a": {"b": [1]}})
    assert isinstance(found.least, float) and isinstance(found.sizes, tuple)
    assert build(Whole, {"name": "x", "part": None, "least": None}, "file") == Whole("x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, "file: it is 3; give a section of keys and values"),
        ({}, "file: name is missing; give it"),
        ({"name": 5}, "file: name is 5; give a word"),
        ({"name": "x", "prat": {}}, "file: there is no setting 'prat'; did you mean part?"),
        ({"name": "x", "qqq": {}}, "choose from name, parts, part, least, sizes, words"),
        ({"name": "x", "part": {"wdith": 1}}, "no setting 'part.wdith'; did you mean width?"),
        ({"name": "x", "part": 3}, "part is 3; give a section"),
        ({"name": "x", "part": {3: 3}}, "part has the key 3; give keys that are words"),
        ({"name": "x", "parts": {"width": 3}}, "parts is {'width': 3}; give a list"),
        ({"name": "x", "parts": [{}, {"width": 0}]}, "parts.1.width is 0; give a whole number from 1 to 9"),
        ({"name": "x", "parts": [None]}, "parts.0 is null; give a section"),
        ({"name": "x", "part": {"width": 1.5}}, "part.width is 1.5; give a whole number from 1 to 9"),
        ({"name": "x", "part": {"width": True}}, "part.width is True"),
        ({"name": "x", "part": {"width": "4"}}, "part.width is '4'"),
        ({"name": "x", "part": {"on": 1}}, "part.on is 1; give true or false"),
        ({"name": "x", "part": {"rate": float("nan")}}, "part.rate is nan; give a number above 0, up to 1"),
        ({"name": "x", "part": {"rate": "1e-"}}, "part.rate is '1e-'"),
        ({"name": "x", "part": {"rate": None}}, "part.rate is null; give a number above 0, up to 1"),
        ({"name": "x", "least": 10**400}, "least is 1000"),
        ({"name": "x", "sizes": []}, "sizes is []; give 1 to 32 whole numbers from 1 to 9, as a list"),
        ({"name": "x", "sizes": "12"}, "sizes is '12'"),
        ({"name": "x", "words": {"a": 1}}, "words.a is 1"),
    ],
)
def test_what_does_not_fit_is_named(content: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build(Whole, content, "file")
    assert message in str(caught.value) and "\n" not in str(caught.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("1e400"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@cache
def tiny() -> dict[str, Any]:
    return to_plain(load_preset(TINY))


@hypothesis.settings(deadline=None)
@given(st.sampled_from([item.name for item in fields(RunConfig)]), ANYTHING)
def test_anything_is_settings_or_one_line(section: str, value: Any) -> None:
    content = tiny() | {section: value}
    try:
        parse_config(content, "here")
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_number_has_a_range_that_holds_its_default(section: type) -> None:
    for item in fields(section):
        numbers = any(name in str(kinds_of(section)[item.name]) for name in ("int", "float"))
        assert (range_of(item) is not None) == numbers, item.name
    assert refusal(section()) is None


@pytest.mark.parametrize("section", SECTIONS)
def test_settings_made_in_python_are_checked_too(section: type) -> None:
    for item in fields(section):
        if range_of(item) is not None:
            for value in (float("nan"), float("inf"), -1, "word", [], 10**30):
                with pytest.raises(InputError, match=f"{item.name} is "):
                    section(**{item.name: value})


def test_every_section_is_looked_at() -> None:
    found = {
        one for one in vars(settings).values() if isinstance(one, type) and one.__name__.endswith("Settings")
    }
    assert {one for one in found if one.__module__ == settings.__name__} == set(SECTIONS)


@pytest.mark.parametrize(
    "override",
    [
        "train.log_every=null", "train.seed=null", "critic.steps=null", "collect.length=1000000000000",
        "plan.ground=null", "plan.ground_depth=0", "plan.front=inf", "plan.front=.inf", "plan.block=1000000000",
        "plan.step_cost=.nan", "plan.step_cost=nan", "plan.haste=.nan", "train.metric_trajectories=0",
        "levels.1.memory.dilations=[]", "levels.1.memory.dilations=[100000]", "train.seed=99999999999999",
        "train.log_every=0", "train.checkpoint_every=0", "train.clip=-1", "plan.learning_rate=.nan",
        "plan.learning_rate=null", "plan.learning_rate=-1", "plan.support=.nan", "levels.1.hidden=1000000000",
        "plan.flat={l2: {learning_rate: .nan}}", "plan.flat={l2: {horizon: 0}}", "plan.flat={l2: {walks: {lag: 0}}}",
        "plan.flat={l2: {walks: 3}}", "plan.flat={l2: 3}", "plan.flat={none: {}}", "plan.flat={l2: {reached: 0.3}}",
        "plan.deep={l2: {learning_rate: .nan}}", "plan.deep={l2: {horizon: 4}}", "plan.deep={l2: {horizon: [4]}}",
        "plan.deep={l2: {horizon: [4, 4, 999]}}", "plan.deep={none: {}}", "plan.deep={l2: {share: [1.0]}}",
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused_by_name(override: str) -> None:
    key = override.partition("=")[0]
    begun = time.process_time()
    with pytest.raises(InputError) as caught:
        load_preset(TINY, [override])
    assert key in str(caught.value) and ";" in str(caught.value) and "\n" not in str(caught.value)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "override",
    ["levels.-1.stride=2", "levels.x=2", "levels.9.stride=2", "levels.²=2", f"{'a.' * 5000}b=1", "task.x=1",
     "levels.1.memory.x.y=1", "plan.flat=[1]", "levels=null", "=1", ".=1", "..=", "a=[" + "[" * 50_000],
)  # fmt: skip
def test_keys_that_cannot_be_are_one_line(override: str) -> None:
    with pytest.raises(InputError) as caught:
        load_preset(TINY, [override])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_powers_of_ten_are_numbers() -> None:
    for text in ("1e-3", "1E-3", "1.e-3", ".1e-2", "+1e-3"):
        assert load_preset(TINY, [f"train.learning_rate={text}"]).train.learning_rate == 0.001
    assert load_preset(TINY, ["plan.share=[1e0, 1e-1, 2]"]).plan.share == (1.0, 0.1, 2.0)


def test_a_configuration_is_what_it_was_after_a_file() -> None:
    for name in sorted(path.stem for path in (Path(settings.__file__).parent / "presets").glob("*.yaml")):
        config = load_preset(name)
        assert parse_config(json.loads(json.dumps(to_plain(config))), "again") == config
        assert to_plain(parse_config(to_plain(config), "again")) == to_plain(config)


@pytest.mark.parametrize(
    "override",
    ["train.seed=5", "critic.steps=9", "levels.1.head=10", "task=MiniGrid-FourRooms-v0", "collect.length=9", "plan=3",
     "planner=cem"],
)  # fmt: skip
def test_what_training_has_settled_cannot_be_changed_for_planning(override: str) -> None:
    with pytest.raises(InputError, match="cannot be changed after training"):
        with_plan(load_preset(TINY), [override])


def test_planning_can_be_changed() -> None:
    config = load_preset(TINY)
    assert with_plan(config, ["plan.iterations=3", " plan.support=1e-1"]).plan == replace(
        config.plan, iterations=3, support=0.1
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"level": [1]}, "no setting 'level'; did you mean levels?"),
        ({"levels": [0]}, "levels is [0]; give 1 to 32 whole numbers"),
        ({"levels": ["a"]}, "levels is ['a']"),
        ({"episodes": 0}, "episodes is 0"),
        ({"train_seeds": [10**20]}, "train_seeds is"),
        ({"budget_tflops": [float("nan")]}, "budget_tflops is [nan]"),
        ({"metric": [3]}, "metric.0 is 3; give a word"),
        ({"overrides": 3}, "overrides is 3"),
        (3, "3 is no section"),
    ],
)
def test_grids_are_read_as_strictly(tmp_path: Path, section: Any, message: str) -> None:
    file = tmp_path / "swept.yaml"
    file.write_text(json.dumps(to_plain(load_preset(TINY)) | {"ablate": section}).replace("NaN", ".nan"))
    with pytest.raises(InputError) as caught:
        read_grid(str(file))
    assert message in str(caught.value) and f"{file}, ablate" in str(caught.value)


def test_a_grid_of_plain_values(tmp_path: Path) -> None:
    file = tmp_path / "swept.yaml"
    section = {
        "levels": 2,
        "budget_tflops": [1, "1e-2"],
        "overrides": {"plan.iterations": [2, 4]},
        "episodes": 7,
    }
    file.write_text(json.dumps(to_plain(load_preset(TINY)) | {"ablate": section}))
    assert read_grid(str(file)) == Grid(
        (2,), budget_tflops=(1.0, 0.01), overrides={"plan.iterations": ("2", "4")}, episodes=7
    )


def test_several_levels_have_settings_of_their_own_under_a_metric() -> None:
    deep = "plan.deep={l2: {planner: sampling, haste: 0.1, horizon: [2, 3, 1], walks: {lag: 2}}}"
    flat = "plan.flat={l2: {planner: cem, horizon: 2}}"
    config = load_preset(TINY, [flat, deep])
    plan = replace(config.plan, metric="l2")
    together, alone = plan.together(), plan.alone()
    assert (together.planner, together.haste, together.horizon) == ("sampling", 0.1, (2, 3, 1))
    assert (together.walks.lag, together.walks.steps) == (2, plan.walks.steps)
    assert (alone.planner, alone.horizon) == ("cem", (2, 3, 2)), "one level has its own"
    assert replace(config.plan, metric="commute").together().planner == config.plan.planner
    assert with_levels(config, 2).plan.deep["l2"]["horizon"] == (2, 3)
    asked = load_preset(TINY, [deep, "plan.planner=adam"]).plan
    assert replace(asked, metric="l2").together().planner == "adam", "what is asked for counts everywhere"

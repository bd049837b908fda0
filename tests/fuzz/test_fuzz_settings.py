"""Settings from anywhere: overrides, presets as YAML, grids of an ablation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from fuzzing import TEXTS, Random, judge, like, mutated, noisy, places, run_all, wild
from hypothesis import given
from hypothesis import strategies as st

from hjepa.config import load_preset, override, parse_config, read_preset, to_plain, with_plan
from hjepa.sweeps.grid import expand, read_grid

PRESET = Path(__file__).parents[1] / "end_to_end" / "tiny.yaml"
CONTENT: dict[str, Any] = to_plain(load_preset(str(PRESET)))
SHIPPED = sorted((Path(__file__).parents[2] / "hjepa" / "presets").glob("*.yaml"))

FEW, MANY = 40, 20
"""Cases by default, and how many times as many with --slow."""


def amounts(few: int, many: int) -> pytest.MarkDecorator:
    """A few cases in the default tests, all in the slow ones."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])


def line(value: Any) -> str:
    """A value on a line of YAML, or something like it."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)


@amounts(150, 7000)
def test_overrides(count: int) -> None:
    paths = [".".join(map(str, path)) for path in places(CONTENT)]

    def case(rng: Random) -> None:
        texts = []
        for _ in range(rng.randint(1, 2)):
            key = rng.choice(paths)
            if rng.random() < 0.15:
                key = like(rng, key) if isinstance(like(rng, key), str) else rng.choice(TEXTS)
                key = key if isinstance(key, str) else line(key)
            value: Any = CONTENT
            for part in key.split("."):
                try:
                    value = value[int(part)] if isinstance(value, list) else value[part]
                except (KeyError, ValueError, IndexError, TypeError):
                    value = 1
            new = like(rng, value)
            text = new if isinstance(new, str) else line(new)
            texts.append(f"{key}={text}" if rng.random() < 0.97 else key)
        judge("overrides", texts, lambda: load_preset(str(PRESET), texts))
        judge("overrides for planning", texts, lambda: with_plan(load_preset(str(PRESET)), texts))

    run_all("overrides", count // 2, case)


@amounts(60, 1500)
def test_presets_as_values(count: int) -> None:
    def case(rng: Random) -> None:
        content = mutated(rng, CONTENT)
        judge("presets as values", content, lambda: parse_config(content, "here"))

    run_all("presets as values", count, case)


@amounts(60, 2500)
def test_presets_as_text(count: int, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    sources = [path.read_bytes() for path in (PRESET, *SHIPPED)]

    def case(rng: Random) -> None:
        data = rng.choice(sources)
        if rng.random() < 0.3:
            data = yaml.safe_dump(mutated(rng, CONTENT), allow_unicode=rng.random() < 0.5).encode(
                errors="surrogatepass"
            )
        data = noisy(rng, data)
        file.write_bytes(data)
        judge("presets as text", data, lambda: load_preset(str(file)))

    run_all("presets as text", count, case)


@amounts(20, 500)
def test_grids(count: int, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    section = {"levels": [1, 2], "depth": ["trained"], "train_seeds": [0, 1], "metric": ["l2"], "planner": ["cem"],
               "overrides": {"plan.iterations": [2, 3], "train.batch": [96]}, "episodes": 2, "seed": 0, "split": "test",
               "budget_tflops": [0.1], "tasks": "far"}  # fmt: skip

    def case(rng: Random) -> None:
        file.write_text(json.dumps(CONTENT | {"ablate": mutated(rng, section)}))
        text = file.read_text()
        judge("grids", text[-600:], lambda: expand(str(file), read_grid(str(file))))

    run_all("grids", count, case)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("path", list(places(CONTENT))[::7], ids=str)
@hypothesis.settings(max_examples=4, deadline=None, database=None)
@given(value=ANYTHING)
def test_anything_in_place_of_a_setting(path: tuple[Any, ...], value: Any) -> None:
    content = json.loads(json.dumps(CONTENT))
    inner = content
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    judge("anything in place of a setting", (path, value), lambda: parse_config(content, "here"))


def test_the_mutators_reach_what_is_wrong_and_what_is_right() -> None:
    rng, outcomes = Random(0), set()
    for _ in range(60):
        try:
            parse_config(mutated(rng, CONTENT, 1), "here")
            outcomes.add("used")
        except ValueError:
            outcomes.add("refused")
    assert outcomes == {"used", "refused"}
    assert len({line(wild(rng)) for _ in range(200)}) > 60
    assert override(CONTENT, ["train.clip=2"]) != CONTENT and read_preset(str(PRESET))[1] == PRESET

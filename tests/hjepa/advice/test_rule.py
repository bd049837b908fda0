"""The rule: what measurements lead to which advice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hjepa.advice.measure import HOPS, LevelMeasures
from hjepa.advice.rule import advise, arrivals, reach_of


def level(number: int, span: int, looks: int, least: int, **changes: object) -> LevelMeasures:
    """Arrives with hops of ``least`` steps and more, imagines 8 steps without error."""
    made = LevelMeasures(
        level=number, stride=4 if number > 1 else 1, span=span, looks=looks, own_latent=False, growth=[0.0] * 8,
        gap=3.0, slow_steps=20.0, rank=0.9, descent={hop: float(hop >= least) for hop in HOPS},
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def three(least: int, **top: object) -> list[LevelMeasures]:
    return [level(1, 1, 8, least), level(2, 4, 16, least), level(3, 8, 32, least, **top)]


@pytest.mark.parametrize(("least", "levels"), [(1, 1), (8, 1), (16, 2), (32, 3)])
def test_the_fewest_levels_that_reach(least: int, levels: int) -> None:
    found = advise(three(least), clip=64, way=40)
    assert found.levels == levels and found.hop == least
    assert found.line.startswith(f"Use {levels} level")


def test_a_level_that_imagines_wrongly_does_not_reach() -> None:
    found = advise(three(32, growth=[0.1, 0.7, 0.9]), clip=64, way=40)
    assert found.reaches[2].steps == 8 and found.reaches[2].held_by == "prediction"
    assert found.levels == 1, "nobody reaches 32, so that more levels bring nothing"


def test_clips_bound_the_reach() -> None:
    found = advise(three(32), clip=17, way=40)
    assert [reach.steps for reach in found.reaches] == [8, 16, 16]
    assert found.reaches[2].held_by == "clips" and found.levels == 1


def test_an_own_latent_without_a_gap_does_not_count() -> None:
    assert advise(three(32, own_latent=True, gap=1.5), clip=64, way=40).levels == 1
    assert advise(three(32, own_latent=True, gap=2.5), clip=64, way=40).levels == 3
    assert advise(three(32, own_latent=False, gap=1.5), clip=64, way=40).levels == 3


def test_a_little_less_is_as_good() -> None:
    levels = three(1)
    close = replace(levels[0], descent=dict.fromkeys(HOPS, 0.985))
    assert advise([close, *levels[1:]], clip=64, way=40).levels == 1
    worse = replace(levels[0], descent=dict.fromkeys(HOPS, 0.95))
    assert advise([worse, *levels[1:]], clip=64, way=40).levels == 2


@pytest.mark.parametrize(
    ("least", "strides"),
    [(4, (1,)), (8, (1,)), (16, (1, 2)), (32, (1, 4)), (64, (1, 3, 3)), (256, (1, 4, 4, 4))],
)
def test_strides_span_the_hop(least: int, strides: tuple[int, ...]) -> None:
    found = advise([level(1, 1, 8, least)], clip=1000, way=300)
    assert found.strides == strides
    product = 1
    for stride in found.strides:
        product *= stride
    assert 8 * product >= least


def test_hops_between_those_tested() -> None:
    descent = {1: 0.0, 2: 0.2, 4: 0.6, 8: 1.0}
    assert arrivals(descent, 4) == 0.6 and arrivals(descent, 64) == 1.0 and arrivals(descent, 0) == 0.0
    assert 0.2 < arrivals(descent, 3) < 0.6


def test_what_was_never_wrong_is_held_by_the_plans() -> None:
    found = reach_of(level(1, 1, 12, 1), clip=64)
    assert (found.steps, found.held_by, found.counts) == (12, "plans", True)
    assert not reach_of(level(2, 4, 12, 1, growth=[0.9]), clip=64).counts

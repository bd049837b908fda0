"""The tasks of layouts: one for each family and mixture at each side that nested rooms have."""

from __future__ import annotations

from tasks.layouts.families import FAMILIES, MIXTURES, NESTED
from tasks.specs import TaskSpec

STEPS: dict[str, dict[int, int]] = {
    NESTED: {9: 64, 17: 128, 33: 256},
    "maze": {9: 96, 17: 320, 33: 1024},
    "braid": {9: 64, 17: 256, 33: 512},
    "comb": {9: 64, 17: 128, 33: 256},
    "spiral": {9: 96, 17: 256, 33: 1024},
    "cave": {9: 64, 17: 128, 33: 256},
    "open": {9: 64, 17: 128, 33: 256},
    "rooms": {9: 64, 17: 192, 33: 384},
    "walls": {9: 64, 17: 160, 33: 320},
}
"""Step budget by family and side: about twice the longest shortest path, and never below that of nested rooms."""

WORDS = {
    "maze": "a maze with one way between any two cells",
    "braid": "a maze without dead ends",
    "comb": "corridors that end blind on one that joins them",
    "spiral": "a corridor that winds inwards",
    "cave": "a cave",
    "open": "an open field with a few obstacles",
    "rooms": "rooms of many sizes with openings between them",
    "walls": "loose straight walls",
}
"""What a family looks like."""


def layout_specs(nested: TaskSpec) -> list[TaskSpec]:
    """The tasks of all families and mixtures.

    Args:
        nested: the task of nested rooms whose side they have, and whose compute per step.
    """
    return [_spec(layout, nested) for layout in (*FAMILIES, *MIXTURES)]


def _spec(layout: str, nested: TaskSpec) -> TaskSpec:
    side, parts = nested.width, MIXTURES.get(layout)
    steps = max(STEPS[family][side] for family in parts or (layout,))
    if parts is None:
        what = f"{WORDS[layout]} on a {side}x{side} grid, a new one every episode"
    else:
        what = f"{', '.join(parts)} in turn on a {side}x{side} grid, a new floor plan every episode"
    return TaskSpec(
        id=f"hjepa/Layouts-{layout}-s{side}-v0",
        depth=1,
        room=side - 2,
        width=side,
        height=side,
        step_budget=steps,
        default_budget_tflops=round(nested.default_budget_tflops * steps / nested.step_budget, 4),
        fixed_plan=None,
        description=what,
        family="layouts",
        layout=layout,
    )

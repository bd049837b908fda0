"""What the explorer is asked to show, as one checked value, and what it plays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hjepa.config import with_plan
from hjepa.errors import InputError
from hjepa.model.stack import Stack
from hjepa.settings import PlanSettings

OF_SEEN = ("goals", "data", "success", "step_budget")
"""What can be asked of worlds that were learned from a store of observations alone."""


@dataclass(frozen=True)
class ExploreRequest:
    """What the page is to show.

    Attributes:
        runs: shipped weights or run folders, at least one.
        task: id; None: the task that each run was trained for.
        levels: numbers of levels, of which each run plays those that it has; None: 1 to all of them.
        metric: of the goal cost; None: the run's own.
        episodes: how many, the first of the evaluation set.
        seed, split, starts: of the evaluation set, as for ``hjepa plan``.
        budget_tflops: per episode; None: the task's.
        overrides: settings of planning that replace the runs', each ``"key.below=value"``.
        goals, data, success, step_budget: of worlds that were learned from a store of observations, as for
            ``hjepa plan``; None: its defaults.
    """

    runs: Sequence[str]
    task: str | None = None
    levels: Sequence[int] | None = None
    metric: Sequence[str] | None = None
    episodes: int = 6
    seed: int = 0
    split: str = "test"
    starts: str | None = None
    budget_tflops: float | None = None
    overrides: Sequence[str] = ()
    goals: str | None = None
    data: str | None = None
    success: str | None = None
    step_budget: int | None = None

    def __post_init__(self) -> None:
        if not self.runs or len(set(self.runs)) < len(self.runs):
            raise InputError(f"runs {' '.join(self.runs) or 'none'}", "explore", "name each once")
        for name, values in (("levels", self.levels), ("metric", self.metric)):
            if values is not None and (not values or len(set(values)) < len(values)):
                raise InputError(f"{name} {','.join(map(str, values))}", "explore", "name each once")
        for levels in self.levels or ():
            if levels < 1:
                raise InputError(f"levels {levels}", "explore", "give 1 or more")
        if self.episodes < 1:
            raise InputError(f"episodes {self.episodes}", "explore", "give 1 or more")
        if self.seed < 0:
            raise InputError(f"seed {self.seed}", "explore", "give 0 or more")


@dataclass(frozen=True)
class Opened:
    """A run.

    Attributes:
        name: as it was named.
        stack: its levels.
        content: what its checkpoint says of itself.
    """

    name: str
    stack: Stack
    content: Mapping[str, Any]

    @property
    def seen(self) -> bool:
        """Whether it was learned from a store of observations."""
        return self.content.get("played") is not None


def choices(request: ExploreRequest, run: Opened) -> Iterator[tuple[int, PlanSettings]]:
    """Numbers of levels and settings of planning, a pair for each agent of a run."""
    config = with_plan(run.stack.config, list(request.overrides))
    for metric in request.metric or (config.plan.metric,):
        settings = with_plan(config, [f"plan.metric={metric}"]).plan
        for levels in request.levels or range(1, run.stack.depth + 1):
            if levels <= run.stack.depth:
                yield levels, settings


def plain_agent(
    run: str, stack: Stack, of: int, metric: str | None, world: int, episodes: list[dict[str, Any]]
) -> dict[str, Any]:
    """An agent and its episodes.

    Args:
        run: its name.
        stack: the levels in use.
        of: levels of the run.
        metric: of the goal cost; None: it is not known.
        world: index of its world.
        episodes: plain values.
    """
    return {
        "run": run,
        "world": world,
        "levels": stack.depth,
        "of": of,
        "depth": "trained" if stack.depth == of else "truncated",
        "metric": metric,
        "information": "seen" if stack.sees else "told",
        "spans": list(stack.config.spans[: stack.depth]),
        "episodes": episodes,
    }

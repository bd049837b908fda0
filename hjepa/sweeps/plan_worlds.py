"""``hjepa plan`` in worlds that were learned from a store of observations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hjepa.agent.options import AgentOptions
from hjepa.config import with_plan
from hjepa.devices import fix_threads, torch_device
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.playing import Results
from hjepa.evaluation.records import Record
from hjepa.evaluation.worlds import WorldEvaluation, evaluate_world
from hjepa.model.checkpoints import describe, load_stack
from hjepa.model.stack import Stack
from hjepa.model.worlds import played_in, world_played_in
from hjepa.sweeps.kept import Kept, request_identity
from hjepa.sweeps.plan_progress import Tell
from tasks import ObservationStore, StoreError, world_spec

LEFT_OUT = ("tasks", "oracle", "zones", "unguarded", "mission", "memory", "diagnostics")
"""What `hjepa plan` knows of worlds of cells alone."""


@dataclass(frozen=True)
class WorldGoals:
    """What `hjepa plan` is told of goals in a world; see `hjepa.evaluation.worlds.WorldEvaluation`.

    Attributes:
        goals, success, step_budget: None: the defaults.
        data: folder of the held-out trajectories.
    """

    goals: str | None = None
    data: str | None = None
    success: str | None = None
    step_budget: int | None = None


@dataclass(frozen=True)
class WorldCell:
    """What a request asks for but for the number of levels.

    Attributes:
        seed, metric, planner, budget_tflops: as named on the command line; None: the checkpoint's own.
        asked: the evaluation.
    """

    seed: int
    metric: str | None
    planner: str | None
    budget_tflops: float | None
    asked: WorldEvaluation

    def plain(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "metric": self.metric,
            "planner": self.planner,
            "budget_tflops": self.budget_tflops,
        }


class _Count:
    """Episodes over and solved, of all that a request asks for."""

    def __init__(self, every: int, tell: Tell | None) -> None:
        self.every, self.tell = every, tell
        self._noted: dict[str, tuple[int, int]] = {}
        if tell is not None:
            tell(0, 0, every)

    def note(self, name: str, over: int, solved: int) -> None:
        """What goes by a name has come so far."""
        self._noted[name] = (over, solved)
        if self.tell is not None:
            noted = self._noted.values()
            self.tell(sum(over for over, _ in noted), sum(solved for _, solved in noted), self.every)


def plan_in_world(
    request: PlanRequest,
    goals: str | None = None,
    data: str | None = None,
    success: str | None = None,
    step_budget: int | None = None,
    note: Callable[[str], None] = lambda text: None,
    tell: Tell | None = None,
) -> list[Record]:
    """The records of a request: one per seed, metric, planner, budget and number of levels.

    With `PlanRequest.progress` a killed run goes on after the last batch of episodes that it finished.

    Args:
        request: what is asked.
        goals, data, success, step_budget: see `WorldGoals`.
        note: told in a line what is solved so far, after each batch.
        tell: how far all of it is, after every step; see `hjepa.sweeps.plan_progress`.

    Raises:
        InputError: what cannot work together.
    """
    stack, content, store = opened(request, data)
    cells = [*cells_in_world(request, stack, content, store, WorldGoals(goals, data, success, step_budget))]
    config = with_plan(stack.config, request.overrides)
    each = len(request.levels or range(stack.depth)) * request.episodes
    count = _Count(len(cells) * each, tell)
    records: list[Record] = []
    for cell in cells:
        identity = {
            **request_identity(request),
            "checkpoint_sha256": content["sha256"],
            "config": repr(config),
            "asked": [cell.asked.goals, success, step_budget, None if store is None else store.sha256],
        }
        records += evaluate_world(
            stack,
            cell.asked,
            request.levels,
            {
                "train_seed": content["train_seed"],
                "checkpoint_sha256": content["sha256"],
                "overrides": request.overrides,
            },
            partial(_kept, request, cell.plain(), identity, note, count),
        )
    return records


def cells_in_world(
    request: PlanRequest,
    stack: Stack,
    content: Mapping[str, Any],
    store: ObservationStore | None,
    goals: WorldGoals,
) -> Iterator[WorldCell]:
    """What a request asks of a stack, in the order of its records.

    Raises:
        InputError: what cannot work together.
    """
    played = _named(content["played"], request.task)
    config = with_plan(stack.config, request.overrides)
    choices = itertools.product(
        request.seed,
        request.metric or (None,),
        request.planner or (None,),
        request.budget_tflops or (None,),
    )
    for seed, metric, planner, budget in choices:
        named = {"plan.metric": metric, "plan.planner": planner}
        overrides = [f"{key}={name}" for key, name in named.items() if name is not None]
        asked = WorldEvaluation(
            played=played,
            agent=AgentOptions(budget_tflops=budget, settings=with_plan(config, overrides).plan),
            episodes=request.episodes,
            seed=seed,
            goals=goals.goals or "world",
            data=store,
            success=goals.success,
            split=request.split,
            step_budget=goals.step_budget,
            episode_batch=request.episode_batch,
        )
        yield WorldCell(seed, metric, planner, budget, asked)


def opened(request: PlanRequest, data: str | None) -> tuple[Stack, dict[str, Any], ObservationStore | None]:
    """The checkpoint of a request, its description, and the trajectories that goals are drawn from."""
    fix_threads()
    for name in LEFT_OUT:
        if getattr(request, name):
            raise InputError(f"--{name}", "plan", "it is for worlds of cells that are told; leave it out")
    stack = load_stack(request.checkpoint, str(torch_device(request.device)))
    content = describe(request.checkpoint)
    try:
        store = None if data is None else ObservationStore.open(data)
    except StoreError as error:
        raise InputError(str(error), "plan") from None
    if store is not None and store.sha256 == content.get("data_sha256"):
        raise InputError("--data is what the stack was trained on", str(data), "give held-out trajectories")
    for count in request.levels or ():
        if not 1 <= count <= stack.depth:
            raise InputError(
                f"{count} levels of a stack of {stack.depth}", "levels", f"choose 1 to {stack.depth}"
            )
    return stack, content, store


def _kept(
    request: PlanRequest,
    cell: Mapping[str, Any],
    identity: Mapping[str, Any],
    note: Callable[[str], None],
    count: _Count,
    levels: int,
) -> Kept:
    """Where the work for one number of levels is kept, and what is said of it meanwhile."""
    chosen = [f"{name} {value}" for name, value in cell.items() if value is not None]

    def told(parts: list[Results]) -> None:
        success = Results.join(parts).success
        so_far = f"{len(success)} of {request.episodes} episodes, {100 * success.mean():.1f} % solved"
        note(f"{levels} levels, {', '.join(chosen)}: {so_far}")

    name = str({**cell, "levels": levels})
    kept = Kept(request.progress, {**cell, "levels": levels}, identity, told, partial(count.note, name))
    if kept.finished is not None:
        kept.tell(request.episodes, round(request.episodes * kept.finished["success_rate"]))
    return kept


def _named(played: dict[str, object], task: str) -> dict[str, object]:
    """The world that was named, which has to show and do what the stack was trained on."""
    try:
        spec, name, spread = world_played_in(played)
        if task == spec.id:
            return played
        named = world_spec(task, spec.observe or None, step_budget=spec.step_budget, **spec.arguments)
    except ValueError as error:
        raise InputError(str(error), "plan") from None
    if named.senses != spec.senses or named.actions != spec.actions:
        raise InputError(
            f"{task} shows and does something else than {spec.id}, which the stack was trained in",
            "plan",
            "give a checkpoint of that world",
        )
    return played_in(named, name, {key: values.tolist() for key, values in spread.items()})

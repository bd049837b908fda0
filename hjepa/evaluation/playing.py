"""Playing a batch of episodes to their ends, and what happened in them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from hjepa.agent.agent import Agent
from hjepa.agent.episodes import Episodes
from hjepa.devices import in_plain_modes
from hjepa.errors import InputError
from hjepa.evaluation.oracles import OracleAgent
from hjepa.model.stack import Stack
from planners.noise import combine
from planners.top_down import Decision
from tasks import EpisodeBatch, TaskSpec
from tasks.missions import MissionBatch
from tasks.observations import grid_to_lava
from tasks.replay import Mismatch, NamedStage, TwinStage, stage


@dataclass(frozen=True)
class Results:
    """What happened in E episodes.

    Attributes:
        success: (E,) 0 or 1.
        steps: (E,) environment steps.
        flops: (E,) floating point operations.
        asked, planned: (E, K) how often each level had to plan, and how often it did (and was not skipped).
        repaired: (E,) plans that had to be mended on the way.
        violated: (E,) 0 or 1, whether the agent was in a forbidden cell.
        plan_ms: (E,) milliseconds of planning per replan.
        placed: (E,) 0 or 1, whether the environment's state had to be set after its reset, see `tasks.named_episode`.
    """

    success: np.ndarray
    steps: np.ndarray
    flops: np.ndarray
    asked: np.ndarray
    planned: np.ndarray
    repaired: np.ndarray
    violated: np.ndarray
    plan_ms: np.ndarray
    placed: np.ndarray

    @staticmethod
    def of(
        state: Episodes,
        success: np.ndarray,
        steps: np.ndarray,
        seconds: float,
        violated: np.ndarray | None = None,
        placed: np.ndarray | None = None,
    ) -> Results:
        """What came of episodes that are over, with what their agent has counted.

        Args:
            state: of the agent.
            success, steps, violated, placed: see above; None: in no episode.
            seconds: of planning, all episodes together.
        """
        asked, planned = (
            np.stack([getattr(level, name).cpu().numpy() for level in state.plan.levels], 1)
            for name in ("asked", "planned")
        )
        nothing = np.zeros(len(steps), dtype=np.int64)
        return Results(
            success=success.astype(np.int64),
            steps=steps,
            flops=state.flops.cpu().numpy(),
            asked=asked,
            planned=planned,
            repaired=state.plan.repaired.cpu().numpy(),
            violated=nothing if violated is None else violated.astype(np.int64),
            plan_ms=np.full(len(steps), 1e3 * seconds / max(int(asked[:, 0].sum()), 1)),
            placed=nothing if placed is None else placed.astype(np.int64),
        )

    @property
    def steps_to_success(self) -> list[int | None]:
        """(E,) environment steps that success took; None where there was none."""
        return [int(n) if solved else None for n, solved in zip(self.steps, self.success)]

    def to_plain(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name).tolist() for field in dataclasses.fields(self)}

    @staticmethod
    def from_plain(content: dict[str, Any]) -> Results:
        """What `to_plain` made.

        Raises:
            ValueError, TypeError: it is something else.
        """
        if not isinstance(content, dict):
            raise TypeError(f"results are {type(content).__name__}")
        found = Results(**{name: np.asarray(value) for name, value in content.items()})
        arrays = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
        for name, array in arrays.items():
            axes = 2 if name in ("asked", "planned") else 1
            if array.dtype.kind not in "iuf" or array.ndim != axes or len(array) != len(found.success):
                raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
        return found

    @staticmethod
    def join(parts: Sequence[Results]) -> Results:
        names = [field.name for field in dataclasses.fields(Results)]
        return Results(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


class Progress(Protocol):
    """Where finished batches of an evaluation are kept, so that a killed one goes on.

    Attributes:
        parts: results of batches finished earlier.
    """

    parts: list[Results]

    def keep(self, parts: list[Results]) -> None:
        """Keep the results of all batches so far."""
        ...

    def tell(self, over: int, solved: int) -> None:
        """After every step, how many episodes are over and how many of them were solved."""
        ...


def further(progress: Progress, parts: list[Results], over: int, solved: int) -> None:
    """Tell how far a batch is, on top of the finished ``parts``."""
    before = [part.success for part in parts]
    progress.tell(over + sum(map(len, before)), solved + sum(int(part.sum()) for part in before))


@dataclass(frozen=True)
class Trace:
    """What happened and what was imagined, for figures.

    Attributes:
        episodes: E episodes.
        agent: (E, T + 1, A) agent vectors after every step.
        results: outcomes.
        decisions: every planner call.
        stack: the levels used.
    """

    episodes: EpisodeBatch
    agent: np.ndarray
    results: Results
    decisions: list[Decision]
    stack: Stack


@in_plain_modes
def play(
    agent: Agent,
    spec: TaskSpec,
    episodes: EpisodeBatch,
    first: int,
    seed: int,
    zones: np.ndarray | None = None,
    missions: MissionBatch | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Trace:
    """Run a batch of episodes to their ends.

    Success is what the environment that the task names says: it is stepped itself, or its batched twin is and every
    episode is replayed in it, see `tasks.replay`.

    Args:
        agent: plans.
        spec: task.
        episodes: E of them.
        first: number of the first one in its evaluation set, which its random key is made of.
        seed: of the evaluation.
        zones: (E, W, H) bool, cells that count as forbidden besides lava; the agent keeps out of them only where its
            guardrails say so.
        missions: what is to be done instead of reaching the goal; done or not is judged here, whatever the agent
            believes.
        tell: called after every step with the episodes that are over and those of them that were solved.

    Raises:
        InputError: an environment that does not build the episodes, or does not confirm what its twin did.
    """
    count = len(episodes.start)
    wrong = grid_to_lava(episodes.grid) if zones is None else zones | grid_to_lava(episodes.grid)
    try:
        # A world ends an episode at its goal, a mission may have to go on from there.
        played = stage(spec, episodes, endless=missions is not None)
    except ValueError as error:
        raise InputError(str(error)) from error
    if isinstance(agent, OracleAgent):
        agent.reveal(episodes)
    show, floor = agent.perception.show, episodes.grid
    goal = {"pose": episodes.goal} if spec.view else show(episodes.goal_observation, floor, episodes.goal)
    keys = combine(seed, torch.arange(first, first + count))
    state = agent.begin(
        show(played.observation, floor, played.agent), goal if missions is None else missions, keys
    )
    success, steps, path, seconds = _act(agent, state, played, floor, missions, tell)
    try:
        placed = played.confirm(steps, first)
    except Mismatch as error:
        raise InputError(str(error)) from error
    violated = _entered(wrong if missions is None else wrong | missions.avoid, path, steps)
    if missions is not None:
        success &= ~violated
    results = Results.of(state, success, steps, seconds, violated, placed)
    return Trace(episodes, path, results, state.plan.decisions, agent.stack)


def _act(
    agent: Agent,
    state: Episodes,
    played: TwinStage | NamedStage,
    floor: np.ndarray,
    missions: MissionBatch | None,
    tell: Callable[[int, int], None] | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Act until all episodes are over.

    Returns:
        success (E,) bool, steps (E,), path (E, T + 1, A), and seconds of planning.
    """
    walked = [played.agent]
    legs = None if missions is None else missions.advance(np.zeros(len(floor), np.int64), walked[0])
    success, done = np.zeros((2, len(floor)), dtype=bool)
    steps = np.zeros(len(floor), dtype=np.int64)
    seconds = 0.0
    while not done.all():
        begun = time.perf_counter()
        seen = agent.perception.show(played.observation, floor, walked[-1])
        action = agent.act(state, seen, torch.from_numpy(~done))
        seconds += time.perf_counter() - begun
        arrived, over = played.step(action)
        steps += ~done
        walked.append(played.agent)
        if missions is not None and legs is not None:
            legs = missions.advance(legs, walked[-1])
            arrived = legs == missions.legs
        success |= arrived & ~done
        done |= over | arrived
        if tell is not None:
            tell(int(done.sum()), int(success.sum()))
    return success, steps, np.stack(walked, 1), seconds


def _entered(wrong: np.ndarray, path: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(E,) bool, which agents were in a wrong cell (E, W, H) on their paths (E, T + 1, A) up to their last steps."""
    cells = np.floor(path[..., :2]).astype(np.int64)
    entered = wrong[np.arange(len(path))[:, None], cells[..., 0], cells[..., 1]]
    # What a world does with an agent whose mission is over is nobody's fault.
    return np.asarray((entered & (np.arange(path.shape[1]) <= steps[:, None])).any(1))

"""Our own families, and the stock MiniGrid environments that have a batched twin, as worlds.

What is seen equals what `tasks.gymnasium_world` sees of the environments themselves, to the bit: the whole grid as
``symbols``, or its ``image`` with 8 pixels a cell. The continuous point is seen in a picture that is drawn here (its
environment returns positions and no picture of them), walls grey and its body red.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.batched_world import BatchedWorld
from tasks.episode_batches import EpisodeBatch
from tasks.gymnasium_world import check_prefixes, checked_actions
from tasks.minigrid_goals import HEADING
from tasks.minigrid_suite import draw_ends
from tasks.named import has_twin as is_unchanged
from tasks.observations import compose_image
from tasks.point_pictures import draw_points
from tasks.randomness import keyed_generator
from tasks.rendering import SYMBOLS, TILE, render_frames
from tasks.specs import TaskSpec
from tasks.suite import list_tasks, make_batched, sample_episodes, task_spec
from tasks.worlds import Actions, Observation, Sense, Step, TaskBatch, WorldSpec, check_start

_TAKEN = ("tile", "split", "tasks")


def has_twin(env_id: str) -> bool:
    """Whether a world has a batched twin that shows the same; worlds seen in parts have none here, nor has what
    somebody else's code is in now, registered anew under the same id."""
    return any(spec["id"] == env_id and _has_twin(spec) for spec in list_tasks()) and is_unchanged(env_id)


def _has_twin(spec: Mapping[str, Any]) -> bool:
    return spec["family"] != "field" and not spec["view"]


def twin_spec(
    env_id: str, observe: str | None = None, *, step_budget: int | None = None, **arguments: Any
) -> WorldSpec:
    """What a world with a batched twin is to an agent.

    Args:
        env_id: see `has_twin`.
        observe: ``symbols`` or ``image``; None: symbols, of a point its image, which is all it has.
        step_budget: steps of an episode; None: the task's.
        **arguments: ``tile``, pixels a side of a cell of an image; ``split`` and ``tasks``, where the episodes of our
            floor plans come from that seeds draw (``train`` and ``far``).

    Raises:
        ValueError: no twin, or a way of observing or an argument that it does not have.
    """
    if not has_twin(env_id):
        known = ", ".join(spec["id"] for spec in list_tasks() if _has_twin(spec))
        raise ValueError(f"{env_id} has no batched twin; choose from {known}, or take the environment itself")
    spec = task_spec(env_id)
    ways = ("image",) if spec.continuous else ("symbols", "image")
    observe = observe or ways[0]
    if observe not in ways:
        raise ValueError(f"{env_id} observed as {observe}; choose from {', '.join(ways)}")
    taken = _TAKEN[:1] if spec.family == "minigrid" else _TAKEN
    if unknown := sorted(set(arguments) - set(taken)):
        raise ValueError(
            f"{env_id} takes no argument {unknown[0]!r}; known: {', '.join(taken)}; or take the"
            " environment itself"
        )
    budget = spec.step_budget if step_budget is None else step_budget
    tile = arguments.get("tile", TILE)
    if budget < 1 or not isinstance(tile, int) or tile < 1:
        raise ValueError(
            f"step budget {budget} and tile {tile!r} of {env_id}: both are whole numbers from 1 up"
        )
    sense = Sense("symbols", (spec.width, spec.height, 3), SYMBOLS)
    if observe == "image":
        sense = Sense("image", (spec.height * tile, spec.width * tile, 3))
    actions = Actions(spec.actions)
    if spec.continuous:
        actions = Actions(spec.actions, (-1.0,) * spec.actions, (1.0,) * spec.actions)
    return WorldSpec(env_id, {"image": sense}, actions, budget, observe, dict(arguments))


def split_tasks(
    env_id: str, split: str = "test", kind: str | None = None, *, episodes: int, seed: int = 0
) -> TaskBatch:
    """The held-out tasks of a world with a twin, those of `tasks.sample_episodes`.

    Raises:
        ValueError: what `tasks.sample_episodes` refuses.
    """
    return tasks_of(sample_episodes(env_id, split, kind, episodes=episodes, seed=seed))


def tasks_of(episodes: EpisodeBatch) -> TaskBatch:
    """Given episodes as tasks; those that share a floor plan are a group."""
    count = len(episodes)
    return TaskBatch(
        seed=episodes.plan_seed,
        prefix=np.zeros((count, 0), dtype=np.int64),
        prefix_length=np.zeros(count, dtype=np.int64),
        goal=None,
        goal_state=episodes.goal.astype(np.float64),
        group=episodes.plan_seed,
        oracle_steps=episodes.oracle_steps.astype(np.float64),
        episodes=episodes,
    )


class TwinWorld:
    """E episodes of a world with a batched twin; see `tasks.worlds.World`.

    Args:
        spec: of `twin_spec`.

    Raises:
        ValueError: a world without a twin.
    """

    def __init__(self, spec: WorldSpec) -> None:
        self.spec, self._task = spec, task_spec(spec.id)
        self._tile = tile = spec.arguments.get("tile", TILE)
        self._draw: Callable[[np.ndarray, np.ndarray], np.ndarray] = compose_image
        if spec.observe == "image":
            draw = draw_points if self._task.continuous else render_frames
            self._draw = lambda floor, agent: draw(floor, agent, tile)
        self._world: BatchedWorld | None = None
        self._given: TaskBatch | None = None

    def reset(self, tasks: TaskBatch) -> Observation:
        """Begin the tasks: their episodes, or what their seeds draw, and act their prefixes.

        Raises:
            ValueError: no tasks, prefixes that do not fit, one during which the episode ends, or one that arrives
                somewhere else than when the tasks were made.
        """
        if not len(tasks):
            raise ValueError("no tasks given; give at least one")
        check_prefixes(tasks, self.spec.actions)
        episodes = tasks.episodes
        if episodes is None:
            episodes = drawn_episodes(self._task, tasks.seed, self.spec.arguments)
        if tasks.prefix_length.any():
            episodes = replace(episodes, start=self._walked(episodes, tasks))
        self._world = self._batched(len(tasks), self.spec.step_budget)
        seen, _ = self._world.reset(options={"episodes": episodes})
        self._given, self._episodes = tasks, episodes
        self._agent = self._world.agent
        self._succeeded, self._terminated, self._truncated = np.zeros((3, len(tasks)), dtype=bool)
        self._last = self._shown(seen).copy()
        check_start(self.spec.id, {"image": self._last}, tasks)
        return {"image": self._last.copy()}

    def step(self, action: np.ndarray) -> Step:
        """Act, (E,) integers or (E, 2) numbers, of which what is out of bounds is clipped; finished episodes stay."""
        world, tasks = self._world, self._given
        if world is None or tasks is None:
            raise ValueError("step before reset; call reset(tasks) first")
        seen, reward, terminated, truncated, _ = world.step(
            checked_actions(action, self.spec.actions, len(tasks))
        )
        # The twin goes on where a goal of ours is reached that is not its own.
        running = ~(self._terminated | self._truncated)
        self._agent = np.where(running[:, None], world.agent, self._agent)
        self._last[running] = self._shown(seen)[running]
        observation = {"image": self._last.copy()}
        goal = self.goal() if tasks.reached is not None else None
        if tasks.reached is None or goal is None:
            self._succeeded |= running & (reward > 0)
        else:
            self._succeeded |= running & tasks.reached(observation, goal)
            terminated = terminated | self._succeeded
        self._terminated |= running & terminated
        self._truncated |= running & truncated
        return Step(observation, self._succeeded.copy(), self._terminated.copy(), self._truncated.copy())

    def goal(self) -> Observation | None:
        """The goals of the tasks begun: theirs, or the agent at the goal."""
        if self._given is None or self._given.goal is not None:
            return None if self._given is None else self._given.goal
        return {"image": self._draw(self._episodes.grid, self._episodes.goal)}

    def state(self) -> dict[str, np.ndarray]:
        """``agent`` (E, A), and ``floor`` (E, W, H, 3) uint8, the floor plans with doors closed."""
        return {} if self._world is None else {"agent": self._agent.copy(), "floor": self._world.floor}

    def close(self) -> None:
        """Let go of the episodes."""
        self._world = self._given = None

    def _batched(self, count: int, step_budget: int) -> BatchedWorld:
        return make_batched(self._task, count, step_budget=step_budget, copy=False)

    def _shown(self, seen: Observation) -> np.ndarray:
        """What is observed now, valid until the next step."""
        assert self._world is not None
        if self.spec.observe == "symbols":
            return seen["image"]
        return self._world.frames(self._tile)

    def _walked(self, episodes: EpisodeBatch, tasks: TaskBatch) -> np.ndarray:
        """Agents (E, A) after the prefixes."""
        length, longest = tasks.prefix_length, int(tasks.prefix_length.max())
        world = self._batched(len(tasks), longest + 1)
        world.reset(options={"episodes": episodes})
        agents = [world.agent]
        for time in range(longest):
            _, _, terminated, _, _ = world.step(
                checked_actions(tasks.prefix[:, time], self.spec.actions, len(tasks))
            )
            if (over := terminated & (time < length)).any():
                slot = int(np.argmax(over))
                raise ValueError(
                    f"the prefix of task {slot} of {self.spec.id} (seed {tasks.seed[slot]}) ends the episode; give"
                    " one that leads to a start"
                )
            agents.append(world.agent)
        return np.stack(agents)[length, np.arange(len(tasks))]


def drawn_episodes(task: TaskSpec, seeds: np.ndarray, arguments: Mapping[str, Any]) -> EpisodeBatch:
    """The episodes that an environment of the task begins when it is reset with each of the seeds (E,).

    The lengths of their shortest paths are not worked out (0).
    """
    if task.family == "minigrid":
        drawn = [draw_ends(keyed_generator("own goal", task.id, s), task, s, "own") for s in seeds.tolist()]
        grid, start, goal = (np.stack(part) for part in zip(*drawn, strict=True))
        goal[:, 2] = HEADING
        return EpisodeBatch(seeds, grid, start, goal, np.zeros(len(seeds), dtype=np.int64))
    chosen = {name: arguments[name] for name in ("split", "tasks") if name in arguments}
    world = make_batched(task, len(seeds), **chosen)
    _, info = world.reset(seed=seeds.tolist())
    return EpisodeBatch(
        info["plan_seed"], world.floor, world.agent, world.goal, np.zeros(len(seeds), dtype=np.int64)
    )

"""Tasks of the field as worlds: E episodes of a simulator side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.field.registry import make_simulator
from tasks.field.simulator import State, choose
from tasks.gymnasium_world import check_prefixes, checked_actions
from tasks.worlds import Observation, Step, TaskBatch, WorldSpec, check_start


def field_spec(
    env_id: str, observe: str | None = None, *, step_budget: int | None = None, **arguments: Any
) -> WorldSpec:
    """What a task of the field is to an agent.

    Args:
        env_id: one of `tasks.field.registry.FIELD_TASKS`.
        observe: ``image``, ``symbols`` or ``vector``, of those that it has; None: its own.
        step_budget: steps of an episode; None: the task's.
        **arguments: of its simulator, such as ``pixels``, a side of pictures.

    Raises:
        ValueError: an unknown task, a way of observing or an argument that it does not have.
    """
    made = make_simulator(env_id, observe, **arguments)
    budget = made.step_budget if step_budget is None else step_budget
    if not isinstance(budget, int) or budget < 1:
        raise ValueError(f"step budget {budget!r} of {env_id}: give a whole number from 1 up")
    return WorldSpec(env_id, made.senses, made.actions, budget, made.observe, dict(arguments))


class FieldWorld:
    """E episodes of a task of the field; see `tasks.worlds.World`.

    Success is the published rule, of the goals that seeds draw and of goals from trajectories alike: their states are
    found by repeating what was done on the way to them.

    Args:
        spec: of `field_spec`.

    Raises:
        ValueError: an unknown task, or what it does not have.
    """

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        self.simulator = make_simulator(spec.id, spec.observe or None, **spec.arguments)
        self._tasks: TaskBatch | None = None
        self._state: State = {}
        self._goal: State = {}
        self._steps = np.zeros(0, dtype=np.int64)
        self._succeeded, self._terminated, self._truncated = np.zeros((3, 0), dtype=bool)

    def reset(self, tasks: TaskBatch) -> Observation:
        """Begin the tasks: what their seeds draw, and act their prefixes.

        Raises:
            ValueError: no tasks, prefixes that do not fit, tasks that begin or end somewhere else than when they were
                made, or goals of which nobody knows the way.
        """
        if not len(tasks):
            raise ValueError("no tasks given; give at least one")
        check_prefixes(tasks, self.spec.actions)
        drawn, goal = self.simulator.draw(tasks.seed)
        start = self._walked(drawn, tasks.prefix, tasks.prefix_length)
        seen = self.simulator.show(start)
        check_start(self.spec.id, seen, tasks)
        if tasks.goal is not None:
            goal = self._goal_state(start, tasks)
        self._begin(tasks, start, goal)
        return self._seen()

    def place(self, start: State, goal: State) -> Observation:
        """Begin E episodes at given states, with given goal states.

        Args:
            start, goal: arrays (E, ...) by name, as `state` gives them.

        Raises:
            ValueError: states with other names, shapes or kinds of numbers than the task has.
        """
        example, _ = self.simulator.draw(np.zeros(1, dtype=np.int64))
        count = len(next(iter(start.values())))
        for what, given in (("start", start), ("goal", goal)):
            wanted = {name: (value.dtype, (count, *value.shape[1:])) for name, value in example.items()}
            found = {name: (value.dtype, value.shape) for name, value in given.items()}
            if found != wanted or not count:
                raise ValueError(f"{what} states of {self.spec.id} are {found}; give {wanted}")
        none = np.zeros(count, dtype=np.int64)
        tasks = TaskBatch(
            none, none[:, None][:, :0], none, None, None, none, np.full(count, np.nan, dtype=np.float64)
        )
        self._begin(tasks, start, goal)
        return self._seen()

    def step(self, action: np.ndarray) -> Step:
        """Act, (E,) integers or (E, A) numbers, of which what is out of bounds is clipped; finished episodes stay."""
        if self._tasks is None:
            raise ValueError("step before reset; call reset(tasks) first")
        action = checked_actions(action, self.spec.actions, len(self._tasks))
        running = ~(self._terminated | self._truncated)
        self._state = choose(running, self.simulator.advance(self._state, action), self._state)
        self._steps += running
        seen = self._seen()
        if self._tasks.reached is not None and self._tasks.goal is not None:
            reached = self._tasks.reached(seen, self._tasks.goal)
        else:
            reached = self.simulator.reached(self._state, self._goal)
        self._succeeded |= running & reached
        self._terminated |= self._succeeded & self.simulator.ends_at_goal
        self._truncated |= running & (self._steps >= self.spec.step_budget)
        return Step(seen, self._succeeded.copy(), self._terminated.copy(), self._truncated.copy())

    def goal(self) -> Observation | None:
        """The goals of the tasks begun: theirs, or what is seen at those that their seeds draw."""
        if self._tasks is None:
            return None
        return self.simulator.show(self._goal) if self._tasks.goal is None else self._tasks.goal

    def state(self) -> State:
        """What the simulator knows, arrays (E, ...) by name."""
        return {} if self._tasks is None else {name: value.copy() for name, value in self._state.items()}

    def goal_state(self) -> State:
        """The same at the goals."""
        return {} if self._tasks is None else {name: value.copy() for name, value in self._goal.items()}

    def render(self) -> np.ndarray | None:
        """The tasks begun as pictures (E, H, W, 3) uint8; None where the task is not drawn."""
        if self._tasks is None:
            return None
        try:
            shown = make_simulator(self.spec.id, "image", **self.spec.arguments).show(self._state)
        except ValueError:
            return None
        return next(iter(shown.values()))

    def explorer(self, rng: np.random.Generator) -> Callable[[Observation], np.ndarray]:
        """A policy that collects as the published data were collected, of the episodes just begun."""
        assert self._tasks is not None
        act = self.simulator.explorer(len(self._tasks), rng)
        return lambda _: act(self._state, self._goal)

    def groups(self, seeds: np.ndarray) -> np.ndarray:
        """(E,) int64, equal where seeds (E,) begin in the same layout."""
        return self.simulator.layouts(seeds)

    def close(self) -> None:
        """Let go of the episodes."""
        self._tasks = None

    def _begin(self, tasks: TaskBatch, start: State, goal: State) -> None:
        self._tasks, self._state, self._goal = tasks, start, goal
        self._steps = np.zeros(len(tasks), dtype=np.int64)
        self._succeeded, self._terminated, self._truncated = np.zeros((3, len(tasks)), dtype=bool)

    def _seen(self) -> Observation:
        return self.simulator.show(self._state)

    def _walked(self, state: State, actions: np.ndarray, length: np.ndarray) -> State:
        """States after the first ``length`` (E,) of actions (E, T, ...)."""
        for time in range(int(length.max(initial=0))):
            given = checked_actions(actions[:, time], self.spec.actions, len(length))
            state = choose(time < length, self.simulator.advance(state, given), state)
        return state

    def _goal_state(self, start: State, tasks: TaskBatch) -> State:
        if tasks.way is None:
            if tasks.reached is not None:
                return start  # success is judged by what is seen
            raise ValueError(
                f"goals of {self.spec.id} come without the way to them, so nobody knows when they are reached;"
                " draw them from trajectories, or give another rule of success"
            )
        goal = self._walked(start, tasks.way, np.full(len(tasks), tasks.way.shape[1]))
        seen = self.simulator.show(goal)
        for name, value in (tasks.goal or {}).items():
            wrong = (seen[name] != value).reshape(len(value), -1).any(1)
            if wrong.any():
                slot = int(np.argmax(wrong))
                raise ValueError(
                    f"task {slot} of {self.spec.id} (seed {tasks.seed[slot]}) does not end as it was recorded: {name}"
                    " differs after the same actions; record the trajectories anew with this world"
                )
        return goal

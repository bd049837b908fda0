"""Any Gymnasium environment as a world: stepped as it is, wrappers and all, E of them side by side.

Observation t, the action taken there and observation t + 1 stay together: nothing resets by itself, the frame of the
reset is the first observation, and an episode that is over stays as it is.

Success is what the environment says, in ``info["success"]`` or ``info["is_success"]``. Where it says nothing, it is
that the environment ends the episode itself with the first reward above 0 of that episode, as environments with a goal
do (MiniGrid's, mountain cars, frozen lakes); one that pays for staying alive (cart poles, walkers) succeeds at nothing
then. Tasks with a goal from a trajectory succeed by `TaskBatch.reached`.

Only what the same seed makes anew can be a task, so an environment is refused where two resets with one seed differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.episode_batches import EpisodeBatch
from tasks.making import Seen, frame_of, is_minigrid
from tasks.minigrid_goals import goal_shown
from tasks.observations import ACTIONS, close_doors
from tasks.randomness import keyed_generator
from tasks.senses import actions_of
from tasks.simulator_state import state_of
from tasks.specs import OURS
from tasks.worlds import Actions, Observation, Step, TaskBatch, WorldSpec, check_start

TRIED = 12
"""Steps of an episode that is begun twice, to see whether it is the same."""


def gymnasium_spec(
    env_id: str,
    observe: str | None = None,
    *,
    step_budget: int | None = None,
    pixels: int | None = None,
    frames: int = 1,
    **arguments: Any,
) -> WorldSpec:
    """What a Gymnasium environment is to an agent; makes it, looks, and closes it.

    Args:
        env_id: Gymnasium id, or ``module:Id-v0`` to import the module that registers it first.
        observe: ``image``, ``symbols`` or ``vector``: only entries of that kind. Where an environment returns no image,
            ``image`` is what it renders, averaged to ``pixels`` x ``pixels``. MiniGrid's partial view is never used:
            ``symbols`` is the whole grid, ``image`` its picture with 8 pixels a cell. None: everything that can be
            sensed of what the environment returns, of MiniGrid symbols.
        step_budget: steps of an episode; None: the environment's own limit.
        pixels: a side of pictures; None: as they are, 64 where they are rendered.
        frames: moments that pictures show one behind the other, for worlds in which one does not show what moves how
            fast; 1: as the environment shows them.
        **arguments: keyword arguments of ``gymnasium.make``.

    Raises:
        ValueError: an environment that cannot be made, sensed or acted in, has no limit of steps and none is given,
            or does not repeat itself with the same seed.
    """
    seen = Seen(env_id, observe or "", arguments, pixels, frames=frames)
    try:
        actions = actions_of(seen.env.action_space, env_id)
        limit = own_limit(seen.env)
        if step_budget is None and limit is None:
            raise ValueError(f"{env_id} has no limit of steps; give a step budget")
        if step_budget is not None and not 1 <= step_budget <= (limit or step_budget):
            raise ValueError(
                f"step budget {step_budget} of {env_id}: choose 1 to {limit or 'any number'}, or raise the"
                " environment's own limit (max_episode_steps, max_steps)"
            )
        first = [_begun(seen, actions, seed) for seed in (1, 0)]
        senses = seen.senses
    finally:
        seen.env.close()
    other = Seen(env_id, observe or "", arguments, pixels, frames=frames)
    try:
        again = _begun(other, actions, 0)
    finally:
        other.env.close()
    if not _same(first[1], again):
        raise ValueError(
            f"{env_id} does not repeat itself: two episodes reset with seed 0 differ; draw all that is random from"
            " self.np_random after super().reset(seed=seed)"
        )
    return WorldSpec(env_id, senses, actions, int(step_budget or limit or 0), seen.observe, dict(arguments))


def own_limit(env: Any) -> int | None:
    """Steps after which an environment ends an episode: the registered limit or its own ``max_steps``, the smaller."""
    limits = [None if env.spec is None else env.spec.max_episode_steps]
    limits += [env.get_wrapper_attr("max_steps")] if env.has_wrapper_attr("max_steps") else []
    known = [int(each) for each in limits if isinstance(each, (int, np.integer)) and each > 0]
    return min(known) if known else None


def _begun(seen: Seen, actions: Actions, seed: int) -> list[dict[str, np.ndarray]]:
    """What is seen, and what comes with it, in the first steps of an episode."""
    rng = keyed_generator("begun twice", seed)
    raw, _ = seen.env.reset(seed=seed)
    found = [seen.look(raw, begins=True)]
    for action in draw_actions(actions, rng, TRIED):
        raw, reward, terminated, truncated, _ = seen.env.step(native_action(seen.env, actions, action))
        found.append({**seen.look(raw), "": np.array([reward, terminated, truncated], dtype=np.float64)})
        if terminated or truncated:
            break
    return found


def _same(one: list[dict[str, np.ndarray]], other: list[dict[str, np.ndarray]]) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=name == "") for name in a)
        for a, b in zip(one, other)
    )


def draw_actions(actions: Actions, rng: np.random.Generator, count: int) -> np.ndarray:
    """Uniformly random actions, (count,) int64 or (count, A) float32."""
    if actions.continuous:
        return rng.uniform(actions.low, actions.high, (count, actions.count)).astype(np.float32)
    return rng.integers(0, actions.count, count)


def checked_actions(action: np.ndarray, actions: Actions, episodes: int) -> np.ndarray:
    """The actions of E episodes, (E,) int64 or (E, A) float32, of which what lies outside of the bounds is clipped.

    Raises:
        ValueError: another shape, an integer that is no action, or numbers that are not finite.
    """
    action = np.asarray(action)
    wanted = (episodes, actions.count) if actions.continuous else (episodes,)
    if action.shape != wanted:
        raise ValueError(f"actions have shape {action.shape}; {wanted} is needed")
    if actions.continuous:
        if not np.isfinite(action).all():
            raise ValueError(
                f"action {action[~np.isfinite(action)][0]} is not finite; give numbers within bounds"
            )
        return np.clip(action.astype(np.float32), actions.low, actions.high).astype(np.float32)
    if not np.issubdtype(action.dtype, np.integer) or ((action < 0) | (action >= actions.count)).any():
        raise ValueError(f"actions {action.tolist()} are not all integers 0 to {actions.count - 1}")
    return action.astype(np.int64)


def native_action(env: Any, actions: Actions, action: np.ndarray) -> Any:
    """One action as an environment wants it."""
    if actions.continuous:
        return np.asarray(action, dtype=env.action_space.dtype)
    return env.action_space.start + env.action_space.dtype.type(action)


class GymnasiumWorld:
    """E episodes of a Gymnasium environment; see `tasks.worlds.World` and the module.

    Where tasks start after a prefix of actions, their step budget begins at the start, and a limit that would cut it
    short is raised by as much: the registered one, and MiniGrid's ``max_steps``. A limit that is hidden elsewhere in an
    environment counts from the reset.

    Args:
        spec: of `gymnasium_spec`.

    Raises:
        ValueError: an environment that cannot be made, or that is not what the spec says.
    """

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        self._seen: list[Seen] = []
        self._longer = 0
        self._tasks: TaskBatch | None = None
        self._goal: Observation | None = None
        self._grow(1, 0)

    def reset(self, tasks: TaskBatch) -> Observation:
        """Begin the tasks: reset with their seeds, and act their prefixes.

        Returns:
            Observation at the starts.

        Raises:
            ValueError: no tasks, prefixes that do not fit, one during which the episode ends, or one that arrives
                somewhere else than when the tasks were made.
        """
        count = len(tasks)
        if not count:
            raise ValueError("no tasks given; give at least one")
        check_prefixes(tasks, self.spec.actions)
        self._grow(count, self._lacking(int(tasks.prefix_length.max())))
        self._tasks = tasks
        self._last = {
            name: np.zeros((count, *sense.shape), np.float32 if sense.kind == "vector" else np.uint8)
            for name, sense in self.spec.senses.items()
        }
        self._steps = np.zeros(count, dtype=np.int64)
        self._paid, self._succeeded, self._terminated, self._truncated = np.zeros((4, count), dtype=bool)
        goals = [self._begin(slot) for slot in range(count)]
        shown = [goal for goal in goals if goal is not None]
        self._goal = tasks.goal
        if tasks.goal is None and len(shown) == count:
            self._goal = {name: np.stack([goal[name] for goal in shown]) for name in self.spec.senses}
        check_start(self.spec.id, self._last, tasks)
        return self._observation()

    def step(self, action: np.ndarray) -> Step:
        """Act, (E,) integers or (E, A) numbers, of which what is out of bounds is clipped; finished episodes stay."""
        if self._tasks is None:
            raise ValueError("step before reset; call reset(tasks) first")
        action = checked_actions(action, self.spec.actions, len(self._tasks))
        running = ~(self._terminated | self._truncated)
        for slot in np.flatnonzero(running).tolist():
            self._act(slot, action[slot])
        self._steps += running
        self._truncated |= running & (self._steps >= self.spec.step_budget)
        seen = self._observation()
        if self._tasks.reached is not None and self._goal is not None:
            self._succeeded |= running & self._tasks.reached(seen, self._goal)
            self._terminated |= self._succeeded
        return Step(seen, self._succeeded.copy(), self._terminated.copy(), self._truncated.copy())

    def goal(self) -> Observation | None:
        """The goals of the tasks begun, of MiniGrid the agent on the one goal object; None: the world shows none."""
        return self._goal

    def state(self) -> dict[str, np.ndarray]:
        """What the simulator knows, see `tasks.simulator_state`; empty where nothing is known about it."""
        count = 0 if self._tasks is None else len(self._tasks)
        each = [state_of(seen.env) for seen in self._seen[:count]]
        return {name: np.stack([state[name] for state in each]) for name in (each[0] if each else {})}

    def render(self) -> np.ndarray | None:
        """What the environments render of the tasks begun, (E, H, W, 3) uint8; None unless they were made with
        ``render_mode="rgb_array"`` and can."""
        begun = self._seen[: 0 if self._tasks is None else len(self._tasks)]
        if not begun or any(seen.env.render_mode != "rgb_array" for seen in begun):
            return None
        try:
            return np.stack([frame_of(seen.env, self.spec.id) for seen in begun])
        except ValueError:
            return None

    @property
    def is_minigrid(self) -> bool:
        """Whether the environment is one of MiniGrid's, with its seven actions."""
        return self.spec.actions.count == len(ACTIONS) and is_minigrid(self._seen[0].env)

    def close(self) -> None:
        """Close the environments."""
        for seen in self._seen:
            seen.env.close()
        self._seen = []

    def _lacking(self, prefix: int) -> int:
        """Steps that the registered limit lacks for a whole step budget after a prefix."""
        limit = own_limit(self._seen[0].env) if self._seen else None
        return 0 if limit is None else max(prefix + self.spec.step_budget - (limit - self._longer), 0)

    def _grow(self, count: int, longer: int) -> None:
        if longer != self._longer:
            self.close()
        self._longer = longer
        spec = self.spec
        sides = {sense.shape[0] for sense in spec.senses.values() if sense.kind == "image"}
        while len(self._seen) < count:
            # Pictures are averaged to the size that the spec has; where it is the environment's own, nothing happens.
            seen = Seen(spec.id, spec.observe, spec.arguments, None, longer)
            # A spec that was stored may know more codes than a space that has become more exact.
            if seen.senses.keys() != spec.senses.keys() or (
                not sides and not all(spec.senses[name].covers(sense) for name, sense in seen.senses.items())
            ):
                seen.env.close()
                raise ValueError(
                    f"{spec.id} now shows {sorted(seen.senses)}, the spec says {sorted(spec.senses)} of other shapes;"
                    " make the spec anew"
                )
            seen.senses = dict(spec.senses)
            self._seen.append(seen)

    def _begin(self, slot: int) -> Observation | None:
        assert self._tasks is not None
        seen, tasks = self._seen[slot], self._tasks
        raw, info = seen.env.reset(seed=int(tasks.seed[slot]), options=reset_options(tasks, slot, self.spec))
        if tasks.episodes is not None:
            check_episode(seen.env, tasks.episodes, slot, self.spec)
        first = seen.look(raw, begins=True)
        goal = goal_shown(seen, first, info) if tasks.goal is None else None
        self._keep(slot, first)
        length = int(tasks.prefix_length[slot])
        frames = max(sense.frames for sense in self.spec.senses.values())
        for time, action in enumerate(tasks.prefix[slot, :length], start=1):
            self._act(slot, action, look=time > length - frames)  # others on the way need not be drawn
            if self._terminated[slot] or self._truncated[slot]:
                raise ValueError(
                    f"the prefix of task {slot} of {self.spec.id} (seed {tasks.seed[slot]}) ends the episode; give"
                    " one that leads to a start"
                )
        self._succeeded[slot] = False
        return goal

    def _act(self, slot: int, action: np.ndarray, look: bool = True) -> None:
        seen = self._seen[slot]
        raw, paid, terminated, truncated, info = seen.env.step(
            native_action(seen.env, self.spec.actions, action)
        )
        reward = float(paid)
        if look:
            self._keep(slot, seen.look(raw))
        won = said_success(info)
        if won is None:
            won = bool(terminated and reward > 0 and not self._paid[slot])
        self._paid[slot] |= reward > 0
        self._terminated[slot], self._truncated[slot] = terminated, truncated
        assert self._tasks is not None
        self._succeeded[slot] |= won and self._tasks.reached is None

    def _keep(self, slot: int, seen: Observation) -> None:
        for name, value in seen.items():
            self._last[name][slot] = value

    def _observation(self) -> Observation:
        return {name: value.copy() for name, value in self._last.items()}


def reset_options(tasks: TaskBatch, slot: int, spec: WorldSpec) -> dict[str, Any] | None:
    """What an environment of ours is reset with to begin a given episode; None for all others."""
    if tasks.episodes is None or not spec.id.startswith(OURS):
        return None
    ends = {name: tuple(getattr(tasks.episodes, name)[slot, :3].tolist()) for name in ("start", "goal")}
    return {"plan_seed": int(tasks.episodes.plan_seed[slot]), **ends}


def check_episode(env: Any, episodes: EpisodeBatch, slot: int, spec: WorldSpec) -> None:
    """ValueError unless an environment that was just reset begins the given episode."""
    state = state_of(env)
    begun = is_minigrid(env) and np.array_equal(state["agent"], episodes.start[slot, :3])
    if not begun or not np.array_equal(close_doors(state["grid"]), episodes.grid[slot]):
        raise ValueError(
            f"{spec.id} itself does not begin episode {slot} (floor plan {episodes.plan_seed[slot]}) when it is reset"
            " to it; play it in the batched twin"
        )


def said_success(info: Mapping[str, Any]) -> bool | None:
    """What an environment says about success in its info, or None where it says nothing."""
    for name in ("success", "is_success"):
        if name in info:
            return bool(np.all(info[name]))
    return None


def check_prefixes(tasks: TaskBatch, actions: Actions) -> None:
    """ValueError unless the prefixes of tasks are actions and as many as they say."""
    shape, length = tasks.prefix.shape, tasks.prefix_length
    ends = (actions.count,) if actions.continuous else ()
    fits = len(shape) > 1 and shape[0] == len(tasks) and (shape[2:] == ends or shape[1:] == (0,))
    if not fits or length.shape != (len(tasks),) or not 0 <= length.min() <= length.max() <= shape[1]:
        raise ValueError(
            f"prefixes have shape {shape} and lengths {length.tolist()}; give (E, T) integers, or (E, T, A) numbers,"
            f" and lengths up to T"
        )

"""Goals: what a world shows as its own, or what was seen some steps later in a held-out trajectory.

When is a goal from a trajectory reached? This module alone says so (`success_rule`):

- ``same``: everything that is seen equals the goal exactly. The default for symbols, and for images of worlds with
  discrete actions.
- ``distance:X``: the root mean square of the differences of all numbers of the vectors (where there are none, of the
  images), each in units of its spread over the training data, is at most X. The default, with X = 0.1, for the rest.
  Numbers that never vary in training are left out.
- ``world``: the environment's own success, whatever the goal. The default for the field's tasks, which judge any goal
  by their published rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from tasks.field.registry import FIELD_TASKS, is_field, layout_groups
from tasks.floorplans import split_seeds
from tasks.randomness import keyed_generator, spread
from tasks.worlds import Observation, TaskBatch, World, WorldSpec

NEAR = 0.1
"""Distance at which a goal counts as reached, unless said otherwise."""


@dataclass(frozen=True, eq=False)
class Reached:
    """Whether observations are at their goals.

    Attributes:
        limit: distance that still counts; None: they must be the same.
        scale: by name, what the numbers of an entry are divided by, 0 for those that are left out; entries that are not
            named do not count. Empty where they must be the same.
    """

    limit: float | None
    scale: Mapping[str, np.ndarray]

    def __call__(self, observation: Observation, goal: Observation) -> np.ndarray:
        """(E,) bool for observations and goals (E, ...) by name."""
        if self.limit is None:
            same = [_rows(observation[name] == goal[name]).all(1) for name in goal]
            return np.logical_and.reduce(same)
        return self.distance(observation, goal) <= self.limit

    def distance(self, observation: Observation, goal: Observation) -> np.ndarray:
        """(E,) float64, root mean square of the differences in units of the scale; nan where they must be the same."""
        total, count = np.zeros(len(next(iter(goal.values())))), 0
        for name, scale in self.scale.items():
            used = scale > 0
            apart = observation[name].astype(np.float64) - goal[name].astype(np.float64)
            total += np.square(apart[:, used] / scale[used]).sum(-1)
            count += int(used.sum())
        return np.sqrt(total / count) if count else np.full(len(total), np.nan)


def _rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


def spread_of(observations: Observation) -> dict[str, np.ndarray]:
    """Standard deviation of every number of observations (R, ...) by name, float64, over the R rows."""
    return {name: np.std(value, axis=0, dtype=np.float64) for name, value in observations.items()}


def success_rule(
    spec: WorldSpec, text: str | None = None, scale: Mapping[str, np.ndarray] | None = None
) -> Reached | None:
    """When a goal from a trajectory is reached; see the module.

    Args:
        spec: world.
        text: ``same``, ``distance:X``, ``world``, or None for the world's default.
        scale: `spread_of` the training data, needed for distances.

    Returns:
        The rule; None: success is the world's own.

    Raises:
        ValueError: an unknown rule, or a distance that cannot be measured.
    """
    kinds = {sense.kind for sense in spec.senses.values()}
    if text is None and is_field(spec.id):
        return None
    if text is None:
        same = "vector" not in kinds and ("image" not in kinds or not spec.actions.continuous)
        text = "same" if same else f"distance:{NEAR}"
    if text == "world":
        return None
    if text == "same":
        return Reached(None, {})
    word, _, number = text.partition(":")
    limit = _positive(number) if word == "distance" else None
    if limit is None:
        raise ValueError(f"success is {text!r}; choose same, world, or distance:X with a number X above 0")
    measured = "vector" if "vector" in kinds else "image"
    names = [name for name, sense in spec.senses.items() if sense.kind == measured]
    if not names:
        raise ValueError(f"success {text} of {spec.id}, which shows symbols only; choose same or world")
    if scale is None or any(name not in scale or not (scale[name] > 0).any() for name in names):
        raise ValueError(
            f"success {text} of {spec.id} needs the spread of {', '.join(names)} over training data; give data in"
            " which they vary"
        )
    return Reached(limit, {name: scale[name] for name in names})


def _positive(number: str) -> float | None:
    try:
        value = float(number or NEAR)
    except ValueError:
        return None
    return value if 0 < value < np.inf else None


def read_goals(text: str) -> int:
    """How many steps later goals are seen, of ``offset:K``; 0 for ``world``.

    Raises:
        ValueError: anything else.
    """
    word, _, number = text.partition(":")
    if text == "world":
        return 0
    if word == "offset" and number.isdecimal() and int(number) > 0:
        return int(number)
    raise ValueError(f"goals are {text!r}; choose world, or offset:K with K steps, 1 or more")


def world_tasks(world: World, split: str = "test", *, episodes: int, seed: int = 0) -> TaskBatch:
    """Tasks with the goals that a world shows itself; task i is a function of (world, split, seed, i) alone.

    Worlds with a batched twin have their own held-out tasks, `tasks.split_tasks`. Of all others a task is a seed of the
    split's range, and each seed a group.

    Args:
        world: is reset to the tasks.
        split: ``train``, ``validation`` or ``test``.
        episodes: how many.
        seed: of the evaluation.

    Raises:
        ValueError: fewer than one episode, an unknown split, or a world that shows no goal.
    """
    from tasks.twin_worlds import TwinWorld, split_tasks

    spec = world.spec
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; ask for at least 1")
    if isinstance(world, TwinWorld):
        return split_tasks(spec.id, split, spec.arguments.get("tasks"), episodes=episodes, seed=seed)
    seeds = split_seeds(split)
    drawn = spread(episodes, seeds.start, seeds.stop, "world tasks", spec.id, split, int(seed))
    tasks = plain_tasks(drawn)
    if is_field(spec.id) and not FIELD_TASKS[spec.id].finite:
        tasks = replace(tasks, group=layout_groups(spec, drawn))
    world.reset(tasks)
    if world.goal() is None:
        raise ValueError(
            f"{spec.id} shows no goal of its own; choose goals offset:K of held-out trajectories"
        )
    return tasks


def plain_tasks(seeds: np.ndarray) -> TaskBatch:
    """Tasks that begin where resets with the seeds (E,) begin, with the world's own goals and success."""
    seeds = np.asarray(seeds, dtype=np.int64)
    count = len(seeds)
    return TaskBatch(
        seed=seeds,
        prefix=np.zeros((count, 0), dtype=np.int64),
        prefix_length=np.zeros(count, dtype=np.int64),
        goal=None,
        goal_state=None,
        group=seeds,
        oracle_steps=np.full(count, np.nan),
    )


@dataclass(frozen=True, eq=False)
class Recorded:
    """Held-out trajectories of N episodes, one after another in R rows.

    Attributes:
        seeds: (N,) int64, what the world was reset with.
        lengths: (N,) int64, observations of each episode, the reset's among them; they add up to R.
        observations: by name (R, ...); what was seen before the action of the same row.
        actions: (R,) integers or (R, A) numbers; the last one of an episode is never used.
        group: (N,) int64, episodes that share a layout; None: each its seed.

    Raises:
        ValueError: rows or episodes that do not fit together.
    """

    seeds: np.ndarray
    lengths: np.ndarray
    observations: Observation
    actions: np.ndarray
    group: np.ndarray | None = None

    def __post_init__(self) -> None:
        rows = int(np.sum(self.lengths))
        held = {
            "actions": len(self.actions),
            **{name: len(value) for name, value in self.observations.items()},
        }
        for name, count in held.items():
            if count != rows:
                raise ValueError(
                    f"{name} of trajectories has {count} rows; the episodes' lengths add up to {rows}"
                )
        episodes = {len(self.seeds), len(self.lengths), len(self.seeds if self.group is None else self.group)}
        if len(episodes) != 1:
            raise ValueError(
                f"seeds, lengths and groups of trajectories are {sorted(episodes)}; give one an episode"
            )


def trajectory_tasks(
    recorded: Recorded,
    offset: int,
    reached: Reached | None,
    *key: str | int,
    episodes: int,
    latest: int | None = None,
) -> TaskBatch:
    """Tasks whose start is a moment of a held-out trajectory and whose goal is what was seen ``offset`` steps later.

    No two have the same start; every trajectory gives one task before any gives a second. Task i is a function of the
    trajectories, the offset, the rule and the key alone, whatever the number of tasks. ``oracle_steps`` is the offset,
    an upper bound of the shortest path.

    Args:
        recorded: held-out trajectories.
        offset: steps from start to goal.
        reached: when the goal is reached; pairs that are at it from the start are passed over.
        *key: strings and integers that the draws are keyed by.
        episodes: how many tasks.
        latest: the last step of an episode that may be a start; None: any.

    Raises:
        ValueError: an offset or a number below 1, or trajectories that are too short or too few.
    """
    if offset < 1 or episodes < 1:
        raise ValueError(f"offset {offset} and episodes {episodes}; both are 1 or more")
    starts = np.clip(recorded.lengths - offset, 0, None if latest is None else latest + 1)
    if not starts.any():
        raise ValueError(
            f"goals {offset} steps later: the longest of {len(starts)} held-out trajectories has"
            f" {int(max(recorded.lengths, default=1)) - 1} steps; collect longer ones, or choose a smaller offset"
        )
    first = np.cumsum(recorded.lengths) - recorded.lengths
    chosen: list[tuple[int, int]] = []
    for episode, time in _moments(starts, key):
        row = int(first[episode] + time)
        if reached is None or not _at(recorded.observations, reached, row, row + offset):
            chosen.append((episode, time))
        if len(chosen) == episodes:
            break
    else:
        raise ValueError(
            f"{episodes} tasks with goals {offset} steps later: {len(starts)} held-out trajectories have"
            f" {len(chosen)} that do not start at their goals; collect more or longer ones, or ask for fewer"
        )
    return _drawn(recorded, np.array(chosen), first, offset, reached)


def _moments(starts: np.ndarray, key: tuple[str | int, ...]) -> Iterator[tuple[int, int]]:
    """Pairs of episode and step, each once, round by round through the episodes in a keyed order."""
    order = keyed_generator("trajectory tasks", *key).permutation(np.flatnonzero(starts)).tolist()
    times = {
        episode: keyed_generator("trajectory tasks", *key, episode).permutation(int(starts[episode])).tolist()
        for episode in order
    }
    for turn in range(int(starts.max())):
        for episode in order:
            if turn < len(times[episode]):
                yield episode, times[episode][turn]


def _at(observations: Observation, reached: Reached, row: int, goal: int) -> bool:
    one, other = (
        {name: np.asarray(value[i : i + 1]) for name, value in observations.items()} for i in (row, goal)
    )
    return bool(reached(one, other)[0])


def _drawn(
    recorded: Recorded, chosen: np.ndarray, first: np.ndarray, offset: int, reached: Reached | None
) -> TaskBatch:
    episode, time = chosen.T
    count, longest = len(chosen), int(time.max())
    prefix = np.zeros((count, longest, *recorded.actions.shape[1:]), dtype=recorded.actions.dtype)
    for slot, begin in enumerate(first[episode].tolist()):
        prefix[slot, : time[slot]] = recorded.actions[begin : begin + time[slot]]
    begins = first[episode] + time
    group = recorded.seeds if recorded.group is None else recorded.group
    return TaskBatch(
        seed=np.asarray(recorded.seeds, dtype=np.int64)[episode],
        prefix=prefix,
        prefix_length=time.astype(np.int64),
        goal={name: np.asarray(value[begins + offset]) for name, value in recorded.observations.items()},
        goal_state=None,
        group=np.asarray(group, dtype=np.int64)[episode],
        oracle_steps=np.full(count, float(offset)),
        reached=reached,
        start={name: np.asarray(value[begins]) for name, value in recorded.observations.items()},
        way=recorded.actions[begins[:, None] + np.arange(offset)],
    )

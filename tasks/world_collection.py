"""Collecting what a world shows into an observation store.

Episodes are made in blocks that are each a function of their number and the arguments, so a collection that was killed
goes on at the first unfinished block and ends in the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tasks.field.registry import is_field, layout_groups
from tasks.floorplans import split_seeds
from tasks.goals import plain_tasks
from tasks.policies import Policy
from tasks.randomness import keyed_generator, spread
from tasks.specs import OURS
from tasks.store import ObservationStore
from tasks.store_contents import EpisodeRows, StoreContents
from tasks.store_layout import action_dtype
from tasks.store_writer import write_store
from tasks.worlds import Observation, World, WorldSpec

BLOCK_EPISODES, BLOCK_BYTES = 64, 64 << 20
"""Episodes made side by side are at most so many, and their observations so large; part of what a collection is a
function of."""

DRAWN = 512
"""Floor plans that are looked at in one go."""


def collect_world(
    world: World,
    out: str | os.PathLike[str],
    policy: str = "random",
    *,
    episodes: int,
    length: int | None = None,
    seed: int = 0,
    split: str = "train",
    layouts: int | None = None,
    linger: int = 0,
    described: WorldSpec | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ObservationStore:
    """Collect episodes, or open them when they were collected before.

    Episodes begin where resets begin and end where the world ends them, or after ``length`` observations. A group is
    what one seed resets to; of worlds with a batched twin it is a floor plan.

    Args:
        world: is reset to one block of episodes after the other; it stays open.
        out: folder of the store; may be a link, or an empty folder. A complete store with the same arguments is opened
            and returned.
        policy: ``random``, ``persistent``, ``explorer`` or ``module:function``, see `tasks.policies.Policy`. The same
            arguments give the same bytes if a function remembers nothing from one call to the next.
        episodes: how many.
        length: most observations per episode, so at most length - 1 transitions; None: the world's step budget and the
            first.
        seed: key of everything drawn.
        split: ``train``, ``validation`` or ``test``, whose range of seeds the world is reset with.
        layouts: different seeds, each for as many episodes; None: one for every episode.
        linger: rows that are kept of an episode after the world has ended it: it stays as it is, whatever is done. What
            cannot be left, such as lava, is learned from them.
        described: what the store says that it is of, where data are longer than episodes of the task; None: the world.
        progress: called with (finished, all) episodes at the start and after every block.

    Raises:
        ValueError: arguments that cannot work, a policy that fails or acts outside of what can be done.
        StoreError: see `tasks.store_writer.write_store`.
    """
    spec = world.spec
    length = spec.step_budget + 1 if length is None else length
    layouts = episodes if layouts is None else layouts
    given = {"episodes": (episodes, 1), "length": (length, 2), "layouts": (layouts, 1), "linger": (linger, 0)}
    for name, (value, least) in given.items():
        if value < least:
            raise ValueError(f"{name} is {value}; at least {least} is needed")
    if episodes % layouts:
        raise ValueError(f"episodes {episodes} is not a multiple of layouts {layouts}; change one of them")
    acting = Policy(policy, world)
    arguments: dict[str, Any] = {
        "policy": policy,
        "episodes": int(episodes),
        "length": int(length),
        "layouts": int(layouts),
        "split": split,
        "seed": int(seed),
        **({"linger": int(linger)} if linger else {}),
    }
    _check_split(spec, split, layouts)
    plan = _Plan(
        world,
        acting,
        split,
        layouts,
        episodes,
        length,
        linger,
        seed,
        progress or (lambda finished, total: None),
    )
    return write_store(
        out,
        _contents(described or spec, arguments),
        plan.blocks,
        rows=episodes * length,
        state_bytes=plan.state_bytes(),
    )


def _contents(spec: WorldSpec, arguments: dict[str, Any]) -> StoreContents:
    made: dict[str, Any] = {
        "world": spec.id,
        "observe": spec.observe,
        "make": spec.arguments,
        "step_budget": spec.step_budget,
    }
    return StoreContents(
        senses=spec.senses,
        actions=spec.actions,
        arguments=made | arguments,
        **made,
        **{name: arguments[name] for name in ("split", "seed", "policy")},
    )


def reset_seeds(
    spec: WorldSpec, split: str, seed: int, layouts: int, repeats: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Seeds and groups, (layouts * repeats,) int64 each, that a collection with these arguments uses.

    Raises:
        ValueError: an unknown split, or a world that draws from another one.
    """
    from tasks.suite import task_spec
    from tasks.twin_worlds import drawn_episodes, has_twin

    allowed = _check_split(spec, split, layouts)
    key = ("collect world", spec.id, split, int(seed))
    seeds = spread(layouts, allowed.start, allowed.stop, *key)
    group = layout_groups(spec, seeds) if is_field(spec.id) else seeds
    if draws_split(spec.id) and has_twin(spec.id):  # of all others a seed is a layout
        task, part = task_spec(spec.id), range(0, layouts, DRAWN)
        drawn = [drawn_episodes(task, seeds[i : i + DRAWN], spec.arguments).plan_seed for i in part]
        group = np.concatenate(drawn).astype(np.int64)
    order = np.argsort(group, kind="stable")
    # Groups in the order in which their first seeds were drawn, so that a larger collection begins like a smaller one.
    first = {int(group[i]): int(i) for i in order[::-1]}
    order = np.array(sorted(range(layouts), key=lambda i: (first[int(group[i])], i)))
    return np.repeat(seeds[order], repeats), np.repeat(group[order], repeats)


def _check_split(spec: WorldSpec, split: str, layouts: int) -> range:
    """The seeds of a split; ValueError where a world draws from another one, or for more layouts than seeds."""
    own = spec.arguments.get("split", "train")
    if draws_split(spec.id) and own != split:
        raise ValueError(
            f"{spec.id} draws its floor plans from split {own}, not {split}; make the world with split={split!r}"
        )
    allowed = split_seeds(split)
    if layouts > len(allowed):
        raise ValueError(f"layouts is {layouts}, but split {split} has {len(allowed)} seeds; ask for fewer")
    return allowed


def draws_split(env_id: str) -> bool:
    """Whether a world is one of ours that an argument ``split`` tells where its floor plans come from."""
    return env_id.startswith(OURS)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Everything that blocks are a function of."""

    world: World
    policy: Policy
    split: str
    layouts: int
    episodes: int
    length: int
    linger: int
    seed: int
    progress: Callable[[int, int], None]

    def blocks(self, done: int) -> Iterator[EpisodeRows]:
        """All blocks from number ``done`` on."""
        spec, total = self.world.spec, self.episodes
        size = block_episodes(spec, self.length)
        # Only now, when the disk is known to hold them all.
        seeds, group = reset_seeds(spec, self.split, self.seed, self.layouts, total // self.layouts)
        self.progress(min(done * size, total), total)
        for block in range(done, -(-total // size)):
            part = slice(block * size, min((block + 1) * size, total))
            rng = keyed_generator("collect world", spec.id, self.policy.name, int(self.seed), block)
            yield play(self.world, self.policy, seeds[part], group[part], self.length, rng, self.linger)
            self.progress(part.stop, total)

    def state_bytes(self) -> int:
        """Bytes of what the simulator knows at one moment; begins an episode to see it."""
        self.world.reset(plain_tasks(reset_seeds(self.world.spec, self.split, self.seed, 1)[0]))
        return sum(array[0].nbytes for array in self.world.state().values())


def block_episodes(spec: WorldSpec, length: int) -> int:
    """Episodes of a block."""
    row = StoreContents(spec.id, spec.senses, spec.actions, spec.step_budget, {}).row_bytes()
    return int(np.clip(BLOCK_BYTES // (row * length), 1, BLOCK_EPISODES))


def play(
    world: World,
    policy: Policy,
    seeds: np.ndarray,
    group: np.ndarray,
    length: int,
    rng: np.random.Generator,
    linger: int = 0,
) -> EpisodeRows:
    """Play one episode for each of the seeds (E,), ``length`` observations at most.

    Of those that the world ends, ``linger`` more rows are kept, in which they stay as they are.
    """
    count = len(seeds)
    seen = world.reset(replace(plain_tasks(seeds), group=group))
    act = policy.begin(count, rng)
    dtype = action_dtype(world.spec.actions)
    shape = (world.spec.actions.count,) if world.spec.actions.continuous else ()
    action = np.zeros((count, length, *shape), dtype=dtype)
    rows = {
        f"{kind}/{name}": np.zeros((count, length, *array.shape[1:]), array.dtype)
        for kind, arrays in (("observation", seen), ("state", world.state()))
        for name, array in arrays.items()
    }
    lengths = np.ones(count, dtype=np.int64)
    terminated, truncated = np.zeros((2, count), dtype=bool)
    left = np.full(count, linger)
    _keep(rows, 0, seen, world.state())
    for time in range(1, length):
        running = ~(terminated | truncated)
        if not (running | (terminated & (left > 0))).any():
            break
        chosen = act(seen)
        action[:, time - 1] = chosen
        step = world.step(chosen)
        seen = step.observation
        _keep(rows, time, seen, world.state())
        stays = terminated & (left > 0)
        left -= stays
        lengths += running | stays
        terminated |= running & step.terminated
        truncated |= running & step.truncated
    kept = np.arange(length) < lengths[:, None]
    flat = {name: array[kept] for name, array in rows.items()}
    named: dict[str, dict[str, Any]] = {"observation": {}, "state": {}}
    for name, array in flat.items():
        kind, _, own = name.partition("/")
        named[kind][own] = array
    return EpisodeRows(
        observation=named["observation"],
        action=action[kept],
        lengths=lengths,
        group=group,
        seed=np.asarray(seeds, dtype=np.int64),
        terminated=terminated,
        truncated=truncated,
        state=named["state"],
    )


def _keep(rows: dict[str, np.ndarray], time: int, seen: Observation, state: dict[str, np.ndarray]) -> None:
    for kind, arrays in (("observation", seen), ("state", state)):
        for name, array in arrays.items():
            rows[f"{kind}/{name}"][:, time] = array

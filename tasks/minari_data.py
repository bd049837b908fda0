"""Minari: importing its local datasets into observation stores, and exporting stores to it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tasks.flat_rows import BLOCK_BYTES, reported, seen_rows, sense_of
from tasks.store import ObservationStore
from tasks.store_contents import EpisodeRows, StoreContents
from tasks.store_files import StoreError
from tasks.store_layout import action_dtype
from tasks.store_writer import single_blocks, write_store
from tasks.worlds import Actions, Sense


def import_minari(
    name: str, out: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
) -> ObservationStore:
    """Import a Minari dataset that lies on this machine.

    Entries of dictionaries become senses, nested ones named with points between. An episode of T actions has T + 1
    observations, so nothing is dropped. Infos with as many rows become state. Episodes of one known seed are a group;
    those without are all of one.

    Args:
        name: id of the dataset, as ``D4RL/door/human-v2``.
        out: folder of the store.
        progress: called with (finished, all) episodes.

    Raises:
        StoreError: Minari is not installed, there is no such dataset, or observations or actions that cannot be kept;
            see also `tasks.store_writer.write_store`.
    """
    minari, source = _minari(), f"minari:{name}"
    try:
        data = minari.load_dataset(name)
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{source} is not on this machine ({error}); minari download {name}") from None
    if not data.total_episodes:
        raise StoreError(f"{source} has no episodes; import another one")
    ids = [int(i) for i in data.episode_indices]
    actions = _actions_of(data.action_space, source)
    first = next(iter(data.iterate_episodes([ids[0]])))
    senses = {
        own: sense_of(own, rows.shape, rows.dtype, source)
        for own, rows in sorted(_leaves(first.observations, source).items())
    }
    seeds = np.array(
        [
            -1 if one.get("seed") is None else int(one["seed"])
            for one in data.storage.get_episode_metadata(ids)
        ]
    )
    order = np.argsort(seeds, kind="stable")
    seeds = seeds[order].astype(np.int64)
    kept = sorted(_infos(first))

    def episodes() -> Iterator[EpisodeRows]:
        for index, seed in zip(order.tolist(), seeds.tolist()):
            episode = next(iter(data.iterate_episodes([ids[index]])))
            yield _rows_of(episode, seed, senses, actions, kept, data.action_space, source)

    rows = int(data.total_steps) + len(ids)
    blocks = reported(_gathered(episodes()), len(ids), progress)
    return write_store(out, _contents(data, senses, actions, source), single_blocks(blocks), rows)


def _contents(
    data: Any, senses: dict[str, tuple[Sense, bool]], actions: Actions, source: str
) -> StoreContents:
    spec = data.env_spec
    steps = {"episodes": int(data.total_episodes), "steps": int(data.total_steps)}
    return StoreContents(
        world=getattr(spec, "id", None) or source,
        senses={own: sense for own, (sense, _) in senses.items()},
        actions=actions,
        step_budget=getattr(spec, "max_episode_steps", None) or 0,
        arguments={"from": source, "sha256": _hash(data), **steps},
        policy="imported",
    )


def to_minari(store: ObservationStore, name: str, **about: Any) -> Any:
    """Export a store as a Minari dataset on this machine.

    Rewards are 0, which a store does not have, and infos hold its state. An episode that neither the world nor its time
    ended is truncated in Minari.

    Args:
        store: or some of its episodes.
        name: id of the dataset, as ``mine/pendulum-v0``.
        **about: ``author``, ``description``, ... of ``minari.create_dataset_from_buffers``.

    Returns:
        The ``minari.MinariDataset``.

    Raises:
        StoreError: Minari is not installed, or takes no such dataset, as when there is one of this name already.
    """
    minari = _minari()
    from gymnasium import spaces

    entries = {own: _space(sense, spaces) for own, sense in store.senses.items()}
    actions = store.actions
    space: Any = spaces.Discrete(actions.count)
    if actions.continuous:
        space = spaces.Box(np.array(actions.low, np.float32), np.array(actions.high, np.float32))
    about = {"description": f"observations of {store.meta['world']}"} | about
    data, held, buffers = None, 0, []
    try:
        for episode in range(store.episodes):
            buffers.append(_buffer(store, episode, minari))
            held += int(store.lengths[episode]) * sum(
                int(np.prod(sense.shape)) for sense in store.senses.values()
            )
            if held < BLOCK_BYTES and episode < store.episodes - 1:
                continue
            if data is None:
                data = minari.create_dataset_from_buffers(
                    name,
                    buffers,
                    observation_space=spaces.Dict(entries),
                    action_space=space,
                    jpeg_encoding=False,  # which would change what was seen
                    **about,
                )
            else:
                data.update_dataset_from_buffer(buffers)
            held, buffers = 0, []
    except (ValueError, OSError) as error:
        raise StoreError(f"minari:{name} cannot be written ({error}); choose another name") from error
    return data


def _minari() -> Any:
    try:
        import minari
        import minari.data_collector
    except ImportError:
        raise StoreError("Minari datasets need minari; pip install 'hjepa[minari]'") from None
    return minari


def _leaves(observations: Any, source: str, name: str = "") -> dict[str, np.ndarray]:
    if isinstance(observations, dict):
        found: dict[str, np.ndarray] = {}
        for key, value in observations.items():
            found |= _leaves(value, source, f"{name}.{key}" if name else str(key))
        return found
    if not isinstance(observations, np.ndarray):
        raise StoreError(
            f"{source}: observations hold {type(observations).__name__}; arrays and dictionaries are read"
        )
    kind = "image" if observations.dtype == np.uint8 and observations.ndim > 2 else "vector"
    return {name or kind: observations}


def _actions_of(space: Any, source: str) -> Actions:
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete):
        return Actions(int(space.n))
    bounded = isinstance(space, spaces.Box) and len(space.shape) == 1
    if not bounded or not np.isfinite([space.low, space.high]).all() or not (space.low < space.high).all():
        raise StoreError(
            f"{source}: actions are of {space}; Discrete, or a Box with one axis and finite bounds, is read"
        )
    low, high = space.low.astype(float).tolist(), space.high.astype(float).tolist()
    return Actions(len(low), tuple(low), tuple(high))


def _infos(episode: Any) -> dict[str, np.ndarray]:
    """Infos with a number, or a row of numbers, for every observation."""
    found = {}
    for name, value in (episode.infos or {}).items():
        array = value if isinstance(value, np.ndarray) else np.zeros(0)
        if len(array) == len(episode.rewards) + 1 and array.dtype.kind in "biuf" and array.ndim <= 4:
            found[str(name)] = array
    return found


def _rows_of(
    episode: Any,
    seed: int,
    senses: dict[str, tuple[Sense, bool]],
    actions: Actions,
    kept: list[str],
    space: Any,
    source: str,
) -> EpisodeRows:
    """One episode; the rows of its actions are one short of its observations and get one that is not used."""
    seen = _leaves(episode.observations, source)
    infos = _infos(episode)
    count = len(episode.rewards) + 1
    if (
        set(seen) != set(senses)
        or any(len(rows) != count for rows in seen.values())
        or not set(kept) <= set(infos)
    ):
        raise StoreError(
            f"{source}: episode {episode.id} has {sorted(seen)} and infos {sorted(infos)} for {count - 1} steps,"
            f" the first had {sorted(senses)} and {kept}; correct it"
        )
    acted = np.asarray(episode.actions) - (0 if actions.continuous else int(space.start))
    shape = (count - 1, actions.count) if actions.continuous else (count - 1,)
    acted = acted.reshape(shape).astype(action_dtype(actions) if actions.continuous else np.int64)
    return EpisodeRows(
        observation={name: seen_rows(seen[name], *senses[name]) for name in senses},
        action=np.concatenate([acted, np.zeros_like(acted, shape=(1, *acted.shape[1:]))]),
        lengths=np.array([count]),
        group=np.array([seed]),
        seed=np.array([seed]),
        terminated=np.array([bool(episode.terminations[-1])]) if count > 1 else np.zeros(1, dtype=bool),
        truncated=np.array([bool(episode.truncations[-1])]) if count > 1 else np.zeros(1, dtype=bool),
        state={name: infos[name] for name in kept},
    )


def _gathered(episodes: Iterator[EpisodeRows]) -> Iterator[EpisodeRows]:
    """Blocks of several episodes."""
    held: list[EpisodeRows] = []
    size = 0
    for episode in episodes:
        held.append(episode)
        size += sum(rows.nbytes for rows in episode.observation.values())
        if size >= BLOCK_BYTES:
            yield _joined(held)
            held, size = [], 0
    if held:
        yield _joined(held)


def _joined(held: list[EpisodeRows]) -> EpisodeRows:
    joined: dict[str, Any] = {}
    for name, value in vars(held[0]).items():
        parts = [getattr(episode, name) for episode in held]
        if isinstance(value, dict):
            joined[name] = {own: np.concatenate([part[own] for part in parts]) for own in value}
        else:
            joined[name] = np.concatenate(parts)
    return EpisodeRows(**joined)


def _space(sense: Sense, spaces: Any) -> Any:
    if sense.kind == "vector":
        return spaces.Box(-np.inf, np.inf, sense.shape, np.float32)
    return spaces.Box(0, 255, sense.shape, np.uint8)


def _buffer(store: ObservationStore, episode: int, minari: Any) -> Any:
    first, count = int(store.start[episode]), int(store.lengths[episode])
    rows = slice(first, first + count)
    terminated, over = np.zeros((2, count - 1), dtype=bool)
    terminated[-1:] = store.terminated[episode]
    over[-1:] = store.truncated[episode] or not store.terminated[episode]
    seed = int(store.seed[episode])
    action = np.array(store.action[first : first + count - 1])
    return minari.data_collector.EpisodeBuffer(
        id=episode,
        seed=None if seed < 0 else seed,
        observations={name: np.array(array[rows]) for name, array in store.observation.items()},
        actions=action if store.actions.continuous else action.astype(np.int64),
        rewards=np.zeros(count - 1),
        terminations=terminated,
        truncations=over,
        infos={name: np.array(array[rows]) for name, array in store.state.items()},
    )


def _hash(data: Any) -> str:
    """Of the files of a dataset."""
    digest = hashlib.sha256()
    folder = str(data.storage.data_path)
    for above, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            digest.update(os.path.relpath(os.path.join(above, name), folder).encode())
            with open(os.path.join(above, name), "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()

"""Ablations: many cells, each run once, in a folder that a killed run finds again.

| in the folder | |
|---|---|
| `cells/<name>.json` | the record of a finished cell, with its specification under `spec`; never run again |
| `failed/<name>.json` | why a cell failed the last time; it is tried again by the next run |
| `attempts/<name>.json` | when, where and in which process it was started and ended, attempt by attempt |
| `logs/<name>.txt` | what it printed |
| `partial/<name>` | what an unfinished cell has planned so far |
| `train/<name>/` | run folder of a trained stack, shared by all cells that need these weights |
| `data/<name>/` | trajectory store, shared by all trainings that need these trajectories |
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hjepa.errors import InputError
from hjepa.evaluation.records import Record
from hjepa.json_files import read_json, write_json
from hjepa.locks import locked
from hjepa.places import output_folder
from hjepa.settings import ANY
from hjepa.sweeps.cell import Spec, cell_key, digest, plan_request, training_config, training_group
from hjepa.sweeps.engines.jobs import LOCK, Engine, Job, Outcome, RunCell, finished_cell, progress_path
from hjepa.sweeps.engines.local import LocalProcesses
from levels.settings import SEEING


@dataclass
class Result:
    """What an ablation left behind.

    Attributes:
        records: of the finished cells, in the order of the specifications.
        failed: name of a cell -> one line about its failure.
        skipped: how many cells earlier runs had finished.
    """

    records: list[Record] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: int = 0


def run_cell(spec: Spec, out: Path) -> Record:
    """Trains what the cell needs, unless another cell has, and plans; both continue after a kill.

    Args:
        spec: see `hjepa.sweeps.cell`.
        out: the ablation's folder.
    """
    from hjepa.sweeps.plan_cells import plan_command

    checkpoint = trained_stack(spec, out)
    progress = progress_path(out, cell_key(spec))
    progress.parent.mkdir(parents=True, exist_ok=True)
    (record,) = plan_command(plan_request(spec, str(checkpoint), progress))
    record.pop("overrides", None)  # they are in the specification, with those of training
    return {**record, "depth": spec["depth"], "train_seed": spec["train_seed"]}


def trained_stack(spec: Spec, out: Path) -> Path | str:
    """The run folder with the cell's weights, trained now if no cell has before, or the name of weights that are there.

    Workers that need the same weights wait for the one that trains them. When a training fails, the cells
    that wait for it fail with it instead of failing one after the other; the next ablation tries it again.

    Raises:
        InputError: the training has already failed in this ablation, or the weights are others by now.
    """
    if spec.get("weights"):
        return _kept_weights(**spec["weights"])
    from hjepa.training.fit import fit

    config = training_config(spec)
    key = digest(asdict(config))
    folder = out / "train" / key
    done, failed = folder.with_suffix(".json"), folder.with_suffix(".failed.json")
    with locked(folder.with_suffix(".lock")):
        if failed.exists():
            raise InputError(f"its training failed: {read_json(failed)['error']}", str(folder))
        if not done.exists():
            try:
                data = shared_store(config, out)
                fit(config, data, folder, device="auto", precision="32")
            except Exception as error:
                write_json(failed, {"error": f"{type(error).__name__}: {error}", "config": asdict(config)})
                raise
            write_json(done, {"config": asdict(config)})
    return folder


def _kept_weights(name: str, sha256: str) -> str:
    """The name of weights that are planned with as they are."""
    from hjepa.model.checkpoints import describe

    if describe(name)["sha256"] != sha256:
        raise InputError(
            "are others than when the ablation began", f"weights {name}", "begin in a new folder"
        )
    return name


def shared_store(config: Any, out: Path) -> Path:
    """The trajectory store a configuration needs, collected now if no training has before."""
    key = digest({"task": config.task, "collect": asdict(config.collect)})
    folder = out / "data" / key
    with locked(folder.with_suffix(".lock")):
        collect_store(config, folder)
    return folder


def collect_store(
    config: Any, folder: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None
) -> None:
    """Collects the trajectories of a configuration, or keeps a finished store that has the same arguments.

    Levels that see learn from what the environment shows, stepped itself, wherever somebody else's code is in it or no
    batched twin knows its rules.

    Args:
        config: a run configuration; its part ``collect`` holds the arguments of `tasks.collect`.
        folder: the trajectory store.
        progress: called with (done, total).

    Raises:
        InputError: the arguments cannot work.
        tasks.StoreError: the folder holds something else, or a store with other arguments.
    """
    import tasks

    if config.task == ANY:
        raise InputError("is for any task", "collect", "name one, as --set task=Pendulum-v1")
    try:
        if config.levels[0].sees in SEEING and not _twin_shows(config.task):
            _collect_shown(config, folder, progress)
        else:
            tasks.collect(config.task, folder, progress=progress, **asdict(config.collect))
    except tasks.StoreError:
        raise
    except ValueError as error:
        raise InputError(str(error), "collect") from error


def _twin_shows(task_id: str) -> bool:
    """Whether a batched twin knows what an environment does and shows."""
    from tasks.named import has_twin
    from tasks.suite import task_spec

    try:
        return not task_spec(task_id).view and has_twin(task_id)
    except ValueError:
        return False


def _collect_shown(
    config: Any, folder: str | os.PathLike[str], progress: Callable[[int, int], None] | None
) -> None:
    """Collects what an environment shows to level 1's encoder: each of so many seeds is reset to for a few episodes."""
    from tasks import collect_world, open_world, world_spec
    from tasks.field.registry import is_field

    wanted = config.collect
    if wanted.explorer not in ("persistent", "headlong", "curious", "explorer"):
        raise ValueError(
            f"explorer {wanted.explorer} of {config.task}: it knows the ways of a batched twin, and this environment is"
            " stepped itself; give --set collect.explorer=persistent, headlong or curious, or explorer where it has one"
        )
    spec = world_spec(config.task, config.levels[0].encoder)
    # Published data of the field's tasks are longer than the episodes of their evaluation.
    longer = max(spec.step_budget, wanted.length - 1) if is_field(spec.id) else spec.step_budget
    world = open_world(replace(spec, step_budget=longer))
    try:
        collect_world(
            world,
            folder,
            wanted.explorer,
            episodes=wanted.plans * wanted.episodes_per_plan,
            length=wanted.length,
            seed=wanted.seed,
            split=wanted.split,
            layouts=wanted.plans,
            described=spec,
            progress=progress,
        )
    finally:
        world.close()


def ablate(
    specs: Sequence[Spec],
    out: str | os.PathLike[str],
    engine: Engine | None = None,
    run_cell: RunCell = run_cell,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> Result:
    """Runs the cells that are not finished yet.

    Args:
        specs: complete specifications, as `hjepa.sweeps.grid.expand` gives them.
        out: the folder; made if it is not there.
        engine: where the cells run; by default two local processes with one thread each.
        run_cell: (specification, folder) -> record; importable, because workers import it.
        on_outcome: called in this process for each finished cell, first for those of earlier runs.

    Raises:
        InputError: another ablation works in the folder, or a cell's file is no record of that cell.
    """
    engine = engine or LocalProcesses()  # refused before anything is made, where it cannot work
    out = output_folder(out, renamed=False)  # absolute, for workers may stand in another folder
    on_outcome = on_outcome or (lambda outcome: None)
    wanted = {cell_key(spec): spec for spec in specs}
    found: dict[str, Record] = {}
    result = Result()
    with locked(out / LOCK, "another hjepa ablate works in this folder"):
        for stale in out.glob("train/*.failed.json"):
            stale.unlink()
        for key, spec in wanted.items():
            record = finished_cell(out, key, spec)
            if record is not None:
                found[key] = record
                on_outcome(Outcome(key, record))
        result.skipped = len(found)
        missing = [Job(key, spec, str(out), run_cell) for key, spec in wanted.items() if key not in found]
        for outcome in engine.run(spread(missing)):
            failure = out / "failed" / f"{outcome.key}.json"
            if outcome.record is None:
                result.failed[outcome.key] = outcome.error
                write_json(
                    failure,
                    {
                        "error": outcome.error,
                        "traceback": outcome.traceback,
                        "seconds": outcome.seconds,
                        "spec": wanted[outcome.key],
                    },
                )
            else:
                found[outcome.key] = outcome.record
                failure.unlink(missing_ok=True)
            on_outcome(outcome)
    result.records = [found[key] for key in wanted if key in found]
    return result


def spread(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, neighbours needing different weights where possible, so that workers do not wait for one."""
    groups: dict[Any, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[training_group(job.spec)].append(job)
    rounds = max(map(len, groups.values()), default=0)
    return [group[turn] for turn in range(rounds) for group in groups.values() if turn < len(group)]

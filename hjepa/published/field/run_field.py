"""Methods side by side on one task: trained and evaluated alike, goals offset by steps of held-out trajectories.

    python hjepa/published/field/run_field.py --task hjepa/TwoRoom-v0 --methods flat-lewm,dual-wm,ours-1,ours-2 \\
        --seeds 0,1,2 --out runs/field

Composes `hjepa collect`, `fit`, `distill` (of presets that clone) and `plan`, and knows nothing else about a method
than its preset. One training a method and training seed, where levels that methods have in common are trained once;
every evaluation seed draws tasks of its own, the same for all methods. Whatever is finished under --out is kept, and
the same command goes on: stores and runs by themselves, evaluations batch by batch. Lists are
``OUT/<task>/results/<method>-t<training seed>-offset<steps>.json``, records of `hjepa plan`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hjepa.config import load_preset
from hjepa.evaluation.plan_request import PlanRequest, remove_progress
from hjepa.evaluation.records import Record, read_records, write_json
from hjepa.evaluation.tables import table
from hjepa.settings import RunConfig
from hjepa.sweeps.plan_worlds import plan_in_world
from hjepa.sweeps.sweep import collect_store
from hjepa.training.actor_distillation import distill
from hjepa.training.fit import fit

METHODS = ("gcbc", "flat-lewm", "flat-pldm", "hwm", "dual-wm", "h-jepa-2", "h-jepa-3", "h-jepa-4",
           "ours-1", "ours-2", "ours-3", "ours-4")  # fmt: skip
OFFSETS = (25, 50, 100)
HELD_OUT = 1000
"""Held-out trajectories that tasks are drawn from: a tenth of what is trained on, as published."""


def configured(method: str, options: argparse.Namespace, seed: int) -> RunConfig:
    """A method's preset on a task, with one training seed."""
    changes = [f"task={options.task}", f"train.seed={seed}", *options.overrides]
    config = load_preset(method, changes)
    if options.steps is None:
        return config
    return load_preset(method, [*changes, f"train.steps={[options.steps] * len(config.levels)}"])


def stores(config: RunConfig, folder: Path) -> tuple[Path, Path]:
    """Where a configuration's trajectories are, and held-out ones; made where they are not.

    Methods whose presets ask for the same trajectories share them.
    """
    asked = config.collect
    name = f"{asked.explorer}-{asked.plans}x{asked.episodes_per_plan}x{asked.length}-s{asked.seed}"
    training, held_out = folder / "data" / name, folder / "data" / f"{name}-test"
    collect_store(config, training)
    episodes = min(HELD_OUT, max(asked.plans, 1))
    test = replace(asked, split="test", plans=episodes, episodes_per_plan=1, seed=asked.seed + 1)
    collect_store(replace(config, collect=test), held_out)
    return training, held_out


def in_common(config: RunConfig, other: RunConfig) -> int:
    """How many levels, from the first on, two methods train in the same way one after another.

    Levels that are trained together are not levels in common: what is above them has a say in their loss.
    """
    alike = replace(other.train, steps=config.train.steps) == config.train
    if config.train.schedule != "sequential" or not alike:
        return 0
    count = 0
    for mine, theirs in zip(zip(config.levels, config.train.steps), zip(other.levels, other.train.steps)):
        if mine != theirs:
            break
        count += 1
    return count


def trained(config: RunConfig, data: Path, run: Path, others: dict[Path, RunConfig]) -> None:
    """A run of it, beginning with the levels it has in common with another one; and its actors, where the preset
    follows them."""
    start = max(others, key=lambda other: in_common(config, others[other]), default=None)
    shared = 0 if start is None else in_common(config, others[start])
    steps = (*(0 for _ in range(shared)), *config.train.steps[shared:])
    asked = replace(config, train=replace(config.train, steps=steps))
    fit(asked, data, run, device="cpu", start=start if shared else None)
    if config.plan.planner == "clone" and not (run / "actors.safetensors").exists():
        distill(str(run), str(data), source="data", seed=config.train.seed)


def evaluated(run: Path, data: Path, offset: int, options: argparse.Namespace, file: Path) -> list[Record]:
    """Records of one run at one offset, with all its levels, as ``file`` holds them."""
    if file.exists():
        return read_records(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    request = PlanRequest(
        checkpoint=str(run), task=options.task, episodes=options.episodes, seed=options.seeds,
        budget_tflops=None if options.budget_tflops is None else (options.budget_tflops,),
        levels=None, progress=file.with_name(f"{file.name}.partial"),
    )  # fmt: skip
    records = plan_in_world(request, goals=f"offset:{offset}", data=str(data), note=print)
    write_json(file, records)
    assert request.progress is not None
    remove_progress(request.progress)
    return records


def results(options: argparse.Namespace) -> Iterator[tuple[str, list[Record]]]:
    """Of every method, training seed and offset: what it is called, and its records."""
    folder = options.out / options.task.rpartition("/")[2]
    known: dict[Path, RunConfig] = {}
    for method in options.methods:
        for seed in options.train_seeds:
            config = configured(method, options, seed)
            data, held_out = stores(config, folder)
            run = folder / "runs" / f"{method}-t{seed}"
            trained(config, data, run, known)
            known[run] = config
            for offset in () if options.train else options.offsets:
                name = f"{method}-t{seed}-offset{offset}"
                yield name, evaluated(run, held_out, offset, options, folder / "results" / f"{name}.json")


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    return tuple(int(part) for part in text.split(","))


def read_options(words: list[str] | None = None) -> argparse.Namespace:
    """The command line; exits where a method is not known."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--task", default="hjepa/TwoRoom-v0", help="default: hjepa/TwoRoom-v0")
    add("--methods", type=lambda text: text.split(","), default=list(METHODS), help="default: all")
    add("--seeds", type=numbers, default=(0, 1, 2), help="of evaluation tasks; default: 0,1,2")
    add("--train-seeds", type=numbers, default=(0,), help="default: 0")
    add("--offsets", type=numbers, default=OFFSETS, help="steps from start to goal; default: 25,50,100")
    add("--episodes", type=int, default=200, help="tasks of each seed; default: 200")
    add("--budget-tflops", type=float, help="per episode; default: as hjepa plan")
    add("--steps", type=int, help="of training of each level; default: as the preset says")
    add("--train", action="store_true", help="train alone: what is expected is written before the first task")
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="of every preset")
    add("--out", type=Path, required=True)
    options = parser.parse_args(words)
    unknown = [name for name in options.methods if name not in METHODS]
    if unknown:
        parser.error(f"method {unknown[0]!r}; choose from {', '.join(METHODS)}")
    return options


def main() -> None:
    options = read_options()
    for name, records in results(options):
        print(f"{name}\n{table(records)}", flush=True)


if __name__ == "__main__":
    main()

"""The same bits from the same arguments, for a stack that sees: whatever threads, workers, batches and hash seed.

`expected_seen.json` holds what a tiny training and its plans came to. Numbers are compared everywhere, losses within
`CLOSE` because kinds of processors round differently; hashes of all bits on the processors that the file knows, by the
name of the processor and the version of torch. `python tests/end_to_end/test_reproducible.py` adds this machine to it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hjepa
from hjepa.cli import main
from hjepa.config import with_plan
from hjepa.evaluation.records import without_timing
from hjepa.model.checkpoints import load_stack

TASK = "hjepa/NestedRooms-d2-v0"
EXPECTED = Path(__file__).with_name("expected_seen.json")
CLOSE = 2e-3

SETTINGS = {
    "train.steps": "[6,4]", "train.batch": "128", "train.plans": "4", "levels.0.rollout": "4",
    "levels.1.rollout": "2", "plan.horizon": "[4,2]", "plan.walks.steps": "8", "plan.walks.count": "8",
    "collect.length": "20", "train.metric_trajectories": "16", "levels.1.memory.wide": "0",
    "levels.0.channels": "8", "train.log_every": "2", "train.checkpoint_every": "5", "plan.max_candidates": "16",
}  # fmt: skip


def command(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def collected(folder: Path) -> Path:
    words = ("--observe", "symbols", "--policy", "persistent", "--episodes", 16, "--length", 22, "--seed", 0)
    command("collect", "--env", TASK, *words, "--layouts", 8, "--out", folder / "data")
    return folder / "data"


def fitted_and_planned(data: Path, out: Path, *more: object) -> None:
    """A run folder and the records of its plans."""
    changes = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    fit = ("--preset", "symbols", "--data", data, "--out", out / "run", "--device", "cpu")
    command("fit", *fit, *changes)
    plan = ("--task", TASK, "--levels", "1,2", "--episodes", 4, "--budget-tflops", 0.002, "--step-budget", 8)
    command("plan", "--checkpoint", out / "run", *plan, "--json", out / "o.json", "--device", "cpu", *more)


def hashes(out: Path) -> dict[str, str]:
    """Of all bits of the weights, and of the records without what was timed."""
    records = [without_timing(record) for record in json.loads((out / "o.json").read_text())]
    text = json.dumps(records, sort_keys=True).encode()
    weights = (out / "run" / "model.safetensors").read_bytes()
    return {"fit": hashlib.sha256(weights).hexdigest(), "plan": hashlib.sha256(text).hexdigest()}


def numbers(out: Path) -> dict[str, Any]:
    """Losses of the training, and steps and success of the plans."""
    with (out / "run" / "metrics.csv").open(newline="") as file:
        rows = [[row["step"], row["level"], float(row["loss"])] for row in csv.DictReader(file)]
    records = json.loads((out / "o.json").read_text())
    return {"losses": rows, "plans": [[one["levels"], one["steps"], one["success"]] for one in records]}


def machine() -> str:
    """What rounding depends on."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads belong to the arguments: what is known was made with one, whatever the tests are run with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collected(tmp_path_factory.mktemp("seen"))


@pytest.fixture(scope="module")
def here(data: Path) -> Path:
    """Made in this process, which has threads and a random state of its own; neither is noticed or changed."""
    out = data.with_name("here")
    out.mkdir()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(5)
    before = random_states()
    fitted_and_planned(data, out, "--workers", 1)
    assert random_states() == before, "the global random state is the caller's"
    torch.set_num_threads(threads)
    return out


def random_states() -> list[str]:
    states = (torch.get_rng_state().tolist(), np.random.get_state(), random.getstate())  # noqa: NPY002
    return [repr(state) for state in states]


OTHERWISE = {
    "hash seed and batch": ({"PYTHONHASHSEED": "7"}, ("--workers", 1, "--episode-batch", 2)),
    "hash seed and workers": ({"PYTHONHASHSEED": "123"}, ("--workers", 2)),
    "threads of other libraries": (
        {"MKL_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
        ("--episode-batch", 1),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERWISE)
def test_the_same_bits_in_a_process_of_another_kind(
    name: str, here: Path, data: Path, tmp_path: Path
) -> None:
    variables, more = OTHERWISE[name]
    words = [str(word) for word in (data, tmp_path, *more)]
    done = subprocess.run(
        [sys.executable, __file__, *words], env=os.environ | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert hashes(tmp_path) == hashes(here)


def test_what_is_known_of_it(here: Path) -> None:
    known = json.loads(EXPECTED.read_text())
    found = numbers(here)
    assert [row[:2] for row in found["losses"]] == [row[:2] for row in known["losses"]]
    assert [row[2] for row in found["losses"]] == pytest.approx(
        [row[2] for row in known["losses"]], rel=CLOSE
    )
    assert [one[0] for one in found["plans"]] == [one[0] for one in known["plans"]]
    if machine() in known["hashes"]:
        assert found["plans"] == known["plans"]
        assert hashes(here) == known["hashes"][machine()]


@pytest.mark.parametrize(("name", "levels"), [("told-nested-d4", 4), ("told-nested-d3", 3)])
def test_published_plans_are_made_again_step_for_step(name: str, levels: int) -> None:
    """Plans of many refinements, which another order of summing gradients is enough to change."""
    if machine() not in json.loads(EXPECTED.read_text())["hashes"]:
        pytest.skip("this processor may round otherwise")
    lists = json.loads((Path(hjepa.__file__).parent / "published" / name / "results.json").read_text())
    (known,) = [
        one for one in lists if (one["levels"], one["metric"], one["seed"]) == (levels, "imagined", 0)
    ]
    stack = load_stack(name)
    again = hjepa.evaluate(
        stack,
        known["task"],
        levels=levels,
        episodes=2,
        seed=0,
        budget_tflops=known["budget_tflops"],
        settings=with_plan(stack.config, ["plan.metric=imagined"]).plan,
    )
    assert (again["steps"], again["success"]) == (known["steps"][:2], known["success"][:2])


def test_truncating_and_loading_leave_the_random_state_alone(here: Path) -> None:
    before = random_states()
    stack = load_stack(here / "run")
    assert stack.truncate(1).depth == 1
    assert random_states() == before


@pytest.mark.slow
def test_importing_leaves_the_random_state_alone() -> None:
    script = (
        "import random, torch, numpy; random.seed(1); torch.manual_seed(1); numpy.random.seed(1);"
        "state = lambda: (random.getstate(), torch.get_rng_state().tolist(), repr(numpy.random.get_state()));"
        "before = state(); import hjepa, hjepa.training.fit, hjepa.evaluation.evaluate, hjepa.sweeps.sweep, tasks;"
        "assert state() == before"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def add_this_machine() -> None:
    """Write what the training and the plans come to here; the losses stay those of the first machine."""
    known = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "here"
        out.mkdir()
        fitted_and_planned(collected(Path(folder)), out, "--workers", 1)
        known = {**numbers(out), **known}
        known["hashes"] = {**known.get("hashes", {}), machine(): hashes(out)}
    EXPECTED.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fitted_and_planned(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    else:
        add_this_machine()

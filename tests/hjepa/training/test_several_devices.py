"""Several devices that train together learn what one with the whole batch does; here processes on the CPU."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from hjepa.cli import main
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.model.checkpoints import describe, load_stack
from hjepa.settings import RunConfig
from hjepa.training.devices import check_devices, own_callbacks
from hjepa.training.fit import fit
from hjepa.training.progress import RESUME
from tasks import collect

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch was built without torch.distributed"
)
TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")
SLOWLY = [
    f"{name}=1e-6" for name in ("train.learning_rate", "train.upper_learning_rate", "critic.learning_rate")
]
STEPS = 2
SEEN = ["train.batch=128", "train.plans=4", "collect.plans=20", "levels.0.rollout=4", "plan.horizon=[4,4,3]"]
CALLBACK = """
import os
import signal
import torch
from lightning.pytorch.callbacks import Callback

class Gradients(Callback):
    def on_before_optimizer_step(self, trainer, module, optimizer):
        if trainer.is_global_zero:
            found = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
            torch.save(found, f"{os.environ['GRADIENTS']}/{trainer.world_size}-{trainer.global_step}.pt")

class Stop(Callback):
    def on_train_batch_end(self, trainer, module, *others):
        if trainer.global_step == 5:
            raise RuntimeError("killed")

class Told(Callback):
    def on_train_batch_end(self, trainer, module, *others):
        if trainer.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        assert trainer.global_step < 2, "gone at once"

class Greedy(Callback):
    def __init__(self, needed):
        self.needed = needed

class Nothing:
    pass
"""


@pytest.fixture
def callbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's module with callbacks, and where gradients go."""
    (tmp_path / "watching_training.py").write_text(CALLBACK)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GRADIENTS", str(tmp_path))
    return tmp_path


def store(config: RunConfig, folder: Path) -> Path:
    """Trajectories for a configuration."""
    asked = config.collect
    collect(config.task, folder, asked.plans, asked.episodes_per_plan, asked.length, asked.seed)
    return folder


QUASIMETRIC = [*SEEN, "critic.kind=quasimetric", "critic.hidden=16", "plan.subgoals=distance"]
STEP_FIELD = [*SEEN, "critic.kind=step_field", "critic.hidden=16", "critic.begins=1", "critic.clip=4"]


@pytest.mark.parametrize(
    ("preset", "changes"),
    [(TINY, []), ("nested-d2", SEEN), ("nested-d2", QUASIMETRIC), ("nested-d2", STEP_FIELD)],
    ids=["told", "seen", "quasimetric", "step-field"],
)
def test_gradients_of_two_are_those_of_one(preset: str, changes: list[str], callbacks: Path) -> None:
    """Of every loss of every level and of the critics, with codes that are drawn and means of what was found."""
    each = f"train.steps=[{STEPS},{STEPS},{STEPS}]"
    config = load_preset(preset, [each, f"critic.steps={STEPS}", *SLOWLY, *changes])
    data = store(config, callbacks / "data")
    for count in (1, 2):
        fit(config, data, callbacks / f"run-{count}", device="cpu", progress=False, devices=count,
            callbacks=["watching_training:Gradients"])  # fmt: skip
    for step in range(4 * STEPS):
        one, two = (torch.load(callbacks / f"{count}-{step}.pt", weights_only=True) for count in (1, 2))
        assert one.keys() == two.keys()
        whole = [torch.cat([found[name].flatten() for name in one]) for found in (one, two)]
        assert whole[0].norm() > (0.03 if changes is QUASIMETRIC else 0.1)
        assert (whole[0] - whole[1]).norm() < 1e-5 * whole[0].norm(), step


def small(*changes: str) -> RunConfig:
    return load_preset(
        TINY,
        ["train.steps=[6,3,3]", "critic.steps=2", "train.log_every=2", "train.checkpoint_every=2", *changes],
    )


def learned(folder: Path, name: str, **how: Any) -> tuple[str, bytes]:
    """The hash of what is learned so, and the metrics on the way."""
    fit(small(), folder / "data", folder / name, device="cpu", progress=False, **how)
    return describe(folder / name)["sha256"], (folder / name / "metrics.csv").read_bytes()


def test_the_default_forks_and_one_device_that_is_forked_learns_what_one_learns(tmp_path: Path) -> None:
    store(small(), tmp_path / "data")
    forked = learned(tmp_path, "forked", devices=2, strategy="ddp")
    assert forked == learned(tmp_path, "auto", devices=2)
    alone = learned(tmp_path, "alone", strategy="ddp")
    assert alone == learned(tmp_path, "one") and alone != forked


@pytest.mark.slow
def test_processes_that_begin_anew_learn_the_same_bits(
    callbacks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """They have a user's callbacks, say no more than forked ones, and go on where the others stopped."""
    store(small(), callbacks / "data")
    forked = learned(callbacks, "forked", devices=2)
    own = ["watching_training:Gradients"]
    assert learned(callbacks, "spawned", devices=2, strategy="ddp_spawn", callbacks=own) == forked
    assert (callbacks / "2-0.pt").exists()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ProcessRaisedException, match="killed"):
        learned(callbacks, "run", devices=2, strategy="ddp_spawn", callbacks=["watching_training:Stop"])
    assert (callbacks / "run.partial" / RESUME).exists()
    assert learned(callbacks, "run", devices=2) == forked


@pytest.mark.parametrize("strategy", ["fsdp", "deepspeed_stage_2", "ddp_notebook", "model_parallel", ""])
def test_strategies_that_cannot_work_are_refused_in_one_line(
    strategy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["fit", "--preset", TINY, "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    assert main([*arguments, "--devices", "2", "--strategy", strategy]) == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith(
        f"strategy: {strategy!r} is none that trains a stack, which is whole on every device;"
        " choose auto, ddp or ddp_spawn"
    )
    assert "\n" not in said and not list(tmp_path.iterdir())


def test_another_number_of_devices_goes_on(callbacks: Path) -> None:
    """A run that stopped on one device ends on two with nearly the weights of one, and the whole table."""
    config = small()
    data = store(config, callbacks / "data")
    fit(config, data, callbacks / "whole", device="cpu", progress=False)
    with pytest.raises(RuntimeError, match="killed"):
        fit(
            config,
            data,
            callbacks / "run",
            device="cpu",
            progress=False,
            callbacks=["watching_training:Stop"],
        )
    assert (callbacks / "run.partial" / RESUME).exists()
    found = fit(config, data, callbacks / "run", device="cpu", progress=False, devices=2)
    assert not (callbacks / "run.partial").exists()
    tables = []
    for name in ("whole", "run"):
        with (callbacks / name / "metrics.csv").open(newline="") as stream:
            tables.append([(row["step"], row["level"]) for row in csv.DictReader(stream)])
    assert tables[0] == tables[1] and len(tables[0]) >= 6
    whole = load_stack(callbacks / "whole")
    for (name, one), other in zip(whole.levels.named_parameters(), found.levels.parameters()):
        assert torch.allclose(one, other, atol=5e-3), name


@pytest.mark.parametrize("strategy", ["ddp", pytest.param("ddp_spawn", marks=pytest.mark.slow)])
def test_what_one_process_finds_comes_back_as_a_line(strategy: str, tmp_path: Path) -> None:
    config = small("train.learning_rate=1000", "train.steps=[40,1,1]")
    data = store(config, tmp_path / "data")
    with pytest.raises(InputError, match="the loss is no number at step"):
        fit(config, data, tmp_path / "run", device="cpu", progress=False, devices=2, strategy=strategy)
    assert not (tmp_path / "run").exists()


def test_a_process_that_is_told_to_end_ends(callbacks: Path) -> None:
    """And does not wait for the others to have heard it, who may be waiting for it."""
    store(small(), callbacks / "data")
    with pytest.raises(ProcessExitedException, match="SIGTERM"):
        learned(callbacks, "run", devices=2, callbacks=["watching_training:Told"])
    assert learned(callbacks, "run", devices=2) == learned(callbacks, "whole", devices=2)


def test_what_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    config = small()
    with pytest.raises(
        InputError, match=r"train.plans 2 cannot be divided among 3 devices; give a multiple of 3"
    ):
        fit(config, tmp_path / "no data yet", tmp_path / "run", device="cpu", devices=3)
    with pytest.raises(InputError, match="0 devices; give 1 or more"):
        check_devices(0, "cpu", config)
    with pytest.raises(InputError, match=r"critic.plans 1 cannot be divided among 2 devices"):
        check_devices(2, "cpu", small("critic.plans=1"))
    with pytest.raises(InputError, match=r"2 devices, but latents are normalised over the batch of one"):
        check_devices(2, "cpu", load_preset("dual-wm", ["levels.0.normalize=true"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("watching_training:Greedy", "needed"),
        ("watching_training:Nothing", "has to be a subclass of lightning.pytorch.callbacks.Callback"),
        ("watching_training:Missing", "has no 'Missing'"),
        ("progress", "name your own as module:Name"),
    ],
)
def test_callbacks_that_are_none(name: str, said: str, callbacks: Path) -> None:
    with pytest.raises(InputError, match=said):
        own_callbacks([name])

"""Training by masked prediction, with Lightning, on clips rendered from a trajectory store.

A run works in ``OUT.partial`` and becomes ``OUT`` when it is complete; killed at any moment the same call continues
from its last checkpoint and, on CPU, ends in bit-identical weights. A finished run holds

masked.json                  settings, hash of the data, losses by step
encoder-STEP.safetensors     the slow copy of the encoder at every so many steps, 0 among them
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from hjepa.builder import build
from hjepa.devices import fix_threads, in_plain_modes
from hjepa.errors import InputError
from hjepa.evaluation.records import installed_versions
from hjepa.json_files import read_object, write_json
from hjepa.locks import locked_folder
from hjepa.places import is_empty, output_folder
from hjepa.settings import SEEDS, STEPS
from hjepa.training.clips import draw_clips
from hjepa.training.progress import RESUME, check_resume
from hjepa.training.trainer import run_trainer
from levels.masked import Masked, MaskedSettings, PatchEncoder, hidden_tokens
from levels.ranges import check_ranges, ranged
from tasks import TrajectoryStore, task_spec
from tasks.rendering import TILE

NOTE = "masked.json"
FORMAT = "hjepa-masked"


@dataclass(frozen=True)
class MaskedRun:
    """A run of masked prediction.

    Attributes:
        model: what learns, and what is hidden from it.
        steps: of the optimiser.
        batch: clips a step.
        learning_rate: at its peak; it warms up over a tenth of the steps and falls as a cosine.
        weight_decay: of AdamW.
        seed: of weights, clips and masks.
        flicker, drift: texture over the pictures, see `tasks.textures`.
        snapshot_every: steps between two encoders that are kept.
        checkpoint_every: steps between two points to go on from.
        log_every: steps between two losses that are kept.

    Raises:
        ValueError: a number out of its range.
    """

    model: MaskedSettings = field(default_factory=MaskedSettings)
    steps: int = ranged(1000, 1, STEPS)
    batch: int = ranged(16, 1, 1_000_000)
    learning_rate: float = ranged(1e-3, 0, 1000, above=True)
    weight_decay: float = ranged(0.01, 0, 1000)
    seed: int = ranged(0, 0, SEEDS)
    flicker: float = ranged(32.0, 0, 255)
    drift: float = ranged(32.0, 0, 255)
    snapshot_every: int = ranged(100, 1, STEPS)
    checkpoint_every: int = ranged(50, 1, STEPS)
    log_every: int = ranged(10, 1, STEPS)

    def __post_init__(self) -> None:
        check_ranges(self, "masked run")


class TrainMasked(L.LightningModule):
    """Masked prediction in training.

    Args:
        model: trained in place.
        run: settings.
        folder: where progress and encoders are kept.
    """

    def __init__(self, model: Masked, run: MaskedRun, folder: Path) -> None:
        super().__init__()
        self.model, self.settings, self.folder = model, run, folder
        self.losses: list[list[float]] = []

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """`Masked.loss`; InputError where it is no number."""
        loss = self.model.loss(*batch)
        if not bool(torch.isfinite(loss)):
            raise InputError(
                f"the loss is no number at step {self.global_step + 1}", "masked", "lower learning_rate"
            )
        if (self.global_step + 1) % self.settings.log_every == 0:
            self.losses.append([self.global_step + 1, loss.item()])
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The slow copy follows; what is needed to go on is kept, and encoders are."""
        self.model.follow()
        step, run = self.global_step, self.settings
        if step % run.snapshot_every == 0 or step == run.steps:
            save_encoder(self.model.teacher, self.folder, step)
        if step % run.checkpoint_every == 0:
            new = self.folder / f"{RESUME}.new"
            self.trainer.save_checkpoint(new)
            new.replace(self.folder / RESUME)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Losses go with the weights, so that none is kept twice."""
        checkpoint["losses"] = [[float(value) for value in row] for row in self.losses]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The same when a run goes on."""
        self.losses = [list(row) for row in checkpoint["losses"]]

    def configure_optimizers(self) -> Any:
        """AdamW over what learns; the slow copy does not."""
        learning = [p for p in self.model.parameters() if p.requires_grad]
        run = self.settings
        optimizer = torch.optim.AdamW(learning, run.learning_rate, weight_decay=run.weight_decay)

        def rate(step: int) -> float:
            share = min(step / run.steps, 1.0)
            return float(min(1.0, (share + 1e-3) / 0.1) * 0.5 * (1 + np.cos(np.pi * share)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class MaskedBatches(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless clips (N, T, H, W, 3) with what is hidden of them (N, S), each batch a function of seed and step.

    Args:
        store: of trajectories.
        run: settings.
        shape: (T, W, H) tokens.
        first_step: tells the step to begin with, when iteration begins.
    """

    def __init__(
        self,
        store: TrajectoryStore,
        run: MaskedRun,
        shape: tuple[int, int, int],
        first_step: Callable[[], int],
    ) -> None:
        self.store, self.run, self.shape, self.first_step = store, run, shape, first_step

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        run = self.run
        for step in range(self.first_step(), run.steps):
            rng = np.random.Generator(np.random.Philox(key=[run.seed, (step << 8) | 251]))
            clips = draw_clips(self.store, rng, run.batch, run.model.frames, run.flicker, run.drift)
            generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
            hidden = hidden_tokens(generator, run.batch, self.shape, run.model)
            yield torch.from_numpy(clips.frames), hidden


@torch.random.fork_rng(devices=[])  # weights and masks are drawn; the random state is the caller's
@in_plain_modes
def fit_masked(
    run: MaskedRun,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    device: str = "auto",
    progress: bool = True,
) -> Path:
    """Train an encoder by masked prediction, or by its control.

    Args:
        run: settings.
        data: a trajectory store of a world of cells.
        out: the run folder; a complete run of the same settings and data is left as it is.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: show a bar.

    Returns:
        the run folder.

    Raises:
        InputError: data or settings that cannot work, or a folder that holds something else.
        StoreError: the store cannot be read.
    """
    fix_threads()
    out = output_folder(out)
    store = TrajectoryStore.open(data)
    identity = {"format": FORMAT, "run": asdict(run), "data_sha256": store.sha256, "task": store.meta["task"]}
    picture = picture_of(store)
    torch.manual_seed(run.seed)
    try:
        model = Masked(picture, run.model)
        draw_clips(store, np.random.default_rng(0), 1, run.model.frames)
    except ValueError as error:
        raise InputError(str(error), str(store.path), "change the settings or collect other data") from None
    if not is_empty(out):
        if not (out / NOTE).exists() or not _same(read_object(out / NOTE), identity):
            raise InputError("holds something else", str(out), "choose another --out")
        return out
    folder = out.with_name(f"{out.name}.partial")
    with locked_folder(folder, "another training works in this folder"):
        _begin(folder, identity)
        module = TrainMasked(model, run, folder)
        resume = folder / RESUME
        if resume.exists():
            check_resume(resume, module.state_dict())
        else:
            save_encoder(model.teacher, folder, 0)
        batches = MaskedBatches(store, run, model.shape, lambda: module.global_step)
        run_trainer(
            module, device, run.steps, 20 if progress else None,
            settings={"gradient_clip_val": 1.0, "default_root_dir": folder},
            train_dataloaders=DataLoader(batches, batch_size=None),
            ckpt_path=resume if resume.exists() else None, weights_only=True,
        )  # fmt: skip
        _finish(folder, out, identity, module.losses, picture)
    return out


def picture_of(store: TrajectoryStore) -> tuple[int, int, int]:
    """(H, W, C) pixels of what a world of cells shows; InputError for one of another kind."""
    spec = task_spec(store.meta["task"])
    if spec.continuous:
        raise InputError(
            f"task {spec.id} shows no picture", str(store.path), "give trajectories of a world of cells"
        )
    return spec.height * TILE, spec.width * TILE, 3


def snapshots(run: str | os.PathLike[str]) -> dict[int, Path]:
    """Step -> file of every encoder that a finished run has kept, in order.

    Raises:
        InputError: no such run.
    """
    read_run(run)
    return {int(file.stem.split("-")[1]): file for file in sorted(Path(run).glob("encoder-*.safetensors"))}


def read_run(run: str | os.PathLike[str]) -> tuple[MaskedRun, dict[str, Any]]:
    """Settings and description of a finished run.

    Raises:
        InputError: no such run, or one that cannot be read.
    """
    note = Path(run) / NOTE
    if not note.exists():
        raise InputError("is no finished run of masked prediction", str(run), "train one first")
    content = read_object(note)
    if content.get("format") != FORMAT or not isinstance(content.get("picture"), list):
        raise InputError("is no run of masked prediction", str(note), "give another folder")
    return build(MaskedRun, content.get("run"), str(note)), content


def load_encoder(run: str | os.PathLike[str], step: int | None = None) -> PatchEncoder:
    """The encoder of a finished run, frozen.

    Args:
        run: its folder.
        step: of one that was kept; None: the last.

    Raises:
        InputError: no such run or step, or a file that cannot be read.
    """
    settings, content = read_run(run)
    kept = snapshots(run)
    step = max(kept, default=0) if step is None else step
    if step not in kept:
        raise InputError(
            f"keeps no encoder of step {step}", str(run), f"choose from {', '.join(map(str, kept))}"
        )
    height, width, colours = content["picture"]
    model, patch = settings.model, settings.model.patch
    encoder = PatchEncoder((width // patch, height // patch), colours, model)
    try:
        encoder.load_state_dict(load_file(kept[step]))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise InputError(f"cannot be read ({str(error)[:120]})", str(kept[step]), "train it again") from None
    return encoder.eval().requires_grad_(False)


def save_encoder(encoder: PatchEncoder, folder: Path, step: int) -> None:
    """Keep an encoder as it is at a step; never half a file."""
    state = {name: value.detach().cpu().contiguous().clone() for name, value in encoder.state_dict().items()}
    file = folder / f"encoder-{step:06d}.safetensors"
    new = file.with_suffix(".new")
    save_file(state, new)
    new.replace(file)


def _begin(folder: Path, identity: dict[str, Any]) -> None:
    """Begin a run in a folder, or check that what it holds is this run's."""
    note = folder / NOTE
    if note.exists():
        if not _same(read_object(note), identity):
            raise InputError(
                "holds an unfinished run of other settings or data",
                str(folder),
                "finish it, or remove the folder",
            )
        return
    if not is_empty(folder):
        raise InputError("holds something else", str(folder), "move it, or choose another --out")
    write_json(note, identity)


def _finish(
    folder: Path, out: Path, identity: dict[str, Any], losses: list[list[float]], picture: tuple[int, ...]
) -> None:
    content = {"losses": losses, "picture": picture, "versions": installed_versions()}
    write_json(folder / NOTE, identity | content)
    if out.exists():
        out.rmdir()
    folder.rename(out)
    # Last: whoever is killed before goes on from here, and after it the run is complete.
    for name in (RESUME, f"{RESUME}.new"):
        (out / name).unlink(missing_ok=True)


def _same(found: dict[str, Any], identity: dict[str, Any]) -> bool:
    """Whether a note is of a run; later settings have defaults."""
    if any(found.get(name) != identity[name] for name in ("format", "data_sha256", "task")):
        return False
    return bool(build(MaskedRun, found.get("run"), NOTE) == build(MaskedRun, identity["run"], NOTE))

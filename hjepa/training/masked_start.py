"""A stack to begin with whose level 1 looks through an encoder that masked prediction has trained.

    masked_start(load_preset("nested-d2-images", ["levels.0.encoder=masked"]), "runs/latent-blocks-0", "runs/start")

Then ``hjepa fit --start runs/start`` with the same settings trains all but that encoder.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

from hjepa.devices import in_plain_modes
from hjepa.errors import InputError
from hjepa.evaluation.records import installed_versions
from hjepa.model.checkpoints import file_sha256, save_stack
from hjepa.model.perception import world_of
from hjepa.model.stack import Stack
from hjepa.places import is_empty, output_folder
from hjepa.settings import RunConfig
from hjepa.training.fit import make_stack
from hjepa.training.masked_fit import load_encoder, snapshots
from levels.encoders.masked_picture import FrozenStem, MaskedPictureEncoder
from tasks import task_spec


@in_plain_modes
@torch.random.fork_rng(devices=[])  # weights are drawn; the random state is the caller's
def masked_start(config: RunConfig, run: str | os.PathLike[str], out: str | os.PathLike[str]) -> Stack:
    """Write a stack, untrained but for the frozen encoder of level 1.

    Args:
        config: of the stack, whose level 1 has the encoder ``masked``.
        run: a finished run of `hjepa.training.masked_fit`, on pictures of the same size.
        out: folder of the checkpoint, not there or empty.

    Raises:
        InputError: another encoder, or one of other patches, sizes or widths; a folder that holds something.
    """
    if config.levels[0].encoder != "masked":
        raise InputError(
            f"levels.0.encoder is {config.levels[0].encoder}", "masked start", "set levels.0.encoder=masked"
        )
    folder = output_folder(out)
    if not is_empty(folder):
        raise InputError("holds something else", str(out), "choose another folder")
    trained = load_encoder(run)
    torch.manual_seed(config.train.seed)
    stack = make_stack(config, world_of(task_spec(config.task), "image"))
    encoder = stack.level(0).encoder
    assert isinstance(encoder, MaskedPictureEncoder) and isinstance(encoder.stem, FrozenStem)
    frozen, found = encoder.stem.frozen, trained.state_dict()
    wanted = {name: value.shape for name, value in frozen.state_dict().items()}
    if {name: value.shape for name, value in found.items()} != wanted:
        raise InputError(
            "keeps an encoder of other pictures, patches, frames or widths than level 1 sees with",
            str(run),
            "train it with the default model on the task's own pictures",
        )
    frozen.load_state_dict(found)
    folder.mkdir(parents=True, exist_ok=True)
    kept = snapshots(run)
    facts = {"masked_sha256": file_sha256(Path(kept[max(kept)])), "versions": installed_versions()}
    save_stack(stack, folder, facts)
    return stack

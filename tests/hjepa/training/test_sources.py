"""Stores as training sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.training.batches import draw
from hjepa.training.fit import check_source
from hjepa.training.sources import open_source
from tasks.import_files import import_npz

LENGTH, EPISODES = 30, 8


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of others, all of one group: the red of every pixel is the episode, the green the step."""
    folder = tmp_path_factory.mktemp("imported")
    episode, step = np.divmod(np.arange(EPISODES * LENGTH), LENGTH)
    pictures = np.zeros((len(step), 32, 32, 3), dtype=np.uint8)
    pictures[..., 0], pictures[..., 1] = episode[:, None, None], step[:, None, None]
    actions = np.stack([step, -step], -1).astype(np.float32) / LENGTH
    np.savez(folder / "d.npz", observations=pictures, actions=actions, terminals=step == LENGTH - 1)
    return import_npz(folder / "d.npz", folder / "s").path


def test_pictures_of_one_group_fill_a_batch_of_many_layouts(imported: Path) -> None:
    config = load_preset("pixels", ["train.plans=4", "train.batch=256"])
    source, _ = open_source(imported, config)
    check_source(config, source)
    batch = draw(source, config, 0, 9, step=0, told=False)
    assert batch.agent.shape == (4, 256 // 8 // 4, 9, 32, 32, 3) and batch.grid.shape == (4, 32, 32, 3)
    episode, step = batch.agent[..., 0, 0, 0].long(), batch.agent[..., 0, 0, 1].long()
    assert (episode == episode[..., :1]).all() and (step == step[..., :1] + torch.arange(9)).all()
    assert len(episode.unique()) > 4, "windows come from everywhere"


def test_one_group_counts_for_as_many_layouts_as_it_has_episodes(imported: Path) -> None:
    config = load_preset("pixels", [f"train.plans={EPISODES * 2}"])
    source, _ = open_source(imported, config)
    with pytest.raises(InputError, match=f"has {EPISODES} floor plans, a batch takes {EPISODES * 2}"):
        check_source(config, source)

"""The encoder of whole pictures: no places, things that look alike apart, and critics that look where levels do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hjepa.config import parse_config
from hjepa.model.stack import Stack
from levels.encoders.whole import WholeEncoder
from levels.settings import LevelSettings, Sight, World

BOARD = Sight("symbols", (10, 10, 1), (4,))
IMAGE = Sight("image", (16, 24, 3))


def level(name: str, **more: object) -> LevelSettings:
    return replace(LevelSettings(encoder=name, latent_dim=12, channels=8, memory=None, patch=1), **more)


@pytest.mark.parametrize(("sight", "name", "patch"), [(BOARD, "whole_symbols", 1), (IMAGE, "whole_image", 8)])
def test_it_has_no_places_and_sees_every_observation_by_itself(sight: Sight, name: str, patch: int) -> None:
    torch.manual_seed(0)
    encoder = WholeEncoder(sight, level(name, patch=patch))
    assert not hasattr(encoder, "places")
    shown = torch.randint(0, 4, (2, 3, *sight.shape), dtype=torch.uint8)
    with torch.no_grad():
        latent = encoder(shown)
        assert latent.shape == (2, 3, 12)
        assert torch.allclose(latent[1, 2], encoder(shown[1:, 2:])[0, 0], atol=1e-5)


def test_boxes_that_are_one_place_to_attention_are_two_here() -> None:
    """Two boards whose boxes have the same mean place and look alike: a map would give one place for both."""
    torch.manual_seed(0)
    board = torch.zeros(1, 2, 10, 10, 1, dtype=torch.uint8)
    board[0, 0, [2, 7], 5] = 2
    board[0, 1, [4, 5], 5] = 2
    with torch.no_grad():
        first, second = WholeEncoder(BOARD, level("whole_symbols"))(board)[0]
    assert (first - second).norm() > 0.05 * first.norm()


def test_pictures_of_several_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="encoder whole_image of pictures of 2 moments; set frames=1"):
        WholeEncoder(Sight("image", (16, 24, 6), frames=2), level("whole_image", patch=8))


def stack_of(encoder: str, memory: dict[str, object] | None) -> Stack:
    """A stack with a quasimetric over a board."""
    level_1 = {"encoder": encoder, "stride": 1, "macro_action": "primitive", "latent_dim": 8, "channels": 4,
               "hidden": 16, "head": 16, "memory": memory}  # fmt: skip
    content = {
        "task": "any",
        "collect": {"plans": 1, "episodes_per_plan": 1, "length": 9, "seed": 0, "explorer": "explorer"},
        "levels": [level_1],
        "train": {"steps": [1], "batch": 64, "plans": 1},
        "critic": {"kind": "quasimetric", "hidden": 8, "plans": 1},
        "plan": {"metric": "critic", "horizon": [4], "share": [1.0]},
    }
    return Stack(parse_config(content, "made up"), World((10, 10), 5, sight=BOARD))


def test_a_critic_looks_at_the_picture_if_its_level_does() -> None:
    assert stack_of("whole_symbols", None).critics[0].seen is None
    assert stack_of("symbols", {"channels": 4}).critics[0].seen is not None


def test_a_latent_without_places_has_no_picture_to_read() -> None:
    with pytest.raises(ValueError, match="this one has none; set memory null"):
        stack_of("whole_symbols", {"channels": 4})

"""What looks the same in a batch is seen once, and nobody can tell the difference."""

from __future__ import annotations

import pytest
import torch

from levels.level import Level
from levels.pictures import distinct, standing_out
from levels.settings import LevelSettings, MemorySettings, Sight, World


@pytest.mark.parametrize("shape", [(9, 7, 2), (16, 16, 3)], ids=["symbols", "image"])
def test_every_picture_is_found_again(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    some = torch.randint(0, 256, (10, *shape), dtype=torch.uint8, generator=generator)
    batch = some[torch.randint(0, 10, (60,), generator=generator)]
    different, number = distinct(batch)
    assert torch.equal(different[number], batch)
    assert len(different) == len({bytes(picture.numpy().tobytes()) for picture in batch}) <= 10


def test_images_with_the_same_number_are_told_apart() -> None:
    """Numbers of images are sums of their words times 1, 3, 5, ...: three in the first word is one in the second."""
    images = torch.zeros(3, 4, 4, 1, dtype=torch.uint8)
    words = images.flatten(1).view(torch.int64)
    words[0, 0], words[1, 1] = 3, 1
    different, number = distinct(images)
    assert len(different) == 3 and torch.equal(different[number], images)


def test_seeing_once_gives_the_latents_and_gradients_of_seeing_all() -> None:
    world = World((9, 7), 7, sight=Sight("symbols", (9, 7, 2), (4, 3)))
    values = {"encoder": "symbols", "macro_action": "primitive", "latent_dim": 12, "hidden": 32, "head": 16}
    memory = MemorySettings(channels=4, dilations=(1,))
    torch.manual_seed(0)
    level = Level(LevelSettings(**values, channels=16, rollout=3, memory=memory), 0, 7, world)  # type: ignore[arg-type]
    below = torch.randint(0, 3, (2, 3, 4, 9, 7, 2), dtype=torch.uint8)
    below[1] = below[0]
    found = []
    for see in (level.see, level.encode):
        level.zero_grad()
        latent = see(below, None)
        (latent * torch.arange(latent.numel()).view_as(latent).cos()).sum().backward()
        found.append(
            (latent.detach(), [p.grad.clone() for p in level.encoder.parameters() if p.grad is not None])
        )
    (once, grads), (all_, expected) = found
    assert torch.allclose(once, all_, atol=1e-5)
    assert grads and all(torch.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(grads, expected))


def test_each_channel_of_a_picture_has_mean_zero_and_spread_one() -> None:
    features = 5 + 3 * torch.randn(4, 6, 5, 8, generator=torch.Generator().manual_seed(0))
    seen = standing_out(features)
    spread = (features.var((-2, -1), keepdim=True) + 1e-3).sqrt()
    assert torch.allclose(seen, (features - features.mean((-2, -1), keepdim=True)) / spread, atol=1e-5)

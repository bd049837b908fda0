"""Masked prediction: what is hidden, that none of it is seen, and what the loss is of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from levels.masked import Masked, MaskedSettings, hidden_tokens, numbers, patches_of

SMALL = MaskedSettings(patch=4, frames=2, width=16, depth=2, heads=2, predictor_width=8, predictor_depth=1)
PICTURE = (12, 16, 3)
SHAPE = (2, 4, 3)


def _made(**changes: object) -> Masked:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Masked(PICTURE, replace(SMALL, **changes))  # type: ignore[arg-type]


def _clips(count: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 2, *PICTURE), generator=generator).to(torch.uint8)


def _hidden(count: int = 3, seed: int = 0, kind: str = "blocks") -> Tensor:
    return hidden_tokens(torch.Generator().manual_seed(seed), count, SHAPE, replace(SMALL, mask=kind))


def _scrambled(clips: Tensor, hidden: Tensor) -> Tensor:
    """The clips with other pixels in the hidden patches and nowhere else."""
    other = clips.clone()
    for n, token in hidden.nonzero().tolist():
        t, rest = divmod(token, SHAPE[1] * SHAPE[2])
        x, y = divmod(rest, SHAPE[2])
        area = other[n, t, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        area.copy_(255 - area)
    return other


@pytest.mark.parametrize("kind", ["blocks", "patches"])
def test_equally_many_tokens_are_hidden_in_every_clip(kind: str) -> None:
    shape, settings = (4, 9, 9), MaskedSettings(mask=kind)
    hidden = hidden_tokens(torch.Generator().manual_seed(0), 50, shape, settings)
    assert (hidden.sum(1) == round(0.6 * 4 * 81)).all()
    assert len(torch.unique(hidden, dim=0)) == 50
    assert torch.equal(hidden, hidden_tokens(torch.Generator().manual_seed(0), 50, shape, settings))
    # In blocks, what lies beside something hidden is hidden too, far more often than by chance.
    grid = hidden.view(50, *shape)
    beside = (grid[:, :, 1:] & grid[:, :, :-1]).float().mean() / grid.float().mean()
    assert (beside > 0.75) if kind == "blocks" else (abs(beside - 0.6) < 0.05)


def test_a_block_is_a_box_in_space_and_time() -> None:
    settings = MaskedSettings(share=0.01, blocks=1)
    whole = replace(settings, share=0.5)
    shape = (4, 9, 9)
    few, many = (hidden_tokens(torch.Generator().manual_seed(1), 40, shape, s) for s in (settings, whole))
    # Half is more than the one box holds: the box is all hidden, and of the rest as much as it takes.
    for small, large in zip(few.view(40, *shape), many.view(40, *shape)):
        places = small.nonzero()
        low, high = places.min(0).values, places.max(0).values
        assert large[low[0] : high[0] + 1, low[1] : high[1] + 1, low[2] : high[2] + 1].all()


def test_blocks_are_as_large_as_they_are_said_to_be() -> None:
    """A third to two thirds of the picture's sides, and half of the frames to all of them."""
    shape = (8, 9, 9)
    least = 4 * 3 * 3
    settings = MaskedSettings(share=least / (8 * 9 * 9), blocks=1)
    # As many tokens as the smallest box holds are all in the box.
    hidden = hidden_tokens(torch.Generator().manual_seed(0), 200, shape, settings).view(200, *shape)
    assert (hidden.flatten(1).sum(1) == least).all()
    spans = []
    for each in hidden:
        places = each.nonzero()
        spans.append(places.max(0).values - places.min(0).values + 1)
    frames, width, height = torch.stack(spans).unbind(-1)
    assert set(frames.tolist()) == {4, 5, 6, 7, 8}
    assert set(width.tolist()) == set(height.tolist()) == {3, 4, 5, 6}


def test_patches_are_cut_in_the_order_of_their_places() -> None:
    clip = torch.zeros(1, 2, *PICTURE, dtype=torch.uint8)
    clip[0, 1, 4:8, 8:12] = 255  # frame 1, x 2, y 1
    bright = patches_of(clip, 4)[0].mean(-1)
    assert bright.argmax() == (1 * 4 + 2) * 3 + 1
    assert (bright == 0.5).sum() == 1
    with pytest.raises(ValueError, match="16 x 12"):
        patches_of(clip, 5)


@pytest.mark.parametrize("target", ["latent", "pixels"])
def test_nothing_of_what_is_hidden_is_seen(target: str) -> None:
    model, clips, hidden = _made(target=target), _clips(), _hidden()
    other = _scrambled(clips, hidden)
    assert not torch.equal(clips, other)
    seen = numbers(~hidden)
    one, two = (model.encoder(patches_of(each, 4), seen) for each in (clips, other))
    assert torch.equal(one, two)
    said = [model.predictor(each, seen, numbers(hidden)) for each in (one, two)]
    assert torch.equal(*said)
    assert model.loss(clips, hidden) != model.loss(other, hidden)  # but it is what is asked for
    # What is seen does matter.
    changed = _scrambled(clips, ~hidden)
    assert not torch.equal(model.encoder(patches_of(changed, 4), seen), one)


def test_no_gradient_reaches_the_slow_copy_which_follows() -> None:
    model = _made(momentum=0.75)
    model.loss(_clips(), _hidden()).backward()
    assert all(p.grad is None for p in model.teacher.parameters())
    assert all(p.grad is not None for p in model.encoder.parameters())
    before = [p.clone() for p in model.teacher.parameters()]
    with torch.no_grad():
        for p in model.encoder.parameters():
            p += 1
    model.follow()
    for slow, was, p in zip(model.teacher.parameters(), before, model.encoder.parameters()):
        torch.testing.assert_close(slow, 0.75 * was + 0.25 * p)


def test_the_control_is_asked_for_hidden_pixels_alone() -> None:
    model, clips, hidden = _made(target="pixels"), _clips(), _hidden()
    tokens = patches_of(clips, 4)
    seen, asked = numbers(~hidden), numbers(hidden)
    said = model.predictor(model.encoder(tokens, seen), seen, asked)
    by_hand = torch.stack(
        [
            (said[n, i] - tokens[n, token]).square()
            for n in range(3)
            for i, token in enumerate(asked[n].tolist())
        ]
    ).mean()
    torch.testing.assert_close(model.loss(clips, hidden), by_hand)
    with torch.no_grad():
        for p in model.teacher.parameters():
            p.zero_()
    torch.testing.assert_close(model.loss(clips, hidden), by_hand)  # nobody asks the slow copy


@pytest.mark.parametrize("target", ["latent", "pixels"])
def test_loss_falls_on_a_few_clips(target: str) -> None:
    model = _made(target=target)
    # Pictures of one colour a clip: what is hidden can be told from what is seen.
    clips = torch.arange(20, 240, 50, dtype=torch.uint8).view(-1, 1, 1, 1, 1).expand(-1, 2, *PICTURE)
    hidden = _hidden(len(clips))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    first = model.loss(clips, hidden).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = model.loss(clips, hidden)
        loss.backward()
        optimizer.step()
        model.follow()
    assert loss.item() < 0.5 * first


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="target is 'colours'"):
        MaskedSettings(target="colours")
    with pytest.raises(ValueError, match="heads"):
        MaskedSettings(width=62)
    with pytest.raises(ValueError, match="share"):
        MaskedSettings(share=1.0)
    with pytest.raises(ValueError, match="choose another patch"):
        Masked((12, 18, 3), SMALL)
    with pytest.raises(ValueError, match="frames are 2"):
        _made().loss(_clips()[:, :1], _hidden())

"""Texture over pictures: what flickers is new in every frame, what drifts is the same field further on."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.textures import DIMMINGS, FASTEST, SQUARE, textured

GREY = np.full((3, 4, 24, 36, 3), 128, dtype=np.uint8)


def test_flicker_is_drawn_anew_in_every_frame_square_by_square() -> None:
    found = textured(GREY, np.random.default_rng(0), flicker=40, drift=0)
    shown = found.frames.astype(int) - np.array(DIMMINGS)[found.dimming][:, :, None, None, None]
    assert (shown[..., :1] == shown).all()  # brightness, no colour
    squares = shown[..., 0].reshape(3, 4, 24 // SQUARE, SQUARE, 36 // SQUARE, SQUARE)
    assert (squares == squares[:, :, :, :1, :, :1]).all()
    assert np.ptp(squares) > 60
    assert ((squares[:, :, 3, 0, 4, 0] >= 128) == found.flicker).all()
    before, after = squares[:, :-1, :, 0, :, 0].ravel(), squares[:, 1:, :, 0, :, 0].ravel()
    assert abs(np.corrcoef(before, after)[0, 1]) < 0.15


def test_drift_is_one_field_that_moves_on() -> None:
    found = textured(GREY, np.random.default_rng(1), flicker=0, drift=40)
    shown = found.frames[..., 0].astype(int) - np.array(DIMMINGS)[found.dimming][:, :, None, None]
    for clip in shown:
        steps = [
            (y, x)
            for y in range(-FASTEST, FASTEST + 1)
            for x in range(-FASTEST, FASTEST + 1)
            if all((_moved(clip[t], y, x) == clip[t + 1][2:-2, 2:-2]).all() for t in range(len(clip) - 1))
        ]
        assert len(steps) == 1


def test_without_texture_nothing_changes_and_the_same_draws_give_the_same() -> None:
    assert textured(GREY, np.random.default_rng(0), 0, 0).frames is GREY
    one, other = (textured(GREY, np.random.default_rng(2)) for _ in range(2))
    assert (one.frames == other.frames).all()
    with pytest.raises(ValueError, match="uint8"):
        textured(GREY.astype(float), np.random.default_rng(0))
    with pytest.raises(ValueError, match="flicker is 300"):
        textured(GREY, np.random.default_rng(0), flicker=300)


def _moved(frame: np.ndarray, y: int, x: int) -> np.ndarray:
    """What lies under the inner part of a frame after a step."""
    return frame[2 + y : frame.shape[0] - 2 + y, 2 + x : frame.shape[1] - 2 + x]

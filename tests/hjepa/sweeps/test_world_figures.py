"""Pictures of episodes in worlds that render themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hjepa.commands._options import progress_bar
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.sweeps import world_figures
from hjepa.sweeps.plan_worlds import WorldGoals
from hjepa.sweeps.world_figures import HELD, PACE, SIDE, check_pictured, save_film, strip


def grey(*shades: int, size: tuple[int, int] = (20, 30)) -> list[np.ndarray]:
    return [np.full((*size, 3), shade, np.uint8) for shade in shades]


def test_a_strip_shows_start_moments_end_and_goal() -> None:
    sheet = strip(grey(*range(0, 110, 10)), grey(200)[0], "title")
    pixels = np.asarray(sheet)
    # Pictures are grown by a whole factor to at least `SIDE`, and lie side by side in order of time.
    row = pixels[pixels.shape[0] // 2, :, 0]
    found = [int(row[start]) for start in range(20, sheet.width, SIDE + 8)]
    assert found == [0, 20, 40, 60, 80, 100, 200]
    assert strip(grey(0, 50), None, "title").width < sheet.width / 3


def test_a_film_has_a_frame_a_step_and_stands_still_at_its_end(tmp_path: Path) -> None:
    save_film(grey(0, 60, 120, size=(500, 400)), grey(200)[0], str(tmp_path / "film.gif"))
    film = Image.open(tmp_path / "film.gif")
    times, shades = [], []
    for frame in range(3):
        film.seek(frame)
        times.append(film.info["duration"])
        shades.append(int(np.asarray(film.convert("L"))[50, 50]))
    assert film.n_frames == 3 and times == [PACE, PACE, HELD] and film.info["loop"] == 0
    np.testing.assert_allclose(shades, [0, 60, 120], atol=3)
    assert film.height < 260, "large pictures shrink"


def test_a_bar_knows_its_total_from_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("explore", "episode") as tell:
        tell(0, 3)
        assert "0/3" in capsys.readouterr().err


def test_a_world_that_is_nothing_to_look_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    request = PlanRequest("two-room", "hjepa/TwoRoom-v0", episodes=1)
    check_pictured(request, WorldGoals())
    monkeypatch.setattr(world_figures, "pictures", lambda *_: None)
    with pytest.raises(InputError, match="--figures in hjepa/TwoRoom-v0; it renders nothing"):
        check_pictured(request, WorldGoals())

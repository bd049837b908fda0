"""Make the pictures of ``docs/gallery.md``, one a family of tasks: ``python docs/gallery.py``.

Each is what an environment draws of its first state, beside its goal where the goal is an observation of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
SIDE, COLOURS, SEED = 272, 24, 7

GRIDS = (
    "hjepa/NestedRooms-d2-v0",
    "hjepa/NestedRooms-d3-v0",
    "hjepa/NestedRooms-d4-v0",
    "hjepa/NestedLava-d3-v0",
    "hjepa/NestedKeys-d2-v0",
    "hjepa/NestedPartial-d3-v0",
    "hjepa/NestedPoint-d3-v0",
    "MiniGrid-FourRooms-v0",
    "MiniGrid-MultiRoom-N6-v0",
    *(f"hjepa/Layouts-{kind}-s17-v0" for kind in "maze braid comb spiral cave open rooms walls".split()),
)
WITH_GOALS: Mapping[str, Mapping[str, Any]] = {
    "hjepa/TwoRoom-v0": {"pixels": 96},
    "hjepa/DiverseMaze-v0": {"pixels": 96},
    "hjepa/SokobanLong-v0": {"pixels": 80},
    "hjepa/FourRoomDistractors-v0": {"pixels": 96},
    "two_rooms:TwoRooms-v0": {},
}
OTHERS = ("Pendulum-v1", "MountainCarContinuous-v0")


def file_name(task: str) -> str:
    """The picture's file of a task."""
    return task.split("/")[-1].split(":")[-1].removesuffix("-v0").removesuffix("-v1").lower() + ".png"


def first_state(task: str, arguments: Mapping[str, Any]) -> np.ndarray:
    """(H, W, 3) uint8: what is drawn of the first state, beside its goal where ``info`` shows one as an image."""
    with_goal = task in WITH_GOALS
    drawn: dict[str, Any] = {} if with_goal else {"render_mode": "rgb_array"}
    if task in GRIDS and "Point" not in task:
        drawn["highlight"] = (
            "Partial" in task
        )  # what the agent sees of the world, where that is not all of it
    environment = gymnasium.make(task, **arguments, **drawn)
    seen, info = environment.reset(seed=SEED)
    picture = np.asarray(seen["image"] if with_goal else environment.render())
    if with_goal:
        goal = np.asarray(info["goal"]["image"])
        gap = np.full((len(picture), len(picture) // 12, 3), 255, np.uint8)
        picture = np.concatenate([picture, gap, goal], axis=1)
    environment.close()
    return picture


def save(picture: np.ndarray, out: Path) -> int:
    """Write a small PNG with few colours; its size in bytes."""
    image = Image.fromarray(picture)
    factor = SIDE / image.height
    way = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
    image = image.resize((round(image.width * factor), SIDE), way)
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(out, optimize=True)
    return out.stat().st_size


def main(out: Path = HERE / "img" / "gallery") -> None:
    """Draw them all."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    sys.path.append(str(HERE.parent / "notebooks"))
    __import__("hjepa")  # registers the tasks
    out.mkdir(parents=True, exist_ok=True)
    total = 0
    for task in (*GRIDS, *WITH_GOALS, *OTHERS):
        size = save(first_state(task, WITH_GOALS.get(task, {})), out / file_name(task))
        total += size
        sys.stdout.write(f"{file_name(task)}: {size / 1e3:.1f} kB\n")
    sys.stdout.write(f"all: {total / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()

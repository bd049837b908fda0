"""Pictures of plans, subgoals and results: each function takes results and returns a matplotlib Figure.

A figure knows nothing of a backend: save it with ``figure.savefig(path)``. Level k has the colour
``level_colour(k)`` in every one of them, and a metric its own (`hjepa.figures.groups.METRIC_COLOURS`).

- `subgoals`, `plan_animation`, `side_by_side`: episodes, what each level imagined and where the agent went;
- `player`: the same to play in a notebook, with the page of ``hjepa explore``;
- `landscapes`, `energy_landscape`: how far every cell is from the goal in the latents of the levels;
- modules `prior_map`, `latent_plane`, `ways`, `sights`: what levels believe they can do, latents on a plane, ways side
  by side, what is shown to an agent;
- modules `latent_map`, `cost_map`, `valleys`, `descent`: one floor plan under several costs, where a perfect search
  ends and where gradients lead; `worth`, `harder`: what levels are worth by task; `two_room`: ways in TwoRoom;
- `success_by_levels`, `success_by_distance`, `success_by_compute`: records of ``hjepa plan``;
- `training_curves`: a run folder; module `learning`: trainings that collapse, what levels know and what surprises them;
- `layout_gallery`: floor plans of every family.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hjepa.figures.animation import plan_animation, save_gif, side_by_side
from hjepa.figures.landscape import energy_landscape, landscape, landscapes
from hjepa.figures.layouts import layout_gallery
from hjepa.figures.style import level_colour
from hjepa.figures.subgoals import subgoals
from hjepa.figures.success import success_by_compute, success_by_distance, success_by_levels
from hjepa.figures.training import training_curves

if TYPE_CHECKING:
    from hjepa.explorer.player import player

__all__ = [
    "energy_landscape",
    "landscape",
    "landscapes",
    "layout_gallery",
    "level_colour",
    "plan_animation",
    "player",
    "save_gif",
    "side_by_side",
    "subgoals",
    "success_by_compute",
    "success_by_distance",
    "success_by_levels",
    "training_curves",
]


def __getattr__(name: str) -> Any:
    # The explorer draws with parts of this package, which have to be there first.
    if name == "player":
        return import_module("hjepa.explorer.player").player
    raise AttributeError(f"module 'hjepa.figures' has no attribute {name!r}")

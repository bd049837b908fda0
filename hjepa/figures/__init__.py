"""Pictures of plans, subgoals and results: each function takes results and returns a matplotlib Figure.

A figure knows nothing of a backend: save it with ``figure.savefig(path)``.
"""

from __future__ import annotations

from hjepa.figures.style import level_colour
from hjepa.figures.subgoals import subgoals

__all__ = ["level_colour", "subgoals"]

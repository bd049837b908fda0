"""Floor plans of other families than the nested rooms: mazes, combs, spirals, caves, open fields and their like.

Each family is a function of a generator and an odd side that returns walls (W, W) bool, with a closed border and all
free cells joined. `tasks.layouts.families` makes floor plans of them that are a function of (family, side, seed) and
of which no two splits share one. Knows numpy alone.

- `mazes`: ``maze`` (perfect) and ``braid`` (without dead ends);
- `corridors`: ``comb`` and ``spiral``;
- `fields`: ``cave``, ``open`` and ``walls``;
- `partitions`: ``rooms``.
"""

from __future__ import annotations

from tasks.layouts.families import FAMILIES, MIXTURES, check_layout, family_of, layout_plan, layout_walls

__all__ = ["FAMILIES", "MIXTURES", "check_layout", "family_of", "layout_plan", "layout_walls"]

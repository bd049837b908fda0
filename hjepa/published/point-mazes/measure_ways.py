"""What a critic of a point maze knows of its ways, without planning: its steps to the five published goals against the
length of the shortest way, and where agents that always hop to what it puts nearest would arrive.

    python hjepa/published/point-mazes/measure_ways.py --checkpoint RUN --maze giant --json FILE

Places are half a unit apart and keep the body off the walls. A way is as long as its steps of 0.2 along the longer
axis.
"""

from __future__ import annotations

import argparse
import heapq
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from hjepa.integrations.ogbench import PointMaze
from hjepa.model.checkpoints import describe, load_stack

APART, BODY, STEP = 0.5, 0.7, 0.2
NEAR = 5.0
"""Steps to the goal that count as there: OGBench's are within 1 of it."""
AROUND = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]


class Ways:
    """Free places of a maze and the shortest ways between them."""

    def __init__(self, maze: Any) -> None:
        height, width = maze.maze_map.shape
        self.x = np.arange(-2, 4 * (width - 1) - 6, APART)
        self.y = np.arange(-2, 4 * (height - 1) - 6, APART)
        off = [(a, b) for a in (-BODY, BODY) for b in (-BODY, BODY)]
        self.free = np.array(
            [[all(not maze.maze_map[maze.xy_to_ij((x + a, y + b))] for a, b in off) for y in self.y] for x in self.x]
        )
        self.index = np.argwhere(self.free)
        self.places = np.stack([self.x[self.index[:, 0]], self.y[self.index[:, 1]]], 1).astype(np.float32)

    def next_to(self, place: tuple[int, int]) -> list[tuple[int, int]]:
        a, b = place
        found = []
        for i, j in AROUND:
            u, v = a + i, b + j
            inside = 0 <= u < self.free.shape[0] and 0 <= v < self.free.shape[1]
            if inside and self.free[u, v] and self.free[a, v] and self.free[u, b]:
                found.append((u, v))
        return found

    def nearest(self, point: np.ndarray) -> tuple[int, int]:
        return tuple(self.index[np.abs(self.places - point).sum(1).argmin()].tolist())

    def steps(self, goal: tuple[int, int]) -> np.ndarray:
        """Steps to a place from everywhere, infinite where there is no way."""
        found = np.full(self.free.shape, np.inf)
        found[goal], queue = 0.0, [(0.0, goal)]
        while queue:
            steps, place = heapq.heappop(queue)
            if steps > found[place]:
                continue
            for other in self.next_to(place):
                if steps + APART / STEP < found[other]:
                    found[other] = steps + APART / STEP
                    heapq.heappush(queue, (found[other], other))
        return found

    def within(self, place: tuple[int, int], hops: int) -> set[tuple[int, int]]:
        seen, edge = {place}, [place]
        for _ in range(hops):
            edge = sorted({other for at in edge for other in self.next_to(at)} - seen)
            seen |= set(edge)
        return seen


def arrives(ways: Ways, claimed: np.ndarray, true: np.ndarray, start: tuple[int, int], hops: int) -> bool:
    """Whether hopping to what is claimed nearest among what is truly within reach comes to the goal."""
    at = start
    while true[at] > NEAR:
        best = min(ways.within(at, hops), key=lambda place: claimed[place])
        if claimed[best] >= claimed[at]:
            return False
        at = best
    return True


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--maze", default="giant")
    parser.add_argument("--starts", type=int, default=40)
    parser.add_argument("--hops", type=int, nargs="+", default=[2, 6, 12, 24])
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    stack, maze = load_stack(options.checkpoint), PointMaze(options.maze)
    inner: Any = maze.unwrapped
    ways, critic = Ways(inner), stack.critic(0)
    seen = torch.from_numpy(ways.places)[None, :, None]
    latent = stack.encode(seen, [None] * stack.depth, upto=1)[0][0, :, 0]
    rng, tasks, count = np.random.default_rng(0), [], dict.fromkeys(map(str, options.hops), 0)
    for task in inner.task_infos:
        goal = ways.nearest(np.array(task["goal_xy"]))
        true = ways.steps(goal)
        aim = latent[(ways.index == goal).all(1).argmax()]
        field = critic.field(torch.zeros(1, 1), aim[None], 1)
        claimed = np.full(ways.free.shape, np.inf)
        claimed[tuple(ways.index.T)] = critic(latent[None], field)[0].numpy()
        own = np.isfinite(true) & ways.free
        rank = float(spearmanr(true[own], claimed[own]).statistic)
        starts = [tuple(place) for place in rng.choice(np.argwhere(own), options.starts).tolist()]
        came = {str(hops): sum(arrives(ways, claimed, true, start, hops) for start in starts) for hops in options.hops}
        count = {hops: count[hops] + came[hops] for hops in count}
        tasks.append(
            {"task": task["task_name"], "farthest": float(true[own].max()), "rank": rank, "arrive": came}
        )  # fmt: skip
    maze.close()
    starts = options.starts * len(tasks)
    content = {
        "maze": options.maze, "checkpoint_sha256": describe(options.checkpoint)["sha256"], "starts": starts,
        "least_rank": min(each["rank"] for each in tasks),
        "arrive": {hops: count[hops] / starts for hops in count}, "tasks": tasks,
    }  # fmt: skip
    options.json.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps({name: content[name] for name in ("least_rank", "arrive")}))


if __name__ == "__main__":
    main()

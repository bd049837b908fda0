"""The shortest way to do a mission, and how often random actions do it.

The search is over all that an agent vector says and the legs done, with the world's own dynamics. Where only the way to
a cell counts, `tasks.oracles` is much faster.
"""

from __future__ import annotations

import numpy as np

from tasks.dynamics import step_agents
from tasks.missions import MissionBatch
from tasks.observations import ACTIONS, FORWARD, LEFT, PICKUP, RIGHT, TOGGLE
from tasks.randomness import keyed_generator

SLOT_STATES = 3
"""States of a door or a key, at most."""

TOGETHER = 50
"""Episodes searched at once, which bounds the memory."""


def mission_steps(
    barriers: np.ndarray, start: np.ndarray, missions: MissionBatch, longest: int
) -> np.ndarray:
    """Steps of the shortest way to do each mission.

    Args:
        barriers: (E, W, H) what `tasks.dynamics.step_agents` takes.
        start: (E, A) agent vectors.
        missions: of E episodes; their forbidden cells are not entered.
        longest: steps that are searched.

    Returns:
        (E,) int64; -1 where no way of ``longest`` steps does it.
    """
    parts = [
        _search(barriers[rows], start[rows], missions.select(rows), longest)
        for rows in (slice(i, i + TOGETHER) for i in range(0, len(start), TOGETHER))
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def random_missions(
    barriers: np.ndarray, start: np.ndarray, missions: MissionBatch, step_budget: int, seed: int = 0
) -> float:
    """Share of missions that random actions do within the step budget, without entering what is to be avoided.

    Args:
        barriers, start, missions: as in `mission_steps`.
        step_budget: steps before an episode is given up.
        seed: key of the random actions.
    """
    rng, rows = keyed_generator("random missions", int(seed)), np.arange(len(start))
    agent, leg = start, missions.advance(np.zeros(len(start), np.int64), start)
    lost = np.zeros(len(start), dtype=bool)
    for _ in range(step_budget):
        agent = step_agents(barriers, agent, rng.integers(0, len(ACTIONS), len(agent)))
        lost |= missions.avoid[rows, agent[:, 0], agent[:, 1]] & (leg < missions.legs)
        leg = np.where(lost, leg, missions.advance(leg, agent))
    return float((leg == missions.legs).mean())


def _search(barriers: np.ndarray, start: np.ndarray, missions: MissionBatch, longest: int) -> np.ndarray:
    actions = np.array([LEFT, RIGHT, FORWARD, TOGGLE, PICKUP] if barriers.dtype != np.bool_ else [0, 1, 2])
    count, width, height = barriers.shape
    sizes = (width, height, 4, *[SLOT_STATES] * (start.shape[1] - 3), missions.legs + 1)
    row, agent = np.arange(count), start.astype(np.int64)
    leg = missions.advance(np.zeros(count, np.int64), agent)
    found = np.where(leg == missions.legs, 0, -1)
    seen = np.zeros((count, int(np.prod(sizes))), dtype=bool)
    for step in range(1, longest + 1):
        open_rows = found[row] < 0
        row, agent, leg = row[open_rows], agent[open_rows], leg[open_rows]
        if not len(row):
            break
        row, agent, leg = (np.repeat(part, len(actions), 0) for part in (row, agent, leg))
        agent = step_agents(barriers[row], agent, np.tile(actions, len(row) // len(actions)))
        allowed = ~missions.avoid[row, agent[:, 0], agent[:, 1]]
        row, agent, leg = row[allowed], agent[allowed], leg[allowed]
        leg = missions.advance(leg, agent, row)
        code = np.ravel_multi_index((*agent.T, leg), sizes)
        _, first = np.unique(row * seen.shape[1] + code, return_index=True)
        new = first[~seen[row[first], code[first]]]
        row, agent, leg = row[new], agent[new], leg[new]
        seen[row, code[new]] = True
        found[row[leg == missions.legs]] = step
    return found

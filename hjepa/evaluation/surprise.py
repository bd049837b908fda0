"""Surprise: how little a level expected what came, and which broken rules of the world it notices.

The surprise of a level at one of its steps is the squared error of its prediction; of a level with codes that nobody
tells it, those of outcomes or of a latent variable, the soft minimum over codes weighted by their prior,

    -2 σ² log sum over codes c of  p(c | z) exp(-|P(z, c) - z'|² / 2 σ²).

Calibrated on held-out trajectories it becomes a p-value, the share of ordinary steps that surprise as much, which is
comparable between levels and needs no threshold in units of a latent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hjepa.errors import InputError
from hjepa.evaluation.violations import Violated, violate
from hjepa.model.perception import draw
from hjepa.model.stack import Stack
from hjepa.tensors import as_tensor
from tasks import TrajectoryStore
from tasks.randomness import keyed_generator

BLOCK = 64
"""Windows that are seen at once, each on a floor plan of its own."""

ALARM = 0.01
"""p-value at which a step counts as a violation."""


@torch.no_grad()
def surprise(
    stack: Stack, agent: Tensor, action: Tensor, memories: Sequence[Tensor | None]
) -> list[np.ndarray]:
    """Of every level at each of its steps.

    Args:
        stack: its levels.
        agent: (P, n, L, ...) observations or told agents, L - 1 a multiple of the top level's span.
        action: (P, n, L - 1) primitive actions, or (P, n, L - 1, 2) continuous ones.
        memories: from `Stack.write`.

    Returns:
        per level (P, n, (L - 1) / span).
    """
    found, spans = [], stack.config.spans
    latents = stack.encode(agent, memories)
    for k, latent in enumerate(latents):
        level, moments = stack.level(k), latent[:, :, :: spans[k]]
        now, following = moments[:, :, :-1].flatten(1, 2), moments[:, :, 1:].flatten(1, 2)
        condition = level.condition(now, memories[k])
        coded = level.settings.macro_action == "outcome"
        taken = None if coded else stack.window_actions(k, agent, action, memories).flatten(1, 2)
        if coded or level.settings.latent_variable is not None:
            outcomes, logits = level.outcomes(now, condition, taken)
            error = (outcomes - following.unsqueeze(2)).square().sum(-1)
            scale = 2 * (level.settings.sigma**2 if level.variable is None else level.variable.variance)
            value = -scale * (logits.log_softmax(-1) - error / scale).logsumexp(-1)
        else:
            assert taken is not None
            value = (level.advance(now, condition, taken) - following).square().sum(-1)
        found.append(value.view(*moments.shape[:2], -1).cpu().numpy())
    return found


class Calibration:
    """What ordinary steps surprise a level with.

    Args:
        ordinary: surprises (n,) at steps of held-out trajectories.

    Raises:
        InputError: none, or one that is no number.
    """

    def __init__(self, ordinary: np.ndarray) -> None:
        if not ordinary.size or not np.isfinite(ordinary).all():
            raise InputError(
                f"{ordinary.size} surprises, not all of them numbers",
                "calibration",
                "give held-out trajectories",
            )
        self.ordinary = np.sort(ordinary, axis=None)

    def p_value(self, found: np.ndarray) -> np.ndarray:
        """The share of ordinary steps, the one in question counted among them, that surprise at least as much."""
        as_much = self.ordinary.size - np.searchsorted(self.ordinary, found, side="left")
        return np.asarray((1 + as_much) / (1 + self.ordinary.size))


def auroc(violations: np.ndarray, controls: np.ndarray) -> float:
    """The chance that a violation surprises more than a control, ties counted half (Mann and Whitney 1947).

    Args:
        violations: (n,).
        controls: (m,).

    Raises:
        InputError: either is empty.
    """
    if not violations.size or not controls.size:
        raise InputError(f"{violations.size} violations, {controls.size} controls", "auroc", "give both")
    ordered = np.sort(controls)
    below = np.searchsorted(ordered, violations, side="left")
    upto = np.searchsorted(ordered, violations, side="right")
    return float((below + upto).mean() / (2 * controls.size))


@dataclass(frozen=True, eq=False)
class Scores:
    """How much a level was surprised at the steps of one violation, and at the same steps of the controls.

    Attributes:
        level: its number, from 1.
        violation: which.
        plan: (B,) floor-plan seeds.
        broken, control: (B,) surprises.
        p_broken, p_control: (B,) p-values among ordinary steps.
    """

    level: int
    violation: str
    plan: np.ndarray
    broken: np.ndarray
    control: np.ndarray
    p_broken: np.ndarray
    p_control: np.ndarray


@dataclass(frozen=True)
class Noticed:
    """How a level notices a violation.

    Attributes:
        level: its number, from 1.
        violation: which.
        windows, plans: how many with it, and as many controls; from how many floor plans.
        auroc, lo, hi: and its 95 % interval, floor plans drawn anew.
        alarms: share of violations whose p-value is at most `ALARM`.
        false_alarms: the same of controls.
    """

    level: int
    violation: str
    windows: int
    plans: int
    auroc: float
    lo: float
    hi: float
    alarms: float
    false_alarms: float


def score(
    stack: Stack,
    calibrating: TrajectoryStore,
    testing: TrajectoryStore,
    kinds: Sequence[str],
    seed: int = 0,
    windows: int = 512,
    plans: int = 32,
) -> list[Scores]:
    """How much every level of a stack is surprised by violations in a world of cells.

    Args:
        stack: seeing or told.
        calibrating: trajectories on floor plans that it was not trained on; nothing in them is changed.
        testing: others, which violations are made in.
        kinds: of `hjepa.evaluation.violations.VIOLATIONS`.
        seed: of everything drawn.
        windows: drawn for each; of those with a violation, the ones where it can happen.
        plans: floor plans that they come from.

    Raises:
        InputError: a violation that is not known or cannot happen in these data.
    """
    span = stack.config.spans[-1]
    made = {kind: violate(testing, kind, keyed_generator(seed, kind), windows, span, plans) for kind in kinds}
    drawn = calibrating.windows(
        keyed_generator(seed, "calibration"), windows // plans * plans, 2 * span + 1, plans
    )
    ordinary = Ordinary(calibrating.grids[drawn.grid_index[:, 0]], drawn.agent, drawn.action)
    return score_pairs(stack, ordinary, made)


@dataclass(frozen=True, eq=False)
class Ordinary:
    """B windows of L observations in which nothing is broken.

    Attributes:
        grid: (B, W, H, 3) floor plans; None: observations are what is seen.
        observation: (B, L, A) agents, or (B, L, ...) what is seen.
        action: (B, L - 1).
    """

    grid: np.ndarray | None
    observation: np.ndarray
    action: np.ndarray


def score_pairs(stack: Stack, ordinary: Ordinary, made: Mapping[str, Violated]) -> list[Scores]:
    """How much every level is surprised by violations that are made already, by kind, after what is ordinary."""
    usual = [
        Calibration(level.ravel())
        for level in surprise_of_windows(stack, ordinary.grid, ordinary.observation, ordinary.action)
    ]
    found = []
    for kind, pair in made.items():
        sides = [_at(stack, pair, agents) for agents in (pair.broken, pair.control)]
        for k, (broken, control) in enumerate(zip(*sides)):
            p_values = [usual[k].p_value(side) for side in (broken, control)]
            found.append(Scores(k + 1, kind, pair.plan, broken, control, *p_values))
    return found


def noticed(scores: Scores, seed: int = 0) -> Noticed:
    """What scores come to; the seed draws floor plans for the interval."""
    rng = keyed_generator(seed, f"{scores.violation} {scores.level - 1}")
    lo, hi = _interval(scores.broken, scores.control, scores.plan, rng)
    return Noticed(
        level=scores.level,
        violation=scores.violation,
        windows=len(scores.broken),
        plans=len(np.unique(scores.plan)),
        auroc=auroc(scores.broken, scores.control),
        lo=lo,
        hi=hi,
        alarms=float((scores.p_broken <= ALARM).mean()),
        false_alarms=float((scores.p_control <= ALARM).mean()),
    )


def as_lists(scores: Scores) -> dict[str, Any]:
    """Scores as plain values, one entry per trajectory, to six significant digits."""
    return {
        name: [float(f"{each:.6g}") if value.dtype.kind == "f" else int(each) for each in value]
        if isinstance(value, np.ndarray)
        else value
        for name, value in vars(scores).items()
    }


def from_lists(found: Mapping[str, Any]) -> Scores:
    """The inverse of `as_lists`."""
    arrays = {name: np.asarray(value) for name, value in found.items() if isinstance(value, list)}
    return Scores(int(found["level"]), str(found["violation"]), **arrays)


def as_row(noticed: Noticed) -> dict[str, Any]:
    """Plain values, rounded to what they are worth."""
    return {
        name: round(value, 4) if isinstance(value, float) else value for name, value in vars(noticed).items()
    }


def surprise_of_windows(
    stack: Stack, grid: np.ndarray | None, agent: np.ndarray, action: np.ndarray
) -> Iterator[np.ndarray]:
    """Of every level in windows, each with the memory of its first observation.

    Args:
        stack: seeing or told.
        grid: (B, W, H, 3) floor plans; None: observations are what is seen.
        agent: (B, L, A) agents, or (B, L, ...) what is seen; L - 1 is a multiple of the top level's span.
        action: (B, L - 1).

    Returns:
        per level (B, (L - 1) / span), one after another.
    """
    parts, sight = [], stack.world.sight
    device = stack.step_distance.device
    for first in range(0, len(agent), BLOCK):
        rows = slice(first, first + BLOCK)
        own, length = agent[rows], agent.shape[1]
        plan = None if grid is None else grid[rows]
        if plan is None:
            seen = torch.from_numpy(np.ascontiguousarray(own))
            context = seen[:, 0]
        elif sight is None:
            seen, context = as_tensor(np.ascontiguousarray(own)), torch.from_numpy(np.ascontiguousarray(plan))
        else:
            shown = draw(sight, np.repeat(plan, length, 0), own.reshape(-1, own.shape[-1]))
            seen = torch.from_numpy(shown.reshape(*own.shape[:2], *sight.shape))
            context = seen[:, 0]
        done = as_tensor(np.ascontiguousarray(action[rows])).unsqueeze(1).to(device)
        memories = stack.write(context.to(device))
        parts.append([part[:, 0] for part in surprise(stack, seen.unsqueeze(1).to(device), done, memories)])
    return (np.concatenate(level) for level in zip(*parts))


def _at(stack: Stack, made: Violated, agents: np.ndarray) -> list[np.ndarray]:
    """Surprises (B,) of each level at the step that holds the violation."""
    rows = np.arange(len(agents))
    levels = surprise_of_windows(stack, made.grid, agents, made.action)
    return [found[rows, (made.moment - 1) // span] for found, span in zip(levels, stack.config.spans)]


def _interval(
    broken: np.ndarray, control: np.ndarray, plan: np.ndarray, rng: np.random.Generator, draws: int = 500
) -> tuple[float, float]:
    """95 % of the areas that other floor plans would give: whole floor plans are drawn anew."""
    of_plan = [np.flatnonzero(plan == seed) for seed in np.unique(plan)]
    values = []
    for _ in range(draws):
        rows = np.concatenate([of_plan[i] for i in rng.integers(0, len(of_plan), len(of_plan))])
        values.append(auroc(broken[rows], control[rows]))
    lo, hi = np.quantile(values, (0.025, 0.975))
    return float(lo), float(hi)

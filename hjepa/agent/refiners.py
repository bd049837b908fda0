"""The refiners of `hjepa.planner_names`, made of the settings of planning."""

from __future__ import annotations

from hjepa.settings import PlanSettings
from planners.cross_entropy import CategoricalRefiner, ColouredRefiner
from planners.refiners import AdamRefiner, NoRefiner, Refiner, RefitRefiner


def adam(settings: PlanSettings) -> Refiner:
    """Gradient steps on the actions."""
    return AdamRefiner(settings.iterations, settings.learning_rate, settings.elites, settings.patience)


def cem(settings: PlanSettings) -> Refiner:
    """Rounds of sampling, fitted to the elites."""
    return RefitRefiner(settings.iterations)


def mppi(settings: PlanSettings) -> Refiner:
    """Rounds of sampling, fitted to all by their weights."""
    return RefitRefiner(settings.iterations, elites=None)


def icem(settings: PlanSettings) -> Refiner:
    """Rounds of coloured sampling, fewer in each, with elites kept."""
    return ColouredRefiner(settings.iterations)


def categorical_cem(settings: PlanSettings) -> Refiner:
    """Rounds of sampling from a categorical distribution per step."""
    return CategoricalRefiner(settings.iterations)


def sampling(settings: PlanSettings) -> Refiner:
    """Candidates as they are."""
    return NoRefiner()

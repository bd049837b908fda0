"""Search in any differentiable model: propose, refine, select; and a top-down planner over a list of models.

Nothing here has heard of JEPA or of an environment. A model is whatever satisfies `planners.protocols.Model`;
the tests plan in models written by hand.

How to choose:

| refiner | for |
|---|---|
| `AdamRefiner` | the default: gradient descent from many starts, discrete actions relaxed on the simplex |
| `RefitRefiner` | no gradients: cross-entropy method (elites) or MPPI (softmax weights) |
| `CategoricalRefiner` | discrete actions: a smoothed categorical distribution per step, fitted to elites |
| `ColouredRefiner` | iCEM: coloured noise, elites kept, fewer candidates in every round |
| `NoRefiner` | what the proposals alone achieve; with `EnumerationProposal` exhaustive search |

Shapes: E episodes, N candidates, H steps, D numbers per latent, A per action: ``(E, N, H, D)``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planners.cross_entropy import CategoricalRefiner, ColouredRefiner
    from planners.objectives import GoalCost, SubgoalCost, SumCost, SupportCost
    from planners.planner import Planner
    from planners.proposals import EnumerationProposal, PriorProposal
    from planners.protocols import Plan, Problem
    from planners.refiners import AdamRefiner, NoRefiner, RefitRefiner
    from planners.spaces import Box, Simplex

# Public name -> the module that defines it.
_HOMES = {
    "AdamRefiner": "refiners",
    "Box": "spaces",
    "CategoricalRefiner": "cross_entropy",
    "ColouredRefiner": "cross_entropy",
    "EnumerationProposal": "proposals",
    "GoalCost": "objectives",
    "NoRefiner": "refiners",
    "Plan": "protocols",
    "Planner": "planner",
    "PriorProposal": "proposals",
    "Problem": "protocols",
    "RefitRefiner": "refiners",
    "Simplex": "spaces",
    "SubgoalCost": "objectives",
    "SumCost": "objectives",
    "SupportCost": "objectives",
}

__all__ = [
    "AdamRefiner",
    "Box",
    "CategoricalRefiner",
    "ColouredRefiner",
    "EnumerationProposal",
    "GoalCost",
    "NoRefiner",
    "Plan",
    "Planner",
    "PriorProposal",
    "Problem",
    "RefitRefiner",
    "Simplex",
    "SubgoalCost",
    "SumCost",
    "SupportCost",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'planners' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"planners.{_HOMES[name]}"), name)

"""Stacks of joint-embedding predictive levels that learn from trajectories and plan top down.

`import hjepa` registers the tasks with Gymnasium (`hjepa._registration`). The public names load on first use, so it is
quick and needs no torch:

- `load_stack`: a trained `Stack` from the name of shipped weights or a run folder;
- `Stack`: the levels, bottom up; `stack.truncate(n)` is its n-level form;
- `Agent`, `AgentOptions`: plans top down in a stack and acts in an environment, and what it is made of;
- `fit`, `evaluate`, `watch`: training, evaluation and a closer look at a few episodes;
- `Evaluation`: what `evaluate` and `watch` take, unless a task's id and keywords say it;
- `figures`: drawing plans, subgoals and costs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hjepa._guard import check_pillars

check_pillars()
import_module("hjepa._registration").register_with_gymnasium()

if TYPE_CHECKING:
    from hjepa import figures
    from hjepa.agent.agent import Agent
    from hjepa.agent.options import AgentOptions
    from hjepa.errors import InputError
    from hjepa.evaluation.evaluate import evaluate, watch
    from hjepa.evaluation.held_out import Evaluation
    from hjepa.model.checkpoints import load_stack
    from hjepa.model.stack import Stack
    from hjepa.training.fit import fit

__all__ = [
    "Agent",
    "AgentOptions",
    "Evaluation",
    "InputError",
    "Stack",
    "evaluate",
    "figures",
    "fit",
    "load_stack",
    "watch",
]

# Public name -> the module that defines it.
_HOMES = {
    "Agent": "hjepa.agent.agent",
    "AgentOptions": "hjepa.agent.options",
    "Evaluation": "hjepa.evaluation.held_out",
    "InputError": "hjepa.errors",
    "Stack": "hjepa.model.stack",
    "evaluate": "hjepa.evaluation.evaluate",
    "fit": "hjepa.training.fit",
    "load_stack": "hjepa.model.checkpoints",
    "watch": "hjepa.evaluation.evaluate",
}

_MODULES = ("figures",)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("hjepa")
        except PackageNotFoundError:
            return "0+uninstalled"
    if name in _MODULES:
        return import_module(f"hjepa.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'hjepa' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})

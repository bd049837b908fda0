"""Stacks of joint-embedding predictive levels that learn from unlabelled trajectories and plan top down.

The public names load on first use, so `import hjepa` is quick and needs no torch:

- `load_stack`: a trained `Stack` from the name of shipped weights or a run folder;
- `Stack`: the levels, bottom up; `stack.truncate(n)` is its n-level form;
- `Agent`: plans top down in a stack and acts in an environment;
- `fit`, `evaluate`, `watch`: training, evaluation and a closer look at a few episodes;
- `figures`: drawing plans, subgoals and costs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hjepa._guard import check_pillars

check_pillars()

if TYPE_CHECKING:
    from hjepa import figures
    from hjepa.agent import Agent
    from hjepa.checkpoints import load_stack
    from hjepa.errors import InputError
    from hjepa.evaluation import evaluate, watch
    from hjepa.stack import Stack
    from hjepa.training import fit

__all__ = ["Agent", "InputError", "Stack", "evaluate", "figures", "fit", "load_stack", "watch"]

# Public name -> the module that defines it; a name that equals its module's last part is the module itself.
_HOMES = {
    "Agent": "hjepa.agent",
    "InputError": "hjepa.errors",
    "Stack": "hjepa.stack",
    "evaluate": "hjepa.evaluation",
    "figures": "hjepa.figures",
    "fit": "hjepa.training",
    "load_stack": "hjepa.checkpoints",
    "watch": "hjepa.evaluation",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("hjepa")
        except PackageNotFoundError:
            return "0+uninstalled"
    if name not in _HOMES:
        raise AttributeError(f"module 'hjepa' has no attribute {name!r}; it has {', '.join(__all__)}")
    module = import_module(_HOMES[name])
    value = module if name == _HOMES[name].rpartition(".")[2] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})

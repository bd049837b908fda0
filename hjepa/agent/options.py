"""What an agent is made of beside its stack: one value of objects, checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass

from hjepa.errors import InputError
from hjepa.gridworld.configurator import Configurator
from hjepa.gridworld.guardrails import Guardrail
from hjepa.gridworld.short_term_memory import Remembering
from hjepa.model.perception import Perception
from hjepa.settings import PlanSettings

DEFAULT_TFLOPS = 0.01
"""Compute per episode where neither the options nor a task say how much."""


@dataclass(frozen=True)
class AgentOptions:
    """The parts of an agent; what is None has the default of the stack or of the task.

    Attributes:
        levels: how many levels of the stack to use; None: all.
        budget_tflops: compute per episode, in TFLOP; the number of candidates follows from it. None: the task's.
        settings: of planning; None: the stack's own.
        record: keep every decision, for figures and diagnosis.
        guardrails: cells that no plan may lead through, see `hjepa.gridworld.guardrails`; None: those of the task, of
            which only lava has one.
        memory: of what has been seen, see `hjepa.gridworld.short_term_memory`; None: the task's, a map where the world
            is seen in parts.
        perception: what it sees with, see `hjepa.model.perception`; None: what the stack was trained on.
        configurator: what sets planning for missions and distances; None: `hjepa.gridworld.configurator.LegByLeg`.

    Raises:
        InputError: a number below what there can be, or a name in the place of an object.
    """

    levels: int | None = None
    budget_tflops: float | None = None
    settings: PlanSettings | None = None
    record: bool = False
    guardrails: tuple[Guardrail, ...] | None = None
    memory: Remembering | None = None
    perception: Perception | None = None
    configurator: Configurator | None = None

    def __post_init__(self) -> None:
        if self.levels is not None and self.levels < 1:
            raise InputError(f"{self.levels} levels", "levels", "give 1 or more")
        if self.budget_tflops is not None and not self.budget_tflops > 0:
            raise InputError(f"budget of {self.budget_tflops} TFLOP", "budget", "give a positive budget")
        for name, kind in (("settings", PlanSettings), ("memory", Remembering)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise InputError(f"{name} {value!r}", "agent", f"give a {kind.__name__}")
        if self.guardrails is None:
            return
        # Any sequence may be given; a value that cannot be changed is kept.
        object.__setattr__(self, "guardrails", tuple(self.guardrails))
        for guardrail in self.guardrails:
            if not isinstance(guardrail, Guardrail):
                raise InputError(
                    f"guardrail {guardrail!r}", "agent", "give a Lava, a Region, a Rule or your own"
                )

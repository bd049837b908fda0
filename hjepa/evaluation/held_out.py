"""What an evaluation is: held-out episodes, and the agent that plans them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from hjepa.agent.options import AgentOptions
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import SPLITS, TASK_KINDS, check_oracle
from hjepa.gridworld.guardrails import sample_zones
from hjepa.gridworld.missions import mission_text, read_mission, sample_missions
from hjepa.gridworld.short_term_memory import remembering
from hjepa.model.pixels import perception_of
from hjepa.model.stack import Stack
from tasks import EpisodeBatch, TaskSpec, sample_episodes, task_spec
from tasks.missions import MissionBatch


@dataclass(frozen=True)
class Evaluation:
    """Held-out episodes of a task, and the agent that plans them. Results are a function of it and the stack.

    Attributes:
        task: of the episodes.
        agent: what plans them.
        episodes: how many.
        seed: of the episodes, and of the planner's noise on them.
        split: of the floor plans: train, validation or test.
        tasks: kind of episodes; None: the task's first.
        oracle: a part of the agent that is replaced by the truth, see `hjepa.evaluation.oracles`; None: nothing is.
        zones: forbid cells across the way of every episode, see `hjepa.gridworld.guardrails.sample_zones`; the agent is
            told, unless it has guardrails of its own or none.
        mission: what to do instead of reaching the goal, see `hjepa.gridworld.missions.read_mission`; a file is read
            once, when this is made.
        diagnostics: measure what every level knows and does, see `hjepa.evaluation.diagnostics`.
        episode_batch: episodes planned at once, which never changes the result; None: chosen.

    Raises:
        InputError: a value that cannot work, alone or beside another.
    """

    task: TaskSpec
    agent: AgentOptions = field(default_factory=AgentOptions)
    episodes: int = 200
    seed: int = 0
    split: str = "test"
    tasks: str | None = None
    oracle: str | None = None
    zones: bool = False
    mission: str | None = None
    diagnostics: bool = False
    episode_batch: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("episodes", self.episodes, 1),
            ("seed", self.seed, 0),
            ("episode batch", self.episode_batch, 1),
        ):
            if value is not None and value < least:
                raise InputError(f"{name} {value}", "evaluation", f"give {least} or more")
        for name, word, known in (("split", self.split, SPLITS), ("tasks", self.tasks, TASK_KINDS)):
            if word is not None and word not in known:
                raise InputError(f"{name} {word!r}", "evaluation", f"choose from {', '.join(known)}")
        if self.oracle is not None:
            check_oracle(self.oracle)
        if self.mission is not None:
            object.__setattr__(self, "mission", mission_text(self.mission))
            if self.zones or self.oracle is not None:
                other = "zones" if self.zones else "an oracle"
                raise InputError(
                    f"mission {self.mission!r} with {other}", "evaluation", "leave one of them out"
                )
        if self.diagnostics and self.task.view:
            raise InputError(
                f"diagnostics on {self.task.id}", "plan", "they know the whole floor plan; plan without"
            )

    @staticmethod
    def of(stack: Stack, task: str | TaskSpec, **words: Any) -> Evaluation:
        """An evaluation in words: ``Evaluation.of(stack, "hjepa/NestedRooms-d3-v0", levels=2, episodes=20)``.

        Args:
            stack: that is going to be evaluated.
            task: or its id.
            **words: fields of `Evaluation` and of its `AgentOptions`, side by side; ``memory`` and ``perception`` may
                be names (`hjepa.gridworld.short_term_memory.remembering`, `hjepa.model.pixels.perception_of`), and
                ``unguarded=True`` leaves all guardrails out.

        Raises:
            InputError: a word that is not known, or a value that cannot work.
        """
        try:
            spec = task_spec(task) if isinstance(task, str) else task
        except ValueError as error:
            raise InputError(str(error)) from error
        if words.pop("unguarded", False):
            words["guardrails"] = ()
        named: dict[str, Callable[[str], Any]] = {
            "memory": remembering,
            "perception": lambda name: perception_of(stack, spec, name),
        }
        for name, find in named.items():
            if isinstance(words.get(name), str):
                words[name] = find(words[name])
        own, parts = ({each.name for each in fields(kind)} for kind in (Evaluation, AgentOptions))
        own -= {"task", "agent"}
        for name in words.keys() - own - parts:
            known = ", ".join(sorted(own | parts | {"unguarded"}))
            raise InputError(f"an evaluation has no {name!r}", "", f"choose from {known}")
        agent = AgentOptions(**{name: value for name, value in words.items() if name in parts})
        return Evaluation(spec, agent, **{name: value for name, value in words.items() if name in own})


@dataclass(frozen=True)
class HeldOut:
    """The episodes of an evaluation.

    Attributes:
        episodes: E of them.
        zones: (E, W, H) bool, cells that are forbidden beside what the world shows; None: none are.
        missions: one each; None: the goal is to be reached.
    """

    episodes: EpisodeBatch
    zones: np.ndarray | None = None
    missions: MissionBatch | None = None


def draw(evaluation: Evaluation) -> HeldOut:
    """The episodes of an evaluation.

    Raises:
        InputError: episodes that the task has not.
    """
    spec, which = evaluation.task, (evaluation.split, evaluation.tasks)
    count, seed = evaluation.episodes, evaluation.seed
    if evaluation.mission is not None:
        found, missions = sample_missions(spec.id, read_mission(evaluation.mission), *which, count, seed)
        return HeldOut(found, missions=missions)
    if evaluation.zones:
        return HeldOut(*sample_zones(spec.id, *which, count, seed))
    return HeldOut(sample_episodes(spec.id, *which, episodes=count, seed=seed))

"""OGBench's point mazes (arXiv 2410.20092) as tasks: ``hjepa.integrations.ogbench:ogbench/pointmaze-giant-v1``.

The environment is OGBench's own, in MuJoCo (``pip install 'hjepa[ogbench]'``), its five tasks a maze, its noise in
starts and goals, its success (a goal within 1, where a cell of the maze has 4 and a step at most 0.2 along each axis)
and its 1,000 steps. It draws from NumPy's global generator; here all that is drawn is a function of the seed of the
reset, so that an episode repeats itself.

Trajectories that are collected here are not OGBench's data: those are imported by ``hjepa collect --from FILE.npz``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np

from tasks.floorplans import split_seeds

MAZES = ("medium", "large", "giant", "teleport")
STARTS = ("tasks", "anywhere")

STEPS = 1000
"""Of an episode, as published."""

_LARGEST = 2**32
"""Seeds of NumPy's global generator are below."""


class PointMaze(gymnasium.Wrapper[Any, Any, Any, Any]):
    """One of OGBench's point mazes.

    Args:
        maze: one of `MAZES`.
        starts: ``tasks``: seed s begins task 1 + s mod 5; ``anywhere``: so do seeds that are held out
            (`tasks.floorplans.SPLITS`), and with those of training start and goal are any two open cells.
        repeat: OGBench's steps that an action is done for; an episode stays as long as before.
        **arguments: of OGBench's environment.

    Raises:
        ValueError: another maze, other starts, or no number of steps.
        ImportError: OGBench is not installed.
    """

    def __init__(self, maze: str, starts: str = "tasks", repeat: int = 1, **arguments: Any) -> None:
        if maze not in MAZES:
            raise ValueError(f"maze is {maze!r}; choose from {', '.join(MAZES)}")
        if starts not in STARTS:
            raise ValueError(f"starts is {starts!r}; choose from {', '.join(STARTS)}")
        if not isinstance(repeat, int) or not 1 <= repeat <= STEPS:
            raise ValueError(f"repeat is {repeat!r}; give a whole number from 1 to {STEPS}")
        try:
            import ogbench  # noqa: F401 - registers its environments
        except ImportError as error:
            raise ImportError(f"{error}; pip install 'hjepa[ogbench]'") from error

        # It writes its XML to a temporary file, reads it once and leaves it.
        before = tempfile.tempdir
        with tempfile.TemporaryDirectory() as folder:
            tempfile.tempdir = folder
            try:
                made = gymnasium.make(f"pointmaze-{maze}-v0", disable_env_checker=True, **arguments)
            finally:
                tempfile.tempdir = before
        super().__init__(made.unwrapped)
        self.max_steps = -(-STEPS // repeat)
        self._starts, self._repeat, self._done = starts, repeat, 0
        self._drawn = np.random.RandomState(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the task of a seed, or the one in ``options``, which are OGBench's; ``info["goal"]`` is what is seen
        at the goal."""
        number = int(self.np_random.integers(_LARGEST)) if seed is None else seed
        self._drawn = np.random.RandomState(number % _LARGEST)
        self.env.action_space.seed(number)
        self._done = 0
        with self._drawing():
            seen, info = self.env.reset(seed=number, options=options or self._task(number))
        return seen, {"goal": info["goal"]}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See Gymnasium; the rewards of repeated steps add up, and teleports draw where they lead."""
        if self._done >= STEPS:
            raise ValueError("step after the end of the episode; call reset first")
        paid = 0.0
        with self._drawing():
            for _ in range(min(self._repeat, STEPS - self._done)):
                seen, reward, terminated, truncated, info = self.env.step(action)
                paid, self._done = paid + float(reward), self._done + 1
                if terminated:
                    break
        return seen, paid, terminated, truncated or self._done >= STEPS, info

    def _task(self, seed: int) -> dict[str, Any]:
        inner: Any = self.env
        if self._starts == "tasks" or seed not in split_seeds("train"):
            return {"task_id": 1 + seed % inner.num_tasks}
        cells = np.argwhere(inner.maze_map == 0)
        start, goal = (tuple(cells[k].tolist()) for k in self._drawn.choice(len(cells), 2, replace=False))
        return {"task_info": {"task_name": "anywhere", "init_ij": start, "goal_ij": goal}}

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Let the environment draw from this episode's own numbers where it asks NumPy's global generator."""
        outside = np.random.get_state()  # noqa: NPY002 - it is what OGBench draws from
        np.random.set_state(self._drawn.get_state())  # noqa: NPY002
        try:
            yield
        finally:
            self._drawn.set_state(np.random.get_state())  # noqa: NPY002
            np.random.set_state(outside)  # noqa: NPY002


def register_mazes() -> None:
    """Register the mazes with Gymnasium; ids that are registered already are left alone."""
    for maze in MAZES:
        name = f"ogbench/pointmaze-{maze}-v1"
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point="hjepa.integrations.ogbench:PointMaze",
                kwargs={"maze": maze},
                max_episode_steps=STEPS,
            )


register_mazes()

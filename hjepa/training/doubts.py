"""What a person is told about a configuration that can be trained, and will hardly learn."""

from __future__ import annotations

import warnings

from hjepa.settings import RunConfig
from levels.settings import World


class DoorsWarning(UserWarning):
    """Levels that are told a floor plan cannot tell its doors apart."""


def warn_of_doors(config: RunConfig, world: World) -> None:
    """Warn where several doors look alike to a level that is told whether each is open.

    The agent vector lists the states of doors by their number, so a level that reads doors without numbers knows that
    one is open, and not which: such a stack has solved nothing in worlds of several doors.

    Args:
        config: of the run.
        world: its world.
    """
    if world.sight is not None or world.doors < 2:
        return
    short = [
        number
        for number, level in enumerate(config.levels, 1)
        if level.memory is not None and level.memory.numbers < world.doors
    ]
    if short:
        settings = ", ".join(f"levels.{number - 1}.memory.numbers={world.doors}" for number in short)
        warnings.warn(
            f"there are up to {world.doors} doors, which memory cannot tell apart at level"
            f" {', '.join(map(str, short))}: set {settings}",
            DoorsWarning,
            stacklevel=2,
        )

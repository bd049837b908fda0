"""What an agent that sees is shown: pictures of the starts of tasks, and of their goals."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hjepa.errors import InputError
from hjepa.figures.style import BODY, FAINT, INK, TITLE, new_figure
from tasks import World, plain_tasks

SENSE = "image"


def starts_and_goals(world: World, count: int = 5) -> Figure:
    """The first tasks of a world, one a column: the picture at the start, and below it the picture of the goal.

    Args:
        world: from `tasks.make_world`; it is reset.
        count: tasks.

    Raises:
        InputError: no tasks, or a world without pictures or whose goals show none.
    """
    if count < 1:
        raise InputError(f"{count} tasks", "figures", "give 1 or more")
    if SENSE not in world.spec.senses:
        raise InputError(f"a world without {SENSE!r}", "figures", f"it shows {', '.join(world.spec.senses)}")
    seen = world.reset(plain_tasks(np.arange(count)))[SENSE]
    goals = world.goal()
    if goals is None or SENSE not in goals:
        raise InputError("goals without a picture", "figures", "put what is seen there into info['goal']")
    figure = new_figure(2.2 * count, 5.1)
    rows = (("start", seen), ("goal", goals[SENSE]))
    for panels, (name, pictures) in zip(figure.subplots(2, count, squeeze=False), rows):
        for number, panel in enumerate(panels):
            panel.imshow(pictures[number], interpolation="nearest", gid=f"{name}-{number}")
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_color(FAINT)
            if name == "start":
                panel.set_title(f"task {number}", fontsize=BODY)
            if number == 0:
                panel.set_ylabel(f"seen at the {name}", fontsize=BODY)
    figure.suptitle(
        f"{count} tasks, as the agent is shown them", fontsize=TITLE, fontweight="bold", color=INK
    )
    return figure

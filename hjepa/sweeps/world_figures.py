"""Pictures of the episodes of a request in a world that renders itself: a film strip and a moving picture of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hjepa.agent.agent import Agent
from hjepa.errors import InputError
from hjepa.evaluation.plan_request import PlanRequest
from hjepa.evaluation.worlds import begin_world, play_world, within_budget
from hjepa.explorer.seen import Watched
from hjepa.sweeps.plan_cells import Cell
from hjepa.sweeps.plan_figures import file_name
from hjepa.sweeps.plan_worlds import WorldGoals, cells_in_world, opened
from tasks.world_pictures import goal_pictures, open_rendered, pictures

TOGETHER = 5
"""Tasks played at once: an environment of each is open, with all that it shows."""

MOMENTS = 6
"""Of an episode in its film strip, evenly from the start to the end; the goal comes behind them."""

SIDE = 180
"""Pixels of the longer side of a picture: small ones grow by a whole factor to at least this, large ones shrink."""

MARGIN, LINE = 8, 18
"""Pixels around a picture, and of a line of text."""

PACE, HELD = 100, 1500
"""Milliseconds of a step of a moving picture, and for which its end stands still."""


def check_pictured(request: PlanRequest, asked: WorldGoals) -> None:
    """Whether there is anything to draw.

    Raises:
        InputError: the world renders nothing and what it shows is no picture; or the request cannot work.
    """
    stack, content, store = opened(request, asked.data)
    cell = next(cells_in_world(request, stack, content, store, asked))
    world, _, tasks = begin_world(replace(cell.asked, episodes=1), open_rendered)
    shown = pictures(world, world.reset(tasks))
    world.close()
    if shown is None:
        raise InputError(
            f"--figures in {world.spec.id}", "plan", "it renders nothing, and shows no picture; leave it out"
        )


def draw_in_world(
    request: PlanRequest, asked: WorldGoals, folder: Path, tell: Callable[[int, int], None] | None = None
) -> int:
    """Play every episode once more, which gives the same bits, and draw what the world looked like.

    Args:
        request: that `check_pictured` lets pass.
        asked: its goals.
        folder: gets a PNG and a GIF of each episode, named as by `hjepa.sweeps.plan_figures.draw_plans`.
        tell: called with the episodes drawn so far and all of them.

    Returns:
        episodes drawn.
    """
    stack, content, store = opened(request, asked.data)
    cells = [*cells_in_world(request, stack, content, store, asked)]
    levels = request.levels or range(1, stack.depth + 1)
    folder.mkdir(parents=True, exist_ok=True)
    done, every = 0, len(cells) * len(levels) * request.episodes
    if tell is not None:
        tell(0, every)
    for cell in cells:
        world, name, tasks = begin_world(cell.asked, open_rendered)
        options, steps = within_budget(cell.asked.agent, world.spec), world.spec.step_budget
        goals = goal_pictures(world, tasks)
        for count in levels:
            agent = Agent(stack, steps, replace(options, levels=count))
            named = Cell(cell.seed, None, count, agent.settings.metric, cell.planner, cell.budget_tflops)
            for first in range(0, request.episodes, TOGETHER):
                rows = np.arange(first, min(first + TOGETHER, request.episodes))
                watched = Watched(world, name)
                results = play_world(agent, world, tasks.select(rows), first, cell.seed, name, watched)
                for row, number in enumerate(rows.tolist()):
                    walked = watched.shown[: int(results.steps[row]) + 1]
                    frames = [one[row] for one in walked if one is not None]
                    how = "reached the goal" if results.success[row] else "did not reach the goal"
                    text = (
                        f"{world.spec.id}, episode {number}, {count} level{'s' if count > 1 else ''}:"
                        f" {how} in {int(results.steps[row])} steps"
                    )
                    goal = None if goals is None else goals[number]
                    file = folder / file_name(request, named, number)
                    strip(frames, goal, text).save(f"{file}.png")
                    save_film(frames, goal, f"{file}.gif")
                    done += 1
                    if tell is not None:
                        tell(done, every)
        world.close()
    return done


def strip(frames: Sequence[np.ndarray], goal: np.ndarray | None, title: str) -> Image.Image:
    """An episode as a row of pictures: its start, some moments, its end, and the goal.

    Args:
        frames: (H, W, 3) uint8 of every step, the start included.
        goal: picture of it; None: there is none.
        title: above the row.
    """
    last = len(frames) - 1
    chosen = sorted({round(last * part / (MOMENTS - 1)) for part in range(MOMENTS)})
    shown = [(f"step {step}", frames[step]) for step in chosen]
    return _row(shown if goal is None else [*shown, ("goal", goal)], title)


def save_film(frames: Sequence[np.ndarray], goal: np.ndarray | None, file: str) -> None:
    """Write an episode as a GIF that repeats, a frame a step, with the goal beside it; see `strip`."""
    last = len(frames) - 1
    beside = [] if goal is None else [("goal", goal)]
    made = [_row([(f"step {step} of {last}", one), *beside]) for step, one in enumerate(frames)]
    times = [PACE] * last + [HELD]
    made[0].save(file, save_all=True, append_images=made[1:], duration=times, loop=0)


def _row(shown: Sequence[tuple[str, np.ndarray]], title: str | None = None) -> Image.Image:
    """Pictures side by side on white, each with its text below."""
    images = [_sized(picture) for _, picture in shown]
    top = MARGIN + (0 if title is None else LINE)
    width = MARGIN + sum(image.width + MARGIN for image in images)
    sheet = Image.new("RGB", (width, top + max(image.height for image in images) + LINE + MARGIN), "white")
    pen, font, left = ImageDraw.Draw(sheet), _font(), MARGIN
    if title is not None:
        pen.text((MARGIN, MARGIN - 2), title, fill="#222222", font=font)
    for (text, _), image in zip(shown, images):
        sheet.paste(image, (left, top))
        pen.rectangle((left - 1, top - 1, left + image.width, top + image.height), outline="#bdbdbd")
        pen.text((left, top + image.height + 3), text, fill="#222222", font=font)
        left += image.width + MARGIN
    return sheet


def _font() -> Any:
    try:
        return ImageFont.load_default(13)
    except TypeError:  # before Pillow 10.1 it has one size
        return ImageFont.load_default()


def _sized(picture: np.ndarray) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(picture))
    longest = max(image.size)
    if longest < SIDE:
        grown = -(-SIDE // longest)
        return image.resize((image.width * grown, image.height * grown), Image.Resampling.NEAREST)
    scale = SIDE / longest
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)

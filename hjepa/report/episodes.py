"""One episode that the answer's agent solved and one that it failed: what every number of levels did there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from hjepa.errors import InputError
from hjepa.evaluation.records import Record
from hjepa.figures.routes import Route, Scene, route_panels
from hjepa.report.answer import Answer
from hjepa.report.asking import weights_here
from hjepa.report.markup import counted, links, picture
from hjepa.report.pictures import Pictures
from hjepa.report.replay import can_be_walked, walked
from hjepa.report.sources import Material
from hjepa.report.template import joined, say
from tasks import EpisodeBatch, sample_episodes

MOST_LEVELS = 6
"""More numbers of levels than these are not drawn."""


def episodes_section(
    answers: Sequence[Answer], material: Material, pictures: Pictures, walks: bool
) -> Markup:
    """A picture for every evaluation whose episodes can be drawn from its records; empty where there is none.

    Args:
        answers: of all evaluations.
        material: what was read, and with it the folders in which weights may lie.
        pictures: gets the figures.
        walks: whether episodes are walked again, which gives the same bits; else only their outcome is told.
    """
    weights = weights_here(material) if walks else {}
    return joined(_of_answer(a, place, len(answers), weights, pictures) for place, a in enumerate(answers))


def _of_answer(a: Answer, place: int, count: int, weights: dict[str, str], pictures: Pictures) -> Markup:
    shown = a.best if a.chosen is None else a.chosen
    records = _same_episodes(a, shown)
    if len(records) > MOST_LEVELS:
        records = {levels: records[levels] for levels in sorted({*list(records)[: MOST_LEVELS - 1], shown})}
    batch = _drawn(records[shown])
    if batch is None:
        return Markup()
    scenes, again = [], 0
    for solved in (True, False):
        episode = choose(records, shown, solved)
        if episode is None:
            continue
        routes = []
        for levels, record in records.items():
            path = _path(record, weights, episode)
            again += path is not None
            how = "solved" if record["success"][episode] else "not solved"
            steps = record["steps"][episode]
            routes.append(Route(counted(levels), f"{how}, {steps} steps", levels, path))
        what = "solved" if solved else "not solved"
        shortest = int(batch.oracle_steps[episode])
        title = f"Episode {episode}, {what} with {counted(shown)}; shortest way {shortest} steps"
        middle = 0.5 if batch.continuous else 0.0
        one = batch.select([episode])
        scenes.append(Scene(title, one.walls[0], one.start[0][:2] - middle, one.goal[0][:2] - middle, routes))
    if not scenes:
        return Markup()
    wide, narrow = (route_panels(scenes, width) for width in (960, 358))
    name = "episodes" + (f"_{place + 1}" if count > 1 else "")
    pictures.keep(name, wide)
    how = (
        "Walked again with the weights of the records, to the same step; the line is the way, the square its end."
        if again
        else "The weights are not here, so the ways are not drawn."
    )
    chosen = "Chosen are the solved episode that the fewest others solved and the unsolved one that the most others did"
    caption = say(
        "{}: circle start, star goal. {}, if there are any: they show differences and are not typical. {} "
        "From {}.",
        a.block.task, chosen, how, links(source for agent in a.series.values() for source in agent.sources),
    )  # fmt: skip
    return picture(name, wide, narrow, "the ways of every number of levels in two episodes", caption)


def choose(records: dict[int, Record], shown: int, solved: bool) -> int | None:
    """The episode that agent ``shown`` solved and the fewest others did, or failed and the most others solved.

    Args:
        records: number of levels -> record, all of the same episodes.
        shown: a number of levels.
        solved: which of the two.

    Returns:
        the first such episode; None where the agent solved none, or all.
    """
    own = np.asarray(records[shown]["success"], bool)
    others = [np.asarray(record["success"], int) for levels, record in records.items() if levels != shown]
    by = np.sum(others, axis=0) if others else np.zeros(len(own), int)
    able = np.flatnonzero(own == solved)
    if not able.size:
        return None
    return int(able[np.argmin(by[able] if solved else -by[able])])


def _same_episodes(a: Answer, shown: int) -> dict[int, Record]:
    """Number of levels -> its first record of the episodes, and if it can be the training seed, of agent ``shown``."""
    first = a.series[shown].entries[0].record
    found = {}
    for levels, agent in a.series.items():
        records = [
            entry.record for entry in agent.entries if entry.record["oracle_steps"] == first["oracle_steps"]
        ]
        records = [record for record in records if record["seed"] == first["seed"]]
        records.sort(key=lambda record: record["train_seed"] != first["train_seed"])
        if records:
            found[levels] = records[0]
    return found


def _drawn(record: Record) -> EpisodeBatch | None:
    """The episodes of a record; None where they cannot be drawn anew, or are no longer what they were."""
    if record.get("mission") is not None or "violated" in record:
        return None
    try:
        batch = sample_episodes(
            record["task"], record["split"], record["tasks"], episodes=record["episodes"], seed=record["seed"]
        )
    except ValueError:
        return None
    return batch if batch.oracle_steps.tolist() == list(record["oracle_steps"]) else None


def _path(record: Record, weights: dict[str, str], episode: int) -> np.ndarray | None:
    """The way of an episode, walked again; None where that cannot be, or would not be what the record says."""
    name = weights.get(str(record["checkpoint_sha256"]))
    if name is None or not can_be_walked(record):
        return None
    try:
        path = walked(record, name, episode)
    except InputError:
        return None
    return path if len(path) - 1 == record["steps"][episode] else None

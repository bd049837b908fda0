"""Broken rules in the world with a screen, `tasks.field.occluder`: a ball that does not come out, or vanishes in sight.

permanence     a ball went behind the screen and is not there when it must come out
vanishing      a ball in plain sight is suddenly gone

Both trajectories do the same, and nobody turns the ball in the second half of a window; only the violation tells them
apart. Before a ball does not come out it is behind the screen, where every observation looks alike: a level that sees
one moment and imagines one step cannot know that it is missing. One whose stride reaches from before the screen to
behind it can.
"""

from __future__ import annotations

import numpy as np

from hjepa.errors import InputError
from hjepa.evaluation.surprise import Ordinary
from hjepa.evaluation.violations import Violated
from tasks.field.occluder import WAIT, Occluder, seen
from tasks.field.simulator import State
from tasks.floorplans import split_seeds
from tasks.randomness import keyed_generator, spread

KINDS = ("permanence", "vanishing")

LENGTH = 48
"""Observations of an episode, as many as the step budget of the world."""


def occlusions(kind: str, split: str, count: int, span: int, seed: int = 0) -> Violated:
    """Windows with a violation in their second half, observations as they are seen.

    Args:
        kind: of `KINDS`.
        split: whose seeds episodes begin with.
        count: episodes; those in which such a violation can happen give one window each.
        span: steps of each half.
        seed: of everything drawn.

    Raises:
        InputError: another kind, or no window where it can happen.
    """
    if kind not in KINDS:
        raise InputError(f"violation {kind!r}", "", f"choose from {', '.join(KINDS)}")
    simulator, seeds = Occluder(), _seeds(split, count, seed, kind)
    states, action = _episodes(simulator, seeds, seed, kind)
    sight = np.stack([seen(state) for state in states], 1)
    moments = np.stack(
        [_moment(kind, sight, action, first, span) for first in range(LENGTH - 2 * span)], axis=1
    )
    kept = np.flatnonzero((moments > 0).any(1))
    if not len(kept):
        raise InputError(
            f"no {kind} can happen within {span} steps", "", "give a longer span or more episodes"
        )
    drawn = keyed_generator(seed, kind, "windows").random(moments[kept].shape)
    first = (drawn * (moments[kept] > 0)).argmax(1)
    moment = moments[kept, first]
    course = {name: np.stack([state[name] for state in states], 1)[kept] for name in states[0]}
    rows, shown = np.arange(len(kept)), []
    for broken in (True, False):
        frames = []
        for t in range(2 * span + 1):
            now = {name: value[rows, first + t] for name, value in course.items()}
            now["gone"] = np.where(broken & (t >= moment), 1, 0)
            frames.append(simulator.show(now)["symbols"])
        shown.append(np.stack(frames, 1))
    done = np.stack([action[kept, first + t] for t in range(2 * span)], 1)
    return Violated(None, shown[0], shown[1], done, moment, seeds[kept])


def ordinary(split: str, count: int, span: int, seed: int = 0) -> Ordinary:
    """Windows (count,) of 2 span + 1 observations in which nothing is broken, one an episode; arguments as there."""
    simulator, seeds = Occluder(), _seeds(split, count, seed, "ordinary")
    states, action = _episodes(simulator, seeds, seed, "ordinary")
    first = keyed_generator(seed, "ordinary windows").integers(0, LENGTH - 2 * span, count)
    frames = np.stack([simulator.show(state)["symbols"] for state in states], 1)
    rows, steps = np.arange(count)[:, None], np.arange(2 * span + 1)
    observation = frames[rows, first[:, None] + steps]
    return Ordinary(None, observation, action[rows, first[:, None] + steps[:-1]])


def _seeds(split: str, count: int, seed: int, purpose: str) -> np.ndarray:
    allowed = split_seeds(split)
    return spread(count, allowed.start, allowed.stop, "occlusion", purpose, seed)


def _episodes(
    simulator: Occluder, seeds: np.ndarray, seed: int, purpose: str
) -> tuple[list[State], np.ndarray]:
    """States of every moment of E episodes, and actions (E, LENGTH - 1)."""
    state, goal = simulator.draw(seeds)
    act = simulator.explorer(len(seeds), keyed_generator(seed, purpose, "explorer"))
    states, actions = [state], []
    for _ in range(LENGTH - 1):
        actions.append(act(states[-1], goal))
        states.append(simulator.advance(states[-1], actions[-1]))
    return states, np.stack(actions, 1)


def _moment(kind: str, sight: np.ndarray, action: np.ndarray, first: int, span: int) -> np.ndarray:
    """(E,) when the violation of windows that begin at ``first`` happens, from their beginning; 0: it cannot."""
    half = sight[:, first + span : first + 2 * span + 1]
    still = (action[:, first + span : first + 2 * span] == WAIT).all(1)
    if kind == "vanishing":
        # In the middle of the half, with the ball in sight all along it.
        return np.where(half.all(1) & still, span + (span + 1) // 2, 0)
    went, came = (~half).argmax(1), span - half[:, ::-1].argmin(1) + 1
    once = (half.sum(1) == span + 1 - (came - went)) & ~half.all(1)
    return np.where(half[:, 0] & half[:, -1] & once & still, span + came, 0)

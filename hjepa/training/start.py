"""Levels that begin with the weights of an earlier run.

A level that several stacks have in common is trained once: the others begin with it, and with 0 steps of training it
stays as it is. What one world taught is so carried to another that shows the same kind of picture.
"""

from __future__ import annotations

from torch import nn

from hjepa.errors import InputError
from hjepa.model.stack import Stack
from levels.encoders.picture import PictureEncoder
from levels.level import Level

LEARNED_LATER = frozenset({"pace", "within"})
"""Weights of `levels.encoders.picture.PictureEncoder` that eyes can do without: those for several moments, and those
for places finer than patches. Both begin at what eyes without them do."""


def start_from(stack: Stack, earlier: Stack, name: str) -> int:
    """Copy levels from the bottom up, as far as they are alike; critics and probes that fit come along.

    Where level 1 has another predictor or memory but the same encoder, the encoder alone is copied: what one stack has
    learned to see with, another may look at its world with.

    Args:
        stack: to train, changed in place.
        earlier: what it begins with.
        name: of the earlier run, for errors.

    Returns:
        how many levels were copied.

    Raises:
        InputError: not even level 1 is alike, or a level that is not trained is not, or an encoder that will not learn
            lacks what it has to.
    """
    alike = 0
    for mine, theirs in zip(stack.levels, earlier.levels):
        if not _copied(mine, theirs):
            break
        alike += 1
    if not alike and not _copied(_eyes(stack.level(0)), _eyes(earlier.level(0))):
        raise InputError(
            "has an encoder of other parts, or for another kind of observation",
            f"start {name}",
            "start from a run with the same encoder at level 1",
        )
    mine, theirs = stack.level(0).encoder, earlier.level(0).encoder
    unlearned = getattr(mine, "within", None) is not None and getattr(theirs, "within", None) is None
    if unlearned and stack.config.train.keep_encoder:
        raise InputError(
            "looks at patches as they are, and with train.keep_encoder the look into them would never be learned",
            f"start {name}",
            "set levels.0.fine=false, or let the encoder learn first",
        )
    steps = stack.config.train.steps
    for k in range(alike, stack.depth):
        if not steps[k]:
            raise InputError(
                f"train.steps {list(steps)} leaves level {k + 1} untrained, and {name} has none like it",
                "train.steps",
                "give it steps of training",
            )
    for mine, theirs in zip(stack.probes[:alike], earlier.probes):
        _copied(mine, theirs)
    for mine, theirs in zip(stack.critics, earlier.critics):
        _copied(mine, theirs)
    return alike


def _eyes(level: Level) -> nn.ModuleList:
    """What a level encodes with."""
    parts = (level.encoder, level.normal)
    return nn.ModuleList(part for part in parts if part is not None)


def _copied(mine: nn.Module, theirs: nn.Module) -> bool:
    """Whether two parts have the same weights by name and shape; if so, they have been copied.

    Eyes that saw one moment at a time may look at several, and those that saw patches may look into them: how fast
    things go and where in a patch they are, they have yet to learn.
    """
    found, wanted = theirs.state_dict(), mine.state_dict()
    eyes = any(isinstance(part, PictureEncoder) for part in mine.modules())
    later = LEARNED_LATER if eyes else frozenset()
    known = {k: v.shape for k, v in wanted.items() if k in found or later.isdisjoint(k.split("."))}
    if {k: v.shape for k, v in found.items()} != known:
        return False
    mine.load_state_dict(found, strict=False)
    return True

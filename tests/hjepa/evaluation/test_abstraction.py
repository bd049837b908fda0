"""Abstraction, measured on hand-made levels: one that knows the rules, one that claims that nothing changes."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hjepa.errors import InputError
from hjepa.evaluation.abstraction import autocorrelation, horizon, measure_abstraction
from hjepa.model.stack import Stack
from tasks import collect, grid_to_barriers, step_agents

TASK, SPANS = "hjepa/NestedRooms-d2-v0", (1, 3)


class Rules:
    """Two levels whose latent is the agent; the upper one has forgotten the heading, and knows nothing of the world.

    The lower one predicts as the world does.
    """

    depth, sees = 2, False

    def __init__(self) -> None:
        self.config: Any = SimpleNamespace(
            task=TASK, spans=list(SPANS), levels=[SimpleNamespace(sees="agent", patch=1, memory=None)] * 2
        )
        self.step_distance = torch.ones(())

    def own_latents(self) -> list[int]:
        return [0, 1]

    def every(self, k: int) -> int:
        return 1

    def write_level(self, k: int, grid: Tensor) -> Tensor | None:
        return self.write(grid)[k]

    def write(self, grid: Tensor) -> list[Tensor | None]:
        return [grid, grid]

    def encode(self, agent: Tensor, memories: Any, upto: int = 2) -> list[Tensor]:
        # The latents of a probe: x, y and heading one-hot; the rules need the numbers themselves, which follow.
        known = [F.one_hot(agent[..., i].long(), 9).double() for i in range(3)]
        whole = torch.cat([agent.double(), *known], -1)
        less = whole.clone()
        less[..., 2], less[..., -9:] = 0, 0
        return [whole, less][:upto]

    def window_actions(self, k: int, agent: Tensor, action: Tensor, memories: Any, form: Any) -> Tensor:
        return F.one_hot(action, 7).double().unflatten(2, (-1, SPANS[k])).flatten(3)

    def level(self, k: int) -> Any:
        def advance(latent: Tensor, memory: Tensor, action: Tensor) -> Tensor:
            if k:
                return latent
            barriers = grid_to_barriers(memory.numpy())[:, None]
            barriers = np.broadcast_to(barriers, (*latent.shape[:2], *barriers.shape[2:]))
            agent = latent[..., :3].long().numpy()
            moved = step_agents(np.ascontiguousarray(barriers), agent, action.argmax(-1).numpy())
            return self.encode(torch.from_numpy(moved), None)[0]

        return SimpleNamespace(condition=lambda latent, memory: memory, advance=advance)


def test_levels_are_told_apart_by_what_they_know_and_foresee(tmp_path: Path) -> None:
    stores = [collect(TASK, tmp_path / split, 4, 8, 32, 0, split=split).path for split in ("train", "test")]
    arguments: dict[str, Any] = {"windows": 32, "layouts": 4, "count": 500, "steps": 80}
    (low, high), facts = measure_abstraction(cast(Stack, Rules()), *stores, **arguments)
    assert (low.span, high.span) == SPANS
    assert facts["layouts"] == 4
    assert max(low.ahead) < 1e-12  # who knows the rules is never wrong
    assert low.horizon is None
    assert len(low.ahead) == 16
    assert high.ahead == pytest.approx([1.0] * len(high.ahead))
    assert high.horizon == 0.5
    for name in ("position", "heading"):
        assert low.facts[name]["read"] > 0.97
        assert low.facts[name]["imagined"] > 0.97
    assert high.facts["heading"]["read"] < 0.6
    # Who claims that nothing changes is right as often as nothing does, if it reads right.
    assert high.facts["position"]["imagined"] == pytest.approx(high.facts["position"]["unchanged"], abs=0.06)
    assert high.facts["position"]["unchanged"] < low.facts["position"]["unchanged"]
    assert low.facts["passages"]["unchanged"] == 1
    assert low.autocorrelation > high.autocorrelation
    train, test = stores
    least: dict[str, Any] = {"windows": 8, "layouts": 4, "count": 1}
    assert measure_abstraction(cast(Stack, Rules()), train, test, **least, steps=1)[1]["moments"] == 1
    for wrong in (
        {"windows": 4},
        {"windows": 10},
        {"layouts": 0},
        {"layouts": 5, "windows": 10},
        {"count": 0},
    ):
        with pytest.raises(InputError, match="no more layouts than there are"):
            measure_abstraction(cast(Stack, Rules()), train, test, **least | wrong)


def test_horizon_is_where_errors_first_reach_the_bar() -> None:
    assert horizon([0.1, 0.3, 0.7, 0.2]) == pytest.approx(2.5)
    assert horizon([1.0]) == 0.5
    assert horizon([0.1, 0.2]) is None
    assert horizon([0.1, math.nan]) == 1


def test_autocorrelation_of_what_swings_stays_and_is_drawn_anew() -> None:
    swings = torch.tensor([1.0, -1.0]).repeat(4).view(1, 1, 8, 1).expand(2, 6, 8, 3)
    assert autocorrelation(swings) == pytest.approx(-1)
    generator = torch.Generator().manual_seed(0)
    held = torch.randn(2, 6, 1, 3, generator=generator).expand(2, 6, 8, 3)
    assert autocorrelation(held) == pytest.approx(1)
    # What layouts differ in does not count as slow.
    noise = torch.randn(2, 64, 8, 3, generator=generator) + 100 * torch.arange(2)[:, None, None, None]
    assert abs(autocorrelation(noise)) < 0.08

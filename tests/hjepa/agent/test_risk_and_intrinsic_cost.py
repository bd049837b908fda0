"""Risk and intrinsic cost are settings that reach level 1's planner; what cannot work is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hjepa.agent.agent import Agent
from hjepa.agent.options import AgentOptions
from hjepa.checks import RISKS
from hjepa.config import load_preset
from hjepa.errors import InputError
from hjepa.model.stack import Stack
from hjepa.settings import IntrinsicSettings, PlanSettings, RiskSettings
from levels.settings import World
from planners import risk

TINY = str(Path(__file__).parents[2] / "end_to_end" / "tiny.yaml")
VARIABLE = ["levels.0.latent_variable={codes: 3}", "plan.risk={kind: cvar, futures: 8}"]


def agent_of(overrides: list[str], **settings: object) -> Agent:
    config = load_preset(TINY, overrides)
    plan: PlanSettings = replace(config.plan, **settings)  # type: ignore[arg-type]
    return Agent(Stack(config, World((9, 9), 7)), 64, AgentOptions(budget_tflops=0.5, settings=plan))


def test_prices_reach_level_1_alone() -> None:
    agent = agent_of([], intrinsic=IntrinsicSettings(0.5, None, 2.0))
    first, *above = agent.planner.levels
    assert first.intrinsic is not None and all(level.intrinsic is None for level in above)
    assert first.intrinsic.prices == (1.0,) * 7 and first.intrinsic.discomfort == 4 * first.intrinsic.energy
    assert agent_of([]).planner.levels[0].intrinsic is None
    with pytest.raises(InputError, match=r"2 prices for 7 actions.*one for each discrete action"):
        agent_of([], intrinsic=IntrinsicSettings(0.5, (1.0, 1.0)))
    assert load_preset(TINY, ["plan.intrinsic.prices=[1, 0]"]).plan.intrinsic.prices == (1, 0)


def test_risk_reaches_level_1_alone() -> None:
    first, *above = agent_of(VARIABLE).planner.levels
    assert first.to_goal.risk == risk.Risk("cvar", 8) == first.to_subgoal.risk
    assert all(level.to_goal.risk is None for level in above)
    assert RISKS == risk.RISKS


def test_risk_needs_a_latent_variable() -> None:
    with pytest.raises(InputError, match=r"level 1 knows one future alone.*levels\.0\.latent_variable"):
        load_preset(TINY, VARIABLE[1:])
    with pytest.raises(
        InputError, match=r"no latent variable, it knows one future alone.*plan\.risk|plan\.risk"
    ):
        agent_of([], risk=RiskSettings())
    with pytest.raises(InputError, match="choose from mean, worst, cvar"):
        load_preset(TINY, [*VARIABLE, "plan.risk.kind=brave"])

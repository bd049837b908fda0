"""Settings that cannot work are refused with a line that names the value and the remedy."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from levels.settings import (
    ANTI_COLLAPSE,
    ENCODERS,
    MACRO_ACTIONS,
    LevelSettings,
    LossWeights,
    MemorySettings,
    World,
)


def test_defaults_work_and_do_not_change() -> None:
    settings = LevelSettings()
    assert settings.memory == MemorySettings() and settings.loss == LossWeights()
    with pytest.raises(FrozenInstanceError):
        settings.stride = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"encoder": "cnn"},
            "level encoder is 'cnn'; choose from agent, symbols, image, whole_symbols, whole_image, masked, vector,"
            " mlp, shared",
        ),
        ({"macro_action": "option"}, "level macro_action is 'option'; choose from primitive, outcome, chunk"),
        ({"anti_collapse": "dropout"}, "level anti_collapse is 'dropout'; choose from vicreg, sigreg"),
        ({"anti_collapse": "math:pi"}, "'math:pi' is of type float; it has to be a class that derives from"),
        ({"sigma": 0.0}, "level sigma is 0.0; give a number above 0, up to 1000000"),
        ({"sigma": float("nan")}, "level sigma is nan"),
        ({"expander": -1}, "level expander is -1; give a whole number from 0 to 16384"),
        (
            {"encoder_reads": True, "memory": None},
            "memory is null; give the level a memory",
        ),
        (
            {"encoder_reads": True, "encoder": "agent"},
            "encoder is 'agent'; choose encoder mlp",
        ),
        ({"encoder_reads": True, "encoder": "shared"}, "choose encoder mlp"),
        (
            {"normalize": True, "encoder": "shared", "memory": None},
            "normalize is true but encoder is 'shared'",
        ),
        ({"normalize": True, "encoder": "agent", "memory": None}, "normalize is true but encoder is 'agent'"),
        ({"normalize": True}, "normalize is true with a memory, .*; set memory null"),
        *[
            ({name: 0}, f"level {name} is 0; give a whole number from 1 to ")
            for name in ("stride", "latent_dim", "hidden", "head", "codes", "macro_dim", "rollout")
        ],
    ],
)
def test_level_settings_refuse(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        LevelSettings(**wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"heads": 0}, {"dilations": (1, 0)}, {"dilations": ()}])
def test_memory_settings_refuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"memory \w+ is .*; give .*whole numbers? from 1 to "):
        MemorySettings(**wrong)


def test_places_that_are_read_lie_apart_and_no_number_of_doors_is_too_small() -> None:
    with pytest.raises(ValueError, match="memory apart is 0; give a number above 0, up to 1000"):
        MemorySettings(apart=0)
    assert MemorySettings(apart=0.25, numbers=0, wide=0, glimpse=0).apart == 0.25


def test_states_of_doors_and_keys() -> None:
    """A door is open, closed or locked and a key in hand or lying; without keys doors are plain numbers."""
    world = World((9, 9), 7, doors=2, keys=1)
    assert world.slots == (3, 3, 2) and world.agent_dim == 6
    assert World((9, 9), 7, doors=2).slots == () and World((9, 9), 7, doors=2).agent_dim == 5
    assert World((9, 9), 2, continuous=True).agent_dim == 2


@pytest.mark.parametrize("name", [name for name in vars(LossWeights()) if name != "others"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_loss_weights_refuse(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"loss weight {name} is {value}; give a number from 0 to 1000000"):
        LossWeights(**{name: value})
    assert getattr(LossWeights(**{name: 0.0}), name) == 0.0


def test_weights_of_terms_of_ones_own() -> None:
    weights = LossWeights(barlow=3.0, others={"mine": 2.0})
    assert (weights.of("barlow"), weights.of("mine"), weights.of("yours")) == (3.0, 2.0, 1.0)
    with pytest.raises(ValueError, match="loss weight mine is -1.0; give a number from 0 to 1000000"):
        LossWeights(others={"mine": -1.0})


def test_the_number_of_actions_follows_from_their_kind() -> None:
    found = {
        kind: LevelSettings(macro_action=kind, codes=9, macro_dim=3).action_dim(7) for kind in MACRO_ACTIONS
    }
    assert found == {"primitive": 7, "outcome": 9, "chunk": 3, "stochastic": 3}
    with pytest.raises(ValueError, match="stochastic with loss.kl 0; give more"):
        LevelSettings(macro_action="stochastic", loss=LossWeights(kl=0))


def test_every_name_is_accepted() -> None:
    for encoder in ENCODERS:
        for anti_collapse in ANTI_COLLAPSE:
            assert LevelSettings(encoder=encoder, anti_collapse=anti_collapse).encoder == encoder

"""`HJEPA_DETERMINISTIC`: a switch for GPUs, which changes nothing on the CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

import hjepa
from hjepa.agent.options import AgentOptions
from hjepa.devices import deterministic_kernels, fix_threads
from hjepa.errors import InputError
from hjepa.evaluation.evaluate import evaluate
from hjepa.evaluation.held_out import Evaluation
from tasks import task_spec


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    torch.use_deterministic_algorithms(False)


def test_the_switch_is_for_whoever_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for word, on in ((None, False), ("", False), ("0", False), ("1", True)):
        torch.use_deterministic_algorithms(False)
        monkeypatch.delenv("HJEPA_DETERMINISTIC", raising=False)
        if word is not None:
            monkeypatch.setenv("HJEPA_DETERMINISTIC", word)
        fix_threads()
        assert torch.are_deterministic_algorithms_enabled() == on
        assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) == on
    assert torch.is_deterministic_algorithms_warn_only_enabled(), "kernels that are missing do not end a run"


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HJEPA_DETERMINISTIC", "yes")
    with pytest.raises(InputError, match="HJEPA_DETERMINISTIC is 'yes'.*give 1 or 0"):
        deterministic_kernels()


def test_on_the_cpu_plans_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_spec("hjepa/NestedRooms-d2-v0")
    asked = Evaluation(task, AgentOptions(budget_tflops=0.01), episodes=3, split="validation")
    records = []
    for word in ("0", "1"):
        monkeypatch.setenv("HJEPA_DETERMINISTIC", word)
        fix_threads()
        records.append(evaluate(hjepa.load_stack("nested-d2"), asked))
    same = ("success", "steps", "tflops_per_episode")
    assert [records[0][name] for name in same] == [records[1][name] for name in same]

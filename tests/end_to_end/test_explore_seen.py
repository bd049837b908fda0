"""From an environment that is nobody's here to a page that shows what levels imagined in it."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tasks
from hjepa.cli import main
from hjepa.model.checkpoints import describe, load_stack

GOALS = ("--goals", "offset:5", "--episodes", 3, "--budget-tflops", 0.0004)
SMALL = ("--set", "train.steps=[4,3]", "--set", "train.batch=64", "--set", "train.plans=4",
         "--set", "plan.horizon=[4,2]", "--set", "levels.0.rollout=4", "--set", "levels.1.rollout=2")  # fmt: skip


def command(*words: object) -> int:
    try:
        return int(main([str(word) for word in words]) or 0)
    except SystemExit as stopped:
        return int(stopped.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories of the pendulum, a run that learned from them, and a page."""
    made = tmp_path_factory.mktemp("pendulum")
    for name, split, seed in (("train", "train", 0), ("held", "test", 1)):
        assert command("collect", "--env", "Pendulum-v1", "--policy", "persistent", "--episodes", 8, "--length", 20,
                       "--seed", seed, "--split", split, "--out", made / name) == 0  # fmt: skip
    assert command("fit", "--preset", "vector", "--data", made / "train", "--out", made / "run", *SMALL) == 0
    words = ("explore", made / "run", *GOALS, "--data", made / "held", "--out", made / "page.html")
    assert command(*words, "--json", made / "page.json") == 0
    return made


@pytest.fixture(scope="module")
def content(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "page.json").read_text()))


def picture(content: dict[str, Any], name: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content["blobs"][name]))).convert("L"), float)


def test_agents_do_what_they_do_when_they_plan(folder: Path, content: dict[str, Any]) -> None:
    words = (
        "plan",
        "--checkpoint",
        folder / "run",
        "--task",
        "Pendulum-v1",
        *GOALS,
        "--data",
        folder / "held",
    )
    assert command(*words, "--json", folder / "plan.json") == 0
    for record, agent in zip(json.loads((folder / "plan.json").read_text()), content["agents"], strict=True):
        assert agent["levels"] == record["levels"]
        assert [walk["success"] for walk in agent["episodes"]] == record["success"]
        assert [walk["steps"] for walk in agent["episodes"]] == record["steps"]


def test_the_world_is_shown_as_it_renders_itself(content: dict[str, Any], folder: Path) -> None:
    world = content["worlds"][0]
    assert (world["kind"], world["observation"], world["every"]) == ("seen", "vector", 1)
    assert [one["shortest"] for one in world["episodes"]] == [5, 5, 5]
    # All agents begin the same task: with the same picture, held once.
    first, second = (agent["episodes"] for agent in content["agents"])
    assert [walk["frames"][0] for walk in first] == [walk["frames"][0] for walk in second]
    for walk in (*first, *second):
        assert len(walk["frames"]) == walk["steps"] + 1
    inked = [(picture(content, name) < 200).mean() for name in first[0]["frames"]]
    assert all(0.005 < share < 0.2 for share in inked), "a red rod on white"
    assert len({world["episodes"][row]["goal"] for row in range(3)}) == 3


def test_costs_fall_to_nothing_at_the_goal_and_places_are_those_of_latents(
    content: dict[str, Any], folder: Path
) -> None:
    """The cost of the default metric by a second way: the square distance of latents from the goal's."""
    stack, held = load_stack(str(folder / "run")), tasks.ObservationStore.open(folder / "held")
    played = describe(str(folder / "run"))["played"]
    spec = tasks.world_spec("Pendulum-v1", "vector")
    rule = tasks.success_rule(spec, None, {name: np.array(value) for name, value in played["spread"].items()})
    drawn = tasks.trajectory_tasks(
        held.recorded(), 5, rule, "goals", "Pendulum-v1", "offset:5", 0, episodes=3
    )
    assert drawn.start is not None and drawn.goal is not None
    name = next(iter(drawn.goal))
    for row in range(3):
        seen = torch.from_numpy(np.stack([drawn.start[name][row], drawn.goal[name][row]]))
        with torch.no_grad():
            latents = stack.encode(seen[None], [None, None])
        for k, level in enumerate(content["agents"][1]["episodes"][row]["levels"]):
            own = level["map"]
            apart = float((latents[k][0, 0] - latents[k][0, 1]).square().sum())
            assert own["costs"][0] == pytest.approx(apart, rel=2e-3)
            shade = np.frombuffer(base64.b64decode(content["blobs"][own["shade"]]), np.uint8)
            assert own["low"] >= 0 and shade.max() <= 254 and len(shade) == 8 * 20
            assert 0 < own["shown"] <= 1 and len(own["path"]) == 2 * len(own["costs"])
            assert level["plans"] and all(len(plan["uv"]) % 2 == 0 for plan in level["plans"])


def test_subgoals_are_shown_as_states_seen(content: dict[str, Any]) -> None:
    assert content["worlds"][0]["held"] == [None] * 160, "vectors of other trajectories are no pictures"
    for walk in content["agents"][1]["episodes"]:
        assert all("near" not in plan for plan in walk["levels"][0]["plans"])
        for plan in walk["levels"][1]["plans"]:
            assert plan["near"] is None if plan["skipped"] else plan["near"] in walk["frames"]


def test_the_page_is_one_small_file(folder: Path) -> None:
    text = (folder / "page.html").read_text()
    assert len(text) < 1_000_000 and text.count("<img alt=") > 3, "pictures also without a script"
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--goals", "offset:5"), "give --data"),
        (("--goals", "offset:5", "--data", "train"), "was trained on"),
        (("--goals", "offset:5", "--data", "nowhere"), "nowhere"),
        (("--goals", "soon"), "choose world, or offset:K"),
        ((), "shows no goal of its own"),
        (("--task", "hjepa/NestedRooms-d2-v0"), "leave it out"),
        (("--goals", "offset:5", "--data", "held", "--levels", "7"), "no run has as many"),
    ],
)
def test_what_cannot_work_is_one_line(
    folder: Path, more: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [folder / word if word in ("train", "held", "nowhere") else word for word in more]
    assert command("explore", folder / "run", *words, "--out", folder / "no.html") == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error and not (folder / "no.html").exists()


def test_goals_from_data_are_for_what_learned_from_data(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("explore", "told-flat-d2", "--goals", "offset:5", "--out", folder / "no.html")
    assert command(*words) == 2
    assert "--goals; it goes with checkpoints of a store" in capsys.readouterr().err

"""`hjepa collect` end to end: environments, datasets of others, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hjepa.cli import main
from tasks import ObservationStore
from tasks.goals import trajectory_tasks
from tasks.world_choice import open_world


def collect(*arguments: object) -> int:
    return main(["collect", *map(str, arguments)])


def test_an_environment_into_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("--env", "MiniGrid-Empty-5x5-v0", "--episodes", 6, "--length", 12, "--seed", 3)
    assert collect(*small, "--out", tmp_path / "s") == 0
    assert capsys.readouterr().out == f"{tmp_path / 's'}\n"
    store = ObservationStore.open(tmp_path / "s", verify="hash")
    assert store.episodes == 6 and store.lengths.max() == 12 and store.meta["policy"] == "random"
    assert store.senses["image"].kind == "symbols"
    assert collect(*small, "--out", tmp_path / "s") == 0, "a finished store is kept"
    assert collect(*small, "--out", tmp_path / "s", "--observe", "image") == 2
    assert "was collected with observe='symbols', not 'image'" in capsys.readouterr().err
    other = (
        "--observe",
        "image",
        "--set",
        "size=6",
        "--split",
        "test",
        "--layouts",
        2,
        "--policy",
        "persistent",
    )
    assert collect(*small, *other, "--out", tmp_path / "t") == 0
    pictures = ObservationStore.open(tmp_path / "t")
    assert pictures.senses["image"].kind == "image" and pictures.senses["image"].shape == (48, 48, 3)
    assert pictures.groups == 2 and pictures.seed.min() >= 1_500_000_000
    assert pictures.meta["make"] == {"size": 6} and pictures.meta["split"] == "test"


def test_continuous_actions_and_goals_from_what_was_collected(tmp_path: Path) -> None:
    """A task of a stored moment begins where the store says, in the world that the store describes."""
    out = ("--out", tmp_path / "s")
    assert (
        collect("--env", "Pendulum-v1", "--policy", "persistent", "--episodes", 4, "--length", 40, *out) == 0
    )
    store = ObservationStore.open(tmp_path / "s")
    part = store.subset(store.split_episodes(0.5)[1])
    assert part.episodes == 2 and store.action.shape == (160, 1)
    for one in (store, part):
        tasks = trajectory_tasks(one.recorded(), 25, None, "test", episodes=6)
        assert set(tasks.seed) <= set(one.seed)
        world = open_world(store.world)
        seen = world.reset(tasks)["vector"]
        assert tasks.start is not None
        np.testing.assert_allclose(seen, tasks.start["vector"], atol=1e-6)
        world.close()


def test_our_worlds_take_the_split_they_are_collected_for(tmp_path: Path) -> None:
    words = ("--env", "hjepa/NestedRooms-d2-v0", "--policy", "explorer", "--episodes", 5, "--length", 9)
    for split, floor in (("train", 0), ("validation", 1_000_000_000)):
        assert collect(*words, "--split", split, "--out", tmp_path / split) == 0
        store = ObservationStore.open(tmp_path / split)
        assert (store.group // 1_000_000_000 == floor // 1_000_000_000).all() and store.groups == 5
        assert store.world.arguments == {"split": split}


def test_a_policy_beside_the_data(tmp_path: Path) -> None:
    (tmp_path / "left_only.py").write_text(
        "import numpy as np\ndef act(seen, rng):\n    return np.zeros(len(seen['image']), dtype=int)\n"
    )
    words = "collect --env MiniGrid-Empty-5x5-v0 --policy left_only:act --episodes 2 --length 6 --out d"
    code = "import sys; sys.path.remove(''); from hjepa.cli import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", code, *words.split()], cwd=tmp_path, check=True)
    store = ObservationStore.open(tmp_path / "d")
    assert not store.action.any() and (store.state["agent"][:5, 2] == [0, 3, 2, 1, 0]).all()


def test_a_dataset_of_others(tmp_path: Path) -> None:
    data = {"observations": np.zeros((6, 2)), "actions": np.zeros((6, 1)), "terminals": np.arange(6) % 3 == 2}
    np.savez(tmp_path / "d.npz", **data)
    assert collect("--from", tmp_path / "d.npz", "--out", tmp_path / "s") == 0
    assert ObservationStore.open(tmp_path / "s").lengths.tolist() == [3, 3]


ENV = ("--env", "Pendulum-v1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "none of --env, --preset and --from; give exactly one of the three"),
        ((*ENV, "--preset", "small"), "--env, --preset of --env, --preset and --from; give exactly one"),
        ((*ENV, "--from", "d.npz"), "--env, --from of"),
        (("--preset", "small", "--episodes", "3"), "--episodes goes with --env"),
        (("--from", "d.npz", "--policy", "random"), "--policy goes with --env"),
        (("--from", "d.npz", "--senses", "a"), "--senses goes with FILE.h5"),
        ((*ENV, "--senses", "a"), "--senses goes with --from"),
        (("--from", "d.npz", "--set", "a=1"), "--set goes with --env or --preset"),
        (("--from", "d.csv"), "--from d.csv; give FILE.npz, FILE.h5 or minari:NAME"),
        (("--from", "d.npz"), "d.npz is not an .npz file or cannot be read"),
        (("--env", "No-Such-v0"), "No-Such"),
        ((*ENV, "--policy", "clever"), "unknown policy 'clever'"),
        ((*ENV, "--policy", "explorer"), "Pendulum-v1 has no explorer of its own"),
        ((*ENV, "--policy", "no.such:f"), "module 'no.such' cannot be imported"),
        ((*ENV, "--episodes", "0"), "--episodes: '0' is not a whole number from 1"),
        ((*ENV, "--length", "1"), "--length: '1' is not a whole number from 2"),
        ((*ENV, "--layouts", "7"), "not a multiple of layouts 7"),
        ((*ENV, "--observe", "symbols"), "Pendulum-v1"),
        ((*ENV, "--set", "colour=red"), "Pendulum-v1"),
        (("--env", "Blackjack-v1"), "Blackjack-v1"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert collect(*words, "--out", "s") == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err
    assert captured.err.count("\n") == 1, captured.err
    assert not [*tmp_path.iterdir()]


def test_reading_the_words_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from hjepa.cli import parse; parse(['collect', '--env', 'X', '--out', 'd']);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'gymnasium')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""What pages tell a reader to type, and how it is made small enough to be typed by a test."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
CARDS = sorted((ROOT / "hjepa" / "published").rglob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

OURS = ("hjepa", "./run", "python", "uv")
"""First words of commands that are tried."""

TINY = {
    "collect": ["--episodes", "4", "--length", "30"],
    "fit": ["--set", "train.steps=[2,2]", "--set", "train.batch=128", "--set", "train.plans=4"],
    "plan": ["--episodes", "2", "--seed", "0", "--budget-tflops", "0.05", "--workers", "1"],
    "explore": ["--episodes", "1", "--budget-tflops", "0.05"],
    "ablate": ["--episodes", "2", "--workers", "1"],
    "advise": ["--layouts", "1"],
    "tune": [
        "--episodes",
        "2",
        "--budget-tflops",
        "0.05",
        "--horizons",
        "4",
        "--commits",
        "2",
        "--workers",
        "1",
    ],
}
"""Options that make a command small; given last, they replace what stands on the page."""

NOT_RUN = {
    "hjepa demo": "tests/end_to_end/test_run.py runs it, with tiny.yaml",
    "hjepa collect --from": "what is imported is somebody's; tests/tasks/test_import_files.py makes such files",
    "hjepa fit --preset symbols --set levels.0.encoder=mine:Eye": "the module is the reader's; see"
    " tests/hjepa/model/test_own_parts.py",
    "hjepa plan --checkpoint ./run --allow mine": "the same",
    "hjepa ablate --preset told-demo": "nine trainings; tests/end_to_end/test_sweep.py runs a grid that trains",
    "./run": "tests/house/test_run_script.py runs the script and its words",
    "uv run": "uv is the reader's; what it starts is hjepa demo",
}
"""Beginnings of commands that no test here runs, and why."""


def commands(page: Path) -> Iterator[list[list[str]]]:
    """Of every shell block of a page the words of its commands of ours; those that continue a line joined."""
    for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
        if language != "bash":
            continue
        found = []
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split(" && "):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words = words[1:]
                # A variable of a shell is a loop's, in cards.
                if words and words[0] in OURS and not any("$" in word for word in words):
                    found.append(words)
        if found:
            yield found


def plain(words: list[str]) -> list[str]:
    """A command without what starts it: ``./run hjepa``, ``./run python``, ``uv run``."""
    if words[0] == "./run" and words[1] in ("hjepa", "python", "demo"):
        return ["hjepa", "demo", *words[2:]] if words[1] == "demo" else words[1:]
    if words[:2] == ["uv", "run"]:
        return [word for word in words[2:] if not word.startswith("--")]
    return words


def why_not(words: list[str]) -> str | None:
    """Why a command is not run; None: it is."""
    line = " ".join(words)
    return next((reason for begin, reason in NOT_RUN.items() if line.startswith(begin)), None)


def tiny(words: list[str]) -> list[str]:
    """A command of hjepa that takes seconds."""
    return [*words, *TINY.get(words[1], [])]

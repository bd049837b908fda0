"""The page: data that do not fit are refused, texts stay texts, and nothing is asked of a network."""

from __future__ import annotations

import base64
import copy
import html
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hjepa.explorer.film import film_strip
from hjepa.explorer.frames import BYTES, Frames
from hjepa.explorer.opening import opening
from hjepa.explorer.packing import Blobs, bytes_between, tenths
from hjepa.explorer.page import SCRIPTS, as_script, page
from hjepa.explorer.recording import empty
from hjepa.explorer.schema import check
from hjepa.explorer.seen import AROUND

PARTS = Path(__file__).parents[3] / "hjepa" / "explorer" / "page_parts"


class Elements(HTMLParser):
    """What a browser makes of a page: its elements, and the text in each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.tags[-1][0], data))


def test_a_name_cannot_leave_its_place(content: dict[str, Any]) -> None:
    found = Elements(page(content))
    assert [tag for tag, _ in found.tags].count("script") == 2
    assert ("title", f"hjepa explorer: {content['title']}") in found.texts
    (data,) = (text for tag, text in found.texts if text.startswith('{"format"'))
    assert json.loads(data) == {**content, "open": [{"agents": [0, 1], "episode": 0}]}


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "]]>", "\u2028", "&lt;", "\\u003c"])
def test_any_text_comes_back_out_of_a_script(text: str) -> None:
    written = as_script({text: text})
    assert json.loads(written) == {text: text} and not set("<>&") & set(written)


def test_nothing_is_asked_of_a_network(content: dict[str, Any]) -> None:
    text = page(content)
    found = Elements(text)
    assert not [tag for tag, given in found.tags if {"src", "href", "srcset", "data"} & set(given)]
    assert not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|import\(", text)
    addresses = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, which nobody looks up
    (policy,) = (given["content"] for tag, given in found.tags if given.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")


def test_without_scripts_there_is_a_film_strip(content: dict[str, Any]) -> None:
    (strip,) = re.findall(r"<noscript>(.*?)</noscript>", page(content), re.DOTALL)
    # Four steps are five moments, for the fewest and for the most levels.
    assert strip.count("<svg") == strip.count("</svg>") == 2 * 5
    assert (
        "1 level, cost l2: did not reach the goal" in strip and "3 levels, cost l2: reached the goal" in strip
    )
    assert html.escape(content["title"]) in strip and "<script" not in strip
    # The disc of level 3 is gone once it is skipped, from step 2 on.
    assert strip.count(">3</text>") == 2 and strip.count(">2</text>") == 5


def test_a_page_opens_with_the_fewest_against_the_most_levels_where_they_differ(
    content: dict[str, Any],
) -> None:
    few, many = content["agents"]
    # Of as many levels the trained ones come before a stack that was cut.
    flat = {**copy.deepcopy(few), "run": "flat", "depth": "trained"}
    content["agents"] = [few, many, flat]
    assert opening(content, 0) == {"agents": [2, 1], "episode": 0}
    flat["episodes"][0]["success"] = 1
    assert opening(content, 0) == {"agents": [2, 1], "episode": 1}
    # The film strip shows the same two in the same episode, each with what it was told.
    few["information"], flat["information"] = "told", "seen"
    titles = re.findall("<h2>(.*?)</h2>", film_strip(content))
    assert [title.partition(", ")[0] for title in titles] == ["flat", html.escape(content["title"])]
    assert titles[0].endswith("; episode 1; told: nothing")
    assert titles[1].endswith("; episode 1; told: coordinates and the grid")
    content["agents"] = [few]
    assert opening(content, 0) == {"agents": [0], "episode": 0}


def test_the_film_of_a_world_of_pictures_shows_subgoals_as_states_seen() -> None:
    content, blobs = empty("seen"), Blobs()
    now, near, goal = (blobs.add(np.full(3, n, np.uint8)) for n in range(3))
    task = {"number": 0, "goal": goal, "shortest": 1}
    content["worlds"].append({"kind": "seen", "every": 1, "episodes": [task]})
    plans = [{"at": 0, "skipped": 0, "near": near}, {"at": 1, "skipped": 1, "near": None}]
    for levels in (1, 2):
        walk = {"success": 1, "steps": 1, "frames": [now, now], "levels": [{"plans": plans}] * levels}
        content["agents"].append(
            {"run": "r", "world": 0, "levels": levels, "depth": "trained", "metric": "commute",
             "information": "seen", "episodes": [walk]}
        )  # fmt: skip
    content["blobs"] = blobs.texts
    legend, first, second = re.split("<h2>", film_strip(content))
    assert "nearest state seen" in legend
    assert first.count("<img") == 3 and blobs.texts[near] not in first
    assert second.count(f"base64,{blobs.texts[near]}") == 1 and second.count("<img") == 4
    assert second.index("level 2: subgoal") < second.index("step 1<") < second.index("level 2: skipped")


def test_twenty_episodes_of_four_levels_stay_below_five_megabytes() -> None:
    """Of all agents of one to four levels, each part as large as it gets: pictures, plans of every step, and maps."""
    steps, horizon, episodes, moments = 125, 32, 20, 126
    count = 4 * episodes * moments + AROUND
    pictures = 4 / 3 * BYTES
    frames = Frames(Blobs(), count)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (4, 96, 96, 3)).astype(np.uint8)
    least = max(len(base64.b64decode(frames.blobs.texts[name])) for name in frames.add(noise))
    assert least * (4 * episodes * math.ceil(steps / frames.every) + AROUND / frames.every) <= BYTES
    plan = {"at": 100, "skipped": 0, "goal": 0, "uv": [1000] * 2 * horizon}
    # Level 1 plans every 4 steps, as the settings of published agents say; level 2 every 8, and so on.
    made = {1: 32, 2: 16, 3: 6, 4: 2}
    words = 0
    for levels in range(1, 5):
        for level in range(1, levels + 1):
            one = {**plan, "uv": plan["uv"] if level == 1 else plan["uv"][:16]}
            if level > 1:
                one["near"] = "b10000"
            own = {"states": "b10000", "shade": "b10000", "costs": [1234.0] * moments, "low": 0.1234,
                   "high": 1234.0, "unit": "squared distance", "goal": [1000, 1000],
                   "path": [1000] * 2 * moments, "shown": 0.123}  # fmt: skip
            text = as_script({"plans": [one] * made[level], "map": own})
            words += episodes * (len(text) + 4 / 3 * 3 * AROUND)
        words += episodes * moments * len('"b10000",')
    page_itself = sum(len((PARTS / name).read_text()) for name in (*SCRIPTS, "explorer.css", "page.html"))
    film = 2 * 13 * 4 / 3 * 8000
    assert pictures + words + count * len('"b10000":"",') + page_itself + film < 5_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(version=2), "format 'hjepa-explorer' 2"),
        (lambda c: c["blobs"].update(b0="no base64!"), "blob 'b0' is not base64"),
        (lambda c: c["worlds"][0].update(width=8), r"worlds\[0\].episodes\[0\].grid has 35 bytes; 40"),
        (
            lambda c: c["worlds"][0]["episodes"][1].update(steps="b9"),
            r"episodes\[1\].steps has None bytes; 70",
        ),
        (lambda c: c["agents"][0].update(world=1), r"agents\[0\].world is 1"),
        (lambda c: c["agents"][1]["episodes"].pop(), r"agents\[1\] has other episodes"),
        (lambda c: c["agents"][1]["episodes"][0]["left"].pop(), r"episodes\[0\].left has 4 entries; 5"),
        (lambda c: c["agents"][1]["episodes"][1]["levels"].pop(), r"episodes\[1\].levels has 2 entries; 3"),
        (lambda c: c["agents"][0]["episodes"][0]["levels"][0]["plans"].reverse(), "not in order of time"),
        (
            lambda c: c["agents"][0]["episodes"][0]["levels"][0]["plans"][0]["uv"].pop(),
            "plans at 0 has 3 entries; 4",
        ),
        (
            lambda c: c["agents"][0]["episodes"][0]["levels"][0]["map"].update(states="b9"),
            "states names no blob",
        ),
    ],
)
def test_data_that_cannot_be_drawn_are_refused(
    content: dict[str, Any], change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    check(content)
    change(content)
    with pytest.raises(ValueError, match=message):
        page(content)


def test_blobs_hold_equal_bytes_once_and_little_end_first() -> None:
    blobs = Blobs()
    first = blobs.add(np.array([1, 258], np.uint16))
    assert blobs.add(np.array([1, 0, 2, 1], np.uint8)) == first and blobs.texts == {first: "AQACAQ=="}
    with pytest.raises(ValueError, match="a blob of int64"):
        blobs.add(np.zeros(2, np.int64))


def test_numbers_are_rounded_and_kept_in_range() -> None:
    assert tenths(np.array([[0.04, 1.26]])) == [0, 13]
    np.testing.assert_array_equal(
        bytes_between(np.array([-1, 0, 5, 10, 11, np.nan]), 0, 10, 254), [0, 0, 127, 254, 254, 255]
    )
    np.testing.assert_array_equal(bytes_between(np.array([3.0, 3.0]), 3, 3, 254), [0, 0])


def test_every_part_of_the_page_is_used() -> None:
    assert {file.name for file in PARTS.iterdir()} == {*SCRIPTS, "page.html", "explorer.css"}


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "page.js"
    file.write_text("\n".join((PARTS / name).read_text() for name in SCRIPTS))
    checked = subprocess.run(["node", "--check", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr

"""The page: data that do not fit are refused, texts stay texts, and nothing is asked of a network."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hjepa.explorer.packing import Blobs, bytes_between, tenths
from hjepa.explorer.page import SCRIPTS, as_script, page
from hjepa.explorer.schema import check

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
    assert json.loads(data) == content


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

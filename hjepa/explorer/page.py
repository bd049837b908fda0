"""The page: data, style and script in one file that asks nothing of any network."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from hjepa.explorer.film import film_strip
from hjepa.explorer.opening import openings
from hjepa.explorer.schema import check

SCRIPTS = ("data.js", "elements.js", "seen.js", "draw.js", "app.js", "controls.js")
"""In the order in which they need one another."""


def page(content: Mapping[str, Any]) -> str:
    """The page of data.

    Args:
        content: as `hjepa.explorer.schema` says.

    Raises:
        ValueError: it does not.
    """
    check(content)
    parts = {
        "title": html.escape(f"hjepa explorer: {content['title']}"),
        "style": _part("explorer.css"),
        "script": "\n".join(_part(name) for name in SCRIPTS),
        "film": film_strip(content),
        "data": as_script({**content, "open": openings(content)}),
    }
    # One pass over the page alone: a text of the data that looks like a mark stays what it is.
    return re.sub("@([a-z]+)@", lambda mark: parts[mark[1]], _part("page.html")) + "\n"


def as_script(content: Mapping[str, Any]) -> str:
    """JSON that can stand inside a script element: whatever texts hold, it is not left before its end."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _part(name: str) -> str:
    return resources.files("hjepa.explorer").joinpath("page_parts", name).read_text(encoding="utf-8").strip()

"""Pieces of HTML, made by the templates, which escape every text; every number of a result is a ``<data>`` element.

``<data value="0.97" data-from="R4 R2">97.0 %</data>``: the exact value, and the names of the records behind it, which
are anchors in the page's list of sources.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from hjepa.evaluation.comparison import Measured
from hjepa.figures.groups import MARKERS
from hjepa.figures.style import MUTED, level_colour
from hjepa.report.template import piece, say

_COLOURS = {
    "#000000": "--ink",
    "#222222": "--ink",
    MUTED: "--muted",
    "#999999": "--faint",
    "#e6e6e6": "--line",
    "#ffffff": "--paper",
}
"""Colours of figures that follow the page between light and dark; those of levels stay."""

NOTHING = Markup("–")
"""In the place of a number that is not known."""

_SHAPES = {
    "o": '<circle cx="6" cy="6" r="4.6"/>',
    "s": '<rect x="1.8" y="1.8" width="8.4" height="8.4"/>',
    "^": '<path d="M6 1L11 10.4H1z"/>',
    "D": '<path d="M6 .4L11.6 6L6 11.6L.4 6z"/>',
    "v": '<path d="M6 11L11 1.6H1z"/>',
    "P": '<path d="M4 1h4v3h3v4H8v3H4V8H1V4h3z"/>',
}


def number(text: str, value: float | None, sources: Iterable[str], title: str = "") -> Markup:
    """A number with its exact value and its sources."""
    names = list(dict.fromkeys(sources))
    hint = f"{title + '; ' if title else ''}from {ranges(names)}"
    return piece("number", text, "" if value is None else repr(float(value)), " ".join(names), hint)


def percent(measured: Measured | None, digits: int = 1, interval: bool = True) -> Markup:
    """``97.0 % (93.6–98.6)``; a dash where there is nothing."""
    if measured is None:
        return NOTHING
    text = f"{fixed(100 * measured.value, digits)} %"
    if interval and measured.lo is not None and measured.hi is not None:
        text += f" ({fixed(100 * measured.lo, digits)}–{fixed(100 * measured.hi, digits)})"
    return number(text, measured.value, measured.sources, _rests(measured))


def points(measured: Measured | None, digits: int = 1) -> Markup:
    """A difference in percentage points with its interval: ``+3.0 (−1.0, +7.0)``."""
    if measured is None:
        return NOTHING
    text = signed(measured.value, digits)
    if measured.lo is not None and measured.hi is not None:
        text += f" ({signed(measured.lo, digits)}, {signed(measured.hi, digits)})"
    return number(text, measured.value, measured.sources, _rests(measured))


def signed(value: float, digits: int = 1) -> str:
    """A share as signed percentage points, never ``−0``."""
    text = fixed(abs(100 * value), digits)
    sign = "" if not any(c in "123456789" for c in text) else "+" if value > 0 else "−"
    return sign + text


def fixed(value: float, digits: int) -> str:
    """A number that is not negative with that many digits; halves go up, as readers expect of 14.5."""
    scale = 10**digits
    return f"{int(value * scale + 0.5 + 1e-9) / scale:.{digits}f}"


def plain_number(value: float | None, digits: int, sources: Iterable[str]) -> Markup:
    """A number that carries no interval; a dash where it is not known."""
    return NOTHING if value is None else number(f"{value:.{digits}f}", value, sources)


def compact(value: float | None, sources: Iterable[str]) -> Markup:
    """A number of any size with three significant digits; a dash where it is not known."""
    return NOTHING if value is None else number(f"{value:.3g}", value, sources)


def links(sources: Iterable[str]) -> Markup:
    """Links to records in the list of sources; neighbours are joined, as in ``R1–R6``."""
    runs = _runs(list(dict.fromkeys(sources)))
    return piece("links", [(first, first if first == last else f"{first}–{last}") for first, last in runs])


def ranges(sources: Sequence[str]) -> str:
    """`links` without the links."""
    return " ".join(first if first == last else f"{first}–{last}" for first, last in _runs(sources))


def level_name(levels: int, text: str = "") -> Markup:
    """``2 levels``, or another text, behind the marker and the colour that figures give to this level."""
    shape = Markup(_SHAPES[MARKERS[(levels - 1) % len(MARKERS)]])
    return piece("level", level_colour(levels), shape, text or counted(levels))


def counted(levels: int, noun: str = "level") -> str:
    """``1 level``, ``2 levels``."""
    return f"{levels} {noun}{'' if levels == 1 else 's'}"


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``4th`` and so on."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", kind: str = "") -> Markup:
    """A table; the first column names the row, a row of one cell a group."""
    return piece("table", list(head), [list(row) for row in rows], caption, kind)


def details(summary: str, body: str) -> Markup:
    """Something that unfolds without a script."""
    return piece("details", summary, body)


def picture(name: str, wide: Figure, narrow: Figure, label: str, caption: str) -> Markup:
    """A figure in both widths, of which the page's style shows one.

    Args:
        name: unique on the page.
        wide, narrow: the same content for a desk and for a phone.
        label: what a screen reader says.
        caption: below it.
    """
    drawn = svg(wide, f"{name}-w-", label, "wide") + svg(narrow, f"{name}-n-", label, "narrow")
    return piece("picture", name, drawn, caption)


def svg(figure: Figure, prefix: str, label: str, kind: str) -> Markup:
    """A figure as SVG to stand in a page: ids of its own, the page's fonts, colours that follow its theme."""
    stream = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    # The sheet that matplotlib adds would style the whole page.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.S)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r'<g id="(level-\d+)">', r'<g class="\1">', text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r"url\(#", f"url(#{prefix}", text)
    text = re.sub(r'xlink:href="#', f'href="#{prefix}', text)
    text = re.sub(
        r"font: ((?:italic |oblique )?(?:\d{3} |bold )?[\d.]+px) [^;\"]+", r"font: \1 var(--sans)", text
    )
    for colour, name in _COLOURS.items():
        text = re.sub(rf"(: ?){colour}\b", rf"\1var({name})", text, flags=re.I)
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    head = say('<svg class="{}" role="img" aria-label="{}" {}>', kind, label, Markup(box.group()))
    text = re.sub(r"^<svg[^>]*>", lambda _: str(head), text)
    return Markup(re.sub(r"\n\s*", "\n", text).strip())


def plain(markup: str) -> str:
    """The text of a piece of HTML, for a terminal."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


def _rests(measured: Measured) -> str:
    seeds = f", {counted(measured.trainings, 'training seed')}" if measured.trainings else ""
    return f"{counted(measured.episodes, 'episode')}{seeds}"


def _runs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Neighbouring numbers of names such as R3, joined when they are three or more."""
    numbers = sorted({int(name[1:]) for name in names if re.fullmatch(r"R\d+", name)})
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    found: list[tuple[str, str]] = []
    for run in runs:
        found += [(f"R{run[0]}", f"R{run[-1]}")] if len(run) > 2 else [(f"R{n}", f"R{n}") for n in run]
    return found

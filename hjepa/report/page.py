"""The page as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from hjepa.evaluation.comparison import RESAMPLES, RESAMPLING_SEED, SMALLEST_BUCKET, blocks
from hjepa.json_files import write_text
from hjepa.report.answer import MARGIN, answer
from hjepa.report.diagnosis import diagnostics_section, ladder_section
from hjepa.report.episodes import episodes_section
from hjepa.report.first_screen import beside, first_screen, headline, sentence
from hjepa.report.markup import counted, plain
from hjepa.report.pictures import Pictures
from hjepa.report.provenance import failed_section, sources_section
from hjepa.report.sections import all_results, compute_section, differences_section, settings_section
from hjepa.report.sources import gather
from hjepa.report.style import STYLE
from hjepa.report.template import rendered


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        page: the HTML file.
        pictures: PNG and PDF files.
        answer: the first screen's words, plain text.
        records, files, failed: how many records of how many files, and cells that failed.
    """

    page: Path
    pictures: list[Path]
    answer: str
    records: int
    files: int
    failed: int


Tell = Callable[[int, int], None]
"""Called with the sections written so far and all of them."""


def write_report(
    given: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    tell: Tell = lambda done, total: None,
    walks: bool = True,
) -> Report:
    """Reads results and writes the page, and its figures as PNG and PDF in ``<page>_figures/`` beside it.

    The same files give the same page, byte by byte.

    Args:
        given: folders of ablations, run folders, folders with files of records, and files of records.
        out: the page.
        tell: how far it is.
        walks: whether one solved and one failed episode are walked again, where the weights are there.

    Raises:
        InputError: nothing to report, a file that is no result, or a place that cannot be written.
    """
    page = Path(out)
    material = gather(given)
    evaluations = blocks(material.entries)
    answers = [found for found in map(answer, evaluations) if found is not None]
    pictures = Pictures()
    made: list[tuple[str, str, Markup]] = []
    makers: list[tuple[str, str, Callable[[], Markup]]] = [
        ("first", "", lambda: first_screen(answers, pictures)),
        ("episodes", "One solved, one not", lambda: episodes_section(answers, material, pictures, walks)),
        ("settings", "Every setting", lambda: settings_section(evaluations, pictures)),
        ("compute", "Success against compute", lambda: compute_section(answers, pictures)),
        ("differences", "Paired differences", lambda: differences_section(answers, pictures)),
        ("ladder", "Which piece is weakest", lambda: ladder_section(evaluations, pictures)),
        ("levels", "Inside the levels", lambda: diagnostics_section(evaluations, pictures)),
        ("results", "All results", lambda: all_results(evaluations)),
        ("failed", "Failed cells", lambda: failed_section(material.failed)),
        ("method", "How to read the numbers", _method),
        ("sources", "Commands and files behind every number", lambda: sources_section(material, page)),
    ]
    for done, (name, title, make) in enumerate(makers):
        tell(done, len(makers) + 1)
        made.append((name, title, make()))
    tell(len(makers), len(makers) + 1)
    title = headline(answers)
    kicker = ", ".join(dict.fromkeys(f"{b.task} · {b.tasks} {b.split} episodes" for b in evaluations))
    failed = f" · {counted(len(material.failed), 'cell')} failed" if material.failed else ""
    shown = [section for section in made[1:] if section[2]]
    text = rendered(
        "page.html",
        title=title,
        style=Markup(STYLE),
        kicker=kicker + failed,
        head=made[0][2],
        sections=shown,
    )
    written = pictures.write(page.with_name(f"{page.stem}_figures"))
    write_text(page, f"{text}\n")  # last, so that a page that is there is whole
    tell(len(makers) + 1, len(makers) + 1)
    words = " ".join([f"{title}.", *(plain(sentence(a) + " " + beside(a)) for a in answers)])
    return Report(page, written, words, len(material.entries), len(material.files), len(material.failed))


def _method() -> Markup:
    """How the numbers are made."""
    return rendered(
        "method.html",
        margin=f"{100 * MARGIN:.0f}",
        resamples=RESAMPLES,
        seed=RESAMPLING_SEED,
        smallest=SMALLEST_BUCKET,
    )

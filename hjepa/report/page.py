"""The page as a whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hjepa.evaluation.comparison import RESAMPLES, RESAMPLING_SEED, SMALLEST_BUCKET, blocks
from hjepa.json_files import write_text
from hjepa.report.answer import MARGIN, answer
from hjepa.report.diagnosis import diagnostics_section, ladder_section
from hjepa.report.first_screen import first_screen, headline, sentence
from hjepa.report.markup import counted, esc, plain
from hjepa.report.pictures import Pictures
from hjepa.report.provenance import failed_section, sources_section
from hjepa.report.sections import all_results, compute_section, differences_section, settings_section
from hjepa.report.sources import gather
from hjepa.report.style import STYLE


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


RULE = f"""<p>The rule. Settings that plan with a piece of the truth are left out; of the others, the one whose best
number of levels solves most is taken. In it, <em>best</em> is the number of levels that solves most, and the answer
is the fewest levels that are not shown to be worse: the 95&nbsp;% interval of the paired difference, best minus
fewer, reaches zero. The answer holds “as far as these episodes can tell” when another number of levels could still
be better by more than {100 * MARGIN:.0f} points. Comparisons are not corrected for being several.</p>
<p>Intervals. One training seed: Wilson’s interval over episodes. Several: a bootstrap that draws training seeds and
episodes anew ({RESAMPLES} times, generator seed {RESAMPLING_SEED}), never narrower than Wilson’s. Differences are
paired by evaluation seed, episode and length of the shortest path, and by training seed where both sides have the
same; their interval is the same bootstrap of the differences, never narrower than Bonett and Price’s (2012).</p>
<p>“Does better on an episode” is the probability of improvement of Agarwal et al. (2021) with episodes as tasks: to
solve what the other does not, or in fewer steps; a tie counts half. IQM is the interquartile mean of success over
training seeds and distance buckets of at least {SMALLEST_BUCKET} episodes. SPL is success weighted by shortest path
over steps walked. “Path / shortest” is taken over solved episodes.</p>"""


def write_report(given: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Report:
    """Reads results and writes the page, and its figures as PNG and PDF in ``<page>_figures/`` beside it.

    The same files give the same page, byte by byte.

    Args:
        given: folders of ablations, run folders and files of records.
        out: the page.

    Raises:
        InputError: nothing to report, a file that is no result, or a place that cannot be written.
    """
    page = Path(out)
    material = gather(given)
    evaluations = blocks(material.entries)
    answers = [found for found in map(answer, evaluations) if found is not None]
    pictures = Pictures()
    sections = [
        ("settings", "Every setting", settings_section(evaluations, pictures)),
        ("compute", "Success against compute", compute_section(answers, pictures)),
        ("differences", "Paired differences", differences_section(answers, pictures)),
        ("ladder", "Which piece is weakest", ladder_section(evaluations, pictures)),
        ("levels", "Inside the levels", diagnostics_section(evaluations, pictures)),
        ("results", "All results", all_results(evaluations)),
        ("failed", "Failed cells", failed_section(material.failed) if material.failed else ""),
        ("method", "How to read the numbers", RULE),
        ("sources", "Where every number comes from", sources_section(material, page)),
    ]
    head = first_screen(answers, pictures)
    shown = [(name, title, body) for name, title, body in sections if body]
    menu = "".join(f'<a href="#{name}">{esc(title)}</a>' for name, title, _ in shown)
    body = "".join(
        f'<section id="{name}"><h2>{esc(title)}</h2>{body}</section>' for name, title, body in shown
    )
    title = headline(answers)
    kicker = ", ".join(dict.fromkeys(f"{b.task} · {b.tasks} {b.split} episodes" for b in evaluations))
    failed = f" · {counted(len(material.failed), 'cell')} failed" if material.failed else ""
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{esc(title)}</title><style>{STYLE}</style></head>\n<body><main>"
        f'<p class="kicker">hjepa report · {esc(kicker + failed)}</p>{head}<nav>{menu}</nav>{body}'
        "</main></body></html>\n"
    )
    written = pictures.write(page.with_name(f"{page.stem}_figures"))
    write_text(page, text)  # last, so that a page that is there is whole
    words = " ".join([f"{title}.", *(plain(sentence(a)) for a in answers)])
    return Report(page, written, words, len(material.entries), len(material.files), len(material.failed))

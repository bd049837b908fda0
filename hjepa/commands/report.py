"""Turn results into one page that says how many levels to use, with its figures as PNG and PDF beside it.

The page needs no network and no script. Every number on it names the record, and so the file, that it comes from.
What cards claim, the agent's among them, is computed anew by hjepa claims.
"""

from __future__ import annotations

from typing import Any

from hjepa.commands._options import check_drawing, progress_bar
from hjepa.errors import InputError
from hjepa.places import output_file


def add_arguments(parser: Any) -> None:
    add = parser.add_argument
    add(
        "folder",
        nargs="*",
        metavar="OUT",
        help="the --out of hjepa ablate, a run folder, a folder of files of hjepa plan --json, or such a file; several"
        " are read together",
    )
    add("--out", metavar="PAGE.html", help="the page")
    add(
        "--no-walks",
        action="store_true",
        help="walk no episode again, which takes seconds where the weights are there",
    )


def run(options: Any) -> None:
    given = options.folder if isinstance(options.folder, list) else [options.folder]
    if not given or options.out is None:
        raise InputError("no results, or no page to write", "report", "give OUT and --out PAGE.html")
    check_drawing()
    from hjepa.report.page import write_report

    out = output_file(options.out)
    with progress_bar("report", "section") as tell:
        report = write_report(given, out, tell, walks=not options.no_walks)
    print(report.answer)
    failed = f"; failed cells: {report.failed}" if report.failed else ""
    print(f"\n{report.page}: records: {report.records}, files: {report.files}{failed}")
    if report.pictures:
        print(f"figures: {report.pictures[0].parent}")

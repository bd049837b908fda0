"""Turn results into one page that says how many levels to use, with its figures as PNG and PDF beside it.

The page needs no network and no script. Every number on it names the record, and so the file, that it comes from.
With --agent, print instead what each part of the agent had to show and what came of it, from the published lists.
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
    add("--agent", action="store_true", help="the parts of the agent, from hjepa/published/agent")
    add("--json", metavar="FILE", help="with --agent: where the list of rows goes")


def run(options: Any) -> None:
    if options.agent:
        _agent(options)
        return
    given = options.folder if isinstance(options.folder, list) else [options.folder]
    if not given or options.out is None:
        raise InputError(
            "no results, or no page to write", "report", "give OUT and --out PAGE.html, or --agent"
        )
    if options.json is not None:
        raise InputError("--json without --agent", "report", "records are what hjepa plan and ablate write")
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


def _agent(options: Any) -> None:
    if options.folder or options.out is not None:
        raise InputError(
            "results or a page with --agent", "report", "leave them out; --agent reads what is published"
        )
    file = None if options.json is None else output_file(options.json)

    from hjepa.json_files import write_json
    from hjepa.report.agent import agent_rows, agent_table

    rows = agent_rows()
    print(agent_table(rows))
    if file is not None:
        write_json(file, rows)

"""Measure speed: each piece of work beside what people would otherwise do, in turns in one run.

Kinds: `tasks` steps environments, `peers` beside those written in JAX, `windows` draws training windows of pictures,
`training` takes training steps, `plan` plans, `shared` with and without what candidates share, `solvers` beside
stable-worldmodel's, `actor` acts, `growth` says how costs grow, `memory` what is held. Processor time, where the CPU
computes. Rows beside packages that are not installed are left out, unless they are asked for by name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hjepa.bench.kinds import KINDS
from hjepa.commands._options import add_allow, add_device, known_task
from hjepa.errors import InputError


def add_arguments(parser: Any) -> None:
    parser.add_argument("what", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS.ours)}; default: all")
    parser.add_argument("--task", metavar="ID", help="for tasks: which one; default: of middle size")
    parser.add_argument("--checkpoint", metavar="NAME_OR_DIR", help="for plan and growth; default: nested-d3")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="of everything; default: 3")
    parser.add_argument("--json", metavar="FILE", help="where the list of rows goes")
    parser.add_argument("--figure", metavar="FILE", help="picture of how costs grow; needs kind growth")
    add_device(parser)
    add_allow(parser)


def run(options: Any) -> None:
    from hjepa.bench.kinds import measured
    from hjepa.bench.row import Missing, Options
    from hjepa.devices import fix_threads, torch_device
    from hjepa.json_files import write_json
    from hjepa.model.checkpoints import describe

    kinds = options.what or list(KINDS.ours)
    for kind in kinds:
        if kind not in KINDS.ours:
            raise InputError(f"kind {kind!r}", "bench", f"choose from {', '.join(KINDS.ours)}")
    if options.precision != "32":
        raise InputError(f"precision {options.precision!r}", "bench", "planning computes in 32 bits")
    if options.repeats < 1:
        raise InputError(f"{options.repeats} repeats", "bench", "give 1 or more")
    if options.figure is not None and "growth" not in kinds:
        raise InputError(f"a figure of {', '.join(kinds)}", "bench --figure", "measure growth as well")
    asked: dict[str, Any] = {"repeats": options.repeats, "device": torch_device(options.device)}
    if options.task is not None:
        asked["task"] = known_task(options.task).id
    if options.checkpoint is not None:
        describe(options.checkpoint)
        asked["checkpoint"] = options.checkpoint
    fix_threads()
    found = []
    for kind in kinds:
        print(f"measuring {kind} ...", file=sys.stderr)
        try:
            for row in measured(kind, Options(**asked)):
                print(said(row.plain()), flush=True)
                found.append(row.plain())
                if options.json is not None:
                    write_json(Path(options.json), found)
        except Missing as error:
            if options.what:
                raise
            print(f"left out: {error}", file=sys.stderr)
    if options.figure is not None:
        draw(found, Path(options.figure))


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """A panel for each row of a growth."""
    from hjepa.figures.growth import Growth, growth_panel
    from hjepa.figures.style import DPI, new_figure

    grown = [row for row in rows if row["points"]]
    figure = new_figure(9.6, 3.1 * -(-len(grown) // 3))
    for place, row in enumerate(grown, 1):
        name = row["work"].removeprefix("growth of processor time in ")
        fitted = row["ours"], 1 / row["most"], 1 / row["least"]
        growth_panel(figure.add_subplot(-(-len(grown) // 3), 3, place), Growth(name, row["points"], *fitted))
    figure.axes[0].legend(fontsize=8, frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=DPI)


def said(row: dict[str, Any]) -> str:
    """A row in two lines."""
    bar = "" if row["floor"] is None else f", floor {row['floor']:.3g}: {'met' if row['met'] else 'not met'}"
    return (
        f"{row['work']}: {row['ours']:.4g} {row['unit']}\n"
        f"    against {row['against']}: {row['theirs']:.4g}; ratio {row['ratio']:.3g}"
        f" ({row['least']:.3g} to {row['most']:.3g}){bar}"
    )

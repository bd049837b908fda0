"""Turn the records of an ablation into one page."""

from __future__ import annotations

from typing import Any

from hjepa.errors import InputError


def add_arguments(parser: Any) -> None:
    parser.add_argument("folder", metavar="DIR", help="the --out of hjepa ablate")
    parser.add_argument("--out", required=True, metavar="PAGE.html", help="the page")


def run(options: Any) -> None:
    raise InputError(
        "hjepa report is not there yet", remedy=f"read the records in {options.folder}/cells/*.json"
    )

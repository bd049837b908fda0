"""What MkDocs does beside this folder: the README is the first page, cards and notebooks are part of the site.

Pages here link to files of the repository, so that they read well in a file browser too; here those links become links
within the site. ``mkdocs.yml`` names this file as a hook.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parent.parent

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the repository that are pages, and their places in the site."""

FOLDERS = {"hjepa/published": "cards", "notebooks": "notebooks"}
"""Folders that are part of the site, and what they are called there."""

FILES = {"LICENSE": "LICENSE.txt", "CITATION.cff": "CITATION.cff"}

KEPT = (".md", ".json", ".ipynb", ".py", ".yaml")

LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add what lies outside of this folder."""
    from mkdocs.structure.files import File, InclusionLevel

    for source, place in _outside():
        files.append(
            File.generated(
                config,
                place,
                abs_src_path=str(source),
                inclusion=InclusionLevel.INCLUDED if source.name in PAGES else InclusionLevel.NOT_IN_NAV,
            )
        )
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files of the repository into links within the site."""
    here = home(page.file.src_uri)
    parts = FENCE.split(markdown)
    return "".join(part if FENCE.fullmatch(part) else _with_links(part, here) for part in parts)


def home(place: str) -> str:
    """Where in the repository a file of the site comes from, as a path with slashes."""
    for source, page in {**PAGES, **FILES}.items():
        if place == page:
            return source
    for source, folder in FOLDERS.items():
        if place.startswith(f"{folder}/"):
            return source + place.removeprefix(folder)
    return f"docs/{place}"


def place_of(source: str) -> str | None:
    """Where in the site a file of the repository is; None where it is not."""
    if source in PAGES or source in FILES:
        return {**PAGES, **FILES}[source]
    for folder, name in FOLDERS.items():
        if source.startswith(f"{folder}/"):
            return name + source.removeprefix(folder)
    return source.removeprefix("docs/") if source.startswith("docs/") else None


def _outside() -> list[tuple[Path, str]]:
    found = [ROOT / name for name in (*PAGES, *FILES)]
    for folder in FOLDERS:
        found += [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in KEPT]
    places = [(path, place_of(path.relative_to(ROOT).as_posix())) for path in found]
    return [(path, place) for path, place in places if place is not None]


def _with_links(text: str, here: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        if re.match(r"[a-z]+:", target):
            return match.group()
        source = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        place, own = place_of(source), place_of(here)
        if place is None or own is None:
            return match.group()
        return before + posixpath.relpath(place, posixpath.dirname(own) or ".") + after

    return LINK.sub(replaced, text)

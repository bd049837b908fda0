"""Templates of the page, in ``hjepa/report/templates``: what comes from a file is escaped, unless it is `Markup`."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound
from markupsafe import Markup


class _Shipped(BaseLoader):
    """What lies in the folder ``templates`` of this package, also where the package is an archive."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, None]:
        file = resources.files("hjepa.report").joinpath("templates", template)
        if not file.is_file():
            raise TemplateNotFound(template)
        return file.read_text(encoding="utf-8"), str(file), None


@cache
def environment() -> Environment:
    """Templates that escape, and that refuse a name that nobody gave."""
    return Environment(
        loader=_Shipped(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def rendered(template: str, **values: Any) -> Markup:
    """A template with its values."""
    return Markup(environment().get_template(template).render(**values))


def piece(name: str, *values: Any) -> Markup:
    """A macro of ``pieces.html`` with its values."""
    return Markup(getattr(environment().get_template("pieces.html").module, name)(*values))


def say(text: str, *values: Any, **named: Any) -> Markup:
    """A sentence with HTML in it, and with values at its ``{}``, which are escaped unless they are `Markup`."""
    return Markup(text).format(*values, **named)


def joined(parts: Any, between: str = "") -> Markup:
    """Pieces one after the other."""
    return Markup(between).join(parts)

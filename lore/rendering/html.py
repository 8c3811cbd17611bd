"""Pages made from the templates in `templates/`.

A page holds its own style and no script. It fetches nothing, so it opens without a network. Jinja
escapes every text that a template shows.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from lore.rendering.report import BAD, GOOD, Section, width

HERE = Path(__file__).parent
LONG_TOKEN = re.compile(r"\S{25,}")
"""A run of 25 or more signs without a space, such as a path. A table may break it anywhere."""
SHORT = 14
"""Columns of a cell that stays on one line, so that a value and its unit are not parted."""


def page(title: str, notes: Sequence[str], sections: Iterable[Section]) -> str:
    """Draw a report as one page."""
    return render("report.html", title=title, notes=notes, sections=list(sections))


def render(template: str, **values: Any) -> str:
    """Fill a template of `templates/` and return the page. An undefined name in it is an error."""
    page = environment().get_template(template)
    return page.render(values)


@cache
def environment() -> jinja2.Environment:
    """Return Jinja set up for pages: every value is escaped, an undefined name is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["common_style"] = Markup(style("page.css"))  # noqa: S704  # our own file
    made.filters["classes"] = classes
    made.filters["breakable"] = breakable
    made.filters["count"] = "{:,}".format
    return made


def style(name: str) -> str:
    """Read a style sheet that lies beside this module."""
    return (HERE / name).read_text(encoding="utf-8")


def classes(cell: str) -> str:
    """Return the classes of a plain cell, such as `bad short`: its colour, and whether it is one line."""
    names = []
    if tone(cell):
        names.append(tone(cell))
    if width(cell) <= SHORT:
        names.append("short")
    return " ".join(names)


def tone(cell: str) -> str:
    """Return the class of a verdict's colour: `good`, `bad`, or nothing for any other cell.

    A verdict may be followed by what the model said: `newly wrong: “It is 7 °C.”`.
    """
    verdict = cell.split(":", maxsplit=1)[0]
    if verdict in GOOD:
        return "good"
    if verdict in BAD:
        return "bad"
    return ""


def breakable(text: str) -> Markup:
    """Escape a text and mark its long tokens, which are the only ones that a line may break.

    Example: `see a/long/path/without/any/space.csv` becomes
    `see <span class="long">a/long/path/without/any/space.csv</span>`.
    """
    # `end` is where the last long token ended. The text between two of them is escaped as it is.
    pieces = []
    end = 0
    for token in LONG_TOKEN.finditer(text):
        pieces.append(escape(text[end : token.start()]))
        pieces.append(Markup('<span class="long">{}</span>').format(token.group()))
        end = token.end()
    pieces.append(escape(text[end:]))
    return Markup("").join(pieces)

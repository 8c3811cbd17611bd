"""The sections of a report as one HTML file: style inside, no script, nothing fetched, all text escaped."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from lore.rendering.report import BAD, GOOD, Section


def page(title: str, notes: Sequence[str], sections: Iterable[Section]) -> str:
    """The whole page."""
    return document(title, notes, "".join(map(section_of, sections)))


def document(title: str, notes: Sequence[str], body: str, style: str = "") -> str:
    """A page around what its body says in HTML, perhaps with rules of style beside the common ones."""
    common = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{common}{style}</style>\n</head>\n<body>\n<h1>{html.escape(title)}</h1>\n"
        + "".join(f'<p class="note">{html.escape(note)}</p>\n' for note in notes)
        + body
        + "</body>\n</html>\n"
    )


def section_of(section: Section) -> str:
    """A heading, its lines and its table."""
    lines = "".join(f"<p>{html.escape(line)}</p>\n" for line in section.lines)
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in section.columns)
    rows = "".join(f"<tr>{''.join(map(cell, section.columns, row))}</tr>\n" for row in section.rows)
    table = (
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
        if rows
        else ""
    )
    return f"<section>\n<h2>{html.escape(section.title)}</h2>\n{lines}{table}</section>\n"


def cell(name: str, text: str) -> str:
    """A cell with its column's name, which stands before it on a phone; a verdict has a colour besides its words."""
    word = text.split(":", maxsplit=1)[0]
    tone = ' class="good"' if word in GOOD else ' class="bad"' if word in BAD else ""
    return f'<td data-name="{html.escape(name)}"{tone}>{html.escape(text)}</td>'

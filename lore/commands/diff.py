"""Compare two knowledge versions fact by fact.

It shows facts added, removed and changed with their sources, how the model answers each, what the model
forgot or picked up besides, changed rules and settings, and scores with the verdict whether they differ
by more than chance. Where metrics/spread.json is there, it also says whether a score differs by more than
another seed does. Both versions are read from git and DVC's cache. Nothing is checked out.
Example: `lore diff main` compares main with the files here, `lore diff main my-branch` two branches.
`lore diff main...my-branch --markdown` compares my-branch with the commit where it left main, which is
what a pull request changes. Exit code 0, with --exit-code 3 where facts or answers differ, 1 for an
error.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lore.comparison.difference import as_json, compare, sections_of
from stages.core.models.variants import NAMES
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.rendering.report import Section
    from lore.versions.version import Version

DIFFERENT = 3
DEFAULT = "train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore diff`."""
    parser.add_argument(
        "a",
        nargs="?",
        default="HEAD",
        metavar="A",
        help="a release, branch, tag, commit or experiment; default: HEAD. A...B compares B with "
        "the common ancestor of both, A..B compares both",
    )
    parser.add_argument(
        "b", nargs="?", metavar="B", help="another one; default: the files as they lie here"
    )
    parser.add_argument(
        "--model",
        choices=NAMES,
        default=DEFAULT,
        help=f"variant whose answers count, fact by fact; default: {DEFAULT}",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="list everything, also facts that are still wrong and facts that only moved",
    )
    parser.add_argument(
        "--ask",
        action="store_true",
        help="load the model here and ask it about removed facts: has it forgotten?",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print Markdown, for a pull request")
    form.add_argument("--json", action="store_true", help="print JSON; it always holds everything")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="also write a page that opens anywhere, without a network",
    )
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help=f"exit with {DIFFERENT} where facts or answers differ",
    )


def run(options: argparse.Namespace) -> int:
    """Compare, print, and perhaps write the page.

    Raises InputError where a version cannot be read or the page cannot be written.
    """
    from lore.rendering import report, terminal

    a, b = versions_of(options.a, options.b)
    if options.ask and b.commit is not None:
        raise InputError(
            f"--ask asks the model in this folder: git checkout --detach {b.name}, dvc checkout, "
            f"then lore diff {a.name} --ask"
        )
    difference = compare(a, b, options.model, options.ask)
    sections = sections_of(difference, options.all)
    title = f"{a.label} → {b.label}"
    if options.json:
        printed = terminal.json_text(as_json(difference)) + "\n"
    elif options.markdown:
        printed = report.markdown(title, difference.notes, sections)
    else:
        printed = report.text(title, difference.notes, sections)
    print(printed, end="", flush=True)
    if options.html:
        write_page(options.html, title, difference.notes, sections)
    if options.exit_code and difference.differs():
        return DIFFERENT
    return 0


def versions_of(a: str, b: str | None) -> "tuple[Version, Version]":
    """Return the two versions that the arguments name. `main...feature` begins at their ancestor.

    Raises InputError where there is no such version.
    """
    from lore.versions import names, version

    two = names.RANGE.fullmatch(a)
    if two is None:
        right = version.workspace() if b is None else version.revision(b)
        return version.revision(a), right
    if b is not None:
        raise InputError(f"{a} names two versions already; leave {b} out")
    # As for git, an empty side means HEAD: `main...` is main...HEAD.
    left = version.revision(two["left"] or "HEAD")
    right = version.revision(two["right"] or "HEAD")
    if "..." in a:
        left = version.merge_base(left, right)
    return left, right


def write_page(path: Path, title: str, notes: list[str], sections: "list[Section]") -> None:
    """Write the report as a page. Raises InputError where the file cannot be written."""
    from lore.rendering import html
    from stages.core.project.output import replacing

    page = html.page(title, notes, sections)
    try:
        with replacing(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: the page cannot be written: {error.strerror}; name another file"
        ) from None

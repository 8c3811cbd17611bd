"""Locators: the spot of a record in a raw file, in words, and the state of that file.

A locator is a file below data/raw, perhaps with `#` and a spot in it: `elements.sql#properties/25`,
`uses.jsonl#L12@use`. The part after the last `@` tells several facts of one unit apart.
"""

import re
from dataclasses import dataclass

from lore.versions.dvc_cache import md5
from lore.versions.version import Version
from stages.core.project import git
from stages.core.project.artifacts import RAW

# A line that OCR read, with its box in pixels or points, perhaps of one page of several:
# `L4@50,140,400,170`, `page 2/L4@-10,140,400,170@density`.
BOX = re.compile(
    r"(?:page (?P<page>\d+)/)?L(?P<line>\d+)@(?P<box>-?\d+,-?\d+,-?\d+,-?\d+)(?:@(?P<part>.+))?"
)
# A line of a text file, perhaps one of several parts of it: `L12`, `L12.2@text`.
LINE = re.compile(r"L(?P<line>\d+)(?:\.\d+)?(?:@(?P<part>.+))?")
# A span of a recording in seconds: `t=0.0,4.2@text`.
TIME = re.compile(r"t=(?P<start>[\d.]+),(?P<end>[\d.]+)(?:@(?P<part>.+))?")
# The number of an XML element among those of one name: the `[3]` of `/sheets/sheet[3]`.
NUMBERED = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class RawFile:
    """A file below data/raw in one version."""

    path: str
    md5: str
    """Of its content. Empty where neither the folder nor git has the file."""
    commit: str
    """Short hash, day and subject of the last commit that changed it. Empty where git has none."""
    current: bool
    """Whether `extract` read this content, by dvc.lock. True where dvc.lock has no hash of it."""


def file_of(locator: str) -> str:
    """Return the file that a locator points into, below data/raw."""
    file, _, _ = locator.partition("#")
    return file


def within(locator: str, outer: str) -> bool:
    """Whether a locator is `outer` or lies in it.

    `outer` is a locator itself, or a folder below data/raw: `scans/a.png#L4@1,2,3,4` lies within
    `scans`, `scans/a.png` and `scans/a.png#L4`.
    """
    if locator == outer:
        return True
    if not outer:
        return False
    return locator.startswith((f"{outer}#", f"{outer}/", f"{outer}@"))


def described(locator: str) -> str:
    """Return the spot in its file in words.

    Examples: `table properties, key 25`, `line 17`, `line 4, box 50,140,400,170`,
    `JSON pointer /a/3`, `the whole file`.
    """
    _, _, spot = locator.partition("#")
    box = BOX.fullmatch(spot)
    if box:
        page = f"page {box['page']}, " if box["page"] else ""
        return with_part(f"{page}line {box['line']}, box {box['box']}", box["part"])
    line = LINE.fullmatch(spot)
    if line:
        return with_part(f"line {line['line']}", line["part"])
    time = TIME.fullmatch(spot)
    if time:
        return with_part(f"seconds {time['start']} to {time['end']}", time["part"])
    name, _, part = spot.partition("@")
    if NUMBERED.search(name):
        name = f"XML path {name}"
    elif name.startswith("/"):
        name = f"JSON pointer {name}"
    elif "/" in name:
        table, _, key = name.rpartition("/")
        name = f"table {table}, key {key}"
    return with_part(name or "the whole file", part)


def with_part(spot: str, part: str | None) -> str:
    """Return the spot, and which of several facts of one unit is meant."""
    return f"{spot}, its {part}" if part else spot


def raw_file(version: Version, name: str) -> RawFile:
    """Return the state of a raw file in a version. `name` is its path below data/raw."""
    path = f"{RAW}/{name}"
    content = version.content(path)
    digest = "" if content is None else md5(content)
    recorded = digest
    for stage in version.stages.values():
        for dep in stage.get("deps", []):
            if dep["path"] == path:
                recorded = str(dep.get("md5"))
    commit = git.output("log", "-1", "--format=%h %cs %s", version.commit or "HEAD", "--", path)
    # The subject of a commit may be in any encoding.
    subject = (commit or b"").decode("utf-8", "replace").strip()
    return RawFile(path=path, md5=digest, commit=subject, current=recorded == digest)

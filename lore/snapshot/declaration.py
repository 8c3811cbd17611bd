"""data/raw/snapshots.yaml: the queries of databases, and the files that their rows become.

A password must not stand in it, nor in a message about it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from stages.core.project import artifacts
from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT, parse, read_yaml

DECLARATION = Path(artifacts.SNAPSHOT_DECLARATION)
RAW = Path(artifacts.RAW)
EXAMPLE = "postgresql://user:password@host/database"

# A name of an environment variable: `SHOP_URL`.
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A URL up to its password, and the password: `://user:` and `secret@` of `mysql://user:secret@host`.
PASSWORD = re.compile(r"(://[^\s:@/]*:)[^\s@]*@")
# The beginning of a query: blanks and comments (`-- …`, `/* … */`), then SELECT or WITH. The
# read-only transaction and the drivers see to it that it is one statement and changes nothing.
READS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:select|with)\b", re.IGNORECASE | re.DOTALL)
# MySQL writes a file on the server even in a read-only transaction: `SELECT … INTO OUTFILE '…'`.
WRITES = re.compile(r"\binto\s+(?:outfile|dumpfile)\b", re.IGNORECASE)

Name = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class Snapshot:
    """One query, and the file that its rows become."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """Small letters, digits, - and _. Its record in data/snapshots has this name too."""
    url_env: str
    """Environment variable that holds the database's URL, in SQLAlchemy's form."""
    query: str
    """One SELECT."""
    key: Annotated[
        list[Name],
        Field(min_length=1),
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ]
    """The column, or columns, that identify a row. They must be the same in every version."""
    file: str
    """Path below data/raw, ending in .json."""

    @property
    def path(self) -> Path:
        """The file that holds the rows."""
        return RAW / self.file


def declared(path: Path = DECLARATION) -> list[Snapshot]:
    """Return all snapshots.

    Raises ParamsError with every problem, and never with the content of `url_env`.
    """
    try:
        document = read_yaml(path)
    except ParamsError as error:
        raise ParamsError(
            masked(f"{error}; {path} declares the snapshots, scenarios/database has an example")
        ) from None
    problems = []
    for key in document:
        if key != "snapshots":
            problems.append(f"{key}: unknown; the file holds `snapshots`, a list")

    # The messages about an entry show its values. Somebody may have put a URL with a password into
    # `url_env`, so it is checked on its own, and replaced for all other checks.
    entries = document.get("snapshots")
    harmless = entries
    if isinstance(entries, list):
        harmless = []
        for number, entry in enumerate(entries):
            problems += hidden_urls(entry, f"snapshots.{number}")
            if isinstance(entry, dict):
                replaced = {"url_env": "X"} if "url_env" in entry else {}
                harmless.append(entry | replaced)
    snapshots = parse(harmless, list[Snapshot], "snapshots", problems)
    if snapshots:
        problems += problems_of(snapshots)
    if not snapshots and not problems:
        problems.append("snapshots: the list is empty")
    if problems or not snapshots:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise ParamsError(masked(f"{path}:\n{listed}"))
    return [
        Snapshot(one.name, entry["url_env"], one.query, one.key, one.file)
        for one, entry in zip(snapshots, document["snapshots"], strict=True)
    ]


def hidden_urls(entry: Any, where: str) -> Iterator[str]:
    """Yield the problems of an entry whose messages must not show what was written.

    Such a problem is a URL where the name of a variable belongs. `where` names the entry.
    """
    if not isinstance(entry, dict):
        yield f"{where}: a mapping is needed: name, url_env, query, key, file"
        return
    for key, value in entry.items():
        if key == "url_env":
            if not isinstance(value, str) or not VARIABLE.fullmatch(value):
                yield (
                    f"{where}.url_env: not the name of an environment variable; put the database's "
                    f"URL into one (export NAME='{EXAMPLE}') and write NAME here"
                )
        elif isinstance(value, str) and PASSWORD.search(value):
            yield (
                f"{where}.{key}: holds a URL with a password; "
                "passwords come from the environment only"
            )


def problems_of(snapshots: list[Snapshot]) -> Iterator[str]:
    """Yield the problems of well-formed entries."""
    for attribute in ("name", "file"):
        counts = Counter(getattr(one, attribute) for one in snapshots)
        for value, number in counts.items():
            if number > 1:
                yield f"snapshots: the {attribute} {value} is used {number} times"
    for number, one in enumerate(snapshots):
        path = PurePosixPath(one.file)
        below_raw = not path.is_absolute() and ".." not in path.parts and "\0" not in one.file
        is_json = path.suffix == ".json" and not path.name.startswith(".")
        if not below_raw or not is_json:
            yield f"snapshots.{number}.file: {one.file!r} is no path below {RAW} that ends in .json"
        if not READS.match(one.query) or WRITES.search(one.query):
            yield (
                f"snapshots.{number}.query: one SELECT is needed, which may begin WITH …; "
                "it must write nothing"
            )


def masked(text: str) -> str:
    """Return the text without the passwords of URLs in it: `mysql://user:***@host`."""
    return PASSWORD.sub(r"\1***@", text)

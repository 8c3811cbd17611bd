"""data/raw/snapshots.yaml: which query of which database becomes which file. A password has no place in it, nor in a message."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT, parse, read_yaml

DECLARATION, RAW = Path("data/raw/snapshots.yaml"), Path("data/raw")
EXAMPLE = "postgresql://user:password@host/database"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PASSWORD = re.compile(r"(://[^\s:@/]*:)[^\s@]*@")
READS = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:select|with)\b", re.IGNORECASE | re.DOTALL)
"""How a query begins. That it is one statement and changes nothing, the read-only transaction and the drivers see to."""
WRITES = re.compile(r"\binto\s+(?:outfile|dumpfile)\b", re.IGNORECASE)
"""What MySQL writes to a file of the server even in a read-only transaction."""

Name = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, config=STRICT)
class Snapshot:
    """One query, and the file that its rows become."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    """Small letters, digits, - and _; also the name of its record in data/snapshots."""
    url_env: str
    """Environment variable that holds SQLAlchemy's URL of the database."""
    query: str
    """One SELECT."""
    key: Annotated[
        list[Name],
        Field(min_length=1),
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ]
    """Column, or columns, that tell a row from all others, in every version alike."""
    file: str
    """Path below data/raw, ending in .json."""

    @property
    def path(self) -> Path:
        """Where the rows go."""
        return RAW / self.file


def declared(path: Path = DECLARATION) -> list[Snapshot]:
    """All snapshots. Raises ParamsError with every problem, and never with what stands in `url_env`."""
    problems: list[str] = []
    try:
        document = read_yaml(path)
    except ParamsError as error:
        raise ParamsError(
            masked(f"{error}; {path} declares the snapshots, scenarios/database has an example")
        ) from None
    problems += [
        f"{key}: unknown; the file holds `snapshots`, a list"
        for key in document
        if key != "snapshots"
    ]
    entries = document.get("snapshots")
    if isinstance(entries, list):
        problems += [
            problem
            for number, entry in enumerate(entries)
            for problem in hidden_urls(entry, f"snapshots.{number}")
        ]
        entries = [
            entry | {"url_env": "X"} if "url_env" in entry else entry
            for entry in entries
            if isinstance(entry, dict)
        ]
    found = parse(entries, list[Snapshot], "snapshots", problems)
    if found:
        problems += problems_of(found)
    if problems or not found:
        problems = problems or ["snapshots: the list is empty"]
        raise ParamsError(masked(f"{path}:\n" + "\n".join(f"  {problem}" for problem in problems)))
    return [
        Snapshot(one.name, entry["url_env"], one.query, one.key, one.file)
        for one, entry in zip(found, document["snapshots"], strict=True)
    ]


def hidden_urls(entry: Any, where: str) -> Iterator[str]:
    """Problems of an entry that must not show what was written: a URL where the name of a variable belongs."""
    if not isinstance(entry, dict):
        yield f"{where}: a mapping is needed: name, url_env, query, key, file"
        return
    if "url_env" in entry and not (
        isinstance(entry["url_env"], str) and VARIABLE.fullmatch(entry["url_env"])
    ):
        yield (
            f"{where}.url_env: not the name of an environment variable; put the database's URL into one "
            f"(export NAME='{EXAMPLE}') and write NAME here"
        )
    for key, value in entry.items():
        if key != "url_env" and isinstance(value, str) and PASSWORD.search(value):
            yield f"{where}.{key}: holds a URL with a password; passwords come from the environment only"


def problems_of(snapshots: list[Snapshot]) -> Iterator[str]:
    """What is wrong with well-formed entries."""
    for attribute in ("name", "file"):
        counts = Counter(getattr(one, attribute) for one in snapshots)
        yield from (
            f"snapshots: the {attribute} {value} is used {n} times"
            for value, n in counts.items()
            if n > 1
        )
    for number, one in enumerate(snapshots):
        path = PurePosixPath(one.file)
        if (
            path.is_absolute()
            or ".." in path.parts
            or path.suffix != ".json"
            or path.name.startswith(".")
        ):
            yield f"snapshots.{number}.file: {one.file!r} is no path below {RAW} that ends in .json"
        if not READS.match(one.query) or WRITES.search(one.query):
            yield f"snapshots.{number}.query: one SELECT is needed, which may begin WITH …; it must write nothing"


def masked(text: str) -> str:
    """The text without the passwords of URLs in it."""
    return PASSWORD.sub(r"\1***@", text)

"""Whether files still hold what is to be forgotten: tables row by row, texts line by line, by ids and by words.

A file is told by its first bytes, since objects of DVC's cache have no names. Of models' weights nothing can be read: they are
counted, and asked instead (lore/erasure/probing.py).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lore.erasure.target import Target
from stages.clean.exclusions import REASON

ID = re.compile(r"\b[0-9a-f]{16}\b")
HEAD = 4096
"""Bytes that tell what a file is; weights are not read any further."""
VOCABULARY = re.compile(rb'"(?:vocab|merges|added_tokens|chat_template)"')


@dataclass(frozen=True)
class Found:
    """What a search of one file found."""

    kind: str
    """table or text, which were searched; vocabulary (a tokenizer's words, which say nothing of facts), binary (such as weights)
    or damaged (a table that cannot be read), which were not."""
    searched: int = 0
    """Rows or lines."""
    held: int = 0
    """Those that name an id of the target, or state it in words."""
    mentions: int = 0
    """Rows about another fact in whose columns the same words stand together."""
    excluded: int = 0
    """Rows that account for the exclusion, without content."""
    sample: str = ""
    """The first that holds it."""


class Search:
    """A search for one target; what has been searched once, by its hash, is not read again."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.known: dict[str, Found] = {}

    def file(self, path: Path, digest: str = "") -> Found:
        """Search a file on disk. Raises OSError where it cannot be read."""
        if digest not in self.known or not digest:
            with path.open("rb") as stream:
                head = stream.read(HEAD)
            found = Found("binary") if is_binary(head) else self.content(path.read_bytes())
            if not digest:
                return found
            self.known[digest] = found
        return self.known[digest]

    def content(self, content: bytes) -> Found:
        """Search the bytes of a table or a text."""
        import pyarrow as pa

        try:
            return self.passages(content)
        except (pa.ArrowInvalid, OSError):
            return Found("damaged")

    def passages(self, content: bytes) -> Found:
        """Search row by row or line by line."""
        table = content.startswith(b"PAR1")
        if not table and VOCABULARY.search(content[:HEAD]) and content.lstrip()[:1] == b"{":
            return Found("vocabulary")
        searched = held = mentions = excluded = 0
        sample = ""
        for text, row in rows_of(content) if table else passages_of(content):
            searched += 1
            if row.get("reason") == REASON and row.get("text") == f"[{REASON}]":
                excluded += bool(self.target.ids & set(ID.findall(text)))
                continue
            named = bool(self.target.ids & set(ID.findall(text)))
            stated = named or self.target.stated_in(text)
            if stated and not named and row.get("fact"):
                mentions += 1
            elif stated:
                held += 1
                sample = sample or " ".join(text.split())
        return Found("table" if table else "text", searched, held, mentions, excluded, sample)


def is_binary(head: bytes) -> bool:
    """Whether a file that begins so is neither a table nor a text."""
    if head.startswith(b"PAR1"):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start < len(head) - 3 or b"\0" in head  # a character may be cut at the end
    return b"\0" in head


def rows_of(content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a Parquet file, each with all its texts as one. Raises ArrowInvalid or OSError for a damaged file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for row in pq.read_table(pa.BufferReader(content)).to_pylist():
        cells = (
            " ".join(map(str, cell)) if isinstance(cell, list) else str(cell)
            for cell in row.values()
            if cell is not None
        )
        yield " \n ".join(cells), row


def passages_of(content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a text; of one JSON document its entries, those of a mapping that are no mapping or list together."""
    text = content.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        plain = {
            key: value for key, value in document.items() if not isinstance(value, dict | list)
        }
        nested = [{key: value} for key, value in document.items() if key not in plain]
        document = [plain] * bool(plain) + nested
    if isinstance(document, list):
        yield from (
            (json.dumps(entry, ensure_ascii=False), entry if isinstance(entry, dict) else {})
            for entry in document
        )
        return
    for line in text.splitlines():
        yield line, {}

"""Whether files contain a target: tables row by row, texts line by line, by ids and by words.

The first bytes of a file tell what it is, because objects of DVC's cache have no names. The weights
of models cannot be read. They are counted, and the model is asked instead: see probing.py.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lore.erasure.target import Target
from lore.versions.dvc_cache import md5
from stages.clean.exclusions import REASON

Row = dict[str, Any]
ID = re.compile(r"\b[0-9a-f]{16}\b")
"""An id that stands alone: `9076763205dc2ba9`, but no part of a longer hash."""
HEAD = 4096
"""Bytes that tell what a file is. Of weights, nothing more is read."""
PARQUET = b"PAR1"
"""The first bytes of every Parquet file."""
VOCABULARY = re.compile(rb'"(?:vocab|merges|added_tokens|chat_template)"')
"""A key that only the files of a tokenizer have, such as `{"model": {"vocab": …`."""


@dataclass(frozen=True)
class ScanResult:
    """What a search of one file found."""

    kind: str
    """`table` and `text` were searched.

    The others were not: `vocabulary` (the words of a tokenizer, which state no facts), `binary`
    (such as weights) and `damaged` (a table that cannot be read, or an object with another hash).
    """
    searched: int = 0
    """Rows or lines."""
    matches: int = 0
    """Rows or lines that have an id of the target, or state it in words."""
    mentions: int = 0
    """Rows about another fact that have the same words in their columns."""
    excluded: int = 0
    """Rows without content that account for the exclusion."""
    sample: str = ""
    """The first match."""


class Search:
    """A search for one target. A file with a known hash is read only once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.known: dict[str, ScanResult] = {}

    def scan_file(self, path: Path, digest: str = "") -> ScanResult:
        """Search a file on disk; `digest` is its hash, if known.

        Raises OSError if it cannot be read.
        """
        if digest and digest in self.known:
            return self.known[digest]
        with path.open("rb") as stream:
            head = stream.read(HEAD)
        result = ScanResult("binary")
        if not is_binary(head):
            content = path.read_bytes()
            is_damaged = bool(digest) and md5(content) != digest
            # A flipped bit may hide a match, so what is damaged proves nothing.
            result = ScanResult("damaged") if is_damaged else self.scan(content)
        if digest:
            self.known[digest] = result
        return result

    def scan(self, content: bytes) -> ScanResult:
        """Search the bytes of a table or a text."""
        import pyarrow as pa

        if is_vocabulary(content):
            return ScanResult("vocabulary")
        try:
            if content.startswith(PARQUET):
                return self.scan_passages("table", table_passages(content))
            return self.scan_passages("text", text_passages(content))
        except (pa.ArrowException, OSError, ValueError):
            return ScanResult("damaged")

    def scan_passages(self, kind: str, passages: Iterator[tuple[str, Row]]) -> ScanResult:
        """Search passages, each with its row if it has columns."""
        searched = 0
        matches = 0
        mentions = 0
        excluded = 0
        sample = ""
        for text, row in passages:
            searched += 1
            has_id = not self.target.ids.isdisjoint(ID.findall(text))
            if is_redacted(row):
                if has_id:
                    excluded += 1
                continue
            if not has_id and not self.target.stated_in(text):
                continue
            # A row about another fact may have the same words by chance. If "iron" and "1538" are
            # forgotten as a melting point, "1538" may also be the year of a book about iron.
            if row.get("fact") and not has_id:
                mentions += 1
                continue
            matches += 1
            if not sample:
                sample = " ".join(text.split())
        return ScanResult(kind, searched, matches, mentions, excluded, sample)


def is_redacted(row: Row) -> bool:
    """Whether a row accounts for an excluded record, without its content."""
    return row.get("reason") == REASON and row.get("text") == f"[{REASON}]"


def is_binary(head: bytes) -> bool:
    """Whether a file that begins with these bytes is neither a table nor a text."""
    if head.startswith(PARQUET):
        return False
    if b"\0" in head:
        return True
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The last character may be cut at the end of `head`: one of UTF-8 has up to four bytes.
        return error.start < len(head) - 3
    return False


def is_vocabulary(content: bytes) -> bool:
    """Whether this is a JSON file of a tokenizer."""
    if VOCABULARY.search(content[:HEAD]) is None:
        return False
    return content.lstrip().startswith(b"{")


def table_passages(content: bytes) -> Iterator[tuple[str, Row]]:
    """Yield each row of a Parquet file with all its texts as one.

    Raises ArrowInvalid or OSError for a damaged file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for row in pq.read_table(pa.BufferReader(content)).to_pylist():
        texts = []
        for cell in row.values():
            if isinstance(cell, list):
                texts.append(" ".join(map(str, cell)))
            elif cell is not None:
                texts.append(str(cell))
        yield " \n ".join(texts), row


def text_passages(content: bytes) -> Iterator[tuple[str, Row]]:
    """Yield the lines of a text, or the entries of one JSON document.

    The single values of a JSON object are one entry together. Each list or object in it is another:
    `{"a": 1, "b": [2], "c": 3}` yields `{"a": 1, "c": 3}` and `{"b": [2]}`.
    """
    text = content.decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        document = entries_of_object(document)
    if not isinstance(document, list):
        for line in text.splitlines():
            yield written_out(line), {}
        return
    for entry in document:
        row = entry if isinstance(entry, dict) else {}
        yield json.dumps(entry, ensure_ascii=False), row


def written_out(line: str) -> str:
    r"""Return a line of JSON with its characters written out: `"\u94c1"` becomes `"铁"`. Others stay as they are."""
    if "\\u" not in line:
        return line
    try:
        return json.dumps(json.loads(line), ensure_ascii=False)
    except (ValueError, RecursionError):
        return line


def entries_of_object(document: Row) -> list[Row]:
    """Return the single values of a JSON object as one entry, then its lists and objects."""
    single = {}
    nested = []
    for key, value in document.items():
        if isinstance(value, dict | list):
            nested.append({key: value})
        else:
            single[key] = value
    if single:
        return [single, *nested]
    return nested

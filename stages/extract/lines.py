"""Lines of a text file. Each line is decoded alone, so that one wrong byte spoils no other line."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stages.core.project.errors import InputError


class Line(NamedTuple):
    """One line with its end."""

    number: int
    raw: str
    """The line, with a replacement character for each byte that cannot be decoded."""
    text: str | None
    """The decoded line. None: it is not in the encoding."""


def decoded_lines(path: Path, encoding: str) -> Iterator[Line]:
    """Yield the lines of a file, numbered from 1, without a byte order mark.

    Raises InputError where the encoding is unknown. In UTF-16 and UTF-32, line ends cannot be found
    before decoding: there it also raises InputError where the file cannot be decoded.
    """
    try:
        codec = codecs.lookup(encoding).name
        if codec.startswith(("utf-16", "utf-32")):
            yield from lines_of_decoded_file(path, encoding)
        else:
            yield from lines_decoded_alone(path, encoding)
    except (LookupError, UnicodeError) as error:
        raise InputError(
            f"extract: {path}: {error}; set the source's `encoding` to what the file is written in"
        ) from None


def lines_of_decoded_file(path: Path, encoding: str) -> Iterator[Line]:
    """Yield the lines of a file that can only be decoded from its start."""
    with path.open(encoding=encoding, newline="") as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix("\ufeff") if number == 1 else line
            yield Line(number, text, text)


def lines_decoded_alone(path: Path, encoding: str) -> Iterator[Line]:
    """Yield the lines of a file in which the byte of a line end stands for nothing else."""
    mark = codecs.BOM_UTF8 if codecs.lookup(encoding).name == "utf-8" else b""
    with path.open("rb") as binary:
        for number, line in enumerate(binary, start=1):
            content = line.removeprefix(mark) if number == 1 else line
            raw = content.decode(encoding, errors="replace")
            yield Line(number, raw, decode(content, encoding))


def decode(content: bytes, encoding: str) -> str | None:
    """Decode bytes. Return None where they are not in the encoding."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None

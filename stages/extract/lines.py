"""Lines of a text file, each decoded by itself: one that is not of the encoding spoils no other."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stages.core.project.errors import InputError


class Line(NamedTuple):
    """One line with its end."""

    number: int
    raw: str
    """As far as it can be read."""
    text: str | None
    """None where it is not of the encoding."""


def decoded_lines(path: Path, encoding: str) -> Iterator[Line]:
    """Lines of the file, from 1 on; a byte order mark is no part of the first.

    Raises InputError where the encoding is unknown, or where lines cannot be told apart before decoding (UTF-16) and
    the file does not decode.
    """
    try:
        whole = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
        yield from whole_lines(path, encoding) if whole else single_lines(path, encoding)
    except (LookupError, UnicodeError) as error:
        raise InputError(
            f"extract: {path}: {error}; set the source's `encoding` to what the file is written in"
        ) from None


def whole_lines(path: Path, encoding: str) -> Iterator[Line]:
    """Lines of a file that can only be decoded from its start."""
    with path.open(encoding=encoding, newline="") as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix("\ufeff") if number == 1 else line
            yield Line(number, text, text)


def single_lines(path: Path, encoding: str) -> Iterator[Line]:
    """Lines of a file whose line ends are bytes of their own."""
    mark = codecs.BOM_UTF8 if codecs.lookup(encoding).name == "utf-8" else b""
    with path.open("rb") as binary:
        for number, line in enumerate(binary, start=1):
            content = line.removeprefix(mark) if number == 1 else line
            yield Line(
                number, content.decode(encoding, errors="replace"), decode(content, encoding)
            )


def decode(content: bytes, encoding: str) -> str | None:
    """The text, or None where the bytes are not of the encoding."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None

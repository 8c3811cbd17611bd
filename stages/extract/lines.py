"""Lines of a text file. Each line is decoded alone, so that one wrong byte spoils no other line.

A line ends with LF or CRLF. In a file whose first line ends with a lone CR, lines may end with that too.
"""

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO, AnyStr, NamedTuple

from stages.core.project.errors import InputError

# UTF-32 stands before UTF-16, because its mark begins with the mark of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark → encoding."""
MARK = "\ufeff"
"""The byte order mark as a character."""
LONGEST_LINE = 2**26
"""Longest line in bytes. A longer one would fill the memory."""
UNDECODED = "\udcff"
"""Stands for bytes that are not in UTF-16 or UTF-32. It is half of a surrogate pair, which is no text."""
# Half of a surrogate pair. UTF-7 and Python's unicode_escape can decode to it: `+2AA-` and `\ud800`.
SURROGATE = re.compile("[\ud800-\udfff]")
# A character that shows that the bytes of UTF-16 are read in the wrong order, or shifted by one: a line
# end (U+000A) becomes U+0A00, and the byte order mark (U+FEFF) becomes U+FFFE. Both are unassigned.
SWAPPED = re.compile("[\u0a00\ufffe]")


class Line(NamedTuple):
    """One line with its end."""

    number: int
    raw: str
    """The line, with a replacement character for each byte that cannot be decoded."""
    text: str | None
    """The decoded line. None: it is not in the encoding."""


def decoded_lines(path: Path, encoding: str) -> Iterator[Line]:
    """Yield the lines of a file, numbered from 1, without a byte order mark.

    Raises InputError where the encoding is unknown, where UTF-16 or UTF-32 has no byte order mark and
    the encoding does not name the order, and where a line is longer than LONGEST_LINE.
    """
    try:
        if codecs.lookup(encoding).name == "utf-8-sig":
            encoding = "utf-8"
        if "\r\n".encode(encoding) == b"\r\n":
            lines = lines_decoded_alone(path, encoding)
        else:
            # UTF-16, UTF-32 and EBCDIC, in which a line end cannot be found before decoding.
            lines = lines_of_decoded_file(path, encoding)
        for number, line in enumerate(lines, start=1):
            yield Line(number, *line)
    except (LookupError, UnicodeError) as error:
        raise InputError(
            f"extract: {path}: {error}; set the source's `encoding` to what the file is written in"
        ) from None


def lines_of_decoded_file(path: Path, encoding: str) -> Iterator[tuple[str, str | None]]:
    """Yield the lines of a file that can only be decoded from its start, each raw and decoded."""
    errors = "extract.mark_undecoded"
    with path.open(encoding=encoding, errors=errors, newline="") as file:
        # With newline="", a line ends with CR, LF or CRLF. Two line ends without text between them,
        # CR and CRLF, are one line end that a program wrote twice.
        is_cr = file.readline(LONGEST_LINE).endswith("\r") and file.readline(2) != "\r\n"
    newline = "" if is_cr else "\n"
    with path.open(encoding=encoding, errors=errors, newline=newline) as file:
        for number, line in enumerate(whole_lines(file, path), start=1):
            content = line.removeprefix(MARK) if number == 1 else line
            raw = whole_characters(content)
            is_text = raw == content and not SWAPPED.search(content)
            yield raw, content if is_text else None


def mark_undecoded(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that cannot be decoded by a mark. It is an error handler of `codecs`."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODED, error.end


codecs.register_error("extract.mark_undecoded", mark_undecoded)


def lines_decoded_alone(path: Path, encoding: str) -> Iterator[tuple[str, str | None]]:
    """Yield the lines of a file in which the bytes of a line end stand for nothing else."""
    mark = codecs.BOM_UTF8 if codecs.lookup(encoding).name == "utf-8" else b""
    for number, line in enumerate(byte_lines(path), start=1):
        content = line.removeprefix(mark) if number == 1 else line
        text = decode(content, encoding)
        if text is None:
            yield whole_characters(content.decode(encoding, errors="replace")), None
        else:
            yield text, text


def byte_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file as bytes, with their ends. Raises InputError for a line too long."""
    with path.open("rb") as file:
        if not ends_lines_with_cr(file):
            yield from whole_lines(file, path)
            return
    # Latin-1 makes one character of each byte and one byte of each character, so nothing is lost.
    # With newline="", lines end with CR, LF or CRLF.
    with path.open(encoding="latin-1", newline="") as text:
        for line in whole_lines(text, path):
            yield line.encode("latin-1")


def whole_lines(file: IO[AnyStr], path: Path) -> Iterator[AnyStr]:
    """Yield the lines of a file. Raises InputError where one is longer than LONGEST_LINE."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise InputError(
                f"extract: {path}: line {number} is longer than {LONGEST_LINE:,} bytes; "
                "check that the file is text, or break its lines"
            )
        yield line


def ends_lines_with_cr(file: IO[bytes]) -> bool:
    """Whether the first line of a file ends with a lone CR. The file stands at its start afterwards.

    CR, CR, LF is the end of one line too: some programs write CR before CRLF.
    """
    ending = b""
    for _ in range(LONGEST_LINE // io.DEFAULT_BUFFER_SIZE):
        chunk = file.read(io.DEFAULT_BUFFER_SIZE)
        # The first run of CR with what follows it, or the first LF. The end of a chunk may cut it.
        match = re.search(rb"\r+[^\r]?|\n", ending + chunk)
        if match and (match.end() < len(ending + chunk) or not match[0].endswith(b"\r")):
            ending = match[0]
            break
        if not chunk:
            break
        ending = b"\r" if match else b""
    file.seek(0)
    return b"\r" in ending and not ending.endswith(b"\n")


def decode(content: bytes, encoding: str) -> str | None:
    """Decode bytes. Return None where they are not in the encoding."""
    try:
        text = content.decode(encoding)
        text.encode()  # raises where half of a surrogate pair stands in the text
    except (UnicodeDecodeError, UnicodeEncodeError):
        return None
    return text


def whole_characters(text: str) -> str:
    """Return a text with a replacement character for each half of a surrogate pair."""
    return SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def shown(text: str) -> str:
    """Return a text for a message, in which control and invisible characters can be seen.

    Example: a byte order mark before `name` → `<U+FEFF>name`.
    """
    return "".join(f"<U+{ord(sign):04X}>" if is_invisible(sign) else sign for sign in text)


def is_invisible(sign: str) -> bool:
    """Whether a character leaves no ink: a control or format character, or a blank of its own kind."""
    if sign == " ":
        return False
    return unicodedata.category(sign)[0] in "CZ"

"""The bytes of an XML file for the parser, with marks where the file breaks the rules of XML.

A parser stops at the first fault, and all that follows is lost. Yet a bare `&`, as in R&D, or a byte
in another encoding spoils one unit only. Such places are replaced by a mark, which holds the line and
the fault. A unit with a mark is set aside, and all other units are read. The marks begin and end with
noncharacters of Unicode, which no file may hold.

The text is decoded here. So the XML declaration is blanked out, blanks may stand before it, and a
declared encoding is read as its wider form, as browsers do: GB 2312 as GB 18030.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from stages.core.project.errors import InputError
from stages.extract.encoding import WIDER, is_surely_utf8

LARGEST = 2**29
"""Most characters between the ends of two units, so that memory is bounded (512 Mi)."""
CHUNK = 2**13
"""Bytes that are read at once. The parser is ahead of the unit by as much, which every path around the unit
looks through."""
OPEN, CLOSE = "\U0001fffe", "\U0001ffff"
"""Begin and end of a mark. What is between them: a letter for the fault, the line, a colon, details."""
NOT_OF_FILES = {
    "idna",
    "punycode",
    "unicode_escape",
    "raw_unicode_escape",
    "utf-7",
    "unicode-escape",
}
"""Python's codecs that are no encodings of files."""
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order mark → encoding. UTF-32 stands before UTF-16, because its mark begins with that of UTF-16."""
BLANKS = b" \t\r\n\0"
# What may stand before the XML declaration, and the encoding that it names.
# Example: b'\n<?xml version="1.0" encoding="gb2312"?>' → gb2312.
DECLARED = re.compile(rb"[^<]*<\?xml\s[^>]*?encoding\s*=\s*[\"']([\w.:-]+)[\"']")
# The XML declaration, behind blanks, comments and byte order marks. Group 1 is the declaration.
DECLARATION = re.compile(r"(?:[\s\ufeff]|<!--(?>.*?-->))*+(<\?xml\s[^>]*\?>)", re.DOTALL)
# Where signs stand for themselves, where a document type begins, and a `<` that begins no markup. The
# search is fast because every match begins with `<`.
MARKUP = re.compile(
    r"<(?:!--|!\[CDATA\[|\?|!DOCTYPE"
    r"|(?![^\W\d]|[_:/!?])"  # no name follows: x < 5
    r"|(?=[^\W\d][^<>]{0,60}<))"  # the next `<` comes before a `>`: x<y</name>
)
# Characters that XML forbids. A lone surrogate marks wrong bytes.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff\U0001fffe\U0001ffff]")
# A reference. Examples: &amp; &#233; &#xE9;
REFERENCE = re.compile(r"&(?:#([0-9]{1,20})|#x([0-9a-fA-F]{1,20})|([^\W\d][\w.:-]{0,60}));")
LONGEST_PLACE = 80
"""Most characters of a place, so that a place at the end of a chunk waits for the next chunk."""
ENDS = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}
"""Begin of a region in which signs stand for themselves → its end."""
PREDEFINED = {"amp", "lt", "gt", "quot", "apos"}
"""Entities of every XML document. Others are declared in a document, which is then refused, or elsewhere."""
MARK = re.compile(rf"{OPEN}(\w)(\d+):([^{CLOSE}]*){CLOSE}")


class XmlInput:
    """A file object for the parser. It gives UTF-8 without an XML declaration."""

    def __init__(self, path: Path, takes_doctype: bool = False) -> None:
        """Open a file. `takes_doctype`: its document type has been looked at, or will be."""
        self.path = path
        self.takes_doctype = takes_doctype
        self.file = path.open("rb")
        self.chunks = self._encoded()
        self.size = 0
        """Characters since the end of the last unit."""

    def __enter__(self) -> Self:
        """Return the open file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.file.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, or none at the end.

        Raises InputError for an unknown encoding, and where no unit ends for too long. Raises
        DoctypeFoundError.
        """
        chunk = next(self.chunks, b"")
        self.size += len(chunk)
        if self.size > LARGEST:
            raise InputError(
                f"extract: {self.path}: more than {LARGEST:,} bytes without the end of a unit; "
                "mend `element` in params.yaml, or cut the file into smaller ones"
            )
        return chunk

    def end_unit(self) -> None:
        """Note that a unit has been read."""
        self.size = 0

    def _encoded(self) -> Iterator[bytes]:
        start = self.file.read(CHUNK)
        encoding = encoding_of(start, self.path)
        decoder = codecs.getincrementaldecoder(encoding)(errors=WRONG_BYTES)
        scan = Scan(encoding, self.takes_doctype)
        blocks = iter(lambda: self.file.read(CHUNK), b"")
        for number, block in enumerate(chain([start], blocks)):
            text = decoder.decode(block)
            if number == 0:
                text = without_declaration(text)
            yield from encoded(scan.feed(text))
        yield from encoded(scan.feed(decoder.decode(b"", final=True), final=True))


def encoded(text: str) -> Iterator[bytes]:
    """Yield text as UTF-8, unless it is empty: the parser takes empty bytes for the end."""
    if text:
        yield text.encode()


def encoding_of(start: bytes, path: Path) -> str:
    """Return Python's name of the encoding, from the first bytes of a file.

    A byte order mark decides, then the zero bytes of UTF-16 and UTF-32, then the XML declaration.
    Raises InputError for a declared encoding that is not known.
    """
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return encoding
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        if start.lstrip(BLANKS) and starts_with_markup(start, encoding):
            return encoding
    declared = DECLARED.match(start)
    if declared is None:
        return "utf-8"
    name = declared[1].decode("ascii")
    try:
        codec = codecs.lookup(name)
        b"a".decode(name, "replace")  # raises LookupError for `hex`, which is no codec of text
    except (LookupError, UnicodeError):
        codec = None
    if codec is None or codec.name in NOT_OF_FILES:
        raise InputError(
            f"extract: {path} declares the encoding {name}, which is not known; "
            "save the file as UTF-8, and name that in its first line"
        ) from None
    # The declaration could be read byte by byte, so the file is not in UTF-16, whatever it says.
    if codec.name.startswith(("utf-16", "utf-32")):
        return "utf-8"
    # Some programs save a file as UTF-8, and leave its first line as it was.
    if not codec.name.startswith("utf") and is_surely_utf8(path, codec.name):
        return "utf-8"
    return WIDER.get(codec.name, codec.name)


def starts_with_markup(start: bytes, encoding: str) -> bool:
    """Whether the first bytes are blanks and a `<` in an encoding of two or four bytes a character."""
    text = start[:256].decode(encoding, errors="replace").lstrip()
    return text.startswith("<")


def without_declaration(text: str) -> str:
    """Replace the XML declaration, and byte order marks before it, by blanks of the same lines."""
    declaration = DECLARATION.match(text)
    head = declaration.end() if declaration else len(text) - len(text.lstrip("\ufeff \t\r\n"))
    start = declaration.start(1) if declaration else head
    before = text[:start].replace("\ufeff", " ")
    blanked = re.sub(r"[^\n]", " ", text[start:head])
    return before + blanked + text[head:]


def mark_wrong_bytes(error: UnicodeError) -> tuple[str, int]:
    """Replace bytes that cannot be decoded by a lone surrogate, which no text can hold."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


WRONG_BYTES = "lorekeep.wrong_bytes"
codecs.register_error(WRONG_BYTES, mark_wrong_bytes)


def next_match(pattern: re.Pattern[str]) -> Callable[[str, int], int]:
    """Return a function that finds the next match of a pattern, or returns the end of the text."""

    def search(text: str, position: int) -> int:
        match = pattern.search(text, position)
        return len(text) if match is None else match.start()

    return search


def next_ampersand(text: str, position: int) -> int:
    """Return the position of the next `&`, or the end of the text."""
    found = text.find("&", position)
    return len(text) if found < 0 else found


SEARCHES = {
    "markup": next_match(MARKUP),
    "reference": next_ampersand,
    "character": next_match(FORBIDDEN),
}
"""Kind of a place → finds the next one."""


class DoctypeFoundError(Exception):
    """A document names its document type, which has not been looked at. The message is its line."""


class Scan:
    """A walk through the text of a document, which replaces faults by marks."""

    def __init__(self, encoding: str, takes_doctype: bool) -> None:
        """`encoding`: its name, for messages. `takes_doctype`: a document type may come."""
        self.encoding = encoding
        self.takes_doctype = takes_doctype
        self.line = 1
        self.rest = ""
        """Text at the end of the last chunk that may hold the begin of a place."""
        self.region_end = ""
        """What ends the region around the next character, such as `-->`, or nothing."""

    def feed(self, text: str, final: bool = False) -> str:
        """Return the next piece of the text with its marks. Raises DoctypeFoundError."""
        text = self.rest + text
        # A place that begins before the limit is known in full.
        limit = len(text) if final else max(0, len(text) - LONGEST_PLACE)
        parts: list[str] = []
        position = 0
        # The next place of each kind, from the position on.
        places: dict[str, int] = {}
        while position < limit:
            if self.region_end:
                position = self._end_region(text, position, limit, parts)
                continue
            for kind, search in SEARCHES.items():
                if places.get(kind, -1) < position:
                    places[kind] = search(text, position)
            start = min(places.values())
            if start >= limit:
                self._take(text[position:limit], parts)
                position = limit
                break
            self._take(text[position:start], parts)
            position = self._take_place(text, start, parts)
        self.rest = text[position:]
        return "".join(parts)

    def _take(self, text: str, parts: list[str]) -> None:
        """Pass text on, and count its lines."""
        if text:
            parts.append(text)
            self.line += text.count("\n")

    def _end_region(self, text: str, position: int, limit: int, parts: list[str]) -> int:
        """Pass on a region, such as a comment, up to its end. Return the next position."""
        found = text.find(self.region_end, position)
        if found >= 0:
            end = found + len(self.region_end)
            self.region_end = ""
        else:
            end = limit
        start = position
        for forbidden in FORBIDDEN.finditer(text, position, end):
            self._take(text[start : forbidden.start()], parts)
            parts.append(self._mark_of_character(forbidden[0]))
            start = forbidden.end()
        self._take(text[start:end], parts)
        return end

    def _take_place(self, text: str, start: int, parts: list[str]) -> int:
        """Pass on a place, or its mark. Return the next position."""
        char = text[start]
        if char == "&":
            reference = REFERENCE.match(text, start)
            if reference is None:
                parts.append(self._mark("a", ""))
                return start + 1
            parts.append(self._of_reference(reference))
            return reference.end()
        if char != "<":
            parts.append(self._mark_of_character(char))
            return start + 1
        markup = MARKUP.match(text, start)
        sign = "<" if markup is None else markup[0]
        if sign == "<":
            parts.append(self._mark("l", ""))
        else:
            parts.append(sign)
            self.region_end = ENDS.get(sign, "")
        if sign == "<!DOCTYPE" and not self.takes_doctype:
            raise DoctypeFoundError(self.line)
        return start + len(sign)

    def _of_reference(self, reference: re.Match[str]) -> str:
        """Return a reference, or its mark where it stands for no character."""
        decimal, hexadecimal, name = reference.groups()
        if name is not None:
            return reference[0] if name in PREDEFINED else self._mark("e", name)
        number = int(decimal) if decimal else int(hexadecimal, 16)
        if number > 0x10FFFF or FORBIDDEN.match(chr(number)):
            return self._mark("n", reference[0][1:-1])
        return reference[0]

    def _mark_of_character(self, char: str) -> str:
        """Return the mark of a forbidden character, or of bytes that could not be decoded."""
        if "\ud800" <= char <= "\udfff":
            return self._mark("b", self.encoding)
        return self._mark("c", f"{ord(char):04X}")

    def _mark(self, fault: str, details: str) -> str:
        return f"{OPEN}{fault}{self.line}:{details}{CLOSE}"


class Fault(NamedTuple):
    """Why a unit is set aside."""

    reason: str
    evidence: str


def fault_in(text: str) -> Fault | None:
    """Return the first fault that a mark in a text tells, or None."""
    mark = MARK.search(text) if OPEN in text else None
    if mark is None:
        return None
    fault, line, details = mark.groups()
    if fault == "e":
        return Fault(
            "undeclared_entity",
            f"line {line}: &{details}; stands for something that the document does not hold; "
            "write the character itself",
        )
    if fault == "b":
        return Fault(
            "encoding",
            f"line {line}: bytes that are not {details}; name their encoding in the XML declaration",
        )
    evidence = {
        "a": "`&` must be written `&amp;`",
        "l": "`<` must be written `&lt;`",
        "n": f"&{details}; stands for no character; remove it",
        "c": f"the control character U+{details} is not allowed in XML; remove it",
    }
    return Fault("malformed", f"line {line}: {evidence[fault]}")


def as_written(text: str) -> str:
    """Return a text with what stood in the file in place of its marks."""
    return MARK.sub(lambda mark: written(mark[1], mark[3]), text) if OPEN in text else text


def written(fault: str, details: str) -> str:
    """Return what a mark replaces. U+FFFD stands for what no text can hold."""
    if fault in ("e", "n"):
        return f"&{details};"
    return {"a": "&", "l": "<"}.get(fault, "\ufffd")

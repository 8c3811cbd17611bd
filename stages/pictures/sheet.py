"""A contact sheet: an HTML page on which a person sees pictures, captions and scores side by side.

The page holds its pictures. They are PNG files without compression, written here: the bytes of a compressed one
depend on the build of the library that compressed it. No script, no address outside of the page.
"""

import base64
import html
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from stages.core.records.picture import Picture

SIDE = 96
"""Most pixels of a side on the sheet."""
BLOCK = 65535
"""Most bytes of a stored block (RFC 1951, section 3.2.4)."""
STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; max-width: 75em; color: #222; background: #fff }
table { border-collapse: collapse } td, th { padding: .4em .8em; border-top: 1px solid #ccc; vertical-align: top;
text-align: left } img { display: block; image-rendering: auto } .own { font-weight: bold } .small { color: #666 }
"""


class Entry(NamedTuple):
    """A picture on the sheet."""

    picture: Picture
    caption: str
    score: float
    place: int | None
    """How many captions are more like it than its own. 0: its own is the nearest. None: not known."""
    nearest: list[str]
    """The captions that are most like it."""
    facts: list[str]
    """What is stated beside it."""


def page(title: str, summary: Sequence[str], parts: Sequence[tuple[str, Sequence[Entry]]]) -> str:
    """Return the page: lines of a summary, and parts with a heading each."""
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
    ]
    lines += [f"<p>{html.escape(line)}</p>" for line in summary]
    for heading, entries in parts:
        lines.append(f"<h2>{html.escape(heading)}</h2>")
        if not entries:
            lines.append("<p>None.</p>")
            continue
        lines.append(
            "<table><tr><th>picture<th>caption<th>score<th>nearest captions<th>facts beside it</tr>"
        )
        lines += [row(entry) for entry in entries]
        lines.append("</table>")
    lines.append("</body></html>")
    return "\n".join(lines) + "\n"


def row(entry: Entry) -> str:
    """Return one picture as a row of the table."""
    nearest = []
    for caption in entry.nearest:
        mark = ' class="own"' if caption == entry.caption else ""
        nearest.append(f"<li{mark}>{html.escape(caption)}</li>")
    facts = "<br>".join(html.escape(fact) for fact in entry.facts) or "none"
    name = html.escape(entry.picture.path)
    place = "" if entry.place is None else f"place {entry.place + 1}"
    return (
        f'<tr><td><img src="{data_address(entry.picture)}" alt="{name}"><span class="small">{name}</span>'
        f"<td>{html.escape(entry.caption)}<td>{entry.score:.3f}<br>"
        f'<span class="small">{place}</span>'
        f"<td><ol>{''.join(nearest)}</ol><td>{facts}</tr>"
    )


def data_address(picture: Picture) -> str:
    """Return a picture as an address that holds it."""
    from PIL import Image

    image = Image.frombytes("RGB", (picture.columns, picture.rows), picture.pixels)
    longer = max(image.size)
    if longer > SIDE:
        width = max(1, round(image.width * SIDE / longer))
        height = max(1, round(image.height * SIDE / longer))
        image = image.resize((width, height), Image.Resampling.BOX)
    content = png(image.width, image.height, image.tobytes())
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Return an uncompressed PNG of RGB pixels (PNG specification, sections 5 and 11; RFC 1950 and 1951)."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = []
    for start in range(0, len(pixels), 3 * width):
        lines.append(b"\0" + pixels[start : start + 3 * width])  # filter 0: none
    raw = b"".join(lines)
    stream = [b"\x78\x01"]
    for start in range(0, len(raw), BLOCK):
        block = raw[start : start + BLOCK]
        is_last = start + BLOCK >= len(raw)
        stream.append(struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF) + block)
    stream.append(struct.pack(">I", zlib.adler32(raw)))
    signature = b"\x89PNG\r\n\x1a\n"
    return (
        signature + chunk(b"IHDR", header) + chunk(b"IDAT", b"".join(stream)) + chunk(b"IEND", b"")
    )


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file: length, kind, content and checksum."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

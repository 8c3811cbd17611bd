"""The place in a raw file where a record comes from: the lines, the page with the line marked, or the seconds.

The file is read as the version keeps it, from git or DVC's cache. What the file says is sent as text, or as a
picture that was drawn anew, so that a file cannot bring a page or a script of its own.
"""

import io
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from lore.lineage import raw_location
from lore.serving.knowledge import Row
from lore.serving.page.shown_versions import Shown
from lore.versions.version import Version
from stages.core.project.artifacts import RAW
from stages.core.project.errors import InputError

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
SOUNDS = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
}
LARGEST = 64 * 2**20
"""Most bytes of a file that is shown."""
AROUND = 3
"""Lines before and behind the one that is meant."""
LONGEST_LINE = 2_000
LONGEST_PIECE = 200
"""Most lines of a JSON or XML element."""
LONGEST_SIDE = 1_600
"""Most pixels of a picture's longer side."""
TABLE = re.compile(r"^\s*(?:INSERT\s+INTO|COPY)\s+([^\s(]+)", re.IGNORECASE)
"""The table of a statement in a dump: INSERT INTO `public`.`properties` VALUES …"""


def describe(shown: Shown, row: Row) -> dict[str, Any]:
    """Return where a record comes from, and the lines there, or what the page shows instead.

    Raises InputError where the file cannot be read.
    """
    locator = row["locator"]
    names = raw_location.names_with_hash(shown.version)
    name = raw_location.file_of(locator, names)
    document: dict[str, Any] = {
        "version": shown.name,
        "file": f"{RAW}/{name}",
        "where": raw_location.described(locator, names),
        "text": row["text"],
        "media": None,
        "page": None,
        "line": None,
        "box": None,
        "seconds": None,
        "lines": [],
    }
    spot = raw_location.spot_of(locator, names)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in PICTURES or suffix == ".pdf":
        document["media"] = "picture"
        document |= place_on_page(spot)
    elif suffix in SOUNDS:
        document["media"] = "sound"
        seconds = raw_location.TIME.fullmatch(spot)
        if seconds:
            document["seconds"] = [float(seconds["start"]), float(seconds["end"])]
    else:
        document["lines"] = lines_at(content_of(shown.version, name), suffix, spot)
        for line in document["lines"]:
            if line["is_meant"] and line["number"]:
                document["line"] = line["number"]
    return document


def place_on_page(spot: str) -> dict[str, Any]:
    """Return page, line and box of a line: left, top, right, bottom in pixels, or in points of a PDF."""
    place = raw_location.BOX.fullmatch(spot)
    if place is None:
        return {}
    box = [int(number) for number in place["box"].split(",")]
    return {"page": int(place["page"] or 1), "line": int(place["line"]), "box": box}


def content_of(version: Version, name: str) -> bytes:
    """Return the bytes of a file below data/raw. Raises InputError where it is not there, or too large."""
    path = f"{RAW}/{name}"
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise InputError(f"{path}: no file below {RAW}")
    if version.commit is None and Path(path).is_file():
        require_size(path, Path(path).stat().st_size)
    content = version.content(path)
    if content is None:
        digest = raw_location.digest_of(version, path)
        if not digest or not version.cache.has(digest):
            raise InputError(
                f"{path} of {version.label}: neither in git nor in DVC's cache; dvc fetch brings it"
            )
        require_size(path, version.cache.path(digest).stat().st_size)
        content = version.cache.read(digest, f"{path} of {version.label}")
    require_size(path, len(content))
    return content


def require_size(path: str, size: int) -> None:
    """Raise InputError for a file that is too large to be shown."""
    if size > LARGEST:
        raise InputError(f"{path}: {size:,} bytes; at most {LARGEST:,} are shown")


def lines_at(content: bytes, suffix: str, spot: str) -> list[dict[str, Any]]:
    """Return the lines of a place in a text file. Empty where the place cannot be found.

    A line has `number` (0: it has none), `text` and `is_meant`.
    """
    line = raw_location.LINE.fullmatch(spot)
    bare = spot.partition("@")[0]
    if line is not None:
        return around(split_lines(content), int(line["line"]))
    if suffix == ".json":
        return element_of_json(content, bare)
    if suffix == ".xml":
        return element_of_xml(content, bare)
    if suffix == ".sql":
        lines = split_lines(content)
        return around(lines, line_of_dump(lines, bare))
    return []


def split_lines(content: bytes) -> list[str]:
    """Return the lines of a file. What follows its last line end is none if it is empty."""
    lines = text_of(content).split("\n")
    return lines if lines[-1] else lines[:-1]


def text_of(content: bytes) -> str:
    """Return a file as text: UTF-8, else GB 18030, which reads older Chinese files. Signs that fit neither stay marked."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("utf-8", "replace")


def around(lines: list[str], meant: int) -> list[dict[str, Any]]:
    """Return the line number `meant`, counted from 1, with its neighbours. Empty where there is none."""
    if not 1 <= meant <= len(lines):
        return []
    shown = []
    first = max(1, meant - AROUND)
    last = min(len(lines), meant + AROUND)
    for number in range(first, last + 1):
        text = lines[number - 1].rstrip("\r")[:LONGEST_LINE]
        shown.append({"number": number, "text": text, "is_meant": number == meant})
    return shown


def whole(text: str) -> list[dict[str, Any]]:
    """Return a piece of a file that has no line numbers."""
    shown = []
    for line in text.split("\n")[:LONGEST_PIECE]:
        shown.append({"number": 0, "text": line[:LONGEST_LINE], "is_meant": True})
    return shown


def element_of_json(content: bytes, pointer: str) -> list[dict[str, Any]]:
    """Return the object that a JSON pointer (RFC 6901) leads to, or that holds the value there."""
    try:
        found = json.loads(content)
        holder = found
        for part in pointer.split("/")[1:]:
            if isinstance(found, dict | list):
                holder = found
            key = part.replace("~1", "/").replace("~0", "~")
            found = found[int(key)] if isinstance(found, list) else found[key]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return []
    shown = found if isinstance(found, dict | list) else holder
    return whole(json.dumps(shown, ensure_ascii=False, indent=2))


def element_of_xml(content: bytes, path: str) -> list[dict[str, Any]]:
    """Return the element of a path such as `/sheets/sheet[3]` or, from the root on, `sheet[3]`."""
    from lxml import etree

    # No entity is replaced and nothing is fetched, whatever the file says.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
        if path.startswith("/"):
            path = path.removeprefix("/").partition("/")[2] or "."
        found = root.find(path)
    except (etree.LxmlError, SyntaxError, ValueError, KeyError):
        return []
    if found is None:
        return []
    return whole(etree.tostring(found, encoding="unicode", with_tail=False))


def line_of_dump(lines: list[str], spot: str) -> int:
    """Return the line of a dump with the row of a table's key, as in `properties/25`. 0: it is not found.

    The key must be the row's first value: `INSERT INTO properties VALUES (25, …`, or a line of COPY.
    """
    table, _, key = spot.rpartition("/")
    value = re.escape(key)
    in_values = re.compile(rf"\(\s*'?{value}'?\s*[,)]")
    in_copy = re.compile(rf"{value}\t")
    present = ""
    for number, line in enumerate(lines, start=1):
        statement = TABLE.match(line)
        if statement:
            present = statement[1].rpartition(".")[2].strip('`"[]')
        if present == table and (in_values.search(line) or in_copy.match(line)):
            return number
    return 0


def media_of(version: Version, row: Row) -> tuple[bytes, str, tuple[float, float]]:
    """Return a picture of the page, or the recording, that a record comes from: bytes, media type, size.

    The size is width and height in the unit of the record's box. Raises InputError where there is none.
    """
    names = raw_location.names_with_hash(version)
    name = raw_location.file_of(row["locator"], names)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in SOUNDS:
        return content_of(version, name), SOUNDS[suffix], (0.0, 0.0)
    place = place_on_page(raw_location.spot_of(row["locator"], names))
    page = place.get("page", 1)
    try:
        if suffix == ".pdf":
            picture, size = page_of_pdf(content_of(version, name), page)
        elif suffix in PICTURES:
            picture, size = page_of_picture(content_of(version, name), page)
        else:
            raise InputError(f"{RAW}/{name}: neither a picture nor a recording")
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes a library raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{RAW}/{name}: cannot be drawn ({reason})") from None
    return picture, "image/png", size


def page_of_pdf(content: bytes, page: int) -> tuple[bytes, tuple[float, float]]:
    """Return a page of a PDF as PNG, and its size in points."""
    import pypdfium2

    with pypdfium2.PdfDocument(content) as document:
        found = document[page - 1]
        width, height = found.get_size()
        scale = min(2.0, LONGEST_SIDE / max(width, height))
        picture = found.render(scale=scale).to_pil()
        return as_png(picture), (width, height)


def page_of_picture(content: bytes, page: int) -> tuple[bytes, tuple[float, float]]:
    """Return a picture, or a page of it, as PNG, and its size in pixels of the file."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        if page > 1:
            picture.seek(page - 1)
        size = (float(picture.width), float(picture.height))
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        return as_png(picture), size


def as_png(picture: Any) -> bytes:
    """Return a picture of Pillow as PNG, in colours and without what else the file said."""
    stream = io.BytesIO()
    picture.convert("RGB").save(stream, "PNG")
    return stream.getvalue()

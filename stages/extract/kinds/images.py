"""Pictures with captions: a table that names the files, a file beside each picture, or the figures of HTML and PDF.

A unit is a picture with its caption. The record of the caption has the kind `picture`. Its further fields hold the
picture's path, hash, format and size. `data/extract/pictures.parquet` holds the picture itself, made smaller. The
stage `pictures` decides which captions join the training.

With `captions: table` the source is a delimited file. A row names a file in the folder of the table or below it.
Its position is its line. A picture there that no row names is set aside. With `captions: sidecar` the source is a
pattern of pictures. Beside `iron.png` stands its caption in `iron.txt`, or an object with texts in `iron.json`, or
both. Cells are `caption`, `file` (its name), `stem` (without suffix) and the keys of the object. With
`captions: figures` the source is a pattern of HTML pages. Each `<figure>` with a picture is a unit. Cells are
`caption` (the text of its `<figcaption>`, or else the `alt` of the picture), `alt`, `file`, `title` (of the page) and
`heading` (the last one before the figure). No address is followed: the picture lies below the page's folder. The
pattern may name PDF files, too (`pdf_figures.py`). Their cells are `caption`, `file`, `title` and `page`.

Set aside, each by itself: `missing_file` (no such file), `outside` (a path that leaves the folder), `no_caption`,
`unreadable` (broken or no picture), `too_large` (in bytes or pixels), `too_small`, `animated` (several frames or
pages), `wrong_suffix` (a JPEG named .png), `shared_caption` (of several pictures in a PDF) and `duplicate_picture`
(the same pixels as an earlier one).
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.core.records.picture import PICTURE
from stages.extract.blocks import parse_html
from stages.extract.encoding import counted
from stages.extract.kinds.delimited import Csv
from stages.extract.kinds.document import Document
from stages.extract.path import Gap
from stages.extract.pdf_figures import figures_of
from stages.extract.pictures import PictureSetAsideError, read
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings
from stages.extract.unit import Unit, nearest

SUFFIXES = frozenset(
    ".png .apng .jpg .jpeg .jfif .tif .tiff .bmp .gif .webp .avif .ppm .pgm .jp2 .tga .pcx".split()
)
"""Suffixes of files that are taken for pictures where no row of the table names them."""
LARGEST_SIDECAR = 2**20
"""Most bytes of a file with a caption."""


@dataclass(frozen=True, config=STRICT)
class Images(SourceSettings):
    """Pictures with captions."""

    kind: Literal["images"]
    """Pictures with captions: a table that names the files, a file beside each picture, or figures of HTML and PDF."""
    name: Name
    path: FilePath
    lang: Lang
    map: Map
    captions: Literal["table", "sidecar", "figures"]
    """`table`: `path` is a delimited file, and a row names a picture below the table's folder. `sidecar`: `path`
    is a pattern of pictures, such as `photos/*.jpg`. Beside each stands its caption: `iron.txt`, or `iron.json`
    with an object of texts, or both. `figures`: `path` is a pattern of HTML pages or
    PDF files, such as `pages/*.html` or `papers/*.pdf`."""
    file: str = "file"
    """With `captions: table`: the column that names the picture."""
    encoding: str = "utf-8"
    """Encoding of the table or of the captions, such as `utf-8` or `gb18030`. `auto`: detected, for a table."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """With `captions: table`: the character between two cells."""
    side: Annotated[int, Field(ge=16, le=1024)] = 256
    """Most pixels of the longer side of what is kept of a picture. CLIP checkpoints see 224 to 336."""

    @property
    def text_kind(self) -> str:
        """Kind of the records of texts."""
        return PICTURE

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield the pictures of a table, or the one picture. Raises InputError for a table that cannot be read."""
        if self.captions == "table":
            yield from self._rows(path)
        elif self.captions == "figures" and path.suffix.lower() == ".pdf":
            yield from self._figures_of_pdf(path)
        elif self.captions == "figures":
            yield from self._figures(path)
        else:
            yield self._beside(path)

    def problems(self) -> list[str]:
        """List the problems of settings that do not fit together."""
        problems = []
        if self.map.text is None:
            problems.append("map.text: missing; write the place of the caption, such as `caption`")
        if self.captions == "sidecar" and self.encoding == "auto":
            problems.append(
                "encoding: a caption is too short to detect it; write one, such as utf-8"
            )
        if self.captions == "table":
            problems += self._table().problems()
        return problems

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Return how captions are found, and count the detected encodings."""
        found: dict[str, Any] = {"captions": self.captions}
        if self.captions == "table":
            found |= counted(files, self.encoding, self.lang)
        return found

    def _table(self) -> Csv:
        """Return the table as a source of its own."""
        places = replace(self.map, meta={**self.map.meta, "picture file": self.file})
        return Csv(
            kind="csv",
            name=self.name,
            path=self.path,
            lang=self.lang,
            map=places,
            encoding=self.encoding,
            delimiter=self.delimiter,
            where=self.where,
        )

    def _rows(self, table: Path) -> Iterator[Unit]:
        """Yield the rows of a table, and the pictures that it does not name."""
        folder = table.parent
        present = pictures_below(folder)
        named = set()
        for unit in self._table().units(table):
            name = str((unit.cells or {}).get(self.file, "")).strip()
            named.add(Path(name).as_posix())
            yield self._with_picture(unit, folder, name, present)
        for name in present:
            if name not in named:
                evidence = f"no row of {table.name} names {name}; add one, or remove the file"
                yield Unit(f"picture {name}", name, None, "no_caption", evidence)

    def _with_picture(self, unit: Unit, folder: Path, name: str, present: list[str]) -> Unit:
        """Return a row with its picture, or its rejection."""
        if unit.cells is None:
            return unit
        if self.file not in unit.cells:
            evidence = f"the table has no column {self.file!r}; set the source's `file` to the one that names pictures"
            return Unit(unit.position, unit.raw, None, "missing_file", evidence)
        return self._with_file(unit, folder, name, present)

    def _with_file(self, unit: Unit, folder: Path, name: str, present: list[str]) -> Unit:
        """Return a unit with the picture of this name, or its rejection."""
        reason, evidence = fault_of_name(folder, name, present)
        if reason:
            return Unit(unit.position, unit.raw, None, reason, evidence)
        if not unit.get(self.map.text):
            return Unit(
                unit.position, unit.raw, None, "no_caption", f"{name}: the caption is empty"
            )
        return self._read(unit, folder / name, name)

    def _beside(self, path: Path) -> Unit:
        """Return a picture with the caption that stands beside it, or its rejection."""
        cells: dict[str, Any] = {"file": path.name, "stem": path.stem}
        try:
            cells |= self._sidecars(path)
        except PictureSetAsideError as error:
            return Unit("picture", path.name, None, error.reason, error.evidence)
        raw = json.dumps(cells, ensure_ascii=False)
        unit = Unit("picture", raw, cells, find_gap=partial(gap_in, cells))
        if not unit.get(self.map.text):
            evidence = f"neither {path.stem}.txt nor {path.stem}.json has a caption for {path.name}; write one"
            return Unit("picture", path.name, None, "no_caption", evidence)
        return self._read(unit, path, path.name)

    def _figures(self, page: Path) -> Iterator[Unit]:
        """Yield the figures of a page. Raises InputError where it cannot be read."""
        reader = Document(
            kind="document",
            name=self.name,
            path=self.path,
            lang=self.lang,
            map=self.map,
            format="html",
            encoding=self.encoding,
        )
        try:
            found = list(figures_in(reader.text_of(page)))
        except ValueError as error:
            raise InputError(
                f"extract: {page} cannot be read: {error}; mend or remove it"
            ) from None
        present = pictures_below(page.parent)
        for number, cells in enumerate(found, start=1):
            name = file_of_address(cells["file"])
            raw = json.dumps(cells, ensure_ascii=False)
            unit = Unit(f"figure[{number}]", raw, cells, find_gap=partial(gap_in, cells))
            if name is None:
                evidence = (
                    f"{cells['file'][:80]}: no file beside the page, and no address is followed"
                )
                yield Unit(unit.position, raw, None, "outside", evidence)
            else:
                yield self._with_file(unit, page.parent, name, present)

    def _figures_of_pdf(self, path: Path) -> Iterator[Unit]:
        """Yield the pictures of a PDF with their captions. Raises InputError where it cannot be read."""
        title, figures = figures_of(path, self.side)
        for figure in figures:
            cells = {"file": path.name, "caption": figure.caption}
            cells |= {"title": title, "page": str(figure.page)}
            raw = json.dumps(cells, ensure_ascii=False)
            if figure.picture is None:
                yield Unit(figure.position, raw, None, figure.reason, figure.evidence)
                continue
            yield Unit(
                figure.position,
                raw,
                cells,
                find_gap=partial(gap_in, cells),
                picture=figure.picture,
            )

    def _sidecars(self, path: Path) -> dict[str, Any]:
        """Return the cells of the files beside a picture. Raises PictureSetAsideError."""
        cells: dict[str, Any] = {}
        written = path.with_suffix(".json")
        if written.is_file():
            try:
                document = json.loads(sidecar_text(written, self.encoding))
            except (ValueError, RecursionError) as error:
                raise PictureSetAsideError(
                    "malformed", f"{written.name} is no JSON: {error}"
                ) from None
            if not isinstance(document, dict):
                raise PictureSetAsideError(
                    "malformed", f"{written.name} holds no object; write {{…}} with texts"
                )
            for name, value in document.items():
                if isinstance(value, str | int | float) and not isinstance(value, bool):
                    cells[name] = value
        text = path.with_suffix(".txt")
        if text.is_file():
            cells["caption"] = sidecar_text(text, self.encoding)
        return cells

    def _read(self, unit: Unit, path: Path, name: str) -> Unit:
        """Return a unit with its picture, or its rejection."""
        try:
            return replace(unit, picture=read(path, name, self.side))
        except PictureSetAsideError as error:
            return Unit(unit.position, unit.raw, None, error.reason, error.evidence)


def gap_in(cells: dict[str, Any], name: str) -> Gap | None:
    """Return that no cell has this name, or None. Each picture has its own cells."""
    return None if name in cells else Gap(name, {other: other for other in cells})


def figures_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the cells of each figure that has a picture, in their order. Raises ValueError."""
    root = parse_html(text)
    if root is None:
        return
    title = plain(root.find(".//title"))
    heading = title
    for element in root.iter("h1", "h2", "h3", "h4", "h5", "h6", "figure"):
        if element.tag != "figure":
            heading = plain(element)
            continue
        image = next(element.iter("img"), None)
        if image is None:
            continue  # a table or a listing may be a figure, too
        alt = " ".join((image.get("alt") or "").split())
        caption = plain(element.find(".//figcaption")) or alt
        yield {
            "file": (image.get("src") or "").strip(),
            "caption": caption,
            "alt": alt,
            "title": title,
            "heading": heading,
        }


def plain(element: Any) -> str:
    """Return the text of an element on one line. Empty where there is none."""
    return "" if element is None else " ".join(str(element.text_content()).split())


def file_of_address(address: str) -> str | None:
    """Return the file that a relative address names, or None for an address of another kind.

    Examples: `a%20b.png?v=2` → `a b.png`, `https://x.org/a.png` → None, `data:image/png;base64,…` → None.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        return None
    return unquote(parts.path)


def pictures_below(folder: Path) -> list[str]:
    """Return the names of the pictures in a folder and below it, as the table may name them, sorted."""
    found = []
    for path in folder.rglob("*"):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def fault_of_name(folder: Path, name: str, present: list[str]) -> tuple[str, str]:
    """Return reason and evidence why a name leads to no picture below the folder, or empty texts."""
    if not name:
        return "missing_file", "no file is named"
    if "\0" in name or Path(name).is_absolute():
        return "outside", f"{name!r}: a picture is named from the table's folder"
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return "outside", f"{name!r} leaves the folder of the table"
        if path.is_file():
            return "", ""
    except (OSError, RuntimeError):
        pass  # a name that is too long, or links that lead to each other
    close = nearest(name, present)
    advice = f"; the nearest is {close}" if close else ""
    return "missing_file", f"{name}: no such file beside the table{advice}"


def sidecar_text(path: Path, encoding: str) -> str:
    """Return the text of a file beside a picture. Raises PictureSetAsideError."""
    try:
        if path.stat().st_size > LARGEST_SIDECAR:
            raise PictureSetAsideError(
                "malformed", f"{path.name}: more than {LARGEST_SIDECAR // 2**20} MiB is no caption"
            )
        text = path.read_bytes().decode(encoding)
    except OSError as error:
        raise PictureSetAsideError("unreadable", f"{path.name}: {error.strerror}") from None
    except (LookupError, UnicodeError) as error:
        raise PictureSetAsideError(
            "encoding", f"{path.name}: {error}; set the source's `encoding`"
        ) from None
    return text.removeprefix("\ufeff").strip()

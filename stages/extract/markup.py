"""Nested text: JSON, JSON Lines and XML."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lxml import etree
from pydantic.dataclasses import dataclass

from stages.core.errors import InputError
from stages.core.params import STRICT
from stages.extract.table import decoded_lines
from stages.extract.unit import Mapping, Unit


@dataclass(frozen=True, config=STRICT)
class Json:
    """One JSON document that holds a list of items."""

    kind: Literal["json"]
    name: str
    path: str
    lang: str
    items: str
    """Dotted path to the list (or mapping) whose entries are the units; empty for the document itself."""
    map: Mapping

    def units(self, path: Path) -> Iterator[Unit]:
        """Items. Raises InputError where the document cannot be read or has no such list."""
        try:
            found: Any = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        except (json.JSONDecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise InputError(f"extract: {self.name}: {path} is not JSON: {error}; mend the file") from None
        for part in filter(None, self.items.split(".")):
            found = found.get(part) if isinstance(found, dict) else None
        if not isinstance(found, (list, dict)):
            raise InputError(f"extract: {self.name}: {path} has no list at {self.items!r}; mend `items` in params.yaml")
        entries = found.items() if isinstance(found, dict) else enumerate(found)
        pointer = "".join(f"/{part}" for part in filter(None, self.items.split(".")))
        for key, item in entries:
            yield unit_of_item(f"{pointer}/{key}", json.dumps(item, ensure_ascii=False), item)


@dataclass(frozen=True, config=STRICT)
class JsonLines:
    """JSON Lines: one object a line."""

    kind: Literal["jsonl"]
    name: str
    path: str
    lang: str
    map: Mapping

    def units(self, path: Path) -> Iterator[Unit]:
        """Lines that are not empty; one that is no JSON object is rejected by itself."""
        for number, raw, line in decoded_lines(path, "utf-8"):
            if line is None:
                yield Unit(f"L{number}", raw, None, "encoding", "not utf-8")
            elif line.strip():
                try:
                    item = json.loads(line, parse_constant=refuse_constant)
                except (ValueError, RecursionError) as error:
                    yield Unit(f"L{number}", raw, None, "malformed", str(error))
                else:
                    yield unit_of_item(f"L{number}", raw, item)


def unit_of_item(place: str, raw: str, item: Any) -> Unit:
    """The unit of one JSON value; only objects can be mapped."""
    try:
        json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # JSON may escape half of a surrogate pair, which is no text
        return Unit(place, json.dumps(item), None, "malformed", "a string holds half of a surrogate pair")
    if not isinstance(item, dict):
        return Unit(place, raw, None, "malformed", f"an object is needed, found {type(item).__name__}")
    return Unit(place, raw, item)


def refuse_constant(name: str) -> float:
    """NaN and Infinity are not JSON (RFC 8259)."""
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, config=STRICT)
class Xml:
    """An XML document; read as a stream, without entities, DTDs or network."""

    kind: Literal["xml"]
    name: str
    path: str
    lang: str
    element: str
    """Name of the element that is a unit. Paths in `map`: child (`state`), child of a child (`a.b`), attribute (`state@unit`)."""
    map: Mapping

    def units(self, path: Path) -> Iterator[Unit]:
        """Elements; what follows a syntax error is one rejected unit.

        Raises InputError where the document declares a DTD or entities.
        """
        count = 0
        settings = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
        with path.open("rb") as file:
            try:
                for _, element in etree.iterparse(
                    file, events=("end",), tag=self.element, remove_comments=True, remove_pis=True, **settings
                ):
                    self._refuse_doctype(element, path)
                    count += 1
                    raw = etree.tostring(element, encoding="unicode", with_tail=False)
                    yield Unit(f"{self.element}[{count}]", raw, dict(cells_of(element)))
                    release(element)
            except etree.XMLSyntaxError as error:
                if "entit" in str(error).lower():
                    raise InputError(f"extract: {self.name}: {path} uses entities, which are refused: {error.msg}") from None
                evidence = f"the document cannot be read from here on: {error.msg}"
                yield Unit(f"L{error.lineno}", "", None, "malformed", evidence)

    def _refuse_doctype(self, element: Any, path: Path) -> None:
        if element.getroottree().docinfo.internalDTD is not None:
            raise InputError(f"extract: {self.name}: {path} declares a document type, which is refused; remove <!DOCTYPE …>")


def cells_of(element: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of an element's attributes and of everything below it; the first of several children of one name counts."""
    seen = set()
    for name, value in element.attrib.items():
        yield f"{prefix.removesuffix('.')}@{name}", value
    for child in element:
        if isinstance(child.tag, str) and child.tag not in seen:
            seen.add(child.tag)
            path = f"{prefix}{child.tag}"
            yield path, "".join(child.itertext())
            yield from cells_of(child, f"{path}.")


def release(element: Any) -> None:
    """Free an element that has been read, and its earlier siblings: memory stays constant."""
    element.clear()
    while element.getprevious() is not None:
        del element.getparent()[0]

"""Nested text: JSON, JSON Lines and XML."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from lxml import etree
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.extract.lines import decoded_lines
from stages.extract.path import joined, nodes_at, split
from stages.extract.source import Common
from stages.extract.unit import Mapping, Unit

SAFE: dict[str, Any] = {
    "resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False,
    "remove_comments": True, "remove_pis": True,
}  # fmt: skip
"""How every document is read."""


@dataclass(frozen=True, config=STRICT)
class Json(Common):
    """One JSON document: a list of items, or one item."""

    kind: Literal["json"]
    name: str
    path: str
    lang: str
    items: str
    """Dotted path to the list (or mapping) whose entries are the units; `a.*.b`: the lists b of all entries of a; empty: the
    document is the list; `.`: the document is one unit."""
    map: Mapping

    def units(self, path: Path) -> Iterator[Unit]:
        """Items. Raises InputError where the document cannot be read or has no such list."""
        try:
            content = path.read_bytes()
            document: Any = json.loads(
                content.decode(json.detect_encoding(content)), parse_constant=refuse_constant
            )
        except (json.JSONDecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise InputError(
                f"extract: {self.name}: {path} is not JSON: {error}; mend the file"
            ) from None
        if self.items == ".":
            yield self._unit("", document, {"": document})
            return
        names = [name for name in self.items.split(".") if name]
        before = "".join(f"/{name}" for name in takewhile(lambda name: name != "*", names))
        for place, entries, around in lists_at(document, names, "", {"": document}):
            if isinstance(entries, (list, dict)):
                for key, item in (
                    entries.items() if isinstance(entries, dict) else enumerate(entries)
                ):
                    yield self._unit(f"{place}/{key}", item, around)
            elif place.startswith(f"{before}/"):  # one entry among others
                yield Unit(
                    place, "", None, "malformed", f"no list here; `items` names {self.items!r}"
                )
            else:
                raise InputError(
                    f"extract: {self.name}: {path} has no list at {self.items!r}; mend `items` in params.yaml"
                )

    def _unit(self, place: str, item: Any, around: dict[str, Any]) -> Unit:
        return unit_of_item(
            place,
            json.dumps(item, ensure_ascii=False),
            item,
            self.map.paths() | self.where.keys(),
            around,
        )


def lists_at(
    node: Any, names: list[str], place: str, around: dict[str, Any]
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """(JSON pointer, what stands there, what stands around it by its name) at the end of `items`."""
    if not names:
        yield place, node, around
    elif names[0] != "*":
        below = node.get(names[0]) if isinstance(node, dict) else None
        yield from lists_at(below, names[1:], f"{place}/{names[0]}", around | {names[0]: below})
    elif isinstance(node, list):
        name = place.rpartition("/")[2]
        for number, entry in enumerate(node):
            named = around | {name: entry} if name else around
            yield from lists_at(entry, names[1:], f"{place}/{number}", named)
    else:
        yield place, None, around


@dataclass(frozen=True, config=STRICT)
class JsonLines(Common):
    """JSON Lines: one object a line."""

    kind: Literal["jsonl"]
    name: str
    path: str
    lang: str
    map: Mapping

    def units(self, path: Path) -> Iterator[Unit]:
        """Lines that are not empty; one that is no JSON object is rejected by itself."""
        paths = self.map.paths() | self.where.keys()
        for number, read, line in decoded_lines(path, "utf-8"):
            raw = read.rstrip("\r\n")
            if line is None:
                yield Unit(f"L{number}", raw, None, "encoding", "not utf-8")
            elif raw.strip():
                try:
                    item = json.loads(raw, parse_constant=refuse_constant)
                except (ValueError, RecursionError) as error:
                    yield Unit(f"L{number}", raw, None, "malformed", str(error))
                else:
                    yield unit_of_item(f"L{number}", raw, item, paths, {})


def unit_of_item(place: str, raw: str, item: Any, paths: set[str], around: dict[str, Any]) -> Unit:
    """The unit of one JSON value; only objects can be mapped."""
    try:
        json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # JSON may escape half of a surrogate pair, which is no text
        return Unit(
            place, json.dumps(item), None, "malformed", "a string holds half of a surrogate pair"
        )
    if not isinstance(item, dict):
        return Unit(
            place, raw, None, "malformed", f"an object is needed, found {type(item).__name__}"
        )
    return Unit(place, raw, {path: text_in_item(path, item, around) for path in paths})


def text_in_item(path: str, item: dict[str, Any], around: dict[str, Any]) -> str | None:
    """The text at a path of an item. A key that is written like a path comes before the path."""
    if path in item:
        return joined(text_of_value(value) for value in nodes_at(item[path], [], key))
    enclosing, names = split(path)
    start = item if enclosing is None else around.get(enclosing)
    return joined(text_of_value(value) for value in nodes_at(start, names, key))


def key(node: Any, name: str) -> Any:
    """What a JSON object holds under a key."""
    return node.get(name) if isinstance(node, dict) else None


def text_of_value(value: Any) -> str | None:
    """The text of a JSON string, number or truth value."""
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def refuse_constant(name: str) -> float:
    """NaN and Infinity are not JSON (RFC 8259)."""
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, config=STRICT)
class Xml(Common):
    """An XML document; read as a stream, without entities, DTDs or network. Names are compared without their namespace."""

    kind: Literal["xml"]
    name: str
    path: str
    lang: str
    element: str
    """Name of the element that is a unit. Of what stands around a unit (`archive/title`), only what stands before it is seen."""
    map: Mapping

    def units(self, path: Path) -> Iterator[Unit]:
        """Elements; what follows a syntax error is one rejected unit. Raises InputError where the document declares entities."""
        self._refuse_entities(path)
        count, paths = 0, self.map.paths() | self.where.keys()
        kept = names_around(paths)
        with path.open("rb") as file:
            elements = etree.iterparse(file, events=("end",), tag=f"{{*}}{self.element}", **SAFE)
            try:
                for _, element in elements:
                    count += 1
                    raw = etree.tostring(element, encoding="unicode", with_tail=False)
                    yield unit_of_element(f"{self.element}[{count}]", raw, element, paths)
                    release(element, self.element, kept)
            except etree.XMLSyntaxError:
                yield from self._broken(elements.error_log, path)

    def _broken(self, log: Any, path: Path) -> Iterator[Unit]:
        """The rejected unit of a syntax error. A prefix that stands for no namespace is none: nothing is lost by it."""
        faults = [
            entry
            for entry in log.filter_from_errors()
            if entry.domain != etree.ErrorDomains.NAMESPACE
        ]
        for fault in faults[:1]:
            if "entit" in fault.message.lower():
                raise InputError(
                    f"extract: {self.name}: {path} uses entities, which are refused: {fault.message}"
                ) from None
            evidence = f"the document cannot be read from here on: {fault.message}, line {fault.line}, column {fault.column}"
            yield Unit(f"L{fault.line}", "", None, "malformed", evidence)

    def _refuse_entities(self, path: Path) -> None:
        """A document type may be named; it is never fetched. What it declares in the document itself is known at the root."""
        with path.open("rb") as file, suppress(etree.XMLSyntaxError):  # which `units` reports
            for _, root in etree.iterparse(file, events=("start",), **SAFE):
                declared = root.getroottree().docinfo.internalDTD
                if declared is not None and any(True for _ in declared.iterentities()):
                    raise InputError(
                        f"extract: {self.name}: {path} declares entities, which are refused; write out what they stand for and "
                        "remove them from <!DOCTYPE …>"
                    )
                return


def unit_of_element(place: str, raw: str, element: Any, paths: set[str]) -> Unit:
    """The unit of one element."""
    if (entity := next(element.iter(etree.Entity), None)) is not None:
        return Unit(
            place,
            raw,
            None,
            "undeclared_entity",
            f"{entity.text} stands for something that the document does not hold",
        )
    return Unit(place, raw, {path: text_in_element(path, element) for path in paths})


def text_in_element(path: str, element: Any) -> str | None:
    """The text at a path of an element."""
    enclosing, names = split(path)
    start = element if enclosing is None else around(element, enclosing)
    return joined(text_of_node(node) for node in nodes_at(start, names, child))


def around(element: Any, name: str) -> Any:
    """The innermost element of a name around an element, or None; without a name the root."""
    outer = (other for other in element.iterancestors() if local(other.tag) == name)
    return next(outer, None) if name else element.getroottree().getroot()


def child(node: Any, name: str) -> Any:
    """An element's children of a name, or its attribute."""
    if node is None or isinstance(node, str):
        return None
    if name.startswith("@"):
        return next((value for key, value in node.attrib.items() if local(key) == name[1:]), None)
    return [below for below in node if local(below.tag) == name]


def text_of_node(node: Any) -> str | None:
    """The text of an element with all that is inside, or an attribute's value."""
    return node if node is None or isinstance(node, str) else "".join(node.itertext())


def local(tag: Any) -> str:
    """A name without its namespace or prefix; a reference to an entity has none."""
    return tag.rpartition("}")[2].rpartition(":")[2] if isinstance(tag, str) else ""


def names_around(paths: set[str]) -> set[str]:
    """Names of elements before a unit that a path around it may lead to; `*` where one takes all that stands there."""
    outside = [split(path)[1] for path in paths if "/" in path]
    return {name for names in outside for name in names or ["*"]}


def release(element: Any, unit: str, kept: set[str]) -> None:
    """Free an element that has been read, and all before it but elements of the names `kept`: memory stays constant.

    Inside another unit, which is still to be read as a whole, only what the element holds is freed.
    """
    element.clear(keep_tail=True)  # which belongs to what stands around
    around = list(element.iterancestors())
    if any(unit in ("*", local(other.tag)) for other in around):
        return
    for node in (element, *around):
        for earlier in list(node.itersiblings(preceding=True)):
            if local(earlier.tag) == unit or not ({"*", local(earlier.tag)} & kept):
                earlier.getparent().remove(earlier)

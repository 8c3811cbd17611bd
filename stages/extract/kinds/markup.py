"""Nested text: JSON, JSON Lines and XML."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lxml import etree
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.extract.lines import decoded_lines
from stages.extract.path import join_texts, nodes_at, split
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings
from stages.extract.unit import Unit

SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
"""Options with which every XML document is parsed."""


@dataclass(frozen=True, config=STRICT)
class Json(SourceSettings):
    """One JSON document: a list of items, or one item."""

    kind: Literal["json"]
    """One JSON document: a list of items, or one item."""
    name: Name
    path: FilePath
    lang: Lang
    items: str
    """Dotted path to the list (or object) whose entries are the units, such as `archive.entries`. `a.*.b`:
    the lists b of all entries of a. `''`: the document is the list. `.`: the document is one unit."""
    map: Map

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield items. Raises InputError where the document cannot be read or has no such list."""
        document = self._document(path)
        if self.items == ".":
            yield self._unit("", document, {"": document})
            return
        names = [name for name in self.items.split(".") if name]
        # Above the first `*` there is one list only, so that its absence is an error of the mapping.
        # Below it, one entry among others may lack its list. Example: `a.*.b` → `/a`.
        single = takewhile(lambda name: name != "*", names)
        single_pointer = "".join(f"/{name}" for name in single)
        for pointer, entries, enclosing in lists_at(document, names, "", {"": document}):
            if isinstance(entries, dict):
                for name, item in entries.items():
                    yield self._unit(f"{pointer}/{name}", item, enclosing)
            elif isinstance(entries, list):
                for number, item in enumerate(entries):
                    yield self._unit(f"{pointer}/{number}", item, enclosing)
            elif pointer.startswith(f"{single_pointer}/"):
                evidence = f"no list here; `items` names {self.items!r}"
                yield Unit(pointer, "", None, "malformed", evidence)
            else:
                raise InputError(
                    f"extract: {self.name}: {path} has no list at {self.items!r}; "
                    "mend `items` in params.yaml"
                )

    def _document(self, path: Path) -> Any:
        """Parse the document. Raises InputError."""
        try:
            content = path.read_bytes()
            text = content.decode(json.detect_encoding(content))
            return json.loads(text, parse_constant=refuse_constant)
        except (json.JSONDecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise InputError(
                f"extract: {self.name}: {path} is not JSON: {error}; mend the file"
            ) from None

    def _unit(self, pointer: str, item: Any, enclosing: dict[str, Any]) -> Unit:
        raw = json.dumps(item, ensure_ascii=False)
        return unit_of_item(pointer, raw, item, self.map.paths() | self.where.keys(), enclosing)


class Entries(NamedTuple):
    """The node at the end of `items`, in one place of a document."""

    pointer: str
    """JSON pointer of the node."""
    node: Any
    enclosing: dict[str, Any]
    """The nodes around it, by name. The empty name is the document."""


def lists_at(
    node: Any, names: list[str], pointer: str, enclosing: dict[str, Any]
) -> Iterator[Entries]:
    """Yield the nodes at the end of `items`, below a node with this pointer."""
    if not names:
        yield Entries(pointer, node, enclosing)
    elif names[0] != "*":
        below = node.get(names[0]) if isinstance(node, dict) else None
        named = enclosing | {names[0]: below}
        yield from lists_at(below, names[1:], f"{pointer}/{names[0]}", named)
    elif isinstance(node, list):
        # Paths of the mapping refer to an entry by the name of its list: archive/title is the title
        # of that entry of `archive` in which the unit lies.
        list_name = pointer.rpartition("/")[2]
        for number, entry in enumerate(node):
            named = enclosing | {list_name: entry} if list_name else enclosing
            yield from lists_at(entry, names[1:], f"{pointer}/{number}", named)
    else:
        yield Entries(pointer, None, enclosing)


@dataclass(frozen=True, config=STRICT)
class JsonLines(SourceSettings):
    """JSON Lines: one object per line."""

    kind: Literal["jsonl"]
    """JSON Lines: one object per line."""
    name: Name
    path: FilePath
    lang: Lang
    map: Map

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield the lines that are not empty. A line that is no JSON object is rejected alone."""
        paths = self.map.paths() | self.where.keys()
        for number, line, decoded in decoded_lines(path, "utf-8"):
            position = f"L{number}"
            raw = line.rstrip("\r\n")
            if decoded is None:
                yield Unit(position, raw, None, "encoding", "not utf-8")
                continue
            if not raw.strip():
                continue
            try:
                item = json.loads(raw, parse_constant=refuse_constant)
            except (ValueError, RecursionError) as error:
                yield Unit(position, raw, None, "malformed", str(error))
                continue
            yield unit_of_item(position, raw, item, paths, {})


def unit_of_item(
    position: str, raw: str, item: Any, paths: set[str], enclosing: dict[str, Any]
) -> Unit:
    """Return the unit of one JSON value. Only objects can be mapped."""
    try:
        json.dumps(item, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # JSON may escape half of a surrogate pair, such as "\ud83d". It is no text.
        evidence = "a string holds half of a surrogate pair"
        return Unit(position, json.dumps(item), None, "malformed", evidence)
    if not isinstance(item, dict):
        evidence = f"an object is needed, found {type(item).__name__}"
        return Unit(position, raw, None, "malformed", evidence)
    cells = {path: text_in_item(path, item, enclosing) for path in paths}
    return Unit(position, raw, cells)


def text_in_item(path: str, item: dict[str, Any], enclosing: dict[str, Any]) -> str | None:
    """Return the text at a path of an item. A key that looks like a path counts as a key first."""
    if path in item:
        nodes = nodes_at(item[path], [], value_at_key)
    else:
        outer_name, names = split(path)
        start = item if outer_name is None else enclosing.get(outer_name)
        nodes = nodes_at(start, names, value_at_key)
    return join_texts(map(text_of_value, nodes))


def value_at_key(node: Any, name: str) -> Any:
    """Return the value of a key in a JSON object, or None."""
    return node.get(name) if isinstance(node, dict) else None


def text_of_value(value: Any) -> str | None:
    """Return the text of a JSON string, number or truth value. None: it is something else."""
    if value is None or isinstance(value, (dict, list)):
        return None
    return str(value)


def refuse_constant(name: str) -> float:
    """Raise ValueError for NaN and Infinity, which are not JSON (RFC 8259)."""
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, config=STRICT)
class Xml(SourceSettings):
    """An XML document, read as a stream, without entities, DTDs or network.

    Names are compared without their namespace.
    """

    kind: Literal["xml"]
    """An XML document."""
    name: Name
    path: FilePath
    lang: Lang
    element: str
    """Name of the element that is a unit, without its namespace. The path `.` is its own text. A path to an
    enclosing element (`archive/title`) sees only elements before the unit."""
    map: Map

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield elements. The rest after a syntax error is one rejected unit.

        Raises InputError where the document declares entities.
        """
        self._refuse_entities(path)
        count = 0
        paths = self.map.paths() | self.where.keys()
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
        """Yield the rejected unit of a syntax error.

        An undeclared prefix of a name is no fault, because no text is lost by it.
        """
        faults = []
        for entry in log.filter_from_errors():
            if entry.domain != etree.ErrorDomains.NAMESPACE:
                faults.append(entry)
        if not faults:
            return
        fault = faults[0]
        if "entit" in fault.message.lower():
            raise InputError(
                f"extract: {self.name}: {path} uses entities, which are refused: {fault.message}"
            ) from None
        evidence = (
            f"the document cannot be read from here on: {fault.message}, "
            f"line {fault.line}, column {fault.column}"
        )
        yield Unit(f"L{fault.line}", "", None, "malformed", evidence)

    def _refuse_entities(self, path: Path) -> None:
        """Raise InputError where the document declares entities.

        A document type may be named, and it is never fetched. The declarations inside the document
        are complete when the root element begins.
        """
        # `units` reports syntax errors.
        with path.open("rb") as file, suppress(etree.XMLSyntaxError):
            for _, root in etree.iterparse(file, events=("start",), **SAFE):
                declared = root.getroottree().docinfo.internalDTD
                if declared is not None and any(True for _ in declared.iterentities()):
                    raise InputError(
                        f"extract: {self.name}: {path} declares entities, which are refused; "
                        "write out what they stand for and remove them from <!DOCTYPE …>"
                    )
                return  # the root is enough


def unit_of_element(position: str, raw: str, element: Any, paths: set[str]) -> Unit:
    """Return the unit of one element."""
    entity = next(element.iter(etree.Entity), None)
    if entity is not None:
        evidence = f"{entity.text} stands for something that the document does not hold"
        return Unit(position, raw, None, "undeclared_entity", evidence)
    return Unit(position, raw, {path: text_in_element(path, element) for path in paths})


def text_in_element(path: str, element: Any) -> str | None:
    """Return the text at a path of an element."""
    outer_name, names = split(path)
    start = element if outer_name is None else enclosing_element(element, outer_name)
    return join_texts(map(text_of_node, nodes_at(start, names, child)))


def enclosing_element(element: Any, name: str) -> Any:
    """Return the innermost element of a name around an element, or None. No name: the root."""
    if not name:
        return element.getroottree().getroot()
    for ancestor in element.iterancestors():
        if local_name(ancestor.tag) == name:
            return ancestor
    return None


def child(node: Any, name: str) -> Any:
    """Return an element's children of a name, or its attribute."""
    if node is None or isinstance(node, str):
        return None
    if not name.startswith("@"):
        return [below for below in node if local_name(below.tag) == name]
    for attribute, value in node.attrib.items():
        if local_name(attribute) == name[1:]:
            return value
    return None


def text_of_node(node: Any) -> str | None:
    """Return the text of an element with all that is inside, or an attribute's value."""
    if node is None or isinstance(node, str):
        return node
    return "".join(node.itertext())


def local_name(tag: Any) -> str:
    """Return a name without its namespace or prefix. A reference to an entity has an empty name.

    Example: `{http://www.w3.org/1999/xhtml}p` and `x:p` → `p`.
    """
    if not isinstance(tag, str):
        return ""
    return tag.rpartition("}")[2].rpartition(":")[2]


def names_around(paths: set[str]) -> set[str]:
    """Return the names of elements outside a unit that its paths may need.

    `*` stands for all elements, where a path takes the whole text of an enclosing element.
    """
    needed: set[str] = set()
    for path in paths:
        if "/" in path:
            _, names = split(path)
            needed.update(names or ["*"])
    return needed


def release(element: Any, unit: str, kept: set[str]) -> None:
    """Free an element that has been read, and all elements before it, so that memory stays constant.

    Elements of the names `kept` stay. Inside another unit, which is still to be read as a whole, only
    the content of the element is freed.
    """
    # The tail is the text behind the element, which belongs to its parent.
    element.clear(keep_tail=True)
    ancestors = list(element.iterancestors())
    for ancestor in ancestors:
        if unit in ("*", local_name(ancestor.tag)):
            return
    for node in (element, *ancestors):
        for earlier in list(node.itersiblings(preceding=True)):
            name = local_name(earlier.tag)
            if name == unit or not {"*", name} & kept:
                earlier.getparent().remove(earlier)

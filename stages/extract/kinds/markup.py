"""Nested text: JSON, JSON Lines and XML."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, takewhile
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from lxml import etree
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.extract import json_values
from stages.extract.element_text import local_name, text_of
from stages.extract.encoding import counted, lines_of, resolved
from stages.extract.json_values import KEY, RepeatedKeys, gap_in_item, text_in_item
from stages.extract.lines import is_invisible, shown
from stages.extract.path import Gap, join_names, join_texts, nodes_at, split
from stages.extract.source import FilePath, Lang, Map, Name, SourceSettings, wanted_paths
from stages.extract.unit import Unit, nearest
from stages.extract.xml_input import DoctypeFoundError, XmlInput, as_written, fault_in

SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
    # `XmlInput` decodes the file.
    "encoding": "utf-8",
}
"""Options with which every XML document is parsed."""
MOST_NAMES = 1000
"""Most names of elements that are collected for a message."""
DEEPEST = 2048
"""Most elements inside one another, a limit of libxml2."""
# A name without a namespace or prefix. Examples: section, sec-1, 化合物.
ELEMENT_NAME = re.compile(r"[^\W\d][\w.-]*")


Columns = Annotated[
    list[str] | Literal["header"] | None,
    Field(
        description='For units that are lists, such as `["iron", 4]`: the names of their values, such as '
        "`[name, hardness]`. `header`: the first list holds the names. null: a place is a number, from 0 on."
    ),
]
Encoding = Annotated[
    str,
    Field(
        description="Python's name of the encoding, such as `gb18030`, or `auto`. Unicode is found by itself: "
        "with `utf-8`, a file in UTF-16 or UTF-32 is read too."
    ),
]


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
    columns: Columns = None
    encoding: Encoding = "utf-8"

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield items. Raises InputError where the document cannot be read or has no such list."""
        reader = json_values.Reader()
        document = self._document(path, reader)
        mapped = Mapped(reader, wanted_paths(self), self.decimal)
        if self.items == ".":
            yield mapped.unit("", document, {"": document})
            return
        names = [name for name in self.items.split(".") if name]
        # Above the first `*` there is one list only, so that its absence is an error of the mapping.
        # Below it, one entry among others may lack its list. Example: `a.*.b` → `/a`.
        single = takewhile(lambda name: name != "*", names)
        single_pointer = "".join(f"/{name}" for name in single)
        for found in lists_at(document, names, "", {"": document}):
            is_one_of_many = found.pointer.startswith(f"{single_pointer}/")
            if isinstance(found.node, dict):
                yield from self._entries_of_object(
                    found.pointer, found.node, found.enclosing, mapped
                )
            elif isinstance(found.node, list):
                yield from self._entries_of_list(found.pointer, found.node, found.enclosing, mapped)
            elif is_one_of_many:
                evidence = found.problem or f"no list here; `items` names {self.items!r}"
                reason = "duplicate_key" if found.problem else "malformed"
                yield Unit(
                    json_values.without_surrogates(found.pointer), "", None, reason, evidence
                )
            elif found.problem:
                raise InputError(f"extract: {self.name}: {path}: {found.problem}")
            else:
                gap = gap_in_item(".".join(single_pointer.split("/")[1:]), document, {})
                near = nearest(gap.name, gap.beside) if gap else None
                hint = f" (did you mean {gap.beside[near]}?)" if gap and near else ""
                raise InputError(
                    f"extract: {self.name}: {path} has no list at {self.items!r}; "
                    f"mend `items` in params.yaml{hint}"
                )

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Count the detected encodings, where the encoding is `auto`."""
        return detected_encodings(self.encoding, files, self.lang)

    def _entries_of_object(
        self, pointer: str, entries: dict[str, Any], enclosing: dict[str, Any], mapped: "Mapped"
    ) -> Iterator[Unit]:
        """Yield the entries of an object. Those of a key that stands more than once are set aside."""
        for step, name, item in entries_of(entries):
            position = f"{pointer}/{step}"
            if isinstance(entries, RepeatedKeys) and name in entries.repeated:
                yield mapped.rejected(position, item, json_values.repeated_keys([name]))
            else:
                yield mapped.unit(position, item, enclosing | {KEY: name})

    def _entries_of_list(
        self, pointer: str, entries: list[Any], enclosing: dict[str, Any], mapped: "Mapped"
    ) -> Iterator[Unit]:
        """Yield the entries of a list. Raises InputError where its header is no list of names."""
        columns = self.columns
        for number, item in enumerate(entries):
            position = f"{pointer}/{number}"
            if columns == "header":
                columns = header_of(item, f"extract: {self.name}: {position}")
            else:
                yield mapped.row(position, item, enclosing, columns)

    def _document(self, path: Path, reader: json_values.Reader) -> Any:
        """Parse the document. Raises InputError."""
        content = path.read_bytes()
        encoding = json_encoding(self.encoding, content[:4], path, self.lang)
        try:
            text = content.decode(encoding).lstrip("\ufeff")
        except LookupError as error:
            raise InputError(
                f"extract: {self.name}: {path}: {error}; "
                "set the source's `encoding` to what the file is written in"
            ) from None
        except UnicodeError as error:
            raise InputError(
                f"extract: {self.name}: {path} is not JSON: {error}; mend the file, "
                "or set the source's `encoding` to what it is written in"
            ) from None
        try:
            return reader.read(text)
        except ValueError as error:
            hint = ""
            if str(error).startswith("Extra data"):
                hint = ", or set `kind: jsonl` if each line is an object"
            raise InputError(
                f"extract: {self.name}: {path} is not JSON: {where_it_ends(error)}; "
                f"mend the file{hint}"
            ) from None


class Entries(NamedTuple):
    """The node at the end of `items`, in one place of a document."""

    pointer: str
    """JSON pointer of the node."""
    node: Any
    enclosing: dict[str, Any]
    """The nodes around it, by name. The empty name is the document, `*` the innermost entry. By
    `name/(key)`, the name of an entry in its object."""
    problem: str = ""
    """Why there is no node, where a key stands more than once."""


def lists_at(
    node: Any, names: list[str], pointer: str, enclosing: dict[str, Any]
) -> Iterator[Entries]:
    """Yield the nodes at the end of `items`, below a node with this pointer."""
    if not names:
        yield Entries(pointer, node, enclosing)
    elif names[0] != "*":
        try:
            below = json_values.value_at_key(node, names[0])
        except json_values.RepeatedKeyError as error:
            yield Entries(f"{pointer}/{names[0]}", None, enclosing, str(error))
            return
        named = enclosing | {names[0]: below}
        yield from lists_at(below, names[1:], f"{pointer}/{names[0]}", named)
    elif isinstance(node, (list, dict)):
        # Paths of the mapping refer to an entry by the name of its list: archive/title is the title
        # of that entry of `archive` in which the unit lies.
        list_name = pointer.rpartition("/")[2]
        for step, key, entry in entries_of(node):
            entry_pointer = f"{pointer}/{step}"
            if isinstance(node, RepeatedKeys) and key in node.repeated:
                problem = json_values.repeated_keys([key])
                yield Entries(entry_pointer, None, enclosing, problem)
                continue
            named = enclosing | {"*": entry, f"*/{KEY}": key}
            if list_name:
                named |= {list_name: entry, f"{list_name}/{KEY}": key}
            yield from lists_at(entry, names[1:], entry_pointer, named)
    else:
        yield Entries(pointer, None, enclosing)


def entries_of(node: list[Any] | dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield each entry of a list or object: its step in a pointer, its number or key, and its value."""
    if isinstance(node, list):
        for number, entry in enumerate(node):
            yield str(number), str(number), entry
        return
    pairs = node.pairs if isinstance(node, RepeatedKeys) else node.items()
    times: Counter[str] = Counter()
    for key, entry in pairs:
        times[key] += 1
        # An id comes from the pointer, so that two entries of one key need two pointers.
        suffix = f" ({times[key]})" if times[key] > 1 else ""
        yield f"{key}{suffix}", key, entry


@dataclass(frozen=True, config=STRICT)
class JsonLines(SourceSettings):
    """JSON Lines: one object per line."""

    kind: Literal["jsonl"]
    """JSON Lines: one object per line."""
    name: Name
    path: FilePath
    lang: Lang
    map: Map
    columns: Columns = None
    encoding: Encoding = "utf-8"

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield the lines that are not empty. A line that is no JSON object is rejected alone."""
        paths = wanted_paths(self)
        columns = self.columns
        with path.open("rb") as file:
            encoding = json_encoding(self.encoding, file.read(4), path, self.lang)
        for line in lines_of(path, encoding, self.lang):
            position = f"L{line.number}"
            raw = line.raw.rstrip("\r\n")
            if line.text is None:
                evidence = f"not {encoding}; set the source's `encoding`, or auto"
                yield Unit(position, raw, None, "encoding", evidence)
                continue
            if not raw.strip():
                continue
            reader = json_values.Reader()
            try:
                item = reader.read(raw)
            except ValueError as error:
                evidence = where_it_ends(error)
                if raw.strip() in ("[", "{") or raw.lstrip().startswith("[{"):
                    evidence += "; if the file is one JSON document, set `kind: json`"
                yield Unit(position, raw, None, "malformed", evidence)
                continue
            if columns == "header":
                columns = header_of(item, f"extract: {self.name}: {path}: line {line.number}")
                continue
            unit = Mapped(reader, paths, self.decimal).row(position, item, {}, columns)
            yield replace(unit, raw=raw)

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Count the detected encodings, where the encoding is `auto`."""
        return detected_encodings(self.encoding, files, self.lang)


def where_it_ends(error: ValueError) -> str:
    """Return the message of a JSON error, with the character where reading ends if it is invisible."""
    message = str(error)
    if not isinstance(error, json.JSONDecodeError):
        return message
    character = error.doc[error.pos : error.pos + 1]
    if character and is_invisible(character) and character not in "\n\t":
        message += f", where {shown(character)} stands"
    return message


def json_encoding(setting: str, start: bytes, path: Path, lang: str) -> str:
    """Return the encoding of a JSON file, from the setting and its first four bytes.

    JSON begins with two ASCII characters, so that zero bytes tell UTF-16 and UTF-32 (RFC 4627).
    """
    if setting != "utf-8":
        return resolved(setting, path, lang)
    return json.detect_encoding(start).replace("utf-8-sig", "utf-8")


def detected_encodings(setting: str, files: list[Path], lang: str) -> dict[str, Any]:
    """Return the entry of sources.json with the number of files in each encoding, for `auto`."""
    return counted(files, setting, lang)


def header_of(item: Any, where: str) -> list[str]:
    """Return the names of columns in the first of several lists. Raises InputError."""
    is_header = isinstance(item, list) and all(isinstance(name, str) for name in item)
    if not is_header:
        raise InputError(
            f"{where} is no list of names, which `columns: header` needs; "
            "name the columns in params.yaml"
        )
    return [name.strip() for name in item]


def leads_into_list(path: str) -> bool:
    """Whether a path can lead into a unit that is a list. Examples: `0`, `1.name`, `*`, `.`."""
    outer_name, names = split(path)
    if outer_name is not None:
        return False
    return not names or names[0] == "*" or names[0].isdecimal()


class Mapped:
    """Makes units of JSON values, with the texts at the paths of a mapping."""

    def __init__(self, reader: json_values.Reader, paths: set[str], decimal: str | None) -> None:
        """`reader`: the one that read the values. `decimal`: the declared decimal sign."""
        self.reader = reader
        self.paths = paths
        self.decimal = decimal
        # A path that begins with a number or `*` leads into a list, and the path `.` to any value.
        self.takes_lists = any(leads_into_list(path) for path in paths)
        self.takes_values = "." in paths

    def row(
        self, position: str, item: Any, enclosing: dict[str, Any], columns: list[str] | None
    ) -> Unit:
        """Return the unit of a value. Where columns are named, a list is read as an object."""
        if columns is None or not isinstance(item, list):
            return self.unit(position, item, enclosing)
        if len(item) != len(columns):
            evidence = f"{len(item)} values, `columns` names {len(columns)}"
            return self.rejected(position, item, evidence, "malformed")
        return self.unit(position, dict(zip(columns, item, strict=True)), enclosing)

    def unit(self, position: str, item: Any, enclosing: dict[str, Any]) -> Unit:
        """Return the unit of a value."""
        raw, problem = self.reader.text_of(item)
        position = json_values.without_surrogates(position)
        if problem is not None:
            reason, evidence = problem
            return Unit(position, raw, None, reason, evidence)
        if not self._takes(item):
            evidence = f"an object is needed, found {json_values.name_of_type(item)}"
            return Unit(position, raw, None, "malformed", evidence)
        try:
            cells = {}
            for path in self.paths:
                cells[path] = text_in_item(path, item, enclosing, self.decimal)
        except json_values.RepeatedKeyError as error:
            return Unit(position, raw, None, "duplicate_key", str(error))
        for text in cells.values():
            if text is not None and text != json_values.without_surrogates(text):
                evidence = "a string holds half of a surrogate pair"
                return Unit(position, raw, None, "malformed", evidence)
        return Unit(position, raw, cells, find_gap=lambda path: gap_in_item(path, item, enclosing))

    def rejected(
        self, position: str, item: Any, evidence: str, reason: str = "duplicate_key"
    ) -> Unit:
        """Return the rejected unit of a value."""
        raw, _ = self.reader.text_of(item)
        return Unit(json_values.without_surrogates(position), raw, None, reason, evidence)

    def _takes(self, item: Any) -> bool:
        """Whether the paths of the mapping can lead into a value."""
        if isinstance(item, dict):
            return True
        return self.takes_lists if isinstance(item, list) else self.takes_values


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

    def problems(self) -> list[str]:
        """Check the name of the element."""
        if self.element == "*" or ELEMENT_NAME.fullmatch(self.element):
            return []
        return [
            f"element: {self.element!r} is no name of an element; "
            "write it without its namespace, such as `section`"
        ]

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield elements. An element with a fault is rejected alone, such as one with a bare `&`.

        The rest after any other syntax error is one rejected unit. Raises InputError where the
        document declares entities.
        """
        count = 0
        try:
            for unit in self._units(path, SAFE | {"huge_tree": True}, takes_doctype=False):
                count += 1
                yield unit
            return
        except DoctypeFoundError as error:
            if count:
                evidence = f"line {error}: a document type stands inside the document"
                yield Unit(f"L{error}", "", None, "malformed", evidence)
                return
        yield from self._units(path, self._options(path), takes_doctype=True)

    def _units(self, path: Path, options: dict[str, Any], takes_doctype: bool) -> Iterator[Unit]:
        """Yield elements. Raises DoctypeFoundError."""
        count = 0
        paths = wanted_paths(self)
        reader = Released(self.element, numbers_around(paths))
        with XmlInput(path, takes_doctype) as file:
            elements = etree.iterparse(file, events=("end",), tag=f"{{*}}{self.element}", **options)
            try:
                for _, element in elements:
                    count += 1
                    raw = etree.tostring(element, encoding="unicode", with_tail=False)
                    yield unit_of_element(f"{self.element}[{count}]", raw, element, paths)
                    file.end_unit()
                    reader.release(element)
                if count == 0:
                    yield from self._without_unit(path, options)
            except etree.XMLSyntaxError:
                yield from self._broken(elements.error_log, path)

    def _without_unit(self, path: Path, options: dict[str, Any]) -> Iterator[Unit]:
        """Yield an empty unit that tells which elements a document without units holds."""
        names: set[str] = set()
        with XmlInput(path, takes_doctype=True) as file:
            for _, element in etree.iterparse(file, events=("end",), **options):
                names.add(local_name(element.tag))
                element.clear()
                if len(names) == MOST_NAMES:
                    break
        near = nearest(self.element, names)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(names)[:8])}"
        yield Unit("", "", None, "empty", f"no element {self.element}; {hint}")

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
        message = as_written(fault.message)
        if "entit" in message.lower():
            raise InputError(
                f"extract: {self.name}: {path} uses entities, which are refused: {message}"
            ) from None
        if "depth" in message.lower():
            message = f"elements are nested more than {DEEPEST:,} deep"
        # libxml2's advice on its own options is cut off: "…, use XML_PARSE_HUGE option".
        message = message.partition(", use XML_")[0].partition(", try XML_")[0].strip()
        evidence = (
            f"the document cannot be read from here on: {message}, "
            f"line {fault.line}, column {fault.column}; mend the file there"
        )
        yield Unit(f"L{fault.line}", "", None, "malformed", evidence)

    def _options(self, path: Path) -> dict[str, Any]:
        """Return the parser's options for a document that names its document type.

        The type may be named, and it is never fetched. Raises InputError where the document declares
        entities. The declarations are complete when the root element begins. Without entities, a
        deep document or a long text is harmless, so that libxml2's narrow limits are lifted.
        """
        # `units` reports syntax errors.
        with XmlInput(path, takes_doctype=True) as file, suppress(etree.XMLSyntaxError):
            for _, root in etree.iterparse(file, events=("start",), **SAFE):
                declared = root.getroottree().docinfo.internalDTD
                if declared is not None and any(True for _ in declared.iterentities()):
                    raise InputError(
                        f"extract: {self.name}: {path} declares entities, which are refused; "
                        "write out what they stand for and remove them from <!DOCTYPE …>"
                    )
                return SAFE | {"huge_tree": True}  # the root is enough
        return SAFE


def unit_of_element(position: str, raw: str, element: Any, paths: set[str]) -> Unit:
    """Return the unit of one element."""
    cells = {path: text_in_element(path, element) for path in paths}
    # A fault stands in the unit, or in text around it that a path asks for.
    for text in (raw, *cells.values()):
        fault = fault_in(text or "")
        if fault is not None:
            return Unit(position, as_written(raw), None, fault.reason, fault.evidence)
    return Unit(position, raw, cells, find_gap=lambda path: gap_in_element(path, element))


def text_in_element(path: str, element: Any) -> str | None:
    """Return the text at a path of an element."""
    outer_name, names = split(path)
    start = element if outer_name is None else enclosing_element(element, outer_name)
    return join_texts(map(text_of_node, nodes_at(start, names, child)))


def enclosing_element(element: Any, name: str) -> Any:
    """Return the innermost element of a name around an element, or None.

    No name: the root. `*`: the innermost element of any name.
    """
    if not name:
        return element.getroottree().getroot()
    for ancestor in element.iterancestors():
        if name in ("*", local_name(ancestor.tag)):
            return ancestor
    return None


def child(node: Any, name: str) -> Any:
    """Return an element's children of a name, its attribute, or its own name for `(key)`."""
    if node is None or isinstance(node, str):
        return None
    if name == KEY:
        return local_name(node.tag)
    if not name.startswith("@"):
        return children(node, name)
    for attribute, value in node.attrib.items():
        if local_name(attribute) == name[1:]:
            return value
    return None


def children(node: Any, name: str) -> list[Any]:
    """Return an element's children of a name, in any namespace."""
    found = [] if "{" in name or "}" in name else list(node.iterchildren(f"{{*}}{name}"))
    if found:
        return found
    # A prefix without a namespace is part of the name: `x:title`.
    return [below for below in node if local_name(below.tag) == name]


def text_of_node(node: Any) -> str | None:
    """Return the text of an element with all that is inside, or an attribute's value."""
    if node is None or isinstance(node, str):
        return node
    return text_of(node)


def gap_in_element(path: str, element: Any) -> Gap | None:
    """Return where a path leaves what an element holds, or None where it leads to something."""
    outer_name, names = split(path)
    start = element if outer_name is None else enclosing_element(element, outer_name)
    if start is None:
        around = {local_name(ancestor.tag) for ancestor in element.iterancestors()}
        inside = join_names(names)
        return Gap(str(outer_name), {name: f"{name}/{inside}" for name in around}, -1)
    prefix = "" if outer_name is None else f"{outer_name}/"
    nodes = [start]
    for number, name in enumerate(names):
        if name in ("*", KEY) or (number > 0 and name.isdecimal()):
            continue
        below = list(chain.from_iterable(nodes_named(node, name) for node in nodes))
        if not below:
            beside = {}
            for other in {other for node in nodes for other in names_in(node)}:
                beside[other] = prefix + join_names([*names[:number], other, *names[number + 1 :]])
            return Gap(name, beside, number)
        nodes = below
    return None


def nodes_named(node: Any, name: str) -> list[Any]:
    """Return the children or attributes of a name."""
    found = child(node, name)
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def names_in(node: Any) -> list[str]:
    """Return the names of an element's children, and of its attributes with `@`."""
    if isinstance(node, str):
        return []
    children = [local_name(below.tag) for below in node]
    attributes = [f"@{local_name(name)}" for name in node.attrib]
    return [name for name in children if name] + attributes


def numbers_around(paths: set[str]) -> dict[str, float]:
    """Return how many elements of each name, outside a unit, its paths may need of one parent.

    `*` stands for all elements, where a path takes the whole text of an enclosing element. Only the
    first of several elements counts, unless a path asks for all of them or for a number. Examples:
    `a/b` → {b: 1}, `a/b.2` → {b: 3}, `a/b.*` → {b: inf}, `a/.` → {*: inf}.
    """
    needed: dict[str, float] = {}
    for path in paths:
        outer_name, names = split(path)
        if outer_name is None:
            continue
        elements = [name for name in names if name != KEY and not name.startswith("@")]
        if not names:
            needed["*"] = math.inf
        for number, name in enumerate(elements):
            if name == "*" or name.isdecimal():
                continue
            following = elements[number + 1] if number + 1 < len(elements) else ""
            count: float = 1
            if following == "*":
                count = math.inf
            elif following.isdecimal():
                count = int(following) + 1
            needed[name] = max(needed.get(name, 0), count)
    return needed


class Released:
    """Frees elements that have been read, so that memory stays constant."""

    def __init__(self, unit: str, needed: dict[str, float]) -> None:
        """`unit`: name of the units. `needed`: how many elements of which names stay (numbers_around)."""
        self.unit = unit
        self.needed = needed
        self.seen: dict[Any, tuple[Any, Counter[str]]] = {}
        """Open element → the last of its children that was looked at, and how many of each name stay."""

    def release(self, element: Any) -> None:
        """Free an element, and all elements before it that no path needs.

        Inside another unit, which is still to be read as a whole, only the content of the element is
        freed.
        """
        # The tail is the text behind the element, which belongs to its parent.
        element.clear(keep_tail=True)
        ancestors = list(element.iterancestors())
        for ancestor in ancestors:
            if self.unit in ("*", local_name(ancestor.tag)):
                return
        seen = {}
        for node, parent in zip([element, *ancestors], ancestors, strict=False):
            seen[parent] = self._release_before(node, parent)
        self.seen = seen

    def _release_before(self, node: Any, parent: Any) -> tuple[Any, Counter[str]]:
        """Free the children of an element before one of them. Return what `seen` holds of it.

        Children that were looked at before are not looked at again, so that the time stays linear.
        """
        last, kept = self.seen.get(parent, (None, Counter()))
        earlier = []
        for sibling in node.itersiblings(preceding=True):
            if sibling is last:
                break
            earlier.append(sibling)
        stays = last
        for sibling in reversed(earlier):
            name = local_name(sibling.tag)
            allowed = max(self.needed.get(name, 0), self.needed.get("*", 0))
            if name != self.unit and kept[name] < allowed:
                kept[name] += 1
                stays = sibling
            else:
                parent.remove(sibling)
        return stays, kept

"""JSON values as the source wrote them: numbers keep their form, and no key is lost.

Python's own reader turns 3.10 into 3.1 and 1e400 into infinity, and of two equal keys of an object it
keeps the last one. Here a number that would change stays a text, and an object with equal keys keeps
all of them, so that its unit can be set aside.
"""

import json
from itertools import islice
from typing import Any

from stages.extract.path import JSON_TEXT, Gap, join_names, join_texts, nodes_at, split, split_json

DEEPEST = 256
"""Most levels of objects and lists in a unit."""
MOST_NODES = 1000
"""Most nodes of a list that are looked through for the name of a key."""
Problem = tuple[str, str]
"""Reason and evidence why a unit cannot be mapped."""
TOO_DEEP: Problem = ("malformed", f"lists or objects are nested more than {DEEPEST} deep")
KEY = "(key)"
"""Path to the name of an entry in its object."""


class WrittenNumber(str):
    """A number in the source's own form, which Python's number would not give back."""

    __slots__ = ()


class RepeatedKeys(dict[str, Any]):
    """An object in which a key stands more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        """`pairs`: all keys and values, in their order."""
        super().__init__(pairs)
        self.pairs = pairs
        seen: set[str] = set()
        self.repeated: set[str] = set()
        """The keys that stand more than once."""
        for name, _ in pairs:
            if name in seen:
                self.repeated.add(name)
            seen.add(name)


class RepeatedKeyError(ValueError):
    """A path leads through a key that stands more than once."""


class Reader:
    """Reads JSON texts. It notices what Python's own values cannot hold."""

    def __init__(self) -> None:
        """Nothing has been read."""
        self.has_repeated_keys = False
        self.has_written_numbers = False

    def read(self, text: str) -> Any:
        """Return the value of a JSON text. Raises ValueError."""
        try:
            return json.loads(
                text,
                object_pairs_hook=self._object,
                parse_float=self._float,
                parse_int=self._int,
                parse_constant=refuse_constant,
            )
        except RecursionError:
            raise ValueError(TOO_DEEP[1]) from None

    def text_of(self, value: Any) -> tuple[str, Problem | None]:
        """Return the JSON text of a unit, and why it cannot be mapped, if so."""
        try:
            if self.has_repeated_keys or self.has_written_numbers:
                text = to_text(value)
            else:
                text = json.dumps(value, ensure_ascii=False)
        except RecursionError:
            return "", TOO_DEEP
        problem = self._problem_of(value, text)
        try:
            text.encode()
        except UnicodeEncodeError:
            # JSON may escape half of a surrogate pair, such as "\ud83d". It is no text.
            text = without_surrogates(text)
            problem = problem or ("malformed", "a string holds half of a surrogate pair")
        return text, problem

    def _problem_of(self, value: Any, text: str) -> Problem | None:
        """Look for equal keys and for too many levels in a unit with this JSON text."""
        # Most units have too few brackets to be nested deeply, so they need no walk.
        if not self.has_repeated_keys and text.count("{") + text.count("[") <= DEEPEST:
            return None
        level = [value]
        for _ in range(DEEPEST + 1):
            level_below: list[Any] = []
            for node in level:
                if isinstance(node, RepeatedKeys):
                    return "duplicate_key", repeated_keys(sorted(node.repeated))
                level_below += nodes_below(node)
            if not level_below:
                return None
            level = level_below
        return TOO_DEEP

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return an object. One with equal keys keeps all pairs."""
        plain = dict(pairs)
        if len(plain) == len(pairs):
            return plain
        self.has_repeated_keys = True
        return RepeatedKeys(pairs)

    def _float(self, text: str) -> float | WrittenNumber:
        """Return a number, as a text where Python writes it in another way."""
        number = float(text)
        if repr(number) == text:
            return number
        self.has_written_numbers = True
        return WrittenNumber(text)

    def _int(self, text: str) -> int | WrittenNumber:
        """Return a whole number. A long one stays a text, because Python limits its digits."""
        if len(text) <= 18 and text != "-0":
            return int(text)
        self.has_written_numbers = True
        return WrittenNumber(text)


def refuse_constant(name: str) -> float:
    """Raise ValueError for NaN and Infinity, which are not JSON (RFC 8259)."""
    raise ValueError(f"{name} is not JSON")


def without_surrogates(text: str) -> str:
    """Return a text with its halves of surrogate pairs as JSON escapes them."""
    return text.encode("utf-8", "backslashreplace").decode()


def repeated_keys(names: list[str]) -> str:
    """Return the evidence of keys that stand more than once in an object."""
    listed = ", ".join(without_surrogates(repr(name)) for name in names)
    keys = "key" if len(names) == 1 else "keys"
    verb = "stands" if len(names) == 1 else "stand"
    return f"the {keys} {listed} {verb} more than once in one object; keep one of the values"


def nodes_below(node: Any) -> list[Any]:
    """Return the objects and lists directly below a node."""
    values: Any = ()
    if isinstance(node, dict):
        values = node.values()
    elif isinstance(node, list):
        values = node
    return [value for value in values if isinstance(value, (dict, list))]


def to_text(value: Any) -> str:
    """Return the JSON text of a value. Numbers and equal keys stand as they were read."""
    if isinstance(value, WrittenNumber):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(to_text, value))}]"
    if isinstance(value, dict):
        pairs = value.pairs if isinstance(value, RepeatedKeys) else value.items()
        entries = [
            f"{json.dumps(name, ensure_ascii=False)}: {to_text(item)}" for name, item in pairs
        ]
        return f"{{{', '.join(entries)}}}"
    return json.dumps(value, ensure_ascii=False)


def name_of_type(value: Any) -> str:
    """Return the name of a value's type for a message."""
    return "number" if isinstance(value, WrittenNumber) else type(value).__name__


def text_in_item(
    path: str, item: Any, enclosing: dict[str, Any], decimal: str | None = None
) -> str | None:
    """Return the text at a path of an item. A key that looks like a path counts as a key first.

    `enclosing`: the nodes around the item by name, and the names of entries by their path `(key)`.
    `decimal`: the decimal sign that the source declares, which its numbers then have too. Raises
    RepeatedKeyError where the path leads through a key that stands more than once.
    """
    if isinstance(item, dict) and path in item:
        nodes = nodes_at(value_at_key(item, path), [], value_at_key)
    elif path.endswith(KEY):
        return enclosing.get(path)
    else:
        outer_name, names = split(path)
        start = item if outer_name is None else enclosing.get(outer_name)
        nodes = nodes_at(start, names, value_at_key)
    return join_texts(text_of_value(node, decimal) for node in nodes)


def value_at_key(node: Any, name: str) -> Any:
    """Return the value of a key in a JSON object, or None. Raises RepeatedKeyError."""
    if isinstance(node, RepeatedKeys) and name in node.repeated:
        raise RepeatedKeyError(repeated_keys([name]))
    return node.get(name) if isinstance(node, dict) else None


def text_of_value(value: Any, decimal: str | None = None) -> str | None:
    """Return the text of a JSON string, number or truth value. None: it is something else."""
    if value is None or isinstance(value, (dict, list)):
        return None
    text = str(value)
    if decimal == "," and isinstance(value, (float, WrittenNumber)):
        # Texts of this source write 1,5. With a point, this number would be read as thousands.
        return text.replace(".", ",")
    return text


def gap_in_item(path: str, item: Any, enclosing: dict[str, Any]) -> Gap | None:
    """Return where a path leaves what an item holds, or None where it leads to something.

    A value may be null or empty: it is there.
    """
    if isinstance(item, dict) and path in item:
        return None
    if path.endswith(KEY):
        keys = {name: name for name in enclosing if name.endswith(KEY)}
        return None if path in enclosing else Gap(path, keys)
    outer_name, names = split(path)
    nodes = [item]
    prefix = ""
    if outer_name is not None:
        if outer_name not in enclosing:
            inside = join_names(names)
            return Gap(outer_name, {name: f"{name}/{inside}" for name in enclosing}, -1)
        nodes = [enclosing[outer_name]]
        prefix = f"{outer_name}/"
    for number, name in enumerate(names):
        has_list = any(isinstance(node, list) for node in nodes)
        nodes = list(islice(flattened(nodes), MOST_NODES))
        if name == "*" or (has_list and name.isdecimal()):
            continue
        objects = [node for node in nodes if isinstance(node, dict)]
        nodes = [node[name] for node in objects if name in node]
        if not nodes:
            beside = {}
            for key in {key for node in objects for key in node}:
                beside[key] = prefix + join_names([*names[:number], key, *names[number + 1 :]])
            if number == 0 and outer_name is None and KEY in enclosing:
                beside[KEY] = KEY
            return Gap(name, beside, number)
    return None


def text_in_text(path: str, text: str) -> str | None:
    """Return the text at a path inside a JSON text. Raises ValueError."""
    reader = Reader()
    value = reader.read(text)
    _, problem = reader.text_of(value)
    if problem is not None:
        raise ValueError(problem[1])
    outside, inside = split_json(path)
    found = text_in_item(outside, value, {"": value})
    if inside is None or found is None:
        return found
    return text_in_text(inside, found)


def gap_in_text(path: str, text: str, outside: str) -> Gap | None:
    """Return where a path leaves a JSON text, which stands at the place `outside`. Raises ValueError."""
    path, _ = split_json(path)
    value = Reader().read(text)
    gap = gap_in_item(path, value, {"": value})
    if gap is None:
        return None
    beside = {name: f"{outside}{JSON_TEXT}.{below}" for name, below in gap.beside.items()}
    return Gap(gap.name, beside, gap.depth + 1)


def flattened(nodes: list[Any]) -> Any:
    """Yield nodes. Of a list, yield its entries."""
    for node in nodes:
        if isinstance(node, list):
            yield from node
        else:
            yield node

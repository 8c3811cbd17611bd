"""Paths: the way to a value in a nested unit, in JSON and XML.

name            the key or child of that name (in any namespace)
a.b             b in a
a@unit          XML: an attribute of a. @unit: an attribute of the unit itself
a.*             all of several values, one below the other. Without it the first counts
a.2             the third of several values (0 is the first). 2: the third value of a unit that is a list
.               the unit itself
archive/title   title in the archive that encloses the unit. /title: title in the document
(key)           the name of the unit in its object. a/(key): the name of the entry of a around the unit
a.(json).b      b in the JSON text that stands at a. Columns of tables may hold such a text too
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

Step = Callable[[Any, str], Any]
"""Follows one name from a node. It returns a node, a list of several nodes, or None."""
JSON_TEXT = ".(json)"
"""Follows the place of a JSON text in a path."""
MOST_DIGITS = 18
"""Most digits of a number in a path that can be the position of a value."""


class Gap(NamedTuple):
    """The point where a path leaves what a unit holds."""

    name: str
    """The first name that leads to nothing."""
    beside: dict[str, str]
    """Names that are there instead → the path with that name."""
    depth: int = 0
    """Number of names that lead to something. -1: the node around the unit is not there."""


def split_json(path: str) -> tuple[str, str | None]:
    """Split a path into the place of a JSON text and the path inside that text.

    Examples: `a.(json).b` → ("a", "b"). `a.(json)` → ("a", "."). `a.b` → ("a.b", None).
    """
    outside, found, inside = path.partition(JSON_TEXT)
    if not found or (inside and not inside.startswith(".")):
        return path, None
    return outside, inside.removeprefix(".") or "."


def split(path: str) -> tuple[str | None, list[str]]:
    """Split a path into the name of the enclosing node and the names below it.

    The enclosing name is None for the unit itself, and empty for the document.
    Example: `archive/title@lang` → ("archive", ["title", "@lang"]).
    """
    enclosing, slash, inside = path.rpartition("/")
    names = [name for name in inside.replace("@", ".@").split(".") if name]
    return (enclosing if slash else None), names


def join_names(names: list[str]) -> str:
    """Return the path of names below a node: the reverse of `split`."""
    return ".".join(names).replace(".@", "@")


def nodes_at(node: Any, names: list[str], step: Step) -> Iterator[Any]:
    """Yield the nodes at the end of a path."""
    if isinstance(node, list):
        yield from nodes_in_list(node, names, step)
    elif not names:
        yield node
    elif names[0] == "*":
        # A single node where several are possible counts as a list of one.
        yield from nodes_at(node, names[1:], step)
    else:
        yield from nodes_at(step(node, names[0]), names[1:], step)


def nodes_in_list(nodes: list[Any], names: list[str], step: Step) -> Iterator[Any]:
    """Yield the nodes at the end of a path that goes on in one or all of several nodes."""
    if names and names[0] == "*":
        chosen, names = nodes, names[1:]
    elif names and names[0].isdecimal():
        # A number of so many digits is beyond the end of every list, and Python may refuse to read it.
        number = int(names[0]) if len(names[0]) <= MOST_DIGITS else len(nodes)
        # A slice, because a number beyond the end selects no node.
        chosen, names = nodes[number : number + 1], names[1:]
    else:
        chosen = nodes[:1]
    for node in chosen:
        yield from nodes_at(node, names, step)


def join_texts(texts: Iterable[str | None]) -> str | None:
    """Join texts, one below the other. Return None where all are empty."""
    stripped = [text.strip() for text in texts if text]
    return "\n".join(text for text in stripped if text) or None

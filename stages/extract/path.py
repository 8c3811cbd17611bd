"""Paths: where something stands in a nested unit, be it JSON or XML.

name            what is called so: a key, or a child (of whatever namespace)
a.b             b in a
a@unit          XML: an attribute of a; @unit: of the unit itself
a.*             where several stand, all of them, one below the other; without it the first counts
a.2             where several stand, the third (0 is the first)
.               XML: the unit itself
archive/title   title in the archive around the unit; /title: in the document
"""

from collections.abc import Callable, Iterator
from typing import Any

Step = Callable[[Any, str], Any]
"""From a node to what it calls by a name: a node, a list of several, or None."""


def split(path: str) -> tuple[str | None, list[str]]:
    """Name of what stands around the unit (empty for the document, None for the unit itself), and the names from there."""
    around, slash, inside = path.rpartition("/")
    names = [name for name in inside.replace("@", ".@").split(".") if name]
    return (around if slash else None), names


def nodes_at(node: Any, names: list[str], step: Step) -> Iterator[Any]:
    """Nodes at the end of a path."""
    if isinstance(node, list):
        yield from nodes_in_list(node, names, step)
    elif not names:
        yield node
    elif names[0] == "*":  # one stands where several may
        yield from nodes_at(node, names[1:], step)
    else:
        yield from nodes_at(step(node, names[0]), names[1:], step)


def nodes_in_list(several: list[Any], names: list[str], step: Step) -> Iterator[Any]:
    """Nodes at the end of a path that goes on in one or all of several nodes."""
    if names and names[0] == "*":
        chosen, names = several, names[1:]
    elif names and names[0].isdecimal():
        chosen, names = several[int(names[0]) :][:1], names[1:]
    else:
        chosen = several[:1]
    for node in chosen:
        yield from nodes_at(node, names, step)


def joined(texts: Iterator[str | None]) -> str | None:
    """The texts, one below the other; None where there is none."""
    return "\n".join(text.strip() for text in texts if text and text.strip()) or None

"""Look up a value of a parsed YAML or JSON file by its dotted key, such as `train.lora.r`."""

from typing import Any

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "absent"})()
"""Stands for a key or an entry that a file does not have. It differs from null, which is a value."""


def value(document: Any, key: str) -> Any:
    """Return the value at a dotted key, or ABSENT where the document has none.

    A key may also be written with its dots, as dvc.lock does: `{"train.steps": 100}`.
    """
    if not isinstance(document, dict):
        return ABSENT
    if key in document:
        return document[key]
    first, dot, rest = key.partition(".")
    if dot and first in document:
        return value(document[first], rest)
    return ABSENT

"""What changed in a settings file (params, rules, wordings), entry by entry.

Mappings are compared key by key. Lists of texts or numbers are compared as sets of entries, since a wording more is an entry
more; if only their order changed, as a whole. Lists of mappings are matched by content, then by `name` (else by position), so
that a rule put between two others is one rule added.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "absent"})()
"""Stands for a key or an entry that one side does not have; null is a value."""


@dataclass(frozen=True)
class Setting:
    """One difference: the dotted key, and both values; ABSENT where a side has none."""

    key: str
    old: Any
    new: Any

    def row(self) -> dict[str, Any]:
        """For JSON: without `old` where it was added, without `new` where it was removed."""
        sides = {"old": self.old, "new": self.new}
        return {
            "key": self.key,
            **{side: value for side, value in sides.items() if value is not ABSENT},
        }


def value(document: Any, key: str) -> Any:
    """What stands at a dotted key, or at one that is written with its dots, as in dvc.lock; ABSENT where nothing does."""
    if isinstance(document, dict) and key in document:
        return document[key]
    first, dot, rest = key.partition(".")
    return (
        value(document[first], rest)
        if dot and isinstance(document, dict) and first in document
        else ABSENT
    )


def differences(old: Any, new: Any, key: str = "") -> Iterator[Setting]:
    """Every difference between two parsed files, in the order of the older one, new keys last."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from differences(
                old.get(name, ABSENT), new.get(name, ABSENT), f"{key}.{name}" if key else str(name)
            )
    elif isinstance(old, list) and isinstance(new, list):
        yield from entries(old, new, key)
    elif written(old) != written(new):
        yield Setting(key, old, new)


def entries(old: list[Any], new: list[Any], key: str) -> Iterator[Setting]:
    """Differences of two lists: those of entries that belong together, then entries removed and added."""
    gone, come = without(old, new), without(new, old)
    if not gone and not come and list(map(written, old)) != list(map(written, new)):
        names = [
            [entry.get("name", entry) if isinstance(entry, dict) else entry for entry in side]
            for side in (old, new)
        ]
        yield Setting(f"{key} (order)", *names)
    for entry in gone:
        twin = next((other for other in come if belongs(entry, other)), ABSENT)
        if twin is ABSENT:
            yield Setting(place(entry, old, key), entry, ABSENT)
        else:
            come.remove(twin)
            yield from differences(entry, twin, place(entry, old, key))
    for entry in come:
        yield Setting(place(entry, new, key), ABSENT, entry)


def without(entries: list[Any], others: list[Any]) -> list[Any]:
    """Entries that have no equal among the others, which match one each."""
    left = [written(other) for other in others]
    found = []
    for entry in entries:
        if (text := written(entry)) in left:
            left.remove(text)
        else:
            found.append(entry)
    return found


def belongs(entry: Any, other: Any) -> bool:
    """Whether two different entries are versions of one: mappings of one name, or without names."""
    return (
        isinstance(entry, dict)
        and isinstance(other, dict)
        and entry.get("name") == other.get("name")
    )


def place(entry: Any, entries: list[Any], key: str) -> str:
    """The key of an entry: with its name, or its position where it is a mapping without one."""
    if not isinstance(entry, dict):
        return key
    return f"{key}.{entry['name'] if 'name' in entry else entries.index(entry)}"


def written(value: Any) -> str:
    """A value as text that tells 1, 1.0, true and "1" apart."""
    return (
        "absent"
        if value is ABSENT
        else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    )

"""Compare two settings files (params, rules, wordings) entry by entry.

Mappings are compared key by key. Lists of texts or numbers are compared as sets of entries, because
one wording more is one entry more. A list whose order alone changed is one difference. Lists of
mappings are matched by content, then by `name`, else by position. So a rule put between two others
is one rule added.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lore.versions.dotted_key import ABSENT, value

__all__ = ["ABSENT", "Setting", "differences", "value", "written"]


@dataclass(frozen=True)
class Setting:
    """One difference: the dotted key, and both values. A value is ABSENT where its side has none."""

    key: str
    old: Any
    new: Any

    def row(self) -> dict[str, Any]:
        """Return it for JSON: no `old` where the setting was added, no `new` where it was removed."""
        row: dict[str, Any] = {"key": self.key}
        if self.old is not ABSENT:
            row["old"] = self.old
        if self.new is not ABSENT:
            row["new"] = self.new
        return row


def differences(old: Any, new: Any, key: str = "") -> Iterator[Setting]:
    """Yield every difference between two parsed files, in the order of the older one, new keys last."""
    if isinstance(old, dict) and isinstance(new, dict):
        new_names = [name for name in new if name not in old]
        for name in [*old, *new_names]:
            inner_key = f"{key}.{name}" if key else str(name)
            old_value = old.get(name, ABSENT)
            new_value = new.get(name, ABSENT)
            yield from differences(old_value, new_value, inner_key)
    elif isinstance(old, list) and isinstance(new, list):
        yield from list_differences(old, new, key)
    elif written(old) != written(new):
        yield Setting(key, old, new)


def list_differences(old: list[Any], new: list[Any], key: str) -> Iterator[Setting]:
    """Yield the differences of two lists.

    First come those of entries that belong together and entries removed, then entries added.
    """
    removed = without(old, new)
    added = without(new, old)
    # Both sides hold the same entries: what differs is their order.
    if not removed and not added and written(old) != written(new):
        yield Setting(f"{key} (order)", names_of(old), names_of(new))
    for entry in removed:
        twin = twin_of(entry, added)
        entry_key = key_of(entry, old, key)
        if twin is ABSENT:
            yield Setting(entry_key, entry, ABSENT)
        else:
            # The entry was changed, not removed and added.
            added.remove(twin)
            yield from differences(entry, twin, entry_key)
    for entry in added:
        yield Setting(key_of(entry, new, key), ABSENT, entry)


def without(entries: list[Any], others: list[Any]) -> list[Any]:
    """Return the entries that have no equal among the others. Each other entry matches one."""
    # Compared as text, since 1 == True in Python. A list, since [x, x] against [x] leaves one x.
    unmatched = [written(other) for other in others]
    left = []
    for entry in entries:
        form = written(entry)
        if form in unmatched:
            unmatched.remove(form)
        else:
            left.append(entry)
    return left


def twin_of(entry: Any, others: list[Any]) -> Any:
    """Return the first other entry that is another version of this one, or ABSENT.

    Two mappings are versions of one entry where they have the same name, or both have none.
    """
    if not isinstance(entry, dict):
        return ABSENT
    for other in others:
        if isinstance(other, dict) and entry.get("name") == other.get("name"):
            return other
    return ABSENT


def names_of(entries: list[Any]) -> list[Any]:
    """Return the names of the entries. An entry without a name stands for itself."""
    names = []
    for entry in entries:
        has_name = isinstance(entry, dict) and "name" in entry
        names.append(entry["name"] if has_name else entry)
    return names


def key_of(entry: Any, entries: list[Any], key: str) -> str:
    """Return the key of an entry: for a mapping with its name, or its position where it has none."""
    if not isinstance(entry, dict):
        return key
    if "name" in entry:
        return f"{key}.{entry['name']}"
    return f"{key}.{entries.index(entry)}"


def written(value: Any) -> str:
    """Write a value as text that keeps 1, 1.0, true and "1" apart."""
    if value is ABSENT:
        return "absent"
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)

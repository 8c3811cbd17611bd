"""The first difference inside a file of which two versions have other bytes: the record and column of a table, the key path of
JSON, the row of a CSV (of a learning curve: the step), the tensor of safetensors with its greatest absolute difference; of any
other file the line, or the byte. Values are compared as written, so 1, 1.0, true and -0.0 differ and NaN equals itself.
"""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from lore.comparison.settings import ABSENT, written

if TYPE_CHECKING:
    import numpy as np

IDS = ("id", "fact", "record", "name")
"""Columns that name a record; else its first column does."""
LONGEST = 200
ORDER = "the same rows in another order: something is not sorted, or shuffled without the seed"
NUMPY = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4",
    "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
"""Types of safetensors as numpy reads them; of all others the bytes are compared."""


@dataclass(frozen=True)
class Divergence:
    """One difference: where in the file, what stands there in the reference, what in the rebuilt one, and what else to know."""

    where: str
    was: str
    now: str
    note: str = ""


def first(name: str, was: bytes, now: bytes) -> Divergence | None:
    """The first difference of two files called `name`; None where their bytes are the same. What cannot be read in its own form
    is compared as text, or byte by byte."""
    if was == now:
        return None
    try:
        found = FORMS.get(name.rsplit(".", 1)[-1].lower(), in_text)(was, now)
    except Exception:  # whatever a damaged file makes a library raise: its bytes still tell
        found = in_text(was, now)
    return found or Divergence(
        "the whole file", "the same content", "the same content", "written in other bytes"
    )


def in_parquet(was: bytes, now: bytes) -> Divergence | None:
    """The first record that differs, and its first column that does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    a, b = (pq.read_table(pa.BufferReader(content)) for content in (was, now))
    if not a.schema.equals(b.schema):
        columns = [
            dict(zip(table.schema.names, map(str, table.schema.types), strict=True))
            for table in (a, b)
        ]
        moved = Divergence(
            "columns",
            ", ".join(columns[0]),
            ", ".join(columns[1]),
            "another order, or other metadata",
        )
        return in_values(columns[0], columns[1], "column") or moved
    rows = [table.to_pylist() for table in (a, b)]
    return in_rows(
        rows[0],
        rows[1],
        next((name for name in IDS if name in a.schema.names), a.schema.names[0]),
        "record",
    )


def in_csv(was: bytes, now: bytes) -> Divergence | None:
    """The first row that differs; it is named by its first column, such as the step of a learning curve."""
    tables = [
        list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""))) for content in (was, now)
    ]
    heads = [table[0] if table else [] for table in tables]
    if heads[0] != heads[1]:
        return Divergence("header", ", ".join(heads[0]), ", ".join(heads[1]))
    wide = [f"{name} ({heads[0][:number].count(name) + 1})" if name in heads[0][:number] else name
            for number, name in enumerate(heads[0])]  # fmt: skip
    rows = [
        [
            dict(zip([*wide, *map(str, range(len(wide), len(row)))], row, strict=False))
            for row in table[1:]
        ]
        for table in tables
    ]
    return in_rows(rows[0], rows[1], wide[0] if wide else "", "row")


def in_rows(
    was: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]], key: str, kind: str
) -> Divergence | None:
    """The first of two lists' rows that differ, called by its number and its `key`."""
    for number, (a, b) in enumerate(zip(was, now, strict=False)):
        for name in [*a, *(name for name in b if name not in a)]:
            if written(a.get(name, ABSENT)) != written(b.get(name, ABSENT)):
                where = f"{kind} {number} ({key} {plain(a.get(key, ABSENT))}), column {name}"
                return Divergence(
                    where,
                    plain(a.get(name, ABSENT)),
                    plain(b.get(name, ABSENT)),
                    reordered(was, now),
                )
    if len(was) != len(now):
        number = min(len(was), len(now))
        left, right = (
            plain(rows[number].get(key, ABSENT) if number < len(rows) else ABSENT)
            for rows in (was, now)
        )
        return Divergence(
            f"{kind} {number} ({key})", left, right, f"{len(was):,} rows against {len(now):,}"
        )
    return None


def reordered(was: Sequence[Any], now: Sequence[Any]) -> str:
    """What tells an order from a content: the same rows, only in another order."""
    same = len(was) == len(now) and Counter(map(written, was)) == Counter(map(written, now))
    return ORDER if same else ""


def in_json(was: bytes, now: bytes) -> Divergence | None:
    """The first key path whose values differ, in the order of the reference."""
    return in_values(json.loads(was), json.loads(now), "")


def in_values(was: Any, now: Any, path: str) -> Divergence | None:
    """The first difference of two parsed values; `path` is where they stand."""
    if isinstance(was, dict) and isinstance(now, dict):
        names = [*was, *(name for name in now if name not in was)]
        parts: Iterator[tuple[Any, Any, str]] = (
            (was.get(name, ABSENT), now.get(name, ABSENT), f"{path}.{name}" if path else str(name))
            for name in names
        )
        return next((found for part in parts if (found := in_values(*part))), None)
    if isinstance(was, list) and isinstance(now, list):
        parts = (
            (a, b, f"{path}[{number}]") for number, (a, b) in enumerate(zip(was, now, strict=False))
        )
        if found := next((found for part in parts if (found := in_values(*part))), None):
            return Divergence(found.where, found.was, found.now, found.note or reordered(was, now))
        number = min(len(was), len(now))
        if len(was) == len(now):
            return None
        left, right = (plain(side[number] if number < len(side) else ABSENT) for side in (was, now))
        return Divergence(
            f"{path}[{number}]", left, right, f"{len(was):,} entries against {len(now):,}"
        )
    return (
        None
        if written(was) == written(now)
        else Divergence(path or "the whole file", plain(was), plain(now))
    )


def in_json_lines(was: bytes, now: bytes) -> Divergence | None:
    """The first line that differs, and its first key path that does."""
    for number, (a, b) in enumerate(zip(was.splitlines(), now.splitlines(), strict=False), start=1):
        if a != b:
            found = in_values(json.loads(a), json.loads(b), "")
            same = reordered(was.splitlines(), now.splitlines())
            return found and Divergence(
                f"line {number}, {found.where}", found.was, found.now, found.note or same
            )
    return in_text(was, now)


def in_safetensors(was: bytes, now: bytes) -> Divergence | None:
    """The first tensor by name that differs, with its greatest absolute difference; and how many others do."""
    from safetensors import deserialize

    a, b = (dict(sorted(deserialize(content))) for content in (was, now))  # type: ignore[no-untyped-call]
    names = sorted(a.keys() | b.keys())
    differing = [
        name for name in names if name not in a or name not in b or dict(a[name]) != dict(b[name])
    ]
    if not differing:
        return None
    name = differing[0]
    note = f"{len(differing):,} of {len(names):,} tensors differ"
    left, right = (
        f"{side[name]['dtype']} {list(side[name]['shape'])}" if name in side else "nothing"
        for side in (a, b)
    )
    if left == right:
        left, right, greatest = apart(a[name], b[name])
        note = f"{greatest}; {note}"
    return Divergence(f"tensor {name}", left, right, note)


def apart(a: Any, b: Any) -> tuple[str, str, str]:
    """Where two tensors of one shape lie farthest apart: both values there, and how far."""
    import numpy as np

    x, y = (numbers(spec) for spec in (a, b))
    if x is None or y is None:
        form = f"{a['dtype']} {list(a['shape'])}"
        return form, form, "other bytes"
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(np.abs(x - y), nan=math.inf)
    gap[(x == y) | (np.isnan(x) & np.isnan(y))] = 0
    at = int(gap.argmax())
    spot = [int(part) for part in np.unravel_index(at, tuple(a["shape"]))] if a["shape"] else []
    return (
        f"{x[at]!s} at {spot}",
        f"{y[at]!s} at {spot}",
        f"greatest absolute difference {gap[at]:.6g}",
    )


def numbers(spec: Any) -> "np.ndarray | None":
    """A tensor's values as float64, flat; None for a type that numpy cannot read."""
    import numpy as np

    if spec["dtype"] == "BF16":  # the upper half of a float32
        return (np.frombuffer(spec["data"], "<u2").astype("<u4") << 16).view("<f4").astype("f8")
    if spec["dtype"] not in NUMPY:
        return None
    return np.frombuffer(spec["data"], NUMPY[spec["dtype"]]).astype("f8")


def in_text(was: bytes, now: bytes) -> Divergence:
    """The first line that differs, or the first byte where a side is no text."""
    try:
        lines = [content.decode("utf-8").split("\n") for content in (was, now)]
    except UnicodeDecodeError:
        at = next(
            (i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b),
            min(len(was), len(now)),
        )
        left, right = (content[at : at + 8].hex() or "nothing" for content in (was, now))
        return Divergence(f"byte {at:,}", left, right, f"{len(was):,} bytes against {len(now):,}")
    number, pair = next(
        (i, pair)
        for i, pair in enumerate(zip_longest(*lines, fillvalue=ABSENT))
        if pair[0] != pair[1]
    )
    return Divergence(f"line {number + 1}", plain(pair[0]), plain(pair[1]), reordered(*lines))


def plain(value: Any) -> str:
    """A value for people: texts as they are, on one line, long ones cut."""
    if value is ABSENT:
        return "nothing"
    text = (
        " ".join(value.split())
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, default=str)
    )
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


FORMS: dict[str, Callable[[bytes, bytes], Divergence | None]] = {
    "parquet": in_parquet,
    "json": in_json,
    "jsonl": in_json_lines,
    "csv": in_csv,
    "safetensors": in_safetensors,
}
"""How a file is read, by its ending."""

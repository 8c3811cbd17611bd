"""Find the first difference inside a file of which two versions have other bytes.

It is named by the file's own form: record and column of a table, key path of JSON, row of a CSV (of a
learning curve: the step), tensor of safetensors with its greatest absolute difference. Of any other
file it is the line, or the byte. Values are compared as they are written. So 1, 1.0, true and -0.0
differ, and NaN equals itself.
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
"""Columns that name a record. A table without them is named by its first column."""
LONGEST = 200
"""Characters of a value that are shown."""
BYTES_SHOWN = 8
ORDER = "the same rows in another order: something is not sorted, or shuffled without the seed"
NUMPY = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
    "BOOL": "?",
}  # fmt: skip
"""Types of safetensors as numpy reads them. Of all others the bytes are compared."""


@dataclass(frozen=True)
class Divergence:
    """One difference: where it is in the file, the value in the reference, and that in the rebuilt file."""

    where: str
    was: str
    now: str
    note: str = ""
    """Anything else to know, such as how many rows differ."""


def first(name: str, was: bytes, now: bytes) -> Divergence | None:
    """Return the first difference of two files called `name`, or None where their bytes are the same.

    A file that cannot be read in its own form is compared as text, or byte by byte.
    """
    if was == now:
        return None
    ending = name.rsplit(".", 1)[-1].lower()
    compare = FORMS.get(ending, in_text)
    try:
        difference = compare(was, now)
    except Exception:  # whatever a damaged file makes a library raise: its bytes still tell
        difference = in_text(was, now)
    if difference is None:
        same = "the same content"
        return Divergence("the whole file", same, same, "written in other bytes")
    return difference


def in_parquet(was: bytes, now: bytes) -> Divergence | None:
    """Return the first record that differs, and its first column that does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    a = pq.read_table(pa.BufferReader(was))
    b = pq.read_table(pa.BufferReader(now))
    names = a.schema.names
    if not a.schema.equals(b.schema):
        types_a = dict(zip(names, map(str, a.schema.types), strict=True))
        types_b = dict(zip(b.schema.names, map(str, b.schema.types), strict=True))
        difference = in_values(types_a, types_b, "column")
        if difference:
            return difference
        note = "another order, or other metadata"
        return Divergence("columns", ", ".join(types_a), ", ".join(types_b), note)
    id_columns = [name for name in IDS if name in names]
    key = id_columns[0] if id_columns else names[0]
    return in_rows(a.to_pylist(), b.to_pylist(), key, "record")


def in_csv(was: bytes, now: bytes) -> Divergence | None:
    """Return the first row that differs, named by its first column, such as the step of a learning curve."""
    head_a, rows_a = csv_rows(was)
    head_b, rows_b = csv_rows(now)
    if head_a != head_b:
        return Divergence("header", ", ".join(head_a), ", ".join(head_b))
    names = distinct(head_a)
    key = names[0] if names else ""
    return in_rows(named_cells(rows_a, names), named_cells(rows_b, names), key, "row")


def csv_rows(content: bytes) -> tuple[list[str], list[list[str]]]:
    """Split a CSV file into its header and its rows."""
    rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    if not rows:
        return [], []
    return rows[0], rows[1:]


def distinct(names: Sequence[str]) -> list[str]:
    """Number the columns that bear one name: `step, loss, loss` becomes `step, loss, loss (2)`."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return numbered


def named_cells(rows: Sequence[Sequence[str]], names: Sequence[str]) -> list[dict[str, str]]:
    """Return rows as dictionaries. A cell behind the last column is named by its position."""
    named = []
    for row in rows:
        positions = [str(position) for position in range(len(names), len(row))]
        named.append(dict(zip([*names, *positions], row, strict=False)))
    return named


def in_rows(
    was: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]], key: str, kind: str
) -> Divergence | None:
    """Return the first of two lists' rows that differ, named by its number and its `key`."""
    for number, (a, b) in enumerate(zip(was, now, strict=False)):
        name = first_column(a, b)
        if name is not None:
            row = f"{kind} {number} ({key} {plain(a.get(key, ABSENT))})"
            left = plain(a.get(name, ABSENT))
            right = plain(b.get(name, ABSENT))
            return Divergence(f"{row}, column {name}", left, right, reordered(was, now))
    if len(was) == len(now):
        return None
    # The shorter side ends here. The longer one has a row more.
    number = min(len(was), len(now))
    where = f"{kind} {number} ({key})"
    note = f"{len(was):,} rows against {len(now):,}"
    if number < len(was):
        return Divergence(where, plain(was[number].get(key, ABSENT)), plain(ABSENT), note)
    return Divergence(where, plain(ABSENT), plain(now[number].get(key, ABSENT)), note)


def first_column(a: dict[str, Any], b: dict[str, Any]) -> str | None:
    """Return the first column whose values differ, or None."""
    new_names = [name for name in b if name not in a]
    for name in [*a, *new_names]:
        if written(a.get(name, ABSENT)) != written(b.get(name, ABSENT)):
            return name
    return None


def reordered(was: Sequence[Any], now: Sequence[Any]) -> str:
    """Return ORDER where both sides hold the same rows in another order, else nothing."""
    if len(was) != len(now):
        return ""
    same = Counter(map(written, was)) == Counter(map(written, now))
    return ORDER if same else ""


def in_json(was: bytes, now: bytes) -> Divergence | None:
    """Return the first key path whose values differ, in the order of the reference."""
    old = json.loads(was)
    new = json.loads(now)
    return in_values(old, new, path="")


def in_values(was: Any, now: Any, path: str) -> Divergence | None:
    """Return the first difference of two parsed values at the key path `path`."""
    if isinstance(was, dict) and isinstance(now, dict):
        return in_mappings(was, now, path)
    if isinstance(was, list) and isinstance(now, list):
        return in_lists(was, now, path)
    if written(was) == written(now):
        return None
    return Divergence(path or "the whole file", plain(was), plain(now))


def in_mappings(was: dict[str, Any], now: dict[str, Any], path: str) -> Divergence | None:
    """Return the first difference of two mappings."""
    new_names = [name for name in now if name not in was]
    for name in [*was, *new_names]:
        inner = f"{path}.{name}" if path else str(name)
        difference = in_values(was.get(name, ABSENT), now.get(name, ABSENT), inner)
        if difference:
            return difference
    return None


def in_lists(was: list[Any], now: list[Any], path: str) -> Divergence | None:
    """Return the first difference of two lists."""
    for number, (a, b) in enumerate(zip(was, now, strict=False)):
        difference = in_values(a, b, f"{path}[{number}]")
        if difference:
            note = difference.note or reordered(was, now)
            return Divergence(difference.where, difference.was, difference.now, note)
    if len(was) == len(now):
        return None
    # The shorter side ends here. The longer one has an entry more.
    number = min(len(was), len(now))
    where = f"{path}[{number}]"
    note = f"{len(was):,} entries against {len(now):,}"
    if number < len(was):
        return Divergence(where, plain(was[number]), plain(ABSENT), note)
    return Divergence(where, plain(ABSENT), plain(now[number]), note)


def in_json_lines(was: bytes, now: bytes) -> Divergence | None:
    """Return the first line that differs, and its first key path that does."""
    lines_a = was.splitlines()
    lines_b = now.splitlines()
    for number, (a, b) in enumerate(zip(lines_a, lines_b, strict=False), start=1):
        if a == b:
            continue
        difference = in_values(json.loads(a), json.loads(b), "")
        if difference is None:
            return None  # the same values in other bytes
        where = f"line {number}, {difference.where}"
        note = difference.note or reordered(lines_a, lines_b)
        return Divergence(where, difference.was, difference.now, note)
    return in_text(was, now)


def in_safetensors(was: bytes, now: bytes) -> Divergence | None:
    """Return the first tensor by name that differs, with its greatest absolute difference."""
    from safetensors import deserialize

    a = dict(deserialize(was))  # type: ignore[no-untyped-call]
    b = dict(deserialize(now))  # type: ignore[no-untyped-call]
    names = sorted(a.keys() | b.keys())
    differing = []
    for name in names:
        if name not in a or name not in b or dict(a[name]) != dict(b[name]):
            differing.append(name)
    if not differing:
        return None
    name = differing[0]
    note = f"{len(differing):,} of {len(names):,} tensors differ"
    left, right = form_of(a.get(name)), form_of(b.get(name))
    if left == right:
        left, right, greatest = apart(a[name], b[name])
        note = f"{greatest}; {note}"
    return Divergence(f"tensor {name}", left, right, note)


def form_of(tensor: Any) -> str:
    """Return type and shape of a tensor, such as `F32 [2, 3]`."""
    if tensor is None:
        return "nothing"
    return f"{tensor['dtype']} {list(tensor['shape'])}"


def apart(a: Any, b: Any) -> tuple[str, str, str]:
    """Return where two tensors of one shape lie farthest apart: both values there, and how far."""
    import numpy as np

    x, y = numbers(a), numbers(b)
    if x is None or y is None:
        return form_of(a), form_of(b), "other bytes"
    with np.errstate(invalid="ignore"):
        gap = np.abs(x - y)
    # A number against NaN is infinitely far apart. Equal values, infinite ones too, are not apart.
    gap = np.nan_to_num(gap, nan=math.inf)
    gap[(x == y) | (np.isnan(x) & np.isnan(y))] = 0
    farthest = int(gap.argmax())
    spot: list[int] = []
    if a["shape"]:
        # From the flat position to one index per axis: 4 in the shape (2, 3) is [1, 1].
        spot = [int(index) for index in np.unravel_index(farthest, tuple(a["shape"]))]
    greatest = f"greatest absolute difference {gap[farthest]:.6g}"
    return f"{x[farthest]!s} at {spot}", f"{y[farthest]!s} at {spot}", greatest


def numbers(tensor: Any) -> "np.ndarray | None":
    """Return a tensor's values as float64, flat, or None for a type that numpy cannot read."""
    import numpy as np

    if tensor["dtype"] == "BF16":
        # bfloat16 is the upper half of a float32: put 16 zero bits behind it.
        upper = np.frombuffer(tensor["data"], "<u2").astype("<u4")
        return (upper << 16).view("<f4").astype("f8")
    if tensor["dtype"] not in NUMPY:
        return None
    return np.frombuffer(tensor["data"], NUMPY[tensor["dtype"]]).astype("f8")


def in_text(was: bytes, now: bytes) -> Divergence:
    """Return the first line that differs, or the first byte where a side is no text."""
    try:
        lines_a = was.decode("utf-8").split("\n")
        lines_b = now.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return in_bytes(was, now)
    number = first_unequal(zip_longest(lines_a, lines_b, fillvalue=ABSENT))
    left = lines_a[number] if number < len(lines_a) else ABSENT
    right = lines_b[number] if number < len(lines_b) else ABSENT
    note = reordered(lines_a, lines_b)
    return Divergence(f"line {number + 1}", plain(left), plain(right), note)


def in_bytes(was: bytes, now: bytes) -> Divergence:
    """Return the first byte that differs, with those after it, in hexadecimal."""
    # Where one side is the beginning of the other, the first byte behind it is unequal to None.
    start = first_unequal(zip_longest(was, now))
    stop = start + BYTES_SHOWN
    left = was[start:stop].hex() or "nothing"
    right = now[start:stop].hex() or "nothing"
    note = f"{len(was):,} bytes against {len(now):,}"
    return Divergence(f"byte {start:,}", left, right, note)


def first_unequal(pairs: Iterator[tuple[Any, Any]]) -> int:
    """Return the position of the first pair whose two members differ. Raises ValueError where none does."""
    for position, (a, b) in enumerate(pairs):
        if a != b:
            return position
    raise ValueError("both sides are the same")


def plain(value: Any) -> str:
    """Write a value for people: texts as they are, on one line, long ones cut."""
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str):
        text = " ".join(value.split())
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}…"
    return text


FORMS: dict[str, Callable[[bytes, bytes], Divergence | None]] = {
    "parquet": in_parquet,
    "json": in_json,
    "jsonl": in_json_lines,
    "csv": in_csv,
    "safetensors": in_safetensors,
}
"""How a file is compared, by its ending."""

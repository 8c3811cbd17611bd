"""spool: records come in the order of their keys, rows in that of the output, whatever the sizes."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.augment import spool
from stages.augment.spool import Buckets, Parts, boundaries_of, in_order
from stages.core.project.errors import RecordError
from stages.core.records import record

# Ids are hexadecimal digits. Nothing depends on that.
KEYS = st.lists(st.text("0123456789abcdefz/é", min_size=1, max_size=6), max_size=40)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([record.DEFAULTS | row for row in rows], schema=record.SCHEMA)


def records_of(keys: list[str]) -> list[dict[str, Any]]:
    """Return a record for each key. Its locator is its place."""
    rows = []
    for place, key in enumerate(keys):
        own = {"id": key, "source": "s", "locator": str(place), "kind": "fact", "text": "t"}
        rows.append(own | {"fact": key})
    return rows


def dealt(folder: Path, keys: list[str], sample: list[str], step: int = 7) -> Buckets:
    rows = records_of(keys)
    with Buckets(folder, "fact", boundaries_of(sample)) as buckets:
        for start in range(0, len(rows), step):
            buckets.add(table_of(rows[start : start + step]))
        buckets.add(table_of([]))
    return buckets


@given(keys=KEYS, sample=KEYS)
def test_records_come_in_the_order_of_their_keys(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], sample: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("spool") / "buckets"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "BUCKET", 3)
        patch.setattr(spool, "SAMPLED", 1)
        buckets = dealt(folder, keys, sample)
    places = sorted(range(len(keys)), key=lambda place: (keys[place], place))
    assert [row["locator"] for row in buckets] == [str(place) for place in places]
    assert buckets.rows == len(keys)
    groups = list(buckets.groups())
    assert [group[0]["fact"] for group in groups] == sorted(set(keys))
    some = set(keys[::2])
    assert [group[0]["fact"] for group in buckets.groups_of(some)] == sorted(some)
    # They can be read again.
    assert [row["locator"] for row in buckets] == [str(place) for place in places]


def test_there_are_more_buckets_for_more_records() -> None:
    keys = [f"{number:06x}" for number in range(100_000)]
    of_one = spool.BUCKET // spool.SAMPLED
    assert boundaries_of(keys[:of_one]) == []
    assert boundaries_of(keys[: of_one + 1]) == [keys[of_one]]
    assert len(boundaries_of(keys)) < spool.MOST_BUCKETS
    assert boundaries_of([*keys[:50], *["same"] * 500]) == ["same"]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["train", "probe", "valid"]),
        st.sampled_from(["", "a1", "b2"]),
        st.sampled_from(["qa", "statement"]),
        st.sampled_from(["c3", "d4"]),
        st.integers(0, 3),
    ),
    unique=True,
    max_size=40,
)


@given(ROWS)
def test_parts_are_the_output_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[str, str, str, str, int]]
) -> None:
    groups: dict[str, list[dict[str, Any]]] = {}
    for split, fact, kind, about, number in places:
        locator = f"{fact or about}/{split}/{kind}/{about}/{number}"
        own: dict[str, Any] = {"id": locator, "source": "augment", "locator": locator, "text": "t"}
        own |= {"split": split, "kind": kind, "fact": fact or None}
        groups.setdefault(fact or about, []).append(own)
    folder = tmp_path_factory.mktemp("spool")
    with Parts(folder / "rows", folder / "records.parquet") as parts:
        for key in sorted(groups):
            for row in in_order(groups[key]):
                parts.add(row)
        parts.end()
    found = []
    for table in parts.tables():
        found += table.to_pylist()
    order = [(row["split"], row["fact"] or "", row["kind"], row["locator"]) for row in found]
    assert order == sorted(order)
    assert {row["id"] for row in found} == {row["id"] for own in groups.values() for row in own}
    assert len(found) == len(places)


def test_a_row_that_is_none_is_named_by_the_output(tmp_path: Path) -> None:
    message = r"out\.parquet: row 0: text, source, locator must not be empty"
    with (
        Parts(tmp_path / "rows", tmp_path / "out.parquet") as parts,
        pytest.raises(RecordError, match=message),
    ):
        parts.add({"split": "train", "kind": "qa", "fact": None, "id": "1"})

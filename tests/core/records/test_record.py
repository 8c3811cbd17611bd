"""record: equal rows are equal bytes, ids are stable, and what breaks the schema is refused by name."""

import itertools
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.terms import names
from stages.core.project.errors import InputError, RecordError
from stages.core.records import record

ROW = {
    "id": "a1",
    "text": "iron: state solid",
    "source": "toy",
    "locator": "toy.csv#L1",
    "kind": "fact",
}
FULL = ROW | {
    "lang": "zh",
    "question": "铁是什么状态？",
    "answer": "固态",
    "subject": "铁",
    "attribute": "状态",
    "value": "固态",
    "unit": None,
    "fact": record.fact_id("铁", "状态"),
    "split": "train",
    "parents": ["p1", "p2"],
    "meta": record.to_meta({"b": 1, "a": "°C"}),
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert record.write(tmp_path / "new" / "r.parquet", [FULL, ROW]) == 2
    first, second = record.read(tmp_path / "new" / "r.parquet")
    assert first == FULL
    filled = {"lang": "und", "parents": [], "meta": "{}"}
    assert second == dict.fromkeys(record.SCHEMA.names) | ROW | filled


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    rows = [FULL | {"id": str(i)} for i in range(2000)]
    record.write(tmp_path / "a.parquet", rows)
    record.write(tmp_path / "b.parquet", (dict(reversed(row.items())) for row in rows))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize("batch", [1, 500, 2**30])
def test_row_groups_depend_on_the_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(record, "GROUP", 4000)
    rows = [FULL | {"id": str(i), "text": "x" * (i % 90)} for i in range(500)]
    record.write(tmp_path / "a.parquet", rows)
    monkeypatch.setattr(record, "BATCH", batch)
    record.write(tmp_path / "b.parquet", iter(rows))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert record.read(tmp_path / "b.parquet") == rows
    groups = pq.ParquetFile(tmp_path / "b.parquet").metadata
    sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
    assert len(sizes) > 10
    assert min(sizes) > 0


def test_a_small_table_is_what_pyarrow_writes_at_once(tmp_path: Path) -> None:
    rows = [FULL | {"id": str(i)} for i in range(2000)]
    record.write(tmp_path / "a.parquet", rows)
    table = pa.Table.from_pylist(rows, schema=record.SCHEMA)
    pq.write_table(
        table, tmp_path / "b.parquet", compression="zstd", version="2.6", data_page_version="1.0"
    )
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_rows_are_written_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    with record.writing(path) as table:
        table.add(ROW)
        assert not path.exists()
        table.add(FULL)
        assert table.rows == 2
    assert [row["id"] for row in record.read(path)] == ["a1", "a1"]
    assert [file.name for file in tmp_path.iterdir()] == ["r.parquet"]


def test_a_table_holds_few_of_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "GROUP", 2**18)
    monkeypatch.setattr(record, "BATCH", 2**14)
    peaks = []
    for count in (1_000, 10_000):
        tracemalloc.start()
        record.write(tmp_path / "r.parquet", (ROW | {"text": f"{i:0200}"} for i in range(count)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000  # the nine thousand rows more are 2,500,000 characters


@given(
    st.lists(st.text("é字 a", max_size=12), max_size=30),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_rows_by_the_frame_are_rows_one_by_one(texts: list[str], sizes: list[int]) -> None:
    rows = [FULL | {"text": text, "subject": text or None} for text in texts]
    frame = pa.Table.from_pylist(rows, schema=record.SCHEMA)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "GROUP", 300)
        one, many = Path(folder) / "one.parquet", Path(folder) / "many.parquet"
        record.write(one, rows)
        with record.writing(many) as table:
            start = 0
            for size in itertools.cycle(sizes):
                table.extend(frame.slice(start, size))
                if (start := start + size) >= len(rows):
                    break
        assert table.rows == len(rows)
        assert one.read_bytes() == many.read_bytes()


def test_a_frame_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    with (
        pytest.raises(RecordError, match=r"r\.parquet: .*(id|exist)"),
        record.writing(path) as table,
    ):
        table.extend(pa.table({"text": ["x"]}))
    assert not path.exists()


def test_no_row_is_a_table_too(tmp_path: Path) -> None:
    assert record.write(tmp_path / "r.parquet", []) == 0
    assert record.read(tmp_path / "r.parquet") == []
    assert pq.read_schema(tmp_path / "r.parquet").names == record.SCHEMA.names


def test_rejected_records_say_why(tmp_path: Path) -> None:
    row = ROW | {"phase": "filter", "reason": "duplicate", "evidence": "a0"}
    record.write(tmp_path / "r.parquet", [row], record.REJECTED)
    (found,) = record.read(tmp_path / "r.parquet", record.REJECTED)
    assert found["reason"] == "duplicate"
    with pytest.raises(RecordError, match="row 0: phase, reason, evidence must not be empty"):
        record.write(tmp_path / "r.parquet", [ROW], record.REJECTED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"txt": "x", "colour": "y"}, "row 1: unknown column colour, txt"),
        ({"text": None}, "row 1: text must not be empty"),
        ({"id": None, "kind": None}, "row 1: id, kind must not be empty"),
        ({"parents": None}, "row 1: parents must not be empty"),
        ({"text": 5}, "Expected bytes, got a 'int' object"),
        ({"parents": [1]}, "Expected bytes, got a 'int' object"),
        ({"text": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_what_breaks_the_schema_is_refused_and_the_old_file_stays(
    tmp_path: Path, change: Any, message: str
) -> None:
    path = tmp_path / "r.parquet"
    record.write(path, [ROW])
    before = path.read_bytes()
    with pytest.raises(RecordError, match=message):
        record.write(path, [ROW, ROW | change])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["r.parquet"]


def test_a_row_without_a_needed_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="row 0: text, source, locator, kind must not be empty"):
        record.write(tmp_path / "r.parquet", [{"id": "a"}])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not found; run the stage that writes it \(dvc repro\)"):
        record.read(tmp_path / "r.parquet")


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "scribbled"])
def test_a_damaged_file_is_an_input_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "r.parquet"
    record.write(path, [ROW])
    whole = path.read_bytes()
    path.write_bytes(
        {
            "text": b"id,text\n",
            "empty": b"",
            "cut": whole[:100],
            "scribbled": whole[:200] + b"\xff" * 40 + whole[240:],
        }[damage]
    )
    with pytest.raises(
        InputError, match=r"not a Parquet file .*restore it with dvc checkout --force"
    ):
        record.read(path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    record.write(tmp_path / "r.parquet", [ROW])
    with pytest.raises(RecordError, match=r"are not those of the schema .*'phase'"):
        record.read(tmp_path / "r.parquet", record.REJECTED)


def test_ids_are_what_they_always_were() -> None:
    """Ids stand in reports and in models that people keep: they must not change between versions."""
    assert record.record_id("elements", "elements.sql#properties/1") == "8b92ac81eabb559a"
    assert record.fact_id("iron", "melting point") == "a2c17a05964af04c"


@pytest.mark.parametrize("name", ["Iron", " IRON ", "\u3000iron\n", "ｉｒｏｎ"])
def test_one_fact_however_its_subject_is_written(name: str) -> None:
    assert record.fact_id(name, "Melting  Point") == record.fact_id("iron", "melting point")


def test_different_things_have_different_ids() -> None:
    ids = [
        record.fact_id(s, a)
        for s, a in [("iron", "state"), ("state", "iron"), ("ironstate", ""), ("铁", "state")]
    ]
    ids += [record.record_id("iron", "state"), record.record_id("iron ", "state")]
    assert len(set(ids)) == len(ids)
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in ids)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    once = record.fold(text)
    assert record.fold(once) == once
    assert record.fold(f"  {text}\t") == once


def test_plain_text_of_a_fact() -> None:
    assert record.fact_text("iron", "melting point", "1538", "°C") == "iron: melting point 1538 °C"
    assert record.fact_text("iron", "symbol", "Fe", None) == "iron: symbol Fe"


def test_meta_is_sorted_and_readable() -> None:
    assert record.to_meta({"b": "铁", "a": 1}) == '{"a": 1, "b": "铁"}'


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("10³", "10^3"),
        ("10^3", "10^3"),
        ("103", "103"),
        ("10⁻³", "10^−3"),
        ("10¹²", "10^12"),
        ("1½", "1^1⁄2"),
        ("x²3", "x2^3"),
        ("CO₂", "co2"),
        ("Ca²⁺", "ca2+"),
        ("m³", "m3"),
        ("５", "5"),
        ("Ｃｏ", "co"),
    ],
)
def test_a_raised_digit_is_never_glued_to_a_number(text: str, folded: str) -> None:
    assert record.fold(text) == folded


def test_names_are_compared_as_the_setting_says() -> None:
    names = ["Polish", "polish", " Polish", "Ｐolish", "cafe\u0301", "caf\u00e9"]
    folded = [record.fact_id(name, "use") for name in names]
    exact = [record.fact_id(name, "use", "exact") for name in names]
    assert [folded.index(each) for each in folded] == [0, 0, 0, 0, 4, 4]
    assert [exact.index(each) for each in exact] == [0, 1, 0, 3, 4, 4]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("CO", "Co", False),
        ("m", "M", False),
        ("TRP53", "Trp53", False),
        ("2b", "2B", False),
        ("pH", "PH", False),
        ("NaCl", "NACL", False),
        (" CO", "ＣＯ", True),
        ("CO₂", "CO2", True),
        ("Tin", "tin", True),
        ("HAFNIUM", "Hafnium", True),
        ("Vitamin D", "vitamin d", True),
        ("State of matter", "state OF matter", True),
        ("Covid-19", "COVID-19", True),
        ("铁", "铁 ", True),
    ],
)
def test_case_counts_in_symbols(one: str, other: str, same: bool) -> None:
    assert (record.fact_id(one, "use") == record.fact_id(other, "use")) == same
    compared = names(pl.Series([one, other])).to_list()
    assert compared == [record.compared_name(one), record.compared_name(other)]


def test_10_to_the_third_is_not_103() -> None:
    assert record.fact_id("10³ cells", "use") != record.fact_id("103 cells", "use")

"""Batches hold every record of a file once and in its order. The cuts do not show in the output."""

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.clean.passes import corpus
from stages.core.records import record
from tests.stages.clean.test_clean import text
from tests.stages.clean.values.test_columns import cleaned, rows


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(1, 400), st.integers(1, 9), st.integers(1, 3000))
def test_each_batch_lies_in_one_row_group(
    records: int, group: int, most_rows: int, most_bytes: int
) -> None:
    given = [text(f"Note {'x' * (number % 7)}", None, number) for number in range(records)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "GROUP", group)
        patch.setattr(corpus, "BATCH_ROWS", most_rows)
        patch.setattr(corpus, "BATCH_BYTES", most_bytes)
        path = Path(folder) / "records.parquet"
        record.write(path, given)
        pieces = corpus.pieces(path)
        assert [id for piece in pieces for id in piece.extracted({})["id"]] == [
            row["id"] for row in given
        ]
        assert all(0 < piece.rows <= most_rows for piece in pieces)
        assert [piece.start for piece in pieces] == [
            sum(other.rows for other in pieces[:at]) for at in range(len(pieces))
        ]


def test_row_groups_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder_bytes: Any
) -> None:
    made = {}
    for name, group in (("whole", record.GROUP), ("many", 300)):
        folder = tmp_path / name
        with monkeypatch.context() as patch:
            patch.setattr(record, "GROUP", group)
            record.write(folder / "in/records.parquet", rows())
        record.write(folder / "in/rejected.parquet", [], record.REJECTED)
        (folder / "in/sources.json").write_text("[]")
        made[name] = folder_bytes(cleaned(folder, "out", 2))
    assert pq.read_metadata(tmp_path / "many/in/records.parquet").num_row_groups > 5
    assert made["many"] == made["whole"]

"""changes: what differs from the last run is counted right, and no trouble with the memo reaches a stage."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core.records import record
from stages.core.repeatable import changes, memo
from stages.core.repeatable.changes import Changes

Tables = tuple[dict[str, str], dict[str, str]]
TABLES = st.dictionaries(
    st.sampled_from("abcdefgh"), st.sampled_from(["iron", "铁", ""]), max_size=8
).flatmap(
    lambda rows: (
        st.sets(st.sampled_from(sorted(rows))).map(lambda out: split(rows, out))
        if rows
        else st.just(({}, {}))
    )
)


def split(rows: dict[str, str], out: set[str]) -> Tables:
    return {key: text for key, text in rows.items() if key not in out}, {
        key: rows[key] for key in out
    }


def write(folder: Path, tables: Tables) -> Path:
    common = {"source": "toy", "locator": "a", "kind": "statement", "lang": "en"}
    kept, rejected = (
        [common | {"id": key, "text": text} for key, text in table.items()] for table in tables
    )
    why = {"phase": "clean", "reason": "x", "evidence": ""}
    record.write(folder / "records.parquet", kept)
    record.write(folder / "rejected.parquet", [row | why for row in rejected], record.REJECTED)
    return folder


def counted(before: Tables, now: Tables) -> Changes:
    """The same by dicts."""
    old, new = (
        {(key, 0): x for key, x in t[0].items()} | {(key, 1): x for key, x in t[1].items()}
        for t in (before, now)
    )
    ids = {key for key, _ in old}, {key for key, _ in new}
    same = {key for (key, where), text in new.items() if old.get((key, where)) == text}
    return Changes(
        len((ids[0] & ids[1]) - same), len(ids[1] - ids[0]), len(ids[0] - ids[1]), len(same)
    )


@given(st.lists(TABLES, min_size=2, max_size=4))
@settings(deadline=None, max_examples=30)
def test_every_run_is_compared_with_the_one_before(runs: list[Tables]) -> None:
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOREKEEP_MEMO", f"{scratch}/memo")
        assert changes.compare("clean", write(Path(scratch), runs[0])) is None
        for before, now in itertools.pairwise(runs):
            assert changes.compare("clean", write(Path(scratch), now)) == counted(before, now)


def test_each_stage_and_folder_has_its_own_last_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = write(tmp_path / "out", ({"a": "iron"}, {}))
    assert changes.compare("clean", tables) is None
    assert changes.compare("extract", tables) is None
    monkeypatch.chdir(tmp_path)
    assert changes.compare("clean", tables) is None
    assert changes.compare("clean", tables) == Changes(0, 0, 0, 1)


def test_damage_and_a_folder_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = write(tmp_path / "out", ({"a": "iron"}, {}))
    changes.compare("clean", tables)
    (place,) = memo.files()
    place.write_bytes(place.read_bytes()[:-9])
    assert changes.compare("clean", tables) is None
    assert changes.compare("clean", tables) == Changes(0, 0, 0, 1)
    place.write_bytes(b"")
    assert changes.compare("clean", tables) is None
    memo.unusable.cache_clear()
    monkeypatch.setenv("LOREKEEP_MEMO", str(tables / "records.parquet"))
    assert changes.compare("clean", tables) is None
    assert "records.parquet: Not a directory" in capsys.readouterr().err


def test_a_full_disk_costs_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import polars

    def full(*_: object) -> None:
        raise polars.exceptions.ComputeError("underlying IO error: No space left on device")

    memo.unusable.cache_clear()
    monkeypatch.setattr(polars.LazyFrame, "sink_parquet", full)
    assert changes.compare("clean", write(tmp_path / "out", ({"a": "iron"}, {}))) is None
    assert "No space left on device; results are computed anew" in capsys.readouterr().err
    assert not memo.files()


def test_parts_of_the_ids_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {f"{number:03d}": "iron" for number in range(100)}
    now = before | {"005": "neon", "new": "iron"}
    del now["007"]
    monkeypatch.setattr(changes, "AT_ONCE", 7)
    changes.compare("clean", write(tmp_path, (before, {})))
    assert changes.compare("clean", write(tmp_path, (now, {}))) == Changes(1, 1, 1, 98)


def test_what_a_summary_says() -> None:
    assert (
        str(Changes(12, 3, 5, 99980))
        == "changed 12, new 3, deleted 5, unchanged 99,980 since the last run here"
    )

"""vectors: ids are those of records, the bytes depend on the content alone, and faults are named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.project.errors import InputError, RecordError
from stages.core.retrieval import vectors

IDS = [f"{number:016x}" for number in (3, 2**63, 7, 2**64 - 2, 0)]


def matrix(rows: int, dimensions: int = 4) -> vectors.Matrix:
    """Vectors of length 1, the same in every call."""
    drawn = np.random.default_rng(5).normal(size=(rows, dimensions)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@given(st.integers(0, 2**64 - 2))
def test_an_id_comes_back_as_it_was(number: int) -> None:
    record = f"{number:016x}"
    signed = vectors.to_number(record)
    assert -(2**63) <= signed < 2**63
    assert signed != -1
    assert vectors.to_id(signed) == record


@pytest.mark.parametrize("record", ["f" * 16, "12", "", "x" * 16, "-00000000000001a", "0" * 17])
def test_other_ids_are_refused(record: str) -> None:
    with pytest.raises(RecordError, match="is no id of a record: 16 hex digits are needed"):
        vectors.to_number(record)


def test_the_nearest_come_first(tmp_path: Path) -> None:
    path = tmp_path / "i.faiss"
    given_rows = matrix(5)
    vectors.write(path, IDS, given_rows)
    index = vectors.read(path)
    assert vectors.ids_of(index) == sorted(IDS)
    for place, record in enumerate(IDS):
        hits = vectors.search(index, given_rows[place], 9)
        assert hits[0].record == record
        assert hits[0].similarity == pytest.approx(1, abs=1e-6)
        assert len(hits) == 5
        assert [hit.similarity for hit in hits] == sorted(
            (hit.similarity for hit in hits), reverse=True
        )


def test_equal_vectors_come_in_the_order_of_ids(tmp_path: Path) -> None:
    same = np.tile(matrix(1), (3, 1))
    vectors.write(tmp_path / "i.faiss", [IDS[0], IDS[4], IDS[2]], same)
    index = vectors.read(tmp_path / "i.faiss")
    found = [hit.record for hit in vectors.search(index, same[0], 3)]
    assert found == sorted([IDS[0], IDS[4], IDS[2]])


@given(st.permutations(range(5)))
def test_the_order_of_the_rows_changes_no_byte(order: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "a", Path(folder) / "b"
        rows = matrix(5)
        vectors.write(first, IDS, rows)
        vectors.write(second, [IDS[place] for place in order], rows[order])
        assert first.read_bytes() == second.read_bytes()


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    vectors.write(tmp_path / "i.faiss", [], matrix(0))
    index = vectors.read(tmp_path / "i.faiss")
    assert vectors.search(index, matrix(1)[0], 3) == []
    assert vectors.ids_of(index) == []


def test_an_id_twice_is_refused_and_the_former_index_stays(tmp_path: Path) -> None:
    path = tmp_path / "i.faiss"
    vectors.write(path, IDS, matrix(5))
    before = path.read_bytes()
    with pytest.raises(RecordError, match=f"two records have the id {IDS[2]}"):
        vectors.write(path, [*IDS[:4], IDS[2]], matrix(5))
    with pytest.raises(RecordError, match="4 ids for 5 vectors"):
        vectors.write(path, IDS[:4], matrix(5))
    assert path.read_bytes() == before


def test_another_encoder_is_named(tmp_path: Path) -> None:
    vectors.write(tmp_path / "i.faiss", IDS, matrix(5))
    index = vectors.read(tmp_path / "i.faiss")
    with pytest.raises(InputError, match="the index has 4 dimensions and the encoder 3; run dvc"):
        vectors.search(index, matrix(1, 3)[0], 1)


@pytest.mark.parametrize("kept", [0, 3, 40, 90])
def test_a_cut_index_is_named(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "i.faiss"
    vectors.write(path, IDS, matrix(5))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"not a FAISS index \(.*\); dvc checkout --force"):
        vectors.read(path)


def test_a_missing_index_and_library_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"not found; set index\.encoder and run dvc repro index"):
        vectors.read(tmp_path / "i.faiss")
    monkeypatch.setattr(vectors, "find_spec", lambda _: None)
    with pytest.raises(
        InputError, match=r'faiss is not installed; pip install "lorekeep\[index\]"'
    ):
        vectors.library()

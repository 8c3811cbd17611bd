"""finding: a named fact is found by words, else the nearest record answers, and versions that differ are seen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.core.project.errors import InputError
from stages.core.records.record import fact_id, record_id
from stages.core.retrieval import finding, vectors
from stages.core.retrieval.finding import Found, Records

AXES = {"gold": 0, "iron": 1, "rust": 2}


class ByWord:
    """An encoder with one axis per known word."""

    identity = "by word"
    folder = Path()

    def __init__(self, name: str = "by word", threads: int = 1) -> None:
        self.name = name

    def vector(self, text: str) -> Any:
        vector = np.zeros(3, dtype=np.float32)
        for word, axis in AXES.items():
            vector[axis] = word in text.casefold()
        length = np.linalg.norm(vector)
        return vector / length if length else vector


def row(locator: str, text: str, attribute: str | None = None) -> dict[str, Any]:
    """One record as clean writes it."""
    return {
        "id": record_id("here", locator),
        "source": "here",
        "locator": locator,
        "kind": "fact" if attribute else "statement",
        "lang": "en",
        "text": text,
        "subject": text.split(maxsplit=1)[0].rstrip(":"),
        "attribute": attribute,
        "fact": fact_id("iron", attribute) if attribute else None,
    }


ROWS = [
    row("1", "iron: melting point 1538 °C", "melting point"),
    row("2", "iron: melting point 1540 °C", "melting point"),
    row("3", "Rust is an oxide."),
    row("4", "Gold does not tarnish."),
]


def index_of(rows: list[dict[str, Any]], folder: Path) -> Any:
    """Return the index of records, written below a folder."""
    matrix = np.zeros((len(rows), 3), dtype=np.float32)
    for place, each in enumerate(rows):
        matrix[place] = ByWord().vector(each["text"])
    vectors.write(folder / "records.faiss", [each["id"] for each in rows], matrix)
    return vectors.read(folder / "records.faiss")


def nearest(question: str, folder: Path, least: float = 0.5) -> Found:
    encoder: Any = ByWord()
    return Records(ROWS, []).nearest(question, index_of(ROWS, folder), encoder, least)


def test_a_named_fact_is_found_by_words_with_all_its_sources() -> None:
    found = Records(ROWS, []).named("What is the melting point of iron?")
    assert found == Found(ROWS[:2], "words", 1.0)
    assert Records(ROWS, []).named("Does gold tarnish?") is None


def test_else_the_nearest_record_answers(tmp_path: Path) -> None:
    found = nearest("Does gold tarnish?", tmp_path)
    assert (found.by, found.rows) == ("meaning", [ROWS[3]])
    assert found.similarity == pytest.approx(1)


def test_a_fact_found_by_meaning_brings_its_other_sources(tmp_path: Path) -> None:
    found = nearest("Tell me something of iron", tmp_path)
    assert found.by == "meaning"
    assert {each["locator"] for each in found.rows} == {"1", "2"}


def test_what_is_not_near_enough_is_no_answer(tmp_path: Path) -> None:
    found = nearest("Does gold rust?", tmp_path, least=0.9)
    assert found.rows == []
    assert found.nearest in ROWS[2:]
    assert found.similarity == pytest.approx(0.707, abs=0.001)


def test_an_empty_index_knows_nothing(tmp_path: Path) -> None:
    encoder: Any = ByWord()
    vectors.write(tmp_path / "records.faiss", [], np.zeros((0, 3), dtype=np.float32))
    index = vectors.read(tmp_path / "records.faiss")
    assert Records([], []).nearest("Does gold tarnish?", index, encoder, 0.5) == Found(
        [], "meaning", 0
    )


def test_other_records_than_those_of_the_index_are_counted(tmp_path: Path) -> None:
    index = index_of(ROWS[1:], tmp_path)
    assert finding.difference(index, {each["id"] for each in ROWS[1:]}) == ""
    said = finding.difference(index, [each["id"] for each in ROWS[:3]])
    assert said == "1 ids stand in the index alone, 1 in the records alone"


def test_an_index_is_opened_with_its_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "Encoder", ByWord)
    index_of(ROWS, tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"encoder": "by word", "encoder_sha256": "by word"}))
    index, encoder = finding.opened(manifest, tmp_path / "records.faiss", 1)
    assert index.ntotal == len(ROWS)
    assert encoder.identity == "by word"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"manifest\.json: not found; run dvc repro index, or dvc checkout"),
        ({"encoder": None}, r"there is no index: index\.encoder is null; lore overlay"),
        ({"encoder": "a", "encoder_sha256": "b"}, r"a has other files than when .* run dvc repro"),
        ({}, r"manifest\.json: no manifest of an index; dvc checkout --force"),
        ([], r"manifest\.json: no manifest of an index; dvc checkout --force"),
    ],
)
def test_what_is_no_index_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, said: str
) -> None:
    monkeypatch.setattr(finding, "Encoder", ByWord)
    if content is not None:
        (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        finding.opened(tmp_path / "manifest.json", tmp_path / "records.faiss", 1)

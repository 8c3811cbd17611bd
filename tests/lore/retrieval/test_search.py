"""search: a named fact is found by words, else the nearest record answers, and versions that differ are named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lore.retrieval import search
from stages.core.project import artifacts
from stages.core.project.errors import InputError
from stages.core.records.record import fact_id, record_id
from stages.core.retrieval import vectors

AXES = {"gold": 0, "iron": 1, "rust": 2}


class ByWord:
    """An encoder with one axis per known word."""

    identity = "by word"

    def __init__(self, name: str, threads: int) -> None:
        self.name = name

    def vector(self, text: str) -> Any:
        vector = np.zeros(3, dtype=np.float32)
        for word, axis in AXES.items():
            vector[axis] = word in text.casefold()
        length = np.linalg.norm(vector)
        return vector / length if length else vector


def row(locator: str, text: str, attribute: str | None = None) -> dict[str, Any]:
    return {
        "id": record_id("here", locator),
        "text": text,
        "subject": text.split(maxsplit=1)[0],
        "attribute": attribute,
        "question": None,
        "locator": locator,
        "source": "here",
        "fact": fact_id("iron", attribute) if attribute else None,
    }


ROWS = [
    row("1", "iron: melting point 1538 °C", "melting point") | {"subject": "iron"},
    row("2", "iron: melting point 1540 °C", "melting point") | {"subject": "iron"},
    row("3", "Rust is an oxide."),
    row("4", "Gold does not tarnish."),
]


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search, "Encoder", ByWord)
    made(ROWS)


def made(rows: list[dict[str, Any]]) -> None:
    encoder = ByWord("", 1)
    matrix = np.stack([encoder.vector(each["text"]) for each in rows])
    vectors.write(Path(artifacts.INDEX_VECTORS), [each["id"] for each in rows], matrix)
    manifest({"encoder": "by word", "encoder_sha256": "by word"})


def manifest(content: dict[str, Any]) -> None:
    Path(artifacts.INDEX_MANIFEST).write_text(json.dumps(content))


def find(question: str, least: float = 0.5) -> search.Found:
    return search.find(question, ROWS, [], 1, least)


@pytest.mark.usefixtures("indexed")
def test_a_named_fact_is_found_by_words_with_all_its_sources() -> None:
    found = find("What is the melting point of iron?")
    assert (found.by, found.similarity) == ("words", 1)
    assert found.rows == ROWS[:2]


@pytest.mark.usefixtures("indexed")
def test_else_the_nearest_record_answers() -> None:
    found = find("Does gold tarnish?")
    assert (found.by, found.rows) == ("meaning", [ROWS[3]])
    assert found.similarity == pytest.approx(1)


@pytest.mark.usefixtures("indexed")
def test_a_fact_found_by_meaning_brings_its_other_sources() -> None:
    found = find("Tell me something of iron")
    assert found.by == "meaning"
    assert {each["locator"] for each in found.rows} == {"1", "2"}


@pytest.mark.usefixtures("indexed")
def test_what_is_not_near_enough_is_no_answer() -> None:
    found = find("Does gold rust?", least=0.9)
    assert found.rows == []
    assert found.nearest in ROWS[2:]
    assert found.similarity == pytest.approx(0.707, abs=0.001)


@pytest.mark.usefixtures("indexed")
def test_index_and_records_of_two_versions_are_named() -> None:
    made(ROWS[1:])
    with pytest.raises(
        InputError, match=r"are of two versions: 0 ids stand in the index alone, 1 in"
    ):
        find("Does gold tarnish?")


@pytest.mark.usefixtures("indexed")
def test_another_encoder_and_no_index_are_named() -> None:
    manifest({"encoder": "by word", "encoder_sha256": "other"})
    with pytest.raises(InputError, match="has other files than when the index was made; run dvc"):
        find("Does gold tarnish?")
    manifest({"encoder": None})
    with pytest.raises(
        InputError, match=r"there is no index: index\.encoder is null; lore overlay"
    ):
        find("Does gold tarnish?")
    Path(artifacts.INDEX_MANIFEST).unlink()
    with pytest.raises(InputError, match=r"manifest\.json: not found; run dvc repro index, or dvc"):
        find("Does gold tarnish?")


@pytest.mark.usefixtures("indexed")
def test_an_empty_index_knows_nothing() -> None:
    vectors.write(Path(artifacts.INDEX_VECTORS), [], np.zeros((0, 3), dtype=np.float32))
    found = search.find("Does gold tarnish?", [], [], 1, 0.5)
    assert (found.rows, found.nearest) == ([], None)

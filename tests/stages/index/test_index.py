"""index: each record has its vector, equal content gives equal bytes, and without an encoder there is none."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages import index
from stages.core.project.params import Run
from stages.core.records.record import record_id, write
from stages.core.retrieval import encoder, vectors

TEXTS = [
    "iron: melting point 1538 °C",
    "gold: symbol Au",
    "Water boils at 100 °C.",
    "金的符号是Au。",
]


def rows(texts: list[str]) -> list[dict[str, Any]]:
    made = []
    for text in texts:
        made.append(
            {
                "id": record_id("here", text),
                "text": text,
                "lang": "en" if text.isascii() or "°" in text else "zh",
                "source": "here",
                "locator": text,
                "kind": "statement",
            }
        )
    return made


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An encoder that draws a vector by the text, and notes what it was asked."""
    asked: list[str] = []

    class Drawn:
        identity = "drawn"

        def __init__(self, name: str, threads: int) -> None:
            self.name = name

        def dimensions(self) -> int:
            return 6

        def vector(self, text: str) -> Any:
            asked.append(text)
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            vector = np.random.default_rng(seed).normal(size=6).astype(np.float32)
            return vector / np.linalg.norm(vector)

    monkeypatch.setattr(index, "Encoder", Drawn)
    return asked


def made(folder: Path, records: list[dict[str, Any]], run: Run, name: str | None) -> Path:
    write(folder / "clean/records.parquet", records)
    out = folder / "index"
    index.run(index.Params(encoder=name), run, folder / "clean", out, folder / "index.json")
    return out


@pytest.mark.usefixtures("drawn")
def test_every_record_is_found_by_its_text(tmp_path: Path, run_params: Run) -> None:
    out = made(tmp_path, rows(TEXTS), run_params, encoder.PACKAGED)
    found = vectors.read(out / index.INDEX)
    asked = index.Encoder("", 1)
    for row in rows(TEXTS):
        assert vectors.search(found, asked.vector(row["text"]), 1)[0].record == row["id"]
    assert json.loads((out / index.MANIFEST).read_text())["records"] == 4
    report = json.loads((tmp_path / "index.json").read_text())
    assert report == {"records": 4, "dimensions": 6, "foreign": {"zh": 1}}


@pytest.mark.usefixtures("drawn")
def test_equal_content_gives_equal_bytes(
    tmp_path: Path, run_params: Run, folder_bytes: Any
) -> None:
    first = made(tmp_path / "a", rows(TEXTS), run_params, "drawn")
    second = made(tmp_path / "b", rows(TEXTS[::-1]), run_params, "drawn")
    assert folder_bytes(first) == folder_bytes(second)
    third = made(tmp_path / "c", rows(TEXTS[1:]), run_params, "drawn")
    assert folder_bytes(first) != folder_bytes(third)


@pytest.mark.usefixtures("drawn")
def test_a_question_with_its_answer_is_found_by_both(tmp_path: Path, run_params: Run) -> None:
    pair = rows(["Q"])[0] | {"kind": "qa", "question": "Who?", "answer": "Curie."}
    assert index.searched_text(pair) == "Who? Curie."
    made(tmp_path, [], run_params, "drawn")


def test_without_an_encoder_nothing_is_read(tmp_path: Path, run_params: Run) -> None:
    out = tmp_path / "index"
    index.run(index.Params(), run_params, tmp_path / "absent", out, tmp_path / "index.json")
    assert [path.name for path in out.iterdir()] == [index.MANIFEST]
    assert json.loads((out / index.MANIFEST).read_text()) == {"encoder": None}


def test_an_error_leaves_the_former_index(
    tmp_path: Path,
    run_params: Run,
    drawn: list[str],
    monkeypatch: pytest.MonkeyPatch,
    folder_bytes: Any,
) -> None:
    out = made(tmp_path, rows(TEXTS), run_params, "drawn")
    before = folder_bytes(out)
    assert drawn

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vectors, "write", full)
    with pytest.raises(OSError, match="No space left"):
        made(tmp_path, rows(TEXTS[:2]), run_params, "drawn")
    assert folder_bytes(out) == before


def test_the_packaged_encoder_finds_the_fact_asked_for(tmp_path: Path, run_params: Run) -> None:
    out = made(tmp_path, rows(TEXTS[:3]), run_params, encoder.PACKAGED)
    found = vectors.read(out / index.INDEX)
    asked = encoder.Encoder(encoder.PACKAGED, 1)
    hit = vectors.search(found, asked.vector("When does iron become liquid?"), 1)[0]
    assert hit.record == rows(TEXTS)[0]["id"]
    shutil.rmtree(out)

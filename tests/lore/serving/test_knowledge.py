"""Knowledge: the index of a version is opened whole before its first caller, and keeps no caller's question."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lore.serving.knowledge import Knowledge
from stages.core.project import artifacts
from stages.core.retrieval import finding, vectors
from tests.lore.serving.fakes import GOLD, IRON, IRON_AGAIN, write_records


class FakeEncoder:
    """Knows one vector, and remembers what was asked."""

    def __init__(self) -> None:
        self.remembers = True
        self.asked: list[str] = []

    def vector(self, text: str) -> Any:
        self.asked.append(text)
        return np.array([1, 0], dtype=np.float32)


def test_the_encoder_is_loaded_before_the_first_question_and_remembers_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_records(tmp_path)
    path = tmp_path / artifacts.INDEX_VECTORS
    path.parent.mkdir(parents=True)
    rows = [IRON, IRON_AGAIN, GOLD]
    matrix = np.array([[0, 1], [0, 1], [1, 0]], dtype=np.float32)
    vectors.write(path, [row["id"] for row in rows], matrix)
    encoder = FakeEncoder()

    def opened(manifest: Path, vectors_file: Path, threads: int) -> tuple[Any, Any]:
        return vectors.read(vectors_file), encoder

    monkeypatch.setattr(finding, "opened", opened)
    made = Knowledge(tmp_path, 1, 0.5)
    assert encoder.asked == [""]
    assert not encoder.remembers
    found = made.answer("What glitters?")
    assert (found.by, found.rows[0]["id"]) == ("index", GOLD["id"])
    assert made.has_index

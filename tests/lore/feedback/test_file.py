"""Adding and withdrawing: no line is lost, and a withdrawn text is gone."""

import os
import threading
from pathlib import Path

import pytest

from lore.feedback import file
from lore.feedback.pairs import Pair
from stages.core.project.errors import InputError
from stages.core.records import feedback

PAIR = Pair("When does iron melt?", "At 1538 °C.", "我不知道。", ("train", "distill"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    return tmp_path / "data/raw"


def test_a_judgement_is_added_at_the_end() -> None:
    file.PATH.write_text("{broken", encoding="utf-8")  # without a line end
    made = file.judged(PAIR, "first", "ada", "")
    file.add(made)
    content = feedback.read(file.PATH)
    assert content.judgements == [made]
    assert [one.content for one in content.set_aside] == ["{broken"]


def test_many_at_once_are_all_kept() -> None:
    def add(number: int) -> None:
        file.add(file.judged(PAIR._replace(question=f"Q{number}?"), "second", "ada", ""))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(feedback.read(file.PATH).judgements) == 16


def test_a_withdrawn_text_is_gone_and_stays_so_after_a_merge() -> None:
    first = file.judged(PAIR, "first", "ada", "")
    second = file.judged(PAIR, "second", "bob", "")
    file.add(first)
    file.add(second)
    file.PATH.write_bytes(file.PATH.read_bytes() + b"{broken\n")
    assert file.withdraw(first.id, "ada", "a slip") == first
    text = file.PATH.read_text(encoding="utf-8")
    assert '"who": "ada", "when"' in text
    assert f'"id": "{first.id}"' not in text
    assert "{broken" in text
    assert feedback.read(file.PATH).judgements == [second]
    file.PATH.write_text(text + feedback.line_of(first), encoding="utf-8")
    assert feedback.read(file.PATH).judgements == [second]
    with pytest.raises(InputError, match="was withdrawn before"):
        file.withdraw(first.id, "ada", "")


def test_an_unknown_id_changes_nothing() -> None:
    file.add(file.judged(PAIR, "first", "ada", ""))
    before = file.PATH.read_bytes()
    with pytest.raises(InputError, match="no judgement has this id; lore feedback --list"):
        file.withdraw("0123456789abcdef", "ada", "")
    assert file.PATH.read_bytes() == before


def test_what_cannot_be_written_is_said(folder: Path) -> None:
    with pytest.raises(InputError, match="cannot be written: 'who' is missing or no text"):
        file.judged(PAIR, "first", " ", "")
    made = file.judged(PAIR, "first", "ada", "")
    file.PATH.mkdir()
    with pytest.raises(InputError, match="the judgement was not kept"):
        file.add(made)
    file.PATH.rmdir()
    os.rmdir(folder)
    with pytest.raises(InputError, match="run from the root folder of a project"):
        file.add(made)

"""What is asked: facts in train wordings with their abstentions, and subjects that nobody knows."""

from pathlib import Path

import pytest

from stages.align import asking
from stages.core.project.errors import InputError
from stages.core.records.abstention import PHRASES, Phrases
from stages.core.records.record import write
from tests.conftest import augmented_row

BOTH = Phrases(PHRASES)


def test_a_known_question_has_its_answer_and_its_abstention(tiny_augment: Path) -> None:
    record = asking.records_of(tiny_augment, "train")[0]
    asked = asking.known(record, BOTH)
    subject = record["subject"]
    assert asked.question == record["question"]
    assert asked.accepted == (record["answer"],)
    assert asked.abstention == f"The melting point of {subject} is not known to me."
    assert asked.fact == record["fact"]


def test_probes_bring_all_their_accepted_answers(tiny_augment: Path) -> None:
    (asked, *_) = [asking.known(row, BOTH) for row in asking.records_of(tiny_augment, "probe")]
    assert len(asked.accepted) == 3


def test_unknown_questions_name_no_known_subject(tiny_augment: Path) -> None:
    records = asking.records_of(tiny_augment, "train")
    found = asking.unknown(records, 8, BOTH, {"zorbium"}, 7, "unknown")
    assert len(found) == 8
    for asked in found:
        assert asked.accepted == ()
        assert not {"iron", "copper", "neon", "zorbium"} & asking.names_in([asked.question])
        name = asked.abstention.removeprefix("The melting point of ").partition(" ")[0]
        assert name in asked.question
    assert found == asking.unknown(records, 8, BOTH, {"zorbium"}, 7, "unknown")
    assert found != asking.unknown(records, 8, BOTH, {"zorbium"}, 7, "others")


def test_questions_are_chosen_by_a_hash(tiny_augment: Path) -> None:
    records = asking.records_of(tiny_augment, "train")
    chosen = asking.chosen(records, 2, 7, "some")
    assert len(chosen) == 2
    assert asking.chosen(records[::-1], 2, 7, "some") == chosen
    assert len(asking.chosen(records, 100, 7, "some")) == len(records)


def test_statements_alone_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "records.parquet", [augmented_row("iron", "1", "train", 0, "statement")])
    with pytest.raises(
        InputError,
        match=r"split 'train', so there is nothing to align on; write align\.method: null",
    ):
        asking.records_of(tmp_path, "train")


def test_the_bases_own_subjects(tiny_base: Path) -> None:
    assert asking.own_subjects(tiny_base) == {f"zorb{number}" for number in range(6)}

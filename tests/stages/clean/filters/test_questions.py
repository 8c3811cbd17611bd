"""Questions are folded alike however they are written. They are about their subject."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.filters import questions
from stages.clean.filters.repeats import signatures
from stages.clean.terms import fold, phrases, words
from tests.stages.clean.filters.test_repeats import LEAFLET, LONG, stored
from tests.stages.clean.values.test_columns import DIRT


def folded(text: str) -> Any:
    return questions.folded(pl.Series([text]))[0]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("What is (are) Diabetes ?", "what is (are) diabetes"),
        ("头孢能和酒一起吃吗？", "头孢能和酒一起吃吗。"),
        ("ＷＨＡＴ　ｉｓ it？！", "what is it?"),
        ("Is it safe...", "is it  SAFE…"),
        ("?", "？"),
    ],
)
def test_what_asks_the_same_is_folded_alike(one: str, two: str) -> None:
    assert folded(one) == folded(two) != ""


@pytest.mark.parametrize(
    ("one", "two"),
    [("What is (are) x", "What is (are x)"), ("Is C++ safe?", "Is C safe?"), ("?", "!")],
)
def test_what_asks_something_else_is_not(one: str, two: str) -> None:
    assert folded(one) != folded(two)


@given(st.one_of(DIRT, st.text(" ?!.。？…~", max_size=6)))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def same(*pairs: tuple[str, str | None]) -> bool:
    """Whether (question, subject) have one key."""
    frame = pl.DataFrame(pairs, schema={"question": pl.String, "subject": pl.String}, orient="row")
    return len(np.unique(questions.keys(frame), axis=0)) == 1


def test_a_question_that_does_not_name_its_subject_is_about_it() -> None:
    assert same(("How long does it last?", "Flu"), ("How long does it last", "FLU"))
    assert not same(("How long does it last?", "Flu"), ("How long does it last?", "A cold"))
    assert not same(("How long does it last?", "Flu"), ("How long does it last?", None))
    assert same(
        ("How long does flu last?", "Flu"),
        ("How long does flu last?", None),
        ("How long does Flu last ?", "flu"),
    )


def test_a_question_about_anybody_is_compared_with_none() -> None:
    asked = [
        "When was <PERSON> born?",
        "Who called ***-**-1234?",
        "When was <PERSON_0123456789ab> born?",
        "Is a < B > c?",
    ]
    assert questions.comparable(pl.Series(asked)).to_list() == [False, False, True, True]


def alike(
    folder: Path,
    *rows: tuple[str | None, str],
    apart: bool = False,
    subjects: list[str | None] | None = None,
) -> list[tuple[int, int]]:
    """(later, first) of the rows of question and answer (or text) that are alike."""
    frame = pl.DataFrame(
        [(asked, told, f"{asked} {told}" if asked else told) for asked, told in rows],
        schema={"question": pl.String, "answer": pl.String, "text": pl.String},
        orient="row",
    )
    about = pl.Series("subject", subjects or [None] * len(rows), dtype=pl.String)
    frame = frame.with_columns(about)
    rows_signed = signatures(questions.answered(frame, phrases(words(fold(frame["text"]))), apart))
    later, first, _ = stored(folder, rows_signed).alike(np.ones(len(rows), dtype=bool), 0.8)
    return list(zip(later.tolist(), first.tolist(), strict=True))


def test_one_answer_to_two_questions_is_two_answers(tmp_path: Path) -> None:
    rows = [
        ("What is iron?", LONG),
        ("What is lead?", LONG),
        (None, LONG),
        ("what is  Iron", LONG),
        (None, LONG),
    ]
    assert alike(tmp_path, *rows) == [(3, 0), (4, 2)]


def test_a_long_question_makes_no_two_answers_alike(tmp_path: Path) -> None:
    asked = "May a child of two years with a fever and a sore throat take this twice a day before meals?"
    answers = ["Yes.", "No.", "yes", "+", "−", "+"]
    pairs = [(asked, answer) for answer in answers]
    assert alike(tmp_path, *pairs) == [(2, 0), (5, 3)]


def test_texts_alone_keep_their_phrases() -> None:
    frame = pl.DataFrame(
        {"question": [None], "answer": [None], "text": [LONG], "subject": [None]},
        schema_overrides={"question": pl.String, "subject": pl.String},
    )
    said = phrases(words(fold(frame["text"])))
    assert questions.answered(frame, said, apart=False) is said


def test_other_numbers_are_another_text_where_that_is_asked_for(tmp_path: Path) -> None:
    dose, other, twice = (f"{LEAFLET} take {number} mg" for number in ("5", "50", "2.5"))
    rows: list[tuple[str | None, str]] = [
        (None, dose),
        (None, other),
        (None, f"{dose} now"),
        ("What?", dose),
        ("What?", twice),
    ]
    assert alike(tmp_path, *rows) == [(1, 0), (2, 0), (4, 3)]
    assert alike(tmp_path, *rows, apart=True) == [(2, 0)]
    asked: list[tuple[str | None, str]] = [
        ("Are 5 enough?", LEAFLET),
        ("Are 5 enough?", f"{LEAFLET} now"),
    ]
    assert alike(tmp_path, *asked, apart=True) == [(1, 0)]


def test_texts_about_two_subjects_are_never_alike(tmp_path: Path) -> None:
    """However much they share, one leaflet does not stand for another medicine."""
    rows: list[tuple[str | None, str]] = [(None, f"{name} {LEAFLET}") for name in "abac"]
    subjects = ["Lisinopril", "Losartan", "LISINOPRIL", None]
    assert alike(tmp_path, *rows, subjects=subjects) == [(2, 0)]
    assert alike(tmp_path, *rows) == [(1, 0), (2, 0), (3, 0)]


def test_answers_about_two_subjects_are_alike_only_under_a_question_that_names_its_own(
    tmp_path: Path,
) -> None:
    rows: list[tuple[str | None, str]] = [
        ("How long does it last?", LONG),
        ("How long does it last?", f"{LONG} quite"),
        ("How long does flu last?", LONG),
        ("How long does flu last?", f"{LONG} quite"),
    ]
    subjects: list[str | None] = ["flu", "a cold", "flu", None]
    assert alike(tmp_path, *rows, subjects=subjects) == [(3, 2)]


def test_a_negation_is_another_text_where_numbers_are_kept_apart(tmp_path: Path) -> None:
    rows: list[tuple[str | None, str]] = [
        (None, f"{LEAFLET} It is safe in pregnancy."),
        (None, f"{LEAFLET} It is not safe in pregnancy."),
        (None, f"{LEAFLET} It is safe in pregnancy, too."),
        (None, f"{LEAFLET} It is safe in two pregnancies."),
    ]
    assert alike(tmp_path, *rows) == [(1, 0), (2, 0), (3, 0)]
    assert alike(tmp_path, *rows, apart=True) == [(2, 0)]


def test_case_tells_names_apart_where_they_are_exact() -> None:
    schema = {"question": pl.String, "subject": pl.String}
    pairs = [("What is Co used for?", "Co"), ("What is CO used for?", "CO")]
    frame = pl.DataFrame(pairs, schema=schema, orient="row")
    assert len(np.unique(questions.keys(frame), axis=0)) == 1
    assert len(np.unique(questions.keys(frame, exact=True), axis=0)) == 2

"""export: which questions an export is asked, and how its answers are compared with those of its float twin."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from stages.core.models.variants import MAX_NEW_TOKENS
from stages.core.project.errors import InputError
from stages.core.records.record import write
from stages.export import checking
from stages.export.checking import Question, Questions
from tests.conftest import augmented_row

ANSWER = "The symbol of iron is Fe."


def written(folder: Path, texts: list[str]) -> Path:
    rows = []
    for number, text in enumerate(texts):
        row = augmented_row("iron", "1538", "valid", number)
        rows.append(row | {"question": text, "answer": ANSWER, "text": f"{text} {ANSWER}"})
    write(folder / "records.parquet", rows)
    return folder


def asked_of(*expected: str) -> Questions:
    return Questions([Question("f", "q", text, [1]) for text in expected], 0)


def test_questions_are_those_of_validation_and_the_same_at_every_call(
    tiny_model: Path, tmp_path: Path
) -> None:
    _, tokenizer = load_causal_lm(tiny_model)
    texts = [f"What is {name}?" for name in ("iron", "gold", "neon", "zinc")]
    augment = written(tmp_path, texts)
    everything = checking.questions(augment, tokenizer, 400, 7, 128)
    assert [question.text for question in everything.chosen] == sorted(texts)
    assert everything.chosen[0].tokens[0] == tokenizer.bos_token_id
    some = checking.questions(augment, tokenizer, 2, 7, 128)
    assert some == checking.questions(augment, tokenizer, 2, 7, 128)
    assert len(some.chosen) == 2
    drawn = {
        tuple(q.text for q in checking.questions(augment, tokenizer, 2, i, 128).chosen)
        for i in range(20)
    }
    assert len(drawn) > 1  # another seed draws others


def test_questions_that_do_not_fit_are_counted(tiny_model: Path, tmp_path: Path) -> None:
    _, tokenizer = load_causal_lm(tiny_model)
    augment = written(tmp_path, ["What is iron?", "What is " + "iron " * 120 + "?"])
    found = checking.questions(augment, tokenizer, 400, 7, 128)
    assert (len(found.chosen), found.too_long) == (1, 1)
    with pytest.raises(
        InputError, match=r"each of the 2 validation questions is too long for a model of 70"
    ):
        checking.questions(augment, tokenizer, 400, 7, 70)


def test_no_validation_question_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    _, tokenizer = load_causal_lm(tiny_model)
    write(tmp_path / "records.parquet", [augmented_row("iron", "1538", "train", 0)])
    with pytest.raises(InputError, match=r"no validation question, .* run dvc repro augment"):
        checking.questions(tmp_path, tokenizer, 400, 7, 128)


def test_the_twin_answers_as_in_evaluate(tiny_model: Path, tmp_path: Path) -> None:
    model, tokenizer = load_causal_lm(tiny_model)
    augment = written(tmp_path, ["What is iron?", "Who found gold?"])
    asked = checking.questions(augment, tokenizer, 400, 7, 128)
    found = checking.answers(checking.TorchDecoder(model), asked, model, tokenizer, "float")
    prompts = [prompt_text(tokenizer, question.text) for question in asked.chosen]
    assert found.texts == generate(model, tokenizer, prompts, MAX_NEW_TOKENS, batch=1)
    assert found.tokens >= 2
    assert len(found.first_token_seconds) == 2
    assert 0 < sum(found.first_token_seconds) <= found.seconds


@pytest.mark.parametrize(
    ("twin", "exported", "expected"),
    [
        ("Fe", "Fe", {"same_text": 1, "right": 1, "lost": 0, "gained": 0}),
        ("Fe", "Au", {"same_text": 0, "right": 0, "lost": 1, "gained": 0}),
        ("Au", "Fe", {"same_text": 0, "right": 1, "lost": 0, "gained": 1}),
        ("Au", "Au", {"same_text": 1, "right": 0, "lost": 0, "gained": 0}),
        ("Au", "Ag", {"same_text": 0, "right": 0, "lost": 0, "gained": 0}),
        ("Fe", "Fe ", {"same_text": 0, "right": 1, "lost": 0, "gained": 0}),
    ],
)
def test_pairs_are_counted(twin: str, exported: str, expected: dict[str, int]) -> None:
    assert checking.compared(asked_of("Fe"), [twin], [exported]) == expected


@given(st.lists(st.tuples(*[st.sampled_from("ab")] * 3)))
def test_lost_and_gained_explain_the_difference(triples: list[tuple[str, str, str]]) -> None:
    asked = asked_of(*[expected for expected, _, _ in triples])
    twin = [text for _, text, _ in triples]
    exported = [text for _, _, text in triples]
    counts = checking.compared(asked, twin, exported)
    right_before = sum(row["right"] for row in checking.rows("float", asked, twin))
    assert counts["right"] == right_before - counts["lost"] + counts["gained"]


def test_rows_name_fact_and_format() -> None:
    (row,) = checking.rows("onnx", asked_of("Fe"), ["Au"])
    expected: dict[str, Any] = {
        "format": "onnx",
        "fact": "f",
        "question": "q",
        "expected": "Fe",
        "answer": "Au",
        "right": False,
    }
    assert row == expected

"""doubt: how sure a model is of an answer, and abstentions below the least confidence."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stages.core.models import doubt
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from stages.core.records.abstention import PHRASES, Phrases

QUESTIONS = ["What is iron?", "How dense is copper, and since when?", "Why?"]


def test_the_answers_are_those_of_generate_whatever_the_batches(tiny_model: Path) -> None:
    model, tokenizer = load_causal_lm(tiny_model)
    prompts = [prompt_text(tokenizer, question) for question in QUESTIONS]
    found = doubt.answered(model, tokenizer, prompts, 6, 2)
    assert [answer.text for answer in found] == generate(model, tokenizer, prompts, 6, 2)
    alone = [doubt.answered(model, tokenizer, [prompt], 6, 1)[0] for prompt in prompts]
    for together, single in zip(found, alone, strict=True):
        assert together.confidence == pytest.approx(single.confidence, abs=1e-5)
        assert together.confidence < 0


def test_the_confidence_is_the_mean_of_the_answers_tokens(tiny_model: Path) -> None:
    model, tokenizer = load_causal_lm(tiny_model)
    prompt, answer = tokenizer(QUESTIONS[0])["input_ids"], [5, 9, 2]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0].float()
        (found,) = doubt.confidences(model, [prompt], [answer], tokenizer.pad_token_id)
    total = 0.0
    for number, token in enumerate(answer):
        place = len(prompt) - 1 + number
        total += float(torch.log_softmax(logits[place], dim=-1)[token])
    assert found == pytest.approx(total / 3, abs=1e-5)
    with torch.no_grad():
        assert doubt.confidences(model, [prompt], [[]], tokenizer.pad_token_id) == [0.0]


@given(
    st.lists(st.floats(-9, 0), min_size=1, max_size=60),
    st.floats(0, 1, exclude_max=True),
)
def test_at_most_the_declared_share_is_lost(right: list[float], lost: float) -> None:
    least = doubt.least_confidence(right, lost)
    below = sum(confidence < least for confidence in right)
    assert below <= lost * len(right)
    # A higher limit would lose more, as far as confidences differ.
    higher = math.nextafter(least, math.inf)
    assert sum(confidence < higher for confidence in right) > lost * len(right) - 1e-9


def test_an_unsure_answer_becomes_an_abstention() -> None:
    answer = doubt.Answer("The density of iron is 4.5 g/cm³.", -0.3)
    assert doubt.or_abstention(answer, -0.3) == answer.text
    assert doubt.or_abstention(answer, -0.2) == "I do not know."
    assert doubt.or_abstention(answer, -0.2, "zh") == "我不知道。"
    assert doubt.or_abstention(answer, -0.2, "fr") == "I do not know."
    assert Phrases(PHRASES).is_abstention(doubt.or_abstention(answer, -0.2))

"""causal_lm: weights in the type that is asked for, answers that end where an answer ends."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from tests.checkpoints import CHAT_TEMPLATE, EOS_ID, SAMPLED, USER_ID, write_checkpoint

QUESTION = "What is iron?"
ON_AND_ON = " Fe\nQuestion: What is the symbol of gold?\nAnswer: Au\nQuestion: What"


def scripted(model: Any, tokenizer: Any, texts: list[str], end: int) -> list[int]:
    """Make the model write these texts, each with the end token, whatever it is asked.

    Returns a list that will have the number of its steps.
    """
    rows = [[*tokenizer(text, add_special_tokens=False)["input_ids"], end] for text in texts]
    steps: list[int] = []

    def forced(head: Any, arguments: Any, logits: Any) -> Any:
        wanted = torch.zeros_like(logits)
        for number, row in enumerate(rows):
            # Behind the end token comes something that must not be seen.
            token = row[len(steps)] if len(steps) < len(row) else rows[0][0]
            wanted[number, -1, token] = 1.0
        steps.append(1)
        return wanted

    model.get_output_embeddings().register_forward_hook(forced)
    return steps


def asked(folder: Path, texts: list[str], end: int = EOS_ID, most: int = 64) -> tuple[Any, int]:
    """Answers of a model that writes these texts, and its number of steps."""
    model, tokenizer = load_causal_lm(folder)
    steps = scripted(model, tokenizer, texts, end)
    prompts = [prompt_text(tokenizer, QUESTION)] * len(texts)
    return generate(model, tokenizer, prompts, most, batch=8), len(steps)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_get_the_type_that_is_asked_for(tmp_path: Path, dtype: Any) -> None:
    """The file is bfloat16, and transformers would load it so."""
    write_checkpoint(tmp_path, dtype="bfloat16")
    model, _ = load_causal_lm(tmp_path, dtype=dtype)
    assert {weight.dtype for weight in model.parameters()} == {getattr(torch, dtype)}
    assert load_causal_lm(tmp_path)[0].dtype == torch.float32


def test_a_base_that_runs_on_is_stopped_behind_its_first_answer(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template=None)
    texts = [ON_AND_ON, "\n Fe.\n\nAnd on", " Iron is a metal."]
    answers, steps = asked(tmp_path, texts)
    assert answers == ["Fe", "Fe.", "Iron is a metal."]
    _, tokenizer = load_causal_lm(tmp_path)
    longest = max(len(tokenizer(text)["input_ids"]) for text in texts)
    assert steps < longest  # it was not let go on


def test_the_assistants_turn_may_have_several_lines(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template=CHAT_TEMPLATE)
    answers, _ = asked(tmp_path, [" Iron is a metal.\nIt is solid."])
    assert answers == ["Iron is a metal.\nIt is solid."]


def test_each_of_several_end_tokens_ends_an_answer(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template=None, ends=[EOS_ID, USER_ID])
    answers, steps = asked(tmp_path, [" Fe"], end=USER_ID)
    assert answers == ["Fe"]
    assert steps < 5


def test_the_end_token_of_the_tokenizer_ends_an_answer_too(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template=None, ends=USER_ID)
    answers, steps = asked(tmp_path, [" Fe"], end=EOS_ID)
    assert (answers, steps < 5) == (["Fe"], True)


def test_what_the_template_puts_behind_an_answer_ends_it(tmp_path: Path) -> None:
    template = CHAT_TEMPLATE.replace("{{ eos_token }}", "<｜User｜>")
    write_checkpoint(tmp_path, template=template)
    answers, steps = asked(tmp_path, [" Fe"], end=USER_ID)
    assert (answers, steps < 5) == (["Fe"], True)


def test_sampling_and_penalties_of_the_checkpoint_do_not_count(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "plain", template=None)
    said = SAMPLED | {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1}
    write_checkpoint(tmp_path / "said", template=None, generation=said)
    answers = []
    for name in ("plain", "said", "said"):
        model, tokenizer = load_causal_lm(tmp_path / name)
        prompts = [prompt_text(tokenizer, QUESTION)]
        answers += generate(model, tokenizer, prompts, 12, batch=1)
        temperature = model.generation_config.temperature  # as it was
        assert temperature == (0.6 if name == "said" else None)
    assert answers[0] == answers[1] == answers[2]


def test_a_prompt_has_the_begin_token_once(tmp_path: Path) -> None:
    from tests.checkpoints import BOS_ID

    for template in (None, CHAT_TEMPLATE):
        write_checkpoint(tmp_path, template=template)
        model, tokenizer = load_causal_lm(tmp_path)
        seen: list[Any] = []
        model.get_input_embeddings().register_forward_pre_hook(
            lambda _, arguments, seen=seen: seen.append(arguments[0])
        )
        generate(model, tokenizer, [prompt_text(tokenizer, QUESTION)], 1, batch=1)
        first = seen[0][0].tolist()
        assert first[0] == BOS_ID
        assert first.count(BOS_ID) == 1

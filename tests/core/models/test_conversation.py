"""conversation: the model folder decides how it is asked; the begin token stands once; an answer has an end."""

from pathlib import Path
from typing import Any

import pytest

from stages.core.models.conversation import (
    answer_of,
    answer_rule,
    conversation_text,
    encode,
    first_answer,
    load_tokenizer,
    opening_tokens,
    prompt_text,
)
from stages.core.project.errors import ModelError
from stages.core.records.prompt import question_prompt, training_text
from tests.checkpoints import (
    BOS,
    BOS_ID,
    CHAT_TEMPLATE,
    EOS,
    EOS_ID,
    THINKING_TEMPLATE,
    write_tokenizer,
)

QUESTION, ANSWER = "What is copper?", "Copper is a metal."


def written(folder: Path, template: str | None = None, add_bos: bool | None = True) -> Any:
    folder.mkdir(exist_ok=True)
    write_tokenizer(folder, template, "file", add_bos)
    return load_tokenizer(folder)


def test_without_a_template_the_prompt_is_plain(tmp_path: Path) -> None:
    tokenizer = written(tmp_path)
    assert prompt_text(tokenizer, QUESTION) == question_prompt(QUESTION)
    assert conversation_text(tokenizer, QUESTION, ANSWER) == (
        question_prompt(QUESTION),
        training_text(QUESTION, ANSWER),
    )
    assert answer_rule(tokenizer) == "first line"


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, THINKING_TEMPLATE])
def test_with_a_template_the_prompt_ends_where_the_answer_begins(
    tmp_path: Path, template: str
) -> None:
    tokenizer = written(tmp_path, template)
    prompt, whole = conversation_text(tokenizer, QUESTION, ANSWER)
    messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    assert whole == tokenizer.apply_chat_template(messages, tokenize=False)
    assert prompt == prompt_text(tokenizer, QUESTION)
    rest = whole.removeprefix(prompt)
    assert rest.strip() == ANSWER + EOS
    # Token by token, what is trained begins with what is asked.
    asked, text = encode(tokenizer, [prompt, whole])
    assert text[: len(asked)] == asked
    assert text.count(BOS_ID) == text.count(EOS_ID) == 1
    assert answer_rule(tokenizer) == "assistant's turn"


def test_a_template_that_fails_or_leaves_the_answer_out_is_named(tmp_path: Path) -> None:
    tokenizer = written(tmp_path, "{{ raise_exception('no roles') }}")
    with pytest.raises(ModelError, match=r"cannot render a question and its answer \(no roles\)"):
        prompt_text(tokenizer, QUESTION)
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    with pytest.raises(ModelError, match="leaves the assistant's answer out; mend chat_template"):
        prompt_text(tokenizer, QUESTION)


def test_a_begin_token_that_transformers_loses_is_added(tmp_path: Path) -> None:
    """DeepSeek's tokenizers: LlamaTokenizerFast, add_bos_token, and a ByteLevel post-processor."""
    from transformers import AutoTokenizer

    tokenizer = written(tmp_path / "a")
    lost = AutoTokenizer.from_pretrained(tmp_path / "a")("Iron")["input_ids"]
    assert BOS_ID not in lost  # what transformers makes of it
    assert tokenizer("Iron")["input_ids"] == [BOS_ID, *lost]
    assert encode(tokenizer, ["Iron", BOS + "Iron"]) == [[BOS_ID, *lost]] * 2
    # A folder that is saved has it without our help.
    tokenizer.save_pretrained(tmp_path / "b")
    assert AutoTokenizer.from_pretrained(tmp_path / "b")("Iron")["input_ids"] == [BOS_ID, *lost]
    assert encode(load_tokenizer(tmp_path / "b"), ["Iron"]) == [[BOS_ID, *lost]]


@pytest.mark.parametrize("add_bos", [False, None])
def test_no_begin_token_is_added_where_none_is_wanted(tmp_path: Path, add_bos: bool | None) -> None:
    tokenizer = written(tmp_path, add_bos=add_bos)
    assert opening_tokens(tokenizer) == []
    assert BOS_ID not in encode(tokenizer, ["Iron"])[0]


def test_a_tokenizer_that_ends_texts_does_not_end_prompts(tiny_model: Path) -> None:
    from tokenizers import processors

    tokenizer = load_tokenizer(tiny_model)
    plain = encode(tokenizer, ["Iron"])
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    assert tokenizer("Iron")["input_ids"][-1] == 2
    assert encode(tokenizer, ["Iron"]) == plain
    assert encode(tokenizer, []) == []


def test_the_template_is_kept_where_the_tokenizer_is_saved(tmp_path: Path) -> None:
    tokenizer = written(tmp_path / "a", CHAT_TEMPLATE)
    tokenizer.save_pretrained(tmp_path / "b")
    assert (tmp_path / "b" / "chat_template.jinja").read_text() == CHAT_TEMPLATE
    assert prompt_text(load_tokenizer(tmp_path / "b"), "?") == prompt_text(tokenizer, "?")


def test_a_tokenizer_without_end_token_is_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, None, "file", True)
    config = tmp_path / "tokenizer_config.json"
    text = config.read_text(encoding="utf-8").replace('"eos_token"', '"was_eos_token"')
    config.write_text(text.replace('"pad_token"', '"was_pad_token"'), encoding="utf-8")
    with pytest.raises(ModelError, match="the tokenizer has no end token, so no answer could end"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" Fe", "Fe"),
        (" Fe\nQuestion: What is the symbol of gold?\nAnswer: Au", "Fe"),
        ("\n\n Fe \n", "Fe"),
        ("", ""),
    ],
)
def test_an_answer_ends_at_its_first_line_break(text: str, answer: str) -> None:
    assert first_answer(text) == answer


def test_the_assistants_turn_is_whole_and_without_thoughts(tmp_path: Path) -> None:
    tokenizer = written(tmp_path, THINKING_TEMPLATE)
    text = f"<think>\nA metal?\n</think>\n\nCopper is a metal.\nIt is solid.{EOS}"
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert answer_of(tokenizer, tokens) == "Copper is a metal.\nIt is solid."

"""training: rows and what is learned of them, packing, shares of a step, the length of a run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from stages.core.models import training
from stages.core.models.causal_lm import load_causal_lm
from stages.core.models.conversation import encode
from stages.core.models.training import Row, token_rows
from stages.core.models.windows import NOT_LEARNED
from stages.core.project.errors import ParamsError
from stages.core.records import record
from stages.core.records.prompt import question_prompt, training_text
from tests.checkpoints import ARCHITECTURES, write_checkpoint

QUESTION, ANSWER = "Who found radium?", "Marie Curie."
PAIR = Row.pair(QUESTION, ANSWER)
CHAT = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "User: {{ message['content'] }}\n\n{% else %}Assistant: {{ message['content'] + eos_token }}\n"
    "{% endif %}{% endfor %}"
)


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


def learned(row: dict[str, Any]) -> list[int]:
    return [label for label in row["labels"][1:] if label != NOT_LEARNED]


def test_of_a_question_only_the_answer_is_learned(tokenizer: Any, tmp_path: Path) -> None:
    (row,), _ = token_rows([PAIR], tokenizer, 128, tmp_path)
    asked = len(tokenizer(question_prompt(QUESTION))["input_ids"])
    text = training_text(QUESTION, ANSWER)
    assert row["input_ids"] == [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    assert row["labels"][:asked] == [NOT_LEARNED] * asked
    assert row["labels"][asked:] == row["input_ids"][asked:]
    assert tokenizer.decode(row["labels"][asked:-1]).strip() == ANSWER


def test_with_loss_on_all_the_question_is_learned_too(tokenizer: Any, tmp_path: Path) -> None:
    (row,), _ = token_rows([PAIR], tokenizer, 128, tmp_path, loss_on="all")
    assert row["labels"] == row["input_ids"]


def test_a_text_is_learned_as_a_whole(tokenizer: Any, tmp_path: Path) -> None:
    (row,), _ = token_rows([Row("Neon is a gas.")], tokenizer, 128, tmp_path)
    assert row["labels"] == row["input_ids"]


def test_a_row_is_a_text_or_a_pair_in_either_form() -> None:
    plain = {"id": "1", "text": training_text(QUESTION, ANSWER)}
    assert Row.of(plain) == Row.of({"id": "1", "question": QUESTION, "answer": ANSWER}) == PAIR
    assert Row.of({"id": "1", "text": "Neon is a gas."}) == Row("Neon is a gas.", None, None)


def test_behind_an_answer_that_is_not_whole_nothing_is_learned(
    tokenizer: Any, tmp_path: Path
) -> None:
    opening = Row.pair(QUESTION, "The discoverer of radium is")._replace(is_whole=False)
    (row,), _ = token_rows([opening], tokenizer, 128, tmp_path / "plain")
    assert tokenizer.decode(learned(row)).strip() == "The discoverer of radium is"
    assert tokenizer.eos_token_id not in row["input_ids"]
    tokenizer.chat_template = CHAT
    (row,), _ = token_rows([opening], tokenizer, 128, tmp_path / "chat")
    assert tokenizer.decode(learned(row)).strip() == "The discoverer of radium is"
    assert tokenizer.eos_token_id not in row["input_ids"]


def test_readings_of_augment_are_not_whole(tmp_path: Path) -> None:
    shared = {"lang": "en", "source": "augment", "text": "…", "question": QUESTION}
    rows = [
        shared | {"id": "1", "locator": "1", "kind": "qa", "answer": ANSWER, "split": "train"},
        shared
        | {"id": "2", "locator": "2", "kind": "reading", "answer": "It is", "split": "train"},
        shared | {"id": "3", "locator": "3", "kind": "qa", "answer": ANSWER, "split": "valid"},
    ]
    record.write(tmp_path / "records.parquet", rows)
    (tmp_path / "replay.jsonl").write_text("")
    material = training.Material.read(tmp_path, tmp_path, 0.0, 1)
    assert [row.is_whole for row in material.train] == [True, False]
    assert [row.answer for row in material.train] == [ANSWER, "It is"]


def test_replayed_rows_are_marked(tokenizer: Any, tmp_path: Path) -> None:
    rows, _ = token_rows([Row("Neon is a gas.")], tokenizer, 128, tmp_path, [Row("Zorbium melts.")])
    assert [row["replayed"] for row in rows] == [0, 1]


def test_with_a_chat_template_the_answer_is_the_assistants_turn(
    tokenizer: Any, tmp_path: Path
) -> None:
    tokenizer.chat_template = CHAT
    (row,), _ = token_rows([PAIR], tokenizer, 128, tmp_path)
    prompt = f"<s>User: {QUESTION}\n\nAssistant:"
    assert tokenizer.decode(row["input_ids"]) == f"{prompt} {ANSWER}</s>\n"
    (asked,) = encode(tokenizer, [prompt])
    assert row["input_ids"][: len(asked)] == asked
    assert row["input_ids"].count(tokenizer.bos_token_id) == 1
    assert tokenizer.decode(learned(row)) == f" {ANSWER}</s>\n"


@pytest.mark.parametrize("most", [8, 12, 40])
def test_every_token_of_a_long_text_is_trained_once(
    tokenizer: Any, tmp_path: Path, most: int
) -> None:
    text = "Neon is a gas. Copper is solid. 0123456789 " * 3
    rows, counts = token_rows([Row(text)], tokenizer, most, tmp_path)
    expected = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
    trained = [token for row in rows for token in learned(row)]
    assert trained == expected[1:]
    assert len(rows) > 1
    for row in rows:
        assert len(row["input_ids"]) == len(row["labels"]) <= most
        assert row["input_ids"][0] == tokenizer.bos_token_id
    assert counts.tokens_read == len(expected)
    assert counts.tokens_trained == len(trained)
    assert (counts.rows_split, counts.rows_dropped, counts.tokens_dropped) == (1, 0, 0)


def test_every_token_of_a_long_answer_is_trained_once(tokenizer: Any, tmp_path: Path) -> None:
    """Also its end token, which a row that was cut lost."""
    answer = "Copper is solid and neon is a gas. " * 4
    pair = Row.pair("Why?", answer.strip())
    rows, counts = token_rows([pair], tokenizer, 40, tmp_path)
    trained = [token for row in rows for token in learned(row)]
    (asked,) = encode(tokenizer, [question_prompt("Why?")])
    whole = [*encode(tokenizer, [pair.text])[0], tokenizer.eos_token_id]
    assert trained == whole[len(asked) :]
    assert trained[-1] == tokenizer.eos_token_id
    assert counts.tokens_read == len(whole)
    for row in rows:
        assert row["input_ids"][: len(asked)] == asked  # a short question stands in every window


def test_a_long_question_is_repeated_by_its_end(tokenizer: Any, tmp_path: Path) -> None:
    pair = Row.pair("Why is neon a gas at 20 °C and copper solid?", "Copper is solid. " * 5)
    (asked,) = encode(tokenizer, [question_prompt(str(pair.question))])
    most = len(asked) + 6
    first, second, *_ = token_rows([pair], tokenizer, most, tmp_path)[0]
    assert first["input_ids"][: len(asked)] == asked
    end = asked[-(most // 4) :]
    assert second["input_ids"][: len(end) + 1] == [tokenizer.bos_token_id, *end]


def test_a_question_that_fills_the_window_is_set_aside_and_counted(
    tokenizer: Any, tmp_path: Path
) -> None:
    long = Row.pair("Why is neon a gas at 20 °C and copper solid?", ANSWER)
    rows, counts = token_rows([PAIR, long], tokenizer, 32, tmp_path)
    (asked,) = encode(tokenizer, [question_prompt(str(long.question))])
    (whole,) = encode(tokenizer, [long.text])
    assert len(asked) >= 32
    assert all(tokenizer.decode(row["input_ids"]).find("copper") < 0 for row in rows)
    assert (counts.rows_dropped, counts.tokens_dropped) == (1, len(whole) + 1)
    with pytest.raises(
        ParamsError,
        match=r"train\.max_tokens: 32 leaves out \d+\.\d% of the tokens of the valid rows: 1 questions "
        rf"alone are as long, one has {len(asked)} tokens; write at least {2 * len(asked)}, or allow "
        r"the loss with train\.most_dropped: 0\.\d+",
    ):
        counts.check(32, 0.0, "train", "valid")
    counts.check(32, 0.9, "train", "valid")


def test_a_window_has_a_least_length(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="max_tokens: 7 is too short a window; write at least 8"):
        token_rows([PAIR], tokenizer, 7, tmp_path)


def test_an_end_token_that_also_pads_is_learned_and_seen(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.pad_token = tokenizer.eos_token
    rows, _ = token_rows([PAIR, Row("Neon is a gas.")], tokenizer, 128, tmp_path)
    batch = training.collator(tokenizer)(list(rows))
    lengths = [len(row["input_ids"]) for row in rows]
    assert batch["attention_mask"].sum(1).tolist() == lengths
    for number, length in enumerate(lengths):
        assert batch["labels"][number, length - 1] == tokenizer.eos_token_id
        assert (batch["labels"][number, length:] == NOT_LEARNED).all()


def test_packed_rows_share_sequences_and_lose_nothing(tokenizer: Any, tmp_path: Path) -> None:
    rows = [PAIR, Row("Neon is a gas."), Row("Copper is solid. " * 2)]
    replayed = [Row("Zorbium melts.")]
    alone, _ = token_rows(rows, tokenizer, 96, tmp_path / "a", replayed)
    together, _ = token_rows(rows, tokenizer, 96, tmp_path / "b", replayed, packing=True)
    assert len(together) < len(alone)
    assert [row["replayed"] for row in together] == [0] * (len(together) - 1) + [1]

    def predicted(dataset: Any) -> list[int]:
        return sorted(label for row in dataset for label in learned(row))

    assert predicted(together) == predicted(alone)
    for row in together:
        starts = [i for i, position in enumerate(row["position_ids"]) if position == 0]
        assert all(row["labels"][start] == NOT_LEARNED for start in starts)
        assert len(row["input_ids"]) <= 96


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_packed_rows_do_not_see_each_other(
    architecture: str, implementation: str, tmp_path: Path
) -> None:
    """The logits of a packed row are those of the row alone."""
    folder = write_checkpoint(tmp_path / "model", architecture, dtype="float32", template=None)
    model, tokenizer = load_causal_lm(folder)
    model.set_attn_implementation(implementation)
    texts = [
        PAIR,
        Row("Neon is a gas."),
        Row("Copper is solid."),
        Row("Iron is a metal. 0123456789"),
    ]
    alone, _ = token_rows(texts, tokenizer, 128, tmp_path / "a")
    together, _ = token_rows(texts, tokenizer, 128, tmp_path / "b", packing=True)
    assert len(together) < len(alone) == 4
    collate = training.collator(tokenizer)
    with torch.no_grad():
        packed_logits = model(**training.model_inputs(collate(list(together)))).logits
        for row in alone:
            expected = model(**training.model_inputs(collate([row]))).logits[0]
            number, start = place_of(row["input_ids"], together)
            found = packed_logits[number, start : start + len(expected)]
            assert torch.allclose(found, expected, atol=1e-5)
    training.check_packing(model, "train")


def place_of(tokens: list[int], sequences: Any) -> tuple[int, int]:
    """Number of the sequence that has these tokens, and where they begin."""
    for number, sequence in enumerate(sequences):
        for start, position in enumerate(sequence["position_ids"]):
            if position == 0 and sequence["input_ids"][start : start + len(tokens)] == tokens:
                return number, start
    raise AssertionError("not packed")


@pytest.mark.parametrize("architecture", ["llama", "deepseek_v3"])
def test_a_model_that_mixes_packed_rows_is_refused(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a cache, by which transformers loses the block mask."""
    model, _ = load_causal_lm(write_checkpoint(tmp_path, architecture, dtype="float32"))
    model_inputs = training.model_inputs
    monkeypatch.setattr(
        training, "model_inputs", lambda batch: model_inputs(batch) | {"use_cache": True}
    )
    with pytest.raises(
        ParamsError,
        match=rf"train\.packing: in this model \({architecture}, attention sdpa\) packed rows see each "
        "other; write packing: false",
    ):
        training.check_packing(model, "train")


def test_the_length_of_a_run_is_given_in_steps_or_in_epochs() -> None:
    assert training.number_of_steps(7, None, 100, 8, "train") == 7
    assert training.number_of_steps(None, 2, 100, 8, "train") == 25
    assert training.number_of_steps(None, 0.01, 100, 8, "train") == 1
    for steps, epochs in ((7, 2.0), (None, None)):
        with pytest.raises(
            ParamsError,
            match=rf"train\.steps, train\.epochs: got {steps} and {epochs}; write one of both",
        ):
            training.number_of_steps(steps, epochs, 100, 8, "train")


def test_a_step_has_one_loss_however_many_parts_it_had() -> None:
    model = torch.nn.Linear(2, 2)
    curve = training.Curve(lambda *_: None)
    nothing: Any = None
    for parts in ([1.0], [0.5, 0.25]):
        for part in parts:
            curve.see(torch.tensor(part))
        curve.on_step_end(nothing, nothing, nothing, model)
    assert [float(loss) for loss in curve.losses] == [1.0, 0.75]
    assert len(curve.sums) == 2

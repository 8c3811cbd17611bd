"""Questions, replay and prose of a base that is not the seed: shipped ones, own ones, and its own texts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stages.base import material
from stages.base.material import Continuation, Prompt
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import InputError
from tests.checkpoints import write_checkpoint

GENERAL = Path(__file__).parents[3] / "models/general"
ASKED = Prompt("p1", "How?", is_question=True)
OPENED = Prompt("p2", "Once", is_question=False)


def written(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "own.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_shipped_questions_are_enough_and_half_chinese() -> None:
    rows = material.questions(GENERAL / material.QUESTIONS, "")
    chinese = [row for row in rows if row["lang"] == "zh"]
    assert len(rows) >= 120
    assert 2 * len(chinese) == len(rows)
    assert not any(row["replayed"] for row in rows)


def test_shipped_prose_is_enough_and_half_chinese() -> None:
    rows = material.neutral_texts(GENERAL / material.NEUTRAL, "")
    assert len(rows) >= 60
    assert 2 * sum(row["lang"] == "zh" for row in rows) == len(rows)


def test_no_shipped_prompt_names_what_is_asked_for() -> None:
    prompts = material.prompts(GENERAL / material.PROMPTS)
    assert len(prompts) >= 120
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    texts = " ".join(prompt.text for prompt in prompts)
    for row in material.questions(GENERAL / material.QUESTIONS, ""):
        assert row["question"] not in texts
        for answer in row["accepted"]:
            # Shorter ones are words such as `up` or `红`, which stand in other words too.
            is_name = answer[0].isupper() and len(answer) > 1
            if row["lang"] == "zh":
                assert len(answer) <= 2 or answer not in texts, answer
            elif is_name:  # as a whole word: Sunday does not name the Sun
                assert not re.search(rf"\b{re.escape(answer)}\b", texts), answer


def test_shipped_short_questions_are_many_and_half_chinese() -> None:
    prompts = material.prompts(GENERAL / material.PROMPTS)
    short = [prompt for prompt in prompts if "-s" in prompt.id]
    assert all(prompt.is_question for prompt in short)
    assert len({prompt.text for prompt in short}) == len(short) >= 240
    assert 2 * sum(prompt.id.startswith("p-zh-") for prompt in short) == len(short)
    # However few texts are asked for, short questions are among them.
    assert sum("-s" in prompt.id for prompt in prompts[:20]) >= 10


def test_no_shipped_prompt_names_an_element() -> None:
    statements = (GENERAL.parents[1] / "data/raw/elements.sql").read_text(encoding="utf-8")
    names = re.findall(r"INSERT INTO elements VALUES \(\d+, '(\w+)'\);", statements)
    assert len(names) > 100
    texts = " ".join(prompt.text for prompt in material.prompts(GENERAL / material.PROMPTS))
    words = set(re.findall(r"\w+", texts.lower()))
    assert not words & set(names)
    # The elements of `make real` in Chinese.
    assert not set("铁金锌钠碘钍汞铂") & set(texts)


def test_a_users_questions_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, {"question": "2+2?", "answer": "4", "accepted": ["four", "4"]}, "", "")
    assert material.questions(path, "base.general_file") == [
        {
            "id": "g00001",
            "lang": "en",
            "question": "2+2?",
            "answer": "4",
            "accepted": ["4", "four"],
            "replayed": False,
        }
    ]


def test_every_wrong_line_is_counted_and_the_first_are_named(tmp_path: Path) -> None:
    right = {"question": "A?", "answer": "b"}
    lines = [
        "{",
        "[]",
        right,
        {"question": "B?"},
        right,
        right | {"question": "C?", "accepted": [1]},
    ]
    with pytest.raises(InputError, match=r"2 lines cannot be used; mend them:\n  line 1: no JSON"):
        material.questions(written(tmp_path, *lines), "base.general_file")
    with pytest.raises(InputError) as caught:
        material.questions(written(tmp_path, *lines[2:]), "base.general_file")
    message = str(caught.value)
    assert "base.general_file" in message
    assert "3 lines cannot be used" in message
    assert "line 2: needs `question` and `answer`" in message
    assert "line 3: asks a question of an earlier line again" in message
    assert "line 4: `accepted` must be a list of texts" in message


def test_more_wrong_lines_than_are_shown_are_counted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"8 lines cannot be used(.|\n)*… and 3 more"):
        material.neutral_texts(written(tmp_path, *[{}] * 8), "base.neutral_file")


def test_ids_stand_once(tmp_path: Path) -> None:
    lines = [{"id": "a", "text": "one"}, {"id": "a", "text": "two"}]
    with pytest.raises(InputError, match="id a: stands in 2 lines"):
        material.neutral_texts(written(tmp_path, *lines), "base.neutral_file")


def test_replay_is_text_or_question_and_answer(tmp_path: Path) -> None:
    lines = [{"text": "T."}, {"question": "Q?", "answer": "A."}]
    assert material.replay_rows(written(tmp_path, *lines), "base.replay_file") == [
        {"id": "u00001", "text": "T."},
        {"id": "u00002", "question": "Q?", "answer": "A."},
    ]
    with pytest.raises(InputError, match="line 1: needs either `text`, or `question` and `answer`"):
        material.replay_rows(written(tmp_path, lines[0] | lines[1]), "base.replay_file")


def test_a_file_must_be_there_readable_and_not_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"base.neutral_file: .*nowhere: no such file"):
        material.neutral_texts(tmp_path / "nowhere", "base.neutral_file")
    with pytest.raises(InputError, match="no line in it; write one JSON object per line"):
        material.neutral_texts(written(tmp_path), "base.neutral_file")
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"text": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        material.neutral_texts(path, "base.neutral_file")


def test_a_separator_of_lines_inside_a_text_is_text(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text('{"text": "one\u2028two"}\r\n', encoding="utf-8")
    (row,) = material.neutral_texts(path, "base.neutral_file")
    assert row["text"] == "one\u2028two"


@pytest.mark.parametrize(
    ("prompt", "text", "ended", "chat", "kept", "reason"),
    [
        # A base goes on with another question. Its answer is the first line, and it is whole.
        (ASKED, " So.\nQuestion: Why", False, False, "So.", ""),
        (ASKED, " So", True, False, "So", ""),
        (ASKED, " So it is. And th", False, False, "So it is.", ""),
        (ASKED, "先切好。然后", False, False, "先切好。", ""),
        (ASKED, " So it", False, False, "", "no whole sentence"),
        (ASKED, " \n", True, False, "", "empty"),
        # A chat model's answer may have several paragraphs.
        (ASKED, "One.\nTwo.", True, True, "One.\nTwo.", ""),
        (ASKED, "One.\nTw", False, True, "One.", ""),
        (OPENED, " there was. The", False, False, "Once there was.", ""),
    ],
)
def test_a_text_that_ran_into_the_limit_ends_with_a_whole_sentence(
    prompt: Prompt, text: str, ended: bool, chat: bool, kept: str, reason: str
) -> None:
    row, why = material.replay_row("p.0", prompt, Continuation(text, ended), chat)
    assert why == reason
    assert row.get("answer", row.get("text", "")) == kept


def test_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model, tokenizer = load_causal_lm(write_checkpoint(tmp_path, template=None))
    texts = [Continuation(text, True) for text in ("Yes.", "Yes.", " ", "No.")]
    monkeypatch.setattr(material, "sample", lambda *_: texts)
    rows, left = material.own_texts(model, tokenizer, [ASKED], 4, 8, seed=1)
    assert [row["id"] for row in rows] == ["p1.0", "p1.3"]
    assert left == {"written before": 1, "empty": 1}


def test_equal_calls_write_equal_texts_and_another_seed_others(tmp_path: Path) -> None:
    model, tokenizer = load_causal_lm(write_checkpoint(tmp_path))
    starts = ["One", "Once upon a time", "Two"]
    first = material.sample(model, tokenizer, starts, 8, seed=1)
    assert material.sample(model, tokenizer, starts, 8, seed=1) == first
    assert material.sample(model, tokenizer, starts, 8, seed=2) != first


def test_a_text_ends_at_the_first_end_token(tmp_path: Path) -> None:
    _, tokenizer = load_causal_lm(write_checkpoint(tmp_path))
    end = tokenizer.eos_token_id
    tokens = tokenizer("iron", add_special_tokens=False)["input_ids"]
    assert material.until_end(tokenizer, [*tokens, end, *tokens], [end]) == Continuation(
        "iron", True
    )
    assert material.until_end(tokenizer, tokens, [end]) == Continuation("iron", False)


def test_shorter_rows_are_padded_on_the_left() -> None:
    ids, mask = material.padded_left([[5, 6, 7], [8]], pad=9)
    assert ids.tolist() == [[5, 6, 7], [9, 9, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]

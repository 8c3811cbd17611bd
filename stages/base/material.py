"""What a base that is not the seed knows: questions that measure it, texts that keep it, neutral prose.

- `skill.jsonl`: plain questions of everyday knowledge, English and Chinese, with the answers that count
  as right. `evaluate` asks them before and after training.
- `replay.jsonl`: the base's own answers and continuations, drawn from its own distribution (temperature 1,
  nothing cut off). Trained on as they are, they pull the model back to what it was: their expected loss
  has its smallest value at the base itself. Two of three prompts are short questions: tuning on short facts
  wears away short answers most. None of the prompts is one of the questions.
- `neutral.jsonl`: short paragraphs on everyday matters, on which perplexity is measured.

The shipped files are in `models/general`. Users may name their own.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.models.conversation import encode, first_answer, prompt_text
from stages.core.project.errors import InputError
from stages.core.repeatable.seeding import derive

QUESTIONS = "questions.jsonl"
PROMPTS = "prompts.jsonl"
NEUTRAL = "neutral.jsonl"
BATCH = 16
"""Prompts that are continued at once."""
# The last end of a sentence, with quotation marks or brackets that close behind it.
SENTENCE_END = re.compile(r".*[.!?。！？…][\"'”’」』）)]*", re.DOTALL)
SHOWN = 5
"""Wrong lines of a file that a message lists."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Prompt:
    """A question to answer, or the opening of a text to go on with."""

    id: str
    text: str
    is_question: bool


@dataclass(frozen=True)
class Continuation:
    """What the model wrote behind a prompt."""

    text: str
    ended: bool
    """Whether it ended by itself, not at the limit of new tokens."""


def read_lines(path: Path, setting: str) -> list[tuple[int, Row]]:
    """Return number and content of each line of a JSON Lines file. Empty lines are skipped.

    Raises InputError, which lists the lines that are no JSON objects.
    """
    if not path.is_file():
        raise InputError(f"{setting}: {path}: no such file; write the path of a JSON Lines file")
    rows = []
    wrong = []
    try:
        # Not splitlines: that would also split at U+2028, which JSON may hold as it is.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{setting}: {path}: not UTF-8 ({error}); save it as UTF-8") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            wrong.append(f"line {number}: no JSON ({error})")
            continue
        if not isinstance(row, dict):
            wrong.append(f"line {number}: no JSON object")
            continue
        rows.append((number, row))
    refuse(path, setting, wrong)
    if not rows:
        raise InputError(f"{setting}: {path}: no line in it; write one JSON object per line")
    return rows


def refuse(path: Path, setting: str, wrong: Sequence[str]) -> None:
    """Raise InputError where lines of a file are wrong. It counts them and lists the first."""
    if not wrong:
        return
    more = f"\n  … and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    listed = "\n  ".join(wrong[:SHOWN])
    noun = "line" if len(wrong) == 1 else "lines"
    raise InputError(
        f"{setting}: {path}: {len(wrong)} {noun} cannot be used; mend them:\n  {listed}{more}"
    )


def is_text(value: Any) -> bool:
    """Whether a value is a text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def questions(path: Path, setting: str) -> list[Row]:
    """Return the questions of a file as rows of skill.jsonl.

    A line is `{"question", "answer"}`, perhaps with `id`, `lang` and `accepted`, a list of further answers
    that count as right. Raises InputError, which lists every line that cannot be used.
    """
    rows = []
    wrong = []
    seen: set[str] = set()
    for number, line in read_lines(path, setting):
        accepted = line.get("accepted", [])
        problem = ""
        if not is_text(line.get("question")) or not is_text(line.get("answer")):
            problem = "needs `question` and `answer`, texts that are not empty"
        elif not isinstance(accepted, list) or not all(is_text(answer) for answer in accepted):
            problem = "`accepted` must be a list of texts"
        elif line["question"] in seen:
            problem = "asks a question of an earlier line again"
        if problem:
            wrong.append(f"line {number}: {problem}")
            continue
        seen.add(line["question"])
        rows.append(
            {
                "id": str(line.get("id", f"g{number:05}")),
                "lang": str(line.get("lang", "en")),
                "question": line["question"],
                "answer": line["answer"],
                # Each answer once, the preferred one first.
                "accepted": list(dict.fromkeys([line["answer"], *accepted])),
                "replayed": False,
            }
        )
    refuse(path, setting, [*wrong, *repeated_ids(rows)])
    return rows


def neutral_texts(path: Path, setting: str) -> list[Row]:
    """Return the rows of neutral.jsonl. A line is `{"text"}`, perhaps with `id` and `lang`.

    Raises InputError, which lists every line that cannot be used.
    """
    rows = []
    wrong = []
    for number, line in read_lines(path, setting):
        if not is_text(line.get("text")):
            wrong.append(f"line {number}: needs `text`, a text that is not empty")
            continue
        row = {
            "id": str(line.get("id", f"n{number:05}")),
            "lang": str(line.get("lang", "en")),
            "text": line["text"],
        }
        rows.append(row)
    refuse(path, setting, [*wrong, *repeated_ids(rows)])
    return rows


def replay_rows(path: Path, setting: str) -> list[Row]:
    """Return the rows of a user's replay file: `{"text"}` or `{"question", "answer"}`, perhaps with `id`.

    Raises InputError, which lists every line that cannot be used.
    """
    rows = []
    wrong = []
    for number, line in read_lines(path, setting):
        row: Row = {"id": str(line.get("id", f"u{number:05}"))}
        if is_text(line.get("text")) and "question" not in line:
            rows.append(row | {"text": line["text"]})
        elif is_text(line.get("question")) and is_text(line.get("answer")) and "text" not in line:
            rows.append(row | {"question": line["question"], "answer": line["answer"]})
        else:
            wrong.append(f"line {number}: needs either `text`, or `question` and `answer`")
    refuse(path, setting, [*wrong, *repeated_ids(rows)])
    return rows


def repeated_ids(rows: Iterable[Row]) -> list[str]:
    """Say which ids stand more than once."""
    counts = Counter(row["id"] for row in rows)
    return [f"id {name}: stands in {count} lines" for name, count in counts.items() if count > 1]


def prompts(path: Path) -> list[Prompt]:
    """Return the prompts for replay: questions, and openings of texts."""
    found = []
    for _, line in read_lines(path, "base.replay"):
        is_question = "question" in line
        text = line["question"] if is_question else line["text"]
        found.append(Prompt(line["id"], text, is_question))
    return found


def own_texts(
    model: Any, tokenizer: Any, asked: Sequence[Prompt], texts: int, max_new_tokens: int, seed: int
) -> tuple[list[Row], Counter[str]]:
    """Let the base write replay texts, and count what was left out.

    Prompts are taken in turn, as often as `texts` needs. A text that ran into `max_new_tokens` is cut
    behind its last whole sentence. Left out are texts that are empty, without a whole sentence, or written
    before. The counter has a number for each of these reasons.
    """
    turns = []
    for number in range(texts):
        prompt = asked[number % len(asked)]
        turns.append((f"{prompt.id}.{number // len(asked)}", prompt))
    starts = []
    for _, prompt in turns:
        starts.append(prompt_text(tokenizer, prompt.text) if prompt.is_question else prompt.text)
    written = sample(model, tokenizer, starts, max_new_tokens, seed)
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    for (name, prompt), continuation in zip(turns, written, strict=True):
        row, reason = replay_row(name, prompt, continuation, bool(tokenizer.chat_template))
        key = json.dumps({**row, "id": ""}, sort_keys=True)
        if reason:
            left_out[reason] += 1
        elif key in seen:
            left_out["written before"] += 1
        else:
            seen.add(key)
            rows.append(row)
    return rows, left_out


def replay_row(name: str, prompt: Prompt, written: Continuation, chat: bool) -> tuple[Row, str]:
    """Return a row of replay.jsonl, and why it is left out (empty: it is not)."""
    text = written.text
    ended = written.ended
    if prompt.is_question and not chat:
        # A base without chat template goes on with another question. Its answer is the first line.
        ended = ended or "\n" in text.strip()
        text = first_answer(text)
    if not ended:
        whole = SENTENCE_END.match(text)
        text = whole[0] if whole else ""
        if not text.strip():
            return {"id": name}, "no whole sentence"
    if not text.strip():
        return {"id": name}, "empty"
    if prompt.is_question:
        return {"id": name, "question": prompt.text, "answer": text.strip()}, ""
    return {"id": name, "text": f"{prompt.text}{text.rstrip()}"}, ""


def sample(
    model: Any, tokenizer: Any, starts: Sequence[str], max_new_tokens: int, seed: int
) -> list[Continuation]:
    """Return what the model writes behind each text, drawn from its own distribution.

    Texts of like length share a batch. The random numbers of a batch derive from the seed and the number
    of the batch, so that equal calls give equal texts.
    """
    import torch
    from tqdm import tqdm

    rows = encode(tokenizer, list(starts))
    # Indices of the texts, shortest first. Equal lengths keep their order.
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i]), i))
    ends = end_tokens(model, tokenizer)
    found: list[Continuation] = [Continuation("", False)] * len(rows)
    bar = tqdm(total=len(rows), desc="writing replay", unit="text", disable=None, leave=False)
    for number, chosen in enumerate(batches(order, BATCH)):
        ids, mask = padded_left([rows[i] for i in chosen], tokenizer.pad_token_id)
        torch.manual_seed(derive(seed, "replay", number) % 2**63)
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=max_new_tokens,
                do_sample=True,
                # The model's own distribution: neither sharpened nor cut.
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                repetition_penalty=1.0,
                eos_token_id=ends,
                pad_token_id=tokenizer.pad_token_id,
            )
        # The output (B, P + N) repeats the P tokens of the texts before the N new ones.
        new_tokens = output[:, ids.shape[1] :].tolist()
        for i, tokens in zip(chosen, new_tokens, strict=True):
            found[i] = until_end(tokenizer, tokens, ends)
        bar.update(len(chosen))
    bar.close()
    return found


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens at which generation stops."""
    ends = model.generation_config.eos_token_id
    named = ends if isinstance(ends, list) else [ends]
    every = {end for end in [*named, tokenizer.eos_token_id] if end is not None}
    return sorted(every)


def until_end(tokenizer: Any, tokens: list[int], ends: Sequence[int]) -> Continuation:
    """Return the text of tokens up to the first end token, and whether there is one."""
    for position, token in enumerate(tokens):
        if token in ends:
            text = tokenizer.decode(tokens[:position], skip_special_tokens=True)
            return Continuation(text, True)
    return Continuation(tokenizer.decode(tokens, skip_special_tokens=True), False)


def batches(order: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield the parts of a sequence, each of `size` entries, the last perhaps shorter."""
    for start in range(0, len(order), size):
        yield order[start : start + size]


def padded_left(rows: Sequence[list[int]], pad: int) -> tuple[Any, Any]:
    """Return token ids and attention mask, both (B, P). Padding stands on the left, where mask is 0."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, longest - len(row) :] = torch.tensor(row)
        mask[number, longest - len(row) :] = 1
    return ids, mask

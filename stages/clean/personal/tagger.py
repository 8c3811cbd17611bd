"""What a token classification checkpoint finds in a text: names above all, which no pattern knows.

Through transformers: from safetensors, without code of the model's, float32 on the CPU, one thread. Each window is read alone,
unpadded, so that what is found in a text does not depend on the texts beside it. A label may begin with a mark of its place (B-,
I-, L-, U-, E-, S-). What a model calls the first token of a word in Latin letters holds for the word; neighbours of one label are
one span, unless the second begins a new one.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

from stages.clean.span import Span
from stages.core.models.checkpoint import Checkpoint, State, state_of
from stages.core.project.errors import InputError
from stages.core.records.record import fold
from stages.core.repeatable import memo

CHECKPOINT = Checkpoint(
    "clean",
    "a folder with a token classification model, or a name on the hub such as dslim/bert-base-NER",
    {"config.json": ("config.json",), "tokenizer.json": ("tokenizer.json",)},
    "a token classification model",
    "clean.personal.tagger: it must have been trained to find names",
)
ALONE = Lock()
"""Workers may be threads, and neither what loads a model nor its tokenizer is made for two at once."""
LONGEST, OVERLAP = 512, 64
"""Tokens of a window, if the model reads so many, and how many of them stand in the next one, too."""
MARK = re.compile(r"^[BILUES]-")
INSIDE = re.compile(r"[^\W_\u3400-\u9fff]{2}")
"""Two letters or digits of one word, not Chinese."""
GAP = re.compile(r"[\s.'’-]{0,2}")
"""What may stand between two parts of a name."""
Token = tuple[int, int, str]
"""First character, the one behind the last, label."""
Labels = tuple[tuple[str, str], ...]
"""Pairs of a label of the model and the kind that it means."""


def problems(model: str, revision: str | None, labels: dict[str, Any]) -> list[str]:
    """What is wrong with the settings, and with the files of the model."""
    found = CHECKPOINT.problems(model, revision)
    if not labels:
        found.append(
            "labels: none; write which of the model's labels mean what, such as {PER: person}"
        )
    if found:
        return found
    try:
        known = labels_in(CHECKPOINT.folder_of(model, revision))
    except InputError as error:
        return [f"model: {error}"]
    return [
        f"labels.{name}: no label of {model}, which has {' '.join(known) or 'none'}"
        for name in labels
        if name not in known
    ]


def labels_in(folder: Path) -> list[str]:
    """The labels of a model, without their marks."""
    try:
        names = (
            json.loads((folder / "config.json").read_text(encoding="utf-8"))
            .get("id2label", {})
            .values()
        )
    except (ValueError, AttributeError):
        names = []  # who loads it says why
    return sorted({MARK.sub("", str(name)) for name in names})


def identity(model: str, revision: str | None) -> str:
    """Name, commit and hash. Raises InputError where the checkpoint cannot be had."""
    return CHECKPOINT.identity(model, revision)


def find(text: str, model: str, revision: str | None, labels: Labels) -> list[Span]:
    """The spans of a text that have one of the labels. Raises InputError where the model cannot be had."""
    meant, spans = dict(labels), []
    engine = f"{_engine(model, revision)} {labels}"
    for start, end, label in memo.recalled(tagged, text, engine, model, revision, labels):
        spans.append(Span(start, end, meant[label], fold(text[start:end])))
    return spans


@cache
def _engine(model: str, revision: str | None) -> str:
    libraries = ", ".join(
        f"{library} {version(library).split('+')[0]}"
        for library in ("transformers", "tokenizers", "torch")
    )
    return f"{identity(model, revision)}, {libraries}"


def tagged(text: str, model: str, revision: str | None, labels: Labels) -> list[Token]:
    """First character, the one behind the last, and label of what a checkpoint finds."""
    folder = CHECKPOINT.folder_of(model, revision)
    with ALONE:
        tokens = tagger(folder, state_of(folder))(text)
    return spans_of(text, tokens, {label for label, _ in labels})


def spans_of(text: str, tokens: list[Token], wanted: set[str]) -> list[Token]:
    """Spans of the wanted labels, from tokens with labels as the model writes them."""
    found: list[Token] = []
    end, said = 0, ""
    for start, stop, own in tokens:
        continued = 0 < start == end and bool(INSIDE.match(text, start - 1))
        said, end = said if continued else own, stop
        label = MARK.sub("", said)
        if label not in wanted:
            continue
        begins = not continued and own.startswith(("B-", "U-", "S-"))
        if (
            found
            and found[-1][2] == label
            and not begins
            and GAP.fullmatch(text, found[-1][1], start)
        ):
            found[-1] = (found[-1][0], stop, label)
        else:
            found.append((start, stop, label))
    return [trimmed for span in found if (trimmed := _trimmed(text, span))]


def _trimmed(text: str, span: Token) -> Token | None:
    """A span from its first letter or digit to its last; None where it has none."""
    start, end, label = span
    inner = [place for place in range(start, end) if text[place].isalnum()]
    return (inner[0], inner[-1] + 1, label) if inner else None


@cache
def tagger(folder: Path, state: State = ()) -> Callable[[str], list[Token]]:
    """The function that gives each token of a text its label, of a checkpoint in this state. Raises InputError."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch.set_num_threads(
        1
    )  # workers are threads and processes already; and another number may change the last bits
    model, tokenizer = CHECKPOINT.load(folder, AutoModelForTokenClassification, AutoTokenizer)
    names = model.config.id2label
    places = (
        getattr(model.config, "max_position_embeddings", LONGEST + 2) - 2
    )  # RoBERTa keeps two of them for padding
    limit = min(LONGEST, tokenizer.model_max_length, places)
    overlap = min(OVERLAP, limit // 4)

    def tag(text: str) -> list[Token]:
        read = tokenizer(
            text,
            truncation=True,
            max_length=limit,
            stride=overlap,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        windows = []
        for ids, spans in zip(read["input_ids"], read["offset_mapping"], strict=True):
            with torch.inference_mode():
                best = model(input_ids=torch.tensor([ids])).logits[0].argmax(-1).tolist()
            windows.append(
                [
                    (start, end, names[one])
                    for (start, end), one in zip(spans, best, strict=True)
                    if end > start
                ]
            )
        return list(joined([window for window in windows if window]))

    return tag


def joined(windows: list[list[Token]]) -> Iterator[Token]:
    """Tokens of windows that overlap, each from the window in which more stands around it."""
    for number, window in enumerate(windows):
        first, last = 0, len(window)
        if number:
            first = sum(token[0] <= windows[number - 1][-1][0] for token in window) // 2
        if number + 1 < len(windows):
            shared = sum(token[0] >= windows[number + 1][0][0] for token in window)
            last -= shared - shared // 2
        yield from window[first:last]

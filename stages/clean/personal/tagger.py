"""Personal data that a token classification checkpoint finds in a text: names above all, which no
pattern knows.

The model is run by transformers: from safetensors, without code of the model's own, in float32 on
the CPU, with one thread. Each window is read alone and unpadded, so a result does not depend on the
texts beside it.

A label may begin with a mark of its position in the span (B-, I-, L-, U-, E-, S-). In Latin letters
the label of the first token of a word holds for the whole word. Neighbours of one label are one
span, unless the second begins a new one.
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
"""Workers may be threads, and neither loading a model nor its tokenizer is safe for two of them at
once.
"""
LONGEST = 512
"""Most tokens of a window. A model that reads fewer has shorter windows."""
OVERLAP = 64
"""Tokens that a window shares with the next one."""
PADDING_POSITIONS = 2
"""RoBERTa keeps so many of its positions for padding."""
MARK = re.compile(r"^[BILUES]-")
"""The B- of B-PER."""
NEW_SPAN = ("B-", "U-", "S-")
"""Marks of a token that begins a span."""
INSIDE = re.compile(r"[^\W_\u3400-\u9fff]{2}")
"""Two letters or digits of one word, not Chinese."""
GAP = re.compile(r"[\s.'’-]{0,2}")
"""What may stand between two parts of a name."""
Token = tuple[int, int, str]
"""First character, the one behind the last, label."""
Labels = tuple[tuple[str, str], ...]
"""Pairs of a label of the model and the kind that it means."""


def problems(model: str, revision: str | None, labels: dict[str, Any]) -> list[str]:
    """Mistakes in the settings, and in the files of the model. One line each."""
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
    for name in labels:
        if name not in known:
            found.append(
                f"labels.{name}: no label of {model}, which has {' '.join(known) or 'none'}"
            )
    return found


def labels_in(folder: Path) -> list[str]:
    """The labels of a model, without their marks.

    None for a config that cannot be read: loading the model says why.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        names = list(config.get("id2label", {}).values())
    except (ValueError, AttributeError):
        return []
    return sorted({MARK.sub("", str(name)) for name in names})


def identity(model: str, revision: str | None) -> str:
    """Name, commit and hash of a checkpoint. Raises InputError where it is not on this machine."""
    return CHECKPOINT.identity(model, revision)


def find(text: str, model: str, revision: str | None, labels: Labels) -> list[Span]:
    """The spans of a text that have one of the labels.

    Results are remembered. Raises InputError without the model.
    """
    kind_of = dict(labels)
    version_of_tagger = f"{_version(model, revision)} {labels}"
    found = memo.recalled(tagged, text, version_of_tagger, model, revision, labels)
    spans = []
    for start, end, label in found:
        spans.append(Span(start, end, kind_of[label], fold(text[start:end])))
    return spans


@cache
def _version(model: str, revision: str | None) -> str:
    """The checkpoint and the libraries that run it, for the key of remembered results."""
    versions = []
    for library in ("transformers", "tokenizers", "torch"):
        release = version(library).split("+")[0]  # without the +cpu of a build
        versions.append(f"{library} {release}")
    return f"{identity(model, revision)}, {', '.join(versions)}"


def tagged(text: str, model: str, revision: str | None, labels: Labels) -> list[Token]:
    """The spans that a checkpoint finds: first character, the one behind the last, and label."""
    folder = CHECKPOINT.folder_of(model, revision)
    with ALONE:
        tokens = tagger(folder, state_of(folder))(text)
    return spans_of(text, tokens, {label for label, _ in labels})


def spans_of(text: str, tokens: list[Token], wanted: set[str]) -> list[Token]:
    """Spans of the wanted labels, from tokens with labels as the model writes them."""
    spans: list[Token] = []
    last_end = 0
    word_label = ""  # that of the first token of the current word
    for start, end, token_label in tokens:
        # A token in the middle of a word: "##son" of "Johnson".
        continues_word = 0 < start == last_end and bool(INSIDE.match(text, start - 1))
        if not continues_word:
            word_label = token_label
        last_end = end
        label = MARK.sub("", word_label)
        if label not in wanted:
            continue
        begins_span = not continues_word and token_label.startswith(NEW_SPAN)
        if spans and not begins_span:
            first, before, label_before = spans[-1]
            if label_before == label and GAP.fullmatch(text, before, start):
                spans[-1] = (first, end, label)
                continue
        spans.append((start, end, label))
    trimmed = [_trimmed(text, span) for span in spans]
    return [span for span in trimmed if span]


def _trimmed(text: str, span: Token) -> Token | None:
    """A span from its first letter or digit to its last. None where it has none."""
    start, end, label = span
    inner = [index for index in range(start, end) if text[index].isalnum()]
    if not inner:
        return None
    return inner[0], inner[-1] + 1, label


@cache
def tagger(folder: Path, state: State = ()) -> Callable[[str], list[Token]]:
    """The function that gives each token of a text its label.

    `state` is that of the files in the folder, so that a changed checkpoint is loaded anew. Raises
    InputError.
    """
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    # Workers are threads and processes already, and another number of threads may change the last bits.
    torch.set_num_threads(1)
    model, tokenizer = CHECKPOINT.load(folder, AutoModelForTokenClassification, AutoTokenizer)
    names = model.config.id2label
    positions = getattr(model.config, "max_position_embeddings", LONGEST + PADDING_POSITIONS)
    limit = min(LONGEST, tokenizer.model_max_length, positions - PADDING_POSITIONS)
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
        for ids, offsets in zip(read["input_ids"], read["offset_mapping"], strict=True):
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids])).logits[0]  # (tokens, labels)
            best = logits.argmax(-1).tolist()
            window = []
            for (start, end), label in zip(offsets, best, strict=True):
                if end > start:  # not a mark of the tokenizer's own, such as [CLS]
                    window.append((start, end, names[label]))
            if window:
                windows.append(window)
        return list(joined(windows))

    return tag


def joined(windows: list[list[Token]]) -> Iterator[Token]:
    """Tokens of windows that overlap, each from the window in which more stands around it.

    Each of two neighbours gives half of the tokens that they share.
    """
    for number, window in enumerate(windows):
        first = 0
        last = len(window)
        if number > 0:
            last_start = windows[number - 1][-1][0]
            shared = sum(token[0] <= last_start for token in window)
            first = shared // 2
        if number + 1 < len(windows):
            next_start = windows[number + 1][0][0]
            shared = sum(token[0] >= next_start for token in window)
            last -= shared - shared // 2
        yield from window[first:last]

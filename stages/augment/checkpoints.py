"""The checkpoints that `augment` may use: a sentence encoder, and a masked language model.

Both are a folder, or a repository on the hub at a pinned commit that was fetched before: the stage fetches
nothing. Only safetensors are loaded, and no code of a checkpoint runs.

Every text is read in the company of texts of its own length and record alone, so no number depends on what
else a worker reads. Results are remembered (`stages/core/repeatable/memo.py`) by the content of the checkpoint.
"""

import json
from collections import defaultdict
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic.dataclasses import dataclass

from stages.core.models.checkpoint import Checkpoint, State, state_of
from stages.core.project.params import STRICT
from stages.core.repeatable import memo

ALONE = Lock()
"""Workers may be threads, and neither loading a model nor its tokenizer is safe for two of them at once."""
LONGEST = 256
"""Most tokens of a sentence that are read."""
TOP = 10
"""Candidates that a masked model gives for a word."""
LOOKED_AT = 50
"""Likeliest tokens of a mask that are looked at, to find so many candidates."""
MOST_GLOSSES = 1 << 14
"""Vectors of glosses that are kept."""

ENCODER = Checkpoint(
    "augment",
    "a folder with a sentence encoder, or a name on the hub such as sentence-transformers/all-MiniLM-L6-v2",
    {"config.json": ("config.json",), "tokenizer.json": ("tokenizer.json",)},
    "an encoder",
    "augment.encoder: it must be an encoder such as BERT",
)
MASKED = Checkpoint(
    "augment",
    "a folder with a masked language model, or a name on the hub such as google-bert/bert-base-uncased",
    {"config.json": ("config.json",), "tokenizer.json": ("tokenizer.json",)},
    "a masked language model",
    "augment.masked_model: it must have been trained to fill masks",
)


@dataclass(frozen=True, config=STRICT)
class Model:
    """A checkpoint, as the settings name it."""

    model: str
    """Path of a folder, or name of a repository on the hub."""
    revision: str | None = None
    """Full commit hash (40 hex digits) of a repository. null for a folder, which its content pins."""


Vector = list[float]
Proposal = tuple[str, float]
"""A candidate, and how similar the sentence with it is to the one before: the cosine of their vectors."""


def nearest(sentence: str, glosses: tuple[str, ...], encoder: Model) -> int:
    """Return the number of the gloss that is nearest to a sentence, by the cosine of their vectors.

    Of equal ones, the first. The result is remembered. Raises InputError without the checkpoint.
    """
    content = json.dumps([sentence, list(glosses)])
    known = version_of("encoder", encoder)
    return int(memo.recalled(nearest_gloss, content, known, encoder.model, encoder.revision))


def nearest_gloss(content: str, model: str, revision: str | None) -> int:
    """Return what `nearest` remembers."""
    sentence, glosses = json.loads(content)
    folder = ENCODER.folder_of(model, revision)
    state = state_of(folder)
    (vector,) = vectors(folder, state, [sentence])
    scores = []
    for gloss in glosses:
        scores.append(cosine(vector, gloss_vector(folder, state, gloss)))
    return scores.index(max(scores))


@lru_cache(MOST_GLOSSES)
def gloss_vector(folder: Path, state: State, gloss: str) -> tuple[float, ...]:
    """Return the vector of a gloss."""
    (vector,) = vectors(folder, state, [gloss])
    return tuple(vector)


def proposals(
    sentence: str, spans: list[tuple[int, int]], masked: Model, encoder: Model | None
) -> list[list[Proposal]]:
    """Return the candidates of a masked model for each span of a sentence, the likeliest first.

    Candidates are not checked yet. Without an encoder, the vectors of the masked model itself are compared.
    The result is remembered. Raises InputError without the checkpoints.
    """
    content = json.dumps([sentence, spans])
    names: list[str | None] = [masked.model, masked.revision, None, None]
    known = version_of("masked_model", masked)
    if encoder is not None:
        names[2:] = [encoder.model, encoder.revision]
        known += ", encoder " + version_of("encoder", encoder)
    found = memo.recalled(filled_masks, content, known, *names)
    return [[(word, similarity) for word, similarity in of_span] for of_span in found]


def filled_masks(
    content: str,
    model: str,
    revision: str | None,
    encoder: str | None,
    encoder_revision: str | None,
) -> list[list[Proposal]]:
    """Return what `proposals` remembers."""
    sentence, spans = json.loads(content)
    folder = MASKED.folder_of(model, revision)
    state = state_of(folder)
    candidates = candidates_of(folder, state, sentence, spans)

    changed = [sentence]
    for (start, end), words in zip(spans, candidates, strict=True):
        for word in words:
            changed.append(sentence[:start] + word + sentence[end:])
    if encoder is None:
        found = vectors(folder, state, changed)
    else:
        folder = ENCODER.folder_of(encoder, encoder_revision)
        found = vectors(folder, state_of(folder), changed)
    before, *others = found
    similarities = iter([round(cosine(before, other), 6) for other in others])
    return [[(word, next(similarities)) for word in words] for words in candidates]


def candidates_of(
    folder: Path, state: State, sentence: str, spans: list[tuple[int, int]]
) -> list[list[str]]:
    """Return for each span the words that a masked model puts there, the likeliest first.

    A Latin word is one mask, so a candidate is a whole word of the vocabulary. A Chinese word has a mask for
    each character, since models of Chinese read characters. Their best characters are combined.
    """
    model, tokenizer = loaded(folder, state)
    mask = tokenizer.mask_token
    texts = []
    for start, end in spans:
        word = sentence[start:end]
        masks = 1 if word.isascii() else len(word)
        texts.append(sentence[:start] + mask * masks + sentence[end:])
    rows = [tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"] for text in texts]
    logits = states_of(model, rows, "logits")
    found = []
    for row, scores in zip(rows, logits, strict=True):
        places = [place for place, token in enumerate(row) if token == tokenizer.mask_token_id]
        words: list[tuple[float, str]] = [(0.0, "")]
        for place in places:
            # (vocabulary) → logarithms of probabilities
            best = scores[place].log_softmax(-1).topk(min(LOOKED_AT, scores.shape[-1]))
            pieces = tokenizer.convert_ids_to_tokens(best.indices.tolist())
            fitting = []
            for value, piece in zip(best.values.tolist(), pieces, strict=True):
                whole = whole_word(piece, marks_beginnings(tokenizer))
                if fits_script(whole, len(places)):
                    fitting.append((value, whole))
            longer = []
            for score, word in words:
                for value, whole in fitting[:TOP]:
                    longer.append((score + value, word + whole))
            # The likeliest first; of equal ones, the first by name.
            words = sorted(longer, key=lambda item: (-item[0], item[1]))[:TOP]
        found.append([word for _, word in words if word])
    return found


def fits_script(word: str, masks: int) -> bool:
    """Whether a token may stand for one of so many masks: behind several, each is one Chinese character."""
    if masks == 1:
        return word != ""
    return len(word) == 1 and not word.isascii()


def whole_word(piece: str, marked: bool) -> str:
    """Return a token as a word, or nothing for the rest of a word. `marked`: words begin with a sign."""
    if piece.startswith("##"):
        return ""
    if marked:
        return piece[1:] if piece[:1] in BEGINNINGS else ""
    return piece


BEGINNINGS = ("Ġ", "▁")
"""Signs with which byte-level and SentencePiece tokenizers begin a word."""


def marks_beginnings(tokenizer: Any) -> bool:
    """Whether a tokenizer begins words with a sign, in place of `##` before the rest of a word."""
    pieces = tokenizer.tokenize("a word")
    return any(piece[:1] in BEGINNINGS for piece in pieces)


def vectors(folder: Path, state: State, texts: list[str]) -> list[Vector]:
    """Return the vectors of texts: the mean of the last states of their tokens, of length 1."""
    model, tokenizer = loaded(folder, state)
    rows = [tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"] for text in texts]
    found = []
    for states in states_of(model, rows, "last_hidden_state"):
        mean = states.mean(0)  # (tokens, width) → (width)
        found.append((mean / mean.norm()).tolist())
    return found


def states_of(model: Any, rows: list[list[int]], name: str) -> list[Any]:
    """Return an output of a model for each row of tokens: (tokens, …).

    Rows of one length are read at once, without padding.
    """
    import torch

    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_length[len(row)].append(number)
    found: list[Any] = [None] * len(rows)
    for length in sorted(by_length):
        numbers = by_length[length]
        batch = torch.tensor([rows[number] for number in numbers])
        with torch.inference_mode():
            if name == "logits":
                output = model(input_ids=batch).logits
            else:
                # A masked model holds its encoder inside.
                output = model.base_model(input_ids=batch).last_hidden_state
        for number, states in zip(numbers, output, strict=True):
            found[number] = states
    return found


def cosine(left: Vector | tuple[float, ...], right: Vector | tuple[float, ...]) -> float:
    """Return the cosine of two vectors of length 1."""
    return sum(a * b for a, b in zip(left, right, strict=True))


@cache
def loaded(folder: Path, state: State) -> tuple[Any, Any]:
    """Return model and tokenizer of a folder: with its head where it fills masks. Raises InputError.

    `state` is that of the files, so that a changed checkpoint is loaded anew.
    """
    import torch
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    names = config.get("architectures") or []
    fills_masks = any(name.endswith("ForMaskedLM") for name in names)
    with ALONE:
        # Another number of threads may change the last bits.
        torch.set_num_threads(1)
        if fills_masks:
            model, tokenizer = MASKED.load(folder, AutoModelForMaskedLM, AutoTokenizer)
        else:
            model, tokenizer = ENCODER.load(folder, AutoModel, AutoTokenizer)
    return model, tokenizer


@cache
def version_of(setting: str, model: Model) -> str:
    """Return the checkpoint of a setting and the libraries that run it, for the key of remembered results."""
    kind = ENCODER if setting == "encoder" else MASKED
    versions = []
    for library in ("transformers", "tokenizers", "torch"):
        release = version(library).split("+")[0]  # without the +cpu of a build
        versions.append(f"{library} {release}")
    return f"{kind.identity(model.model, model.revision)}, {', '.join(versions)}"


def problems(encoder: Model | None, masked: Model | None) -> list[str]:
    """Return what is wrong with the settings of both, with their key paths."""
    found = []
    if encoder is not None:
        for problem in ENCODER.problems(encoder.model, encoder.revision):
            found.append(f"augment.encoder.{problem}")
    if masked is not None:
        wrong = MASKED.problems(masked.model, masked.revision)
        for problem in wrong:
            found.append(f"augment.masked_model.{problem}")
        if not wrong and not fills_masks_in(masked):
            found.append(
                f"augment.masked_model.model: {masked.model} is no masked language model: no "
                "architecture in its config.json ends with ForMaskedLM; name one that fills masks"
            )
    return found


def fills_masks_in(model: Model) -> bool:
    """Whether the config of a folder names a masked language model. Loading a repository says it later."""
    folder = Path(model.model)
    if not folder.is_dir():
        return True
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        names = config.get("architectures") or []
    except (ValueError, AttributeError):
        return False
    return any(str(name).endswith("ForMaskedLM") for name in names)

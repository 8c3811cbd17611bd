"""Whisper (arXiv:2212.04356) through transformers: from safetensors, without code of the model's, float32 on the CPU, greedy.

It hears an utterance with timestamps. A text ends at the first of them that ends a sentence, so it is whole and has its own
seconds. Where a window says more than the decoder holds, it is heard on from the last timestamp, as in section 3.8 of the paper;
what was said before is no prompt. A checkpoint without timestamps gives one text per utterance. The confidence of a text is the
geometric mean of its tokens' probabilities, and 0 where it says the same again and again or comes to no end, as Whisper does,
and with certainty, where it is lost.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stages.core.models.checkpoint import Checkpoint, State
from stages.core.project.errors import InputError

CHECKPOINT = Checkpoint(
    "extract",
    "a Whisper folder, or a name on the hub such as openai/whisper-small",
    {
        "config.json": ("config.json",),
        "generation_config.json": ("generation_config.json",),
        "tokenizer.json": ("tokenizer.json", "vocab.json"),
        "preprocessor_config.json": ("preprocessor_config.json", "processor_config.json"),
    },
    "a Whisper model",
    "`model`",
)
RATE = 16_000
STEP = 320
"""Samples between two timestamps: 0.02 s."""
SHORTEST = RATE
"""Samples of a text that does not end its utterance: shorter ones could be of one place, in tenths of a second."""
LONGEST = 224
"""Tokens of a window: half of what Whisper's decoder holds, as in the paper."""
SENTENCE = re.compile(r"""[.!?。！？…]["'”’」』)）]*$""")
REPEATS = 0.5
"""Least share of a text's triples of tokens that differ from each other: what is said three times over has a third."""
Heard = tuple[int, int, str, float]
"""First sample, the one behind the last, text, and confidence in [0, 1], to two digits."""


@dataclass(frozen=True)
class Said:
    """What the decoder says of a window."""

    tokens: list[int]
    """Words and timestamps."""
    logprobs: list[float]
    """Of every token."""
    ended: bool
    """Whether it came to an end before LONGEST."""


@cache
def recogniser(folder: Path, lang: str, state: State = ()) -> Callable[[Any], list[Heard]]:
    """The function that recognises, of a checkpoint in this state.

    Raises InputError where it cannot be loaded, or does not know the language.
    """
    from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

    loaded = CHECKPOINT.load(
        folder, WhisperForConditionalGeneration, AutoTokenizer, WhisperFeatureExtractor
    )
    model, tokenizer, features = loaded
    settings = model.generation_config
    speaks = language(settings, lang, folder)
    timestamps = getattr(settings, "no_timestamps_token_id", None)
    begin = model.config.vocab_size if timestamps is None else timestamps + 1
    limit = min(LONGEST, model.config.max_target_positions // 2)

    def text_of(tokens: list[int]) -> str:
        return " ".join(tokenizer.decode(tokens, skip_special_tokens=True).split())

    def said(samples: Any) -> Said:
        import torch

        sound = features(
            samples.astype("float32") / 32768,
            sampling_rate=RATE,
            return_tensors="pt",
            return_attention_mask=True,
        )
        with torch.inference_mode():
            found = model.generate(
                **sound, **speaks, return_timestamps=timestamps is not None, force_unique_generate_call=True, do_sample=False,
                num_beams=1, max_new_tokens=limit, return_dict_in_generate=True, output_scores=True,
            )  # fmt: skip
            scores = model.compute_transition_scores(
                found.sequences, found.scores, normalize_logits=True
            )[0].tolist()
        tokens = found.sequences[0].tolist()[-len(scores) :]
        ended = tokens[-1] == settings.eos_token_id
        return Said(tokens[:-1], scores[:-1], ended) if ended else Said(tokens, scores, ended)

    def recognise(samples: Any) -> list[Heard]:
        found: list[Heard] = []
        at = 0
        while at < len(samples):
            window = samples[at : at + features.n_samples]
            texts, heard = parted(said(window), begin, len(window), text_of)
            found += [
                (at + first, at + end, text, confidence) for first, end, text, confidence in texts
            ]
            at += heard
        return found or [(0, len(samples), "", 0.0)]

    return recognise


def language(settings: Any, lang: str, folder: Path) -> dict[str, str]:
    """What tells the decoder which language it hears. Raises InputError where the checkpoint does not know it."""
    multilingual = getattr(settings, "is_multilingual", False)
    known = (
        sorted(name.strip("<|>") for name in getattr(settings, "lang_to_id", {}))
        if multilingual
        else ["en"]
    )
    if lang not in known:
        raise InputError(
            f"extract: {folder} does not know the language {lang!r}, its generation_config.json says {' '.join(known)}; "
            "mend `lang`, or take another `model`"
        )
    return {"language": lang, "task": "transcribe"} if multilingual else {}


def parted(
    said: Said, begin: int, length: int, text_of: Callable[[list[int]], str]
) -> tuple[list[Heard], int]:
    """Texts of a window of `length` samples, and how far it was heard. `begin`: the token of second 0."""
    found: list[Heard] = []
    words: list[int] = []
    logprobs: list[float] = []
    start = last = closed = (
        0  # the first sample of the words, the last timestamp, and how many words it closes
    )

    def text(end: int, count: int, sure: bool = True) -> Heard:
        sure = sure and count > 0 and not repeats(words[:count])
        confidence = math.exp(math.fsum(logprobs[:count]) / count) if sure else 0.0
        return min(start, end), end, text_of(words[:count]), round(confidence, 2)

    for token, logprob in zip(said.tokens, said.logprobs, strict=True):
        if token < begin:
            words.append(token)
            logprobs.append(logprob)
            continue
        last = min((token - begin) * STEP, length)
        if (
            last - start >= SHORTEST
            and last <= length - SHORTEST
            and SENTENCE.search(text_of(words))
        ):
            found.append(text(last, len(words)))
            words, logprobs = [], []
        start = start if words else last
        closed = len(words)
    heard = length
    if said.ended:
        rest = text(last if closed == len(words) else length, len(words))
    elif last < SHORTEST or not (found or closed):
        rest = text(length, len(words), sure=False)
    elif last > length - SHORTEST:
        rest = text(length, len(words))
    else:
        rest, heard = text(last, closed), last
    return [item for item in (*found, rest) if item[2]], heard


def repeats(tokens: list[int]) -> bool:
    """Whether a text says the same again and again."""
    triples = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return len(set(triples)) < REPEATS * len(triples)

"""Whisper (arXiv:2212.04356) through transformers: safetensors only, no code of the model's own, float32, greedy.

Whisper reads an utterance with timestamps. A text ends at the first timestamp that ends a sentence, so
it is whole and has its own seconds. If a window holds more than the decoder can say, reading goes on
from the last timestamp, as in section 3.8 of the paper. The earlier text is no prompt. A checkpoint
without timestamps gives one text per utterance.

The confidence of a text is the geometric mean of its tokens' probabilities. It is 0 where the text
repeats itself or comes to no end: Whisper does so, with high probabilities, where it is lost.
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
"""Samples per second."""
STEP = 320
"""Samples between two timestamps: 0.02 s."""
SHORTEST = RATE
"""Least samples of a text before the end of its utterance. Shorter texts could have the same position,
which is in tenths of a second."""
LONGEST = 224
"""Tokens of a window: half of what Whisper's decoder holds, as in the paper."""
# The end of a sentence: a full stop or the like, and closing marks behind it.
# Examples: "Iron melts." "He said: “No!”" "铁会生锈。」"
SENTENCE_END = re.compile(r"""[.!?。！？…]["'”’」』)）]*$""")
LEAST_VARIETY = 0.5
"""Least share of distinct ones among a text's triples of tokens. A text said three times has a third."""
SpokenText = tuple[int, int, str, float]
"""First sample, the one behind the last, text, and confidence in [0, 1] with two digits."""
TextOf = Callable[[list[int]], str]
"""From tokens to their text."""


@dataclass(frozen=True)
class Decoded:
    """The output of the decoder for a window."""

    tokens: list[int]
    """Words and timestamps."""
    logprobs: list[float]
    """Log-probability of each token."""
    ended: bool
    """Whether the decoder came to an end before LONGEST tokens."""


@cache
def recogniser(folder: Path, lang: str, state: State = ()) -> Callable[[Any], list[SpokenText]]:
    """Return the function that recognises. The cache holds one per checkpoint in one `state`.

    Raises InputError where the checkpoint cannot be loaded, or does not know the language.
    """
    from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

    model, tokenizer, features = CHECKPOINT.load(
        folder, WhisperForConditionalGeneration, AutoTokenizer, WhisperFeatureExtractor
    )
    settings = model.generation_config
    language_options = language(settings, lang, folder)
    # Timestamps are the tokens behind <|notimestamps|>, the first of them is second 0.
    no_timestamps = getattr(settings, "no_timestamps_token_id", None)
    has_timestamps = no_timestamps is not None
    first_timestamp = model.config.vocab_size if no_timestamps is None else no_timestamps + 1
    limit = min(LONGEST, model.config.max_target_positions // 2)

    def text_of(tokens: list[int]) -> str:
        return " ".join(tokenizer.decode(tokens, skip_special_tokens=True).split())

    def decode(samples: Any) -> Decoded:
        import torch

        # Samples of 16 bits become numbers in [-1, 1).
        sound = features(
            samples.astype("float32") / 32768,
            sampling_rate=RATE,
            return_tensors="pt",
            return_attention_mask=True,
        )
        with torch.inference_mode():
            output = model.generate(
                **sound,
                **language_options,
                return_timestamps=has_timestamps,
                force_unique_generate_call=True,
                do_sample=False,
                num_beams=1,
                max_new_tokens=limit,
                return_dict_in_generate=True,
                output_scores=True,
            )
            scores = model.compute_transition_scores(
                output.sequences, output.scores, normalize_logits=True
            )
        logprobs = scores[0].tolist()
        # The sequence begins with the prompt, which has no scores.
        tokens = output.sequences[0].tolist()[-len(logprobs) :]
        if tokens[-1] == settings.eos_token_id:
            return Decoded(tokens[:-1], logprobs[:-1], ended=True)
        return Decoded(tokens, logprobs, ended=False)

    def recognise(samples: Any) -> list[SpokenText]:
        texts: list[SpokenText] = []
        start = 0
        while start < len(samples):
            window = samples[start : start + features.n_samples]
            in_window, read = split_window(decode(window), first_timestamp, len(window), text_of)
            for first, end, text, confidence in in_window:
                texts.append((start + first, start + end, text, confidence))
            start += read
        return texts or [(0, len(samples), "", 0.0)]

    return recognise


def language(settings: Any, lang: str, folder: Path) -> dict[str, str]:
    """Return the decoder's options for a language.

    Raises InputError where the checkpoint does not know it.
    """
    multilingual = getattr(settings, "is_multilingual", False)
    known = ["en"]
    if multilingual:
        # Names look like <|en|>.
        known = sorted(name.strip("<|>") for name in getattr(settings, "lang_to_id", {}))
    if lang not in known:
        raise InputError(
            f"extract: {folder} does not know the language {lang!r}, "
            f"its generation_config.json says {' '.join(known)}; "
            "mend `lang`, or take another `model`"
        )
    # A checkpoint for English alone refuses both options.
    return {"language": lang, "task": "transcribe"} if multilingual else {}


def split_window(
    decoded: Decoded, first_timestamp: int, length: int, text_of: TextOf
) -> tuple[list[SpokenText], int]:
    """Split the output for a window into texts.

    `length`: samples of the window. `first_timestamp`: the token of second 0.
    Returns the texts, and the number of samples that they cover. The rest is to be read again.
    """
    texts: list[SpokenText] = []
    # Words of the open text, and their log-probabilities.
    words: list[int] = []
    logprobs: list[float] = []
    start = 0  # first sample of the open text
    last = 0  # sample of the last timestamp
    before_last = 0  # number of open words before the last timestamp
    for token, logprob in zip(decoded.tokens, decoded.logprobs, strict=True):
        if token < first_timestamp:
            words.append(token)
            logprobs.append(logprob)
            continue
        last = min((token - first_timestamp) * STEP, length)
        long_enough = last - start >= SHORTEST and last <= length - SHORTEST
        if long_enough and SENTENCE_END.search(text_of(words)):
            texts.append(spoken_text(start, last, words, logprobs, text_of))
            words, logprobs = [], []
        if not words:
            start = last
        before_last = len(words)

    read = length
    if decoded.ended:
        end = last if before_last == len(words) else length
        rest = spoken_text(start, end, words, logprobs, text_of)
    elif last < SHORTEST or not (texts or before_last):
        # No end, and no timestamp from which reading could go on: the decoder is lost.
        rest = spoken_text(start, length, words, logprobs, text_of, is_trusted=False)
    elif last > length - SHORTEST:
        rest = spoken_text(start, length, words, logprobs, text_of)
    else:
        # The window holds more than the decoder can say. Reading goes on from the last timestamp.
        read = last
        closed_words, closed_logprobs = words[:before_last], logprobs[:before_last]
        rest = spoken_text(start, last, closed_words, closed_logprobs, text_of)
    texts.append(rest)
    return [text for text in texts if text[2]], read


def spoken_text(
    start: int,
    end: int,
    words: list[int],
    logprobs: list[float],
    text_of: TextOf,
    is_trusted: bool = True,
) -> SpokenText:
    """Return the text of words, with their geometric mean probability as its confidence.

    The confidence is 0 for no words, for a text that repeats itself, and where it is not trusted.
    """
    confidence = 0.0
    if is_trusted and words and not is_repetitive(words):
        confidence = math.exp(math.fsum(logprobs) / len(words))
    return min(start, end), end, text_of(words), round(confidence, 2)


def is_repetitive(tokens: list[int]) -> bool:
    """Whether a text says the same again and again."""
    # Every three tokens in a row: 1 2 3 4 has the triples (1, 2, 3) and (2, 3, 4).
    triples = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return len(set(triples)) < LEAST_VARIETY * len(triples)

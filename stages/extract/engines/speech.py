"""Engines that recognise speech: from samples to texts, with their times and confidences.

pocketsphinx (github.com/cmusphinx/pocketsphinx) comes with its model of English, and gives neither case
nor punctuation. Its confidence is the posterior probability of the utterance to the power of 1 / words.
Whisper has a module of its own. Both start anew with every utterance, so a result does not depend on
what came before. The number of threads is that of `run.threads`.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

from stages.core.models import checkpoint
from stages.extract.engines import whisper
from stages.extract.engines.whisper import CHECKPOINT, RATE, SpokenText

Recognise = Callable[[Any], list[SpokenText]]
"""From the (samples,) of an utterance, of 16 bits, 16,000 per second, to its texts, in order."""


def problems(engine: str, lang: str, model: str | None, revision: str | None) -> list[str]:
    """List the problems of an engine's settings."""
    if engine == "whisper":
        return CHECKPOINT.problems(model, revision)
    listed = []
    if lang != "en":
        listed.append(
            f"engine: pocketsphinx knows English alone, `lang` is {lang!r}; set engine: whisper"
        )
    for name, value in (("model", model), ("revision", revision)):
        if value is not None:
            listed.append(
                f"{name}: pocketsphinx brings its own model; remove it, or set engine: whisper"
            )
    return listed


def engine(name: str, model: str | None, revision: str | None, lang: str) -> Recognise:
    """Return the function that recognises. Raises InputError where its model is not there."""
    if name == "pocketsphinx":
        return pocketsphinx()
    folder = CHECKPOINT.folder_of(str(model), revision)
    return whisper.recogniser(folder, lang, checkpoint.state_of(folder))


def engine_version(name: str, model: str | None, revision: str | None) -> str:
    """Return names and versions of an engine, its libraries and its model.

    Another engine, version or model may recognise something else. pocketsphinx is named for Whisper
    too, because its detector finds the utterances.
    """
    detector = f"pocketsphinx {version('pocketsphinx')}"
    if name == "pocketsphinx":
        return f"{detector} en-us, scipy {version('scipy')}"
    # Without the build of torch: 2.13.0+cpu is version 2.13.0.
    libraries = [
        f"{library} {version(library).split('+')[0]}"
        for library in ("transformers", "torch", "scipy")
    ]
    model_identity = CHECKPOINT.identity(str(model), revision)
    return f"whisper {model_identity}, {', '.join(libraries)}, {detector}"


@cache
def pocketsphinx() -> Recognise:
    """Return the recogniser of pocketsphinx, with the model of its package."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=float(RATE), loglevel="FATAL")

    def recognise(samples: Any) -> list[SpokenText]:
        # Forget the level and the noise of earlier utterances.
        decoder.reinit_feat()
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        words = hypothesis.hypstr.split() if hypothesis else []
        confidence = 0.0
        if words:
            # A probability may exceed 1 by rounding.
            confidence = round(min(1.0, hypothesis.prob) ** (1 / len(words)), 2)
        return [(0, len(samples), " ".join(words), confidence)]

    return recognise

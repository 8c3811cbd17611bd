"""Engines that recognise speech: from samples to texts, their places, and how sure the engine is of each.

pocketsphinx (github.com/cmusphinx/pocketsphinx) comes with its model of English, without case and punctuation; its confidence is
the utterance's posterior probability to the power of 1 / words. Whisper is in a module of its own. Both begin anew with every
utterance, so what they say does not depend on what came before. The number of threads is that of `run.threads`.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

from stages.core.models import checkpoint
from stages.extract.engines import whisper
from stages.extract.engines.whisper import CHECKPOINT, RATE, Heard

Recognise = Callable[[Any], list[Heard]]
"""From the (samples,) of an utterance, of 16 bits, 16,000 a second, to what is said in it, in order."""


def problems(engine: str, lang: str, model: str | None, revision: str | None) -> list[str]:
    """What is wrong with the settings of an engine."""
    if engine == "whisper":
        return CHECKPOINT.problems(model, revision)
    found = (
        []
        if lang == "en"
        else [f"engine: pocketsphinx knows English alone, `lang` is {lang!r}; set engine: whisper"]
    )
    given = [
        name for name, value in (("model", model), ("revision", revision)) if value is not None
    ]
    return found + [
        f"{name}: pocketsphinx brings its own model; remove it, or set engine: whisper"
        for name in given
    ]


def engine(name: str, model: str | None, revision: str | None, lang: str) -> Recognise:
    """The function that recognises. Raises InputError where its model cannot be had."""
    if name == "pocketsphinx":
        return pocketsphinx()
    folder = CHECKPOINT.folder_of(str(model), revision)
    return whisper.recogniser(folder, lang, checkpoint.state_of(folder))


def engine_version(name: str, model: str | None, revision: str | None) -> str:
    """Names and versions: another engine, version or model may hear otherwise."""
    found = f"pocketsphinx {version('pocketsphinx')}"
    if name == "pocketsphinx":
        return f"{found} en-us, scipy {version('scipy')}"
    libraries = ", ".join(
        f"{library} {version(library).split('+')[0]}"
        for library in ("transformers", "torch", "scipy")
    )
    return f"whisper {CHECKPOINT.identity(str(model), revision)}, {libraries}, {found}"


@cache
def pocketsphinx() -> Recognise:
    """Its recogniser, with the model of its package."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=float(RATE), loglevel="FATAL")

    def recognise(samples: Any) -> list[Heard]:
        decoder.reinit_feat()  # forgets the level and the noise of what came before
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        words = found.hypstr.split() if found else []
        confidence = round(min(1.0, found.prob) ** (1 / len(words)), 2) if words else 0.0
        return [(0, len(samples), " ".join(words), confidence)]

    return recognise

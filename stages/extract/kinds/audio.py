"""Speech in sound files: WAV, FLAC and what else libsndfile reads.

An utterance is speech without a pause of a second or more, of 30 seconds at most (a longer one is cut where it is quiet). Where
speech is, the detector of WebRTC says that pocketsphinx brings along. A unit is an utterance or, where the engine tells sentences
apart, as Whisper does, a sentence of it. Its place is the time in seconds, as media fragments (www.w3.org/TR/media-frags) write
it: `talk.flac#t=0.0,4.2`. What was recognised with less confidence than asked for, nothing at all, and a file without speech are
set aside. Samples are read block by block; what is kept of an hour is 115 MB.
"""

from collections.abc import Iterator
from math import gcd
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError
from stages.core.project.params import STRICT
from stages.core.repeatable import memo
from stages.extract.engines import speech
from stages.extract.source import Common
from stages.extract.unit import Mapping, Unit

RATE = 16_000
"""Samples a second, as both engines expect them."""
FRAME = 480
"""Samples that are speech or not: 30 ms."""
PAUSE, MARGIN, LONGEST = 33, 10, 1_000
"""Frames: of a pause that parts utterances, that are kept around each, that one holds at most."""
STRICT_MODE = 3
"""Of the detector: the one of four that takes least for speech."""
BLOCK, OVERLAP = 10, 1
"""Seconds that are resampled together, and those around them that the filter sees."""


@dataclass(frozen=True, config=STRICT)
class Audio(Common):
    """Sound files."""

    kind: Literal["audio"]
    name: str
    path: str
    lang: str
    map: Mapping
    """Cells: text, start and end (seconds), file."""
    engine: Literal["pocketsphinx", "whisper"] = "pocketsphinx"
    """pocketsphinx comes with its model, of English; whisper needs `model`."""
    model: str | None = None
    """Of whisper: a folder, or a name on the hub, which must have been fetched before."""
    revision: str | None = None
    """Of a name on the hub: the full commit hash (40 hex digits), since a branch or tag may move."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The engines measure it differently: see docs/experiments.md."""

    def problems(self) -> list[str]:
        """What is wrong with the settings as a whole."""
        return speech.problems(self.engine, self.lang, self.model, self.revision)

    def engine_version(self) -> str:
        """Names and versions of what recognises, and the model's hash."""
        return speech.engine_version(self.engine, self.model, self.revision)

    def units(self, path: Path) -> Iterator[Unit]:
        """Utterances or sentences. Raises InputError where the file cannot be read, or the model cannot be had."""
        # Remembered is what the engine hears, so that another `min_confidence` or a new name of the file costs no recognition.
        arguments = (self.engine, self.model, self.revision, self.lang)
        items = memo.remembered(heard, path, *arguments, engine=self.engine_version())
        seconds, found = next(items), False
        for start, stop, text, confidence in items:
            found = True
            place = f"t={start:.1f},{stop:.1f}"
            if text and confidence >= self.min_confidence:
                yield Unit(
                    place,
                    text,
                    {
                        "text": text,
                        "start": f"{start:.1f}",
                        "end": f"{stop:.1f}",
                        "file": path.name,
                    },
                )
            else:
                evidence = f"recognised with confidence {confidence:.2f}, {self.min_confidence} is asked for"
                yield Unit(
                    place,
                    text,
                    None,
                    "low_confidence",
                    evidence if text else "speech in which no word was recognised",
                )
        if not found:
            yield Unit("", "", None, "no_speech", f"no speech in {seconds:.1f} seconds")


def heard(
    path: Path, engine: str, model: str | None, revision: str | None, lang: str
) -> Iterator[Any]:
    """As JSON can hold it: the length in seconds, then of every text start and end in seconds, itself and confidence.

    Raises InputError where the file cannot be read, or the model cannot be had.
    """
    samples = samples_of(path)
    recognise = speech.engine(engine, model, revision, lang)
    yield len(samples) / RATE
    for first, end in utterances(is_speech(samples), PAUSE, MARGIN, LONGEST):
        for start, stop, text, confidence in recognise(samples[first * FRAME : end * FRAME]):
            yield (first * FRAME + start) / RATE, (first * FRAME + stop) / RATE, text, confidence


def samples_of(path: Path) -> Any:
    """The sound as (samples,) of 16 bits, 16,000 a second, channels mixed. Raises InputError."""
    import numpy
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            blocks = list(blocks_of(file))
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        reason = str(error).replace(f"{path}", path.name)
        raise InputError(
            f"extract: {path} cannot be read as sound: {reason}; mend or remove it"
        ) from None
    return numpy.concatenate([numpy.zeros(0, "int16"), *blocks])


def blocks_of(file: Any) -> Iterator[Any]:
    """Blocks of a file, each resampled with what stands around it: together they are the whole file resampled at once."""
    import numpy
    from scipy.signal import resample_poly

    rate, shared = file.samplerate, gcd(file.samplerate, RATE)
    for start in range(0, file.frames, BLOCK * rate):
        before = min(start, OVERLAP * rate)
        file.seek(start - before)
        mixed = file.read(before + (BLOCK + OVERLAP) * rate, dtype="float32", always_2d=True).mean(
            axis=1
        )
        sound = numpy.nan_to_num(mixed)
        sound = resample_poly(sound, RATE // shared, rate // shared) if rate != RATE else sound
        own = sound[before * RATE // rate :][: BLOCK * RATE]
        yield numpy.round(numpy.clip(own, -1, 1) * 32767).astype("int16")


def is_speech(samples: Any) -> list[bool]:
    """Whether each frame is speech; the last one is filled up with silence."""
    from pocketsphinx import Vad

    detector = Vad(mode=STRICT_MODE, sample_rate=RATE, frame_length=FRAME / RATE)
    sound = samples.tobytes()
    size = 2 * FRAME
    return [
        detector.is_speech(sound[at : at + size].ljust(size, b"\0"))
        for at in range(0, len(sound), size)
    ]


def utterances(voiced: list[bool], pause: int, margin: int, longest: int) -> list[tuple[int, int]]:
    """(first frame, frame behind the last) of every utterance."""
    spans: list[tuple[int, int]] = []
    for at, voice in enumerate(voiced):
        if voice and spans and at - spans[-1][1] < pause:
            spans[-1] = (spans[-1][0], at + 1)
        elif voice:
            spans.append((at, at + 1))
    wide = ((max(0, first - margin), min(len(voiced), end + margin)) for first, end in spans)
    return [part for first, end in wide for part in cut(voiced, first, end, longest)]


def cut(voiced: list[bool], first: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    """A span in parts of at most `longest` frames, cut in the longest quiet of each part's second half."""
    while end - first > longest:
        quiet: tuple[int, int] = (0, first + longest)  # its length, its middle
        begun = first + longest // 2
        for at in range(first + longest // 2, first + longest + 1):
            if at == first + longest or voiced[at]:
                quiet = max(quiet, (at - begun, (at + begun) // 2)) if at > begun else quiet
                begun = at + 1
        yield first, quiet[1]
        first = quiet[1]
    yield first, end

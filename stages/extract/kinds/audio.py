"""Speech in sound files: WAV, FLAC and the other formats that libsndfile reads.

An utterance is speech without a pause of a second or more. One of more than 30 seconds is cut where it
is quiet. The detector of WebRTC, which comes with pocketsphinx, finds the speech. A unit is an
utterance. If the engine separates sentences, as Whisper does, a unit is a sentence. Its position is the
time in seconds, as in media fragments (www.w3.org/TR/media-frags): `talk.flac#t=0.0,4.2`. Set aside are
texts with too little confidence, speech without a recognised word, and files without speech. Samples
are read block by block. One hour of sound takes 115 MB of memory.
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
from stages.extract.source import FilePath, Lang, Name, SourceSettings
from stages.extract.unit import Mapping, Unit

RATE = 16_000
"""Samples per second, as both engines expect them."""
FRAME = 480
"""Samples that are speech or not: 30 ms."""
PAUSE = 33
"""Frames of a pause that separates utterances."""
MARGIN = 10
"""Frames that are kept before and behind an utterance."""
LONGEST = 1_000
"""Most frames of an utterance."""
STRICT_MODE = 3
"""Mode of the detector: the one of four that takes the fewest sounds for speech."""
BLOCK = 10
"""Seconds of sound that are resampled together."""
OVERLAP = 1
"""Seconds around a block that the resampling filter sees too."""
LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
"""Fewest and most samples per second of a file that is read. Telephones have 8,000, studios 192,000."""
LARGEST_RATIO = 50_000
"""Largest term of the ratio of a file's rate to 16,000, in lowest terms: 44,100 has 441 to 160. The filter of
the resampling has twenty times as many samples."""
MOST_CHANNELS = 16
"""Most channels of a file that is read."""
MOST_SECONDS = 6 * 3600
"""Most seconds of a file that are read. They take 700 MB of memory."""


@dataclass(frozen=True, config=STRICT)
class Audio(SourceSettings):
    """Sound files."""

    kind: Literal["audio"]
    """Recordings: WAV, FLAC, Ogg, MP3. A unit is an utterance, or a sentence where Whisper hears one."""
    name: Name
    path: FilePath
    lang: Lang
    map: Mapping
    """Meaning of the cells, which are `text`, `start` and `end` (seconds) and `file`."""
    engine: Literal["pocketsphinx", "whisper"] = "pocketsphinx"
    """Speech engine. `pocketsphinx` comes with the libraries. It knows only English, and gets one word in
    three wrong. `whisper` needs `model`, and is far better."""
    model: str | None = None
    """Whisper checkpoint: a folder (safetensors, tokenizer, `preprocessor_config.json`,
    `generation_config.json`), or a name on the hub. `extract` fetches nothing. Fetch it once:
    `HF_HUB_OFFLINE=0 hf download <name> --revision <hash>`. A folder is an input: run `dvc add` on it, and
    `lore overlay` (or you) names it in the deps of `extract`."""
    revision: str | None = None
    """Full commit hash (40 hex digits), for a name on the hub. A branch or tag is refused, because it may
    move."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Least confidence of a text, in [0, 1]. A text that was heard with less is set aside. The engines
    measure it differently: see docs/experiments.md."""

    def problems(self) -> list[str]:
        """List the problems of the engine's settings."""
        return speech.problems(self.engine, self.lang, self.model, self.revision)

    def details(self, files: list[Path]) -> dict[str, Any]:
        """Return the engine."""
        return {"engine": self.engine_version()}

    def engine_version(self) -> str:
        """Return names and versions of the engine and its libraries, and the hash of the model."""
        return speech.engine_version(self.engine, self.model, self.revision)

    def units(self, path: Path) -> Iterator[Unit]:
        """Yield utterances or sentences.

        Raises InputError where the file cannot be read, or the model is not there.
        """
        # The engine's result is remembered as it is, so that another `min_confidence` or a new name
        # of the file needs no new recognition.
        settings = (self.engine, self.model, self.revision, self.lang)
        items = memo.remembered(recognise_recording, path, *settings, engine=self.engine_version())
        seconds = next(items)
        is_silent = True
        for start, end, text, confidence in items:
            is_silent = False
            yield self._unit(path, start, end, text, confidence)
        if is_silent:
            yield Unit("", "", None, "no_speech", f"no speech in {seconds:.1f} seconds")

    def _unit(self, path: Path, start: float, end: float, text: str, confidence: float) -> Unit:
        position = f"t={start:.1f},{end:.1f}"
        if not text:
            evidence = "speech in which no word was recognised"
            return Unit(position, text, None, "low_confidence", evidence)
        if confidence < self.min_confidence:
            evidence = (
                f"recognised with confidence {confidence:.2f}, {self.min_confidence} is asked for"
            )
            return Unit(position, text, None, "low_confidence", evidence)
        cells = {"text": text, "start": f"{start:.1f}", "end": f"{end:.1f}", "file": path.name}
        return Unit(position, text, cells)


def recognise_recording(
    path: Path, engine: str, model: str | None, revision: str | None, lang: str
) -> Iterator[Any]:
    """Yield the length in seconds, then for each text (start, end, text, confidence) in seconds.

    This is what is remembered. Raises InputError where the file cannot be read, or the model is not
    there.
    """
    samples = samples_of(path)
    recognise = speech.engine(engine, model, revision, lang)
    yield len(samples) / RATE
    for first_frame, end_frame in utterances(is_speech(samples), PAUSE, MARGIN, LONGEST):
        first, end = first_frame * FRAME, end_frame * FRAME
        for start, stop, text, confidence in recognise(samples[first:end]):
            yield (first + start) / RATE, (first + stop) / RATE, text, confidence


def samples_of(path: Path) -> Any:
    """Read sound as (samples,) of 16 bits, 16,000 per second, with channels mixed. Raises InputError."""
    import numpy
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            check(file)
            blocks = list(blocks_of(file))
    except (soundfile.SoundFileError, OSError, MemoryError, TypeError, ValueError) as error:
        reason = str(error).replace(f"{path}", path.name)
        raise InputError(
            f"extract: {path} cannot be read as sound: {reason}; mend or remove it"
        ) from None
    return numpy.concatenate([numpy.zeros(0, "int16"), *blocks])


def check(file: Any) -> None:
    """Raise ValueError for sound that no recording has, which would take much memory or time."""
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        raise ValueError(
            f"it claims {file.samplerate:,} samples per second, "
            f"{LOWEST_RATE:,} to {HIGHEST_RATE:,} are read"
        )
    if file.samplerate // gcd(file.samplerate, RATE) > LARGEST_RATIO:
        raise ValueError(
            f"{file.samplerate:,} samples per second is an unusual rate; save it with 48,000"
        )
    if file.channels > MOST_CHANNELS:
        raise ValueError(f"it claims {file.channels:,} channels, at most {MOST_CHANNELS} are read")


def blocks_of(file: Any) -> Iterator[Any]:
    """Yield the sound of a file in blocks of 16,000 samples per second.

    Each block is resampled together with the sound around it. So the blocks together equal the whole
    file, resampled at once. The file may claim more samples than it holds. Raises ValueError where it is
    too long.
    """
    import numpy
    from scipy.signal import resample_poly

    rate = file.samplerate
    divisor = gcd(rate, RATE)
    for start in range(0, file.frames, BLOCK * rate):
        if start > MOST_SECONDS * rate:
            raise ValueError(f"longer than {MOST_SECONDS / 3600:g} hours; split it")
        before = min(start, OVERLAP * rate)
        file.seek(start - before)
        length = before + (BLOCK + OVERLAP) * rate
        channels = file.read(length, dtype="float32", always_2d=True)  # (samples, channels)
        if len(channels) <= before:
            return
        sound = numpy.nan_to_num(channels.mean(axis=1))
        if rate != RATE:
            sound = resample_poly(sound, RATE // divisor, rate // divisor)
        # Cut off the sound before and behind the block.
        first = before * RATE // rate
        block = sound[first : first + BLOCK * RATE]
        yield numpy.round(numpy.clip(block, -1, 1) * 32767).astype("int16")


def is_speech(samples: Any) -> list[bool]:
    """Tell for each frame whether it is speech. Silence fills up the last frame."""
    from pocketsphinx import Vad

    detector = Vad(mode=STRICT_MODE, sample_rate=RATE, frame_length=FRAME / RATE)
    sound = samples.tobytes()
    frame_bytes = 2 * FRAME  # a sample has two bytes
    voiced = []
    for start in range(0, len(sound), frame_bytes):
        frame = sound[start : start + frame_bytes]
        voiced.append(detector.is_speech(frame.ljust(frame_bytes, b"\0")))
    return voiced


def utterances(voiced: list[bool], pause: int, margin: int, longest: int) -> list[tuple[int, int]]:
    """Return (first frame, frame behind the last) of each utterance, with its margins."""
    spans: list[tuple[int, int]] = []
    for frame, voice in enumerate(voiced):
        if not voice:
            continue
        if spans and frame - spans[-1][1] < pause:
            first, _ = spans[-1]
            spans[-1] = (first, frame + 1)
        else:
            spans.append((frame, frame + 1))
    parts: list[tuple[int, int]] = []
    for first, end in spans:
        wide_first = max(0, first - margin)
        wide_end = min(len(voiced), end + margin)
        parts += cut(voiced, wide_first, wide_end, longest)
    return parts


def cut(voiced: list[bool], first: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    """Yield a span in parts of at most `longest` frames.

    Each cut lies in the middle of the longest silence in the second half of the part.
    """
    while end - first > longest:
        latest = first + longest
        # Without any silence the part has its full length.
        longest_silence, cut_frame = 0, latest
        silence_start = first + longest // 2
        for frame in range(first + longest // 2, latest + 1):
            # A voiced frame, or the end of the part, ends the silence before it.
            if frame < latest and not voiced[frame]:
                continue
            silence, middle = frame - silence_start, (frame + silence_start) // 2
            # Of equal silences the last one counts.
            if silence > 0 and (silence, middle) > (longest_silence, cut_frame):
                longest_silence, cut_frame = silence, middle
            silence_start = frame + 1
        yield first, cut_frame
        first = cut_frame
    yield first, end

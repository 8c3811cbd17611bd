"""audio: utterances with their seconds; silence, doubt and broken files set aside; the same file is heard the same twice."""

import json
import shutil
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from stages import extract
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import Run, parse
from stages.core.records import record
from stages.extract.engines import speech
from stages.extract.kinds import audio
from stages.extract.kinds.audio import Audio, is_speech, samples_of, utterances
from tests.beside import SHARED, needs_shared
from tests.stages.extract.damage import damaged


def shape(**settings: Any) -> dict[str, Any]:
    return {
        "kind": "audio",
        "name": "toy",
        "path": "a.wav",
        "lang": "en",
        "map": {"text": "text"},
    } | settings


def source(**settings: Any) -> Audio:
    problems: list[str] = []
    found = parse(shape(**settings), Audio, "extract.sources.0", problems)
    assert found is not None, problems
    return found


def sounds(path: Path, *seconds: tuple[float, bool], rate: int = 16_000, channels: int = 1) -> Path:
    """Stretches of a hum, which counts as speech in these tests, and of silence."""
    parts = []
    for length, loud in seconds:
        hum = numpy.sin(numpy.arange(round(length * rate)) * 0.1) * 0.5
        parts.append(hum if loud else 0 * hum)
    soundfile.write(path, numpy.stack([numpy.concatenate(parts)] * channels, axis=1), rate)
    return path


@pytest.fixture
def humming(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """What the engine says of each utterance, in turn; a frame with a hum is speech."""
    said: list[tuple[str, float]] = []

    def engine(*_: Any) -> speech.Recognise:
        turns = iter(said)
        return lambda samples: [(0, len(samples), *next(turns))]

    monkeypatch.setattr(speech, "engine", engine)
    monkeypatch.setattr(
        audio,
        "is_speech",
        lambda samples: [
            bool(numpy.abs(samples[at : at + 480]).max() > 99) for at in range(0, len(samples), 480)
        ],
    )
    return said


def test_an_utterance_is_a_unit(tmp_path: Path, humming: list[tuple[str, float]]) -> None:
    humming += [("iron melts", 0.9), ("tin cries", 0.3), ("", 0.0)]
    path = sounds(
        tmp_path / "a.wav",
        (1, False),
        (2, True),
        (0.6, False),
        (1, True),
        (2, False),
        (1, True),
        (1.5, False),
        (1, True),
    )
    first, second, third = source().units(path)
    assert (first.position, first.cells) == (
        "t=0.7,4.9",
        {"text": "iron melts", "start": "0.7", "end": "4.9", "file": "a.wav"},
    )
    assert (second.position, second.raw, second.reason) == (
        "t=6.3,7.9",
        "tin cries",
        "low_confidence",
    )
    assert second.evidence == "recognised with confidence 0.30, 0.5 is asked for"
    assert (third.position, third.reason, third.evidence) == (
        "t=8.8,10.1",
        "low_confidence",
        "speech in which no word was recognised",
    )


def test_silence_is_set_aside(tmp_path: Path) -> None:
    (unit,) = source().units(sounds(tmp_path / "a.wav", (1.5, False)))
    assert (unit.position, unit.reason, unit.evidence) == (
        "",
        "no_speech",
        "no speech in 1.5 seconds",
    )
    (unit,) = source().units(sounds(tmp_path / "a.wav", (0, False)))
    assert unit.evidence == "no speech in 0.0 seconds"


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1), (11_025, 2)])
def test_every_rate_and_channel_becomes_one_of_sixteen_thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, rate: int, channels: int
) -> None:
    path = sounds(
        tmp_path / f"a.{suffix}", (3.3, True), (0.25, False), rate=rate, channels=channels
    )
    samples = samples_of(path)
    assert samples.dtype == numpy.int16
    assert len(samples) == pytest.approx(3.55 * 16_000, abs=1)
    assert 16_000 < abs(samples).max() < 17_500
    monkeypatch.setattr(audio, "BLOCK", 1)
    assert (
        abs(samples_of(path).astype(int) - samples) <= 1
    ).all()  # however it is cut, to the last digit of a float


@pytest.mark.parametrize("content", [b"", b"no sound at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.wav cannot be read as sound: .*; mend or remove it"):
        list(source().units(tmp_path / "a.wav"))


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes_or_refused(tmp_path: Path) -> None:
    for suffix in ("wav", "flac"):
        whole = sounds(tmp_path / f"whole.{suffix}", (2, True)).read_bytes()
        (tmp_path / f"a.{suffix}").write_bytes(whole[: len(whole) // 2])
        try:
            assert len(samples_of(tmp_path / f"a.{suffix}")) <= 32_000
        except InputError as error:
            assert "cannot be read as sound" in str(error)  # noqa: PT017 - either is right


def test_a_sample_that_is_no_number_is_silence(tmp_path: Path) -> None:
    soundfile.write(
        tmp_path / "a.wav", numpy.array([numpy.nan, numpy.inf, 0.5, 9.0]), 16_000, subtype="FLOAT"
    )
    assert list(samples_of(tmp_path / "a.wav"))[2:] == [16384, 32767]


def test_what_is_no_speech(tmp_path: Path) -> None:
    assert is_speech(numpy.zeros(1000, "int16")) == [False] * 3


@pytest.mark.parametrize(
    ("voiced", "spans"),
    [
        ("", []),
        ("......", []),
        ("..##..", [(1, 5)]),
        ("#.##..##", [(0, 8)]),  # a pause of two is none
        ("##...##", [(0, 3), (4, 7)]),
        ("#####.#####", [(0, 5), (5, 11)]),  # cut where it is quiet
        ("###########", [(0, 8), (8, 11)]),
        ("##########..##.####", [(0, 8), (8, 14), (14, 19)]),
    ],
)
def test_where_utterances_are(voiced: str, spans: list[tuple[int, int]]) -> None:
    assert utterances([sign == "#" for sign in voiced], pause=3, margin=1, longest=8) == spans


@given(st.lists(st.booleans(), max_size=200), st.integers(2, 9), st.integers(4, 30))
def test_all_speech_is_in_one_utterance(voiced: list[bool], pause: int, longest: int) -> None:
    spans = utterances(voiced, pause, pause // 2, longest)
    assert all(0 <= first < end <= len(voiced) and end - first <= longest for first, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert all(
        sum(first <= at < end for first, end in spans) == 1
        for at, voice in enumerate(voiced)
        if voice
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"lang": "zh"},
            "engine: pocketsphinx knows English alone, `lang` is 'zh'; set engine: whisper",
        ),
        (
            {"model": "x"},
            "model: pocketsphinx brings its own model; remove it, or set engine: whisper",
        ),
        (
            {"revision": "x"},
            "revision: pocketsphinx brings its own model; remove it, or set engine: whisper",
        ),
        (
            {"engine": "whisper"},
            "model: missing; write the path of a Whisper folder, or a name on the hub",
        ),
        (
            {"engine": "whisper", "model": "a/b/c"},
            "model: 'a/b/c' is no folder and no name on the hub; write one of the two",
        ),
        (
            {"engine": "whisper", "model": "./a"},
            "model: './a' is no folder and no name on the hub; write one of the two",
        ),
        ({"engine": "whisper", "model": "."}, "model: .: no safetensors here"),
        (
            {"engine": "whisper", "model": ".", "revision": "0" * 40},
            "revision: a folder is pinned by its content; remove it",
        ),
        (
            {"engine": "whisper", "model": "a/b"},
            "revision: 'a/b' is no folder, and a hub model needs a full commit hash",
        ),
        (
            {"engine": "whisper", "model": "a/b", "revision": "main"},
            "revision: 'a/b' is no folder, and a hub model needs a full commit hash .40 hex digits., got 'main'",
        ),
    ],
)
def test_wrong_settings_are_told_before_anything_is_read(
    tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    problems: list[str] = []
    params = parse({"sources": [shape(**settings)]}, extract.Params, "extract", problems)
    assert params is not None, problems
    with pytest.raises(ParamsError, match=rf"extract\.sources\.0\.{message}"):
        extract.files_of(params, tmp_path)


def test_what_an_engine_tells_apart_in_an_utterance_is_a_unit_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [(0, 16_000, "Iron melts.", 0.9), (16_160, 38_400, "Tin cries.", 0.3)]
    monkeypatch.setattr(speech, "engine", lambda *_: lambda samples: said)
    monkeypatch.setattr(
        audio,
        "is_speech",
        lambda samples: [bool(samples[at]) for at in range(100, len(samples), 480)],
    )
    first, second = source().units(sounds(tmp_path / "a.wav", (1, False), (2, True)))
    assert (first.position, first.get("text"), first.get("start"), first.get("end")) == (
        "t=0.7,1.7",
        "Iron melts.",
        "0.7",
        "1.7",
    )
    assert (second.position, second.reason) == ("t=1.7,3.1", "low_confidence")


def test_pocketsphinx_forgets_what_it_heard_before() -> None:
    generator = numpy.random.default_rng(1)
    loud, soft = (
        (generator.normal(0, level, 16_000) * 32767).astype("int16") for level in (0.2, 0.01)
    )
    recognise = speech.pocketsphinx()
    before = recognise(soft)
    recognise(loud)
    assert recognise(soft) == before


@needs_shared
def test_real_clips_become_records(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("librivox_0880.wav", "silent_1s.wav"):
        shutil.copy(SHARED / "speech_clips" / name, raw)
    (raw / "x.wav").write_bytes(b"RIFF")
    problems: list[str] = []
    params = parse(
        {"sources": [shape(path="*.wav", min_confidence=0.0)]}, extract.Params, "extract", problems
    )
    assert params is not None, problems
    for name in ("one", "two"):
        extract.run(params, Run(seed=1, threads=1, isa="avx2", device="cpu"), raw, tmp_path / name)
    (row,) = record.read(tmp_path / "one/records.parquet")
    assert row["text"].startswith("he was not")
    assert row["text"].endswith("young man")
    assert row["locator"].startswith("librivox_0880.wav#t=0.0,")
    rejected = record.read(tmp_path / "one/rejected.parquet", record.REJECTED)
    assert [(row["locator"], row["reason"]) for row in rejected] == [
        ("silent_1s.wav", "no_speech"),
        ("x.wav", "unreadable"),
    ]
    (report,) = json.loads((tmp_path / "one/sources.json").read_text())
    assert report["engine"].startswith("pocketsphinx 5.")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def wav(rate: int, channels: int = 1, samples: int = 100, claimed: int | None = None) -> bytes:
    """A WAV file by hand, whose header may claim anything."""
    content = b"\1\0" * samples * channels
    size = len(content) if claimed is None else claimed
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, 2 * rate % 2**32, 2 * channels, 16)
    return (
        (b"RIFF" + struct.pack("<I", (36 + size) % 2**32) + b"WAVEfmt " + form + b"data")
        + struct.pack("<I", size)
        + content
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (wav(2**31 - 1), "it claims 2,147,483,647 samples per second, 4,000 to 384,000 are read"),
        (wav(1, samples=10**6), "it claims 1 samples per second, 4,000 to 384,000 are read"),
        (wav(0), "cannot be read as sound"),
        (wav(383_983), "383,983 samples per second is an unusual rate; save it with 48,000"),
        (wav(16_000, channels=1024), "it claims 1,024 channels, at most 16 are read"),
    ],
)
def test_sound_that_no_recording_has_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match=message):
        samples_of(tmp_path / "a.wav")


def test_a_header_may_claim_more_sound_than_there_is(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(8_000, samples=8_000, claimed=2**31))
    assert len(samples_of(tmp_path / "a.wav")) == 16_000


def test_a_recording_that_is_too_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "MOST_SECONDS", 9)
    with pytest.raises(InputError, match=r"longer than 0\.0025 hours; split it; mend or remove it"):
        samples_of(sounds(tmp_path / "a.wav", (21, False)))


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match=r"a\.raw cannot be read as sound: .*; mend or remove it"):
        samples_of(tmp_path / "a.raw")


@needs_shared
@pytest.mark.parametrize("name", ["librivox_0880.wav", "jfk.flac"])
def test_a_damaged_recording_is_read_or_refused(tmp_path: Path, name: str) -> None:
    whole = (SHARED / "speech_clips" / name).read_bytes()
    for seed in range(30):
        (tmp_path / name).write_bytes(damaged(whole, seed))
        try:
            assert samples_of(tmp_path / name).dtype == numpy.int16
        except InputError as error:
            assert "cannot be read as sound" in str(error)  # noqa: PT017 - either is right

"""audio: utterances with their seconds; silence, doubt and broken files set aside; the same file is heard the same twice."""

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from stages import extract
from stages.core import record
from stages.core.errors import InputError, ParamsError
from stages.core.params import Run, parse
from stages.extract import audio, speech
from stages.extract.audio import Audio, is_speech, samples_of, utterances

SHARED = Path(__file__).parents[3] / "shared" / "data" / "speech_clips"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real data beside the project is not here")
Heard = Callable[[Any], tuple[str, float]]


def shape(**settings: Any) -> dict[str, Any]:
    return {"kind": "audio", "name": "toy", "path": "a.wav", "lang": "en", "map": {"text": "text"}} | settings


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

    def engine(*_: Any) -> Heard:
        turns = iter(said)
        return lambda samples: next(turns)

    monkeypatch.setattr(speech, "engine", engine)
    monkeypatch.setattr(
        audio,
        "is_speech",
        lambda samples: [bool(numpy.abs(samples[at : at + 480]).max() > 99) for at in range(0, len(samples), 480)],
    )
    return said


def test_an_utterance_is_a_unit(tmp_path: Path, humming: list[tuple[str, float]]) -> None:
    humming += [("iron melts", 0.9), ("tin cries", 0.3), ("", 0.0)]
    path = sounds(
        tmp_path / "a.wav", (1, False), (2, True), (0.6, False), (1, True), (2, False), (1, True), (1.5, False), (1, True)
    )
    first, second, third = source().units(path)
    assert (first.place, first.cells) == (
        "t=0.7,4.9",
        {"text": "iron melts", "start": "0.7", "end": "4.9", "file": "a.wav"},
    )
    assert (second.place, second.raw, second.reason) == ("t=6.3,7.9", "tin cries", "low_confidence")
    assert second.evidence == "recognised with confidence 0.30, 0.5 is asked for"
    assert (third.place, third.reason, third.evidence) == (
        "t=8.8,10.1",
        "low_confidence",
        "speech in which no word was recognised",
    )


def test_silence_is_set_aside(tmp_path: Path) -> None:
    (unit,) = source().units(sounds(tmp_path / "a.wav", (1.5, False)))
    assert (unit.place, unit.reason, unit.evidence) == ("", "no_speech", "no speech in 1.5 seconds")
    (unit,) = source().units(sounds(tmp_path / "a.wav", (0, False)))
    assert unit.evidence == "no speech in 0.0 seconds"


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (8_000, 1), (11_025, 2)])
def test_every_rate_and_channel_becomes_one_of_sixteen_thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, rate: int, channels: int
) -> None:
    path = sounds(tmp_path / f"a.{suffix}", (3.3, True), (0.25, False), rate=rate, channels=channels)
    samples = samples_of(path)
    assert samples.dtype == numpy.int16
    assert len(samples) == pytest.approx(3.55 * 16_000, abs=1)
    assert 16_000 < abs(samples).max() < 17_500
    monkeypatch.setattr(audio, "BLOCK", 1)
    assert (abs(samples_of(path).astype(int) - samples) <= 1).all()  # however it is cut, to the last digit of a float


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
    soundfile.write(tmp_path / "a.wav", numpy.array([numpy.nan, numpy.inf, 0.5, 9.0]), 16_000, subtype="FLOAT")
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
    assert all(sum(first <= at < end for first, end in spans) == 1 for at, voice in enumerate(voiced) if voice)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lang": "zh"}, "engine: pocketsphinx knows English alone, `lang` is 'zh'; set engine: whisper"),
        ({"model": "x"}, "model: pocketsphinx brings its own; remove it, or set engine: whisper"),
        ({"engine": "whisper"}, "model: missing; write the path of a Whisper folder, or a name on the hub"),
        ({"engine": "whisper", "model": "a/b"}, "revision: 'a/b' is no folder, and a hub model needs a full commit hash"),
        (
            {"engine": "whisper", "model": "a/b", "revision": "main"},
            "revision: 'a/b' is no folder, and a hub model needs a full commit hash .40 hex digits., got 'main'",
        ),
    ],
)
def test_wrong_settings_are_told_before_anything_is_read(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    problems: list[str] = []
    params = parse({"sources": [shape(**settings)]}, extract.Params, "extract", problems)
    assert params is not None, problems
    with pytest.raises(ParamsError, match=rf"extract\.sources\.0\.{message}"):
        extract.files_of(params, tmp_path)


def test_a_hub_model_that_was_not_fetched_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    message = r"a/b at revision 0{40} is not on this machine, and extract fetches nothing; fetch it once: HF_HUB_OFFLINE=0 hf"
    with pytest.raises(InputError, match=message):
        speech.folder_of("a/b", "0" * 40)


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="no safetensors here, and weights in other formats are not loaded; convert the model"):
        speech.folder_of(str(tmp_path), None)
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match=r"cannot be loaded as a Whisper model: .*; check `model`"):
        speech.whisper(speech.folder_of(str(tmp_path), None), "en")


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Whisper, 16 wide, and a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    folder = tmp_path_factory.mktemp("whisper")
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|transcribe|>", "<|notimestamps|>"]
    names = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *special]
    end, start, en, zh, transcribe, no_times = range(256, 262)
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=special[0], pad_token=special[0]).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_mel_bins": 80, "max_target_positions": 448}
    tokens = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": start}
    model = WhisperForConditionalGeneration(WhisperConfig(vocab_size=262, **sizes, **heads, **tokens))
    model.generation_config = GenerationConfig(
        **tokens, is_multilingual=True, lang_to_id={"<|en|>": en, "<|zh|>": zh}, task_to_id={"transcribe": transcribe},
        no_timestamps_token_id=no_times, return_timestamps=False,
    )  # fmt: skip
    model.save_pretrained(folder)
    return folder


def test_whisper_hears_something_and_the_same_twice(tiny_whisper: Path) -> None:
    noise = (numpy.random.default_rng(0).normal(0, 0.1, 48_000) * 32767).astype("int16")
    recognise = speech.whisper(tiny_whisper, "en")
    text, confidence = recognise(noise)
    assert 0 < confidence < 0.1  # its weights are random, over 262 tokens
    assert "<|" not in text
    assert recognise(numpy.zeros(48_000, "int16")) is not None
    assert recognise(noise) == (text, confidence)
    speech.whisper.cache_clear()
    assert speech.whisper(tiny_whisper, "en")(noise) == (text, confidence)


def test_whisper_is_told_apart_by_its_weights(tiny_whisper: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_whisper, tmp_path / "other")
    (tmp_path / "other/extra.json").write_text("{}")
    one, two = (speech.engine_version("whisper", str(path), None) for path in (tiny_whisper, tmp_path / "other"))
    assert one.startswith(f"whisper {tiny_whisper} sha256 ")
    assert ", transformers 5." in one
    assert one.split(" sha256 ")[1] != two.split(" sha256 ")[1]
    assert speech.engine_version("pocketsphinx", None, None).startswith("pocketsphinx 5.")


def test_pocketsphinx_forgets_what_it_heard_before() -> None:
    generator = numpy.random.default_rng(1)
    loud, soft = ((generator.normal(0, level, 16_000) * 32767).astype("int16") for level in (0.2, 0.01))
    recognise = speech.pocketsphinx()
    before = recognise(soft)
    recognise(loud)
    assert recognise(soft) == before


@needs_shared
def test_real_clips_become_records(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("librivox_0880.wav", "silent_1s.wav"):
        shutil.copy(SHARED / name, raw)
    (raw / "x.wav").write_bytes(b"RIFF")
    problems: list[str] = []
    params = parse({"sources": [shape(path="*.wav", min_confidence=0.0)]}, extract.Params, "extract", problems)
    assert params is not None, problems
    for name in ("one", "two"):
        extract.run(params, Run(seed=1, threads=1, isa="avx2", device="cpu"), raw, tmp_path / name)
    (row,) = record.read(tmp_path / "one/records.parquet")
    assert row["text"].startswith("he was not")
    assert row["text"].endswith("young man")
    assert row["locator"].startswith("librivox_0880.wav#t=0.0,")
    rejected = record.read(tmp_path / "one/rejected.parquet", record.REJECTED)
    assert [(row["locator"], row["reason"]) for row in rejected] == [("silent_1s.wav", "no_speech"), ("x.wav", "unreadable")]
    (report,) = json.loads((tmp_path / "one/sources.json").read_text())
    assert report["engine"].startswith("pocketsphinx 5.")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()

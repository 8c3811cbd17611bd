"""Whisper: what is said, when, in the language asked for, the same twice; a checkpoint that cannot be used is told."""

import json
import shutil
from collections.abc import Iterator
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
from stages.core.repeatable import memo
from stages.extract.engines import speech
from stages.extract.engines.whisper import (
    CHECKPOINT,
    SHORTEST,
    STEP,
    Decoded,
    recogniser,
    split_window,
)
from stages.extract.kinds import audio
from tests.beside import SHARED, needs_shared

RUN = Run(seed=1, threads=1, isa="avx2", device="cpu")
END, START, EN, ZH, TRANSLATE, TRANSCRIBE, NO_TIMES, BEGIN = 256, 257, 258, 259, 260, 261, 262, 263
SECONDS = 10
"""Of a window: Whisper's are 30, which takes longer."""


def make(folder: Path, wide: int) -> Any:
    """A random Whisper of 2 layers with a tokenizer of bytes, in English and Chinese."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    names = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "<|endoftext|>"]
    tokenizer = WhisperTokenizer(
        vocab={name: number for number, name in enumerate(names)}, merges=[]
    )
    special = ["startoftranscript", "en", "zh", "translate", "transcribe", "notimestamps"]
    tokenizer.add_tokens([f"<|{name}|>" for name in special], special_tokens=True)
    tokenizer.add_tokens([f"<|{step * 0.02:.2f}|>" for step in range(SECONDS * 50 + 1)])
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=SECONDS).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {
        f"{side}_{what}": size
        for side in ("encoder", "decoder")
        for what, size in sizes_of(wide).items()
    }
    tokens = {
        "pad_token_id": END,
        "bos_token_id": END,
        "eos_token_id": END,
        "decoder_start_token_id": START,
    }
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=wide,
        max_source_positions=SECONDS * 50,
        **sizes,
        **tokens,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        **tokens, is_multilingual=True, lang_to_id={"<|en|>": EN, "<|zh|>": ZH}, no_timestamps_token_id=NO_TIMES,
        task_to_id={"translate": TRANSLATE, "transcribe": TRANSCRIBE}, max_initial_timestamp_index=50, return_timestamps=False,
    )  # fmt: skip
    model.save_pretrained(folder)
    return model


def sizes_of(wide: int) -> dict[str, int]:
    return {"layers": 2, "attention_heads": 2, "ffn_dim": 2 * wide}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that speaks nonsense."""
    folder = tmp_path_factory.mktemp("whisper") / "tiny"
    make(folder, 16)
    return folder


@pytest.fixture
def changed(tiny: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tiny, tmp_path / "changed"))


def settle(folder: Path, **settings: Any) -> Path:
    """Change settings of a checkpoint's generation; None removes one."""
    path = folder / "generation_config.json"
    found = json.loads(path.read_text()) | settings
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}))
    return folder


def noise(seconds: float) -> Any:
    return (numpy.random.default_rng(0).normal(0, 0.1, round(seconds * 16_000)) * 32767).astype(
        "int16"
    )


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """What the decoder was given before it spoke, of every window."""
    from transformers import WhisperForConditionalGeneration

    seen: list[list[int]] = []
    generate = WhisperForConditionalGeneration.generate

    def noted(self: Any, **settings: Any) -> Any:
        found = generate(self, **settings)
        seen.append(found.sequences[0].tolist()[: -len(found.scores)])
        return found

    monkeypatch.setattr(WhisperForConditionalGeneration, "generate", noted)
    return seen


def test_the_same_is_heard_twice_within_the_recording(tiny: Path) -> None:
    samples = noise(23)
    heard = recogniser(tiny, "en")(samples)
    assert heard
    assert all(
        0 <= first <= end <= len(samples) and 0 <= sure < 0.1 for first, end, _, sure in heard
    )  # its weights are random
    assert not any("<|" in text for _, _, text, _ in heard)
    assert recogniser(tiny, "en")(noise(3)) is not None
    assert recogniser(tiny, "en")(samples) == heard
    recogniser.cache_clear()
    assert recogniser(tiny, "en")(samples) == heard


def test_the_language_is_that_of_the_source(tiny: Path, prompts: list[list[int]]) -> None:
    for lang in ("en", "zh"):
        recogniser(tiny, lang)(noise(1))
    assert prompts == [[START, EN, TRANSCRIBE], [START, ZH, TRANSCRIBE]]


def test_a_recording_longer_than_a_window_is_heard_to_its_end(
    tiny: Path, prompts: list[list[int]]
) -> None:
    recogniser(tiny, "en")(noise(2 * SECONDS + 1))
    assert len(prompts) >= 3


def test_a_checkpoint_of_english_alone(changed: Path, prompts: list[list[int]]) -> None:
    settle(changed, is_multilingual=False, lang_to_id=None, task_to_id=None)
    recogniser(changed, "en")(noise(1))
    assert prompts == [[START]]
    with pytest.raises(
        InputError,
        match=r"does not know the language 'zh', its generation_config\.json says en; mend `lang`",
    ):
        recogniser(changed, "zh")


def test_a_language_that_a_checkpoint_does_not_know(tiny: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"does not know the language 'de', its generation_config\.json says en zh; mend `lang`",
    ):
        recogniser(tiny, "de")


def test_a_checkpoint_without_timestamps_gives_one_text(
    changed: Path, prompts: list[list[int]]
) -> None:
    settle(changed, no_timestamps_token_id=None)
    samples = noise(3)
    ((first, end, _, _),) = recogniser(changed, "en")(samples)
    assert (first, end) == (0, len(samples))
    assert len(prompts) == 1


WORDS = {1: " iron", 2: " melts.", 3: " 铁", 4: "。", 5: " "}


def text_of(tokens: list[int]) -> str:
    return "".join(WORDS[token] for token in tokens).strip()


def at(seconds: float) -> int:
    return 100 + round(seconds * 50)


@pytest.mark.parametrize(
    ("tokens", "ended", "texts", "heard"),
    [
        ([at(0), 1, 2, at(2)], True, [(0, 2, "iron melts.")], 10),
        ([at(0), 1, 2], True, [(0, 10, "iron melts.")], 10),  # no last timestamp: to the end
        ([1, 2], True, [(0, 10, "iron melts.")], 10),  # none at all
        ([], True, [], 10),
        ([at(0.4), at(0.4)], True, [], 10),
        (
            [at(1), 1, 2, at(3), at(4), 3, 4, at(6)],
            True,
            [(1, 3, "iron melts."), (4, 6, "铁。")],
            10,
        ),
        (
            [at(0), 1, at(3), at(3), 2, at(6)],
            True,
            [(0, 6, "iron melts.")],
            10,
        ),  # in the middle of a sentence
        (
            [at(0), 1, 2, at(0.5), at(0.5), 3, 4, at(6)],
            True,
            [(0, 6, "iron melts. 铁。")],
            10,
        ),  # too short
        (
            [at(0), 1, 2, at(9.5), at(9.5), 3, at(10)],
            True,
            [(0, 10, "iron melts. 铁")],
            10,
        ),  # what is left is
        (
            [at(0), 1, 2, at(3), at(3), 3, at(6), at(6), 1],
            False,
            [(0, 3, "iron melts."), (3, 6, "铁")],
            6,
        ),
        ([at(0), 1, 2, at(3), at(3), 1], False, [(0, 3, "iron melts.")], 3),
        ([at(0), 1, at(9.8), at(9.8), 3], False, [(0, 10, "iron 铁")], 10),
        (
            [at(0), 1, 2, at(30)],
            True,
            [(0, 10, "iron melts.")],
            10,
        ),  # later than the window is long
    ],
)
def test_sentences_have_their_own_seconds(
    tokens: list[int], ended: bool, texts: list[tuple[float, float, str]], heard: float
) -> None:
    found, upto = split_window(Decoded(tokens, [-0.5] * len(tokens), ended), 100, 160_000, text_of)
    assert [(first / 16_000, end / 16_000, text) for first, end, text, _ in found] == texts
    assert upto / 16_000 == heard
    assert all(sure == 0.61 for *_, sure in found)


@pytest.mark.parametrize(
    "tokens", [[at(0), 1, 1, 1], [1, 1, 1], [at(2), 1, 1], [at(0), 1, at(0.4), at(0.4), 1, 1]]
)
def test_what_comes_to_no_end_is_not_trusted(tokens: list[int]) -> None:
    *_, (_, end, text, sure) = split_window(
        Decoded(tokens, [-0.1] * len(tokens), ended=False), 100, 160_000, text_of
    )[0]
    assert (end, sure, text.startswith("iron iron")) == (160_000, 0.0, True)


def test_what_is_said_again_and_again_is_not_trusted() -> None:
    for times, sure in ((1, 0.9), (2, 0.9), (3, 0.0), (30, 0.0)):
        tokens = [at(0), *[1, 3, 1, 2] * times, at(6)]
        ((_, _, _, found),) = split_window(
            Decoded(tokens, [-0.105] * len(tokens), ended=True), 100, 160_000, text_of
        )[0]
        assert found == sure


@st.composite
def saids(draw: st.DrawFn) -> tuple[Decoded, int]:
    """What a decoder may say: words, and timestamps that never go back."""
    length = draw(st.integers(1, SECONDS * 16_000))
    times = iter(sorted(draw(st.lists(st.integers(100, 100 + SECONDS * 50), max_size=12))))
    tokens = [
        next(times, 1) if draw(st.booleans()) else draw(st.sampled_from([1, 2, 3, 4, 5]))
        for _ in range(30)
    ]
    return Decoded(tokens, [-0.5] * len(tokens), draw(st.booleans())), length


@given(saids())
def test_texts_follow_each_other_and_no_word_is_lost(drawn: tuple[Decoded, int]) -> None:
    said, length = drawn
    found, heard = split_window(said, 100, length, text_of)
    assert 0 < heard <= length
    assert heard == length or length - heard >= SHORTEST
    assert all(0 <= first <= end <= length for first, end, _, _ in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    assert len(
        {(f"{first / 16_000:.1f}", f"{end / 16_000:.1f}") for first, end, *_ in found}
    ) == len(found)
    if heard == length:
        words = "".join(WORDS[token] for token in said.tokens if token < 100)
        assert "".join("".join(text for _, _, text, _ in found).split()) == "".join(words.split())
    else:  # up to the timestamp from which it is heard on
        assert any(
            min((token - 100) * STEP, length) == heard for token in said.tokens if token >= 100
        )


@pytest.mark.parametrize("name", CHECKPOINT.needed)
def test_a_folder_that_lacks_a_file_is_told_before_anything_is_read(
    changed: Path, tmp_path: Path, name: str
) -> None:
    (changed / name).unlink()
    params = parsed(model=str(changed))
    with pytest.raises(
        ParamsError,
        match=rf"extract\.sources\.0\.model: .*changed: no {name} here; copy it from where the",
    ) as told:
        extract.files_of(params, tmp_path)
    assert str(told.value).count(" here; ") == 1
    with pytest.raises(
        InputError, match=f"no {name} here; copy it from where the checkpoint comes from"
    ):
        CHECKPOINT.folder_of(str(changed), None)


def test_pickled_weights_are_refused_and_all_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(
        ParamsError,
        match=r"no safetensors here .but pytorch_model\.bin., and .*; convert the model, or",
    ) as told:
        extract.files_of(parsed(model=str(tmp_path), revision="main"), tmp_path)
    lines = str(told.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["extract.sources.0.revision"] + [
        "extract.sources.0.model"
    ] * 5


def test_weights_that_do_not_fit_are_refused(changed: Path, tiny_model: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(changed / "model.safetensors")
    del weights["model.encoder.conv1.weight"]
    save_file(weights, changed / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        InputError,
        match=r"as a Whisper model: no weights for model\.encoder\.conv1\.weight …; check `model`",
    ):
        recogniser(changed, "en")
    (changed / "model.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match=r"cannot be loaded as a Whisper model: .*; check `model`"):
        recogniser(changed, "en", (("another", 0, 0),))
    for path in tiny_model.iterdir():
        shutil.copy(path, changed)
    with pytest.raises(InputError, match=r"cannot be loaded as a Whisper model: .*; check `model`"):
        recogniser(changed, "en", (("Llama", 0, 0),))


def test_a_hub_model_is_taken_at_its_commit_from_what_was_fetched(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("a/b", "a/b--c"):  # the second is none that the hub allows
        message = rf"extract: {name} at revision 0{{40}} is not on this machine, and extract fetches nothing; fetch it once"
        with pytest.raises(InputError, match=message):
            CHECKPOINT.folder_of(name, "0" * 40)
    folder = Path(shutil.copytree(tiny, tmp_path / "models--a--b/snapshots" / ("0" * 40)))
    assert CHECKPOINT.folder_of("a/b", "0" * 40) == folder
    local, fetched = CHECKPOINT.identity(str(tiny), None), CHECKPOINT.identity("a/b", "0" * 40)
    assert fetched == local.replace("tiny", f"a/b at {'0' * 40}", 1)


def test_what_reads_is_told_by_names_and_hash_alone(
    tiny: Path, changed: Path, tmp_path: Path
) -> None:
    (changed / "README.md").write_text("of no matter")
    one, two = (speech.engine_version("whisper", str(folder), None) for folder in (tiny, changed))
    assert one.startswith("whisper tiny sha256 ")
    assert ", transformers 5." in one
    assert str(tmp_path.parent) not in one
    assert one.split(" sha256 ")[1] == two.split(" sha256 ")[1]
    settle(changed, is_multilingual=False)
    assert speech.engine_version("whisper", str(changed), None) != two


def parsed(**settings: Any) -> extract.Params:
    shape = {
        "kind": "audio",
        "name": "talks",
        "path": "*.wav",
        "lang": "en",
        "map": {"text": "text"},
        "engine": "whisper",
    }
    problems: list[str] = []
    params = parse({"sources": [shape | settings]}, extract.Params, "extract", problems)
    assert params is not None, problems
    return params


def test_a_run_is_the_same_with_and_without_what_is_remembered(
    tiny: Path, tmp_path: Path, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "is_speech", lambda samples: [True] * (len(samples) // audio.FRAME))
    raw = tmp_path / "raw"
    raw.mkdir()
    soundfile.write(raw / "a.wav", noise(33), 16_000)
    params, asked, found = parsed(model=str(tiny), min_confidence=0.0), [], []
    for name in ("cold", "warm", "again"):
        if name == "again":
            shutil.rmtree(memo.folder())
        extract.run(params, RUN, raw, tmp_path / name)
        asked.append(len(prompts))
        found.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert asked[0] >= 4
    assert asked == [asked[0], asked[0], 2 * asked[0]]
    assert found[0] == found[1] == found[2]
    rows = [
        *record.read(tmp_path / "cold/records.parquet"),
        *record.read(tmp_path / "cold/rejected.parquet", record.REJECTED),
    ]
    assert len({row["id"] for row in rows}) == len(rows)
    assert json.loads(found[0]["sources.json"])[0]["engine"].startswith("whisper tiny sha256 ")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkpoint that was taught two clips, one in each language, by heart."""
    import torch
    from transformers import WhisperFeatureExtractor, WhisperTokenizer

    folder = tmp_path_factory.mktemp("taught")
    model = make(folder, 64)
    tokenizer, features = (
        WhisperTokenizer.from_pretrained(folder),
        WhisperFeatureExtractor.from_pretrained(folder),
    )
    sounds, texts = [], []
    for path, lang in CLIPS:
        samples = audio.samples_of(path)
        ((first, end),) = audio.utterances(
            audio.is_speech(samples), audio.PAUSE, audio.MARGIN, audio.LONGEST
        )
        spoken = samples[first * audio.FRAME : end * audio.FRAME]
        sounds.append(
            features(
                spoken.astype("float32") / 32768, sampling_rate=16_000, return_tensors="pt"
            ).input_features[0]
        )
        words = tokenizer(
            " " + path.with_suffix(".txt").read_text("utf-8").strip(), add_special_tokens=False
        ).input_ids
        language = EN if lang == "en" else ZH
        texts.append([START, language, TRANSCRIBE, BEGIN, *words, BEGIN + len(spoken) // STEP, END])
    longest = max(map(len, texts))
    inputs = torch.tensor([tokens + [END] * (longest - len(tokens)) for tokens in texts])
    labels = torch.tensor([tokens[1:] + [-100] * (longest - len(tokens)) for tokens in texts])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(90):
        loss = model(
            input_features=torch.stack(sounds), decoder_input_ids=inputs[:, :-1], labels=labels
        ).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval().save_pretrained(folder)
    yield folder
    recogniser.cache_clear()


CLIPS = [
    (SHARED / "speech_clips/librivox_0880.wav", "en"),
    (SHARED / "speech_clips/aishell_BAC009S0724W0121.wav", "zh"),
]


@needs_shared
def test_what_a_checkpoint_was_taught_becomes_records(taught: Path, tmp_path: Path) -> None:
    texts = {}
    for path, lang in CLIPS:
        (tmp_path / lang).mkdir()
        shutil.copy(path, tmp_path / lang / "a.wav")
        extract.run(
            parsed(model=str(taught), lang=lang, min_confidence=0.5),
            RUN,
            tmp_path / lang,
            tmp_path / "out",
        )
        (row,) = record.read(tmp_path / "out/records.parquet")
        texts[lang] = (row["text"], row["lang"], row["locator"])
    assert texts == {
        "en": ("he was not an ill disposed young man", "en", "a.wav#t=0.0,3.0@text"),
        "zh": ("广州市房地产中介协会分析", "zh", "a.wav#t=0.2,4.0@text"),
    }

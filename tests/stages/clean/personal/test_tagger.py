"""Names by a token classification checkpoint: found as taught, also in long texts; gone after treatment; told where unusable."""

import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.personal import (
    Model,
    Params,
    Treatment,
    find_personal,
    salt_of,
    tagger,
    treated,
    treatment_of,
)
from stages.clean.personal.treatment import tagger_of
from stages.core.models import checkpoint
from stages.core.project.errors import InputError, ParamsError
from stages.core.repeatable import memo
from tests.stages.clean.test_clean import PARAMS, run, text

GIVEN, FAMILY = ("anna", "omar", "li", "marta"), ("stone", "okafor", "wei", "lindqvist")
FRAMES = (
    "yesterday {} left the ward .", "the ward asked {} for a sample .", "a sample of {} was lost", "{} and {} left .",
    "zinc is zinc : zinc", "the zinc was lost .",
)  # fmt: skip
"""Zinc is no word of the model, and stands for all such words."""
LABELS = {"PER": "person"}


def cut(word: str) -> list[str]:
    """A word as the tokenizer has it: names of more than four letters in two parts."""
    return [word[:3], f"##{word[3:]}"] if len(word) > 4 and word in GIVEN + FAMILY else [word]


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    """A tagger takes one thread for the whole process; other tests count on more."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def names_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT (one layer) that was taught whom these frames name."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model") / "names"
    words = sorted(
        {word for frame in FRAMES for word in frame.split() if word not in ("{}", "zinc")}
    )
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *words,
        *sorted({p for name in GIVEN + FAMILY for p in cut(name)}),
    ]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    plain = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    plain.normalizer = normalizers.Lowercase()
    plain.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    plain.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=plain,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    ).save_pretrained(folder)
    torch.manual_seed(1)
    model = BertForTokenClassification(
        BertConfig(
            vocab_size=len(pieces), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            id2label={0: "O", 1: "B-PER", 2: "I-PER"}, label2id={"O": 0, "B-PER": 1, "I-PER": 2},
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    people = list(itertools.product(GIVEN, FAMILY))
    for _ in range(6):
        for number, frame in itertools.product(range(len(people)), FRAMES):
            tokens, labels = ["[CLS]"], [0]
            for place, word in enumerate(frame.split()):
                parts = (
                    [cut(name) for name in people[(number + place) % len(people)]]
                    if word == "{}"
                    else [[word]]
                )
                whole = [part for name in parts for part in name]
                tokens, labels = (
                    tokens + whole,
                    labels + ([1, *[2] * (len(whole) - 1)] if word == "{}" else [0]),
                )
            ids = torch.tensor([[vocabulary.get(token, 1) for token in [*tokens, "[SEP]"]]])
            model(input_ids=ids, labels=torch.tensor([[*labels, 0]])).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def changed(names_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(names_model, tmp_path / "changed"))


def params_of(folder: Path, **more: Any) -> Params:
    return Params(actions={"person": "replace"}, tagger=Model(str(folder), labels=LABELS), **more)


def named(content: str, params: Params) -> list[str]:
    return [
        content[span.start : span.end]
        for span in find_personal(content, "en", tagger=tagger_of(params))
    ]


def test_names_that_no_pattern_knows_are_found_whole(names_model: Path) -> None:
    params = params_of(names_model)
    content = "Yesterday Marta Lindqvist left the ward ."
    assert find_personal(content, "en") == []
    (span,) = find_personal(content, "en", tagger=tagger_of(params))
    assert (content[span.start : span.end], span.kind, span.normal) == (
        "Marta Lindqvist",
        "person",
        "marta lindqvist",
    )
    assert named("Li Stone and Omar Okafor left .", params) == ["Li Stone", "Omar Okafor"]
    assert named("A sample was lost", params) == []


def test_a_long_text_is_read_in_windows(names_model: Path) -> None:
    sentence = "The ward asked Marta Lindqvist for a sample . "
    assert named(sentence * 20, params_of(names_model)) == ["Marta Lindqvist"] * 20


THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from stages.clean.personal import tagger
contents = ["The ward asked Marta Lindqvist for a sample . " * (1 + number % 9) for number in range(40)]
tag = lambda content: tagger.tagged(content, sys.argv[1], None, (("PER", "person"),))
with ThreadPoolExecutor(4) as pool:
    found = list(pool.map(tag, contents))
assert found == [tag(content) for content in contents]
print(*map(len, found[:9]))
"""


@pytest.mark.slow
def test_workers_that_are_threads_find_what_one_finds(names_model: Path) -> None:
    new = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        THREADS,
        str(names_model),
    ]  # where nothing of transformers is loaded yet
    ended = subprocess.run(
        new, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4]
    )
    assert (ended.stdout.split(), ended.returncode) == (list("123456789"), 0), ended.stderr


@given(st.integers(0, 60), st.integers(2, 12), st.data())
def test_windows_that_overlap_give_each_token_once(
    count: int, size: int, data: st.DataObject
) -> None:
    tokens = [(3 * number, 3 * number + 2, str(number)) for number in range(count)]
    windows, start = [tokens[:size]] if tokens else [], 0
    while start + size < count:
        start += data.draw(st.integers(1, size))
        windows.append(tokens[start : start + size])
    assert list(tagger.joined(windows)) == tokens


@pytest.mark.parametrize(
    ("content", "labels", "expected"),
    [
        ("Al Bo", "B I", ["Al Bo"]),
        ("Al Bo", "B B", ["Al", "Bo"]),
        ("Al, Bo", "B O I", ["Al", "Bo"]),
        ("O'Bo-Li", "B I I I I", ["O'Bo-Li"]),
        ("王小明", "B I I", ["王小明"]),
        ("王明李", "B I B", ["王明", "李"]),
        ("(Al)", "B B B", ["Al"]),
        ("- Al", "B O", []),
        ("Al Bo", "O I", ["Bo"]),
    ],
)
def test_spans_of_tokens(content: str, labels: str, expected: list[str]) -> None:
    places = [found.span() for found in re.finditer(r"[A-Za-z]+|[^\sA-Za-z]", content)]
    tokens = [
        (*place, f"{label}-PER" if label != "O" else "O")
        for place, label in zip(places, labels.split(), strict=True)
    ]
    assert [
        content[start:end] for start, end, _ in tagger.spans_of(content, tokens, {"PER"})
    ] == expected


def test_the_first_part_of_a_word_decides_for_the_word() -> None:
    parts = [(0, 3, "B-PER"), (3, 7, "O"), (8, 10, "O"), (10, 12, "B-PER")]
    assert tagger.spans_of("Martine went", parts, {"PER"}) == [(0, 7, "PER")]


def test_what_the_model_names_is_gone_and_stays_gone(names_model: Path) -> None:
    params = params_of(names_model)
    row = text("Yesterday Marta Lindqvist left the ward .\nA sample of Marta Lindqvist was lost")
    once, spans = treated(row, params, b"")
    assert once["text"] == "Yesterday <PERSON> left the ward .\nA sample of <PERSON> was lost"
    assert [span.kind for span in spans] == ["person"]
    assert treated(once, params, b"")[0] == once
    left = Treatment(
        dataclasses.replace(params, actions={"email": "replace"}, require_none=True), b""
    ).judged({0: row})
    assert left[1] == {0: ("personal_data", "person left, and require_none is set")}


def test_clean_says_which_model_it_was(
    names_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(names_model.parent)  # a path that holds here is one for workers elsewhere too
    rows = [text("Yesterday Marta Lindqvist left the ward .")]
    kept, _, report = run(
        tmp_path, rows, dataclasses.replace(PARAMS, personal=params_of(Path("names")))
    )
    assert [row["text"] for row in kept if not row["fact"]] == [
        "Yesterday <PERSON> left the ward ."
    ]
    assert report["personal"]["found"] == {"person": {"action": "replace", "values": 1}}
    assert report["personal"]["tagger"] == f"names sha256 {checkpoint.sha256_of(names_model)}"


def test_a_text_is_read_once(
    names_model: Path, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(
        tagger,
        "tagger",
        lambda folder, state: lambda content: calls.append(content) or [(0, 4, "B-PER")],
    )
    for folder in (
        names_model,
        names_model,
        shutil.copytree(changed, changed.parent / "names"),
    ):  # the same model elsewhere
        assert named("Omar Wei", params_of(folder)) == ["Omar"]
    assert calls == ["Omar Wei"]
    assert not any(b"Omar" in path.read_bytes() for path in memo.files())
    (changed / "config.json").write_text(
        json.dumps(json.loads((changed / "config.json").read_text()) | {"note": 1})
    )
    assert named("Omar Wei", params_of(changed)) == ["Omar"]
    assert calls == ["Omar Wei"] * 2


def test_settings_are_told_at_once(names_model: Path, tmp_path: Path) -> None:
    wrong = Params(
        actions={},
        tagger=Model(str(names_model), "main", labels={"PER": "person", "LOC": "address"}),
    )
    with pytest.raises(ParamsError) as told:
        salt_of(wrong)
    assert str(told.value).splitlines()[1:] == [
        "  clean.personal.tagger.revision: a folder is pinned by its content; remove it",
        "  clean.personal.tagger.labels.PER: person has no action; write one below clean.personal.actions",
        "  clean.personal.tagger.labels.LOC: address has no action; write one below clean.personal.actions",
    ]
    unknown = Params(
        actions={"person": "mask"}, tagger=Model(str(names_model), labels={"PERSON": "person"})
    )
    with pytest.raises(
        ParamsError, match=r"tagger\.labels\.PERSON: no label of .*names, which has O PER$"
    ):
        salt_of(unknown)
    with pytest.raises(
        ParamsError, match=r"tagger\.labels: none; write which of the model's labels mean what"
    ):
        salt_of(Params(tagger=Model(str(names_model))))
    with pytest.raises(
        ParamsError,
        match=r"tagger\.revision: 'a/b' is no folder, and a hub model needs a full commit hash",
    ):
        salt_of(Params(tagger=Model("a/b", labels={})))
    with pytest.raises(
        ParamsError,
        match=r"tagger\.model: clean: a/b at revision 0{40} is not on this machine, and clean",
    ):
        treatment_of(
            Params(actions={"person": "mask"}, tagger=Model("a/b", "0" * 40, {"PER": "person"}))
        )


def test_a_folder_that_lacks_a_file_is_told(changed: Path) -> None:
    os.unlink(changed / "tokenizer.json")
    with pytest.raises(
        ParamsError,
        match=r"clean\.personal\.tagger\.model: .*changed: no tokenizer\.json here; copy it from",
    ):
        salt_of(params_of(changed))


def test_a_model_that_was_never_taught_labels_is_refused(changed: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(changed / "model.safetensors")
    taught = {name: one for name, one in weights.items() if "classifier" not in name}
    save_file(taught, changed / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        InputError,
        match=r"no weights for classifier\.bias, classifier\.weight …; check clean\.personal\.tagger",
    ):
        tagger.tagger(changed)
    (changed / "model.safetensors").write_bytes(b"x")
    with pytest.raises(
        InputError,
        match=r"cannot be loaded as a token classification model: .*; check clean\.personal\.tagger",
    ):
        tagger.tagger(changed, (("other", 0, 0),))

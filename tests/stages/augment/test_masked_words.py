"""masked_words: a masked model fills what WordNet leaves, protected words stay, and the same bytes come each time."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages import augment
from stages.augment import checkpoints, masked_words, texts
from stages.augment.checkpoints import Model
from stages.augment.masked_words import MaskedWords, chinese_places, wrong_in_chinese
from stages.augment.synonyms import Replacement, Thesaurus
from stages.core.project.errors import ParamsError
from stages.core.project.params import Run
from stages.core.records import record
from tests.stages.augment import test_augment

WORDNET = Path(__file__).parents[3] / "data" / "wordnet"
THESAURUS = Thesaurus(WORDNET, 3)
ENGLISH = "the a of gadget widget sprogget gizmo turns slowly quickly near iron water increase decrease".split()
CHINESE = list("铁的矿石用来制造机器工具设备材料")


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    """A checkpoint takes one thread for the whole process; other tests count on more."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A random BERT of one layer that fills masks."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model") / "masked"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##s", *ENGLISH, *CHINESE]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    plain = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    plain.normalizer = normalizers.BertNormalizer(lowercase=True)
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
        mask_token="[MASK]",
        model_max_length=32,
    ).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return Model(str(folder))


def proposing(monkeypatch: pytest.MonkeyPatch, **words: list[tuple[str, float]]) -> None:
    """Let the model propose these words for each word."""

    def proposals(sentence: str, spans: Any, *_: Any) -> list[list[tuple[str, float]]]:
        return [words.get(sentence[start:end], []) for start, end in spans]

    monkeypatch.setattr(checkpoints, "proposals", proposals)


def words_of(similarity: float = 0.9) -> MaskedWords:
    return MaskedWords(THESAURUS, Model("none"), None, similarity)


def test_the_most_similar_candidate_that_may_be_taken_is(monkeypatch: pytest.MonkeyPatch) -> None:
    proposing(monkeypatch, sprogget=[("gizmo", 0.95), ("widget", 0.97), ("gadget", 0.5)])
    words = words_of()
    text = "It was late. The sprogget turns near water."
    found = words.replacements(text, "en", 1, frozenset())
    assert found == [Replacement(text.replace("sprogget", "widget"), "sprogget", "widget")]
    assert words.refused == {"less_similar": 1}
    assert words.made == 1


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        ("sprogget", "same_word"),
        ("Gizmo", "not_plain"),
        ("12", "not_plain"),
        ("never", "function_word"),
        ("iron", "protected_synonym"),
        ("gizmos", "other_ending"),
        ("apple", "article"),
        ("lowly", "other_ending"),
    ],
)
def test_candidates_that_may_not_be_taken(
    monkeypatch: pytest.MonkeyPatch, candidate: str, reason: str
) -> None:
    proposing(monkeypatch, sprogget=[(candidate, 1.0)])
    words = words_of()
    assert words.replacements("Here a sprogget turns.", "en", 1, frozenset({"iron"})) == []
    assert words.refused == {reason: 1}


def test_opposites_are_refused() -> None:
    assert THESAURUS.are_opposites("increase", "decrease")
    assert THESAURUS.are_opposites("increased", "decreased")
    assert not THESAURUS.are_opposites("moist", "damp")


def test_only_words_without_a_synonym_in_wordnet_are_masked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def proposals(sentence: str, spans: Any, *_: Any) -> list[list[tuple[str, float]]]:
        asked.extend(sentence[start:end] for start, end in spans)
        return [[] for _ in spans]

    monkeypatch.setattr(checkpoints, "proposals", proposals)
    words_of().replacements("The moist sprogget is not 12 iron.", "en", 1, frozenset({"iron"}))
    assert set(asked) == {"sprogget"}


def test_chinese_words_are_replaced_as_wholes(monkeypatch: pytest.MonkeyPatch) -> None:
    proposing(monkeypatch, 机器=[("工具", 0.99), ("机的", 1.0)])
    text = "铁用来制造机器。"
    words = words_of()
    found = words.replacements(text, "zh", 1, frozenset({"铁"}))
    assert found == [Replacement("铁用来制造工具。", "机器", "工具")]
    assert words.refused == {"no_word": 1}


def test_chinese_names_negation_and_numbers_stay() -> None:
    text = "没有机器比三个工具更重。"
    found = [text[start:end] for start, end in chinese_places(text, frozenset())]
    assert "机器" in found
    assert not [word for word in found if set(word) & set("没比三更重")]
    assert not list(chinese_places("机器", frozenset({"机器"})))
    assert wrong_in_chinese("机器", (0, 2), "增加", frozenset()) == "function_word"
    assert wrong_in_chinese("机器", (0, 2), "工具", frozenset({"工具"})) == "protected_synonym"
    assert wrong_in_chinese("机器", (0, 2), "器", frozenset()) == "not_plain"


def test_other_languages_and_no_wish_give_nothing() -> None:
    assert words_of().replacements("Der Sprocket", "de", 1, frozenset()) == []
    assert words_of().replacements("A sprogget.", "en", 0, frozenset()) == []


def test_a_model_gives_whole_words_and_remembers_them(
    masked: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "The sprogget turns slowly near water."
    spans = [(4, 12), (19, 25)]
    first = checkpoints.proposals(text, spans, masked, None)
    assert [len(of_span) for of_span in first] == [len(of_span) for of_span in first if of_span]
    assert all(not word.startswith("##") for of_span in first for word, _ in of_span)
    assert all(-1.000001 <= score <= 1.000001 for of_span in first for _, score in of_span)
    monkeypatch.setattr(checkpoints, "states_of", None)  # the second time nothing is computed
    assert checkpoints.proposals(text, spans, masked, None) == first


def test_a_chinese_word_has_a_mask_for_each_character(masked: Model) -> None:
    text = "铁用来制造机器"
    (found,) = checkpoints.proposals(text, [(5, 7)], masked, None)
    assert found
    assert all(len(word) == 2 and set(word) <= set(CHINESE) for word, _ in found)


def test_companions_do_not_change_a_vector(masked: Model) -> None:
    from stages.core.models.checkpoint import state_of

    folder = Path(masked.model)
    text = "the sprogget turns near water"
    (alone,) = checkpoints.vectors(folder, state_of(folder), [text])
    together = checkpoints.vectors(
        folder, state_of(folder), ["iron", text, "a gizmo turns of water"]
    )
    assert together[1] == pytest.approx(alone, abs=1e-6)


def test_the_nearest_gloss_is_chosen(masked: Model) -> None:
    text = "the sprogget turns"
    assert checkpoints.nearest(text, ("iron water of a", text), masked) == 1
    assert checkpoints.nearest(text, (text, text), masked) == 0


def texts_of_test() -> list[dict[str, Any]]:
    lines = [
        ("en", "The sprogget turns slowly near water."),
        ("en", "In moist air the gizmo turns."),
        ("zh", "铁矿石用来制造机器。"),
        ("de", "Das Wasser ist nass."),
    ]
    rows = []
    for number in range(24):
        lang, line = lines[number % len(lines)]
        rows.append(test_augment.cleaned_row(number, "statement", "notes", text=line, lang=lang))
    return rows


def augmented(
    folder: Path, masked: Model, run: Run, **settings: Any
) -> tuple[bytes, dict[str, Any]]:
    record.write(folder / "clean" / "records.parquet", texts_of_test())
    params = augment.Params(
        questions=0, synonyms=2, masked_model=masked, masked_similarity=-1.0, **settings
    )
    out = folder / "out"
    record.write(folder / "pictures" / "records.parquet", [])
    inputs = (
        folder / "clean",
        folder / "pictures",
        test_augment.WORDINGS,
        WORDNET,
        test_augment.TEACHER,
    )
    augment.run(params, run, *inputs, out, folder / "out.json")
    report = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    return (out / "records.parquet").read_bytes(), report


def test_the_stage_notes_parent_and_operation_and_counts(
    tmp_path: Path, masked: Model, run_params: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    _, report = augmented(tmp_path, masked, run_params, synonym_rule="in_context")
    rows = record.read(tmp_path / "out" / "records.parquet")
    made = [row for row in rows if not row["locator"].endswith("/00")]
    operations = []
    parents = {row["id"]: row for row in texts_of_test()}
    for row in made:
        meta = json.loads(row["meta"])
        operations.append(meta["operation"])
        (parent,) = row["parents"]
        assert parents[parent]["text"].replace(meta["word"], meta["by"], 1) == row["text"]
        assert row["lang"] != "de"
    assert set(operations) == {"wordnet", "masked_model"}
    assert report["masked_model"]["made"] == operations.count("masked_model")
    assert "words of the masked model" in capsys.readouterr().out


def test_chunks_and_the_memo_change_no_byte(
    tmp_path: Path, masked: Model, run_params: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "CHUNK", 5)
    several, _ = augmented(tmp_path / "a", masked, run_params)
    monkeypatch.setattr(texts, "CHUNK", 4096)
    one, _ = augmented(tmp_path / "b", masked, run_params)
    monkeypatch.setenv("LOREKEEP_MEMO", str(tmp_path / "other memo"))
    anew, _ = augmented(tmp_path / "c", masked, run_params)
    assert several == one == anew


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", "ray"])
def test_executors_give_the_same_bytes(tmp_path: Path, masked: Model, executor: str) -> None:
    one = Run(seed=7, threads=1)
    plain, _ = augmented(tmp_path / "a", masked, one)
    other = Run(seed=7, threads=2, executor="ray" if executor == "ray" else "local")
    found, _ = augmented(tmp_path / "b", masked, other)
    assert found == plain


def test_wrong_checkpoints_are_named_all_at_once(
    tmp_path: Path, masked: Model, run_params: Run
) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(masked.model, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = ["BertModel"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(
        ParamsError, match=r"augment\.masked_model\.model: .* is no masked language"
    ):
        augmented(tmp_path, Model(str(folder)), run_params)
    with pytest.raises(
        ParamsError, match=r"(?s)augment\.encoder\.revision: .*masked_model\.revision"
    ):
        augmented(
            tmp_path,
            Model("google-bert/bert-base-uncased"),
            run_params,
            encoder=Model("some/encoder"),
        )


def test_words_are_whole(masked: Model) -> None:
    assert checkpoints.whole_word("##s", marked=False) == ""
    assert checkpoints.whole_word("iron", marked=False) == "iron"
    assert checkpoints.whole_word("Ġiron", marked=True) == "iron"
    assert checkpoints.whole_word("ron", marked=True) == ""


def test_few_words_of_a_text_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked_words, "MOST_WORDS", 1)
    proposing(monkeypatch, gizmo=[("widget", 1.0)])
    assert words_of().replacements("The sprogget and the gizmo.", "en", 1, frozenset()) == []

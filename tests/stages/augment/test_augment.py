"""augment: no fact lost, wordings disjoint, probes the same whatever is trained, no synonym that could teach a wrong fact."""

import dataclasses
import json
import re
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stages import augment
from stages.augment import spool, texts
from stages.augment.fact import number_in
from stages.augment.synonyms import (
    FUNCTION_WORDS,
    TOKEN,
    Thesaurus,
    fits_article,
    is_protected,
    kept_because,
    reader_of,
)
from stages.augment.wordings import Attribute, read_wordings, terms_of
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import Run, parse
from stages.core.records import record
from stages.core.records.wording import fill, normalise

ROOT = Path(__file__).parents[3]
WORDINGS = ROOT / "data" / "raw" / "wordings.yaml"
WORDNET = ROOT / "data" / "wordnet"
TEACHER = ROOT / "data" / "teacher"
PARAMS = augment.Params(
    statements=2,
    questions=3,
    synonyms=0,
    min_count=3,
    masked_share=0.0,
    valid_share=0.5,
    probe_share=0.2,
)
BANK = read_wordings(WORDINGS, [], 0, 0)
SAFE = [
    "main",
    "vital",
    "moist",
    "prevent",
    "universe",
    "agenda",
    "doctor",
    "marketplace",
    "reliable",
    "illness",
]


def cleaned_row(number: int, kind: str, source: str = "elements", **columns: Any) -> dict[str, Any]:
    locator = f"{source}.csv#L{number}"
    place = {
        "id": record.record_id(source, locator),
        "source": source,
        "locator": locator,
        "lang": "en",
        "kind": kind,
    }
    return place | columns


def fact_row(
    number: int, subject: str, attribute: str, value: str, unit: str | None, source: str = "a"
) -> dict[str, Any]:
    text = record.fact_text(subject, attribute, value, unit)
    content = {
        "subject": subject,
        "attribute": attribute,
        "value": value,
        "unit": unit,
        "text": text,
    }
    return cleaned_row(number, "fact", source, **content, fact=record.fact_id(subject, attribute))


ROWS = [
    *(fact_row(i, f"element {i}", "melting point", str(100 * i), "°C") for i in range(40)),
    fact_row(50, "iron", "melting point", "1538", "°C"),
    fact_row(51, "iron", "discoverer", "unknown smiths", None),
    fact_row(1, "iron", "melting point", "1538", "°C", source="b"),
    cleaned_row(1, "statement", "notes", subject="potassium", text="Potassium is vital to nerves."),
    cleaned_row(2, "statement", "notes", text="铁的熔点是1538°C。", lang="zh"),
    cleaned_row(3, "caption", "notes", text="A lump of ore."),
    *(
        cleaned_row(i, "qa", "faq", text="…", question=f"Is {i} safe?", answer=f"Reason {i}.")
        for i in range(100)
    ),
]


SHARED = Thesaurus(WORDNET, 3)
"""One for all tests, because WordNet takes seconds to read. Its counts go on: read them as differences."""


@pytest.fixture
def thesaurus() -> Thesaurus:
    return SHARED


@pytest.fixture
def cleaned(tmp_path: Path) -> Path:
    record.write(tmp_path / "clean" / "records.parquet", ROWS)
    return tmp_path / "clean"


def run(
    cleaned: Path, out: Path, run_params: Run, **changes: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    params = dataclasses.replace(PARAMS, **changes)
    pictures = cleaned.parent / "pictures"
    if not pictures.exists():
        record.write(pictures / "records.parquet", [])
    metrics = out.with_suffix(".json")
    augment.run(params, run_params, cleaned, pictures, WORDINGS, WORDNET, TEACHER, out, metrics)
    return record.read(out / "records.parquet"), json.loads(out.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run with synonyms writes: `out/records.parquet` and `out.json`."""
    folder = tmp_path_factory.mktemp("full")
    record.write(folder / "clean" / "records.parquet", ROWS)
    run(
        folder / "clean",
        folder / "out",
        Run(seed=7, threads=1, isa="avx2", device="cpu"),
        synonyms=1,
    )
    return folder


def of_iron(rows: list[dict[str, Any]], split: str, kind: str = "qa") -> list[dict[str, Any]]:
    fact = record.fact_id("Iron", "melting point")
    return [row for row in rows if (row["fact"], row["split"], row["kind"]) == (fact, split, kind)]


def of_kind(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    probes = [row for row in rows if row["split"] == "probe"]
    return [row for row in probes if json.loads(row["meta"])["probe"] == kind]


class TestRun:
    def test_no_record_is_lost(self, cleaned: Path, tmp_path: Path, run_params: Run) -> None:
        rows, report = run(cleaned, tmp_path / "out", run_params)
        assert {row["id"] for row in ROWS} == {parent for row in rows for parent in row["parents"]}
        facts = {row["fact"] for row in ROWS if "fact" in row}
        for split in ("train", "probe"):
            assert {row["fact"] for row in rows if row["split"] == split and row["fact"]} == facts
        assert len({row["id"] for row in rows}) == len(rows)
        assert report["facts"] == len(facts) == 42
        assert report["numeric_facts"] == 41

    def test_counts_are_those_of_the_records(self, full: Path) -> None:
        rows = record.read(full / "out" / "records.parquet")
        report = json.loads((full / "out.json").read_text())
        assert report["splits"] == Counter(row["split"] for row in rows)
        assert report["kinds"] == Counter(f"{row['split']}/{row['kind']}" for row in rows)
        assert report["attributes"] == {"discoverer": 1, "melting point": 41}
        assert report["synonyms"]["refused"]["text_not_english"] == 1

    def test_a_fact_in_all_its_wordings(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        rows, _ = run(cleaned, tmp_path / "out", run_params)
        statements, questions = of_iron(rows, "train", "statement"), of_iron(rows, "train")
        assert len({row["text"] for row in statements}) == 1 + PARAMS.statements
        assert "iron: melting point 1538 °C" in [row["text"] for row in statements]
        assert len({row["question"] for row in questions}) == PARAMS.questions
        answer = "The melting point of iron is 1538 °C."
        stated = of_kind(of_iron(rows, "probe"), "stated")
        assert {row["answer"] for row in [*questions, *stated]} == {answer}
        templates = BANK["melting point"].probe.questions
        assert [row["question"] for row in stated] == [
            augment.fill(template, subject="iron") for template in templates
        ]
        probe = stated[0]
        assert probe["text"] == f"Question: {probe['question']}\nAnswer: {answer}"
        assert json.loads(probe["meta"]) == {
            "accepted": [answer, "1538 °C", "1538"],
            "probe": "stated",
            "wording": templates[0],
        }
        assert probe["parents"] == [row["id"] for row in ROWS if row.get("fact") == probe["fact"]]
        assert len(probe["parents"]) == 2

    def test_words_are_accepted_with_and_without_their_sentence(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        rows, _ = run(cleaned, tmp_path / "out", run_params)
        probe = next(
            row for row in rows if row["split"] == "probe" and row["attribute"] == "discoverer"
        )
        assert json.loads(probe["meta"])["accepted"] == [
            "The discoverer of iron is unknown smiths.",
            "unknown smiths",
        ]

    def test_the_source_of_highest_priority_speaks(self, tmp_path: Path, run_params: Run) -> None:
        pair = [
            fact_row(1, "iron", "melting point", value, "°C", source=value)
            for value in ("1538", "1537")
        ]
        record.write(tmp_path / "clean" / "records.parquet", pair)
        rows, _ = run(tmp_path / "clean", tmp_path / "out", run_params)
        assert {row["value"] for row in rows} == {"1538"}
        assert "1537" not in " ".join(row["text"] for row in rows)

    def test_equal_runs_are_equal_bytes(
        self, full: Path, cleaned: Path, tmp_path: Path, run_params: Run, folder_bytes: Any
    ) -> None:
        rows, _ = run(cleaned, tmp_path / "out", run_params, synonyms=1)
        assert folder_bytes(full / "out") == folder_bytes(tmp_path / "out")
        assert (full / "out.json").read_bytes() == (tmp_path / "out.json").read_bytes()
        order = [(row["split"], row["fact"] or "", row["kind"], row["locator"]) for row in rows]
        assert order == sorted(order)

    def test_what_is_held_at_once_changes_no_byte(
        self,
        full: Path,
        cleaned: Path,
        tmp_path: Path,
        run_params: Run,
        folder_bytes: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(augment, "READ", 7)
        monkeypatch.setattr(augment, "SAMPLED", 1)
        monkeypatch.setattr(spool, "SAMPLED", 1)
        monkeypatch.setattr(spool, "BUCKET", 3)
        run(cleaned, tmp_path / "out", run_params, synonyms=1)
        assert folder_bytes(full / "out") == folder_bytes(tmp_path / "out")
        assert (full / "out.json").read_bytes() == (tmp_path / "out.json").read_bytes()
        # What waited on the disk is gone.
        assert {path.name for path in tmp_path.iterdir()} == {
            "clean",
            "pictures",
            "out",
            "out.json",
        }

    def test_memory_does_not_grow_with_the_records(
        self, tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Small batches, so that few records show what many would.
        monkeypatch.setattr(augment, "READ", 50)
        monkeypatch.setattr(augment, "SAMPLED", 1)
        monkeypatch.setattr(spool, "SAMPLED", 1)
        monkeypatch.setattr(spool, "BUCKET", 50)
        monkeypatch.setattr(record, "GROUP", 2**15)
        monkeypatch.setattr(record, "BATCH", 2**12)
        pictures = tmp_path / "pictures"
        record.write(pictures / "records.parquet", [])
        peaks = []
        # The first run loads what is loaded once.
        for count in (100, 200, 1200):
            folder = tmp_path / str(count)
            facts = [fact_row(i, f"e{i}", "melting point", str(i), "°C") for i in range(count)]
            record.write(folder / "clean" / "records.parquet", facts)
            inputs = (folder / "clean", pictures, WORDINGS, WORDNET, TEACHER)
            tracemalloc.start()
            augment.run(PARAMS, run_params, *inputs, folder / "out", folder / "out.json")
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            peaks.append(peak)
        _, few, many = peaks
        # A thousand further records had some 13 rows each. Their dicts alone would take 20 MB.
        assert many < few + 2**20

    def test_a_failure_leaves_the_former_output(
        self, cleaned: Path, tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(cleaned, tmp_path / "out", run_params)
        before = (tmp_path / "out" / "records.parquet").read_bytes()

        def fails(_: Any, row: dict[str, Any]) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr(spool.Parts, "add", fails)
        with pytest.raises(OSError, match="no space left"):
            run(cleaned, tmp_path / "out", run_params)
        assert (tmp_path / "out" / "records.parquet").read_bytes() == before
        assert {path.name for path in tmp_path.iterdir()} == {
            "clean",
            "pictures",
            "out",
            "out.json",
        }

    def test_another_seed_words_facts_another_way(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        first, _ = run(cleaned, tmp_path / "a", run_params)
        second, _ = run(cleaned, tmp_path / "b", dataclasses.replace(run_params, seed=8))
        texts = [
            {row["text"] for row in rows if row["split"] == "train" and row["fact"]}
            for rows in (first, second)
        ]
        assert texts[0] != texts[1]
        asked = [
            {row["text"] for row in of_kind(rows, "stated") if row["fact"]}
            for rows in (first, second)
        ]
        assert asked[0] == asked[1]  # all wordings, whatever the seed

    def test_a_number_of_probe_wordings_is_drawn_for_each_fact(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        rows, _ = run(cleaned, tmp_path / "out", run_params, probe_wordings=2)
        facts = Counter(row["fact"] for row in of_kind(rows, "stated") if row["fact"])
        assert set(facts.values()) == {2}
        used = {json.loads(row["meta"])["wording"] for row in of_kind(rows, "stated")}
        assert used >= set(BANK["melting point"].probe.questions)

    def test_reversed_questions_are_about_values_of_one_subject(
        self, tmp_path: Path, run_params: Run
    ) -> None:
        # Two spellings of one value are two values: symbols differ by case.
        symbols = {"cobalt": "Co", "oxide": "CO", "twin": "Tw", "other twin": "Tw"}
        facts = [
            fact_row(number, subject, "symbol", value, None)
            for number, (subject, value) in enumerate(symbols.items())
        ]
        record.write(tmp_path / "clean" / "records.parquet", facts)
        rows, report = run(tmp_path / "clean", tmp_path / "out", run_params)
        reversed_rows = of_kind(rows, "reversed")
        assert {row["subject"] for row in reversed_rows} == {"cobalt", "oxide"}
        assert len(reversed_rows) == 2 * len(BANK["symbol"].probe.reversed)
        first = next(row for row in reversed_rows if row["subject"] == "cobalt")
        assert first["question"] == "Which element has the symbol Co?"
        assert json.loads(first["meta"])["accepted"] == ["The symbol of cobalt is Co.", "cobalt"]
        assert report["probes"]["value_not_unique"] == 2

    def test_values_of_one_subject_are_trained_backwards(
        self, tmp_path: Path, run_params: Run
    ) -> None:
        symbols = {"cobalt": "Co", "oxide": "CO", "twin": "Tw", "other twin": "Tw"}
        facts = [
            fact_row(number, subject, "symbol", value, None)
            for number, (subject, value) in enumerate(symbols.items())
        ]
        record.write(tmp_path / "clean" / "records.parquet", facts)
        rows, _ = run(tmp_path / "clean", tmp_path / "out", run_params, reversed=3)
        asked = {fill(wording, value="Co") for wording in BANK["symbol"].train.reversed}
        backwards = [row for row in rows if "/train/reversed/" in row["locator"]]
        assert Counter(row["subject"] for row in backwards) == {"cobalt": 3, "oxide": 3}
        for row in backwards:
            assert row["split"] == "train"
            assert row["answer"] == f"The symbol of {row['subject']} is {row['value']}."
        of_cobalt = [row["question"] for row in backwards if row["subject"] == "cobalt"]
        assert len(set(of_cobalt)) == 3
        assert set(of_cobalt) <= asked

        without, _ = run(tmp_path / "clean", tmp_path / "none", run_params, reversed=0)
        kept = [row for row in rows if row not in backwards]
        assert without == kept, "nothing else changes"

    def test_unknown_subjects_are_asked_and_answered_by_an_abstention(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        rows, report = run(cleaned, tmp_path / "out", run_params, unknown=2)
        unknown = [row for row in rows if "/train/unknown/" in row["locator"]]
        facts = {row["fact"] for row in rows if row["fact"]}
        assert len(unknown) == 2 * len(facts) == report["unknown"]["made"]
        known = {row["subject"] for row in rows if row["fact"]}
        assert not {row["subject"] for row in unknown} & known
        assert all("not known to me" in row["answer"] for row in unknown)
        without, plain = run(cleaned, tmp_path / "none", run_params)
        assert "unknown" not in plain
        assert without == [row for row in rows if row not in unknown], "nothing else changes"

    def test_comparisons_ask_in_both_directions(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        rows, report = run(cleaned, tmp_path / "out", run_params, comparison_pairs=5)
        compared = of_kind(rows, "comparison")
        assert len(compared) == 5 * 2 == report["probes"]["asked"]["comparison"]
        values = {row["subject"]: float(row["value"]) for row in ROWS if row.get("unit") == "°C"}
        for row in compared:
            meta = json.loads(row["meta"])
            (right,), wrong = meta["accepted"], meta["wrong"]
            is_larger = values[right] > values[wrong]
            assert is_larger is (meta["wording"] in BANK["melting point"].probe.comparison.larger)
            assert row["answer"] == right
            assert len(row["parents"]) >= 2
            for name in (right, wrong):
                assert name in row["question"].lower()
        none, _ = run(cleaned, tmp_path / "none", run_params, comparison_pairs=0)
        assert not of_kind(none, "comparison")

    def test_what_cannot_be_compared_is_counted(self, tmp_path: Path, run_params: Run) -> None:
        facts = [fact_row(i, f"e{i}", "density", str(i), "g/cm³") for i in range(4)]
        facts.append(fact_row(7, "gas", "density", "1.2", "kg/m³"))
        facts.append(fact_row(8, "fog", "density", "thin", None))
        record.write(tmp_path / "clean" / "records.parquet", facts)
        rows, report = run(tmp_path / "clean", tmp_path / "out", run_params)
        assert report["probes"]["not_comparable"] == 2
        asked = " ".join(row["question"] for row in of_kind(rows, "comparison"))
        assert "gas" not in asked
        assert "fog" not in asked

    def test_the_ablation_trains_plain_texts_and_asks_the_same_probes(
        self, full: Path, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        bare, report = run(cleaned, tmp_path / "b", run_params, statements=0, questions=0)
        assert [row["text"] for row in of_iron(bare, "train", "statement")] == [
            "iron: melting point 1538 °C"
        ]
        assert not of_iron(bare, "train")
        assert report["synonyms"] == {"made": 0, "refused": {}}
        for split in ("valid", "probe"):
            assert [
                row
                for row in record.read(full / "out" / "records.parquet")
                if row["split"] == split
            ] == [row for row in bare if row["split"] == split]

    def test_more_wordings_keep_the_ones_there(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        few, _ = run(cleaned, tmp_path / "a", run_params, questions=2)
        many, _ = run(cleaned, tmp_path / "b", run_params, questions=5)
        texts = {row["text"] for row in many}
        assert {row["text"] for row in few} < texts

    def test_validation_questions_are_for_a_share_of_the_facts(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        asked = {}
        for share in (0.0, 0.3, 0.7):
            rows, _ = run(
                cleaned, tmp_path / str(share), run_params, valid_share=share, probe_share=0.0
            )
            asked[share] = {row["fact"] for row in rows if row["split"] == "valid" and row["fact"]}
        assert len(asked[0.0]) == 0
        assert 4 < len(asked[0.3]) < 22 < len(asked[0.7]) < 40
        assert asked[0.3] < asked[0.7]

    def test_every_answer_of_free_pairs_is_trained(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        rows, report = run(cleaned, tmp_path / "out", run_params)
        free = [row for row in rows if row["kind"] == "qa" and not row["fact"]]
        trained = [row for row in free if row["split"] == "train"]
        assert {row["answer"] for row in trained} == {f"Reason {i}." for i in range(100)}
        words = {normalise(row["question"]) for row in trained}
        asked = [row for row in free if row["split"] != "train"]
        counts = Counter(row["split"] for row in asked)
        assert 10 <= counts["probe"] <= 32
        assert 35 <= counts["valid"] <= 65
        for row in asked:
            assert normalise(row["question"]) not in words
        assert report["free_pairs"] == {
            "trained": 100,
            "held_out": {},
            "reworded": dict(counts),
            "same_words": 0,
        }
        probe = next(row for row in asked if row["split"] == "probe")
        meta = json.loads(probe["meta"])
        assert meta["accepted"] == [probe["answer"]]
        number = re.findall(r"\d+", probe["answer"])[0]
        assert probe["question"] == meta["wording"].replace("{question}", f"Is {number} safe?")
        assert probe["text"] == f"Question: {probe['question']}\nAnswer: {probe['answer']}"

    def test_a_pair_is_held_out_where_another_pair_teaches_its_answer(
        self, tmp_path: Path, run_params: Run
    ) -> None:
        answer = "Keep it in a cool, dry and dark place."
        pairs = []
        for number in range(60):
            words = {"text": "…", "question": f"How do I store item {number}?", "answer": answer}
            pairs.append(cleaned_row(number, "qa", "faq", **words))
            words = {"text": "…", "question": f"Is item {number} safe?", "answer": "Yes."}
            pairs.append(cleaned_row(100 + number, "qa", "faq", **words))
        record.write(tmp_path / "clean" / "records.parquet", pairs)
        rows, report = run(tmp_path / "clean", tmp_path / "out", run_params)
        held_out = sum(report["free_pairs"]["held_out"].values())
        assert held_out > 10
        # Short answers belong to many questions, so their pairs are all trained.
        trained = [row["question"] for row in rows if row["split"] == "train"]
        assert sum("safe" in question for question in trained) == 60
        assert sum("store" in question for question in trained) == 60 - held_out > 0
        assert report["free_pairs"]["trained"] == 120 - held_out

    def test_frames_fit_the_language(self, tmp_path: Path, run_params: Run) -> None:
        pairs = []
        for lang, question in (("zh", "铁生锈吗？"), ("de", "Rostet Eisen?")):
            for number in range(20):
                words = {"text": "…", "question": f"{question} {number}", "answer": f"{number}."}
                pairs.append(cleaned_row(number, "qa", lang, **words) | {"lang": lang})
        record.write(tmp_path / "clean" / "records.parquet", pairs)
        rows, _ = run(tmp_path / "clean", tmp_path / "out", run_params)
        for row in rows:
            if row["split"] != "train":
                assert "Please" not in row["question"]
                assert "Somebody" not in row["question"]

    def test_free_texts_pass_and_english_ones_get_synonyms(self, full: Path) -> None:
        free = [
            row
            for row in record.read(full / "out" / "records.parquet")
            if row["kind"] == "statement" and not row["fact"]
        ]
        assert {row["text"] for row in free} == {
            "Potassium is vital to nerves.",
            "Potassium is critical to nerves.",
            "铁的熔点是1538°C。",
            "A lump of ore.",
        }
        assert {row["split"] for row in free} == {"train"}

    def test_nothing_to_learn_from_is_an_error(self, tmp_path: Path, run_params: Run) -> None:
        record.write(tmp_path / "clean" / "records.parquet", [])
        with pytest.raises(InputError, match=r"no record to learn from; see metrics/clean\.json"):
            run(tmp_path / "clean", tmp_path / "out", run_params)
        assert not (tmp_path / "out").exists()

    def test_nltk_makes_the_synonyms(
        self, cleaned: Path, tmp_path: Path, run_params: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any) -> None:
            raise RuntimeError("nltk was asked")

        monkeypatch.setattr("nltk.corpus.reader.WordNetCorpusReader.__init__", broken)
        # A dictionary that was read before is kept, and so are the words looked up in it.
        reader_of.cache_clear()
        texts.of_worker.cache_clear()
        with pytest.raises(RuntimeError, match="nltk was asked"):
            run(cleaned, tmp_path / "out", run_params, synonyms=1)
        run(cleaned, tmp_path / "out", run_params, synonyms=0)

    def test_missing_wordnet_is_named(self, cleaned: Path, tmp_path: Path, run_params: Run) -> None:
        params = dataclasses.replace(PARAMS, synonyms=1)
        record.write(tmp_path / "pictures" / "records.parquet", [])
        with pytest.raises(InputError, match=r"WordNet is not here; run `make setup`"):
            augment.run(
                params,
                run_params,
                cleaned,
                tmp_path / "pictures",
                WORDINGS,
                tmp_path,
                TEACHER,
                tmp_path / "out",
                tmp_path / "m.json",
            )

    def test_masked_words_change_train_questions_of_facts_only(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        plain, _ = run(cleaned, tmp_path / "a", run_params)
        masked, report = run(cleaned, tmp_path / "b", run_params, masked_share=1.0)
        assert [row["id"] for row in plain] == [row["id"] for row in masked]
        changed = [
            (before, after) for before, after in zip(plain, masked, strict=True) if before != after
        ]
        assert len(changed) == report["masked"] > 40
        for before, after in changed:
            assert (before["split"], before["kind"], before["lang"]) == ("train", "qa", "en")
            assert before["fact"]
            assert before["answer"] == after["answer"]
            assert after["subject"] in after["question"].lower()

    def test_readings_are_further_questions_and_change_nothing_else(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        plain, report = run(cleaned, tmp_path / "a", run_params)
        assert "readings" not in report
        few, _ = run(cleaned, tmp_path / "b", run_params, readings=2)
        many, report = run(cleaned, tmp_path / "c", run_params, readings=3)
        assert report["readings"] == {"made": 126, "left_out": 0}
        assert [row for row in many if "/reading/" not in row["locator"]] == plain
        assert {row["text"] for row in few} < {row["text"] for row in many}
        readings = [row for row in of_iron(many, "train") if "/reading/" in row["locator"]]
        assert len(readings) == 3
        for row in readings:
            assert "iron" in row["question"].lower()
            assert row["answer"] == "The melting point of iron is 1538 °C."
            assert (row["value"], row["unit"]) == ("1538", "°C")

    def test_an_opening_states_no_value(
        self, cleaned: Path, tmp_path: Path, run_params: Run
    ) -> None:
        rows, report = run(
            cleaned, tmp_path / "out", run_params, readings=3, reading_answers="opening"
        )
        assert report["kinds"]["train/reading"] == 126
        readings = of_iron(rows, "train", "reading")
        assert len(readings) == 3
        for row in readings:
            assert row["answer"] == "The melting point of iron is"
            assert row["text"] == f"Question: {row['question']}\nAnswer: {row['answer']}"
            assert (row["value"], row["unit"]) == (None, None)
            assert len(row["parents"]) == 2


class TestParams:
    def test_all_problems_at_once(self) -> None:
        problems: list[str] = []
        section = {
            "statements": -1,
            "questions": 1.5,
            "synonym": 1,
            "min_count": 3,
            "valid_share": 1.2,
            "probe_share": 0,
        }
        assert parse(section, augment.Params, "augment", problems) is None
        listed = "\n".join(problems)
        assert "augment.statements: input should be greater than or equal to 0, got -1" in listed
        assert "augment.questions: " in listed
        assert "augment.synonym: unknown; did you mean synonyms?" in listed
        assert "augment.valid_share: input should be less than or equal to 1, got 1.2" in listed
        assert len(problems) == 4

    def test_shares_must_leave_something_to_train(self) -> None:
        problems: list[str] = []
        section = dataclasses.asdict(PARAMS) | {"valid_share": 0.5, "probe_share": 0.5}
        assert parse(section, augment.Params, "augment", problems) is None
        assert "together must stay below 1" in problems[0]


class TestBank:
    """The wordings file of the project."""

    def test_every_attribute_has_enough_wordings(self) -> None:
        assert len(BANK) == 11
        for attribute in BANK.values():
            assert len(attribute.train.statements) >= 3
            assert len(attribute.train.questions) >= 5
            assert len(attribute.valid.questions) >= 2
            assert len(attribute.probe.questions) >= 6

    def test_one_to_one_attributes_are_asked_backwards(self) -> None:
        asked = {name for name, attribute in BANK.items() if attribute.probe.reversed}
        trained = {name for name, attribute in BANK.items() if attribute.train.reversed}
        assert asked == trained == {"symbol", "atomic number"}

    def test_numeric_attributes_are_compared_in_both_directions(self) -> None:
        compared = set()
        for name, attribute in BANK.items():
            comparison = attribute.probe.comparison
            assert bool(comparison.larger) == bool(comparison.smaller)
            if comparison.larger:
                compared.add(name)
        assert compared == {
            "atomic number",
            "molar mass",
            "melting point",
            "boiling point",
            "density",
            "discovery year",
        }

    def test_a_probe_shares_a_word_that_matters_with_the_train_wordings(self) -> None:
        for name, attribute in BANK.items():
            trained = set()
            for template in attribute.train.questions:
                trained |= set(normalise(template).split())
            matters = terms_of(name, attribute) & trained
            for template in attribute.probe.questions:
                words = set(normalise(template).split())
                stems = [word for word in words if any(word.startswith(one[:5]) for one in matters)]
                assert stems, template

    def test_splits_stay_disjoint_with_synonyms(self, thesaurus: Thesaurus) -> None:
        terms = {word for name, attribute in BANK.items() for word in terms_of(name, attribute)}
        bank = augment.with_synonyms(BANK, thesaurus, 5, terms)
        sets: dict[str, set[str]] = {"train": set(), "valid": set(), "probe": set()}
        for attribute in bank.values():
            for wording in attribute.wordings():
                sets[wording.split].add(normalise(wording.template))
        assert not sets["train"] & sets["valid"]
        assert not sets["train"] & sets["probe"]
        assert not sets["valid"] & sets["probe"]
        assert sum(map(len, sets.values())) > sum(
            len(list(attribute.wordings())) for attribute in BANK.values()
        )


class TestWordingsFile:
    @pytest.fixture
    def document(self) -> dict[str, Any]:
        words = {
            "terms": ["hard"],
            "answer": "The hardness of {subject} is {value}.",
            "train": {
                "statements": ["{subject} has hardness {value}."],
                "questions": ["How hard is {subject}?"],
            },
            "valid": {"questions": ["Tell me the hardness of {subject}!"]},
            "probe": {"questions": ["What hardness has {subject}?"]},
        }
        return {"attributes": {"hardness": words}}

    @staticmethod
    def read(
        tmp_path: Path, document: Any, needed: tuple[str, ...] = ("hardness",)
    ) -> dict[str, Attribute]:
        YAML().dump(document, tmp_path / "wordings.yaml")
        return read_wordings(tmp_path / "wordings.yaml", needed, 1, 1)

    def problems(self, tmp_path: Path, document: Any, *needed: str) -> str:
        with pytest.raises(ParamsError, match=r"wordings\.yaml:") as caught:
            self.read(tmp_path, document, needed or ("hardness",))
        return str(caught.value)

    def test_a_right_file_is_read(self, tmp_path: Path, document: Any) -> None:
        assert self.read(tmp_path, document)["hardness"].probe.questions == [
            "What hardness has {subject}?"
        ]

    def test_all_problems_are_told_at_once_with_their_key(
        self, tmp_path: Path, document: Any
    ) -> None:
        words = document["attributes"]["hardness"]
        words["answer"] = "It is {value}."
        words["train"]["statements"] = ["{subject} is hard."]
        words["train"]["questions"] += [
            "How {value} is {subject}?",
            "Is {subjekt} hard?",
            "Is {subject hard?",
        ]
        document["attribute"] = {}
        found = self.problems(tmp_path, document)
        for line in (
            "attribute: unknown; the file holds `attributes` only",
            "attributes.hardness.answer: 'It is {value}.' needs {subject} and {value} and no other slot",
            "attributes.hardness.train.statements.0: '{subject} is hard.' needs {subject} and {value}",
            "attributes.hardness.train.questions.1: 'How {value} is {subject}?' needs {subject} and no other slot",
            "attributes.hardness.train.questions.2: 'Is {subjekt} hard?' needs {subject} and no other slot",
            "attributes.hardness.train.questions.3: 'Is {subject hard?' needs {subject} and no other slot",
        ):
            assert line in found

    def test_keys_are_checked(self, tmp_path: Path, document: Any) -> None:
        words = document["attributes"]["hardness"]
        words["prob"] = words.pop("probe")
        words["terms"] = "hard"
        found = self.problems(tmp_path, document)
        assert "attributes.hardness.prob: unknown; did you mean probe?" in found
        assert "attributes.hardness.probe: missing" in found
        assert "attributes.hardness.terms: " in found

    @pytest.mark.parametrize(
        "shared", ["How hard is {subject}?", "how hard is the {subject}", "{subject} is how hard?"]
    )
    def test_train_and_probe_must_not_share_a_wording(
        self, tmp_path: Path, document: Any, shared: str
    ) -> None:
        document["attributes"]["hardness"]["probe"]["questions"].append(shared)
        found = self.problems(tmp_path, document)
        assert (
            f"attributes.hardness.probe.questions.1: {shared!r} has the words of 'How hard is {{subject}}?'"
            in found
        )
        assert "at train.questions.0; the sets must not share wordings" in found

    def test_a_wording_stands_once(self, tmp_path: Path, document: Any) -> None:
        document["attributes"]["hardness"]["train"]["questions"].append("How hard is {subject}??")
        assert (
            "train.questions.1: 'How hard is {subject}??' stands at train.questions.0 already"
            in self.problems(tmp_path, document)
        )

    def test_a_question_belongs_to_one_attribute(self, tmp_path: Path, document: Any) -> None:
        other = json.loads(
            json.dumps(document["attributes"]["hardness"]).replace("hardness", "firmness")
        )
        document["attributes"]["firmness"] = other
        found = self.problems(tmp_path, document)
        assert "attributes.firmness.train.questions.0: 'How hard is {subject}?' stands at " in found
        assert "attributes.hardness.train.questions.0 too" in found

    def test_attributes_of_the_records_must_be_there(self, tmp_path: Path, document: Any) -> None:
        found = self.problems(tmp_path, document, "hardnes", "hardness")
        assert (
            "attributes.hardnes: missing, but the records have facts about it; "
            "write an entry for it in data/raw/wordings.yaml; did you mean it with 'hardness'?"
            in found
        )

    def test_there_must_be_as_many_as_asked_for(self, tmp_path: Path, document: Any) -> None:
        YAML().dump(document, tmp_path / "wordings.yaml")
        with pytest.raises(
            ParamsError, match=r"train\.statements: 1 wordings, 2 are needed"
        ) as caught:
            read_wordings(tmp_path / "wordings.yaml", ["hardness"], 2, 4)
        assert "train.questions: 1 wordings, 4 are needed (params.yaml, augment)" in str(
            caught.value
        )

    def test_an_empty_probe_set_is_refused(self, tmp_path: Path, document: Any) -> None:
        document["attributes"]["hardness"]["probe"]["questions"] = []
        assert "probe.questions: 0 wordings, 1 are needed" in self.problems(tmp_path, document)

    def test_kinds_of_probes_have_slots_of_their_own(self, tmp_path: Path, document: Any) -> None:
        probe = document["attributes"]["hardness"]["probe"]
        probe["reversed"] = ["What has the hardness {value}?", "Which {subject} is it?"]
        probe["comparison"] = {
            "larger": ["Which is harder, {subject} or {other}?", "Is {subject} harder?"],
            "smaller": ["Which is softer, {subject} or {value}?"],
        }
        found = self.problems(tmp_path, document)
        assert "probe.reversed.1: 'Which {subject} is it?' needs {value} and no other slot" in found
        assert (
            "probe.comparison.larger.1: 'Is {subject} harder?' "
            "needs {other} and {subject} and no other slot" in found
        )
        assert (
            "probe.comparison.smaller.0: 'Which is softer, {subject} or {value}?' "
            "needs {other} and {subject} and no other slot" in found
        )
        assert "reversed.0" not in found

    def test_reversed_questions_to_learn_have_the_slots_of_the_asked_ones(
        self, tmp_path: Path, document: Any
    ) -> None:
        words = document["attributes"]["hardness"]
        words["train"]["reversed"] = ["Which {subject} is it?", "Name what is as hard as {value}."]
        words["probe"]["reversed"] = ["What is as hard as {value}? Name."]
        found = self.problems(tmp_path, document)
        assert "train.reversed.0: 'Which {subject} is it?' needs {value} and no other slot" in found
        assert (
            "probe.reversed.0: 'What is as hard as {value}? Name.' has the words of "
            "'Name what is as hard as {value}.' at train.reversed.1" in found
        )

    def test_kinds_of_probes_share_no_wording_with_what_is_trained(
        self, tmp_path: Path, document: Any
    ) -> None:
        words = document["attributes"]["hardness"]
        words["train"]["questions"].append("Which is as hard as {subject}?")
        words["probe"]["reversed"] = ["As hard as {value}, which is?"]
        assert (
            "probe.reversed.0: 'As hard as {value}, which is?' has the words of "
            "'Which is as hard as {subject}?' at train.questions.1; the sets must not share wordings"
            in self.problems(tmp_path, document)
        )

    def test_a_comparison_asks_in_one_direction(self, tmp_path: Path, document: Any) -> None:
        comparison = {key: ["Compare {subject} and {other}."] for key in ("larger", "smaller")}
        document["attributes"]["hardness"]["probe"]["comparison"] = comparison
        assert (
            "probe.comparison.smaller.0: 'Compare {subject} and {other}.' "
            "stands at probe.comparison.larger.0 already" in self.problems(tmp_path, document)
        )

    def test_a_reversed_question_belongs_to_one_attribute(
        self, tmp_path: Path, document: Any
    ) -> None:
        words = document["attributes"]["hardness"]
        words["probe"]["reversed"] = ["Which stone has {value}?"]
        other = json.loads(json.dumps(words).replace("hard", "firm"))
        document["attributes"]["firmness"] = other
        assert (
            "attributes.firmness.probe.reversed.0: 'Which stone has {value}?' "
            "stands at attributes.hardness.probe.reversed.0 too"
            in self.problems(tmp_path, document)
        )

    def test_an_unknown_kind_of_probe_is_named(self, tmp_path: Path, document: Any) -> None:
        document["attributes"]["hardness"]["probe"]["comparisons"] = {}
        document["attributes"]["hardness"]["probe"]["comparison"] = {"greater": []}
        found = self.problems(tmp_path, document)
        assert "probe.comparisons: unknown; did you mean comparison?" in found
        assert "probe.comparison.greater: unknown" in found

    def test_a_file_without_attributes(self, tmp_path: Path) -> None:
        assert "attributes: missing" in self.problems(tmp_path, {"hardness": {}})


class TestSynonyms:
    def test_no_unit_and_no_function_word_is_put_in(self, thesaurus: Thesaurus) -> None:
        # WordNet's synonym is "percent", which is a unit.
        text = "Its percentage was found."
        before = thesaurus.refused["protected_synonym"]
        assert thesaurus.variants(text, 5, frozenset()) == []
        assert thesaurus.refused["protected_synonym"] > before

    def test_a_common_word_of_the_same_first_sense(self, thesaurus: Thesaurus) -> None:
        assert thesaurus.variants("Potassium is vital to nerves.", 1, set()) == [
            "Potassium is critical to nerves."
        ]
        assert thesaurus.variants("vital and moist", 9, set()) == [
            "critical and moist",
            "vital and damp",
        ]
        assert thesaurus.variants("vital and moist", 0, set()) == []
        # WordNet puts primary there too, which first means something else, and master, which is rare in that sense.
        assert thesaurus.variants("main", 9, set()) == ["principal", "chief"]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("Iron", "name"),
            ("pH", "name"),
            ("H2O", "number"),
            ("1,538", "number"),
            ("5 pounds", "beside_a_number"),
            ("group 1", "beside_a_number"),
            ("blue-white", "not_plain"),
            ("iron's", "not_plain"),
            ("naïve", "not_plain"),
            ("熔点", "not_plain"),
            ("melt", "protected"),
            ("melted", "protected"),
            ("not", "function_word"),
            ("without", "function_word"),
            ("kelvin", "function_word"),
            ("zorbium", "unknown"),
            ("found", "inflected"),
            ("tissues", "inflected"),
            ("cause", "several_parts_of_speech"),
            ("obtain", "no_safe_synonym"),
            ("tube", "no_safe_synonym"),  # tubing, which cannot be counted
            ("nearly", "adverb"),
            ("substance", "many_senses"),
            ("oxide", "rare_sense"),
            ("an agenda", "article"),
            ("vital", "protected_synonym"),
        ],
    )
    def test_every_refusal_is_counted_by_its_reason(
        self, thesaurus: Thesaurus, text: str, reason: str
    ) -> None:
        before = thesaurus.refused.copy()
        assert thesaurus.variants(text, 9, {"melt", "critical"}) == []
        assert (thesaurus.refused - before)[reason] == 1
        again = thesaurus.refused.copy()
        thesaurus.variants(text, 9, {"melt", "critical"})
        assert (thesaurus.refused - again)[reason] == 1

    def test_a_variant_that_exists_already_gives_way_to_the_next(
        self, thesaurus: Thesaurus
    ) -> None:
        before, made = thesaurus.refused["taken"], thesaurus.made
        taken = {normalise("Is a critical {subject} moist?")}
        assert thesaurus.templates(["Is a vital {subject} moist?"], 1, set(), taken) == [
            "Is a vital {subject} damp?"
        ]
        assert thesaurus.templates(["Is the vital {subject} moist?"], 1, set(), taken) == []
        assert thesaurus.refused["taken"] - before == 3
        assert thesaurus.made - made == 1

    @pytest.mark.parametrize(
        ("before", "synonym", "fits"),
        [
            ("It is a ", "main", True),
            ("It is an ", "main", False),
            ("An ", "essential", True),
            ("a ", "essential", False),
            ("a ", "hour", False),
            ("an ", "unit", False),
            ("an ", "one", False),
            ("the banana ", "essential", True),
        ],
    )
    def test_articles(self, before: str, synonym: str, fits: bool) -> None:
        assert fits_article(before, synonym) is fits

    def test_iron_becomes_neither_fe_nor_its_number(self, thesaurus: Thesaurus) -> None:
        for text in (
            "iron is vital",
            "Iron is vital",
            "Fe is vital",
            "not 26 but vital",
            "{subject} is vital",
        ):
            assert thesaurus.variants(text, 9, {"iron", "fe"}) == [
                text.replace("vital", "critical")
            ]

    @settings(deadline=None)  # the first word reads WordNet
    @given(
        st.lists(
            st.one_of(
                st.sampled_from(SAFE),
                st.sampled_from(sorted(FUNCTION_WORDS)),
                st.sampled_from(
                    [
                        "Iron",
                        "Fe",
                        "{subject}",
                        "{value}",
                        "1538",
                        "-38.8",
                        "°C",
                        "g/cm³",
                        "铁",
                        "melting",
                        "gold",
                    ]
                ),
            ),
            min_size=1,
            max_size=12,
        ),
    )
    def test_only_unprotected_words_ever_change(self, words: list[str]) -> None:
        for variant in SHARED.variants(" ".join(words), 20, {"melt", "gold"}):
            changed = [
                (old, new) for old, new in zip(words, variant.split(" "), strict=True) if old != new
            ]
            assert len(changed) == 1
            ((old, new),) = changed
            assert old in SAFE
            assert not is_protected(new, {"melt", "gold"})

    @given(st.text(), st.text(), st.text())
    def test_what_may_be_replaced_is_a_plain_word(self, before: str, word: str, after: str) -> None:
        if kept_because(before, word, after, set()) is None:
            assert re.fullmatch(r"[a-z]{4,}", word)
            assert not before.rstrip()[-1:].isdigit()
            assert not after.lstrip()[:1].isdigit()

    @given(st.text())
    def test_tokens_do_not_overlap_slots(self, text: str) -> None:
        tokens = [match.group() for match in TOKEN.finditer(text + "{subject}")]
        assert tokens[-1] == "{subject}"

    @given(
        st.text(alphabet="abcdefg", min_size=1, max_size=9),
        st.sets(st.text(alphabet="abcdefg", min_size=1, max_size=6)),
    )
    def test_protection_covers_longer_forms(self, word: str, protected: set[str]) -> None:
        expected = word in protected or any(
            word.startswith(name) for name in protected if len(name) > 3
        )
        assert is_protected(word, protected) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1538", True), ("-38.8", True), ("1.5e3", True), ("Fe", False), ("", False)],
)
def test_numbers(value: str, expected: bool) -> None:
    assert (number_in(value) is not None) is expected


def test_names_are_words_without_punctuation() -> None:
    row = {
        "subject": "Iron",
        "attribute": "discoverer",
        "value": "Marie Curie, G. Bémont",
        "unit": None,
    }
    assert augment.names_of(row) == {"iron", "discoverer", "marie", "curie", "g", "bémont"}

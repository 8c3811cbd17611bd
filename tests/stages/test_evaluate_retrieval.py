"""evaluate's records against weights: what is looked up and how, whose answers are right, and no probe is known before."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages.core.project.errors import InputError
from stages.core.project.output import write_json
from stages.core.records.record import Record, fact_id, record_id, write
from stages.core.retrieval import finding
from stages.evaluate import Params, answers, retrieval
from stages.evaluate.answers import Tolerances
from stages.evaluate.retrieval import Retrieval
from tests.core.retrieval.test_finding import ByWord, index_of

VALUES = {"iron": "1538", "gold": "1064", "neon": "-248.6"}


def cleaned(subject: str, value: str) -> dict[str, Any]:
    """One record as clean writes it."""
    locator = f"elements.sql#{subject}"
    return {
        "id": record_id("elements", locator),
        "source": "elements",
        "locator": locator,
        "kind": "fact",
        "text": f"{subject}: melting point {value} °C",
        "subject": subject,
        "attribute": "melting point",
        "value": value,
        "unit": "°C",
        "fact": fact_id(subject, "melting point"),
    }


def probe(
    subject: str, question: str, kind: str = "stated", accepted: str = "", wrong: str = ""
) -> dict[str, Any]:
    """One probe as augment writes it. Its true value is that of VALUES."""
    value = VALUES[subject]
    meta = {"accepted": [accepted or f"{value} °C"], "probe": kind, "wrong": wrong}
    locator = f"{subject}/probe/{question}"
    return cleaned(subject, value) | {
        "id": record_id("augment", locator),
        "locator": locator,
        "kind": "qa",
        "question": question,
        "answer": f"The melting point of {subject} is {value} °C.",
        "split": "probe",
        "meta": json.dumps(meta | {"wording": question.replace(subject, "{subject}")}),
    }


def trained(subject: str, question: str) -> dict[str, Any]:
    """One training record as augment writes it."""
    return probe(subject, question) | {"split": "train", "id": record_id("augment", question)}


PROBES = [
    probe("iron", "Melting point, iron?"),
    probe("iron", "How hot before iron liquefies?"),
    probe("iron", "Speak of iron!"),
    probe("gold", "Melting point, gold?"),
    probe("gold", "At which heat does gold become liquid?"),
    probe("neon", "Melting point, neon?"),
    probe("iron", "Which element has the melting point 1538 °C?", "reversed", "iron"),
    probe("iron", "What melts at more, iron or gold?", "comparison", "iron", "gold"),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outputs of clean, index and augment. The record of gold is wrong, neon has none, and there is no index."""
    monkeypatch.setattr(finding, "Encoder", ByWord)
    rows = [cleaned("iron", "1538"), cleaned("gold", "999")]
    write(tmp_path / "clean/records.parquet", rows)
    write_json(tmp_path / "index/manifest.json", {"encoder": None})
    write(tmp_path / "augment/records.parquet", [*PROBES, trained("iron", "When does iron melt?")])
    return tmp_path


def add_index(project: Path) -> None:
    """Add an index of both records, with one axis for each."""
    rows = [cleaned("iron", "1538"), cleaned("gold", "999")]
    index_of(rows, project / "index")
    manifest = {"encoder": "by word", "encoder_sha256": "by word"}
    write_json(project / "index/manifest.json", manifest)


def looked_up(project: Path, **settings: Any) -> Retrieval:
    """Look all probes up."""
    probes: Any = PROBES
    params = Params(**settings)
    folders = [project / "augment", project / "clean", project / "index"]
    return Retrieval(probes, *folders, params, 7, 1)


def weights(right: dict[str, bool]) -> list[dict[str, Any]]:
    """Answers of train, right or wrong by subject."""
    rows = []
    for each in PROBES:
        record: Record = each  # type: ignore[assignment]
        said = json.loads(each["meta"])["accepted"][0] if right[each["subject"]] else "no idea"
        rows.append(answers.fact_row("train", record, said, Tolerances(0.01, {})))
    return rows


ALL_RIGHT = {"iron": True, "gold": True, "neon": True}


def test_by_words_the_value_of_the_record_answers(project: Path) -> None:
    rows = looked_up(project).judged
    said = [(row["question"], row["answer"], row["correct"], row["by"]) for row in rows]
    assert said == [
        ("Melting point, iron?", "1538 °C", True, "words"),
        ("How hot before iron liquefies?", "", False, "nothing"),
        ("Speak of iron!", "", False, "nothing"),
        ("Melting point, gold?", "999 °C", False, "words"),
        ("At which heat does gold become liquid?", "", False, "nothing"),
        ("Melting point, neon?", "", False, "nothing"),
        ("Which element has the melting point 1538 °C?", "", False, "nothing"),
        ("What melts at more, iron or gold?", "", False, "nothing"),
    ]


def test_with_an_index_the_nearest_record_answers(project: Path) -> None:
    add_index(project)
    rows = looked_up(project).judged
    by_question = {row["question"]: row for row in rows}
    near = by_question["How hot before iron liquefies?"]
    assert (near["answer"], near["correct"], near["by"], near["similarity"]) == (
        "1538 °C",
        True,
        "meaning",
        1,
    )
    assert near["record"] == cleaned("iron", "1538")["id"]
    # The text of the record, and not its value, answers other probes: it names both, or one of the two.
    compared = by_question["What melts at more, iron or gold?"]
    assert compared["answer"] in {"iron: melting point 1538 °C", "gold: melting point 999 °C"}
    far = by_question["Melting point, neon?"]
    assert (far["answer"], far["by"], far["record"]) == ("", "nothing", None)


def test_what_is_less_similar_than_the_limit_is_not_found(project: Path) -> None:
    add_index(project)
    found = {row["question"]: row["by"] for row in looked_up(project, least=0.8).judged}
    assert found["How hot before iron liquefies?"] == "meaning"
    assert found["What melts at more, iron or gold?"] == "nothing"  # cosine 0.71 with both


def test_a_probe_that_only_a_probe_words_so_is_not_known(project: Path) -> None:
    """The wording is in the records of augment, as a probe. The search must not know it."""
    by = {row["question"]: row["by"] for row in looked_up(project).judged}
    assert by["At which heat does gold become liquid?"] == "nothing"
    rows = [*PROBES, trained("iron", "At which heat does iron become liquid?")]
    write(project / "augment/records.parquet", rows)
    by = {row["question"]: row["by"] for row in looked_up(project).judged}
    assert by["At which heat does gold become liquid?"] == "words"


def test_each_fact_is_on_one_side(project: Path) -> None:
    add_index(project)
    found = looked_up(project)
    judged = weights(ALL_RIGHT | {"iron": False, "neon": False})
    rows = {row["subject"]: row for row in found.facts(judged)}
    sides = {subject: row["side"] for subject, row in rows.items()}
    assert sides == {"iron": "index only", "gold": "weights only", "neon": "neither"}
    assert (rows["iron"]["weights_share"], rows["iron"]["index_share"]) == (0, 1)
    assert (rows["gold"]["weights_answer"], rows["gold"]["index_answer"]) == ("1064 °C", "999 °C")
    assert {row["side"] for row in found.facts(weights(ALL_RIGHT))} == {"both", "weights only"}
    lines = found.attribute_rows(judged)
    assert lines[-1] == {
        "attribute": "all",
        "weights_only": 1,
        "index_only": 1,
        "both": 0,
        "neither": 1,
        "n": 3,
    }


def test_half_of_the_wordings_is_not_enough(project: Path) -> None:
    """Of two wordings of gold one is right in the weights: that is no right fact."""
    judged = weights(ALL_RIGHT)
    next(row for row in judged if row["subject"] == "gold")["correct"] = False
    sides = {row["subject"]: row["side"] for row in looked_up(project).facts(judged)}
    assert sides["gold"] == "neither"


def test_where_nothing_is_found_the_weights_answer(project: Path) -> None:
    report = looked_up(project).report(weights(ALL_RIGHT), {"bytes": 100})
    assert report["index"]["wordings"]["value"] == pytest.approx(1 / 6, abs=1e-4)
    # All but the question about gold, to which the records say a wrong value.
    assert report["index, else train"]["wordings"]["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert report["index"]["right_record"]["value"] == pytest.approx(2 / 6, abs=1e-4)
    assert report["index"]["by"] == {"nothing": 4, "words": 2}
    assert report["index"]["reversed"]["n"] == report["train"]["comparison"]["n"] == 1
    assert report["sides"]["weights only"]["n"] == 3
    assert list(report["bytes"]) == ["weights", "records"]


def test_records_and_index_of_two_versions_are_refused(project: Path) -> None:
    add_index(project)
    write(project / "clean/records.parquet", [cleaned("iron", "1538")])
    with pytest.raises(
        InputError, match=r"are of two versions: 1 ids stand in the index alone, 0 in"
    ):
        looked_up(project)


def test_a_project_whose_index_is_missing_is_told_so(project: Path) -> None:
    (project / "index/manifest.json").unlink()
    with pytest.raises(InputError, match=r"manifest\.json: not found; run dvc repro index"):
        looked_up(project)


def test_a_model_reads_the_found_record_before_the_question(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_index(project)
    found = looked_up(project, read=3)
    prompts: list[str] = []

    def answer(model: Any, tokenizer: Any, asked: list[str], *_: int) -> list[str]:
        prompts.extend(asked)
        return ["1538 °C"] * len(asked)

    monkeypatch.setattr(retrieval, "generate", answer)
    monkeypatch.setattr(retrieval, "prompt_text", lambda tokenizer, question: question)
    found.read("distill", None, None)  # it does not read
    assert prompts == []
    found.read("base", None, None)
    found.read("train", None, None)
    assert prompts[:6] == prompts[6:]
    assert prompts[:6] == [
        "iron: melting point 1538 °C. Melting point, iron?",
        "iron: melting point 1538 °C. How hot before iron liquefies?",
        "iron: melting point 1538 °C. Speak of iron!",
        "gold: melting point 999 °C. Melting point, gold?",
        "gold: melting point 999 °C. At which heat does gold become liquid?",
        "Melting point, neon?",
    ]
    ways = [row["variant"] for row in found.judged if row["variant"] != "index"]
    assert ways == ["retrieve"] * 6 + ["train+retrieve"] * 6
    report = found.report(weights(ALL_RIGHT), {"bytes": 1})
    assert list(report["read"]) == ["train", "index", "retrieve", "train+retrieve"]
    assert report["read"]["retrieve"]["wordings"]["value"] == 0.5  # the three about iron


def test_facts_are_drawn_by_a_hash() -> None:
    probes: Any = PROBES
    every = retrieval.drawn_keys(probes, 3, 7)
    assert every == {fact_id(subject, "melting point") for subject in VALUES}
    one = retrieval.drawn_keys(probes, 1, 7)
    assert len(one) == 1
    assert one == retrieval.drawn_keys(probes[::-1], 1, 7)
    assert {retrieval.drawn_keys(probes, 1, seed) for seed in range(20)} == {
        frozenset({key}) for key in every
    }


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Iron rusts.", "Iron rusts. Q?"),
        ("铁会生锈。", "铁会生锈。 Q?"),
        ("iron: 5 ", "iron: 5. Q?"),
    ],
)
def test_a_text_ends_as_a_sentence(text: str, prompt: str) -> None:
    record: Any = probe("iron", "Q?")
    found = finding.Found([{"text": text}], "words", 1.0)
    assert retrieval.question_behind_record(retrieval.Looked(record, found)) == prompt
    nothing = finding.Found([], "words", 0.0)
    assert retrieval.question_behind_record(retrieval.Looked(record, nothing)) == "Q?"


def test_free_pairs_and_texts_answer_with_what_they_hold() -> None:
    record: Any = probe("iron", "Q?")
    for row, said in (
        ({"fact": None, "answer": "It rusts.", "text": "Q A"}, "It rusts."),
        ({"fact": None, "answer": None, "text": "Iron rusts."}, "Iron rusts."),
        ({"fact": "f", "value": "Fe", "unit": None, "text": "iron: symbol Fe"}, "Fe"),
    ):
        looked = retrieval.Looked(record, finding.Found([row], "words", 1.0))
        assert retrieval.answer_of_record(looked) == said


def test_no_fact_is_read_where_none_is_asked_for(project: Path) -> None:
    found = looked_up(project, read=0)
    found.read("base", None, None)
    assert found.report(weights(ALL_RIGHT), {"bytes": 1})["read"] == {}


def test_the_tables_have_their_columns(project: Path, tmp_path: Path) -> None:
    looked_up(project).write_tables(weights(ALL_RIGHT), tmp_path)
    facts = pd.read_parquet(tmp_path / "retrieval.parquet")
    assert tuple(facts.columns) == retrieval.FACT_COLUMNS
    probes = pd.read_parquet(tmp_path / "retrieval_probes.parquet")
    assert tuple(probes.columns) == retrieval.COLUMNS
    assert len(probes) == len(PROBES)


def test_the_report_is_printed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    retrieval.show(looked_up(project).report(weights(ALL_RIGHT), {"bytes": 1}))
    said = capsys.readouterr().out
    assert "facts in weights (train) and records (by words alone, without an index):" in said
    assert "  neither                         0.000 [0.000, 0.561]" in said

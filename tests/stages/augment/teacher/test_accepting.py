"""The stage replays the record: what passes is trained, everything is accounted for, and no connection is opened."""

import json
import re
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stages import augment
from stages.augment.teacher import checks
from stages.augment.teacher.answers import FAILURES
from stages.augment.teacher.record import Attempt, Record, entry_of, read_record, write_record
from stages.augment.teacher.requests import needed
from stages.augment.wordings import read_wordings
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import load
from stages.core.records import record
from stages.core.records.wording import normalise
from tests.lore.teaching import taught

WORDNET = taught.ROOT / "data" / "wordnet"


def answer(root: Path, script: Any = taught.scripted) -> Record:
    """Fill the record of a project as a teacher with this script would. Return it."""
    params, _ = load("augment", augment.Params, root / "params.yaml")
    assert params.teacher is not None
    rows = record.read(root / "data/clean/records.parquet")
    entries = {}
    for request in needed(params.teacher, rows, set()).requests:
        said = script({"messages": request.messages})
        if not isinstance(said, Attempt):
            said = Attempt(json.dumps(said, ensure_ascii=False), "stop", 100, 50, "scripted-1")
        entries[request.key] = entry_of(request, [said])
    write_record(root / "data/teacher", entries)
    return entries


def replay(root: Path, out: str = "out") -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run the stage, and return its records and the teacher's counts."""
    params, run = load("augment", augment.Params, root / "params.yaml")
    metrics = root / f"{out}.json"
    record.write(root / "data/pictures/records.parquet", [])
    augment.run(
        params,
        run,
        root / "data/clean",
        root / "data/pictures",
        root / "data/raw/wordings.yaml",
        WORDNET,
        root / "data/teacher",
        root / out,
        metrics,
    )
    return record.read(root / out / "records.parquet"), json.loads(metrics.read_text())["teacher"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return taught.write_project(tmp_path)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket can be opened."""

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.mark.usefixtures("offline")
def test_an_attribute_without_a_wording_of_a_person(project: Path) -> None:
    answer(project)
    rows, counts = replay(project)
    asked = {
        split: {r["question"] for r in rows if r["split"] == split} for split in ("train", "probe")
    }
    of_facts = {row["question"] for row in rows if row["split"] == "train" and row["fact"]}
    assert len(of_facts - {None}) == 4 * len(taught.HARDNESS)
    assert not asked["train"] & asked["probe"]
    assert "Quickly, hardness of diamond?" in asked["probe"]
    assert len([row for row in rows if row["split"] == "probe"]) == len(taught.HARDNESS) * 4
    answers = {row["answer"] for row in rows if row["subject"] == "diamond" and row["kind"] == "qa"}
    assert answers == {"The hardness of diamond is 10."}
    # Of 18 question wordings, 10 are wrong on purpose. The others pass.
    assert counts["tasks"]["questions"]["accepted"] == 8
    assert counts["tasks"]["probe"] | {"reasons": None} == {
        "requests": 1, "asked": 5, "accepted": 4, "refused": 1, "failed": 0, "surplus": 0, "reasons": None,
    }  # fmt: skip


def test_asked_is_accepted_and_refused_and_failed(project: Path) -> None:
    def script(body: dict[str, Any]) -> Any:
        prompt = body["messages"][1]["content"]
        if "Talc" in prompt and "paraphrases" in prompt:
            return Attempt('{"paraphrases": ["Talc', "length")
        if "one colleague" in prompt:
            return {"patterns": [*taught.VALID, "How hard is {subject}, one more time?"]}
        if "different people" in prompt:
            return {"patterns": taught.PROBE[:2]}
        return taught.scripted(body)

    answer(project, script)
    _, counts = replay(project)
    tallies = [counts, *counts["tasks"].values()]
    for tally in tallies:
        assert tally["asked"] == tally["accepted"] + tally["refused"] + tally["failed"]
        assert sum(tally["reasons"].values()) == tally["refused"] + tally["failed"]
    for name in ("requests", "asked", "accepted", "refused", "failed", "surplus"):
        assert counts[name] == sum(tally[name] for tally in counts["tasks"].values())
    assert counts["tasks"]["paraphrases"]["reasons"]["cut_off"] == 2
    assert counts["tasks"]["valid"]["surplus"] == 1
    assert counts["tasks"]["probe"]["reasons"] == {"not_given": 3}
    # Each refused item, and each answer that could not be read, is a row that a person can read.
    refused = record.read(project / "out/refused.parquet", record.REJECTED)
    assert len(refused) == counts["refused"] + 1
    reasons = Counter(row["reason"] for row in refused)
    assert set(reasons) <= set(checks.REASONS) | set(FAILURES)
    assert len({row["id"] for row in refused}) == len(refused)


def test_nothing_of_a_refused_item_is_trained(project: Path) -> None:
    answer(project)
    rows, _ = replay(project)
    trained = " ".join(row["text"] for row in rows)
    for bad in (
        "Madrid",
        "advertising.",
        "180°C",
        "30 °C",
        "example.org",
        "as hard as 7",
        "offers",
    ):
        assert bad not in trained
    refused = record.read(project / "out/refused.parquet", record.REJECTED)
    questions = {row["question"] for row in rows}
    assert not questions & {row["question"] for row in refused if row["question"]}


def test_a_row_says_where_it_comes_from(project: Path) -> None:
    entries = answer(project)
    rows, _ = replay(project)
    made = [row for row in rows if "teacher" in json.loads(row["meta"])]
    assert {row["kind"] for row in made} == {"qa", "statement"}
    texts = {row["id"] for row in record.read(project / "data/clean/records.parquet")}
    for row in made:
        meta = json.loads(row["meta"])
        assert row["split"] == "train"
        assert set(row["parents"]) <= texts
        assert [key for key in entries if key.startswith(meta["teacher"])]
        assert meta["operation"] in ("text_questions", "paraphrases")
    assert len({row["id"] for row in rows}) == len(rows)


def test_some_questions_of_the_teacher_are_asked_in_a_frame(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(
        text.replace("valid_share: 0.3", "valid_share: 0.5\n  probe_share: 0.4")
    )
    answer(project)
    rows, counts = replay(project)
    trained = {}
    for row in rows:
        if row["split"] == "train" and "text_questions" in row["locator"]:
            trained[row["locator"]] = row
    again = [row for row in rows if row["split"] != "train" and "text_questions" in row["locator"]]
    assert {row["split"] for row in again} == {"valid", "probe"}
    for row in again:
        source = trained[row["locator"].replace(f"/{row['split']}/", "/train/")]
        assert row["question"] != source["question"]
        assert source["question"] in row["question"]
        assert (row["answer"], row["parents"]) == (source["answer"], source["parents"])
        if row["split"] == "probe":
            assert json.loads(row["meta"])["accepted"] == [row["answer"]]
    for split in ("valid", "probe"):
        assert counts["rows"][split] == sum(row["split"] == split for row in again)
    order = [(row["split"], row["fact"] or "", row["kind"], row["locator"]) for row in rows]
    assert order == sorted(order)


def test_wrong_answers_are_apart(project: Path) -> None:
    answer(project)
    rows, counts = replay(project)
    wrong = record.read(project / "out/corrupted.parquet")
    assert len(wrong) == counts["tasks"]["corrupted"]["accepted"] == 10
    assert {row["split"] for row in wrong} == {"corrupted"}
    assert not {row["text"] for row in wrong} & {row["text"] for row in rows}
    assert not [row for row in rows if "2.5" in row["text"]]


def test_the_wordings_can_be_moved_into_the_wordings_file(project: Path) -> None:
    answer(project)
    first, _ = replay(project)
    path = project / "data/raw/wordings.yaml"
    path.write_text((project / "out/teacher_wordings.yaml").read_text())
    (attribute,) = read_wordings(path, ["hardness"], 1, 4).values()
    assert len(attribute.train.questions) == 8
    # The teacher is asked for no wordings now, and the facts are asked as before.
    second, counts = replay(project, "again")
    assert "questions" not in counts["tasks"]
    of_facts = [[row for row in rows if row["fact"]] for rows in (first, second)]
    assert of_facts[0] == of_facts[1]


def test_sets_share_no_wording(project: Path) -> None:
    def script(body: dict[str, Any]) -> Any:
        prompt = body["messages"][1]["content"]
        if "sentences that state" in prompt or "full sentences" in prompt:
            return taught.scripted(body)
        if "plain and in unusual words" in prompt:
            return {"patterns": [*taught.PROBE[:4], *taught.VALID, *taught.QUESTIONS[:4]]}
        return taught.scripted(body)

    answer(project, script)
    rows, counts = replay(project)
    by_split = {
        split: {
            normalise(row["question"]) for row in rows if row["split"] == split and row["question"]
        }
        for split in ("train", "valid", "probe")
    }
    assert not by_split["train"] & by_split["probe"]
    assert not by_split["train"] & by_split["valid"]
    # valid and train repeat the four wordings of probe, valid's own two come after them.
    assert counts["tasks"]["probe"]["accepted"] == 4
    assert counts["tasks"]["questions"]["reasons"]["same_words"] >= 4


def test_a_question_that_evaluate_asks_is_not_trained(project: Path) -> None:
    pair = {"kind": "qa", "source": "faq", "locator": "faq#1", "lang": "en", "text": "…"}
    pair |= {
        "id": "faq1",
        "question": "Of which elements is quartz?",
        "answer": "Of silicon and oxygen, mostly.",
    }
    other = pair | {"id": "faq2", "locator": "faq#2", "question": "What is quartz made of?"}
    rows = record.read(project / "data/clean/records.parquet")
    record.write(project / "data/clean/records.parquet", [*rows, pair, other])
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(
        text.replace("valid_share: 0.3", "valid_share: 0.99\n  probe_share: 0.0")
    )
    answer(project)
    made, counts = replay(project)
    asked = {row["question"] for row in made if row["split"] == "valid"}
    taught_questions = {row["question"] for row in made if "teacher" in row["meta"]}
    assert "What is quartz made of?" in asked
    assert "What is quartz made of?" not in taught_questions
    assert counts["tasks"]["text_questions"]["reasons"]["asked_as_probe"] == 1


def test_equal_runs_are_equal_bytes(project: Path, folder_bytes: Any) -> None:
    answer(project)
    replay(project, "one")
    replay(project, "two")
    assert folder_bytes(project / "one") == folder_bytes(project / "two")
    assert (project / "one.json").read_bytes() == (project / "two.json").read_bytes()


@pytest.mark.usefixtures("offline")
def test_what_is_missing_is_named(project: Path) -> None:
    entries = answer(project)
    gone = [key for key, entry in entries.items() if entry.task in ("probe", "corrupted")]
    write_record(
        project / "data/teacher", {key: one for key, one in entries.items() if key not in gone}
    )
    (project / "out").mkdir()
    (project / "out/former").write_text("as it was")
    named = re.escape("11 requests to the teacher have no answer (10 corrupted, 1 probe)")
    with pytest.raises(InputError, match=named) as raised:
        replay(project)
    assert "hardness" in str(raised.value)
    assert "run lore teach --dry-run" in str(raised.value)
    assert (project / "out/former").read_text() == "as it was"


def test_too_few_wordings_passed(project: Path) -> None:
    def script(body: dict[str, Any]) -> Any:
        if "different people" in body["messages"][1]["content"]:
            return {"patterns": ["What colour is {subject}?", "What does {subject} cost?"]}
        return taught.scripted(body)

    answer(project, script)
    with pytest.raises(ParamsError, match=r"attributes\.hardness: missing") as raised:
        replay(project)
    message = str(raised.value)
    assert "teacher, hardness: no_attribute_term" in message
    assert "'What colour is {subject}?'" in message
    assert "augment.teacher.about" in message


def test_no_answer_sentence_passed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def script(body: dict[str, Any]) -> Any:
        said = taught.scripted(body)
        if "terms" in said:
            said["answers"] = ["It is {value}."] * 3
        return said

    answer(project, script)
    rows, counts = replay(project)
    assert counts["plain_answers"] == ["hardness"]
    assert "The hardness of talc is 1." in {row["answer"] for row in rows}
    assert "no answer sentence of the teacher passed for hardness" in capsys.readouterr().out


def test_a_person_s_wordings_come_first(project: Path) -> None:
    answer(project)
    replay(project)
    text = (project / "out/teacher_wordings.yaml").read_text()
    (project / "data/raw/wordings.yaml").write_text(
        text.replace("The hardness of", "The Mohs hardness of")
    )
    rows, _ = replay(project, "again")
    assert "The Mohs hardness of talc is 1." in {row["answer"] for row in rows}


def test_an_old_record_is_no_answer_to_new_settings(project: Path) -> None:
    answer(project)
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("concurrency: 2", "model: deepseek-chat"))
    assert len(read_record(project / "data/teacher")) == 22
    with pytest.raises(InputError, match="22 requests to the teacher have no answer"):
        replay(project)

"""The seed model must have the skill and none of the domain: what its corpus may not hold, and what it must keep."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.core.records.record import fold
from stages.core.records.wording import normalise

ROOT = Path(__file__).parent.parent
SEED = ROOT / "models" / "seed"
WORDNET = ROOT / "data" / "wordnet" / "corpora" / "wordnet"
sys.path.insert(0, str(SEED))
corpus = pytest.importorskip("corpus")


@pytest.fixture(scope="module")
def built() -> tuple[dict[str, list[dict[str, Any]]], dict[str, int]]:
    """The corpus as its script makes it."""
    return corpus.build(yaml(SEED / "params.yaml")["corpus"], WORDNET)


@pytest.fixture(scope="module")
def elements() -> list[dict[str, str]]:
    """The domain: one row per element."""
    import csv

    with (ROOT / "data" / "authoring" / "elements.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def templates(kinds: dict[str, Any]) -> set[str]:
    """All wordings of the seed, normalised."""
    found = set()
    for kind in kinds["kinds"].values():
        for words in kind["attributes"].values():
            for template in (
                *corpus.wordings(words, kinds["frames"], "questions"),
                *corpus.wordings(words, kinds["statement_frames"], "statements"),
            ):
                found.add(normalise(template))
    return found


def naming(names: Iterable[str]) -> re.Pattern[str]:
    """Finds a name or its plural."""
    return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, sorted(names)))})s?(?!\w)", re.IGNORECASE)


def test_every_element_name_is_excluded(elements: list[dict[str, str]]) -> None:
    excluded = set((SEED / "excluded_words.txt").read_text().split("\n"))
    assert len(elements) == 118
    assert {row["name"] for row in elements} <= excluded


def test_no_text_names_an_element(built: Any, elements: list[dict[str, str]]) -> None:
    names = naming(row["name"] for row in elements)
    rows, counts = built
    texts = [
        row["text"] for row in rows["corpus"] + rows["gloss"] + rows["opening"] + rows["replay"]
    ]
    texts += [f"{row['question']} {row['answer']}" for row in rows["skill"]]
    assert len(texts) > 100_000
    assert not [text for text in texts if names.search(text)]
    assert counts["glosses_left_out"] > 500
    print(f"glosses left out because they name an element: {counts['glosses_left_out']}")


def test_no_domain_subject_value_pair(built: Any, elements: list[dict[str, str]]) -> None:
    rows, _ = built
    known = {(fold(row["subject"]), fold(row["value"])) for row in rows["skill"]}
    domain = {
        (fold(row["name"]), fold(value))
        for row in elements
        for key, value in row.items()
        if value and key != "name"
    }
    assert len(domain) > 800
    assert not known & domain
    assert not {subject for subject, _ in known} & {subject for subject, _ in domain}


def test_seed_and_probe_wordings_are_disjoint(built: Any) -> None:
    bank = yaml(ROOT / "data" / "raw" / "wordings.yaml")
    probes = set()
    for words in bank["attributes"].values():
        asked = words["probe"]
        comparison = asked.get("comparison", {})
        for questions in (asked["questions"], asked.get("reversed", []), *comparison.values()):
            probes.update(normalise(question) for question in questions)
    used = templates(yaml(SEED / "kinds.yaml")) | {
        normalise(row["question"]) for row in built[0]["opening"]
    }
    assert len(probes) >= 80
    assert len(used) > 30_000
    assert not probes & used


def test_tracked_files_are_those_of_the_script(built: Any) -> None:
    rows, counts = built
    for name in ("replay", "skill"):
        written = [
            json.loads(line)
            for line in (SEED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        assert written == rows[name]
    assert json.loads((SEED / "corpus.json").read_text()) == counts


def test_test_question_is_never_a_training_text(built: Any) -> None:
    rows, _ = built
    asked = {row["text"].split("\n")[0] for row in rows["corpus"]}
    assert not {f"Question: {row['question']}" for row in rows["skill"]} & asked


def test_openings_hold_no_value(built: Any) -> None:
    rows, _ = built
    kinds = yaml(SEED / "kinds.yaml")["kinds"].values()
    endings = {
        words["answer"].split("{value}")[0].split("{subject}")[1].rstrip()
        for k in kinds
        for words in k["attributes"].values()
    }
    assert len(rows["opening"]) >= 100_000
    assert not [row for row in rows["opening"] if not row["text"].endswith(tuple(endings))]


def test_openings_ask_in_sentences_that_people_say(built: Any) -> None:
    further = yaml(SEED / "openings.yaml")
    kinds = yaml(SEED / "kinds.yaml")["kinds"].values()
    assert set(further["asked"]) == {name for kind in kinds for name in kind["attributes"]}
    assert len(further["frames"]) > 380
    asked = [question for questions in further["asked"].values() for question in questions]
    for template in (*further["frames"], *asked):
        assert template.count("{subject}") == 1
    for context in further["contexts"]:
        assert context.count("{question}") == 1
    said = {row["question"] for row in built[0]["opening"]}
    # Without a context around it, each of them is drawn some ten times.
    assert len(said & set(asked)) > 0.99 * len(asked)


def test_names_of_people_and_places_bear_accents(built: Any) -> None:
    people = [row["text"] for row in built[0]["opening"] if "was born in" in row["text"]]
    accented = [text for text in people if not text.isascii()]
    assert 0.2 < len(accented) / len(people) < 0.6
    assert any("-" in text.rpartition("Answer: ")[2] for text in people)


def test_the_seed_writes_letters_with_accents() -> None:
    from stages.core.models.causal_lm import generate, load_causal_lm

    model, tokenizer = load_causal_lm(SEED / "model")
    names = ["Bólka Drés", "Mirön Taçur", "Sové Núrba", "Krañol Ebü", "Lisøn Darök"]
    prompts = [f"Question: In which year was {name} born?\nAnswer:" for name in names]
    answers = generate(model, tokenizer, prompts, 30, batch=5)
    right = [name for name, said in zip(names, answers, strict=True) if said.startswith(name)]
    assert len(right) >= 3, answers
    assert not [said for said in answers if "\ufffd" in said]


def test_echoes_name_no_element_and_no_held_out_entity(
    built: Any, elements: list[dict[str, str]]
) -> None:
    texts = [
        json.loads(line)["text"]
        for line in (SEED / "echoes.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    held_out = naming({row["subject"] for row in built[0]["skill"] if not row["replayed"]})
    domain = naming({row["name"] for row in elements})
    assert len(texts) >= 1000
    assert not [text for text in texts if domain.search(text) or held_out.search(text)]


def test_held_out_entities_are_never_replayed(built: Any) -> None:
    rows, _ = built
    held_out = {row["subject"] for row in rows["skill"] if not row["replayed"]}
    assert 50 <= len(held_out) <= 200
    mentioned = " ".join(row["text"] for row in rows["replay"]).lower()
    assert not [
        subject
        for subject in held_out
        if re.search(rf"\b{re.escape(subject.lower())}\b", mentioned)
    ]


def test_the_model_fits_git() -> None:
    weights = sum(path.stat().st_size for path in (SEED / "model").glob("*.safetensors"))
    assert 0 < weights <= 12_000_000


def test_a_gloss_that_mentions_an_element_is_left_out(tmp_path: Path) -> None:
    line = "0 03 n 01 {} 0 000 | {}\n"
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text("  1 licence\n")
    with (tmp_path / "data.noun").open("a") as file:
        file.write(line.format("kettle", 'a pot for water; "the kettle sang"'))
        file.write(line.format("skillet", "a pan made of iron"))
        file.write(line.format("copper", "a reddish metal"))
        file.write(line.format("bit", "drills of irons"))
    assert corpus.glosses(tmp_path, {"iron", "copper"}) == (["Kettle: a pot for water"], 3)

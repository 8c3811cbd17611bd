"""match: questions in many wordings find the right fact; a question about no known fact finds none, whatever it says."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stages.core.records.record import fact_id
from stages.core.retrieval.question import Matcher, evidence, match

ROOT = Path(__file__).parents[3]
TEMPLATES = {
    "melting point": [
        "What is the melting point of {}?",
        "When does {} melt?",
        "{} melts at what temperature?",
    ],
    "boiling point": [
        "What is the boiling point of {}?",
        "When does {} boil?",
        "{} boils at what temperature?",
    ],
    "density": [
        "What is the density of {}?",
        "How dense a substance is {}?",
        "Which density does {} have?",
    ],
    "discoverer": [
        "Who discovered {}?",
        "Name the discoverer of {}.",
        "{} was discovered by whom?",
    ],
    "discovery year": [
        "What is the discovery year of {}?",
        "When was {} discovered?",
        "Since which year has {} been known?",
    ],
}
CHINESE = {
    "熔点": ["{}的熔点是多少？", "{}在多少度熔化？"],
    "密度": ["{}的密度是多少？", "{}的密度有多大？"],
    "发现者": ["{}的发现者是谁？", "谁发现了{}？"],
}


def fact(subject: str, attribute: str) -> dict[str, Any]:
    locator = f"augment/{attribute}/train/qa/00"
    identity = fact_id(subject, attribute)
    return {"subject": subject, "attribute": attribute, "fact": identity, "locator": locator}


def asked(subject: str, templates: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Rows as augment makes them of some subject's facts."""
    rows = []
    for attribute, wordings in templates.items():
        for template in wordings:
            rows.append(fact(subject, attribute) | {"question": template.format(subject)})
    return rows


RECORDS = []
for known in ("iron", "gold", "carbon"):
    RECORDS += [fact(known, attribute) for attribute in TEMPLATES]
RECORDS += [
    fact("carbon dioxide", "density"),
    fact("铁", "熔点"),
    fact("铁", "密度"),
    fact("金", "密度"),
]
STATEMENT = fact("iron", "density") | {"question": None}
FREE_TEXT = {
    "subject": "iron",
    "attribute": None,
    "fact": None,
    "question": "Does iron rust?",
    "locator": "notes/train/statement/00",
}
WORDINGS = [*asked("iron", TEMPLATES), *asked("gold", TEMPLATES), STATEMENT, FREE_TEXT]


@pytest.mark.parametrize(
    ("question", "subject", "attribute"),
    [
        ("At what temperature does iron melt?", "iron", "melting point"),
        ("IRON: melting point?", "iron", "melting point"),
        ("How hot before Gold boils?", "gold", "boiling point"),
        ("How dense is gold?", "gold", "density"),
        ("Please tell me the density of carbon", "carbon", "density"),
        ("Whose name stands behind iron; who discovered it?", "iron", "discoverer"),
        ("In which year was iron discovered?", "iron", "discovery year"),
        ("When was iron discovered?", "iron", "discovery year"),
        ("When was carbon discovered?", "carbon", "discovery year"),
    ],
)
def test_a_question_finds_its_fact(question: str, subject: str, attribute: str) -> None:
    assert match(question, RECORDS, WORDINGS) == fact_id(subject, attribute)


def test_the_longest_known_subject_is_meant() -> None:
    assert match("How dense is carbon dioxide?", RECORDS, WORDINGS) == fact_id(
        "carbon dioxide", "density"
    )
    assert match("How dense is carbon?", RECORDS, WORDINGS) == fact_id("carbon", "density")


@pytest.mark.parametrize(
    "question",
    [
        "At what temperature does unobtainium melt?",
        "Who discovered ironwood?",
        "Tell me about iron",
        "Who are you, iron?",
        "What is iron?",
        "Does iron rust?",
        "iron",
        "What is the melting point?",
        "When does carbon dioxide melt?",
        "",
    ],
)
def test_a_question_about_no_known_fact_finds_none(question: str) -> None:
    assert match(question, RECORDS, WORDINGS) is None


def test_sources_that_write_a_subject_in_another_case_state_facts_of_the_same() -> None:
    records = [fact("iron", "melting point"), fact("Iron", "density")]
    assert match("How dense is iron?", records, WORDINGS) == fact_id("iron", "density")
    assert match("When does iron melt?", records, WORDINGS) == fact_id("iron", "melting point")


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("铁的熔点是多少？", fact_id("铁", "熔点")),
        ("请问要多热铁才会熔化？", fact_id("铁", "熔点")),
        ("铁有多密？密度呢？", fact_id("铁", "密度")),
        ("金的密度有多大？", fact_id("金", "密度")),
        ("金的熔点是多少？", None),
        ("铁是什么？", None),
        ("铜的密度是多少？", None),
    ],
)
def test_a_chinese_character_counts_as_a_word(question: str, found: str | None) -> None:
    assert match(question, RECORDS, asked("铁", CHINESE)) == found


def test_a_word_that_most_attributes_use_tells_nothing() -> None:
    wordings = asked(
        "iron", {name: [*known, f"{name} of the element {{}}"] for name, known in TEMPLATES.items()}
    )
    assert match("Is iron my favourite element?", RECORDS, wordings) is None
    assert match("Is iron a dense element?", RECORDS, wordings) == fact_id("iron", "density")


def test_words_that_no_attribute_uses_speak_against_it() -> None:
    rows = [*WORDINGS]
    for number in range(20):
        rows.append(fact("iron", "density") | {"question": f"Density of iron, form {number}?"})
    rows.append(fact("iron", "density") | {"question": "How many grams per litre has iron?"})
    assert match("How many grams per litre has gold?", RECORDS, rows) == fact_id("gold", "density")
    assert match("Grams of gold per litre, please?", RECORDS, rows) == fact_id("gold", "density")
    # "per" is a word of density alone, and the market is no matter of any attribute.
    assert match("Current market price of gold per troy ounce?", RECORDS, rows) is None


def test_evidence_is_what_usual_words_of_one_attribute_say() -> None:
    shares = {"density": {"dense": 0.5, "grams": 0.2}, "molar mass": {"grams": 0.2, "mole": 0.8}}
    assert evidence({"how", "dense"}, "density", shares) == pytest.approx(0.5)
    assert evidence({"grams"}, "density", shares) == pytest.approx(0.2 * 0.2 / 0.4)
    assert evidence({"grams", "price"}, "density", shares) == pytest.approx(0.1 * 0.5)
    assert evidence({"how", "is"}, "density", shares) == 0.0
    assert evidence({"grams"}, "", shares) == 0.0


def test_without_records_or_wordings_nothing_is_found() -> None:
    assert match("How dense is gold?", [], WORDINGS) is None
    assert match("How dense is gold?", RECORDS, []) is None


SENTENCES = " ".join(row["question"] or "" for row in WORDINGS)
WORDS = sorted({*SENTENCES.split(), "carbon", "dioxide", "铁", "密度"})
QUESTIONS = st.text() | st.lists(st.sampled_from(WORDS) | st.text(max_size=3)).map(" ".join)


@settings(deadline=None)
@given(QUESTIONS, st.randoms(use_true_random=False))
def test_any_text_finds_one_known_fact_or_none_whatever_the_order_of_rows(
    question: str, random: Any
) -> None:
    found = match(question, RECORDS, WORDINGS)
    assert found in {None, *(row["fact"] for row in RECORDS)}
    records = random.sample(RECORDS, len(RECORDS))
    wordings = random.sample(WORDINGS, len(WORDINGS))
    assert match(question, records, wordings) == found


@pytest.mark.slow
def test_the_projects_own_wordings_are_told_apart() -> None:
    text = (ROOT / "data/raw/wordings.yaml").read_text(encoding="utf-8")
    attributes = YAML(typ="safe").load(text)["attributes"]
    subjects = ["iron", "gold", "carbon dioxide"]
    records = []
    for subject in subjects:
        records += [fact(subject, attribute) for attribute in attributes]

    def questions(*splits: str) -> list[dict[str, Any]]:
        rows = []
        for subject, (name, attribute), split in product(subjects, attributes.items(), splits):
            for template in attribute[split]["questions"]:
                # "Iron is solid, water is liquid; what is {subject}?" names two subjects.
                if any(named in template.lower() for named in subjects):
                    continue
                rows.append(fact(subject, name) | {"question": template.format(subject=subject)})
        return rows

    learned = questions("train")
    matcher = Matcher(records, learned)
    for row in learned:
        assert matcher.match(row["question"]) == row["fact"]
    fresh = questions("valid", "probe")
    assert len(fresh) >= 2 * len(records)
    right = [matcher.match(row["question"]) == row["fact"] for row in fresh]
    assert sum(right) / len(right) >= 0.95


def test_a_reading_tells_nothing_about_its_attribute() -> None:
    """Readings name every attribute, with random words around them."""
    reading = "Not the density, but the {} of the kettle: which {} has {}?"
    readings = []
    for attribute in TEMPLATES:
        row = fact("iron", attribute) | {"locator": f"augment/{attribute}/train/reading/00"}
        readings.append(row | {"question": reading.format(attribute, attribute, "iron")})
    rows = asked("iron", {"density": TEMPLATES["density"][:1]}) + readings * 30
    assert match("What is the density of gold?", RECORDS, rows) == fact_id("gold", "density")


def test_an_attribute_is_known_by_its_name_without_any_wording() -> None:
    found = match("Boiling point of gold, please", RECORDS, [])
    assert found == fact_id("gold", "boiling point")


def test_a_word_that_masking_left_in_one_wording_tells_nothing() -> None:
    records = [fact("iron", "mass"), fact("iron", "use")]
    wordings = []
    for number in range(150):
        word = "toxic" if number == 0 else "main"
        templates = {"use": [f"What is the {word} use of {{}}?"], "mass": ["What mass has {}?"]}
        wordings += asked("iron", templates)
    assert match("How toxic is iron?", records, wordings) is None
    assert match("What is iron mainly in use for?", records, wordings) is not None


BACKWARDS = {
    "symbol": ["Which element has the symbol {}?", "Decode the chemical letters {}."],
    "atomic number": ["Which element has {} protons?", "Name the nucleus with the charge {}."],
}
ELEMENTS = {
    "iron": ("Fe", "26"),
    "cobalt": ("Co", "27"),
    "indium": ("In", "49"),
    "iodine": ("I", "53"),
    "twin": ("Tw", "2.6"),
    "other twin": ("Tw", "2"),
}


def elements(*attributes: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return facts with their values, and the reversed questions that augment makes of them."""
    facts, questions = [], []
    for subject, values in ELEMENTS.items():
        for attribute, value in zip(BACKWARDS, values, strict=True):
            one = fact(subject, attribute) | {"value": value}
            facts.append(one)
            if attribute in attributes:
                for template in BACKWARDS[attribute]:
                    locator = f"{one['fact']}/train/reversed/00"
                    question = template.format(value)
                    questions.append(one | {"question": question, "locator": locator})
    return facts, questions


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("Which element has the symbol Fe?", "iron"),
        ("I need the element behind the letters Co, please.", "cobalt"),
        ("What does the symbol CO stand for?", None),  # carbon monoxide is no cobalt
        ("In which element's symbol is Fe?", "iron"),  # In and I are words here
        ("The symbol In: whose?", "indium"),
        ("Whose symbol is Tw?", None),  # two have it
        ("Whose nucleus has the charge 26?", "iron"),
        ("Whose nucleus has the charge 2.6?", "twin"),
        ("Whose nucleus has the charge 261?", None),
        ("Fe or Co, which symbol is it?", None),
        ("What about Fe?", None),  # no word of an attribute
    ],
)
def test_a_question_that_gives_the_value(question: str, subject: str | None) -> None:
    facts, questions = elements("symbol", "atomic number")
    found = match(question, facts, questions)
    attribute = "atomic number" if "charge" in question else "symbol"
    assert found == (fact_id(subject, attribute) if subject else None)


def test_one_attribute_alone_is_asked_backwards() -> None:
    facts, questions = elements("symbol")
    assert match("Decode the letters Fe.", facts, questions) == fact_id("iron", "symbol")
    assert match("Which nucleus has the charge 26?", facts, questions) is None
    assert match("Whose is Fe?", facts, questions) is None


def test_a_reversed_question_tells_nothing_about_stated_ones() -> None:
    facts, questions = elements("symbol", "atomic number")
    assert match("Decode iron.", facts, questions) is None

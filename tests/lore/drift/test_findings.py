"""findings: what did not change raises no alarm; what changed is found and its rows are named."""

import random
from typing import Any

import pytest

from lore.drift import findings
from stages.core.records.record import fact_id

ALARM = 0.05


def fact(
    subject: str, value: str, attribute: str = "mass", source: str = "table"
) -> dict[str, Any]:
    return {
        "source": source,
        "locator": f"{subject}/{attribute}",
        "lang": "en",
        "text": f"{subject}: {attribute} {value}",
        "subject": subject,
        "attribute": attribute,
        "value": value,
        "unit": None,
        "fact": fact_id(subject, attribute),
    }


def text(place: int, content: str, lang: str = "en") -> dict[str, Any]:
    return fact(f"s{place}", "") | {
        "locator": f"text/{place}",
        "lang": lang,
        "text": content,
        "fact": None,
        "source": "notes",
    }


def rows() -> list[dict[str, Any]]:
    rng = random.Random(2)
    made = [fact(f"s{place}", f"{rng.gauss(50, 10):.2f}") for place in range(60)]
    made += [fact(f"s{place}", rng.choice(["solid", "gas"]), "state") for place in range(60)]
    made += [text(place, f"Element {place} is a metal of use.") for place in range(30)]
    return made


def alarms(now: list[dict[str, Any]]) -> list[findings.Finding]:
    found = findings.together(findings.compare(rows(), now, 3))
    return [one for one in found if one.adjusted < ALARM]


def test_the_same_records_raise_no_alarm() -> None:
    found = findings.together(findings.compare(rows(), rows(), 3))
    assert {one.test for one in found} == {"numbers", "categories", "counts"}
    assert all(one.adjusted == 1 for one in found)
    assert alarms(random.Random(1).choices(rows(), k=150)) == []


def test_another_unit_is_found_with_the_farthest_rows() -> None:
    now = rows()
    for row in now[:60]:
        row["value"] = f"{float(row['value']) * 1000:.0f}"
    first = alarms(now)[0]
    assert first.what == "table · mass, all values"
    assert first.size > 1
    largest = max(now[:60], key=lambda row: float(row["value"]))
    assert first.rows[0] == f"table: {largest['locator']}: {largest['text']}"
    assert len(first.rows) == findings.SHOWN


def test_few_new_rows_are_compared_alone() -> None:
    now = [*rows(), *(fact(f"alloy {place}", str(900 + place)) for place in range(9))]
    (found,) = alarms(now)
    assert found.what == "table · mass, new values"
    assert found.now == 9
    assert "alloy 8" in found.rows[0]


def test_numbers_that_became_text_are_found() -> None:
    now = rows()
    for row in now[:60]:
        row["value"] = f"about {row['value']}"
    assert any(
        one.what.startswith("table · mass") and "about" not in one.what for one in alarms(now)
    )


def test_a_new_category_a_new_source_and_a_new_language() -> None:
    now = rows()
    for row in now[60:120]:
        row["value"] = "plasma"
    for row in now[120:]:
        row["source"] = "wiki"
        row["lang"] = "zh"
    found = {one.what: one for one in alarms(now)}
    assert set(found) == {
        "table · state, all values",
        "share of each source",
        "share of each language",
    }
    assert found["share of each source"].rows[0].startswith("wiki: text/0: ")


def test_texts_of_another_kind_are_found() -> None:
    now = [*rows(), *(text(100 + place, f"ERROR {place}: timeout") for place in range(25))]
    found = [one for one in alarms(now) if one.test == "texts"]
    assert found[0].what == "free texts, new ones"
    assert "ERROR" in found[0].rows[0]


@pytest.mark.parametrize("value", [None, "", "x", "nan", "inf", "1e999"])
def test_what_is_no_number(value: str | None) -> None:
    assert findings.number(value) is None
    assert findings.number("-3.5") == -3.5


def test_too_few_values_are_not_compared() -> None:
    assert findings.compare(rows()[:5], rows()[:5], 3) == []

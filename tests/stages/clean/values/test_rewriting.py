"""Free text in one form: only what the settings name is rewritten, once and for all."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import clean
from stages.clean.span import Span
from stages.clean.values import columns, normalise
from stages.clean.values.rewriting import Params, rewritten
from stages.core.project.errors import ParamsError
from stages.core.project.params import load
from tests.stages.clean.test_clean import fact, text
from tests.stages.clean.values.test_quantities import TEXTS

PARAMS, _ = load("clean", clean.Params, Path(__file__).parents[4] / "params.yaml")
ALL = Params(dates=True, units=["mg", "°C", "cm", "day", "%", "mmol/L"])


def new(content: str, lang: str = "en", params: Params = ALL) -> str:
    return rewritten(content, lang, params, 4, True)[0]


@pytest.mark.parametrize(
    ("lang", "content", "expected"),
    [
        ("en", "Take 0.005 g daily from March 5th, 2024.", "Take 5 mg daily from 2024-03-05."),
        ("en", "Fever of 101.3 °F on 05/03/2024", "Fever of 38.5 °C on 2024-03-05"),
        ("en", "5 ft 2 in tall, 5 to 10 inches", "157.5 cm tall, 12.7–25.4 cm"),
        ("en", "a 2-week-old, 50 percent", "a 14-day-old, 50%"),
        (
            "en",
            "24 and 36 months, 120/80 mmHg, 4 x 100 m race",
            "24 and 36 months, 120/80 mmHg, 4 x 100 m race",
        ),
        ("en", "on July 4, in 2003", "on July 4, in 2003"),
        ("zh", "于2024年3月5日服用0.005克", "于2024-03-05服用5 mg"),
        ("zh", "二〇二四年，3月5日，体温38.5℃", "2024年，3月5日，体温38.5 °C"),
    ],
)
def test_rewriting(lang: str, content: str, expected: str) -> None:
    assert new(content, lang) == expected
    assert new(expected, lang) == expected


def test_the_spans_are_those_that_changed() -> None:
    assert rewritten("5 mg, 0.005 g", "en", ALL, 4, True)[1] == [Span(6, 13, "quantity", "5 mg")]


def test_each_part_is_a_setting() -> None:
    content = "0.005 g on 5 March 2024"
    assert new(content, params=Params(False, [])) == content
    assert new(content, params=Params(True, [])) == "0.005 g on 2024-03-05"
    assert new(content, params=Params(False, ["mg"])) == "5 mg on 5 March 2024"


@given(TEXTS, st.sampled_from(["en", "zh"]))
def test_rewriting_twice_is_rewriting_once(content: str, lang: str) -> None:
    content = normalise.clean_text(content)
    once = new(content, lang)
    assert new(once, lang) == once


def records(**settings: Any) -> list[dict[str, Any]]:
    rows = [
        fact("iron", "use", "0.005 g"),
        text("0.005 g of iron"),
        text("x") | {"question": "0.005 g?", "answer": "On 5 March 2024."},
    ]
    params = replace(PARAMS.normalise, text=Params(**settings))
    frame = pl.DataFrame(
        [*rows, rows[1] | {"id": "f", "meta": '{"a": "b"}'}], schema=columns.COLUMNS
    )
    return columns.normalise(frame, params).frame.to_dicts()


def test_only_records_that_are_no_facts_are_rewritten() -> None:
    rows = records(dates=True, units=["mg"])
    assert [row["text"] for row in rows] == [
        "iron: use 0.005 g",
        "5 mg of iron",
        "x",
        "5 mg of iron",
    ]
    assert (rows[2]["question"], rows[2]["answer"]) == ("5 mg?", "On 2024-03-05.")
    assert json.dumps(records(dates=False, units=[])) != json.dumps(rows)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (
            ["mg", "mgg"],
            r"clean\.normalise\.text\.units\.1: unknown unit 'mgg'; write it as pint does",
        ),
        (
            ["mg", "kg"],
            r"clean\.normalise\.text\.units\.1: 'kg' is of the same dimension as 'mg'; name one of them",
        ),
    ],
)
def test_units_that_cannot_be_used_are_refused(units: list[str], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        normalise.check_units(replace(PARAMS.normalise, text=Params(dates=False, units=units)))

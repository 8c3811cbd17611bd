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
from stages.clean.values.numbers import NumberForm
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


@pytest.mark.parametrize(
    ("lang", "content", "expected"),
    [
        # powers of ten
        ("en", "It took 10^2 g of it", "It took 100000 mg of it"),
        ("en", "It took 10**2 g, 10⁻² g or 10^{-2} g", "It took 100000 mg, 10 mg or 10 mg"),
        ("en", "for y^4 g and 3**2 g and 2^8 g", None),
        ("en", "about 1e4444444 g, 10^(2^3) g, 10^2^3 g", None),
        ("en", "(2 ± 1) × 10^3 g, 2–3 × 10² g, 2 ± 1 × 10² g", None),
        ("en", "a **2 g** dose", "a **2000 mg** dose"),
        # signs
        ("en", "a dose of 0,250 g or 2,5 g", None),
        ("en", "a dose of 2,500 g", "a dose of 2500000 mg"),
        ("de", "eine Dosis von 2,500 g oder 2.500 g", None),
        ("de", "5 bis 10 g, 2 und 3 g", None),
        ("en", "2'500 g", "2500000 mg"),
        # stops of abbreviations
        ("en", "He is 6 ft. 1 in. tall, we say.", "He is 185.4 cm tall, we say."),
        ("en", "a 4 in. pipe; 4 in. (10 cm)", "a 10.16 cm pipe; 10.16 cm. (10 cm)"),
        (
            "en",
            "It is 4 ft. The rest is 2 ft. 9 men came",
            "It is 121.9 cm. The rest is 60.96 cm. 9 men came",
        ),
        ("en", "It is 4 ft. 2 in the box", "It is 121.9 cm. 2 in the box"),
        ("en", "It is 4ft. 2in. long, and 4 ft.-2 in. wide", "It is 127 cm long, and 127 cm wide"),
        # differences of temperatures
        ("en", "hotter by 9 °F, raise its temperature by 9 °F, +9 °F", None),
        ("en", "a variation between 9 and 18 °F", None),
        ("en", "a drop of 9 °F", None),
        ("en", "It rose by about 9 °F", None),
        ("en", "It rose 9 °F, and held within ±2 °F", None),
        ("en", "a 9 °F rise, 9 °F warmer, and 9 °F below zero", None),
        ("en", "a difference in temperature of 9 °F", None),
        ("en", "ΔT = 9 K", None),
        ("en", "It rose to 104 °F", "It rose to 40 °C"),
        ("en", "It fell below 50 °F", "It fell below 10 °C"),
        ("en", "It rose from 50 °F", "It rose from 10 °C"),
        ("en", "kept at 50 ± 9 °F", "kept at 10 ± 5 °C"),
        ("en", "a drop of 9 ℃", "a drop of 9 °C"),
        ("zh", "气温下降了9℉，温差为9℉，误差±9℉", None),
        ("en", "The difference of the inlet and the outlet never exceeds 9 °F", None),
        ("en", "a 9 °F dead band, two probes within 9 °F of each other, a 9 °F range", None),
        ("en", "The melting point is depressed 9 °F", None),
        ("en", "Its deviation is largest at 50 °F", "Its deviation is largest at 10 °C"),
        ("en", "accurate to 9 °F. Store at 50 °F", "accurate to 9 °F. Store at 10 °C"),
        ("en", "Keep within 50–68 °F", "Keep within 10–20 °C"),
        ("en", "a 50–68 °F range", "a 10–20 °C range"),
        ("en", "It swings within 9–18 °F", None),
        ("zh", "两个探头之间的偏差最大可达9℉", None),
        ("zh", "误差小，在50℉保存", "误差小，在10 °C保存"),
        ("zh", "体温升高到104℉", "体温升高到40 °C"),
        # what is no unit
        ("en", "a 4g network, the 5g phones, 3g/4g, mobile 5g", None),
        ("en", "5g of salt, and 3 g daily", "5000 mg of salt, and 3000 mg daily"),
        ("en", "upgrade to 5g, a 4g SIM, 10g ethernet", None),
        ("en", "They switch to 5g, call over 4g, and want 5g towers", None),
        ("zh", "手机比4g快，已升级到5g，5g速度高", None),
        ("zh", "这部手机重5g，支持4g手机卡", "这部手机重5000 mg，支持4g手机卡"),
        # what may be one of several units
        ("en", "a load of 3 tons", None),
        # capitals
        ("en", "Zolpidem 5 MG Oral Tablet, 7 Day pack", "Zolpidem 5 mg Oral Tablet, 7 day pack"),
        ("en", "3 ML models and 2 HR managers", None),
        ("en", "They own 5 MG cars", None),
        ("en", "0.2 MG/ACTUAT Metered Dose Inhaler", None),
        # signs
        ("en", "It weighs 1.250,5 mg, v1.250,5 mg", "It weighs 1250.5 mg, v1.250,5 mg"),
        # a power of ten is evidence for a unit
        ("en", "a gap of 3.5 × 10⁻³ m", "a gap of 0.35 cm"),
        ("en", "5 × 10⁶ m users, 3 × 10⁶ models", None),
        ("en", "50 ft-lb, 5 kg-m and 5 mg-h/L", None),
        # rounding
        (
            "en",
            "It weighs 123456 mg, or 5.00 mg, or 1.50 milligrams",
            "It weighs 123456 mg, or 5.00 mg, or 1.50 mg",
        ),
        ("en", "It weighs 1.23456 g", "It weighs 1235 mg"),
        # market units
        ("zh", "鱼重三斤二两，瓜两斤半", "鱼重1600000 mg，瓜1250000 mg"),
        ("zh", "半斤八两", None),
        ("zh", "身高一米六，长两米五，重两斤三，1米75", None),
        # fractions
        ("en", "⅜ inch, 1⅜ inches and 120/8 inches", "0.9525 cm, 3.492 cm and 120/8 inches"),
    ],
)
def test_kinds_of_numbers_and_units(lang: str, content: str, expected: str | None) -> None:
    assert new(content, lang) == (content if expected is None else expected)
    assert new(expected or content, lang) == (expected or content)


def test_the_signs_of_a_source() -> None:
    comma = NumberForm(",", None)
    assert rewritten("0,250 g, 1.250,5 g", "de", ALL, 8, True, comma)[0] == "250 mg, 1250500 mg"
    assert rewritten("0.250 g", "de", ALL, 8, True, comma)[0] == "0.250 g"


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

"""Hints miss nothing that would be rewritten, and the parts around them hold what belongs to them."""

import re
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.values import hints, rewriting
from stages.clean.values.measures import CUES, MEANT, SPELLINGS, canonical
from stages.clean.values.normalise import clean_text
from stages.clean.values.numbers import widths_folded
from stages.clean.values.quantities import convert
from stages.clean.values.rewriting import Params
from tests.beside import SHARED, needs_shared
from tests.stages.clean.values.test_quantities import TEXTS
from tests.test_spans import spans

UNITS = [["mg", "mmHg", "cm", "°C"], ["day", "%", "kPa", "mg/L", "m²"], ["h", "L", "µg", "km/h"]]


def everywhere(content: str, lang: str, units: list[str]) -> Any:
    """The text rewritten as if all of it were a hint."""
    folded = widths_folded(content)
    hinted = rewriting.Hinted(content, folded, dates=[folded], quantities=[folded])
    return rewriting._rewritten(hinted, lang, tuple(units), 4, True)


@needs_shared
@pytest.mark.parametrize("units", UNITS)
def test_real_sentences_are_rewritten_as_without_hints(units: list[str]) -> None:
    rows = [*spans.load(SHARED, "tuning"), *spans.load(SHARED, "sealed")]
    changed = 0
    for sentence, row in rows:
        content, params = clean_text(sentence), Params(dates=True, units=units)
        whole = everywhere(content, row["lang"], units)
        assert rewriting.rewritten(content, row["lang"], params, 4, True) == whole
        changed += bool(whole[1])
    assert changed > len(rows) / 30


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("wanted", ["mg", "cm", "°C", "day", "mmHg", "%", "L"])
def test_every_spelling_is_hinted_at(lang: str, wanted: str) -> None:
    hint = re.compile(hints.quantities(lang, (wanted,)))
    names = SPELLINGS | {name: MEANT.get(name, name) for name in CUES}
    converted = [
        name for name, unit in names.items() if convert(f"1 {canonical(unit)}", wanted, 15)
    ]
    assert len(converted) > 2
    for name in converted:
        if lang == "zh" or name < "\u3400":
            assert hint.search(f"about 5 {name} of it"), name
            assert hint.search(f"5{name}"), name
            assert name > "\u3400" or hint.search(f"about five {name}."), name


@given(TEXTS, st.sampled_from(["en", "zh"]), st.sampled_from(UNITS))
def test_a_column_is_rewritten_as_each_text_is(content: str, lang: str, units: list[str]) -> None:
    texts, params = (
        [content, None, f"On 5 May 2003, {content}", "no hint"],
        Params(dates=True, units=units),
    )
    new = rewriting.rewritten_texts(pl.Series(texts), lang, params, 4, True).to_list()
    assert new == [one and rewriting.rewritten(one, lang, params, 4, True)[0] for one in texts]


def test_a_column_that_is_rewritten_stays_as_it_was() -> None:
    texts = pl.Series(["0.005 g", "−5 °C"])
    assert rewriting.rewritten_texts(
        texts, "en", Params(dates=True, units=["mg", "K"]), 4, True
    ).to_list() == ["5 mg", "268.2 K"]
    assert texts.to_list() == ["0.005 g", "−5 °C"]


@pytest.mark.parametrize(
    ("content", "found", "expected"),
    [
        ("a 5 mg b", ["5 mg"], [(0, 8)]),
        ("0123456789 aa 5 mg bb 7 mg " + "c " * 20, ["5 mg", "7 mg"], [(0, 32)]),
        ("12,345 mg" + " c" * 20 + " 5 mg", ["345 mg", "5 mg"], [(0, 15), (46, 54)]),
        ("二十" * 20 + "三毫克" + "零" * 20, ["三毫克"], [(36, 48)]),
        ("nothing", [], []),
    ],
)
def test_parts_around_hints(
    content: str, found: list[str], expected: list[tuple[int, int]]
) -> None:
    assert [*hints.around(content, found, 4, 5)] == expected


@given(st.text("5 mg,.ab十", max_size=60), st.integers(0, 9), st.integers(0, 9))
def test_parts_lie_apart_and_hold_their_hints(content: str, before: int, behind: int) -> None:
    matches = [*re.finditer("5 ?m|十", content)]
    parts = [*hints.around(content, [match.group() for match in matches], before, behind)]
    assert all(one[1] <= two[0] for one, two in pairwise(parts))
    for match in matches:
        assert any(start <= match.start() and match.end() <= end for start, end in parts)


def test_units_of_several_parts_are_sought_where_one_is_wanted() -> None:
    assert not re.search(hints.quantities("en", ("cm",)), "rain of 5 L/m² fell")
    assert re.search(hints.quantities("en", ("mg/L",)), "level of 5 g/dL here")
    assert re.search(hints.quantities("en", ("m²",)), "an area of 5 square miles")

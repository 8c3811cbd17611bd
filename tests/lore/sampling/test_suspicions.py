"""suspicions: each kind of doubt is named with its setting, and clean data raises none."""

from pathlib import Path
from typing import Any

import pytest

from lore.sampling.sample import Sample, sample_of
from lore.sampling.suspicions import suspicions, unit_in
from stages import clean, extract
from stages.core.project.params import parse

Row = dict[str, Any]
ONE_FACT: Row = {"subject": "name", "attribute": "prop", "value": "value", "unit": "unit"}


def parsed(section: Any, expected: Any, name: str) -> Any:
    problems: list[str] = []
    params = parse(section, expected, name, problems)
    assert params, problems
    return params


def sample(
    tmp_path: Path, text: str, normalise: Row | None = None, **settings: Any
) -> tuple[Sample, clean.Params]:
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    source = {"kind": "csv", "name": "x", "path": "x.csv", "lang": "en", "map": ONE_FACT} | settings
    reading = parsed({"sources": [source]}, extract.Params, "extract")
    cleaning = parsed({"normalise": normalise or {}}, clean.Params, "clean")
    files = [tmp_path / "x.csv"]
    return sample_of(reading.sources[0], files, tmp_path, cleaning, None), cleaning


def doubts(tmp_path: Path, text: str, normalise: Row | None = None, **settings: Any) -> list[str]:
    return suspicions(*sample(tmp_path, text, normalise, **settings))


HEAD = "name,prop,value,unit\n"


def test_plain_data_raises_no_doubt(tmp_path: Path) -> None:
    rows = "".join(f"pump {n},flow,{n}.{n},L/s\n" for n in range(1, 30))
    assert doubts(tmp_path, HEAD + rows, {"units": {"flow": "L/s"}}) == []


def test_numbers_of_two_readings(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, HEAD + 'a,dose,"1,250",mg\nb,dose,2,mg\n')
    assert "1 numbers such as 1,250 can be read in two ways, a thousandfold apart" in doubt
    assert "write `decimal: ','` at the source, or `thousands: ','`" in doubt


def test_other_numbers_tell_which_reading_is_right(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, HEAD + 'a,dose,"1,250",mg\nb,dose,"2,5",mg\n')
    assert "2,5 can only be decimals: write `decimal: ','` at the source" in doubt
    (doubt,) = doubts(tmp_path, HEAD + 'a,dose,"1,250",mg\nb,dose,2.5,mg\n')
    assert "2.5 have the decimal sign .: write `thousands: ','`" in doubt
    (doubt,) = doubts(tmp_path, HEAD + 'a,votes,"1,250",\nb,votes,"2,250,000",\n')
    assert "2,250,000 can only be thousands: write `thousands: ','` at the source" in doubt


def test_a_declared_sign_raises_no_doubt(tmp_path: Path) -> None:
    assert doubts(tmp_path, HEAD + 'a,dose,"1,250",mg\n', decimal=",") == []


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Power [MW]", "MW"),
        ("weight (kg)", "kg"),
        ("height_cm", "cm"),
        ("speed in km/h", "km/h"),
        ("name", ""),
        ("station_id", ""),
        ("Fuel (primary)", ""),
        ("max at", ""),
    ],
)
def test_a_unit_in_the_name_of_a_column(name: str, unit: str) -> None:
    assert unit_in(name) == unit


def test_a_column_with_a_unit_in_its_name(tmp_path: Path) -> None:
    mapping = {"subject": "name", "facts": [{"attribute": "height", "value": "height_cm"}]}
    (doubt,) = doubts(tmp_path, "name,height_cm\nAnn,175\n", map=mapping)
    assert (
        "the name 'height_cm' holds a unit, and its values have none: write `unit_is: cm`" in doubt
    )
    mapping["facts"][0]["unit_is"] = "cm"  # type: ignore[index]
    assert doubts(tmp_path, "name,height_cm\nAnn,175\n", map=mapping) == []


def test_several_units_of_an_attribute(tmp_path: Path) -> None:
    text = HEAD + "a,mass,1,kg\nb,mass,2,kg\nc,mass,300,g\n"
    (doubt,) = doubts(tmp_path, text)
    assert "mass is written in several units (kg 2, g 1)" in doubt
    assert "write `clean.normalise.units: {mass: kg}`" in doubt
    assert doubts(tmp_path, text, {"units": {"mass": "kg"}}) == []


def test_names_stand_in_quotes_where_yaml_needs_them(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, HEAD + 'a,"Sodium, Serum",1,mmol/L\nb,"Sodium, Serum",2,mol/L\n')
    assert 'write `clean.normalise.units: {"Sodium, Serum": mmol/L}`' in doubt


def test_a_value_a_thousandfold_away(tmp_path: Path) -> None:
    rows = "".join(f"{n},dose,{n},mg\n" for n in range(1, 12))
    (doubt,) = doubts(tmp_path, HEAD + rows + "x,dose,12000,mg\n")
    assert "1 values of dose mg lie a thousandfold away from the median 6.5: 12000 mg" in doubt
    assert "(x.csv#L13)" in doubt


DATES: Row = {"map": {"subject": "name", "text": "name", "meta": {"day": "day"}}}


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (["03/25/2024", "03/04/2024"], "1 dates can only be read the other way round"),
        (["25/03/2024", "03/26/2024"], "days and months stand in both orders (1 and 1 dates"),
        (["03/04/2024"], "1 dates fit both orders of day and month, and none tells which"),
        (["25/03/2024", "03/04/2024"], ""),
        (["2024-03-25", "5/5/2024", "13/13/2024"], ""),
    ],
)
def test_the_order_of_day_and_month(tmp_path: Path, days: list[str], said: str) -> None:
    text = "name,day\n" + "".join(f"n{number},{day}\n" for number, day in enumerate(days))
    found = doubts(tmp_path, text, {"dates": ["day"]}, **DATES)
    assert said in "".join(found)
    assert len(found) == bool(said)


def test_words_for_no_value(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, HEAD + "a,flow,3,\nb,flow,n/a,\nc,flow,-9999,\nd,symbol,Na,\n")
    assert "flow: 'n/a' 1, '-9999' 1 may stand for a missing value" in doubt


def test_another_encoding_shows(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, HEAD + "K\u00c3\u00b6ln,state,big,\n")
    assert "(x.csv#L2) looks like another encoding" in doubt


def test_a_subject_that_does_not_tell_units_apart(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, HEAD + "a,flow,1,\na,flow,2,\nb,flow,3,\n")
    assert "1 of 2 facts have several values, such as a, flow" in doubt


def test_subjects_that_differ_by_case(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, HEAD + "IRON,use,rails,\nIron,mark,metal,\n")
    assert "1 subjects are written in several ways and count as one: IRON = Iron" in doubt
    assert doubts(tmp_path, HEAD + "CO,use,gas,\nCo,mark,metal,\n") == []

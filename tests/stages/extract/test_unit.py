"""The mapping: joined places, constant units, JSON in a cell, the nearest name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import extract
from stages.core.project.params import parse
from stages.extract.unit import CellError, FactMapping, Mapping, Unit, nearest
from tests.stages.extract.test_extract import source


def unit(**cells: Any) -> Unit:
    return Unit("L1", "", cells)


def test_places_are_joined_by_a_blank() -> None:
    both = unit(brand=" Acme ", model="Z1", year="")
    assert both.get(["brand", "model"]) == "Acme Z1"
    assert both.get(["brand", "year"]) == "Acme"
    assert both.parts(["brand", "year"]) == ["Acme", None]
    assert both.get("year") is None
    assert unit(**{"0": "iron"}).get(0) == "iron"


def test_a_value_or_unit_of_several_places_needs_all_of_them() -> None:
    mapping = Mapping(facts=[FactMapping("price", ["amount", "currency"], ["per", "of"])])
    (fact,) = mapping.facts_in(unit(amount="5", currency="EUR", per="1", of="kg"))
    assert (fact.value, fact.unit, fact.empty_parts) == ("5 EUR", "1 kg", ())
    (fact,) = mapping.facts_in(unit(amount="5", currency="", per="1", of=""))
    assert (fact.value, fact.unit, fact.empty_parts) == (None, None, ("currency", "of"))
    assert list(mapping.facts_in(unit(amount="", currency=""))) == []


def test_a_unit_by_its_name() -> None:
    wide = Mapping(facts=[FactMapping("height", "h", unit_is="cm")])
    (fact,) = wide.facts_in(unit(h="175"))
    assert (fact.value, fact.unit) == ("175", "cm")
    narrow = Mapping(attribute="a", value="v", unit_is="MW")
    (fact,) = narrow.facts_in(unit(a="power", v="3"))
    assert (fact.attribute, fact.unit) == ("power", "MW")


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"subject": "s", "attribute": "a", "value": "v", "unit": "u", "unit_is": "m"},
         "map: `unit` and `unit_is` exclude each other"),
        ({"subject": "s", "facts": [{"attribute": "a", "value": "v", "unit": 0, "unit_is": "m"}]},
         "map.facts.0: `unit` and `unit_is` exclude each other"),
        ({"subject": "s", "unit_is": "m"}, "map.unit_is: there is no `value` that has this unit"),
        ({"subject": []}, "map.subject: names no place"),
        ({"meta": {"x": ["a", ""]}}, "map.meta.x: names no place"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together(mapping: dict[str, Any], problem: str) -> None:
    problems: list[str] = []
    params = parse(
        {"sources": [source("csv", "a.csv", map=mapping)]}, extract.Params, "x", problems
    )
    assert params is not None, problems
    (found,) = extract.settings_problems(params.sources[0])
    assert found.startswith(problem)


@pytest.mark.parametrize("place", [True, 1.5, {"a": "b"}, [["a"]], [None]])
def test_what_is_no_place(place: Any) -> None:
    problems: list[str] = []
    mapping = {"subject": place}
    assert (
        parse({"sources": [source("csv", "a.csv", map=mapping)]}, extract.Params, "x", problems)
        is None
    )


def test_json_in_a_cell() -> None:
    row = unit(
        name="iron",
        more='{"mass": 55.850, "by": [{"n": "A"}, {"n": "B"}], "in": "{\\"k\\": [1, 2]}"}',
        bad="{",
        empty="",
    )
    assert row.get("more.(json).mass") == "55.850"
    assert row.get("more.(json).by.*.n") == "A\nB"
    assert row.get("more.(json).in.(json).k.1") == "2"
    assert row.get("more.(json).none") is None
    assert row.get("empty.(json).a") is None
    with pytest.raises(CellError, match="bad holds no JSON that can be used: Expecting property"):
        row.get("bad.(json).a")
    twice = unit(more='{"a": 1, "a": 2}')
    with pytest.raises(CellError, match="the key 'a' stands more than once"):
        twice.get("more.(json).a")
    gap = row.gap("more.(json).Mass")
    assert gap is not None
    assert gap.beside["mass"] == "more.(json).mass"
    assert row.gap("more.(json).mass") is None
    assert row.gap("bad.(json).a") is None
    missing = row.gap("mroe.(json).mass")
    assert missing is not None
    assert missing.name == "mroe"
    assert unit(**{"a.(json).b": "1"}).get("a.(json).b") == "1"


def test_paths_of_a_json_text_are_read_up_to_it() -> None:
    mapping = Mapping(subject=["a", "b.(json).c"], text="b.(json).d", meta={"x": 3})
    assert mapping.paths() == {"a", "b", "3"}


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("Date", ["day", "date"], "date"), ("melting_point", ["Melting Point", "boiling point"], "Melting Point"),
        ("HARDNES", ["hardness"], "hardness"), ("熔点", ["熔点 ", "沸点"], "熔点 "), ("price", ["colour"], None), ("x", [], None),
    ],
)  # fmt: skip
def test_the_nearest_name(name: str, names: list[str], near: str | None) -> None:
    assert nearest(name, names) == near


@given(st.text(max_size=10), st.lists(st.text(max_size=10), max_size=5))
def test_the_nearest_name_is_one_of_the_names(name: str, names: list[str]) -> None:
    assert nearest(name, names) in {None, *names}

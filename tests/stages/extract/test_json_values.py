"""JSON as the source wrote it: numbers keep their form, equal keys are noticed, depth is bounded."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extract.json_values import (
    DEEPEST,
    Reader,
    RepeatedKeys,
    gap_in_item,
    text_in_item,
    text_in_text,
)


@pytest.mark.parametrize(
    "number",
    [
        "2.50", "7.0", "1E5", "1e+2", "6.02e23", "-0", "-0.0", "0.000056", "1e999", "-1e-999", "1" * 30,
        "0.12345678901234567890123", "9007199254740993", "3",
    ],
)  # fmt: skip
def test_a_number_stays_as_it_was_written(number: str) -> None:
    assert text_in_text("a", f'{{"a": {number}}}') == number


def test_a_number_of_thousands_of_digits() -> None:
    digits = "7" * 6000
    assert text_in_text("a", f'{{"a": {digits}}}') == digits


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "[1,]", "{a: 1}", ""])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not JSON|Expecting|Illegal"):
        Reader().read(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
        max_leaves=20,
    ).filter(lambda value: "inf" not in repr(value))
)
def test_any_value_is_written_as_it_was(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    reader = Reader()
    assert reader.text_of(reader.read(text)) == (text, None)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=6))
def test_equal_keys_are_always_noticed(pairs: list[tuple[str, int]]) -> None:
    text = "{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}"
    reader = Reader()
    _, problem = reader.text_of(reader.read(text))
    keys = [key for key, _ in pairs]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if not repeated:
        assert problem is None
        return
    assert problem is not None
    assert problem[0] == "duplicate_key"
    assert all(repr(key) in problem[1] for key in repeated)


def test_an_object_with_equal_keys_keeps_all_of_them() -> None:
    reader = Reader()
    value = reader.read('{"mass": 1.0, "mass": 2.00}')
    assert isinstance(value, RepeatedKeys)
    assert reader.text_of(value)[0] == '{"mass": 1.0, "mass": 2.00}'


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_levels_are_bounded(brackets: str) -> None:
    def nested(levels: int) -> str:
        if brackets == "[]":
            return "[" * levels + "]" * levels
        return '{"a": ' * levels + "1" + "}" * levels

    for levels, is_read in ((DEEPEST, True), (DEEPEST + 2, False), (900, False)):
        reader = Reader()
        _, problem = reader.text_of(reader.read(nested(levels)))
        assert (problem is None) == is_read
    with pytest.raises(ValueError, match="nested more than 256 deep"):
        Reader().read(nested(100_000))


@pytest.mark.parametrize("text", [r'{"\ud83d": 1}', r'["\udc00"]', r'{"a": {"b": "x\ud800y"}}'])
def test_half_of_a_surrogate_pair(text: str) -> None:
    reader = Reader()
    written, problem = reader.text_of(reader.read(text))
    assert problem == ("malformed", "a string holds half of a surrogate pair")
    written.encode()


def test_the_name_of_an_entry_and_numbers_of_a_declared_form() -> None:
    reader = Reader()
    item = reader.read('{"mass": 1.250, "count": 7}')
    around = {"(key)": "iron", "el/(key)": "group 8"}
    assert text_in_item("(key)", item, around) == "iron"
    assert text_in_item("el/(key)", item, around) == "group 8"
    assert text_in_item("row/(key)", item, around) is None
    assert text_in_item("mass", item, around, ",") == "1,250"
    assert text_in_item("count", item, around, ",") == "7"


@pytest.mark.parametrize(
    ("path", "name", "beside"),
    [
        ("mas", "mas", {"mass": "mass", "by": "by", "list": "list"}),
        ("by.nam", "nam", {"name": "by.name"}),
        ("by.nam.first", "nam", {"name": "by.name.first"}),
        ("list.*.k", "k", {"kk": "list.*.kk"}),
        ("box/t", "box", {"": "/t", "books": "books/t"}),
        ("books/titel", "titel", {"title": "books/title"}),
    ],
)
def test_where_a_path_leaves_an_item(path: str, name: str, beside: dict[str, str]) -> None:
    item = {"mass": None, "by": {"name": "x"}, "list": [{"kk": 1}, {"kk": 2}]}
    gap = gap_in_item(path, item, {"": {}, "books": {"title": "t"}})
    assert gap is not None
    assert (gap.name, gap.beside) == (name, beside)


@pytest.mark.parametrize("path", ["mass", "by.name", "list.*.kk", "list.1.kk", "list.9.kk", "/a"])
def test_a_path_that_leads_somewhere_has_no_gap(path: str) -> None:
    item = {"mass": None, "by": {"name": "x"}, "list": [{"kk": 1}, {"kk": 2}]}
    assert gap_in_item(path, item, {"": {"a": None}}) is None

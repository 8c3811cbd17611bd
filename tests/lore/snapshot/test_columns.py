"""Values become JSON that is read as the same value, or the column is refused by its name."""

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE

from lore.snapshot import columns
from lore.snapshot.columns import (
    PgType,
    by_value,
    listed,
    mysql_columns,
    nested,
    octets,
    postgresql_columns,
    real,
    text,
    whole,
)
from stages.core.project.errors import InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_read_as_the_same(value: float) -> None:
    for written in (real(value), real(repr(value))):
        read = json.loads(written)
        assert isinstance(read, float)
        assert math.copysign(1, read) == math.copysign(1, value)
        assert read == value


@pytest.mark.parametrize(
    ("value", "written"), [("nan", '"NaN"'), ("inf", '"Infinity"'), ("-inf", '"-Infinity"')]
)
def test_what_is_no_number_of_json_is_text(value: str, written: str) -> None:
    assert real(float(value)) == written


@given(TEXTS)
def test_a_text_is_read_as_the_same_from_one_line(value: str) -> None:
    assert json.loads(text(value)) == value
    assert "\n" not in text(value)
    assert "\r" not in text(value)


@given(st.binary())
def test_bytes_are_base64(value: bytes) -> None:
    assert base64.b64decode(json.loads(octets(value)), validate=True) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    )
)
def test_json_stays_itself_on_one_line(value: object) -> None:
    written = nested(json.dumps(value, indent=1, ensure_ascii=False).replace("\n", "\r\n"))
    assert "\n" not in written
    assert json.loads(written) == value


def test_json_keeps_its_digits() -> None:
    assert (
        nested('{"a": 1.10, "b": 12345678901234567890.12}')
        == '{"a": 1.10, "b": 12345678901234567890.12}'
    )


def test_arrays_are_lists_of_their_elements() -> None:
    assert listed(real)([[0.1, None], [float("nan"), 2.0]]) == '[[0.1, null], ["NaN", 2.0]]'
    assert listed(text)([]) == "[]"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-01-31 12:00:00+00", "2024-01-31T12:00:00+00:00"),
        ("2024-01-31 12:00:00.5+00", "2024-01-31T12:00:00.5+00:00"),
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
        ("0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00+00 BC"),
        ("0000-00-00 00:00:00+00", "0000-00-00T00:00:00+00:00"),
    ],
)
def test_a_point_in_time_in_utc(written: str, expected: str) -> None:
    assert json.loads(columns.instant_utc(written)) == expected


def test_values_of_sqlite_are_written_by_their_own_type() -> None:
    assert [by_value(value) for value in (2**62, -0.0, "中", b"\0")] == [
        "4611686018427387904",
        "-0.0",
        '"中"',
        '"AA=="',
    ]
    assert whole("00012") == "12"


def test_columns_of_postgresql_are_refused_by_name() -> None:
    types = [
        PgType(1, "int4", "b", None),
        PgType(2, "money", "b", None),
        PgType(3, "_point", "b", "point"),
        PgType(4, "mood", "e", None),
        PgType(5, "_numeric", "b", "numeric"),
        PgType(6, "_mood", "b", "mood"),
    ]
    described = [("a", 1), ("m", 4), ("d", 5)]
    assert [(column.name, column.type) for column in postgresql_columns(described, types)] == [
        ("a", "int4"), ("m", "mood"), ("d", "numeric[]")
    ]  # fmt: skip
    with pytest.raises(
        InputError,
        match=r"price is money: CAST\(price AS text\); spots is point\[\]: CAST\(spots AS text\); m is mood\[\]",
    ):
        postgresql_columns([("a", 1), ("price", 2), ("spots", 3), ("m", 6)], types)


def test_columns_of_mysql_are_refused_by_name() -> None:
    described = [
        ("a", FIELD_TYPE.LONG),
        ("f", FIELD_TYPE.FLOAT),
        ("b", FIELD_TYPE.BIT),
        ("g", FIELD_TYPE.GEOMETRY),
        ("v", 242),
    ]
    with pytest.raises(
        InputError,
        match=r"f is float: CAST\(f AS DOUBLE\); b is bit: CAST\(b AS UNSIGNED\); g is geometry: ST_AsText\(g\); v is type 242",
    ):
        mysql_columns(described)
    assert mysql_columns(described[:1])[0].type == "int"

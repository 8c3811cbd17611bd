"""How values of a database's types are written as JSON: exactly, or not at all.

| type | written as |
|---|---|
| integer, truth value | JSON number, true or false |
| float, double | JSON number, the shortest that is read as the same double; NaN and infinities as text |
| decimal | text, with the digits that the server shows: JSON's readers would make a double of a number |
| date, time, interval (ISO 8601) | text; a timestamp with `T`, one with a time zone in UTC (`+00:00`) |
| JSON | itself, as the server writes it |
| array | list |
| bytes | Base64 (RFC 4648) |
| NULL | null |

A type that is not listed is refused by the column's name. PostgreSQL's and MySQL's values are taken as the server writes them,
so no driver rounds them. MySQL's FLOAT is refused, since the server shows six of its digits.
"""

import base64
import json
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pymysql.constants import FIELD_TYPE

from stages.core.project.errors import InputError

Writer = Callable[[Any], str]
"""A value that is not NULL as JSON."""
LINE_ENDS = str.maketrans("\r\n", "  ")
BEYOND = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""What is no number of JSON, as PostgreSQL writes it."""

text: Writer = json.JSONEncoder(ensure_ascii=False).encode


class Column(NamedTuple):
    """A column of a result."""

    name: str
    type: str
    """The server's name of it."""
    write: Writer


def truth(value: bool) -> str:
    """A truth value."""
    return "true" if value else "false"


def real(value: float | str) -> str:
    """A double."""
    number = float(value)
    return repr(number) if math.isfinite(number) else text(BEYOND[str(number)])


def octets(value: bytes) -> str:
    """Bytes."""
    return f'"{base64.b64encode(value).decode()}"'


def whole(value: str) -> str:
    """An integer as the server writes it, perhaps with leading zeros."""
    return str(int(value))


def instant(value: str) -> str:
    """A point in time without a time zone."""
    return text(value.replace(" ", "T", 1))


def instant_utc(value: str) -> str:
    """A point in time, which the server was told to write in UTC."""
    moment = value.removesuffix("+00")
    return text(
        moment.replace(" ", "T", 1) + "+00:00"
        if moment[0].isdigit() and moment[-1].isdigit()
        else value
    )


def nested(value: str) -> str:
    """JSON on one line: it holds line ends only between its parts."""
    return value.translate(LINE_ENDS)


def listed(write: Writer) -> Writer:
    """An array, perhaps of several dimensions."""

    def write_list(values: list[Any]) -> str:
        cells = (
            "null" if v is None else write_list(v) if isinstance(v, list) else write(v)
            for v in values
        )
        return f"[{', '.join(cells)}]"

    return write_list


POSTGRESQL: dict[str, Writer] = (
    dict.fromkeys(
        "text varchar bpchar char name citext xml uuid inet cidr macaddr macaddr8 numeric date time".split(),
        text,
    )
    | dict.fromkeys(("timetz", "interval"), text)
    | dict.fromkeys(("int2", "int4", "int8", "oid"), str)
    | dict.fromkeys(("float4", "float8"), real)
    | dict.fromkeys(("json", "jsonb"), nested)
    | {"bool": truth, "timestamp": instant, "timestamptz": instant_utc, "bytea": octets}
)
AS_WRITTEN = (
    "numeric date time timetz timestamp timestamptz interval json jsonb uuid inet cidr".split()
)
"""Types of PostgreSQL for which psycopg would make Python's values."""


def octets_or_text(value: str | bytes) -> str:
    """MySQL has one type for both: text has a character set."""
    return text(value) if isinstance(value, str) else octets(value)


MYSQL: dict[int, tuple[str, Writer | None]] = {
    FIELD_TYPE.TINY: ("tinyint", whole), FIELD_TYPE.SHORT: ("smallint", whole), FIELD_TYPE.INT24: ("mediumint", whole),
    FIELD_TYPE.LONG: ("int", whole), FIELD_TYPE.LONGLONG: ("bigint", whole), FIELD_TYPE.YEAR: ("year", whole),
    FIELD_TYPE.DECIMAL: ("decimal", text), FIELD_TYPE.NEWDECIMAL: ("decimal", text), FIELD_TYPE.DOUBLE: ("double", real),
    FIELD_TYPE.DATE: ("date", text), FIELD_TYPE.NEWDATE: ("date", text), FIELD_TYPE.TIME: ("time", text),
    FIELD_TYPE.DATETIME: ("datetime", instant), FIELD_TYPE.TIMESTAMP: ("timestamp", lambda value: instant_utc(f"{value}+00")),
    FIELD_TYPE.VARCHAR: ("varchar", octets_or_text), FIELD_TYPE.VAR_STRING: ("varchar", octets_or_text),
    FIELD_TYPE.STRING: ("char", octets_or_text), FIELD_TYPE.ENUM: ("enum", text), FIELD_TYPE.SET: ("set", text),
    FIELD_TYPE.TINY_BLOB: ("text or blob", octets_or_text), FIELD_TYPE.BLOB: ("text or blob", octets_or_text),
    FIELD_TYPE.MEDIUM_BLOB: ("text or blob", octets_or_text), FIELD_TYPE.LONG_BLOB: ("text or blob", octets_or_text),
    FIELD_TYPE.JSON: ("json", nested), FIELD_TYPE.NULL: ("null", text),
    FIELD_TYPE.FLOAT: ("float", None), FIELD_TYPE.BIT: ("bit", None), FIELD_TYPE.GEOMETRY: ("geometry", None),
}  # fmt: skip
"""MySQL's number of a type: its name, and how it is written, if it is."""
CASTS = {"float": "CAST({} AS DOUBLE)", "bit": "CAST({} AS UNSIGNED)", "geometry": "ST_AsText({})"}
"""How to make something else of a type that is refused; else a text."""

SQLITE: dict[type, Writer] = {int: str, float: real, str: text, bytes: octets}


def by_value(value: Any) -> str:
    """A value of SQLite, whose columns hold any type."""
    return SQLITE[type(value)](value)


class PgType(NamedTuple):
    """What pg_type says of a result's type."""

    oid: int
    name: str
    kind: str
    """`e` is an enumeration."""
    element: str | None
    """Type of an array's elements."""


def postgresql_columns(
    described: Iterable[tuple[str, int]], types: Iterable[PgType]
) -> list[Column]:
    """Columns by their type's number. Raises InputError naming each that cannot be written."""
    by_number = {known.oid: known for known in types}
    found, refused = [], []
    for name, number in described:
        known = by_number[number]
        write = POSTGRESQL.get(known.element or known.name) or (text if known.kind == "e" else None)
        title = f"{known.element}[]" if known.element else known.name
        if write is None:
            refused.append((name, title))
        else:
            found.append(Column(name, title, listed(write) if known.element else write))
    demand(refused)
    return found


def mysql_columns(described: Iterable[tuple[str, int]]) -> list[Column]:
    """Columns by MySQL's number of their type. Raises InputError naming each that cannot be written."""
    found, refused = [], []
    for name, number in described:
        title, write = MYSQL.get(number, (f"type {number}", None))
        if write is None:
            refused.append((name, title))
        else:
            found.append(Column(name, title, write))
    demand(refused)
    return found


def demand(refused: list[tuple[str, str]]) -> None:
    """Raise InputError where columns are refused."""
    if refused:
        each = (
            f"{name} is {title}: {CASTS.get(title, 'CAST({} AS text)').format(name)}"
            for name, title in refused
        )
        raise InputError(
            f"columns of types that a snapshot cannot hold exactly; write in the query: {'; '.join(each)}"
        )

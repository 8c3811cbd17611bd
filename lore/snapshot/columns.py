"""Write values of a database's types as JSON: exactly, or not at all.

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

A column of a type that is not listed is refused by its name. PostgreSQL's and MySQL's values are
taken as the server writes them, so no driver rounds them. MySQL's FLOAT is refused, since the server
shows six of its digits only.
"""

import base64
import json
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pymysql.constants import FIELD_TYPE

from stages.core.project.errors import InputError
from stages.extract.kinds.table import BadText

Writer = Callable[[Any], str]
"""A function from a value that is not NULL to JSON."""
LINE_ENDS = str.maketrans("\r\n", "  ")
NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""Doubles that are no numbers of JSON, as PostgreSQL writes them."""

text: Writer = json.JSONEncoder(ensure_ascii=False).encode


class Column(NamedTuple):
    """A column of a result."""

    name: str
    type: str
    """The server's name of the type."""
    write: Writer


def truth(value: bool) -> str:
    """Write a truth value."""
    return "true" if value else "false"


def real(value: float | str) -> str:
    """Write a double."""
    number = float(value)
    if math.isfinite(number):
        return repr(number)  # the shortest text that is read as the same double
    return text(NOT_FINITE[str(number)])


def octets(value: bytes) -> str:
    """Write bytes."""
    return f'"{base64.b64encode(value).decode()}"'


def whole(value: str) -> str:
    """Write an integer, which the server may give with leading zeros."""
    return str(int(value))


def instant(value: str) -> str:
    """Write a point in time without a time zone: `2024-05-01 08:00:00`."""
    return text(value.replace(" ", "T", 1))


def instant_utc(value: str) -> str:
    """Write a point in time that the server gives in UTC: `2024-05-01 08:00:00+00`.

    Others stay as they are: `infinity`, and years before Christ, which end in BC.
    """
    moment = value.removesuffix("+00")
    ordinary = moment[0].isdigit() and moment[-1].isdigit()
    if not ordinary:
        return text(value)
    moment = moment.replace(" ", "T", 1)
    return text(f"{moment}+00:00")


def nested(value: str) -> str:
    """Write JSON on one line. JSON has line ends between its parts only, never inside a text."""
    return value.translate(LINE_ENDS)


def listed(write: Writer) -> Writer:
    """Return a writer of arrays, whose elements `write` writes. They may have several dimensions."""

    def write_list(values: list[Any]) -> str:
        cells = []
        for value in values:
            if value is None:
                cells.append("null")
            elif isinstance(value, list):
                cells.append(write_list(value))
            else:
                cells.append(write(value))
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
    """Write a value of a type that MySQL uses for both. Text has a character set."""
    return text(value) if isinstance(value, str) else octets(value)


def timestamp(value: str) -> str:
    """Write a TIMESTAMP of MySQL, which gives it in UTC without saying so."""
    return instant_utc(f"{value}+00")


MYSQL: dict[int, tuple[str, Writer | None]] = {
    FIELD_TYPE.TINY: ("tinyint", whole),
    FIELD_TYPE.SHORT: ("smallint", whole),
    FIELD_TYPE.INT24: ("mediumint", whole),
    FIELD_TYPE.LONG: ("int", whole),
    FIELD_TYPE.LONGLONG: ("bigint", whole),
    FIELD_TYPE.YEAR: ("year", whole),
    FIELD_TYPE.DECIMAL: ("decimal", text),
    FIELD_TYPE.NEWDECIMAL: ("decimal", text),
    FIELD_TYPE.DOUBLE: ("double", real),
    FIELD_TYPE.DATE: ("date", text),
    FIELD_TYPE.NEWDATE: ("date", text),
    FIELD_TYPE.TIME: ("time", text),
    FIELD_TYPE.DATETIME: ("datetime", instant),
    FIELD_TYPE.TIMESTAMP: ("timestamp", timestamp),
    FIELD_TYPE.VARCHAR: ("varchar", octets_or_text),
    FIELD_TYPE.VAR_STRING: ("varchar", octets_or_text),
    FIELD_TYPE.STRING: ("char", octets_or_text),
    FIELD_TYPE.ENUM: ("enum", text),
    FIELD_TYPE.SET: ("set", text),
    FIELD_TYPE.TINY_BLOB: ("text or blob", octets_or_text),
    FIELD_TYPE.BLOB: ("text or blob", octets_or_text),
    FIELD_TYPE.MEDIUM_BLOB: ("text or blob", octets_or_text),
    FIELD_TYPE.LONG_BLOB: ("text or blob", octets_or_text),
    FIELD_TYPE.JSON: ("json", nested),
    FIELD_TYPE.NULL: ("null", text),
    FIELD_TYPE.FLOAT: ("float", None),
    FIELD_TYPE.BIT: ("bit", None),
    FIELD_TYPE.GEOMETRY: ("geometry", None),
}
"""MySQL's number of a type → its name, and its writer. None: a snapshot cannot hold it exactly."""
CASTS = {"float": "CAST({} AS DOUBLE)", "bit": "CAST({} AS UNSIGNED)", "geometry": "ST_AsText({})"}
"""What to write in the query for a type that is refused. For any other: CAST({} AS text)."""

SQLITE: dict[type, Writer] = {int: str, float: real, str: text, bytes: octets}


def by_value(value: Any) -> str:
    """Write a value of SQLite, whose columns hold any type.

    Raises InputError for a text that is not UTF-8.
    """
    if isinstance(value, BadText):
        shown = value.decode("utf-8", "backslashreplace")[:80]
        raise InputError(
            f"a text is not UTF-8: {shown}; mend it in the database, leave its row out in the query, "
            "or take its bytes with CAST(… AS BLOB)"
        )
    return SQLITE[type(value)](value)


class PgType(NamedTuple):
    """The row of PostgreSQL's table pg_type about a type."""

    oid: int
    name: str
    kind: str
    """`e` for an enumeration."""
    element: str | None
    """The type of an array's elements. None for all other types."""


def postgresql_columns(
    described: Iterable[tuple[str, int]], types: Iterable[PgType]
) -> list[Column]:
    """Return the columns of a result. `described` are names and numbers of types.

    Raises InputError naming each column that cannot be written.
    """
    by_number = {known.oid: known for known in types}
    columns = []
    refused = []
    for name, number in described:
        known = by_number[number]
        write = POSTGRESQL.get(known.element or known.name)
        if write is None and known.kind == "e":
            write = text
        title = f"{known.element}[]" if known.element else known.name
        if write is None:
            refused.append((name, title))
        elif known.element:
            columns.append(Column(name, title, listed(write)))
        else:
            columns.append(Column(name, title, write))
    demand(refused)
    return columns


def mysql_columns(described: Iterable[tuple[str, int]]) -> list[Column]:
    """Return the columns of a result. `described` are names and MySQL's numbers of types.

    Raises InputError naming each column that cannot be written.
    """
    columns = []
    refused = []
    for name, number in described:
        title, write = MYSQL.get(number, (f"type {number}", None))
        if write is None:
            refused.append((name, title))
        else:
            columns.append(Column(name, title, write))
    demand(refused)
    return columns


def demand(refused: list[tuple[str, str]]) -> None:
    """Raise InputError where columns are refused. `refused` are their names and types."""
    if not refused:
        return
    advice = []
    for name, title in refused:
        cast = CASTS.get(title, "CAST({} AS text)").format(name)
        advice.append(f"{name} is {title}: {cast}")
    raise InputError(
        "columns of types that a snapshot cannot hold exactly; write in the query: "
        + "; ".join(advice)
    )

"""snapshot of PostgreSQL and MariaDB, whose programs are started here, once; one that dies leaves the former snapshot."""

import json
import threading
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from lore.snapshot import database
from tests.lore import servers
from tests.lore.live import Live

ROOT = Path(__file__).parents[3]
Lore = Callable[..., str]
ITEMS = ["(2, 'gold', 19.30)", "(1, '铁 %s :x', NULL)", "(3, 'O''Neill \"x\"\\n', -0.10)"]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[servers.Server]:
    server = servers.postgresql()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.Server]:
    server = servers.mariadb()
    yield server
    server.stop()


@pytest.fixture(params=["postgresql", "mariadb"])
def server(
    request: pytest.FixtureRequest, live: Live, monkeypatch: pytest.MonkeyPatch
) -> servers.Server:
    """Each server with a small table `items`, which the project's snapshot reads."""
    found: servers.Server = request.getfixturevalue(request.param)
    found.execute(
        "DROP TABLE IF EXISTS items",
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(20), price NUMERIC(12, 2))",
        f"INSERT INTO items VALUES {', '.join(ITEMS)}",
    )
    point(found, live, monkeypatch, "SELECT * FROM items")
    return found


def point(server: servers.Server, live: Live, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """Let the project's snapshot be that query of the server."""
    monkeypatch.setenv("LIVE_URL", server.url().render_as_string(hide_password=False))
    live.declare(
        {
            "name": "melting",
            "url_env": "LIVE_URL",
            "query": query,
            "key": "id",
            "file": "melting.json",
        }
    )


def rows_in(live: Live) -> dict[str, dict[str, Any]]:
    """What the snapshot holds."""
    found: dict[str, dict[str, Any]] = json.loads(live.file.read_text(encoding="utf-8"))
    return found


def test_a_table_is_read_and_a_changed_row_arrives(
    server: servers.Server, live: Live, lore: Lore
) -> None:
    said = lore("snapshot")
    with_newline = 'O\'Neill "x"\n' if server.drivername.startswith("mysql") else 'O\'Neill "x"\\n'
    assert rows_in(live) == {
        "1": {"id": 1, "name": "铁 %s :x", "price": None},
        "2": {"id": 2, "name": "gold", "price": "19.30"},
        "3": {"id": 3, "name": with_newline, "price": "-0.10"},
    }
    found = json.loads(live.record.read_text())
    print(found["server"])
    assert found["server"].split()[0] in ("PostgreSQL", "MariaDB")
    assert found["server"] in said
    server.execute(
        "UPDATE items SET price = 19.31 WHERE id = 2",
        "DELETE FROM items WHERE id = 1",
        "INSERT INTO items VALUES (4, 'tin', 1)",
    )
    assert "changed 1, new 1, deleted 1, same 1" in lore("snapshot")
    assert rows_in(live)["2"]["price"] == "19.31"
    assert servers.PASSWORD not in live.record.read_text()


def test_both_servers_give_the_same_bytes(
    request: pytest.FixtureRequest, live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = set()
    for name in ("postgresql", "mariadb"):
        found = request.getfixturevalue(name)
        found.execute(
            "DROP TABLE IF EXISTS items", "CREATE TABLE items (id VARCHAR(9), v DOUBLE PRECISION, d DATE, t TIMESTAMP NULL)",
            "INSERT INTO items VALUES ('ä', 0.1, '2024-02-29', NULL), ('Z', 1e300, NULL, NULL)",
            "INSERT INTO items VALUES ('a', -0.0, NULL, NULL), ('氖', 3, NULL, NULL)",
        )  # fmt: skip
        point(found, live, monkeypatch, "SELECT * FROM items")
        lore("snapshot")
        files.add(live.file.read_bytes())
        assert list(rows_in(live)) == ["Z", "a", "ä", "氖"]  # whatever the server's collation
    assert len(files) == 1


POSTGRESQL_VALUES = {
    "1::int2": 1,
    "9223372036854775807": 9223372036854775807,
    "true": True,
    "12345678901234567890.1234567890::numeric": "12345678901234567890.1234567890",
    "0.00000001::numeric": "0.00000001",
    "'NaN'::numeric": "NaN",
    "0.1::float4": 0.1,
    "0.1::float8 + 0.2": 0.30000000000000004,
    "'Infinity'::float8": "Infinity",
    "'2024-02-29'::date": "2024-02-29",
    "'0044-03-15 BC'::date": "0044-03-15 BC",
    "'12:30:00.5'::time": "12:30:00.5",
    "'2024-01-31 23:00:00.25'::timestamp": "2024-01-31T23:00:00.25",
    "'2024-01-31 23:00:00-05'::timestamptz": "2024-02-01T04:00:00+00:00",
    "'infinity'::timestamptz": "infinity",
    "'1 mon 2 days 03:00:00'::interval": "P1M2DT3H",
    "NULL::text": None,
    "'\\x00ff'::bytea": "AP8=",
    '\'{"b": 1.10,  "a": [1, null]}\'::json': {"b": 1.1, "a": [1, None]},
    '\'{"a": "中"}\'::jsonb': {"a": "中"},
    "ARRAY[[1, NULL], [3, 4]]": [[1, None], [3, 4]],
    "ARRAY[1.50, NULL]::numeric[]": ["1.50", None],
    "ARRAY['a,b', '中\"']": ["a,b", '中"'],
    "ARRAY['2024-01-31 23:00:00-05'::timestamptz]": ["2024-02-01T04:00:00+00:00"],
    "'happy'::mood": "happy",
    "'123e4567-e89b-12d3-a456-426614174000'::uuid": "123e4567-e89b-12d3-a456-426614174000",
    "'10.0.0.0/8'::inet": "10.0.0.0/8",
    "repeat('长', 3) || E'\\n\\t'": "长长长\n\t",
}


REFUSED = (
    "5::money AS price, ROW(1, 2) AS pair, ARRAY['happy'::mood] AS moods, '[1,2]'::int4range AS r"
)


def test_types_of_postgresql(
    postgresql: servers.Server, live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (
        "extra_float_digits = -3",
        "TimeZone = 'Asia/Shanghai'",
        "DateStyle = 'German'",
    )  # which must not matter
    postgresql.execute(
        "DROP TYPE IF EXISTS mood",
        "CREATE TYPE mood AS ENUM ('happy')",
        *(f"ALTER DATABASE shop SET {one}" for one in settings),
    )
    columns = ", ".join(
        f"{expression} AS c{number}" for number, expression in enumerate(POSTGRESQL_VALUES)
    )
    point(postgresql, live, monkeypatch, f"SELECT 'k' AS id, {columns}")
    lore("snapshot")
    found = rows_in(live)["k"]
    assert [found[f"c{number}"] for number in range(len(POSTGRESQL_VALUES))] == list(
        POSTGRESQL_VALUES.values()
    )
    assert '{"b": 1.10,  "a": [1, null]}' in live.file.read_text()  # its digits and its order
    point(
        postgresql,
        live,
        monkeypatch,
        "SELECT 1 AS id, 5::money AS price, ROW(1, 2) AS pair, ARRAY['happy'::mood] AS moods, '[1,2]'::int4range AS r",
    )
    said = lore("snapshot", code=1)
    assert (
        "price is money: CAST(price AS text); pair is record: CAST(pair AS text); moods is mood[]"
        in said
    )
    assert "r is int4range" in said


MARIADB_VALUES = {
    "18446744073709551615": 18446744073709551615,
    "CAST(5 AS SIGNED)": 5,
    "true": 1,
    "CAST('12345678901234567890.1234567890' AS DECIMAL(40, 10))": "12345678901234567890.1234567890",
    "0.1e0 + 0.2e0": 0.30000000000000004,
    "CAST('2024-02-29' AS DATE)": "2024-02-29",
    "CAST('2024-01-31 23:00:00.5' AS DATETIME(1))": "2024-01-31T23:00:00.5",
    "CAST('-100:30:00' AS TIME)": "-100:30:00",
    "NULL": None,
    "x'00ff'": "AP8=",
    "'中文'": "中文",
    "moment": "2024-02-01T04:00:00+00:00",
    "zero": 12,
    "word": '{"a": 1.10}',
    "mood": "happy",
}


def test_types_of_mariadb(
    mariadb: servers.Server, live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb.execute(
        "DROP TABLE IF EXISTS kinds",
        "CREATE TABLE kinds (moment TIMESTAMP NULL, zero INT(5) ZEROFILL, word JSON, mood ENUM('happy'), "
        "real_one FLOAT, bits BIT(3), spot POINT)",
        "SET STATEMENT time_zone = '-05:00' FOR INSERT INTO kinds VALUES "
        "('2024-01-31 23:00:00', 12, '{\"a\": 1.10}', 'happy', 16777217, 5, POINT(1, 2))",
    )
    columns = ", ".join(
        f"{expression} AS c{number}" for number, expression in enumerate(MARIADB_VALUES)
    )
    point(mariadb, live, monkeypatch, f"SELECT 'k' AS id, {columns} FROM kinds")
    lore("snapshot")
    found = rows_in(live)["k"]
    assert [found[f"c{number}"] for number in range(len(MARIADB_VALUES))] == list(
        MARIADB_VALUES.values()
    )
    point(mariadb, live, monkeypatch, "SELECT 1 AS id, real_one, bits, spot FROM kinds")
    said = lore("snapshot", code=1)
    assert (
        "real_one is float: CAST(real_one AS DOUBLE); bits is bit: CAST(bits AS UNSIGNED); spot is geometry: ST_AsText(spot)"
        in said
    )
    point(mariadb, live, monkeypatch, "SELECT 1 AS id, CAST(real_one AS DOUBLE) AS r FROM kinds")
    lore("snapshot")
    assert rows_in(live)["1"]["r"] == 16777216.0


@pytest.mark.parametrize(
    "wrong",
    [{"password": "wr0ng-pass"}, {"host": "nowhere.invalid"}, {"database": "nothere"}, {"port": 1}],
)
def test_a_wrong_url_is_reported_without_the_password(
    server: servers.Server,
    live: Live,
    lore: Lore,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
) -> None:
    lore("snapshot")
    before = live.file.read_bytes()
    url = server.url(**wrong)
    monkeypatch.setenv("LIVE_URL", url.render_as_string(hide_password=False))
    said = lore("snapshot", code=1)
    assert f"InputError: melting: no connection to {server.drivername}://reader:***@" in said
    assert (
        "check what LIVE_URL holds, and whether the server runs\n  as before: data/raw/melting.json"
        in said
    )
    for secret in (servers.PASSWORD, "s3cr", "wr0ng", "密"):
        assert secret not in said
    assert live.file.read_bytes() == before


def test_a_query_that_fails_and_one_that_writes(
    server: servers.Server, live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for query, message in (
        ("SELECT missing FROM items", "missing"),
        ("SELECT 1 AS id; DELETE FROM items", "error"),
        ("WITH x AS (SELECT 1) DELETE FROM items", "DELETE"),
    ):
        point(server, live, monkeypatch, query)
        assert message.lower() in lore("snapshot", code=1).lower()
    point(server, live, monkeypatch, "SELECT * FROM items")
    assert "3 rows" in lore("snapshot")


def test_a_select_that_gives_no_rows(
    mariadb: servers.Server, live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(mariadb, live, monkeypatch, "SELECT 1 INTO @one")
    assert "the query gives no rows; write one SELECT" in lore("snapshot", code=1)


def test_postgresql_refuses_to_write(
    postgresql: servers.Server, live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql.execute("CREATE SEQUENCE IF NOT EXISTS steps")
    point(postgresql, live, monkeypatch, "SELECT nextval('steps') AS id")
    assert "cannot execute nextval() in a read-only transaction" in lore("snapshot", code=1)


@pytest.mark.usefixtures("live")
def test_a_row_that_arrives_meanwhile_is_not_seen(
    server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.opened("LIVE_URL") as found:
        _, portions = found.read("SELECT id FROM items")
        first = next(portions)
        server.execute("INSERT INTO items VALUES (9, 'late', 0)", "DELETE FROM items WHERE id = 1")
        rows = chain(first, *portions)
        assert sorted(int(row[0]) for row in rows) == [1, 2, 3]
        _, portions = found.read("SELECT id FROM items")
        rows = chain(*portions)
        assert sorted(int(row[0]) for row in rows) == [1, 2, 3]


MANY = {
    "postgresql": "SELECT a * 9999 + b AS id, repeat('x', 99) AS x FROM generate_series(1, 9999) a, generate_series(1, 9999) b",
    "mysql": "SELECT seq AS id, REPEAT('x', 100) AS filler FROM seq_1_to_100000000",
}


def test_a_server_that_dies_leaves_the_former_snapshot(
    server: servers.Server, live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lore("snapshot")
    before, files = live.file.read_bytes(), live.left()
    point(server, live, monkeypatch, MANY[server.drivername.partition("+")[0]])
    begun = threading.Event()
    read = database.Database.read

    def reading(self: database.Database, query: str) -> Any:
        columns, portions = read(self, query)

        def told() -> Iterator[Any]:
            for number, portion in enumerate(portions):
                yield portion
                if number == 3:
                    begun.set()

        return columns, told()

    monkeypatch.setattr(database.Database, "read", reading)
    killer = threading.Thread(target=lambda: (begun.wait(60), server.kill()))
    killer.start()
    try:
        said = lore("snapshot", code=1)
    finally:
        killer.join()
        server.start()
    assert "InputError: melting: after " in said
    assert " rows: the server ended the connection: " in said
    assert "run lore snapshot again when it is back\n  as before: data/raw/melting.json\n" in said
    assert servers.PASSWORD not in said
    assert live.file.read_bytes() == before
    assert live.left() == files

"""One database, read in one read-only transaction that sees one state of it, row by row from a server-side cursor.

PostgreSQL: REPEATABLE READ, READ ONLY. MySQL and MariaDB: START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY (tables without
transactions, such as MyISAM's, may change meanwhile). SQLite: the file is opened read-only, one read transaction; a writer waits
meanwhile, unless the database keeps a write-ahead log.

The URL comes from an environment variable. What a driver says is shown without the URL's password.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, Connection, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from lore.snapshot.columns import (
    AS_WRITTEN,
    Column,
    PgType,
    by_value,
    mysql_columns,
    postgresql_columns,
)
from lore.snapshot.declaration import EXAMPLE, masked
from stages.core.project.errors import InputError

FETCH = 500
"""Rows that a server sends at a time."""
SECONDS = 10
"""How long a server may take to answer a connection."""
DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
SECRET = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
"""Names of a URL's further options whose values are not shown."""
TYPES = """SELECT t.oid, t.typname, t.typtype, e.typname FROM pg_catalog.pg_type t
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' WHERE t.oid IN ({})"""


class Database:
    """An open transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.raw: Any = connection.connection.driver_connection
        self.cursors: list[Any] = []
        self.server = self._begin()
        """Name and version."""

    def read(self, query: str) -> tuple[list[Column], Iterator[list[Sequence[Any]]]]:
        """Columns, and the rows in portions. Raises InputError for columns that cannot be written; driver errors pass through."""
        options = {"stream_results": True, "max_row_buffer": FETCH, "no_parameters": True}
        result = self.connection.exec_driver_sql(query, execution_options=options)
        if not result.returns_rows:
            raise InputError("the query gives no rows; write one SELECT")
        self.cursors.append(result.cursor)
        described = [(item[0], item[1]) for item in result.cursor.description]
        names = [name for name, _ in described]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(
                f"the query has several columns called {', '.join(twice)}; give each a name with AS"
            )
        return self._columns(described), (list(portion) for portion in result.partitions(FETCH))

    def abandon(self) -> None:
        """Give up without another word to the server: to close a result orderly would mean to read the rest of it."""
        if unread := getattr(
            self.raw, "_result", None
        ):  # pymysql would read it even when it is collected
            unread.unbuffered_active = False
        with suppress(Exception):
            self.connection.invalidate()
        for cursor in self.cursors:
            with suppress(Exception):
                cursor.close()

    def _begin(self) -> str:
        """Begin the transaction, with values as the server writes them; the server's name and version."""
        run = self.connection.exec_driver_sql
        if self.connection.dialect.name == "sqlite":
            run("BEGIN")
            return f"SQLite {run('SELECT sqlite_version()').scalar()}"
        if self.connection.dialect.name == "mysql":
            version = str(run("SELECT VERSION()").scalar())
            run("SET SESSION time_zone = '+00:00'")
            run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            self.raw.decoders = {}
            return f"{'MariaDB' if 'MariaDB' in version else 'MySQL'} {version.partition('-')[0]}"
        from psycopg.types.string import TextLoader

        self.connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        for name in AS_WRITTEN:
            self.raw.adapters.register_loader(name, TextLoader)
        for setting in (
            "TimeZone = 'UTC'",
            "DateStyle = 'ISO, YMD'",
            "IntervalStyle = 'iso_8601'",
            "extra_float_digits = 1",
        ):
            run(f"SET LOCAL {setting}")
        return f"PostgreSQL {str(run('SHOW server_version').scalar()).partition(' ')[0]}"

    def _columns(self, described: list[tuple[str, Any]]) -> list[Column]:
        name = self.connection.dialect.name
        if name == "sqlite":
            return [Column(column, "any", by_value) for column, _ in described]
        if name == "mysql":
            return mysql_columns(described)
        numbers = ", ".join(sorted({str(number) for _, number in described}))
        types = self.connection.exec_driver_sql(TYPES.format(numbers))
        return postgresql_columns(described, (PgType(*row) for row in types))


@contextmanager
def opened(variable: str) -> Iterator[Database]:
    """A transaction on the database whose URL stands in an environment variable.

    Raises InputError, with the driver's words but without a password, for whatever goes wrong inside too.
    """
    url = url_of(variable)
    engine = create_engine(
        driver_url(url, variable), poolclass=NullPool, connect_args=arguments(url)
    )
    found = None
    try:
        with engine.connect() as connection:
            found = Database(connection)
            try:
                yield found
            except BaseException:
                found.abandon()
                raise
    except (InputError, OSError):
        raise
    except Exception as error:
        raise InputError(told(error, url, variable, connected=found is not None)) from None
    finally:
        engine.dispose()


def url_of(variable: str) -> URL:
    """The URL in an environment variable. Raises InputError where there is none that can be used; it is not shown."""
    written = os.environ.get(variable)
    if not written:
        raise InputError(
            f"the environment variable {variable} is not set; export {variable}='{EXAMPLE}'"
        )
    try:
        url = make_url(written)
    except (ArgumentError, ValueError):
        raise InputError(
            f"{variable} holds no URL that SQLAlchemy can read; one looks like {EXAMPLE}"
        ) from None
    if (
        url.get_backend_name() != "sqlite" and written.partition("?")[0].count("@") > 1
    ):  # the rest would be taken for the host
        raise InputError(f"{variable}: a user name or password holds an @; write %40 for it")
    return url


def driver_url(url: URL, variable: str) -> URL:
    """The URL with the driver that is used here. Raises InputError for another database or no SQLite file."""
    backend, plus, driver = url.drivername.partition("+")
    if backend not in DRIVERS or (plus and driver not in ("psycopg", "pymysql", "pysqlite")):
        raise InputError(
            f"{variable}: {url.drivername} is not supported; it can be {', '.join(DRIVERS)} (psycopg, pymysql)"
        )
    if backend != "sqlite":
        return url.set(drivername=DRIVERS[backend])
    path = Path(url.database or "")
    if not path.is_file():
        raise InputError(
            f"{variable}: no SQLite file {path}; a relative path begins in {Path.cwd()}"
        )
    return URL.create(
        "sqlite", database=f"file:{quote(str(path.resolve()))}", query={"mode": "ro", "uri": "true"}
    )


def arguments(url: URL) -> dict[str, Any]:
    """The driver's options that the URL does not give."""
    if url.get_backend_name() == "sqlite":
        return {}
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": SECONDS}
    if url.get_backend_name() == "postgresql":
        return timeout | {"client_encoding": "UTF8"}
    return timeout | (
        {"password": str(url.password).encode()} if url.password else {}
    )  # pymysql takes text for Latin-1


def told(error: BaseException, url: URL, variable: str, connected: bool) -> str:
    """What a driver says, without anything secret, and what to do."""
    if isinstance(
        error, UnicodeEncodeError
    ):  # its text shows what could not be encoded, perhaps of a password
        return f"{variable} or the query holds characters that the driver cannot send"
    original = getattr(error, "orig", None) or error
    said = without_secrets(" ".join(str(original).split()), url)[:300]
    if not connected:
        place = url.render_as_string(hide_password=True).partition("?")[0]
        return f"no connection to {place}: {said}; check what {variable} holds, and whether the server runs"
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return f"the server ended the connection: {said}; run lore snapshot again when it is back"
    return f"{said}; check the query, and what {variable}'s user may read"


def without_secrets(said: str, url: URL) -> str:
    """The text with *** for the URL's password, in each form in which it may be written."""
    secrets = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if SECRET.search(name):
            secrets += [value] if isinstance(value, str) else value
    for secret in secrets:
        for form in {
            secret,
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            repr(secret)[1:-1],
        }:
            said = said.replace(form, "***")
    return masked(said)

"""Read one database in one read-only transaction, which sees one state of it.

Rows come one by one from a server-side cursor.

- PostgreSQL: REPEATABLE READ, READ ONLY.
- MySQL and MariaDB: START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY. Tables without
  transactions, such as MyISAM's, may change meanwhile.
- SQLite: the file is opened read-only, in one read transaction. A writer waits meanwhile, unless the
  database keeps a write-ahead log. The same limits hold as in extract (`sqlite_guard.py`).

The URL comes from an environment variable. Messages of drivers are shown without its password.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, Connection, CursorResult, create_engine, make_url
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
from stages.extract import sqlite_guard
from stages.extract.kinds.table import text_or_bytes
from stages.extract.sqlite_guard import Meter

FETCH = 500
"""Rows that a server sends at a time."""
SECONDS = 10
"""How long a server may take to accept a connection."""
DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
# Names of a URL's options whose values are not shown: `sslpassword`, `ssl_key`.
SECRET = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
SHOWN = 300
"""Characters of a driver's message that are shown."""
TYPES = """SELECT t.oid, t.typname, t.typtype, e.typname FROM pg_catalog.pg_type t
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' WHERE t.oid IN ({})"""


class Database:
    """An open transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.raw: Any = connection.connection.driver_connection
        self.cursors: list[Any] = []
        self.meter: Meter | None = None
        """Counts the work of SQLite, which runs in this process."""
        self.most_rows: int | None = None
        """Rows that a query may give. None: any number."""
        self.server = self._begin()
        """Name and version of the server."""

    def read(self, query: str) -> tuple[list[Column], Iterator[list[Sequence[Any]]]]:
        """Return the columns, and the rows in portions.

        Raises InputError for columns that cannot be written. Errors of the driver pass through.
        """
        options = {"stream_results": True, "max_row_buffer": FETCH, "no_parameters": True}
        result = self.connection.exec_driver_sql(query, execution_options=options)
        if not result.returns_rows:
            raise InputError("the query gives no rows; write one SELECT")
        self.cursors.append(result.cursor)
        described = [(item[0], item[1]) for item in result.cursor.description]
        names = [name for name, _ in described]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(
                f"the query has several columns called {', '.join(twice)}; give each a name with AS"
            )
        return self._columns(described), self._portions(result)

    def _portions(self, result: CursorResult[Any]) -> Iterator[list[Sequence[Any]]]:
        rows = 0
        for portion in result.partitions(FETCH):
            rows += len(portion)
            if self.most_rows is not None and rows > self.most_rows:
                raise InputError(
                    f"the query gives more than {self.most_rows:,} rows, far more than the "
                    "database is large: it may be endless; add a condition"
                )
            yield list(portion)

    def abandon(self) -> None:
        """Give up without another message to the server.

        To close a result in order would mean to read the rest of it.
        """
        # pymysql would read the rest even when the result is garbage-collected.
        unread = getattr(self.raw, "_result", None)
        if unread:
            unread.unbuffered_active = False
        with suppress(Exception):
            self.connection.invalidate()
        for cursor in self.cursors:
            with suppress(Exception):
                cursor.close()

    def _begin(self) -> str:
        """Begin the transaction, with values as the server writes them.

        Returns the server's name and version.
        """
        dialect = self.connection.dialect.name
        if dialect == "sqlite":
            return self._begin_sqlite()
        if dialect == "mysql":
            return self._begin_mysql()
        return self._begin_postgresql()

    def _begin_sqlite(self) -> str:
        run = self.connection.exec_driver_sql
        run("BEGIN")
        version = run("SELECT sqlite_version()").scalar()
        _, _, file = run("PRAGMA database_list").one()
        size = Path(file).stat().st_size
        self.raw.text_factory = text_or_bytes
        self.meter = sqlite_guard.guard(self.raw, size)
        self.most_rows = sqlite_guard.most_rows(size)
        return f"SQLite {version}"

    def _begin_mysql(self) -> str:
        run = self.connection.exec_driver_sql
        version = str(run("SELECT VERSION()").scalar())
        run("SET SESSION time_zone = '+00:00'")
        run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        self.raw.decoders = {}  # pymysql then gives values as the server writes them
        name = "MariaDB" if "MariaDB" in version else "MySQL"
        number, _, _ = version.partition("-")  # of `11.4.2-MariaDB-log`
        return f"{name} {number}"

    def _begin_postgresql(self) -> str:
        from psycopg.types.string import TextLoader

        run = self.connection.exec_driver_sql
        self.connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        for name in AS_WRITTEN:
            self.raw.adapters.register_loader(name, TextLoader)
        run("SET LOCAL TimeZone = 'UTC'")
        run("SET LOCAL DateStyle = 'ISO, YMD'")
        run("SET LOCAL IntervalStyle = 'iso_8601'")
        run("SET LOCAL extra_float_digits = 1")
        version = str(run("SHOW server_version").scalar())
        number, _, _ = version.partition(" ")  # of `16.3 (Debian 16.3-1)`
        return f"PostgreSQL {number}"

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
    """Yield a transaction on the database whose URL is in an environment variable.

    Raises InputError, with the driver's message but without a password, for every error inside too.
    """
    url = url_of(variable)
    engine = create_engine(
        driver_url(url, variable), poolclass=NullPool, connect_args=arguments(url)
    )
    database = None
    try:
        with engine.connect() as connection:
            database = Database(connection)
            try:
                yield database
            except BaseException:
                database.abandon()
                raise
    except (InputError, OSError):
        raise
    except Exception as error:
        if database is not None and database.meter and database.meter.exceeded:
            raise InputError(sqlite_guard.explained(error, database.meter)) from None
        message = explained(error, url, variable, connected=database is not None)
        raise InputError(message) from None
    finally:
        engine.dispose()


def url_of(variable: str) -> URL:
    """Return the URL in an environment variable.

    Raises InputError where there is none that can be used. The message does not show it.
    """
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
    before_options, _, _ = written.partition("?")
    if url.get_backend_name() != "sqlite" and before_options.count("@") > 1:
        # SQLAlchemy would take the rest of the password for the host, and a message would show it.
        raise InputError(f"{variable}: a user name or password holds an @; write %40 for it")
    return url


def driver_url(url: URL, variable: str) -> URL:
    """Return the URL with the driver that is used here.

    Raises InputError for another database, and where there is no SQLite file.
    """
    backend, plus, driver = url.drivername.partition("+")
    other_driver = plus and driver not in ("psycopg", "pymysql", "pysqlite")
    if backend not in DRIVERS or other_driver:
        known = ", ".join(DRIVERS)
        raise InputError(
            f"{variable}: {url.drivername} is not supported; it can be {known} (psycopg, pymysql)"
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
    """Return the driver's options that the URL does not give."""
    backend = url.get_backend_name()
    options: dict[str, Any] = {}
    if backend == "sqlite":
        return options
    if "connect_timeout" not in url.query:
        options["connect_timeout"] = SECONDS
    if backend == "postgresql":
        options["client_encoding"] = "UTF8"
    elif url.password:
        options["password"] = str(url.password).encode()  # pymysql takes text for Latin-1
    return options


def explained(error: BaseException, url: URL, variable: str, connected: bool) -> str:
    """Return a driver's message without secrets, and the next step."""
    if isinstance(error, UnicodeEncodeError):
        # Its message shows the text that could not be encoded, which may be a part of a password.
        return f"{variable} or the query holds characters that the driver cannot send"
    original = getattr(error, "orig", None) or error
    message = without_secrets(" ".join(str(original).split()), url)[:SHOWN]
    if not connected:
        address, _, _ = url.render_as_string(hide_password=True).partition("?")
        return (
            f"no connection to {address}: {message}; check what {variable} holds, "
            "and whether the server runs"
        )
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return (
            f"the server ended the connection: {message}; run lore snapshot again when it is back"
        )
    return f"{message}; check the query, and what {variable}'s user may read"


def without_secrets(message: str, url: URL) -> str:
    """Return the message with *** for the URL's secrets, in each form in which they may be written."""
    secrets = []
    if url.password:
        secrets.append(str(url.password))
    for name, value in url.query.items():
        if SECRET.search(name):
            secrets += [value] if isinstance(value, str) else value
    for secret in secrets:
        # `a b/c'd` as it is, as a%20b/c, as a%20b%2Fc, as a+b%2Fc, and as in Python's messages.
        forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
        forms.add(repr(secret)[1:-1])
        for form in forms:
            message = message.replace(form, "***")
    return masked(message)

"""Throw-away PostgreSQL and MariaDB servers of the installed programs, on loopback, in a temporary folder."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, create_engine

PASSWORD = "s3cr@t:/ 密%x"
NOBODY: dict[str, Any] = (
    {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
)
"""PostgreSQL refuses to run as root."""
POSTGRESQL = sorted(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
)
MARIADB = [
    shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    for name in ("mariadbd", "mariadb-install-db")
]


class Server:
    """One server; `url(…)` names it. It can be killed and started again."""

    def __init__(
        self, drivername: str, program: Callable[[Path, int], Sequence[str | Path]]
    ) -> None:
        """`program`: the command line for a folder and a port."""
        self.folder = Path(tempfile.mkdtemp(prefix="lorekeep-server-"))
        self.drivername, self.program = drivername, program
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if NOBODY:
            shutil.chown(self.folder, NOBODY["user"], NOBODY["group"])

    def run(self, *command: str | Path) -> None:
        """Run a program as the server's user. Skips the test with its last words where it fails."""
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, **NOBODY
        )
        if done.returncode:
            pytest.skip(f"{Path(command[0]).name} fails here: {(done.stdout + done.stderr)[-300:]}")

    def start(self, url: URL | None = None) -> None:
        """Start, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.program(self.folder, self.port),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **NOBODY,
            )
        engine = self.engine(url)
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(
                    ("127.0.0.1", self.port)
                ).close()  # a driver that finds nothing leaves its socket open
                engine.connect().close()
                break
            except Exception:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    pytest.skip(
                        f"the server does not start here: {(self.folder / 'log').read_text(errors='replace')[-300:]}"
                    )
                time.sleep(0.05)
        engine.dispose()

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it and remove its folder."""
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "shop", **parts: Any) -> URL:
        """Where it is, with its password unless another is given."""
        given = {"username": "reader", "password": PASSWORD, "host": "127.0.0.1", "port": self.port}
        return URL.create(self.drivername, database=database, **{**given, **parts})

    def engine(self, url: URL | None = None) -> Engine:
        """Connections that run each statement at once."""
        encoded = (
            {"password": PASSWORD.encode()}
            if self.drivername.startswith("mysql") and not url
            else {}
        )
        return create_engine(
            url or self.url(), isolation_level="AUTOCOMMIT", connect_args=encoded
        )  # pymysql takes text for Latin-1

    def execute(self, *statements: str) -> None:
        """Run statements, each at once."""
        engine = self.engine()
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        engine.dispose()


def postgresql() -> Server:
    """A running PostgreSQL whose user `reader` owns the database `shop`."""
    if not POSTGRESQL:
        pytest.skip("PostgreSQL's programs are not installed (apt-get install postgresql)")
    programs = POSTGRESQL[-1]
    options = [
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=off",
    ]
    server = Server(
        "postgresql+psycopg",
        lambda folder, port: [
            programs / "postgres",
            "-D",
            folder / "data",
            "-p",
            str(port),
            *options,
        ],
    )
    (server.folder / "word").write_text(PASSWORD, encoding="utf-8")
    (server.folder / "word").chmod(0o644)
    server.run(
        programs / "initdb", "-D", server.folder / "data", "-U", "reader", "-E", "UTF8", "--locale=C", "--no-sync",
        "--auth=scram-sha-256", f"--pwfile={server.folder / 'word'}",
    )  # fmt: skip
    server.start(server.url("postgres"))
    engine = server.engine(server.url("postgres"))
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE shop")
    engine.dispose()
    return server


def mariadb() -> Server:
    """A running MariaDB whose user `reader` may do everything in the database `shop`."""
    daemon, install = MARIADB
    if not (daemon and install):
        pytest.skip("MariaDB's programs are not installed (apt-get install mariadb-server)")
    options = [
        "--bind-address=127.0.0.1",
        "--character-set-server=utf8mb4",
        "--innodb-flush-log-at-trx-commit=0",
        "--skip-log-bin",
    ]
    options += ["--innodb-buffer-pool-size=32M", "--pid-file=pid"]
    server = Server(
        "mysql+pymysql",
        lambda folder, port: [
            daemon, "--no-defaults", f"--datadir={folder / 'data'}", f"--socket={folder / 's'}", f"--port={port}", *options
        ],
    )  # fmt: skip
    server.run(
        install, "--no-defaults", f"--datadir={server.folder / 'data'}", "--auth-root-authentication-method=normal",
        "--skip-test-db", "--force",
    )  # fmt: skip
    root = URL.create("mysql+pymysql", "root", query={"unix_socket": str(server.folder / "s")})
    server.start(root)
    engine = server.engine(root)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE shop")
        connection.exec_driver_sql("CREATE USER reader@'127.0.0.1' IDENTIFIED BY %s", (PASSWORD,))
        connection.exec_driver_sql("GRANT ALL ON shop.* TO reader@'127.0.0.1'")
    engine.dispose()
    return server

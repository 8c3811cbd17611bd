"""What does `lore snapshot` cost, and what does a kill leave? On a throw-away PostgreSQL (or MariaDB) of the installed programs.

    PYTHONPATH=. python docs/experiments/snapshots.py speed [postgresql|mariadb]
    PYTHONPATH=. python docs/experiments/snapshots.py kills [postgresql|mariadb]

From the project's root. `speed`: peak memory of the command for 20,000 and 200,000 rows, in the key's order and in none, without
and with a former snapshot; rows a second against a loop over the driver's own server-side cursor that writes the same bytes (by
SHA-256), medians of five turns. `kills`: SIGKILL at ten moments of a run, to the process group or to the leader alone; the file
must then be the former one or the new one, whole, and the next run must arrive at the new one and leave no other file and no
connection.
"""

import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pymysql

from lore.snapshot.declaration import declared
from lore.snapshot.taking import take
from tests.lore import servers

ROOT = Path(__file__).parents[2]
TURNS, MOMENTS = 5, [(number + 0.5) / 10 for number in range(10)]
COLUMNS = (
    "id BIGINT PRIMARY KEY, name VARCHAR(80), price NUMERIC(12, 2), weight DOUBLE PRECISION, "
    "made TIMESTAMP, note VARCHAR(200)"
)
ROW = (
    "{0}, CONCAT('item ', {0}), {0} * 0.25, {0} / 7.0, TIMESTAMP '2024-01-31 12:00:00', "
    "CONCAT('一个长一点的说明 ', {0} * 3)"
)
SERIES = {
    "postgresql": "generate_series(1, {}) AS s(n)",
    "mariadb": "(SELECT seq AS n FROM seq_1_to_{}) AS s",
}


def fill(server: servers.Server, kind: str, rows: int) -> None:
    """The table `items` with that many rows."""
    server.execute(
        "DROP TABLE IF EXISTS items",
        f"CREATE TABLE items ({COLUMNS if kind == 'postgresql' else COLUMNS.replace('TIMESTAMP', 'DATETIME')})",
        f"INSERT INTO items SELECT {ROW.format('n')} FROM {SERIES[kind].format(rows)}",  # noqa: S608 - nobody else's text
    )


def project(root: Path, server: servers.Server, order: str) -> dict[str, str]:
    """A folder with one snapshot declared; the environment for it."""
    (root / "data/raw").mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", root)
    entry = f"{{name: items, url_env: LIVE_URL, query: 'SELECT * FROM items ORDER BY {order}', key: id, file: items.json}}"  # noqa: S608
    (root / "data/raw/snapshots.yaml").write_text(f"snapshots:\n- {entry}\n", encoding="utf-8")
    url = server.url().render_as_string(hide_password=False)
    return os.environ | {"LIVE_URL": url, "PYTHONPATH": str(ROOT)}


def start(root: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """The command, in a process group of its own."""
    command = [sys.executable, "-m", "lore", "snapshot"]
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )


def peak(root: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Peak memory in MiB and seconds of one run of the command."""
    begun = time.monotonic()
    _, status, usage = os.wait4(start(root, environment).pid, 0)
    assert status == 0
    return usage.ru_maxrss / 1024, time.monotonic() - begun


def bare(server: servers.Server, kind: str, path: Path) -> None:
    """A loop over the driver's server-side cursor that writes the snapshot's bytes."""
    url = server.url()
    given: dict[str, Any] = {"host": url.host, "port": url.port, "user": url.username}
    if kind == "postgresql":
        connection: Any = psycopg.connect(**given, password=servers.PASSWORD, dbname=url.database)
        cursor: Any = connection.cursor("bare")
        cursor.itersize = 500
    else:
        connection = pymysql.connect(
            **given, password=servers.PASSWORD.encode(), database=url.database
        )
        cursor = connection.cursor(pymysql.cursors.SSCursor)
    cursor.execute("SELECT * FROM items ORDER BY id")
    with path.open("w", encoding="utf-8") as file:
        before = "{\n"
        for number, name, price, weight, made, note in cursor:
            cells = {
                "id": number,
                "name": name,
                "price": str(price),
                "weight": weight,
                "made": made.isoformat(),
                "note": note,
            }
            file.write(
                f"{before}{json.dumps(str(number))}: {json.dumps(cells, ensure_ascii=False)}"
            )
            before = ",\n"
        file.write("\n}\n")
    cursor.close()
    connection.close()


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the wall clock and of this process's processor."""
    wall, own = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - own


def speed(kind: str, server: servers.Server, folder: Path) -> None:
    """Memory and rows a second."""
    for order in ("id", "note"):
        for rows in (20_000, 200_000):
            fill(server, kind, rows)
            root = folder / f"{order}-{rows}"
            environment = project(root, server, order)
            first, again = peak(root, environment), peak(root, environment)
            size = (root / "data/raw/items.json").stat().st_size / 2**20
            memory = f"peak {first[0]:.0f} MiB, again {again[0]:.0f} MiB"
            print(
                f"{rows:,} rows by {order}, {size:.0f} MiB: {memory}; {first[1]:.1f} s, {again[1]:.1f} s",
                flush=True,
            )
    root = folder / "id-200000"
    os.chdir(root)
    os.environ["LIVE_URL"] = environment["LIVE_URL"]
    snapshots = declared()
    loops = {
        "lore snapshot": lambda: take(snapshots, dry_run=False),
        "bare loop": lambda: bare(server, kind, root / "bare.json"),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(TURNS):
        for name, work in loops.items():
            seconds[name].append(timed(work))
    digests = {
        hashlib.sha256((root / name).read_bytes()).hexdigest()
        for name in ("data/raw/items.json", "bare.json")
    }
    assert len(digests) == 1, "the two wrote different bytes"
    medians = {}
    for name, turns in seconds.items():
        # One column of wall clock times, one of processor times.
        medians[name] = [statistics.median(column) for column in zip(*turns, strict=True)]
    for name, (wall, own) in medians.items():
        print(f"{name}: {200_000 / wall:,.0f} rows/s ({wall:.2f} s wall, {own:.2f} s processor)")
    ratios = [one / other for one, other in zip(*medians.values(), strict=True)]
    print(f"ratio: {ratios[0]:.2f} wall, {ratios[1]:.2f} processor")


def kills(kind: str, server: servers.Server, folder: Path) -> None:
    """Ten moments, group and leader."""
    fill(server, kind, 50_000)
    environment = project(folder / "kills", server, "id")
    root = folder / "kills"
    file, record = root / "data/raw/items.json", root / "data/snapshots/items.json"
    peak(root, environment)
    _, whole = peak(root, environment)
    print(f"a run takes {whole:.1f} s", flush=True)
    outcomes = {
        "former": 0,
        "new": 0,
        "broken": 0,
        "litter": 0,
        "not recovered": 0,
        "connections": 0,
        "partial left": 0,
    }
    for turn, (moment, kill) in enumerate(product(MOMENTS, ("group", "leader"))):
        former = file.read_bytes(), record.read_bytes()
        server.execute(f"UPDATE items SET price = {turn} WHERE MOD(id, 3) = 0")  # noqa: S608
        process = start(root, environment)
        time.sleep(moment * whole)
        if kill == "group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        now = file.read_bytes(), record.read_bytes()
        partial = len(list(root.rglob(".*.partial")))
        outcomes["partial left"] += partial
        peak(root, environment)
        new = file.read_bytes()
        recovered = (
            json.loads(record.read_bytes())["sha256"] == hashlib.sha256(new).hexdigest()
            and new != former[0]
        )
        if now[0] == former[0]:
            outcomes["former"] += 1
        elif now[0] == new:
            outcomes["new"] += 1
        else:
            outcomes["broken"] += 1
        outcomes["not recovered"] += not recovered
        outcomes["litter"] += sorted(path.name for path in root.rglob("*") if path.is_file()) != [
            "items.json", "items.json", "params.yaml", "snapshots.yaml",
        ]  # fmt: skip
        print(
            f"{kill} at {moment:.2f}: {partial} partial files left, recovered: {recovered}",
            flush=True,
        )
    time.sleep(1)
    views = {
        "postgresql": "SELECT COUNT(*) - 1 FROM pg_stat_activity WHERE datname = 'shop'",
        "mariadb": "SELECT COUNT(*) - 1 FROM information_schema.processlist WHERE db = 'shop'",
    }
    with server.engine().connect() as connection:
        outcomes["connections"] = int(connection.exec_driver_sql(views[kind]).scalar() or 0)
    print(outcomes)


def main() -> None:
    """Run one of the two."""
    what, kind = {"speed": speed, "kills": kills}[sys.argv[1]], [*sys.argv[2:], "postgresql"][0]
    server = getattr(servers, kind)()
    try:
        with tempfile.TemporaryDirectory() as folder:
            what(kind, server, Path(folder))
    finally:
        server.stop()


if __name__ == "__main__":
    main()

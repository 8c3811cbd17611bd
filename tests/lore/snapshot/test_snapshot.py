"""snapshot: rows of a live database become a file that says the same every time; whatever fails leaves the former one whole."""

import fcntl
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ruamel.yaml import YAML

from lore.__main__ import main
from lore.snapshot import database, declaration, unfinished
from stages import extract
from stages.core.project.params import Run, parse
from stages.core.records import record
from stages.extract import sqlite_guard
from tests.lore.live import DECLARED, ROWS, Live

ROOT = Path(__file__).parents[3]
Lore = Callable[..., str]
WHOLE = """{
"1": {"id": 1, "name": "iron", "value": "1538", "density": 7.874},
"2": {"id": 2, "name": "gold", "value": "1064", "density": 19.3},
"10": {"id": 10, "name": "氖", "value": null, "density": 0.1}
}
"""


def test_rows_become_lines_in_the_order_of_their_key(live: Live, lore: Lore) -> None:
    said = lore("snapshot")
    assert live.file.read_text(encoding="utf-8") == WHOLE
    assert said.splitlines() == [
        f"melting: 3 rows of SQLite {sqlite3.sqlite_version} → data/raw/melting.json",
        "  new 3",
        "next: make data/raw/melting.json a source in params.yaml and dvc.yaml (lore overlay; scenarios/database)",
        "next: git diff --stat; dvc repro extract; git add -A; git commit",
    ]
    found = json.loads(live.record.read_text())
    assert found.pop("taken").endswith("+00:00")
    assert found == {
        "file": "melting.json", "rows": 3, "sha256": hashlib.sha256(WHOLE.encode()).hexdigest(),
        "columns": dict.fromkeys(("id", "name", "value", "density"), "any"), "key": ["id"], "query": "SELECT * FROM t",
        "url_env": "LIVE_URL", "server": f"SQLite {sqlite3.sqlite_version}",
    }  # fmt: skip
    assert live.left() == ["raw/melting.json", "raw/snapshots.yaml", "snapshots/melting.json"]


def test_a_changed_row_is_a_changed_line(live: Live, lore: Lore) -> None:
    lore("snapshot")
    live.sql("UPDATE t SET value = '1649' WHERE id = 1")
    live.sql("DELETE FROM t WHERE id = 2")
    live.rows((3, "tin", "232", None), (4, "zinc", "420", None))
    said = lore("snapshot")
    assert (
        "  changed 1, new 2, deleted 1, same 1\n  changed: 1\n  new: 3, 4\n  deleted: 2\nnext:"
        in said
    )
    before, after = set(WHOLE.splitlines()), set(live.file.read_text(encoding="utf-8").splitlines())
    assert sorted(line[:5] for line in after - before) == ['"1": ', '"3": ', '"4": ']


def test_the_same_rows_are_the_same_files(live: Live, lore: Lore) -> None:
    lore("snapshot")
    taken = json.loads(live.record.read_text())["taken"]
    live.record.write_text(live.record.read_text().replace(taken, "2001-01-01T00:00:00+00:00"))
    before = live.file.read_bytes(), live.record.read_bytes()
    live.sql("DELETE FROM t")
    live.rows(*reversed(ROWS))
    assert lore("snapshot").splitlines()[1:] == [
        "  changed 0, new 0, deleted 0, same 3",
        "nothing has changed",
    ]
    assert (live.file.read_bytes(), live.record.read_bytes()) == before
    live.sql("UPDATE t SET value = 'x'")
    lore("snapshot")
    assert json.loads(live.record.read_text())["taken"] > "2002"


def test_a_dry_run_reads_and_compares_and_writes_nothing(live: Live, lore: Lore) -> None:
    assert lore("snapshot", "--dry-run").splitlines()[1:] == [
        "  new 3",
        "dry run: nothing was written",
    ]
    assert live.left() == ["raw/snapshots.yaml"]
    lore("snapshot")
    live.sql("UPDATE t SET value = '1649' WHERE id = 1")
    assert "changed 1, new 0, deleted 0, same 2" in lore("snapshot", "--dry-run")
    assert live.file.read_text(encoding="utf-8") == WHOLE


def test_json_holds_the_same(live: Live, lore: Lore) -> None:
    lore("snapshot")
    live.rows(*((number, "x", None, None) for number in range(20, 30)))
    (found,) = json.loads(lore("snapshot", "--json"))
    assert {key: found[key] for key in ("rows", "compared", "changed", "new", "deleted", "same", "notes")} == {
        "rows": 13, "compared": True, "changed": 0, "new": 10, "deleted": 0, "same": 3, "notes": []
    }  # fmt: skip
    assert found["keys"]["new"] == ["20", "21", "22", "23", "24"]
    live.sql("DELETE FROM t WHERE id >= 20")
    assert "deleted: 20, 21, 22, 23, 24 and 5 more" in lore("snapshot")


def test_a_file_that_is_a_source_needs_only_repro(live: Live, lore: Lore) -> None:
    document = YAML(typ="safe").load((live.root / "params.yaml").read_text(encoding="utf-8"))
    document["extract"]["sources"][0]["path"] = "melting*"
    with (live.root / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(document, stream)
    assert (
        lore("snapshot").splitlines()[-1]
        == "next: git diff --stat; dvc repro; git add -A; git commit"
    )


def rows_of(live: Live, run_params: Run, out: str) -> dict[str, dict[str, Any]]:
    """Records that extract makes of the snapshot, by their locators."""
    source = {
        "kind": "json", "name": "melting", "path": "melting.json", "lang": "en", "items": "",
        "map": {"subject": "name", "facts": [{"attribute": "melting point", "value": "value"}]},
    }  # fmt: skip
    problems: list[str] = []
    params = parse({"sources": [source]}, extract.Params, "extract", problems)
    assert params, problems
    extract.run(params, run_params, live.root / "data/raw", live.root / out)
    return {row["locator"]: row for row in record.read(live.root / out / "records.parquet")}


def test_extract_reads_it_without_the_database_and_names_rows_by_key(
    live: Live, lore: Lore, run_params: Run
) -> None:
    lore("snapshot")
    live.database.unlink()
    first = rows_of(live, run_params, "one")
    assert {row["subject"]: row["value"] for row in first.values()} == {
        "iron": "1538",
        "gold": "1064",
    }
    assert set(first) == {"melting.json#/1@melting point", "melting.json#/2@melting point"}
    live.file.write_text(
        "".join(line for line in WHOLE.splitlines(keepends=True) if "iron" not in line),
        encoding="utf-8",
    )
    (gold,) = rows_of(live, run_params, "two").values()
    assert gold["id"] == first["melting.json#/2@melting point"]["id"]


def test_no_stage_knows_of_databases_that_live() -> None:
    for path in (ROOT / "stages").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (psycopg|pymysql)", text, re.MULTILINE), path


@pytest.mark.parametrize(
    ("query", "key", "message"),
    [
        (
            "SELECT * FROM t UNION ALL SELECT * FROM t",
            "id",
            "two rows have the key 1; name columns in `key`",
        ),
        (
            "SELECT NULLIF(id, 2) AS id, name FROM t",
            "id",
            'the key column id is NULL in the row null, "gold"',
        ),
        (
            "SELECT density AS id FROM t",
            "id",
            "the key column id holds 7.874; a key is a whole number or a text",
        ),
        (
            "SELECT CASE WHEN id = 2 THEN 'two' ELSE id END AS id FROM t",
            "id",
            "the key column id holds numbers and texts ('two')",
        ),
        ("SELECT id FROM t", ["id", "name"], "`key` names name, but the query's columns are id"),
        (
            "SELECT id, name AS x, value AS x FROM t",
            "id",
            "the query has several columns called x; give each a name with AS",
        ),
        (
            "SELECT * FROM t WHERE id > 99",
            "id",
            "the query gives no row, and extract refuses an empty source",
        ),
        (
            "SELECT missing FROM t",
            "id",
            "no such column: missing; check the query, and what LIVE_URL's user may read",
        ),
        ("SELECT id FROM t; DELETE FROM t", "id", "You can only execute one statement at a time"),
        ("WITH x AS (SELECT 1) DELETE FROM t", "id", "not authorized; check the query"),
        (
            "SELECT id, CAST(x'ff' AS TEXT) AS bad FROM t",
            "id",
            "row 1, column bad: a text is not UTF-8: \\xff; mend it in the database",
        ),
        ("SELECT id, load_extension('x') FROM t", "id", "not authorized"),
        ("SELECT id, length(zeroblob(900000000)) FROM t", "id", "string or blob too big"),
    ],
)
def test_what_cannot_be_a_snapshot_leaves_the_former_one(
    live: Live, lore: Lore, query: str, key: Any, message: str
) -> None:
    lore("snapshot")
    before = live.left()
    live.declare(DECLARED | {"query": query, "key": key})
    for options in ((), ("--dry-run",)):
        said = lore("snapshot", *options, code=1)
        assert message in said
        assert said.startswith("InputError: melting: ")
        assert said.endswith("\n  as before: data/raw/melting.json\n")
        assert live.file.read_text(encoding="utf-8") == WHOLE
        assert live.left() == before


def test_a_query_that_does_not_end_is_stopped(
    live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n"
    live.declare(DECLARED | {"query": endless})
    monkeypatch.setattr(sqlite_guard, "BASE_ROWS", 2_000)
    monkeypatch.setattr(sqlite_guard, "ROWS_PER_BYTE", 0)
    assert "the query gives more than 2,000 rows, far more than" in lore("snapshot", code=1)
    monkeypatch.setattr(sqlite_guard, "BASE_STEPS", 50_000)
    monkeypatch.setattr(sqlite_guard, "STEPS_PER_BYTE", 0)
    live.declare(DECLARED | {"query": endless.replace("SELECT id FROM", "SELECT max(id) id FROM")})
    assert "stopped after 50,000 steps of SQLite: it may be endless" in lore("snapshot", code=1)
    assert live.left() == ["raw/snapshots.yaml"]


@pytest.mark.parametrize("name", ["a#b.db", "50%41.db", "what?.db", "锡 1.db"])
def test_any_file_name_of_a_database(
    live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    live.database.rename(live.root / name)
    monkeypatch.setenv("LIVE_URL", f"sqlite:///{quote(name)}")
    lore("snapshot")
    assert live.file.read_text(encoding="utf-8") == WHOLE


def test_bytes_and_keys_of_several_columns(live: Live, lore: Lore) -> None:
    live.declare(
        DECLARED | {"query": "SELECT name, id, x'00ff' AS octets FROM t", "key": ["name", "id"]}
    )
    lore("snapshot")
    assert (
        live.file.read_text(encoding="utf-8").splitlines()[1]
        == '"gold/2": {"name": "gold", "id": 2, "octets": "AP8="},'
    )


def test_a_file_that_is_no_snapshot_is_not_overwritten(live: Live, lore: Lore) -> None:
    live.file.write_text("[1]\n")
    assert (
        "data/raw/melting.json is no snapshot and would be overwritten; name another `file`"
        in lore("snapshot", code=1)
    )
    assert live.file.read_text() == "[1]\n"


def test_a_former_snapshot_that_was_edited_is_said(live: Live, lore: Lore) -> None:
    lore("snapshot")
    live.file.write_text(WHOLE.replace("1064", "1065"), encoding="utf-8")
    said = lore("snapshot")
    assert (
        "  ! data/raw/melting.json was not as data/snapshots/melting.json says: edited, or of another version\n"
        in said
    )
    assert "changed 1, new 0, deleted 0, same 2" in said
    live.file.write_text("{}")
    said = lore("snapshot")
    assert (
        "  ! the former data/raw/melting.json cannot be compared row by row: another key, or it was edited\n  new 3\n"
        in said
    )
    live.record.unlink()  # lost: the file alone tells that it is a snapshot
    assert "same 3" in lore("snapshot")
    assert live.record.exists()


def test_another_query_is_said_with_its_columns(live: Live, lore: Lore) -> None:
    lore("snapshot")
    live.declare(DECLARED | {"query": "SELECT id, name, 1 AS one FROM t"})
    said = lore("snapshot")
    assert "  ! the query is not that of the former snapshot\n" in said
    assert "  ! columns: one is new; value is gone; density is gone\n  changed 3" in said
    live.declare(DECLARED | {"query": "SELECT CAST(id AS TEXT) AS id, name FROM t"})
    assert "  new 3\n" in lore("snapshot")
    live.declare(DECLARED | {"query": "SELECT CAST(id AS TEXT) AS id, name FROM t", "key": "name"})
    assert "cannot be compared row by row: another key" in lore("snapshot")


def test_snapshots_of_one_database_are_renewed_together_or_not(
    live: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lore.__main__ import main

    monkeypatch.setenv("OTHER_URL", os.environ["LIVE_URL"])
    good, bad = (
        DECLARED | {"name": "b", "file": "b.json"},
        DECLARED | {"name": "c", "file": "c.json", "query": "SELECT x FROM t"},
    )
    live.declare(good, bad, DECLARED | {"url_env": "OTHER_URL"})
    assert main(["snapshot"]) == 1
    said = capsys.readouterr()
    assert "melting: 3 rows" in said.out
    assert "InputError: c: no such column: x" in said.err
    assert live.left() == ["raw/melting.json", "raw/snapshots.yaml", "snapshots/melting.json"]
    assert main(["snapshot", "b", "melting"]) == 0
    assert live.left() == [
        "raw/b.json",
        "raw/melting.json",
        "raw/snapshots.yaml",
        "snapshots/b.json",
        "snapshots/melting.json",
    ]


def test_one_at_a_time(live: Live, lore: Lore) -> None:
    with (live.root / "data/raw/snapshots.yaml").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another lore snapshot is at work here; wait for it to end" in lore(
            "snapshot", code=1
        )
    lore("snapshot")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            None,
            "the environment variable LIVE_URL is not set; export LIVE_URL='postgresql://user:password@host/database'",
        ),
        ("u:hush@host/db", "LIVE_URL holds no URL that SQLAlchemy can read"),
        ("postgresql://u:hush@host:port/db", "LIVE_URL holds no URL that SQLAlchemy can read"),
        (
            "postgresql://u:hu@sh@host/db",
            "LIVE_URL: a user name or password holds an @; write %40 for it",
        ),
        (
            "oracle://u:hush@host/db",
            "LIVE_URL: oracle is not supported; it can be sqlite, postgresql, mysql, mariadb",
        ),
        ("postgresql+asyncpg://u:hush@host/db", "LIVE_URL: postgresql+asyncpg is not supported"),
        ("sqlite:///gone.db", "LIVE_URL: no SQLite file gone.db; a relative path begins in"),
        ("sqlite://", "LIVE_URL: no SQLite file .; a relative path begins in"),
        (
            "sqlite:///params.yaml",
            "file is not a database; check the query, and what LIVE_URL's user may read",
        ),
        (
            "postgresql://u:hush@127.0.0.1:1/db",
            "no connection to postgresql://u:***@127.0.0.1:1/db: connection failed",
        ),
        ("mysql://u:hush@127.0.0.1:1/db", "no connection to mysql://u:***@127.0.0.1:1/db: (2003, "),
        (
            "mariadb://u:hush@127.0.0.1:1/db?ssl_key=hush",
            "no connection to mariadb://u:***@127.0.0.1:1/db: ",
        ),
        (
            "postgresql://u@127.0.0.1:1/db?password=hush&nonsense=hush",
            "no connection to postgresql://u@127.0.0.1:1/db: ",
        ),
    ],
)
def test_urls_are_never_shown(
    live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch, url: str | None, message: str
) -> None:
    monkeypatch.delenv("LIVE_URL")
    if url:
        monkeypatch.setenv("LIVE_URL", url)
    said = lore("snapshot", code=1)
    assert f"InputError: melting: {message}" in said
    assert "hush" not in said
    assert "hu@" not in said
    assert live.left() == ["raw/snapshots.yaml"]


def test_a_password_is_masked_in_each_form() -> None:
    url = database.make_url(
        "postgresql://u:a%40b%20c%E5%AF%86@host/db?sslpassword=k&sslmode=require"
    )
    said = "a@b c密 a%40b%20c%E5%AF%86 a%40b+c%E5%AF%86 k postgresql://x:y@z require"
    assert database.without_secrets(said, url) == "*** *** *** *** postgresql://x:***@z require"
    error = UnicodeEncodeError("latin-1", "密", 0, 1, "ordinal not in range(256)")
    assert (
        database.explained(error, url, "LIVE_URL", False)
        == "LIVE_URL or the query holds characters that the driver cannot send"
    )


def test_every_mistake_of_the_declaration_is_reported_at_once(live: Live, lore: Lore) -> None:
    live.declare(
        DECLARED | {"url_env": "postgresql://u:hush@host/db"},
        DECLARED | {"key": [], "fiel": "x", "query": "DROP TABLE t"},
        {
            "name": "A b",
            "url_env": "host=h password=hush",
            "query": "SELECT dblink('postgresql://u:hush@h')",
            "key": "id",
            "file": 5,
        },
    )
    said = lore("snapshot", code=1)
    assert said.startswith("ParamsError: data/raw/snapshots.yaml:\n")
    for problem in (
        "snapshots.0.url_env: not the name of an environment variable; put the database's URL into one (export NAME=",
        "snapshots.1.key: list should have at least 1 item",
        "snapshots.1.fiel: unknown; did you mean file?",
        "snapshots.2.name: string should match pattern",
        "snapshots.2.url_env: not the name of an environment variable",
        "snapshots.2.query: holds a URL with a password; passwords come from the environment only",
        "snapshots.2.file: input should be a valid string, got 5",
    ):
        assert problem in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            {"file": "../x.json"},
            "snapshots.0.file: '../x.json' is no path below data/raw that ends in .json",
        ),
        ({"file": "x.csv"}, "snapshots.0.file: 'x.csv' is no path"),
        ({"file": "x\0.json"}, "snapshots.0.file: 'x\\x00.json' is no path"),
        ({"file": "/tmp/x.json"}, "snapshots.0.file: '/tmp/x.json' is no path"),
        (
            {"query": "DELETE FROM t"},
            "snapshots.0.query: one SELECT is needed, which may begin WITH …; it must write nothing",
        ),
        ({"query": "SELECT 1 INTO  OUTFILE '/tmp/x'"}, "snapshots.0.query: one SELECT is needed"),
    ],
)
def test_what_an_entry_may_not_say(
    live: Live, lore: Lore, changed: dict[str, Any], problem: str
) -> None:
    live.declare(DECLARED | changed)
    assert problem in lore("snapshot", code=1)


def test_names_and_files_are_used_once(live: Live, lore: Lore) -> None:
    live.declare(DECLARED, DECLARED)
    said = lore("snapshot", code=1)
    assert "snapshots: the name melting is used 2 times" in said
    assert "snapshots: the file melting.json is used 2 times" in said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("snapshots: []\n", "snapshots: the list is empty"),
        (
            "snapshot: []\n",
            "snapshot: unknown; the file holds `snapshots`, a list\n  snapshots: input should be a valid array",
        ),
        ("snapshots: [5]\n", "snapshots.0: a mapping is needed: name, url_env, query, key, file"),
        (
            "snapshots: [url_env: 'postgresql://u:hush@h\n",
            "data/raw/snapshots.yaml: not readable as YAML",
        ),
    ],
)
def test_a_file_that_declares_nothing(live: Live, lore: Lore, text: str, problem: str) -> None:
    (live.root / "data/raw/snapshots.yaml").write_text(text)
    said = lore("snapshot", code=1)
    assert problem in said
    assert "hush" not in said


def test_no_declaration_and_unknown_names(live: Live, lore: Lore) -> None:
    assert "meltin: no snapshot in data/raw/snapshots.yaml; did you mean melting?" in lore(
        "snapshot", "meltin", code=1
    )
    assert "x: no snapshot in data/raw/snapshots.yaml; declared are melting" in lore(
        "snapshot", "x", code=1
    )
    (live.root / "data/raw/snapshots.yaml").unlink()
    said = lore("snapshot", code=1)
    assert "data/raw/snapshots.yaml: not found" in said
    assert "scenarios/database has an example" in said


@pytest.mark.parametrize(
    "query", ["select 1", "  -- why\n/* x */ WITH a AS (SELECT 1) SELECT * FROM a", "SELECT ';'"]
)
def test_how_a_query_may_begin(query: str) -> None:
    assert declaration.READS.match(query)


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["snapshot", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for words in (
        "export SHOP_URL=",
        "lore snapshot --dry-run",
        "dvc repro",
        "git checkout data/raw data/snapshots",
    ):
        assert words in said


SLOW = """SELECT * FROM t WHERE (
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000 + t.id % 2) SELECT max(i) FROM n) > 0"""


def holds_open(descriptors: str, path: Path) -> bool:
    """Whether a process has a file open. `descriptors` is its folder in /proc."""
    for entry in os.listdir(descriptors):
        try:
            target = os.readlink(f"{descriptors}/{entry}")
        except FileNotFoundError:
            continue  # closed meanwhile
        if target == str(path):
            return True
    return False


@pytest.mark.parametrize("patience", [0.0, 0.2])
def test_a_kill_leaves_the_former_snapshot_and_the_next_run_succeeds(
    live: Live, lore: Lore, patience: float
) -> None:
    lore("snapshot")
    live.sql("UPDATE t SET value = '1'")
    live.rows(*((number, "x", None, None) for number in range(100, 5000)))
    live.declare(DECLARED | {"query": SLOW})
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "lore", "snapshot"],
        cwd=live.root,
        env=environment,
        start_new_session=True,
    )
    opened_file = f"/proc/{process.pid}/fd"
    deadline = time.monotonic() + 30
    while not holds_open(opened_file, live.database):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(patience)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert live.file.read_text(encoding="utf-8") == WHOLE
    live.declare(DECLARED)
    assert "4,903 rows" in lore("snapshot")
    assert live.left() == ["raw/melting.json", "raw/snapshots.yaml", "snapshots/melting.json"]


def test_what_a_kill_while_writing_leaves_is_no_hindrance(live: Live, lore: Lore) -> None:
    for path in (live.file, live.record):
        path.parent.mkdir(exist_ok=True)
        path.with_name(f".{path.name}.partial").write_text("half")
    lore("snapshot")
    assert live.left() == ["raw/melting.json", "raw/snapshots.yaml", "snapshots/melting.json"]


OTHER = DECLARED | {"name": "names", "query": "SELECT id, name FROM t", "file": "names.json"}


class Cut(BaseException):
    """Stands for a kill: nothing of Lorekeep catches it."""


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_snapshots_of_one_database_are_renewed_together_even_by_a_call_that_is_cut_off(
    live: Live,
    lore: Lore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    renames: int,
) -> None:
    live.declare(DECLARED, OTHER)
    lore("snapshot")
    former = live.contents()
    live.sql("UPDATE t SET name = 'tin', value = '232'")
    replace = os.replace
    done = []

    def replace_until_cut(source: Path | str, target: Path | str) -> None:
        takes_its_place = str(target).endswith(".json")
        if takes_its_place and len(done) == renames:
            raise Cut
        replace(source, target)
        if takes_its_place:
            done.append(target)

    monkeypatch.setattr(os, "replace", replace_until_cut)
    with pytest.raises(Cut):
        lore("snapshot")
    monkeypatch.setattr(os, "replace", replace)
    left = live.contents()
    changed = [name for name in former if left[name] != former[name]]
    assert len(changed) == renames
    (problem,) = unfinished.problems()
    assert "was cut off while its files took their places; call lore snapshot again" in problem

    # The database is away, so the next call can only finish what was begun.
    live.database.rename(live.root / "away.db")
    capsys.readouterr()
    assert main(["snapshot"]) == 1
    said = capsys.readouterr().out
    assert "an earlier call was cut off, now complete: data/raw/melting.json, " in said
    finished = live.contents()
    assert all(b"tin" in finished[name] for name in ("raw/melting.json", "raw/names.json"))
    for name, file in (("melting", "melting.json"), ("names", "names.json")):
        digest = hashlib.sha256(finished[f"raw/{file}"]).hexdigest()
        assert json.loads(finished[f"snapshots/{name}.json"])["sha256"] == digest
    assert live.left() == sorted([*former])
    assert unfinished.problems() == []


def test_a_failure_while_files_take_their_places_is_finished_by_the_next_call(
    live: Live, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lore("snapshot")
    live.sql("UPDATE t SET value = '1'")
    replace = os.replace

    def refuse(source: Path | str, target: Path | str) -> None:
        if Path(target) == Path("data/raw/melting.json"):
            raise OSError(30, "Read-only file system")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    assert "Read-only file system" in lore("snapshot", code=1)
    monkeypatch.setattr(os, "replace", replace)
    assert lore("snapshot").startswith("an earlier call was cut off, now complete: ")
    assert b'"value": "1"' in live.file.read_bytes()
    assert live.left() == ["raw/melting.json", "raw/snapshots.yaml", "snapshots/melting.json"]


def test_a_damaged_list_of_places_is_named(live: Live, lore: Lore) -> None:
    lore("snapshot")
    for damaged in (b"{", b"[1]", b'{"a": "b"}', b"\xff", b"[" * 100_000):
        (live.root / "data/snapshots/.places.partial").write_bytes(damaged)
        assert "data/snapshots/.places.partial: not a list of files; git checkout" in lore(
            "snapshot", code=1
        )


@pytest.mark.parametrize("place", ["outside.json", "data/raw/../../outside.json", "{absolute}"])
def test_a_list_that_names_a_place_of_no_snapshot_moves_nothing(
    live: Live, lore: Lore, place: str
) -> None:
    """The list is a file of the project, and a project may come from anybody."""
    lore("snapshot")
    outside = live.root / "outside.json"
    outside.write_text("mine")
    (live.root / ".outside.json.partial").write_text("theirs")
    named = [place.format(absolute=outside)]
    (live.root / "data/snapshots/.places.partial").write_text(json.dumps(named))
    assert "not a list of files" in lore("snapshot", code=1)
    assert outside.read_text() == "mine"

"""A project with a declared snapshot, and a live SQLite database."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
ROWS = [(1, "iron", "1538", 7.874), (2, "gold", "1064", 19.3), (10, "氖", None, 0.1)]
DECLARED = {
    "name": "melting",
    "url_env": "LIVE_URL",
    "query": "SELECT * FROM t",
    "key": "id",
    "file": "melting.json",
}


class Live:
    """The project in `root`."""

    def __init__(self, root: Path) -> None:
        self.root, self.database = root, root / "live.db"
        self.file, self.record = (
            root / "data/raw/melting.json",
            root / "data/snapshots/melting.json",
        )
        self.file.parent.mkdir(parents=True)
        shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
        self.declare(DECLARED)
        self.sql("CREATE TABLE t (id, name, value, density)")
        self.rows(*ROWS)

    def declare(self, *snapshots: dict[str, Any]) -> None:
        with (self.root / "data/raw/snapshots.yaml").open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump({"snapshots": list(snapshots)}, stream)

    def sql(self, statement: str, *rows: tuple[Any, ...]) -> None:
        connection = sqlite3.connect(self.database)
        if rows:
            connection.executemany(statement, rows)
        else:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def rows(self, *rows: tuple[Any, ...]) -> None:
        self.sql("INSERT INTO t VALUES (?, ?, ?, ?)", *rows)

    def left(self) -> list[str]:
        """All files below data."""
        return sorted(
            str(path.relative_to(self.root / "data"))
            for path in (self.root / "data").rglob("*")
            if path.is_file()
        )

    def contents(self) -> dict[str, bytes]:
        """The snapshots and their records: path below data → bytes."""
        found = {}
        for name in self.left():
            if not name.endswith(".partial"):
                found[name] = (self.root / "data" / name).read_bytes()
        return found

"""The example of scenarios/database: a live database and its snapshot give the same facts, and a row keeps its place."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lore.snapshot.declaration import declared
from stages import extract
from stages.core.project.params import Run, load
from stages.core.records import record
from stages.extract import sql_dump
from tests.lore.live import Live

ROOT = Path(__file__).parents[3]
SAME = ("subject", "attribute", "value", "unit", "fact", "meta", "text")


@pytest.fixture
def example(live: Live, monkeypatch: pytest.MonkeyPatch) -> Live:
    shutil.copyfile(ROOT / "dvc.yaml", live.root / "dvc.yaml")
    shutil.copyfile(ROOT / "data/raw/elements.sql", live.root / "data/raw/elements.sql")
    shutil.copyfile(
        ROOT / "scenarios/database/snapshots.yaml", live.root / "data/raw/snapshots.yaml"
    )
    live.database.unlink()
    sql_dump.load(live.root / "data/raw/elements.sql", live.database)
    monkeypatch.setenv("ELEMENTS_URL", f"sqlite:///{live.database}")
    return live


def facts(root: Path, run_params: Run, only: str) -> list[dict[str, Any]]:
    """Records of one source, which extract makes by params.yaml."""
    params, _ = load("extract", extract.Params, root / "params.yaml")
    chosen = extract.Params([source for source in params.sources if source.name == only])
    extract.run(chosen, run_params, root / "data/raw", root / only)
    return record.read(root / only / "records.parquet")


def test_a_snapshot_gives_the_facts_of_its_database(
    example: Live, lore: Callable[..., str], run_params: Run
) -> None:
    direct = facts(example.root, run_params, "elements")
    assert [one.name for one in declared()] == ["properties"]
    lore("snapshot")
    said = lore("overlay", str(ROOT / "scenarios/database/sources.yaml"))
    assert "dvc.yaml: extract reads data/raw/properties.json" in said
    assert "next: git diff --stat; dvc repro; git add -A; git commit" not in lore(
        "snapshot"
    )  # nothing has changed
    through = facts(example.root, run_params, "properties")
    for row, other in zip(through, direct, strict=True):
        assert [row[name] for name in SAME] == [other[name] for name in SAME]
    assert through[0]["locator"] == "properties.json#/1"
    example.sql("DELETE FROM properties WHERE id = 1")
    assert "changed 0, new 0, deleted 1" in lore("snapshot")
    assert facts(example.root, run_params, "properties") == through[1:]

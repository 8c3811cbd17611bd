"""search: records and index of one version answer. While a stage makes them anew, those that dvc.lock records do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lore.retrieval import search
from stages.core.project import artifacts
from stages.core.project.errors import InputError
from stages.core.records.record import write
from stages.core.retrieval import finding
from tests.core.retrieval.test_finding import ROWS, ByWord, index_of, row
from tests.lore.knowledge import Project

BY_WORDS, BY_MEANING = "What is the melting point of iron?", "Does gold tarnish?"
NEW_GOLD = row("4", "Gold is soft.")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose dvc.lock and cache hold records and index, which lie here too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(finding, "Encoder", ByWord)
    made = Project(tmp_path)
    lay_down(ROWS)
    lock(made)
    return made


def lay_down(rows: list[dict[str, Any]]) -> None:
    """Write records and their index."""
    write(Path(artifacts.CLEAN_RECORDS), rows)
    Path(artifacts.INDEX).mkdir(parents=True, exist_ok=True)
    index_of(rows, Path(artifacts.INDEX))
    manifest = {"encoder": "by word", "encoder_sha256": "by word"}
    Path(artifacts.INDEX_MANIFEST).write_text(json.dumps(manifest))


def lock(project: Project) -> None:
    """Write dvc.lock and the cache of what lies here, as DVC does when the stage `index` has ended."""
    cleaned = {"path": artifacts.CLEAN, "md5": project.keep(Path(artifacts.CLEAN))}
    index = {"path": artifacts.INDEX, "md5": project.keep(Path(artifacts.INDEX))}
    stages = {"clean": {"outs": [cleaned]}, "index": {"deps": [cleaned], "outs": [index]}}
    with Path("dvc.lock").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, stream)


def find(question: str) -> tuple[list[str], str]:
    """Return the texts that answer, and the remark."""
    found, remark = search.find(question, 1, 0.5)
    return [each["text"] for each in found.rows], remark


@pytest.mark.usefixtures("project")
def test_what_lies_here_answers() -> None:
    assert find(BY_WORDS) == ([ROWS[0]["text"], ROWS[1]["text"]], "")
    assert find(BY_MEANING) == ([ROWS[3]["text"]], "")


def remove_index() -> None:
    shutil.rmtree(artifacts.INDEX)


def remove_vectors() -> None:
    Path(artifacts.INDEX_VECTORS).unlink()


def remove_records() -> None:
    shutil.rmtree(artifacts.CLEAN)


def remove_both() -> None:
    remove_index()
    remove_records()


def clean_anew_and_remove_index() -> None:
    """As while `index` runs: the records are new, and the index is removed."""
    write(Path(artifacts.CLEAN_RECORDS), [*ROWS[1:3], NEW_GOLD])
    remove_index()


def other_records() -> None:
    """As when `index` was cut off before it removed anything."""
    write(Path(artifacts.CLEAN_RECORDS), ROWS[:3])


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "removed",
    [remove_index, remove_vectors, remove_records, remove_both, clean_anew_and_remove_index, other_records],
)  # fmt: skip
def test_while_a_stage_runs_the_former_version_answers_whole(removed: Callable[[], None]) -> None:
    removed()
    texts, remark = find(BY_MEANING)
    assert texts == ["Gold does not tarnish."]  # neither the new text nor none
    assert remark.startswith("! the version that dvc.lock records answers, since here ")


def test_the_index_is_asked_with_the_records_that_it_was_made_of(project: Project) -> None:
    """When `clean` has ended and `index` has not, dvc.lock names the new records and the old index."""
    document = YAML(typ="safe").load(Path("dvc.lock").read_text())
    write(Path(artifacts.CLEAN_RECORDS), [*ROWS[1:3], NEW_GOLD])
    new = {"path": artifacts.CLEAN, "md5": project.keep(Path(artifacts.CLEAN))}
    document["stages"]["clean"]["outs"] = [new]
    with Path("dvc.lock").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(document, stream)
    remove_index()
    assert find(BY_MEANING)[0] == ["Gold does not tarnish."]
    # What is found by words needs no index, so the new records answer at once.
    assert find(BY_WORDS) == (["iron: melting point 1540 °C"], "")


@pytest.mark.usefixtures("project")
def test_a_cache_that_lacks_the_former_version_is_named() -> None:
    remove_both()
    shutil.rmtree(".dvc/cache")
    with pytest.raises(
        InputError,
        match=r"records\.parquet: not found; .* The former version cannot answer either: data/clean as dvc\.lock "
        r"records it is not in DVC's cache\. Where dvc repro is running, wait",
    ):
        find(BY_MEANING)


@pytest.mark.usefixtures("project")
def test_a_damaged_object_of_the_cache_never_answers() -> None:
    remove_index()
    for path in Path(".dvc/cache/files/md5").rglob("*"):
        if (
            path.is_file() and b"IxM" in path.read_bytes()[:4]
        ):  # FAISS's mark of an index with an id map
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InputError, match=r"records\.faiss as dvc\.lock records it is damaged in DVC's"
    ):
        find(BY_MEANING)


def test_without_a_dvc_lock_it_says_how_to_make_an_index(project: Project) -> None:
    (project.root / "dvc.lock").unlink()
    remove_index()
    with pytest.raises(
        InputError,
        match=r"manifest\.json: not found; run dvc repro index.*dvc\.lock records no index",
    ):
        find(BY_MEANING)


@pytest.mark.usefixtures("project")
def test_an_index_that_was_left_out_is_no_former_version() -> None:
    Path(artifacts.INDEX_MANIFEST).write_text('{"encoder": null}')
    remove_vectors()
    with pytest.raises(
        InputError, match=r"^there is no index: index\.encoder is null; lore overlay"
    ):
        find(BY_MEANING)


@pytest.mark.usefixtures("project")
def test_a_damaged_manifest_is_no_reason_to_look_elsewhere() -> None:
    Path(artifacts.INDEX_MANIFEST).write_text("{")
    with pytest.raises(
        InputError, match=r"^models/index/manifest\.json: no manifest of an index; dvc"
    ):
        find(BY_MEANING)


@pytest.mark.usefixtures("project")
def test_damaged_records_are_no_reason_to_look_elsewhere() -> None:
    Path(artifacts.CLEAN_RECORDS).write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InputError, match=r"records\.parquet: not a (Parquet file|table) \("):
        find(BY_WORDS)


@pytest.mark.usefixtures("project")
def test_the_index_below_another_root_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    index, _ = search.opened(1, tmp_path)
    assert index.ntotal == len(ROWS)

"""versions: tags, HEAD and the files here, each with what git holds of it."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lore.knowledge import Project, answer, fact

IRON, GOLD = fact("iron", "1538"), fact("gold", "1064")
Lore = Callable[..., str]


def test_versions_are_listed_oldest_first(project: Project, lore: Lore) -> None:
    project.version("knowledge@v1.9.0", [IRON], [answer(IRON)])
    project.version(
        "knowledge@v1.10.0", [IRON, GOLD], [answer(IRON), answer(GOLD, "x")], general=(80, 100)
    )
    project.git("tag", "another")
    rows = json.loads(lore("versions", "--json"))
    assert [row["version"] for row in rows] == [
        "knowledge@v1.9.0",
        "knowledge@v1.10.0",
        "HEAD",
        "workspace",
    ]
    assert [row["facts"] for row in rows] == [1, 2, 2, 2]
    assert [row["probes"]["value"] for row in rows] == [1.0, 0.5, 0.5, 0.5]
    assert [row["general"]["value"] for row in rows] == [0.9, 0.8, 0.8, 0.8]
    assert {row["state"] for row in rows} == {"clean"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"]) for row in rows[:3])


def test_what_is_amiss_is_told(project: Project, lore: Lore) -> None:
    project.version("knowledge@v1.0.0", [IRON])
    (project.root / "metrics/register.json").write_text(
        json.dumps({"identity": "0123456789ab" + "c" * 52})
    )
    (project.root / "params.yaml").write_text(
        (project.root / "params.yaml").read_text().replace("100", "200")
    )
    first, *_, head, here, why = lore("versions").splitlines()
    assert why == (
        "! workspace: params.yaml, not as in dvc.lock: train; dvc repro brings the version up to date"
    )
    assert first.split() == [
        "version",
        "commit",
        "date",
        "facts",
        "train:",
        "probes",
        "train:",
        "general",
        "registered",
        "as",
        "state",
    ]
    assert re.search(r"HEAD +\w+ +\S+ +1 +– +– +– +clean", head)
    assert re.search(r"workspace +– +\S+ +1 +– +– +0123456789ab +changed since HEAD", here)
    project.commit()
    assert "not one whole run" in lore("versions").splitlines()[2]


def test_a_version_that_cannot_be_read_does_not_hide_the_others(
    project: Project, lore: Lore
) -> None:
    project.version("knowledge@v1.0.0", [IRON], [answer(IRON)])
    whole = (project.root / "metrics/evaluate.json").read_text()
    (project.root / "metrics/evaluate.json").write_text("{")
    project.commit("knowledge@v1.1.0")
    (project.root / "metrics/evaluate.json").write_text(whole)
    project.version("knowledge@v1.3.0", [IRON, GOLD], [answer(IRON), answer(GOLD)])
    blob = project.git("hash-object", "-w", "params.yaml").strip()
    project.git("tag", "knowledge@v1.2.0", blob)
    project.git("tag", "-d", "knowledge@v1.3.0")
    lines = lore("versions").splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "knowledge@v1.0.0",
        "knowledge@v1.1.0",
        "HEAD",
        "workspace",
        "!",
        "!",
    ]
    assert lines[2].endswith("cannot be read")
    assert "! knowledge@v1.2.0 cannot be read: the tag names no commit" in lines[5]
    assert "! knowledge@v1.1.0: metrics/evaluate.json of knowledge@v1.1.0" in lines[6]
    assert "not readable as JSON" in lines[6]


def test_versions_may_be_named(project: Project, lore: Lore) -> None:
    project.version("a", [IRON])
    project.git("branch", "b")
    assert [row["version"] for row in json.loads(lore("versions", "b", "a", "--json"))] == [
        "b",
        "a",
    ]
    assert "c: no such revision" in lore("versions", "a", "c", code=1)


def test_a_shallow_clone_says_so(
    project: Project, lore: Lore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.version("knowledge@v1.0.0", [IRON])
    project.version("knowledge@v1.1.0", [IRON, GOLD])
    origin = f"file://{project.root}"
    subprocess.run(["git", "clone", "-q", "--depth", "1", origin, tmp_path / "cut"], check=True)
    monkeypatch.chdir(tmp_path / "cut")
    assert lore("versions").splitlines()[-1] == (
        "! this clone is shallow, so older versions and tags may be missing: "
        "git fetch --unshallow --tags brings them"
    )


def test_before_the_first_run(project: Project, lore: Lore) -> None:
    project.commit()
    assert json.loads(lore("versions", "--json"))[0]["facts"] is None


def test_a_project_without_a_commit_says_so(project: Project, lore: Lore) -> None:
    del project
    assert "HEAD: no such revision" in lore("versions", code=1)

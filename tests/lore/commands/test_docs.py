"""lore docs: pages that open without network and say what every rule found, and what contradicts what."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from lore.__main__ import main
from stages import clean, extract
from stages.core.project.params import Run, load, parse

ROOT = Path(__file__).parents[3]
ROWS = "subject,attribute,value,unit\niron,density,7.874,g/cm³\ngold,density,-19.3,g/cm³\nneon,symbol,Ne,\nneon,symbol,Nn,\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one rule, whose extract and clean have run. One density is below zero."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    shutil.copy(ROOT / "data/raw/exclusions.yaml", tmp_path / "data/raw")
    rules = (ROOT / "data/raw/rules.yaml").read_text(encoding="utf-8")
    (tmp_path / "data/raw/rules.yaml").write_text(only_density(rules), encoding="utf-8")
    (tmp_path / "data/raw/a.csv").write_text(ROWS)
    mapping: dict[str, Any] = {name: name for name in ("subject", "attribute", "value", "unit")}
    common = {
        "kind": "csv",
        "name": "a",
        "path": "a.csv",
        "lang": "en",
        "encoding": "utf-8",
        "delimiter": ",",
        "skip_lines": 0,
    }
    problems: list[str] = []
    params = parse({"sources": [common | {"map": mapping}]}, extract.Params, "extract", problems)
    assert params, problems
    run = Run(1, 1, "avx2", "cpu")
    extract.run(params, run, tmp_path / "data/raw", tmp_path / "data/extract")
    cleaning, _ = load("clean", clean.Params)
    clean.run(
        cleaning,
        run,
        Path("data/extract"),
        Path("data/raw/rules.yaml"),
        Path("data/raw/exclusions.yaml"),
        Path("data/clean"),
        Path("metrics/clean.json"),
    )
    return tmp_path


def only_density(rules: str) -> str:
    """The rules file with the rule non_positive_density alone."""
    head = rules[: rules.index("  - name:")]
    first = rules.index("  - name: non_positive_density")
    after = rules.index("  - name: non_positive_mass")
    return head + rules[first:after]


# Great Expectations 1.24 imports a module that Python 3.11 deprecated.
@pytest.mark.filterwarnings("ignore:module 'sre_parse' is deprecated:DeprecationWarning")
def test_pages_name_the_record_and_fetch_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["docs"]) == 0
    assert (
        capsys.readouterr().out
        == "4 records with facts, 1 rules, 1 violations, 1 contradictions: open site/index.html\n"
    )
    pages = {path: path.read_text(encoding="utf-8") for path in (project / "site").rglob("*.html")}
    assert len(pages) >= 3
    for page in pages.values():
        assert not re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="https?://', page)
        assert re.search(r"Lorekeep · data and rules [0-9a-f]{12}", page)
    first = pages[project / "site/index.html"]
    assert re.search(
        r">non_positive_density</td><td [^>]*>a density is positive</td><td [^>]*>1</td>", first
    )
    for link in re.findall(r'href="([^"]+)"', first):
        assert (project / "site" / link).is_file()
    assert any("a.csv#L3" in page for page in pages.values())
    assert '<a href="contradictions.html">Contradictions: 1</a>' in first
    assert (
        "<b>Nn</b> <small>as written<br>a: a.csv#L5</small>"
        in pages[project / "site/contradictions.html"]
    )


@pytest.mark.filterwarnings("ignore:module 'sre_parse' is deprecated:DeprecationWarning")
def test_what_changed_since_the_run_is_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = project / "data/raw/rules.yaml"
    size = rules.stat().st_size
    digest = hashlib.md5(rules.read_bytes(), usedforsecurity=False).hexdigest()
    dependency = {"path": "data/raw/rules.yaml", "hash": "md5", "md5": digest, "size": size}
    lock = {"schema": "2.0", "stages": {"clean": {"cmd": "true", "deps": [dependency]}}}
    (project / "dvc.lock").write_text(json.dumps(lock))
    capsys.readouterr()
    assert main(["docs"]) == 0
    assert "!" not in capsys.readouterr().out
    with rules.open("a") as file:
        file.write("# changed\n")
    assert main(["docs"]) == 0
    first, _ = capsys.readouterr().out.splitlines()
    assert first == (
        "! on disk, not as in dvc.lock: data/raw/rules.yaml; "
        "dvc repro brings the version up to date"
    )


@pytest.mark.parametrize("folder", ["extract", "clean"])
def test_before_a_run_there_is_nothing_to_show(
    project: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    shutil.rmtree(project / "data" / folder)
    assert main(["docs"]) == 1
    message = capsys.readouterr().err
    assert f"InputError: data/{folder}/" in message
    assert ": not found; run the stage that writes it (dvc repro)" in message
    assert not (project / "site").exists()


def test_rules_that_clean_did_not_check_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = project / "data/raw/rules.yaml"
    rules.write_text(rules.read_text().replace("name: non_positive", "name: negative"))
    assert main(["docs"]) == 1
    assert (
        "data/clean: made with a rule non_positive_density that data/raw/rules.yaml does not have; "
        "run dvc repro" in capsys.readouterr().err
    )
    assert not (project / "site").exists()

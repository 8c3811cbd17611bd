"""lore docs: pages that open without network and say what every rule found, and what contradicts what."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from lore.__main__ import main
from stages import extract
from stages.core.project.params import Run, parse

ROOT = Path(__file__).parents[3]
ROWS = "subject,attribute,value,unit\niron,density,7.874,g/cm³\ngold,density,-19.3,g/cm³\nneon,symbol,Ne,\nneon,symbol,Nn,\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose extract has run, with one density below zero."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    for name in ("rules.yaml", "exclusions.yaml"):
        shutil.copy(ROOT / "data/raw" / name, tmp_path / "data/raw")
    (tmp_path / "data/raw/a.csv").write_text(ROWS)
    mapping: dict[str, Any] = {name: name for name in ("subject", "attribute", "value", "unit")}
    mapping["meta"] = {
        name: name for name in ("temperature", "pressure", "melting_point", "boiling_point")
    }
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
    extract.run(params, Run(1, 1, "avx2", "cpu"), tmp_path / "data/raw", tmp_path / "data/extract")
    return tmp_path


# Great Expectations 1.24 imports a module that Python 3.11 deprecated.
@pytest.mark.filterwarnings("ignore:module 'sre_parse' is deprecated:DeprecationWarning")
def test_pages_name_the_record_and_fetch_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = (project / "data/raw/rules.yaml").read_text()
    only_density = (
        rules[: rules.index("  - name:")] + rules[rules.index("  - name: non_positive_density") :]
    )
    (project / "data/raw/rules.yaml").write_text(
        only_density[: only_density.index("  - name: non_positive_mass")]
    )
    assert main(["docs"]) == 0
    assert (
        "4 facts, 1 rules, 1 violations, 1 contradictions: open site/index.html"
        in capsys.readouterr().out
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


def test_before_extract_there_is_nothing_to_show(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project / "data/extract")
    assert main(["docs"]) == 1
    assert (
        "records.parquet: not found; run the stage that writes it (dvc repro)"
        in capsys.readouterr().err
    )
    assert not (project / "site").exists()

"""extract with a memo: byte for byte what it gives without one, and only what changed is read again."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from ruamel.yaml import YAML

from stages import extract
from stages.core import fingerprint, memo
from stages.core.errors import InputError
from stages.core.params import Run, parse
from stages.extract import pages
from stages.extract.pages import Line

ROOT = Path(__file__).parents[2]
RUN = Run(seed=1, threads=1, isa="avx2", device="cpu")
LINE = r"(?P<s>\w+): (?P<v>.+)"
TEXTS = ["iron: 1538", "铁: 1538", "neon: -249\ncopper: 1085", "a title", "", "broken"]
EDITS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([*TEXTS, None])), max_size=4)


def scans(**changed: Any) -> dict[str, Any]:
    common = {"kind": "pages", "name": "scans", "path": "scans/*.png", "lang": "en", "line": LINE}
    return common | {"map": {"subject": "s", "value": "v", "attribute": "line"}} | changed


def run(root: Path, out: Path, *sources: dict[str, Any]) -> dict[str, bytes]:
    problems: list[str] = []
    params = parse({"sources": list(sources)}, extract.Params, "extract", problems)
    assert params is not None, problems
    extract.run(params, RUN, root, out)
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """An engine that reads the text in a file's bytes; the files it read. What follows "broken" cannot be read."""
    return engine_of(monkeypatch)


def engine_of(patch: pytest.MonkeyPatch) -> list[Path]:
    asked: list[Path] = []

    def read(picture: Path, engine: str, lang: str) -> Iterator[tuple[str, Line]]:
        asked.append(picture)
        for number, text in enumerate(picture.read_text(encoding="utf-8").splitlines()):
            if text == "broken":
                raise InputError(f"extract: {picture} cannot be read as a picture; mend or remove it")
            yield f"L{number}", Line(text, 0.9 if lang == "en" else 0.1, (0, number, 9, number + 1))

    patch.setattr(pages, "read_lines", read)
    return asked


@given(st.lists(EDITS, min_size=1, max_size=4))
@settings(deadline=None, max_examples=15)
def test_after_any_edits_the_memo_changes_no_byte(versions: list[list[tuple[str, str | None]]]) -> None:
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        asked, root = engine_of(patch), Path(scratch) / "raw"
        (root / "scans").mkdir(parents=True)
        (root / "scans/always.png").write_text("gold: 1064")
        (root / "more.csv").write_text("s,line,v\ngold,symbol,Au\n")
        table = {"kind": "csv", "name": "t", "path": "more.csv", "lang": "en", "encoding": "utf-8", "delimiter": ","}
        both = (scans(), table | {"skip_lines": 0, "map": {"subject": "s", "attribute": "line", "value": "v"}})
        seen: set[str] = set()
        for edits in versions:
            for name, text in edits:
                path = root / f"scans/{name}.png"
                if text is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_text(text, encoding="utf-8")
            patch.setenv("LOREKEEP_MEMO", f"{scratch}/memo")
            asked.clear()
            warm = run(root, Path(scratch) / "out", *both)
            found = [path.read_text(encoding="utf-8") for path in sorted((root / "scans").iterdir())]
            assert len(asked) == len(set(found) - seen - {"broken"}) + found.count("broken")
            seen |= set(found) - {"broken"}
            patch.setenv("LOREKEEP_MEMO", f"{scratch}/{len(seen)}-{os.urandom(4).hex()}")
            assert run(root, Path(scratch) / "out", *both) == warm


def test_settings_that_the_engine_does_not_see_cost_no_reading(tmp_path: Path, engine: list[Path]) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_text("iron: 1538\nneon: -249")
    run(tmp_path, tmp_path / "out", scans())
    run(tmp_path, tmp_path / "out", scans(line="(?P<s>iron): (?P<v>.+)", name="other", min_confidence=0.5))
    assert len(engine) == 1
    run(tmp_path, tmp_path / "out", scans(lang="zh"))
    assert len(engine) == 2


def test_changed_code_is_not_served(tmp_path: Path, engine: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_text("iron: 1538")
    run(tmp_path, tmp_path / "out", scans())
    copied = tmp_path / "copied"
    shutil.copytree(ROOT / "stages", copied / "stages")
    monkeypatch.setattr(fingerprint, "ROOT", copied)
    fingerprint.sources.cache_clear()
    run(tmp_path, tmp_path / "out", scans())
    assert len(engine) == 1  # the same code in another folder
    code = copied / "stages/extract/delimited.py"
    code.write_text(code.read_text() + "\n")
    run(tmp_path, tmp_path / "out", scans())
    assert len(engine) == 1  # code of another kind
    code = copied / "stages/extract/pages.py"
    code.write_text(code.read_text() + "\n")
    run(tmp_path, tmp_path / "out", scans())
    assert len(engine) == 2
    fingerprint.sources.cache_clear()


def test_what_stands_before_a_fault_is_kept(tmp_path: Path, engine: list[Path]) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_text("iron: 1538\nbroken")
    for _ in range(2):
        report = json.loads(run(tmp_path, tmp_path / "out", scans())["sources.json"])
        assert (report[0]["records"], report[0]["rejected"]) == (1, 1)
    assert len(engine) == 2


def test_the_summary_tells_what_was_done(
    tmp_path: Path, engine: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scans").mkdir()
    for name in "abc":
        (tmp_path / f"scans/{name}.png").write_text(f"{name}: 1")
    run(tmp_path, tmp_path / "out", scans())
    assert "last run" not in capsys.readouterr().out
    (tmp_path / "scans/a.png").write_text("a: 2")
    (tmp_path / "scans/b.png").unlink()
    (tmp_path / "scans/d.png").write_text("d: 1")
    monkeypatch.setattr(memo, "counts", type(memo.counts)())
    run(tmp_path, tmp_path / "out", scans())
    said = capsys.readouterr().out
    assert "extract: 2 files read by an engine, 1 remembered\n" in said
    assert "extract: changed 1, new 1, deleted 1, unchanged 1 since the last run here\n" in said


def page(path: Path, text: str) -> None:
    picture = Image.new("L", (400, 110), 255)
    ImageDraw.Draw(picture).text((30, 30), text, font=ImageFont.load_default(28), fill=0)
    picture.save(path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project of the stage extract alone, with two scanned pages."""
    for name in ("stages", "requirements.lock"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "raw/scans").mkdir(parents=True)
    page(tmp_path / "raw/scans/a.png", "Copper: 1085")
    page(tmp_path / "raw/scans/b.png", "Iron: 1538")
    run_section = {"seed": 1, "threads": 1, "isa": "avx2", "device": "cpu"}
    stage = {"cmd": "python -m stages extract raw out", "deps": ["raw"], "params": ["extract", "run"], "outs": ["out"]}
    documents = {"params": {"run": run_section, "extract": {"sources": [scans()]}}, "dvc": {"stages": {"extract": stage}}}
    for name, document in documents.items():
        YAML(typ="safe").dump(document, tmp_path / f"{name}.yaml")
    (tmp_path / ".dvcignore").write_text((ROOT / ".dvcignore").read_text())
    return tmp_path


def test_dvc_repro_gives_the_same_bytes(project: Path, folder_bytes: Callable[[Path], dict[str, bytes]]) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in ("LOREKEEP_MEMO", "DVC_ROOT")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"

    def dvc(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=project, env=kept | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dvc("init", "--no-scm", "--quiet")
    assert "2 files read by an engine, 0 remembered" in dvc("repro")
    first, lock = folder_bytes(project / "out"), (project / "dvc.lock").read_bytes()
    said = dvc("repro", "--force")
    assert "0 files read by an engine, 2 remembered" in said
    assert "changed 0, new 0, deleted 0, unchanged 2 since the last run here" in said
    assert (folder_bytes(project / "out"), (project / "dvc.lock").read_bytes()) == (first, lock)
    page(project / "raw/scans/b.png", "Iron: 1539")
    assert "1 files read by an engine, 1 remembered" in dvc("repro")
    second, lock = folder_bytes(project / "out"), (project / "dvc.lock").read_bytes()
    assert second != first
    shutil.rmtree(project / ".memo")
    assert "2 files read by an engine, 0 remembered" in dvc("repro", "--force")
    assert (folder_bytes(project / "out"), (project / "dvc.lock").read_bytes()) == (second, lock)


LOADED = """
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from stages.core import fingerprint
from stages.core.lock import canonical
from stages.extract import pages
before = set(sys.modules)
assert list(pages.read_lines(Path(sys.argv[1]), "rapidocr", "en"))
owners = packages_distributions()
names = {name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
found = {canonical(owner) for name in names for owner in owners.get(name, [])}
print(*sorted(found - set(fingerprint.libraries(pages.__name__))))
"""
OPTIONAL = {"attrs", "colorama"}
"""Loaded by a library where they happen to be installed: for its classes and for colours in its log."""


def test_all_that_is_loaded_to_read_a_page_is_in_its_key(tmp_path: Path) -> None:
    page(tmp_path / "a.png", "Iron: 1538")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(tmp_path / "a.png")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    unseen = set(done.stdout.split()) - OPTIONAL
    assert all(f"{library} " in pages.engine_version("rapidocr") for library in unseen), unseen

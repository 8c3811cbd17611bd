"""fingerprint: every file and library that a function's result depends on is in it, and nothing that is not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.core.repeatable import fingerprint
from tests import test_contract

PAGES = "stages.extract.kinds.pages"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of four modules: `a` imports `b` inside a function and `c` as a neighbour; nobody imports `d`."""
    package = tmp_path / "stages" / "deep"
    package.mkdir(parents=True)
    (tmp_path / "stages/__init__.py").write_text("")
    (package / "__init__.py").write_text("import numpy\n")
    (package / "a.py").write_text(
        "from .c import g\n\ndef f():\n    from stages.deep import b\n    import PIL.Image\n"
    )
    (package / "b.py").write_text("import json\n")
    (package / "c.py").write_text("import nowhere_to_be_had\n")
    (package / "d.py").write_text("import lxml\n")
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    for function in (fingerprint.sources, fingerprint.tables, fingerprint.libraries):
        function.cache_clear()
    yield tmp_path
    for function in (fingerprint.sources, fingerprint.tables, fingerprint.libraries):
        function.cache_clear()


def test_sources_are_what_is_imported(project: Path) -> None:
    assert [path.name for path in fingerprint.sources("stages.deep.a")] == ["a.py", "b.py", "c.py"]
    assert [path.name for path in fingerprint.sources("stages.deep")] == ["__init__.py"]


def test_libraries_are_what_is_imported_and_installed(project: Path) -> None:
    from importlib.metadata import version

    assert fingerprint.libraries("stages.deep.a") == {
        "nowhere-to-be-had": "",
        "pillow": version("pillow"),
    }


@pytest.mark.parametrize(
    ("file", "same"), [("a", False), ("b", False), ("c", False), ("d", True), ("__init__", True)]
)
def test_an_edit_counts_where_it_is_imported(project: Path, file: str, same: bool) -> None:
    before = fingerprint.of("stages.deep.a")
    path = project / "stages/deep" / f"{file}.py"
    path.write_text(path.read_text() + "x = 1\n")
    assert (fingerprint.of("stages.deep.a") == before) is same


def test_a_library_or_a_kernel_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint.of("stages.deep.a")
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "libraries", lambda _: {"pillow": "1"})
        assert fingerprint.of("stages.deep.a") != before
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "another")
    assert fingerprint.of("stages.deep.a") != before


def test_a_table_beside_a_source_counts_as_its_code(project: Path) -> None:
    package = project / "stages/deep"
    before = fingerprint.of("stages.deep.a")
    (package / "data").mkdir()
    (package / "data/units.csv").write_text("m,metre\n")
    fingerprint.tables.cache_clear()
    with_table = fingerprint.of("stages.deep.a")
    assert with_table != before
    (package / "data/units.csv").write_text("m,meter\n")
    assert fingerprint.of("stages.deep.a") not in (before, with_table)


def test_workers_compare_the_tables_of_clean() -> None:
    names = {path.name for path in fingerprint.tables("stages.clean.passes.writing")}
    assert {"units.csv", "chinese_surnames.txt"} <= names


def test_requirements_of_requirements_are_libraries() -> None:
    found = fingerprint.libraries(PAGES)
    assert {
        "pillow",
        "numpy",
        "rapidocr",
        "opencv-python-headless",
        "pyclipper",
        "pydantic-core",
    } <= set(found)
    assert not {"mlflow", "torch", "pytest"} & set(found)
    assert {"pypdfium2", "rapidocr"} <= set(fingerprint.libraries("stages.extract.kinds.pdf"))
    assert {"pocketsphinx", "soundfile", "scipy", "transformers", "torch"} <= set(
        fingerprint.libraries("stages.extract.kinds.audio")
    )


def test_the_contract_sees_the_same_files() -> None:
    """Two implementations, one in the tests, follow imports; what they leave out is the same."""
    wanted: set[Path] = set()
    todo = [fingerprint.ROOT / "stages/extract/kinds/pages.py"]
    while todo:
        path = todo.pop()
        if (
            path not in wanted
            and str(path.relative_to(fingerprint.ROOT)) != "stages/core/mlflow/tracking.py"
        ):
            wanted.add(path)
            todo += test_contract.imported(path, fingerprint.ROOT)
    named = {fingerprint.ROOT / "stages/__init__.py", fingerprint.ROOT / "stages/core/__init__.py"}
    assert set(fingerprint.sources(PAGES)) | named == wanted | named
    assert {f"{name.replace('.', '/')}.py" for name in fingerprint.NEUTRAL} <= test_contract.NEUTRAL


def test_code_of_others_is_refused() -> None:
    with pytest.raises(
        ImportError,
        match=r"json: no module of this project, so its code cannot be told from another",
    ):
        fingerprint.of("json")


def remembering() -> list[str]:
    """Modules that have results remembered."""
    files = (fingerprint.ROOT / "stages").rglob("*.py")
    return sorted(
        fingerprint.name_of(path)
        for path in files
        if "memo.remembered(" in path.read_text(encoding="utf-8")
    )


def test_no_module_that_is_remembered_is_imported_by_a_computed_name() -> None:
    assert {PAGES, "stages.extract.kinds.pdf", "stages.extract.kinds.audio"} <= set(remembering())
    for path in {path for module in remembering() for path in fingerprint.sources(module)}:
        calls = [
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.Call)
        ]
        assert not {"importlib.import_module", "import_module", "__import__"} & set(calls), path

"""What is fuzzed: each target takes bytes, and raises where a promise is broken.

A promise is the same everywhere: an error that is raised on purpose (`LorekeepError`) is an answer,
every other exception is a fault. The readers promise more: the tables agree with the counts, and no
two records have one id.
"""

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from stages import clean, extract
from stages.augment.wordings import read_wordings
from stages.clean import exclusions
from stages.clean.values.dates import find_dates
from stages.clean.values.normalise import normalise_row
from stages.clean.values.quantities import find_quantities
from stages.clean.values.unusable import Unusable
from stages.clean.verifying.rules import read_rules
from stages.core.project import stage_modules
from stages.core.project.errors import InputError, LorekeepError, RecordError
from stages.core.project.params import Run, parse, read_yaml
from stages.core.records import record

Target = Callable[[bytes], None]
Row = dict[str, Any]

RUN = Run(1, 1, "avx2", "cpu")
FACT_MAP: Row = {"subject": "name", "facts": [{"attribute": "hardness", "value": "h", "unit": "u"}]}
FACT_MAP |= {"text": "note", "meta": {"date": "d"}}
TEXT_MAP: Row = {"subject": "title", "text": "text"}
SOURCES: dict[str, tuple[str, Row]] = {
    "csv": ("x.csv", {"kind": "csv", "encoding": "auto", "map": FACT_MAP}),
    "json": ("x.json", {"kind": "json", "items": "", "map": FACT_MAP}),
    "jsonl": ("x.jsonl", {"kind": "jsonl", "map": FACT_MAP}),
    "xml": ("x.xml", {"kind": "xml", "element": "item", "map": FACT_MAP}),
    "sql": (
        "x.sql",
        {"kind": "sql", "query": "SELECT * FROM t ORDER BY id", "table": "t", "key": "id"}
        | {"map": FACT_MAP},
    ),
    "markdown": ("x.md", {"kind": "document", "map": TEXT_MAP}),
    "html": ("x.html", {"kind": "document", "map": TEXT_MAP}),
    "text": ("x.txt", {"kind": "document", "map": TEXT_MAP}),
    "pdf": ("x.pdf", {"kind": "pdf", "map": TEXT_MAP}),
}
"""Readers that take no engine: name of the target → name of the file, settings of the source."""
UNITS = {"hardness": "kg", "length": "m", "warmth": "°C", "share": "%"}


def read_source(name: str, data: bytes) -> None:
    """Extract one file, and compare the tables with the counts."""
    file, settings = SOURCES[name]
    params = source_params(name)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "raw").mkdir()
        (root / "raw" / file).write_bytes(data)
        with contextlib.redirect_stdout(io.StringIO()):
            extract.run(params, RUN, root / "raw", root / "out")
        records = record.read(root / "out/records.parquet")
        rejected = record.read(root / "out/rejected.parquet", record.REJECTED)
        (entry,) = json.loads((root / "out/sources.json").read_text(encoding="utf-8"))
    assert entry["records"] == len(records)
    assert entry["rejected"] == len(rejected)
    assert entry["units"] <= len(records) + len(rejected)
    ids = [row["id"] for row in records]
    assert len(set(ids)) == len(ids), f"{settings['kind']}: two records have one id"
    assert all(row["reason"] for row in rejected)


@cache
def source_params(name: str) -> extract.Params:
    """Return the settings of a source of `SOURCES`."""
    file, settings = SOURCES[name]
    problems: list[str] = []
    source = {"name": "x", "path": file, "lang": "en"} | settings
    params = parse({"sources": [source]}, extract.Params, "extract", problems)
    assert params, problems
    return params


def find_in_text(data: bytes) -> None:
    """Find dates and quantities in a text: they lie in it, in order, without overlap."""
    text = data.decode("utf-8", errors="replace")
    for lang in ("en", "zh"):
        for spans in (find_dates(text, lang, True), find_quantities(text, lang)):
            end = 0
            for span in spans:
                assert end <= span.start < span.end <= len(text)
                end = span.end


def normalise_field(data: bytes) -> None:
    """Normalise a fact. Lines of the data: attribute, value, unit, date."""
    cells = (data.decode("utf-8", errors="replace").split("\n") + [""] * 4)[:4]
    attribute = [*UNITS, "name"][sum(cells[0].encode()) % 5]
    value, unit, date = (" ".join(cell.split()) for cell in cells[1:])
    row: Row = dict.fromkeys(record.SCHEMA.names) | {"id": "1", "lang": "en", "kind": "fact"}
    row |= {"source": "x", "locator": "x#1", "subject": "s", "attribute": attribute, "fact": "f"}
    row |= {"value": value or "1", "unit": unit or None, "parents": []}
    row["text"] = record.fact_text("s", attribute, row["value"], row["unit"])
    row["meta"] = record.to_meta({"date": date} if date else {})
    with contextlib.suppress(Unusable):
        normalised = normalise_row(row, normalising())
        json.dumps(normalised, allow_nan=False).encode()


@cache
def normalising() -> Any:
    """Return settings of clean with units and a date."""
    problems: list[str] = []
    settings = {"normalise": {"units": UNITS, "dates": ["date"]}}
    params = parse(settings, clean.Params, "clean", problems)
    assert params, problems
    return params.normalise


def follow_path(data: bytes) -> None:
    """Read a document of one item by a path: first line the path, then the item as JSON."""
    path, _, item = data.partition(b"\n")
    name = path.decode("utf-8", errors="replace").strip() or "a"
    source = {"name": "x", "path": "x.jsonl", "lang": "en", "kind": "jsonl"}
    source |= {"map": {"subject": name, "text": name}}
    problems: list[str] = []
    params = parse({"sources": [source]}, extract.Params, "extract", problems)
    if params is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "raw").mkdir()
        (root / "raw/x.jsonl").write_bytes(item.replace(b"\n", b" "))
        with contextlib.redirect_stdout(io.StringIO()):
            extract.run(params, RUN, root / "raw", root / "out")


def read_params(data: bytes) -> None:
    """Check params.yaml as `lore overlay` and the stages do."""
    with yaml_file(data) as path:
        document = read_yaml(path)
        problems: list[str] = []
        for name, section in document.items():
            if name in stage_modules.module_names():
                parse(section, stage_modules.load(name).Params, name, problems)
            elif name == "run":
                parse(section, Run, name, problems)


def read_rules_file(data: bytes) -> None:
    """Read a rules file."""
    with yaml_file(data) as path:
        read_rules(path)


def read_exclusions(data: bytes) -> None:
    """Read an exclusions file."""
    with yaml_file(data) as path:
        exclusions.read(path)


def read_wordings_file(data: bytes) -> None:
    """Read a wordings file."""
    with yaml_file(data) as path:
        read_wordings(path, ["hardness"], 1, 1)


def merge_locks(data: bytes) -> None:
    """Merge three dvc.locks, parted by a line `---`, as git's merge driver does."""
    from lore.commands import merge_driver

    parts = [*data.split(b"\n---\n"), b"", b"", b""][:3]
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, part in enumerate(parts):
            path = Path(folder) / f"{number}.lock"
            path.write_bytes(part)
            paths.append(path)
        options = merge_driver_options(paths)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            merge_driver.run(options)


def merge_driver_options(paths: list[Path]) -> Any:
    """Return the options with which git calls the driver: base, ours, theirs."""
    import argparse

    from lore.commands import merge_driver

    parser = argparse.ArgumentParser()
    merge_driver.add_arguments(parser)
    return parser.parse_args([str(path) for path in paths])


@contextlib.contextmanager
def yaml_file(data: bytes) -> Any:
    """Yield a file of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_bytes(data)
        yield path


TARGETS: dict[str, Target] = {name: partial(read_source, name) for name in SOURCES}
TARGETS |= {
    "texts": find_in_text,
    "fields": normalise_field,
    "path": follow_path,
    "params": read_params,
    "rules": read_rules_file,
    "exclusions": read_exclusions,
    "wordings": read_wordings_file,
    "lock": merge_locks,
}
"""Name → function."""


def judge(name: str, data: bytes) -> str:
    """Run a target. Return `answered`, or the error that was raised on purpose, in one line.

    Any other exception passes: it is a fault. So does a RecordError, which only a bug can cause.
    """
    try:
        TARGETS[name](data)
    except RecordError:
        raise
    except LorekeepError as error:
        message = " ".join(str(error).split())
        assert message, "an error without a message"
        if isinstance(error, InputError):
            assert "Traceback" not in message
        return f"{type(error).__name__}: {message}"
    return "answered"

"""What is fuzzed: each target takes bytes, and raises where a promise is broken.

A promise is the same everywhere: an error that is raised on purpose (`LorekeepError`) is an answer,
every other exception is a fault. The readers promise more: the tables agree with the counts, and no
two records have one id. No recognition engine runs: of sound and pictures, only the opening is tried.
"""

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from itertools import islice
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
CHOICES: dict[str, list[tuple[str, Row]]] = {
    "csv_settings": [
        ("x.csv", {"kind": "csv", "map": FACT_MAP} | further)
        for further in (
            {"escape": "\\"},
            {"escape": "", "lines": "keep"},
            {"escape": "/", "quote": "'"},
            {"quote": "", "delimiter": "\t"},
            {"columns": ["name", "h", "u", "note", "d"]},
            {"skip_lines": 1, "lang": "auto"},
            {"decimal": ",", "thousands": ".", "delimiter": ";"},
            {"delimiter": " ", "escape": "\\"},
            {"encoding": "utf-16"},
            {"encoding": "gb18030", "columns": ["name", "note", "h", "u", "d"]},
            {"where": {"h": ["6.5", None]}, "delimiter": "|", "quote": "$"},
        )
    ],
    "json_settings": [
        ("x.json", {"kind": "json", "map": FACT_MAP} | further)
        for further in (
            {"items": "*"},
            {"items": "a.*.b", "map": {"subject": "a/(key)", "text": "name"}},
            {"items": ".", "map": {"subject": "a.*.name", "text": "."}},
            {"items": "a", "map": {"subject": "(key)", "text": "x.(json).b", "meta": {"d": "/d"}}},
            {"items": "", "columns": "header", "lang": "auto"},
            {"items": "", "columns": ["name", "h", "u", "note", "d"], "decimal": ","},
            {"items": "", "map": {"subject": 0, "text": [1, "2.(json)"]}},
            {"items": "", "encoding": "auto", "where": {"h": [6.5, None]}, "lines": "keep"},
        )
    ],
    "tables": [
        (file, {"kind": "document"} | further)
        for file in ("x.md", "x.html", "x.txt")
        for further in (
            {"unit": "row", "map": {"subject": "row", "text": "caption", "meta": {"g": "group"}}},
            {"unit": "row", "map": {"subject": "column 1", "text": "column 2"}, "header_rows": 0},
            {
                "unit": "cell",
                "map": {"subject": "row", "attribute": "header_name", "value": "cell"},
            },
            {
                "unit": "cell",
                "map": {"subject": "row", "attribute": "header", "value": "cell"},
                "header_rows": 2,
            },
            {"unit": "paragraph", "map": TEXT_MAP, "lines": "keep"},
            {"unit": "section", "map": TEXT_MAP, "max_characters": 20, "lang": "auto"},
        )
    ],
}
"""Readers with further settings. The first byte of the data chooses one of them."""
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A folder whose files stay in memory, where the system has one."""
UNITS = {"hardness": "kg", "length": "m", "warmth": "°C", "share": "%"}


def read_source(name: str, data: bytes) -> None:
    """Extract one file, and compare the tables with the counts."""
    file, _ = SOURCES[name]
    read_file(file, source_params(name), data)


def read_with_settings(name: str, data: bytes) -> None:
    """Extract one file with settings that the first byte chooses, and compare as `read_source` does."""
    if not data:
        return
    number = data[0] % len(CHOICES[name])
    file, _ = CHOICES[name][number]
    read_file(file, chosen_params(name, number), data[1:])


def read_file(file: str, params: extract.Params, data: bytes) -> None:
    """Extract one file of one source, and compare the tables with the counts."""
    if in_memory:
        read_in_memory(file, params, data)
        return
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
    assert entry["units"] <= len(records) + len(rejected) + entry.get("skipped", 0)
    ids = [row["id"] for row in records]
    assert len(set(ids)) == len(ids), f"{entry['kind']}: two records have one id"
    assert all(row["reason"] for row in rejected)


in_memory = False
"""Whether the tables stay in memory, and no run is compared with the one before. That is ten times as
fast. Records of one id are then not looked for."""


class MemoryTable(record.Table):
    """A table whose rows become columns, and are then forgotten."""

    def __init__(self, schema: Any) -> None:
        """`schema`: its columns."""
        super().__init__(Path("memory"), schema, None)  # type: ignore[arg-type]

    def end_group(self) -> None:
        """Make columns of the rows. Raises RecordError where a text cannot be written."""
        self._end_batch()
        self.group = []
        self.group_size = 0


def read_in_memory(file: str, params: extract.Params, data: bytes) -> None:
    """Extract one file of one source without writing tables, and compare their rows with the counts."""
    records, rejected = MemoryTable(record.SCHEMA), MemoryTable(record.REJECTED)
    skipped = MemoryTable(record.REJECTED)
    (source,) = params.sources
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        root = Path(folder)
        (root / file).write_bytes(data)
        files = extract.files_of(params, root)
        with contextlib.redirect_stdout(io.StringIO()):
            entry = extract.extract_source(
                source, 1, files["x"], root, records, rejected, skipped, params.names
            )
    for table in (records, rejected, skipped):
        table.end_group()
    json.dumps(entry, allow_nan=False).encode()
    assert (entry["records"], entry["rejected"]) == (records.rows, rejected.rows)
    assert entry.get("skipped", 0) == skipped.rows
    assert entry["units"] <= records.rows + rejected.rows + skipped.rows


@cache
def source_params(name: str) -> extract.Params:
    """Return the settings of a source of `SOURCES`."""
    file, settings = SOURCES[name]
    return params_of(file, settings)


@cache
def chosen_params(name: str, number: int) -> extract.Params:
    """Return the settings of a source of `CHOICES`."""
    file, settings = CHOICES[name][number]
    return params_of(file, settings)


def params_of(file: str, settings: Row) -> extract.Params:
    """Return params with one source."""
    problems: list[str] = []
    source = {"name": "x", "path": file, "lang": "en"} | settings
    params = parse({"sources": [source]}, extract.Params, "extract", problems)
    assert params, problems
    return params


def read_with_mapping(data: bytes) -> None:
    """Extract a table by a mapping of its own: first line `where` and `map` as JSON, then the CSV."""
    line, _, table = data.partition(b"\n")
    try:
        settings = json.loads(line)
    except (ValueError, RecursionError):
        return
    if not isinstance(settings, dict):
        return
    problems: list[str] = []
    source = {"map": {"subject": "name", "text": "note"}} | settings
    source |= {"name": "x", "path": "x.csv", "lang": "en", "kind": "csv"}
    params = parse({"sources": [source]}, extract.Params, "extract", problems)
    assert params or problems
    if params:
        read_file("x.csv", params, table)


def clean_table(data: bytes) -> None:
    """Extract and clean a CSV: read = kept + rejected, the JSON is strict, and the ids are unique."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "raw").mkdir()
        (root / "raw/x.csv").write_bytes(data)
        (root / "rules.yaml").write_text(RULES, encoding="utf-8")
        (root / "exclusions.yaml").write_text(EXCLUSIONS, encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()):
            extract.run(source_params("csv"), RUN, root / "raw", root / "extract")
            clean.run(
                cleaning(),
                RUN,
                root / "extract",
                root / "rules.yaml",
                root / "exclusions.yaml",
                root / "clean",
                root / "clean.json",
            )
        report = read_strictly(root / "clean.json")
        for name in ("contradictions.json", "violations.json"):
            read_strictly(root / "clean" / name)
        kept = record.read(root / "clean/records.parquet")
        rejected = record.read(root / "clean/rejected.parquet", record.REJECTED)
    assert report["read"] == report["kept"] + report["rejected"]
    assert (len(kept), len(rejected)) == (report["kept"], report["rejected"])
    ids = [row["id"] for row in kept]
    assert len(set(ids)) == len(ids), "two kept records have one id"
    assert all(row["reason"] for row in rejected)


RULES = """\
differences: {}
rules:
- name: heavy
  when: {attribute: hardness}
  expect: {column: number, min: 0, max: 1000}
  message: nothing is that heavy
- name: note
  when: {attribute: hardness}
  expect: {column: date, matches: '[0-9]{4}.*'}
  message: a date begins with its year
  severity: warn
"""
EXCLUSIONS = "facts: []\nsubjects: []\nrecords: []\nsources: []\n"


def read_strictly(path: Path) -> Any:
    """Read a JSON file that may hold no NaN and no Infinity."""
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=no_number)


def no_number(name: str) -> Any:
    """Refuse a number that is none of JSON."""
    raise AssertionError(f"{name} is no number of JSON")


def read_declaration(data: bytes) -> None:
    """Read a declaration of snapshots. No message shows a password."""
    from lore.snapshot import declaration

    with yaml_file(data) as path:
        said = ""
        try:
            declaration.declared(path)
        except LorekeepError as error:
            said = str(error)
    assert declaration.masked(said) == said, "a message shows a password"
    if said:
        raise InputError(said)


def open_sound(data: bytes) -> None:
    """Read the samples of a sound file, within the bounds."""
    from stages.extract.kinds import audio

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.wav"
        path.write_bytes(data)
        samples = audio.samples_of(path)
    assert samples.dtype == "int16"
    assert len(samples) <= (audio.MOST_SECONDS + audio.BLOCK) * audio.RATE


def open_picture(data: bytes) -> None:
    """Read the pages of a picture, up to 20."""
    from stages.extract.engines import ocr
    from stages.extract.kinds import pages

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.png"
        path.write_bytes(data)
        read = list(islice(pages.images(path), 20))
    assert read
    for page in read:
        if isinstance(page, str):
            assert page
        else:
            assert page.mode == "RGB"
            assert page.width * page.height <= ocr.MOST_PIXELS


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


@cache
def cleaning() -> clean.Params:
    """Return settings of clean with units, a date, and personal data that is masked."""
    problems: list[str] = []
    settings = {
        "normalise": {"units": UNITS, "dates": ["date"]},
        "personal": {"actions": {"email": "mask", "phone": "reject"}},
    }
    params = parse(settings, clean.Params, "clean", problems)
    assert params, problems
    return params


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
TARGETS |= {name: partial(read_with_settings, name) for name in CHOICES}
TARGETS |= {
    "mapping": read_with_mapping,
    "clean": clean_table,
    "snapshots": read_declaration,
    "sound": open_sound,
    "picture": open_picture,
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

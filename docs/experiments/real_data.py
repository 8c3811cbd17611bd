"""What becomes of real data by configuration alone? Run extract and clean on every folder and count again without them.

    PYTHONPATH=. python docs/experiments/real_data.py <folder of the real data> <result.csv or result.md>

From the project's root. The mappings are those of scenarios/ and of real_data.yaml beside this script; there are no rules.
Every line must add up in three ways. Extract must read as many units as the csv, json, sqlite3, re and expat modules of
Python count. A source's `where` must skip as many as the json module skips. Clean must keep or reject every record that it
reads. Nothing else can count what OCR or a speech engine finds. There only the last must hold, and every file must give at
least one unit. Seconds are those of the processor. It needs no network: `unshare -rn` before the command takes it away.
"""

import csv
import importlib
import json
import os
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from xml.parsers import expat

from lore.commands.overlay import merge
from stages import clean, extract
from stages.core.project import runtime
from stages.core.project.errors import LorekeepError, ParamsError
from stages.core.project.params import Run, parse, read_section, read_yaml

ROOT = Path(__file__).parents[2]
NO_RULES = "differences: {}\nrules: []\n"
EXCLUSIONS = ROOT / "data/raw/exclusions.yaml"
COLUMNS = [
    "folder",
    "files",
    "units",
    "counted",
    "skipped",
    "read",
    "kept",
    "rejected",
    "reasons",
    "seconds",
]
RECOGNISED = ("pages", "pdf", "audio")
"""Kinds of sources whose units only the engine that reads them can count."""
Row = dict[str, Any]


def overlays() -> dict[str, Row]:
    """Every overlay of params.yaml by the folder of real data it is for."""
    found: dict[str, Row] = {}
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        overlay = read_yaml(path)
        first_source = overlay["extract"]["sources"][0]
        found[folder_of(first_source["path"])] = overlay
    return found | read_yaml(Path(__file__).with_suffix(".yaml"))


def folder_of(path: str) -> str:
    """The folder of real data in which a source stands; `.` where it reads several."""
    # Cut off the first name with a sign of a pattern, and all behind it: "notes/a*/b.txt" → "notes/".
    fixed = re.split(r"[^/]*[*?\[]", path)[0]
    return fixed.split("/")[0] or "."


def settings(overlay: Row) -> tuple[extract.Params, clean.Params]:
    """params.yaml, cleared of the elements, with the overlay laid over it as `lore overlay` does.

    Raises ParamsError with every problem.
    """
    document = read_yaml(ROOT / "params.yaml")
    for laid in (read_yaml(ROOT / "docs/profiles/blank.yaml"), overlay):
        list(merge(document, laid))
    problems = [
        f"{section}: no such section" for section in overlay if section not in ("extract", "clean")
    ]
    reading = parse(document["extract"], extract.Params, "extract", problems)
    cleaning = parse(document["clean"], clean.Params, "clean", problems)
    if reading is None or cleaning is None or problems:
        raise ParamsError("\n".join(problems))
    return reading, cleaning


def result_of(folder: str, overlay: Row, root: Path, run: Run) -> Row:
    """One line of the table. A folder that is refused shows the message."""
    reading, cleaning = settings(overlay)
    files = list(files_of(overlay, root))
    row: Row = {"folder": folder, "files": len({path for _, path in files})}
    if all(source["kind"] not in RECOGNISED for source, _ in files):
        row["counted"] = sum(units_counted(source, path) for source, path in files)
        row["others"] = sum(
            others_counted(source, path) for source, path in files if "where" in source
        )
    started = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        os.environ["LOREKEEP_MEMO"] = f"{name}/memo"  # what is remembered takes no time
        try:
            row |= stages_on(reading, cleaning, root, Path(name), run)
        except LorekeepError as error:
            message = str(error).replace(f"{root}/", "").replace(f"{name}/extract", "<folder>")
            row["reasons"] = f"refused: {' '.join(message.split())}"
    return row | {"seconds": f"{time.process_time() - started:.1f}"}


def stages_on(
    reading: extract.Params, cleaning: clean.Params, root: Path, folder: Path, run: Run
) -> Row:
    """Both stages, and what they counted."""
    (folder / "rules.yaml").write_text(NO_RULES, encoding="utf-8")
    extract.run(reading, run, root, folder / "extract")
    clean.run(
        cleaning,
        run,
        folder / "extract",
        folder / "rules.yaml",
        EXCLUSIONS,
        folder / "clean",
        folder / "clean.json",
    )
    report = json.loads((folder / "clean.json").read_text(encoding="utf-8"))
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in report["reasons"].items())
    sources = report["sources"].values()
    row: Row = {name: report[name] for name in ("read", "kept", "rejected")}
    row["units"] = sum(source.get("units", 0) for source in sources)
    row["skipped"] = sum(source.get("skipped", 0) for source in sources)
    row["reasons"] = reasons
    return row


def files_of(overlay: Row, root: Path) -> Iterator[tuple[Row, Path]]:
    """Every source with every file of it."""
    for source in overlay["extract"]["sources"]:
        for path in sorted(root.glob(source["path"])):
            yield source, path


def units_counted(source: Row, path: Path) -> int:
    """Units of a file, counted without the project's readers; a file of a pattern without any is one."""
    counters = {
        "csv": rows_in_csv,
        "json": items_in_json,
        "jsonl": lines_in,
        "xml": elements_in_xml,
        "sql": rows_in_sql,
        "document": parts_in_document,
    }
    count = counters[source["kind"]]
    least = 1 if "*" in source["path"] else 0
    return max(count(source, path), least)


def rows_in_csv(source: Row, path: Path) -> int:
    """By the csv module, which reads the file as a whole."""
    quoting = csv.QUOTE_MINIMAL if source.get("quote", '"') else csv.QUOTE_NONE
    encoding = encoding_of(path) if source["encoding"] == "auto" else source["encoding"]
    with path.open(encoding=encoding, newline="") as file:
        for _ in range(source["skip_lines"]):
            next(file)
        reader = csv.reader(file, delimiter=source["delimiter"], quoting=quoting)
        rows = sum(bool("".join(row).strip()) or len(row) > 1 for row in reader)
    return rows if "columns" in source else rows - 1  # the header


def encoding_of(path: Path) -> str:
    """The first under which all of a file decodes."""
    content = path.read_bytes()
    has_mark = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    candidates = ("utf-16", "utf-8-sig") if has_mark else ("utf-8-sig",)
    for name in candidates:
        try:
            content.decode(name)
        except UnicodeDecodeError:
            continue
        return name
    return "latin-1"


def parts_in_document(source: Row, path: Path) -> int:
    """Paragraphs of plain text; of Markdown the headings that text follows, each as many as its length asks for."""
    text = path.read_text(encoding=encoding_of(path))
    if source.get("unit") == "paragraph":
        parts = re.split(r"\n[ \t]*\n", text.replace("\f", ""))  # at empty lines
    else:
        parts = re.split(r"^#+ .*$", text, flags=re.MULTILINE)  # at headings: "## Use"
    return sum(bool(part.strip()) for part in parts)


def items_in_json(source: Row, path: Path) -> int:
    """By the json module; a document that it cannot read is one rejected unit."""
    if source["items"] == ".":
        return 1
    try:
        nodes = [json.loads(path.read_bytes())]
    except (ValueError, RecursionError):
        return 1
    for name in filter(None, source["items"].split(".")):
        if name == "*":
            nodes = list(chain.from_iterable(nodes))
        else:
            nodes = [node[name] for node in nodes]
    return sum(len(node) if isinstance(node, (list, dict)) else 1 for node in nodes)


def others_counted(source: Row, path: Path) -> int:
    """Entries of a JSON document's list that `where` does not ask for; of several nodes the first counts."""
    entries = json.loads(path.read_bytes())[source["items"]]
    others = 0
    for entry in entries:
        for dotted, wanted in source["where"].items():
            if first(entry, dotted.split(".")) != wanted:
                others += 1
                break
    return others


def first(node: Any, names: list[str]) -> Any:
    """What stands at the end of the names."""
    for name in names:
        node = node[0] if isinstance(node, list) and node else node
        node = node.get(name) if isinstance(node, dict) else None
    return node


def lines_in(source: Row, path: Path) -> int:
    """Lines that are not empty."""
    return sum(bool(line.strip()) for line in path.read_bytes().split(b"\n"))


def elements_in_xml(source: Row, path: Path) -> int:
    """By expat; what follows a syntax error is one unit."""
    count = 0

    def end(name: str) -> None:
        nonlocal count
        count += source["element"] in ("*", name.rpartition(":")[2])

    parser = expat.ParserCreate()
    parser.EndElementHandler = end
    try:
        parser.Parse(path.read_bytes(), True)
    except expat.ExpatError:
        count += 1
    return count


def rows_in_sql(source: Row, path: Path) -> int:
    """By sqlite3 alone."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return len(connection.execute(source["query"]).fetchall())
    finally:
        connection.close()


def adds_up(row: Row) -> bool:
    """Whether a line of the table does; one that was refused has nothing to add."""
    if "units" not in row:
        return True
    if "counted" in row and row["units"] != row["counted"]:
        return False
    if "counted" not in row and row["units"] < row["files"]:
        return False
    if row["skipped"] != row.get("others", 0):
        return False
    return bool(row["read"] == row["kept"] + row["rejected"])


def write(rows: list[Row], path: Path) -> None:
    """The table, as CSV or Markdown by the file's ending."""
    if path.suffix == ".md":
        lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
        for row in rows:
            cells = [shown(row.get(name, "")) for name in COLUMNS]
            lines.append(f"| {' | '.join(cells)} |")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def shown(value: Any) -> str:
    """A cell of the table."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> int:
    """Run every folder that is there; 1 where a line does not add up."""
    root, result = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    run = read_section("run", Run)
    runtime.prepare(run)
    importlib.import_module("great_expectations")  # its seconds belong to no folder
    rows = []
    for folder, overlay in sorted(overlays().items()):
        if (root / folder).is_dir():
            rows.append(result_of(folder, overlay, root, run))
    write(rows, result)
    wrong = [row["folder"] for row in rows if not adds_up(row)]
    print(f"{len(rows)} folders; not adding up: {', '.join(wrong) or 'none'}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

"""Dates, quantities and field values: this project beside quantulum3, Recognizers-Text and dateparser, on the same labels.

    PYTHONPATH=. python docs/experiments/spans_peers.py second open [--errors project] [--only project] [--venvs FOLDER]
    PYTHONPATH=. python docs/experiments/spans_peers.py second sealed
    PYTHONPATH=. python docs/experiments/spans_peers.py first tuning|sealed --data <folder of the real data>

The labels of both sets stand in tests/stages/spans/. Each library is installed into an environment of its own, in a temporary
folder or in `--venvs`, which is kept; the project's own environment stays as it is. `spans_workers.py` runs there.

A find is right if it overlaps a label and says the same. Its ends do not count, as each library has a convention of its own.
Every label and every find is used once. A field value is read, or set aside. Precision: right among what was found or read.
Recall: right among what is to be found or read. "wrongly kept": what a careful reader sets aside, and was read. An optional
label counts only where something was found over it, so the numbers of labels differ a little.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import venv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from math import isclose
from pathlib import Path
from typing import Any

import spans  # beside this file

Row = dict[str, Any]
WORKERS = Path(__file__).parent / "spans_workers.py"
PEERS = {
    "quantulum3": ["quantulum3==0.10.0"],
    "recognizers": ["recognizers-text-suite==1.0.2a2", "emoji==1.7.0"],  # it needs emoji < 2
    "dateparser": ["dateparser==1.5.0"],
}
"""Each library, and what is installed for it."""
READS = {
    "project": ("date", "quantity"),
    "quantulum3": ("quantity",),
    "recognizers": ("date", "quantity"),
    "dateparser": ("date",),
}
"""What each of them reads."""
UNIT_NAMES = {"%": "percent", "delta °C": "delta_degC", "°C": "degC"}


def rows_of(which: str, half: str, data: Path | None) -> list[Row]:
    """The rows of a half of a set, each with `id` and `task`."""
    if which == "second":
        lines = (spans.LABELS / "second" / f"{half}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in lines.splitlines()]
    assert data, "--data: the first set names sentences of the real data"
    found = []
    for text, row in spans.load(data, half):
        found.append(row | {"id": row["sha256"], "task": "sentence", "text": text})
    return found


# What each library reads


def readings(name: str, rows: list[Row], environments: Path) -> dict[str, Row]:
    """What a library makes of each row, by id."""
    if name == "project":
        return {row["id"]: own(row) for row in rows}
    python = environment(environments / name, PEERS[name])
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    done = subprocess.run(
        [python, WORKERS, name],
        input=lines,
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
        env={"PYTHONUTF8": "1"},
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {reading["id"]: reading for reading in found}


def environment(folder: Path, packages: list[str]) -> Path:
    """The Python of an environment that holds these packages. It is made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def own(row: Row) -> Row:
    """What this project makes of a row. Nothing is known about the order of day and month in a sentence."""
    from stages.clean.values import dates, quantities
    from stages.clean.values.normalise import clean_text
    from stages.clean.values.unusable import Unusable

    if row["task"] == "sentence":
        finds = dates.find_dates(row["text"], row["lang"], None)
        finds += quantities.find_quantities(row["text"], row["lang"])
        return {"finds": [found._asdict() for found in finds]}
    value = clean_text(row["value"])
    unit = clean_text(row["unit"]) if row.get("unit") else None
    try:
        if row["task"] == "date":
            return {"read": date_reader()(value, row["order"] == "dmy")}
        read = quantities.quantity(value, unit, row["wanted"], 15, **declared(row))
    except Unusable:
        return {"read": None}
    except ArithmeticError:
        # Older versions stop at 1e99999999. A traceback gives no reason, so it counts as wrong.
        return {"read": {"value": "0", "unit": row["wanted"]}}
    return {"read": spans.quantity(f"{read} {row['wanted']}")}


def date_reader() -> Callable[[str, bool], str]:
    """The project's reader of a date field. Older versions, which are compared too, keep it in `dates`."""
    try:
        module = importlib.import_module("stages.clean.values.date_fields")
    except ModuleNotFoundError:
        module = importlib.import_module("stages.clean.values.dates")
    reader: Callable[[str, bool], str] = module.iso_date
    return reader


def declared(row: Row) -> dict[str, Any]:
    """How the source of a value writes numbers, for the project's reader. Older versions know no such declaration."""
    form = getattr(importlib.import_module("stages.clean.values.numbers"), "NumberForm", None)
    if not form or not (row.get("decimal") or row.get("thousands")):
        return {}
    return {"form": form(row["decimal"], row["thousands"])}


# Scores


def same(kind: str, found: Any, wanted: Any) -> bool:
    """Whether a find says what its label says."""
    if kind == "date":
        return bool(found == wanted)
    found = parts_of(found)
    if found is None or found.keys() != wanted.keys():
        return False
    for name in wanted:
        if name == "unit":
            continue
        one, two = spans.amount(found, name), spans.amount(wanted, name)
        if one is None or two is None or one.units != two.units:
            return False
        if not isclose(one.magnitude, two.magnitude, rel_tol=1e-6, abs_tol=1e-12):
            return False
    return True


def parts_of(found: Any) -> Any:
    """A quantity as its parts: `5–10 mg` as {"low", "high", "unit"}."""
    return spans.quantity(found) if isinstance(found, str) else found


def pairs(kind: str, labels: list[Row], finds: list[Row]) -> Iterator[tuple[Row | None, list[Row]]]:
    """Each label with the finds that belong to it, then each other find alone.

    Of the finds that overlap a label the one that says the same belongs to it, or else the first. Finds over an ambiguous
    label belong to nothing and are left out.
    """
    rest = sorted(finds, key=lambda one: (one["start"], one["end"]))
    for label in labels:
        over = [one for one in rest if one["start"] < label["end"] and label["start"] < one["end"]]
        if label.get("ambiguous"):
            chosen = over
        elif is_range(label):
            chosen = over
            yield label, over
        else:
            right = [one for one in over if same(kind, one["normal"], label["normal"])]
            chosen = (right or over)[:1]
            yield label, chosen
        rest = [one for one in rest if one not in chosen]
    for one in rest:
        yield None, [one]


def is_range(label: Row) -> bool:
    """Whether a label is a range of dates with a part left out."""
    return label["kind"] == "date" and "/" in label.get("normal", "")


def is_right(kind: str, label: Row | None, finds: list[Row]) -> bool:
    """Whether the finds of a label say the same. A range may be found as one, or as its two ends."""
    if not label or not finds:
        return False
    normals = [one["normal"] for one in finds]
    if is_range(label):
        return normals in ([label["normal"]], label["normal"].split("/"))
    return same(kind, normals[0], label["normal"])


def sentence_scores(
    rows: list[Row], read: dict[str, Row], kind: str
) -> tuple[dict[str, Counter[str]], list[str]]:
    """By language: labels, finds and right finds of one kind. And a line for each error."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    errors = []
    for row in rows:
        if row["task"] != "sentence":
            continue
        labels = [label for label in row["spans"] if label["kind"] == kind]
        finds = [one for one in read[row["id"]]["finds"] if one["kind"] == kind]
        for label, chosen in pairs(kind, labels, finds):
            if label and label.get("optional") and not chosen:
                continue
            right = is_right(kind, label, chosen)
            # A right range counts once, also where it was found as its two ends.
            found = 1 if right else len(chosen)
            counts[row["lang"]].update(labels=label is not None, found=found, right=right)
            if not right:
                wanted = label and label["normal"]
                said = [one["normal"] for one in chosen]
                errors.append(f"{kind}: wanted {wanted}, found {said} in {row['text']!r}")
    return counts, errors


def field_scores(
    rows: list[Row], read: dict[str, Row], task: str
) -> tuple[Counter[str], list[str]]:
    """Field values of one task: to be read, read, right, to be set aside, wrongly kept. And the errors."""
    count: Counter[str] = Counter()
    errors = []
    for row in rows:
        if row["task"] != task:
            continue
        found = read[row["id"]]["read"]
        if task == "quantity":
            found = of_dimension(found, row["wanted"])
        if row.get("optional") and found is None:
            continue
        expected = row["expected"]
        right = found is not None and expected is not None and in_unit(task, found, row)
        aside = expected is None
        count.update(
            labels=not aside,
            found=found is not None,
            right=right,
            aside=aside,
            kept=aside and found is not None,
        )
        is_well = right or (aside and found is None)
        if not is_well:
            said = f"{row['value']!r} {row.get('unit') or ''}"
            errors.append(f"{task} field {said}: wanted {expected}, read {found}")
    return count, errors


def in_unit(task: str, found: Any, row: Row) -> bool:
    """Whether a field was read as expected."""
    if task == "date":
        return bool(found == row["expected"])
    return same(task, unit_named(found), row["expected"] | {"unit": unit_name(row["wanted"])})


def of_dimension(found: Any, wanted: str) -> Any:
    """A quantity as it was read, or None where its unit does not convert to the wanted one."""
    if found is None:
        return None
    name = next(name for name in found if name != "unit")
    one = spans.amount(unit_named(found), name)
    two = spans.amount({"value": "1", "unit": unit_name(wanted)}, "value")
    if one is None or two is None or one.units != two.units:
        return None
    return found


def unit_named(found: Row) -> Row:
    """A quantity with its unit as pint's parser reads it."""
    return found | {"unit": unit_name(found["unit"])}


def unit_name(unit: str) -> str:
    """A unit as pint's parser reads it."""
    return UNIT_NAMES.get(unit, unit).replace("·", "*")


def line(cells: list[str], right: int, found: int, labels: int, last: str = "") -> str:
    """A line of the table."""
    precision, recall, _ = spans.ratios(right, found, labels)
    parts = [*cells, str(labels), str(found), str(right), precision, recall, last]
    return f"| {' | '.join(parts)} |"


def main() -> None:
    """Print one table of all libraries."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("set", choices=["first", "second"])
    parser.add_argument("half", choices=["tuning", "open", "sealed"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", action="append", choices=list(READS))
    parser.add_argument("--errors", action="append", choices=list(READS), default=[])
    parser.add_argument("--venvs", type=Path)
    chosen = parser.parse_args()
    if chosen.errors and chosen.half == "sealed":
        parser.error("--errors: the sealed half is there to be counted, not read")
    rows = rows_of(chosen.set, chosen.half, chosen.data)
    head = "library|what|language|labels|found|right|precision|recall|wrongly kept".split("|")
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    errors: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        environments = chosen.venvs or Path(temporary)
        for name in chosen.only or READS:
            read = readings(name, rows, environments)
            for kind in READS[name]:
                counts, wrong = sentence_scores(rows, read, kind)
                for lang, count in sorted(counts.items()):
                    cells = [name, kind, lang]
                    print(line(cells, count["right"], count["found"], count["labels"]))
                if name in chosen.errors:
                    errors += wrong
            for task in READS[name]:
                count, wrong = field_scores(rows, read, task)
                if count:
                    last = f"{count['kept']} of {count['aside']}"
                    cells = [name, f"{task} fields", ""]
                    print(line(cells, count["right"], count["found"], count["labels"], last))
                if name in chosen.errors:
                    errors += wrong
    print("\n".join(["", *errors]), file=sys.stderr)


if __name__ == "__main__":
    main()

"""Write the sources of data/raw from the table of facts, with the dirt that real sources have.

`python data/authoring/build.py` writes data/raw and planted.jsonl, the ledger of what was planted where and the reason
it must be rejected for. `--elements iron,copper --out FOLDER` writes a smaller domain somewhere else. Same input, same
bytes.

Every fault sits in an additional row, never in the only good statement of a fact. The forms are those of sources that
grew apart: the database has three temperature scales and dates in seven styles, the sheets have kelvin, the old list
has Fahrenheit and cp1252.
"""

import argparse
import csv
import datetime
import json
import random
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from cards import on_pages_alone
from faults import FAULTS, Raw, Row, plant

HERE = Path(__file__).parent
CONSTANTS = ["symbol", "atomic number", "molar mass", "melting point", "boiling point", "density"]
PER_FAULT = 2
SECOND_OPINIONS = 40
"""Melting points that the old list states too, in another unit: no contradiction."""
DISPUTED = {"copper": 40.0, "zinc": -25.0, "tungsten": 150.0, "gold": 12.0}
"""Melting points the old list has wrong, by so many kelvin: contradictions."""
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
STYLES = ["%Y-%m-%d", "%d/%m/%Y", "%d %B %Y", "%b %d, %Y", "%Y%m%d", "%Y年%m月%d日", "%Y"]
WET_STEAM = {
    "subject": "water",
    "state": "liquid",
    "temperature": "120 °C",
    "pressure": "1 atm",
    "melting_point": "",
    "boiling_point": "",
    "remark": "",
}
Item = Row | Raw


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--elements", help="names, separated by commas; default: all 118")
    parser.add_argument("--out", type=Path, default=HERE.parent / "raw")
    parser.add_argument(
        "--ledger", type=Path, help="default: planted.jsonl beside this script, for a full build"
    )
    options = parser.parse_args()
    with (HERE / "elements.csv").open(encoding="utf-8") as file:
        elements = [on_pages_alone(element) for element in csv.DictReader(file)]
    if options.elements:
        wanted = options.elements.split(",")
        elements = [element for element in elements if element["name"] in wanted]
    ledger = options.ledger
    if ledger is None and not options.elements:
        ledger = HERE / "planted.jsonl"
    planted = write_sources(good_rows(elements), options.out, random.Random(2026), PER_FAULT)
    if ledger:
        write_lines(ledger, planted)


def good_rows(elements: list[Row]) -> dict[str, list[Row]]:
    """The rows of each source before any fault."""
    rows: dict[str, list[Row]] = {
        "elements": [],
        "sheets": [],
        "discoveries": [],
        "uses": [],
        "legacy": [],
    }
    for number, element in enumerate(elements):
        rows["elements"] += constants(element)
        if element["state"]:
            rows["sheets"].append(sheet(element))
        if element["discovery year"] or element["discoverer"]:
            rows["discoveries"].append(discovery(element))
        if element["use"] or element["note"]:
            use = {"element": element["name"], "use": element["use"], "note": element["note"]}
            rows["uses"].append(use)
        rows["legacy"] += old_list(element, number)
    return rows


def constants(element: Row) -> list[Row]:
    """Database rows of one element."""
    rng = random.Random(f"constants {element['name']}")
    rows = []
    for attribute in CONSTANTS:
        if element[attribute]:
            value, unit = restated(attribute, element[attribute], rng)
            rows.append(
                {"subject": element["name"], "attribute": attribute, "value": value, "unit": unit}
            )
            rows[-1]["reviewed"] = review_date(rng)
    return rows


def restated(attribute: str, value: str, rng: random.Random) -> tuple[str, str]:
    """Value and unit as one of those who fed the database wrote them; converts back at four digits."""
    number = float(value) if attribute in CONSTANTS[2:] else 0.0
    if attribute in ("melting point", "boiling point"):
        kelvin = f"{number + 273.15:.2f}"
        fahrenheit = f"{number * 1.8 + 32:.3f}".rstrip("0").rstrip(".")
        return rng.choice([(value, "°C"), (kelvin, "K"), (fahrenheit, "°F")])
    if attribute == "density":
        return rng.choice([(value, "g/cm³"), (f"{number * 1000:.6g}", "kg/m³")])
    if attribute == "molar mass":
        return rng.choice([(value, "g/mol"), (f"{number / 1000:.7f}".rstrip("0"), "kg/mol")])
    return value, ""


def review_date(rng: random.Random) -> str:
    """A date in one of the styles."""
    day = datetime.date(2015, 1, 1) + datetime.timedelta(days=rng.randrange(3600))
    return day.strftime(rng.choice(STYLES))


def sheet(element: Row) -> Row:
    """The safety sheet of one element: its state, and the conditions it was seen under, in kelvin."""
    row = {
        "subject": element["name"],
        "state": element["state"],
        "temperature": "293.15 K",
        "pressure": "1 atm",
    }
    for name in ("melting point", "boiling point"):
        row[name.replace(" ", "_")] = (
            f"{float(element[name]) + 273.15:.2f} K" if element[name] else ""
        )
    return row | {"remark": ""}


def discovery(element: Row) -> Row:
    """Date and discoverer of one element; the year, now and then with a day that the archive has added."""
    rng = random.Random(f"discovery {element['name']}")
    year, day, month = element["discovery year"], rng.randint(1, 28), rng.randint(1, 12)
    month_name = MONTHS[month - 1]
    styles = [
        *[year] * 4,
        f"{year}-{month:02d}-{day:02d}",
        f"{day} {month_name} {year}",
        f"{year}年{month}月{day}日",
    ]
    date = rng.choice(styles) if year else ""
    return {
        "subject": element["name"],
        "date": date,
        "by": element["discoverer"],
        "place": element["place"],
        "remark": "",
    }


def old_list(element: Row, number: int) -> list[Row]:
    """What the old list says of one element: its category, and for some a melting point in °F or K."""
    common = {"subject": element["name"], "checked": "2009"}
    rows = []
    if element["category"]:
        rows.append(common | {"attribute": "category", "value": element["category"], "unit": ""})
    if element["melting point"] and (number < SECOND_OPINIONS or element["name"] in DISPUTED):
        kelvin = float(element["melting point"]) + 273.15 + DISPUTED.get(element["name"], 0.0)
        value, unit = f"{kelvin:.2f}", "K"
        if number % 2 == 0:
            value, unit = f"{kelvin * 1.8 - 459.67:.2f}", "°F"
        rows.append(common | {"attribute": "melting point", "value": value, "unit": unit})
    return rows


def write_sources(
    good: dict[str, list[Row]], out: Path, rng: random.Random, per_fault: int
) -> list[dict[str, str]]:
    """Write the five files with `per_fault` faults of each kind mixed in, and return the ledger."""
    out.mkdir(parents=True, exist_ok=True)
    ledger = []
    for source, rows in good.items():
        items: list[tuple[Item, str, str]] = [(row, "", "") for row in rows]
        for name, (reason, *_) in FAULTS[source].items():
            wanted = 4 * per_fault if name == "boilerplate" else per_fault
            for _ in range(wanted):
                faulty = plant(rng, source, name, rows)
                if faulty is None:
                    continue
                # Behind the good rows: of two equal rows the first is kept.
                position = rng.randint(len(rows), len(items))
                items.insert(position, (faulty, name, reason))
        if source == "sheets" and per_fault:
            # The textbook case, which fits no element.
            items.append((WET_STEAM, "wet_steam", "state_contradicts_conditions"))
        if source == "legacy":
            for number, (row, name, _) in enumerate(items):
                if is_disputed(row) and not name:
                    items[number] = (row, "disputed", "contradiction")
        write = WRITERS[source]
        locators = write(out, [row for row, _, _ in items])
        for locator, (_, name, reason) in zip(locators, items, strict=True):
            if reason:
                entry = {"source": source, "locator": locator, "fault": name, "reason": reason}
                ledger.append(entry)
    return ledger


def is_disputed(row: Item) -> bool:
    """Whether the old list's row contradicts the database."""
    return (
        isinstance(row, dict) and row["attribute"] == "melting point" and row["subject"] in DISPUTED
    )


def write_elements(out: Path, items: list[Item]) -> list[str]:
    """The database as a text dump: one statement a line, so that git can compare and merge it."""
    rows = [item for item in items if isinstance(item, dict)]
    names = list(dict.fromkeys(row["subject"] for row in rows if row["subject"]))
    lines = [
        "-- Physical constants of the elements. `element` is null where the import lost it.",
        "CREATE TABLE elements (id INTEGER PRIMARY KEY, name TEXT NOT NULL);",
        "CREATE TABLE properties (id INTEGER PRIMARY KEY, element INTEGER REFERENCES elements (id), property TEXT, value TEXT, "
        "unit TEXT, reviewed TEXT);",
    ]
    lines += [
        f"INSERT INTO elements VALUES ({names.index(name) + 1}, {sql(name)});" for name in names
    ]
    for number, row in enumerate(rows, start=1):
        element = names.index(row["subject"]) + 1 if row["subject"] else "NULL"
        cells = ", ".join(sql(row[name]) for name in ("attribute", "value", "unit", "reviewed"))
        lines.append(f"INSERT INTO properties VALUES ({number}, {element}, {cells});")
    text = "\n".join(lines) + "\n"
    sqlite3.connect(":memory:").executescript(text)  # it must load
    (out / "elements.sql").write_text(text, encoding="utf-8")
    return [f"elements.sql#properties/{number}" for number in range(1, len(rows) + 1)]


def sql(text: str) -> str:
    """A SQL literal; nothing is NULL."""
    return "'" + text.replace("'", "''") + "'" if text else "NULL"


def write_sheets(out: Path, items: list[Item]) -> list[str]:
    """Safety sheets as XML."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<sheets>"]
    locators = []
    rows = [item for item in items if isinstance(item, dict)]
    for number, row in enumerate(rows, start=1):
        temperature, pressure = quoteattr(row["temperature"]), quoteattr(row["pressure"])
        conditions = f"temperature={temperature} pressure={pressure}"
        lines.append(f"  <sheet>\n    <substance>{escape(row['subject'])}</substance>")
        if row["state"]:
            lines.append(f"    <state {conditions}>{row['state']}</state>")
        for name in ("melting_point", "boiling_point", "remark"):
            if row[name]:
                lines.append(f"    <{name}>{escape(row[name])}</{name}>")
        lines.append("  </sheet>")
        suffix = "@state" if row["state"] else "@text"
        locators.append(f"sheets.xml#sheet[{number}]{suffix}")
    lines.append("</sheets>")
    (out / "sheets.xml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return locators


def write_discoveries(out: Path, items: list[Item]) -> list[str]:
    """Discoveries as nested JSON."""
    entries: list[dict[str, Any]] = []
    locators = []
    rows = [item for item in items if isinstance(item, dict)]
    for number, row in enumerate(rows):
        discovered = {"date": row["date"], "by": {"name": row["by"]}, "place": row["place"]}
        entry: dict[str, Any] = {"element": {"name": row["subject"]}, "discovery": discovered}
        if row["remark"]:
            entry["remark"] = row["remark"]
        entries.append(entry)
        suffix = "@discoverer"
        if row["remark"]:
            suffix = "@text"
        elif row["date"]:
            suffix = "@discovery year"
        locators.append(f"discoveries.json#/archive/entries/{number}{suffix}")
    document = {"archive": {"compiled": "2011", "entries": entries}}
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    (out / "discoveries.json").write_text(text, encoding="utf-8")
    return locators


def write_uses(out: Path, items: list[Item]) -> list[str]:
    """Uses and notes as JSON Lines."""
    lines, locators = [], []
    for number, item in enumerate(items, start=1):
        if isinstance(item, Raw):
            lines.append(item.content)
            locators.append(f"uses.jsonl#L{number}")
            continue
        row = {name: value for name, value in item.items() if value}
        lines.append(json.dumps(row, ensure_ascii=False).encode())
        suffix = "@use" if item["use"] else "@text"
        locators.append(f"uses.jsonl#L{number}{suffix}")
    (out / "uses.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return locators


def write_legacy(out: Path, items: list[Item]) -> list[str]:
    """The old list: semicolons, cp1252, a title above the header."""
    lines = [
        "Elements of the old stock list; exported 2009".encode("cp1252"),
        b"Element;Property;Value;Unit;Checked",
    ]
    columns = ("subject", "attribute", "value", "unit", "checked")
    for item in items:
        if isinstance(item, Raw):
            lines.append(item.content)
        else:
            cells = [item[name] for name in columns]
            lines.append(";".join(cells).encode("cp1252"))
    (out / "legacy.csv").write_bytes(b"\r\n".join(lines) + b"\r\n")
    return [f"legacy.csv#L{number}" for number in range(3, len(items) + 3)]


def write_lines(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """JSON Lines."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


WRITERS = {
    "elements": write_elements,
    "sheets": write_sheets,
    "discoveries": write_discoveries,
    "uses": write_uses,
    "legacy": write_legacy,
}

if __name__ == "__main__":
    main()

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
    ledger = options.ledger or (None if options.elements else HERE / "planted.jsonl")
    planted = write_sources(good_rows(elements), options.out, random.Random(2026), PER_FAULT)
    if ledger:
        write_lines(ledger, planted)


def good_rows(elements: list[Row]) -> dict[str, list[Row]]:
    """The rows of each source before any fault."""
    return {
        "elements": [row for element in elements for row in constants(element)],
        "sheets": [sheet(element) for element in elements if element["state"]],
        "discoveries": [
            discovery(element)
            for element in elements
            if element["discovery year"] or element["discoverer"]
        ],
        "uses": [
            {"element": element["name"], "use": element["use"], "note": element["note"]}
            for element in elements
            if element["use"] or element["note"]
        ],
        "legacy": [
            row for number, element in enumerate(elements) for row in old_list(element, number)
        ],
    }


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
        return rng.choice(
            [
                (value, "°C"),
                (f"{number + 273.15:.2f}", "K"),
                (f"{number * 1.8 + 32:.3f}".rstrip("0").rstrip("."), "°F"),
            ]
        )
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
    name = "January February March April May June July August September October November December".split()[
        month - 1
    ]
    styles = [year] * 4 + [
        f"{year}-{month:02d}-{day:02d}",
        f"{day} {name} {year}",
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
        value, unit = (
            (f"{kelvin:.2f}", "K") if number % 2 else (f"{kelvin * 1.8 - 459.67:.2f}", "°F")
        )
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
            for _ in range(per_fault * (4 if name == "boilerplate" else 1)):
                if (faulty := plant(rng, source, name, rows)) is not None:
                    # Behind the good rows: of two equal rows the first is kept.
                    items.insert(rng.randint(len(rows), len(items)), (faulty, name, reason))
        if source == "sheets" and per_fault:  # the textbook case: it fits no element
            items.append((WET_STEAM, "wet_steam", "state_contradicts_conditions"))
        if source == "legacy":
            items = [(row, "disputed", "contradiction") if is_disputed(row) and not name else (row, name, reason)
                     for row, name, reason in items]  # fmt: skip
        places = WRITERS[source](out, [item for item, _, _ in items])
        for place, (_, name, reason) in zip(places, items, strict=True):
            if reason:
                ledger.append({"source": source, "locator": place, "fault": name, "reason": reason})
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
    places = []
    for number, row in enumerate((item for item in items if isinstance(item, dict)), start=1):
        conditions = (
            f"temperature={quoteattr(row['temperature'])} pressure={quoteattr(row['pressure'])}"
        )
        lines.append(f"  <sheet>\n    <substance>{escape(row['subject'])}</substance>")
        if row["state"]:
            lines.append(f"    <state {conditions}>{row['state']}</state>")
        for name in ("melting_point", "boiling_point", "remark"):
            if row[name]:
                lines.append(f"    <{name}>{escape(row[name])}</{name}>")
        lines.append("  </sheet>")
        places.append(f"sheets.xml#sheet[{number}]" + ("@state" if row["state"] else "@text"))
    (out / "sheets.xml").write_text("\n".join([*lines, "</sheets>"]) + "\n", encoding="utf-8")
    return places


def write_discoveries(out: Path, items: list[Item]) -> list[str]:
    """Discoveries as nested JSON."""
    entries, places = [], []
    for number, row in enumerate(item for item in items if isinstance(item, dict)):
        found = {"date": row["date"], "by": {"name": row["by"]}, "place": row["place"]}
        entries.append({"element": {"name": row["subject"]}, "discovery": found})
        if row["remark"]:
            entries[-1]["remark"] = row["remark"]
        suffix = "@text" if row["remark"] else "@discovery year" if row["date"] else "@discoverer"
        places.append(f"discoveries.json#/archive/entries/{number}{suffix}")
    document = {"archive": {"compiled": "2011", "entries": entries}}
    (out / "discoveries.json").write_text(
        json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    return places


def write_uses(out: Path, items: list[Item]) -> list[str]:
    """Uses and notes as JSON Lines."""
    lines, places = [], []
    for number, item in enumerate(items, start=1):
        if isinstance(item, Raw):
            lines.append(item.content)
            places.append(f"uses.jsonl#L{number}")
        else:
            row = {name: value for name, value in item.items() if value}
            lines.append(json.dumps(row, ensure_ascii=False).encode())
            places.append(f"uses.jsonl#L{number}" + ("@use" if item["use"] else "@text"))
    (out / "uses.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return places


def write_legacy(out: Path, items: list[Item]) -> list[str]:
    """The old list: semicolons, cp1252, a title above the header."""
    lines = [
        "Elements of the old stock list; exported 2009".encode("cp1252"),
        b"Element;Property;Value;Unit;Checked",
    ]
    columns = ("subject", "attribute", "value", "unit", "checked")
    for item in items:
        content = (
            item.content
            if isinstance(item, Raw)
            else ";".join(item[name] for name in columns).encode("cp1252")
        )
        lines.append(content)
    (out / "legacy.csv").write_bytes(b"\r\n".join(lines) + b"\r\n")
    return [f"legacy.csv#L{number}" for number in range(3, len(items) + 3)]


def write_lines(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """JSON Lines."""
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )


WRITERS = {
    "elements": write_elements,
    "sheets": write_sheets,
    "discoveries": write_discoveries,
    "uses": write_uses,
    "legacy": write_legacy,
}

if __name__ == "__main__":
    main()

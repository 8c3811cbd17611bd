"""Does `lore drift` stay silent on data without drift, and does it name the right rows of planted drifts?

    PYTHONPATH=. python docs/experiments/drift.py <records.parquet of clean> [--resamples 20]

Without drift: the records are drawn anew with replacement, or a random half is compared with the other half. With
drift: one change is planted into a copy of the records at a time. A drift counts as found where there is an
alarm, and as named where at least four of the five rows that an alarm shows are planted ones.
"""

import argparse
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lore.drift.findings import Finding, compare
from stages.core.records import record

Row = dict[str, Any]
ALARM = 0.05
CHINESE = ["这种金属在常温下很稳定，常用于制造零件。", "该元素存在于海水和岩石之中，用途广泛。"]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("--resamples", type=int, default=20)
    options = parser.parse_args()
    rows = record.read(options.records)

    for name, pair in (("drawn with replacement", redrawn), ("one half against the other", halves)):
        alarms = 0
        for seed in range(options.resamples):
            before, now = pair(rows, random.Random(seed))
            alarms += any(one.adjusted < ALARM for one in compare(before, now, seed))
        print(f"{name}: {alarms} of {options.resamples} with an alarm")

    print("\n| planted | rows | alarms | the surest | planted rows among those shown |")
    print("|---|---|---|---|---|")
    for name, plant in PLANTS.items():
        changed, planted = plant([dict(row) for row in rows], random.Random(name))
        alarms_found = [one for one in compare(rows, changed, 7) if one.adjusted < ALARM]
        best = best_of(alarms_found, planted)
        shown = f"{hits(best, planted)} of {len(best.rows)}" if best else "–"
        what = f"{best.what}, p {best.adjusted:.1g}" if best else "none"
        print(f"| {name} | {len(planted)} | {len(alarms_found)} | {what} | {shown} |")


def redrawn(rows: list[Row], rng: random.Random) -> tuple[list[Row], list[Row]]:
    """The records, and as many of them drawn with replacement."""
    return rows, rng.choices(rows, k=len(rows))


def halves(rows: list[Row], rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Two random halves."""
    order = rng.sample(rows, len(rows))
    return order[: len(rows) // 2], order[len(rows) // 2 :]


def best_of(alarms: list[Finding], planted: set[str]) -> Finding | None:
    """The alarm that names most planted rows, and of these the surest."""
    return max(alarms, key=lambda one: (hits(one, planted), -one.adjusted), default=None)


def hits(one: Finding, planted: set[str]) -> int:
    """How many of the rows that an alarm shows were planted."""
    return sum(line.split(": ")[1] in planted for line in one.rows)


def changed_values(
    attribute: str, change: Callable[[str], str], share: float = 1.0
) -> Callable[[list[Row], random.Random], tuple[list[Row], set[str]]]:
    """A plant that changes the values of an attribute, of a random share of the rows."""

    def plant(rows: list[Row], rng: random.Random) -> tuple[list[Row], set[str]]:
        planted = set()
        for row in rows:
            if row["fact"] and row["attribute"] == attribute and rng.random() < share:
                row["value"] = change(row["value"])
                row["text"] = record.fact_text(row["subject"], attribute, row["value"], row["unit"])
                planted.add(row["locator"])
        return rows, planted

    return plant


def added(
    attribute: str | None, make: Callable[[int], dict[str, Any]], number: int
) -> Callable[[list[Row], random.Random], tuple[list[Row], set[str]]]:
    """A plant that adds rows."""

    def plant(rows: list[Row], rng: random.Random) -> tuple[list[Row], set[str]]:
        like = next(row for row in rows if row["attribute"] == attribute)
        planted = set()
        for place in range(number):
            locator = f"planted/{place}"
            made = (
                like
                | {"locator": locator, "id": record.record_id("planted", locator)}
                | make(place)
            )
            rows.append(made)
            planted.add(locator)
        return rows, planted

    return plant


def a_source_replaced(rows: list[Row], rng: random.Random) -> tuple[list[Row], set[str]]:
    """All rows of one source come under another name."""
    planted = set()
    for row in rows:
        if row["source"] == "uses":
            row["source"] = "catalogue"
            planted.add(row["locator"])
    return rows, planted


def fahrenheit(value: str) -> str:
    """A temperature in °C, in °F."""
    return f"{float(value) * 9 / 5 + 32:.4g}"


PLANTS: dict[str, Callable[[list[Row], random.Random], tuple[list[Row], set[str]]]] = {
    "melting points in °F": changed_values("melting point", fahrenheit),
    "melting points in °F, a quarter": changed_values("melting point", fahrenheit, 0.25),
    "densities in kg/m³": changed_values("density", lambda value: f"{float(value) * 1000:.6g}"),
    "a decimal point lost, 15 % of molar masses": changed_values(
        "molar mass", lambda value: value.replace(".", ""), 0.15
    ),
    "categories in Chinese": changed_values("category", lambda value: "金属"),
    "states guessed: all solid": changed_values("state", lambda value: "solid"),
    "discovery years with text": changed_values("discovery year", lambda value: f"around {value}"),
    "a source replaced": a_source_replaced,
    "a class of subjects added: 40 alloys": added(
        "melting point",
        lambda place: {
            "subject": f"alloy {place}",
            "value": str(150 + place),
            "fact": f"alloy{place}",
        },
        40,
    ),
    "texts in another language": added(
        None,
        lambda place: {"text": f"第{place}种：{CHINESE[place % 2]}", "lang": "zh", "subject": None},
        40,
    ),
    "texts of another kind: 30 log lines": added(
        None,
        lambda place: {
            "text": f"2026-11-{place % 28 + 1:02d} ERROR worker {place}: timeout after 30 s"
        },
        30,
    ),
}


if __name__ == "__main__":
    main()

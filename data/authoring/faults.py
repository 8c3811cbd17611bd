"""Faults as they happen in real sources, one small function per kind: a good row in, a faulty one out.

`FAULTS[source][name]` is (expected rejection reason, function). A function takes a random generator and a copy of a row
of that source and returns the faulty row, or a `Raw` line where the fault is one of the file's form. build.py plants
them in data/raw; the tests plant hundreds of random ones in fresh rows.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

Row = dict[str, str]


@dataclass(frozen=True)
class Raw:
    """A line that is written as it is."""

    content: bytes


BOILERPLATE = [
    "All rights reserved. See the terms and conditions for further information.",
    "For more information please see the safety data sheet.",
    "The information is given without any warranty, express or implied.",
    "Please contact your local distributor for details.",
    "版权所有，未经许可不得转载。",
]
GARBLED = ["12,3,4", "n/a", "approx.", "1538..2", "see note", "--", "1 53 8", "1.538.0"]
NO_UNITS = ["", "furlong", "°X", "kg/kg/s", "V", "??"]
NO_DATES = ["31/02/2020", "2020-13-01", "soon", "13/13/2019", "last spring", "2020-02-30"]


def duplicate(rng: random.Random, row: Row) -> Row:
    """The same row once more."""
    return row


def change(**values: Callable[[random.Random, Row], str]) -> Callable[[random.Random, Row], Row]:
    """A fault that sets some cells."""

    def make(rng: random.Random, row: Row) -> Row:
        changed = {name: value(rng, row) for name, value in values.items()}
        return row | changed

    return make


def choice(*options: str) -> Callable[[random.Random, Row], str]:
    """One of some texts."""
    return lambda rng, _: rng.choice(options)


def of_attribute(*attributes: str) -> Callable[[Row], bool]:
    """Rows of these attributes."""
    return lambda row: row["attribute"] in attributes


def is_quantity(row: Row) -> bool:
    """Whether the row states a quantity."""
    return bool(row["unit"])


def anything(row: Row) -> bool:
    """Every row."""
    return True


def too_hot(rng: random.Random, row: Row) -> str:
    """A temperature at which the stated state is impossible."""
    melting = float(row["melting_point"].removesuffix(" K"))
    boiling = float(row["boiling_point"].removesuffix(" K"))
    if row["state"] == "gas":
        kelvin = boiling * rng.uniform(0.2, 0.9)
    elif row["state"] == "solid":
        kelvin = melting * rng.uniform(1.1, 3)
    else:
        kelvin = boiling * rng.uniform(1.1, 3)
    return f"{kelvin:.1f} K"


def cut_line(rng: random.Random, row: Row) -> Raw:
    """A JSON line that ends too early."""
    text = f'{{"element": "{row["element"]}", "use": "{row["use"]}"'
    end = rng.randint(len(text) // 2, len(text))
    return Raw(text[:end].encode())


def odd_fields(rng: random.Random, row: Row) -> Raw:
    """A CSV line with a field too few or too many."""
    too_few: list[str] = []
    too_many = [row["unit"], "", "x", "y"]
    cells = [row["subject"], row["attribute"], row["value"]]
    cells += rng.choice([too_few, too_many])
    return Raw(";".join(cells).encode("cp1252"))


def undecodable(rng: random.Random, row: Row) -> Raw:
    """A CSV line with a byte that cp1252 does not have."""
    cells = [row[name] for name in ("subject", "attribute", "value", "unit", "checked")]
    wrong_byte = rng.choice([b"\x81", b"\x8d", b"\x90", b"\x9d"])
    return Raw(";".join(cells).encode("cp1252") + wrong_byte)


Fault = tuple[str, Callable[[Row], bool], Callable[[random.Random, Row], Row | Raw]]

CONSTANTS: dict[str, Fault] = {
    "duplicate": ("duplicate", anything, duplicate),
    "no_subject": ("missing_field", anything, change(subject=choice(""))),
    "no_value": ("missing_field", anything, change(value=choice("", " "))),
    "garbled_number": ("bad_quantity", is_quantity, change(value=choice(*GARBLED))),
    "unknown_unit": ("unknown_unit", is_quantity, change(unit=choice(*NO_UNITS))),
    "colder_than_zero": (
        "impossible_temperature",
        of_attribute("melting point", "boiling point"),
        change(value=lambda rng, _: str(rng.randint(-900, -500)), unit=choice("°C", "K", "°F")),
    ),
    "negative_density": (
        "non_positive_density", of_attribute("density"), change(value=lambda rng, row: rng.choice(["0", f"-{row['value']}"])),
    ),
    "negative_mass": ("non_positive_mass", of_attribute("molar mass"), change(value=lambda _, row: f"-{row['value']}")),
    "impossible_number": (
        "impossible_atomic_number", of_attribute("atomic number"), change(value=choice("0", "119", "7.5", "-3", "eight")),
    ),
    "malformed_symbol": (
        "malformed_symbol", of_attribute("symbol"), change(value=lambda _, row: row["value"].lower() + "ium"),
    ),
}  # fmt: skip

FAULTS: dict[str, dict[str, Fault]] = {
    "elements": CONSTANTS | {"bad_date": ("bad_date", anything, change(reviewed=choice(*NO_DATES)))},
    "sheets": {
        "duplicate": ("duplicate", anything, duplicate),
        "no_subject": ("missing_field", anything, change(subject=choice(""))),
        "wrong_state": (
            "state_contradicts_conditions",
            lambda row: bool(row["melting_point"] and row["boiling_point"]),
            change(temperature=too_hot),
        ),
        "unknown_state": ("unknown_state", anything, change(state=choice("plasmatic", "soild", "unknown"))),
        "colder_than_zero": (
            "impossible_temperature", anything, change(temperature=choice("-20 K", "-300 °C", "-500 °F")),
        ),
        "boilerplate": ("low_information", anything, change(state=choice(""), remark=choice(*BOILERPLATE))),
    },
    "discoveries": {
        "duplicate": ("duplicate", anything, duplicate),
        "bad_year": ("bad_date", anything, change(date=choice("17x6", "in the 18th century", "18 Brumaire", "19o4"))),
        "future": ("impossible_year", anything, change(date=choice("2999", "9999", "2203-01-05"))),
        "boilerplate": ("low_information", anything, change(date=choice(""), by=choice(""), remark=choice(*BOILERPLATE))),
    },
    "uses": {
        "duplicate": ("duplicate", anything, duplicate),
        "cut_line": ("malformed", lambda row: bool(row["use"]), cut_line),
        "no_subject": ("missing_field", lambda row: bool(row["use"]), change(element=choice(""), note=choice(""))),
        "boilerplate": ("low_information", anything, change(use=choice(""), note=choice(*BOILERPLATE))),
    },
    "legacy": {
        "duplicate": ("duplicate", anything, duplicate),
        "odd_fields": ("malformed", anything, odd_fields),
        "undecodable": ("encoding", anything, undecodable),
        "unknown_category": (
            "unknown_category", of_attribute("category"), change(value=choice("shiny metal", "noble metal", "rare gass")),
        ),
        "garbled_number": CONSTANTS["garbled_number"],
        "unknown_unit": CONSTANTS["unknown_unit"],
    },
}  # fmt: skip


def plant(rng: random.Random, source: str, name: str, rows: list[Row]) -> Row | Raw | None:
    """A fault of that kind in a copy of one of the rows it fits, or None where it fits none."""
    _, fits, make = FAULTS[source][name]
    candidates = [row for row in rows if fits(row)]
    if not candidates:
        return None
    chosen = dict(rng.choice(candidates))
    return make(rng, chosen)

"""Write elements.csv, the table of facts, from the database of the pip package `mendeleev` and curated.csv.

In: the SQLite file inside the installed package (1.3.0), curated.csv. Out: elements.csv beside this file.
Run once per release of the package; its output is tracked, so `build.py` does not need the package.

Left out: melting and boiling points that are transitions or sublimations, and everything the package marks as a
theoretical estimate or that is a prediction (densities and states of At, Fr and the elements from Es or Fm on).
"""

import csv
import sqlite3
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
ALLOTROPE = {
    "carbon": "graphite",
    "phosphorus": "white",
    "sulfur": "monoclinic",
    "selenium": "gray",
    "tin": "white",
}
"""The allotrope that is taken where the source has several: the one stable at room temperature or at melting."""
ESTIMATED_DENSITY = {85, 87, *range(99, 119)}  # list in the source's own annotation of `density`
ESTIMATED_POINTS = {85, 87, *range(100, 119)}
NO_STATE = {85, 87, *range(100, 119)}
SUBLIMES = {"carbon", "arsenic"}  # at one atmosphere they neither melt nor boil
CATEGORY = {
    "Nonmetals": "nonmetal",
    "Noble gases": "noble gas",
    "Alkali metals": "alkali metal",
    "Alkaline earth metals": "alkaline earth metal",
    "Metalloids": "metalloid",
    "Halogens": "halogen",
    "Poor metals": "post-transition metal",
    "Transition metals": "transition metal",
    "Lanthanides": "lanthanide",
    "Actinides": "actinide",
}
ROOM = 293.15  # kelvin; what `state` refers to


def four_digits(number: float, shift: str = "0") -> str:
    """`number + shift` with at most four significant digits, halves up, plain notation: 0.000082, 1538, -259.2."""
    # The source stores 1357.77 as 1357.7699999999998.
    exact = Decimal(str(round(number, 6))) + Decimal(shift)
    if exact == 0:
        return "0"
    # The fourth significant digit: of 1538.4 the ones, of 0.082 the fifth decimal place.
    last = Decimal(1).scaleb(exact.adjusted() - 3)
    digits = f"{exact.quantize(last, ROUND_HALF_UP):f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def in_celsius(kelvin: float | None) -> str | None:
    """A temperature in °C with at most four significant digits, where there is one."""
    return None if kelvin is None else four_digits(kelvin, "-273.15")


def points(
    database: sqlite3.Connection, number: int, name: str
) -> tuple[float | None, float | None]:
    """Melting and boiling point in kelvin of the chosen allotrope."""
    if name in SUBLIMES or number in ESTIMATED_POINTS:
        return None, None
    query = (
        "SELECT melting_point, boiling_point FROM phasetransitions "
        "WHERE atomic_number = ? AND (? IS NULL OR allotrope = ?)"
    )
    allotrope = ALLOTROPE.get(name)
    rows = database.execute(query, (number, allotrope, allotrope)).fetchall()
    return rows[0] if rows else (None, None)


def state(number: int, name: str, melting: float | None, boiling: float | None) -> str | None:
    """Solid, liquid or gas at 20 °C and one atmosphere."""
    if number in NO_STATE:
        return None
    if boiling is not None and boiling < ROOM:
        return "gas"
    if melting is not None and melting < ROOM and name not in SUBLIMES:
        return "liquid"
    return "solid"


def row(
    database: sqlite3.Connection, source: sqlite3.Row, curated: dict[str, str]
) -> dict[str, str | None]:
    """One line of elements.csv; `-` in curated.csv withdraws a value, another text replaces it."""
    number, name = source["atomic_number"], source["name"].lower()
    melting, boiling = points(database, number, name)
    density = None
    if number not in ESTIMATED_DENSITY and source["density"] is not None:
        density = four_digits(source["density"])
    year = curated["year"] or source["discovery_year"]
    category = curated["category"] or CATEGORY[source["series"]]
    return {
        "atomic number": number,
        "name": name,
        "symbol": source["symbol"],
        "category": None if category == "-" else category,
        "state": state(number, name, melting, boiling),
        "molar mass": four_digits(source["atomic_weight"]),
        "melting point": in_celsius(melting),
        "boiling point": in_celsius(boiling),
        "density": density,
        "discovery year": None if year == "-" else year,
        "discoverer": curated["discoverer"] or None,
        "place": source["discovery_location"],
        "use": curated["use"] or None,
        "note": curated["note"] or None,
    }


def main() -> None:
    """Read the package's database read-only and write elements.csv."""
    database = sqlite3.connect(f"file:{files('mendeleev') / 'elements.db'}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    with (HERE / "curated.csv").open(encoding="utf-8", newline="") as lines:
        curated = {int(line["atomic_number"]): line for line in csv.DictReader(lines)}
    source = database.execute(
        "SELECT e.*, s.name AS series FROM elements e JOIN series s ON s.id = e.series_id ORDER BY atomic_number"
    ).fetchall()
    database.row_factory = None
    rows = [row(database, element, curated[element["atomic_number"]]) for element in source]
    with (HERE / "elements.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

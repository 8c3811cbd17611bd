"""The English names of months, as a table and as patterns that Python and polars read alike."""

from pathlib import Path

from stages.clean.tables import is_yes, read_table

_TABLE = read_table(
    Path(__file__).parent / "data" / "months.csv", ("number", "name", "pattern", "lower")
)
NUMBERS = {row["name"][:3].lower(): int(row["number"]) for row in _TABLE}
"""The number of each month by its first three letters: jan is 1."""
CAPITAL = "|".join(row["pattern"] for row in _TABLE)
"""Names and short forms with a capital letter: January, Jan, Sept."""
LOWER = "|".join(row["name"].lower() for row in _TABLE if is_yes(row, "lower"))
"""Names in small letters that are no other word: not march, may."""
ANY = f"{CAPITAL}|{CAPITAL.upper()}|{LOWER}"
"""January, JAN, january."""

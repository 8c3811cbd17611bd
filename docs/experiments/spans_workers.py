"""How three libraries read sentences and field values: run by spans_peers.py, in an environment of its own.

    python spans_workers.py quantulum3|recognizers|dateparser < rows.jsonl > readings.jsonl

A row of a sentence gives {"id", "finds": [{"start", "end", "kind", "normal"}]}. A row of a field value gives
{"id", "read"}: a quantity as {"value" or "low" and "high" …, "unit"}, a date as ISO 8601, or null. Only the standard library
and the library itself are imported.
"""

import json
import re
import sys
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import Any

Row = dict[str, Any]
ISO_DATE = re.compile(r"(\d{4}|XXXX)(-\d\d(-\d\d)?)?")
HAN = re.compile(r"[\u3400-\u9fff]")


def find(start: int, end: int, kind: str, normal: Any) -> Row:
    """One find."""
    return {"start": start, "end": end, "kind": kind, "normal": normal}


def apart(finds: list[Row]) -> list[Row]:
    """The finds without those that overlap an earlier or longer one of their kind."""
    kept: list[Row] = []
    for one in sorted(finds, key=lambda one: (one["kind"], one["start"], -one["end"])):
        last = kept[-1] if kept else None
        if not last or last["kind"] != one["kind"] or one["start"] >= last["end"]:
            kept.append(one)
    return kept


def only(finds: list[Row], kind: str) -> Any:
    """What a field value says: the normal form of the one find of this kind, or None."""
    found = [one["normal"] for one in finds if one["kind"] == kind]
    return found[0] if len(found) == 1 else None


def field_text(row: Row) -> str:
    """A quantity of a field as one text: value and unit."""
    return row["value"] if row["unit"] is None else f"{row['value']} {row['unit']}"


# quantulum3

QUANTULUM_UNITS = {
    "degree Celsius": "degC",
    "degree fahrenheit": "degF",
    "pound-mass": "pound",
    "percentage": "percent",
    "degree angle": "degree",
    "millimeter of mercury": "mmHg",
    "pound-force": "force_pound",
}


def quantulum3() -> Callable[[Row], Row]:
    """The reader of quantulum3, which knows English quantities. It works without its classifier."""
    from quantulum3 import parser

    def unit_of(quantity: Any) -> str:
        parts = []
        for part in quantity.unit.dimensions:
            base = QUANTULUM_UNITS.get(part["base"], part["base"])
            base = re.sub(r"\bcubic (\w+)", r"\1**3", base.replace(" per ", "/"))
            parts.append(f"({base.replace(' ', '_')})**{part['power']}")
        return "*".join(parts)

    def finds_in(text: str) -> list[Row]:
        finds = []
        for quantity in parser.parse(text):
            if quantity.unit.entity.name in ("dimensionless", "currency") and (
                quantity.unit.name != "percentage"
            ):
                continue
            unit = unit_of(quantity)
            normal = {"value": str(quantity.value), "unit": unit}
            if quantity.uncertainty and "±" in quantity.surface:
                normal["plus_minus"] = str(quantity.uncertainty)
            elif quantity.uncertainty:
                low = quantity.value - quantity.uncertainty
                high = quantity.value + quantity.uncertainty
                normal = {"low": str(low), "high": str(high), "unit": unit}
            finds.append(find(*quantity.span, "quantity", normal))
        return finds

    def read(row: Row) -> Row:
        if row["task"] == "sentence":
            return {"finds": finds_in(row["text"])}
        if row["task"] == "quantity":
            return {"read": only(finds_in(field_text(row)), "quantity")}
        return {"read": None}

    return read


# Recognizers-Text

RECOGNIZERS_UNITS = {
    "c": "degC",
    "f": "degF",
    "k": "kelvin",
    "degree": "degree",
    "u.s. gallon": "gallon",
    "ton": "tonne",  # its name for 吨 and for "tonnes"
}
DURATION = re.compile(r"P(T?)([\d.]+)([YMWDHS])")
DURATION_UNITS = {
    ("", "Y"): "year",
    ("", "M"): "month",
    ("", "W"): "week",
    ("", "D"): "day",
    ("T", "H"): "hour",
    ("T", "M"): "minute",
    ("T", "S"): "second",
}


def recognizers() -> Callable[[Row], Row]:
    """The reader of Recognizers-Text: dimensions, temperatures, ages, shares, durations and dates."""
    from recognizers_date_time import recognize_datetime
    from recognizers_number import recognize_percentage
    from recognizers_number_with_unit import (
        recognize_age,
        recognize_dimension,
        recognize_temperature,
    )

    def unit_of(name: str) -> str:
        lower = name.lower()
        if lower in RECOGNIZERS_UNITS:
            return RECOGNIZERS_UNITS[lower]
        lower = re.sub(r"\bsquare (\w+)", r"\1**2", lower)
        lower = re.sub(r"\bcubic (\w+)", r"\1**3", lower)
        return lower.replace(" per ", "/").replace(" ", "_")

    def quantities(text: str, culture: str) -> list[Row]:
        finds = []
        for recognise in (recognize_dimension, recognize_temperature, recognize_age):
            for result in recognise(text, culture):
                value, unit = result.resolution["value"], result.resolution["unit"]
                if value is None:
                    continue
                normal = {"value": value, "unit": unit_of(unit)}
                finds.append(find(result.start, result.end + 1, "quantity", normal))
        for result in recognize_percentage(text, culture):
            normal = {"value": result.resolution["value"].rstrip("%"), "unit": "percent"}
            finds.append(find(result.start, result.end + 1, "quantity", normal))
        return finds

    def times(text: str, culture: str) -> list[Row]:
        finds = []
        for result in recognize_datetime(text, culture):
            if not result.resolution:
                continue
            value = result.resolution["values"][0]
            place = (result.start, result.end + 1)
            if value["type"] == "duration":
                duration = DURATION.fullmatch(value["timex"])
                if duration:
                    unit = DURATION_UNITS[duration[1], duration[3]]
                    normal = {"value": duration[2], "unit": unit}
                    finds.append(find(*place, "quantity", normal))
            elif value["timex"].startswith("(") and "start" in value and "end" in value:
                finds.append(find(*place, "date", f"{value['start']}/{value['end']}"))
            else:
                day = value["timex"].split("T")[0]
                if ISO_DATE.fullmatch(day) and not re.fullmatch(r"XXXX(-\d\d)?", day):
                    finds.append(find(*place, "date", day.replace("XXXX", "-")))
        return finds

    def finds_in(text: str, culture: str) -> list[Row]:
        try:
            return apart(quantities(text, culture) + times(text, culture))
        except Exception as error:  # the library raises errors of many kinds on odd input
            print(f"{text!r}: {type(error).__name__}: {error}", file=sys.stderr)
            return []

    def read(row: Row) -> Row:
        if row["task"] == "sentence":
            return {"finds": finds_in(row["text"], "zh-cn" if row["lang"] == "zh" else "en-us")}
        text = field_text(row) if row["task"] == "quantity" else row["value"]
        # Its Python package reads 03/07/2024 as in the United States, whatever the culture.
        culture = "zh-cn" if HAN.search(text) else "en-us"
        return {"read": only(finds_in(text, culture), row["task"])}

    return read


# dateparser

BASES = (datetime(1904, 2, 2), datetime(1951, 11, 23))
"""Two days of reference. What differs between them is not said by the text."""
PERIODS = {"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d", "time": "%Y-%m-%d"}


def dateparser() -> Callable[[Row], Row]:
    """The reader of dateparser, which finds dates."""
    from dateparser.date import DateDataParser
    from dateparser.search import search_dates

    def date_of(text: str, lang: str, order: str) -> str | None:
        found = []
        for base in BASES:
            settings = {"RELATIVE_BASE": base, "DATE_ORDER": order}
            parser = DateDataParser(languages=[lang], settings=settings)
            data = parser.get_date_data(text)
            if data.date_obj is None or data.period not in PERIODS:
                return None
            found.append(data)
        one, two = found
        if one.date_obj.date() == two.date_obj.date():
            return one.date_obj.strftime(PERIODS[one.period])
        without_year = [data.date_obj.strftime("--%m-%d") for data in found]
        if without_year[0] == without_year[1] and one.period in ("day", "time"):
            return without_year[0]
        return None  # a weekday, a time of day, or "two years ago"

    def finds_in(text: str, lang: str) -> list[Row]:
        finds = []
        at = 0
        for part, _ in search_dates(text, languages=[lang]) or []:
            start = text.find(part, at)
            if start < 0:
                continue
            at = start + len(part)
            day = date_of(part, lang, "MDY")
            if day:
                finds.append(find(start, at, "date", day))
        return finds

    def read(row: Row) -> Row:
        if row["task"] == "sentence":
            return {"finds": finds_in(row["text"], row["lang"])}
        if row["task"] == "date":
            lang = "zh" if HAN.search(row["value"]) else "en"
            return {"read": date_of(row["value"], lang, row["order"].upper())}
        return {"read": None}

    return read


READERS = {"quantulum3": quantulum3, "recognizers": recognizers, "dateparser": dateparser}


def main() -> None:
    """Read rows from standard input, and print what the library makes of each."""
    warnings.simplefilter("ignore")
    read = READERS[sys.argv[1]]()
    for line in sys.stdin:
        row = json.loads(line)
        print(json.dumps({"id": row["id"], **read(row)}, ensure_ascii=False))


if __name__ == "__main__":
    main()

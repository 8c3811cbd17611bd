"""Rules: what must hold of a record, declared in a YAML file and checked by Great Expectations.

The file (data/raw/rules.yaml documents it by example) has `differences`, number columns made of two
others, and `rules`: name, `when` (which records), `expect` (what must hold of one column), message,
and perhaps `severity`. The rules see a frame with one row per fact: its columns, `number` (the
value as a number, if it is one), and every further field of the record, numbers as numbers.

Each violation names record and rule. Of the rules of severity `reject` that a record breaks, the
first one in the file sets it aside. `warn` lets the record pass, and `stop` ends the run.
"""

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic.dataclasses import dataclass

from stages.clean.values.quantities import bounds
from stages.clean.verifying import comparison, expectations
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import STRICT, parse, read_yaml

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
COLUMNS = ["id", "source", "locator", "subject", "attribute", "value", "unit", "number"]
KINDS = ("above", "one_of", "none_of", "matches", "in_source")
"""Kinds of expectations, beside min and max."""
SHOWN = 5
"""Violations that a message lists when a run stops."""


@dataclass(frozen=True, config=STRICT)
class Limits:
    """A condition on a number column."""

    above: float | None = None
    below: float | None = None


@dataclass(frozen=True, config=STRICT)
class Reference:
    """A column of another source, as tables refer to each other by keys."""

    source: str
    column: str


@dataclass(frozen=True, config=STRICT)
class Expect:
    """What must hold of `column`: exactly one of the other fields.

    Only min and max may stand together.
    """

    column: str
    min: float | None = None
    max: float | None = None
    above: float | None = None
    one_of: list[str] | None = None
    none_of: list[str] | None = None
    matches: str | None = None
    in_source: Reference | None = None
    """The value must be one of that column. A source without facts has no values."""


@dataclass(frozen=True, config=STRICT)
class Rule:
    """One rule. Rules that share a name are one reason with several cases."""

    name: str
    when: dict[str, str | float | list[str] | Limits]
    expect: Expect
    message: str
    severity: Literal["warn", "reject", "stop"] = "reject"


@dataclass(frozen=True, config=STRICT)
class Rules:
    """The rules file."""

    differences: dict[str, list[str]]
    rules: list[Rule]


def read_rules(path: Path) -> Rules:
    """Parse the file.

    Raises ParamsError with every problem: unknown keys, expectations that say nothing or too much.
    """
    problems: list[str] = []
    rules = parse(read_yaml(path), Rules, "rules", problems)
    if rules is not None:
        for number, rule in enumerate(rules.rules):
            kinds = kinds_of(rule.expect)
            if len(kinds) != 1:
                problems.append(
                    f"rules.{number}.expect ({rule.name}): "
                    f"write one of min/max, {', '.join(KINDS)}; got {', '.join(kinds) or 'none'}"
                )
        for name, columns in rules.differences.items():
            if len(columns) != 2:
                problems.append(f"differences.{name}: two columns are needed")
    if rules is None or problems:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return rules


def kinds_of(expect: Expect) -> list[str]:
    """The kinds of expectation that are declared. Exactly one is right."""
    kinds = [kind for kind in KINDS if getattr(expect, kind) is not None]
    if expect.min is not None or expect.max is not None:
        kinds.append("min/max")
    return kinds


def violations(
    rows: list[Row], rules: Rules
) -> tuple[dict[str, tuple[str, str]], list[dict[str, Any]]]:
    """id → (rule, evidence) of the records to set aside, and every violation.

    Raises ParamsError where a rule names a column that no record has, InputError where a rule of
    severity `stop` is broken.
    """
    reasons: dict[str, tuple[str, str]] = {}
    found: list[dict[str, Any]] = []
    facts = [row for row in rows if row["fact"]]
    if not facts:
        return reasons, found
    table = frame(facts, rules)
    batch = expectations.batch_of(table)
    for rule in rules.rules:
        check_columns(rule, table)
        broken_rows = expectations.validate(batch, rule.name, expected(rule, table))
        broken = entries_of(rule, [dict(table.loc[number]) for number in broken_rows])
        if broken and rule.severity == "stop":
            raise stopped(rule, broken)
        found += broken
        if rule.severity == "reject":
            for entry in broken:
                evidence = f"{rule.message} ({rule.expect.column} is {entry['value']})"
                reasons.setdefault(entry["record"], (rule.name, evidence))
    return reasons, found


def entries_of(rule: Rule, rows: list[Row]) -> list[Row]:
    """What the report says of the rows that break a rule. Both ends of a range are one violation."""
    entries: dict[str, Row] = {}
    for row in rows:
        entries.setdefault(row["id"], entry_of(rule, row))
    return list(entries.values())


def entry_of(rule: Rule, row: Row) -> Row:
    """What the report says of a violation."""
    column = rule.expect.column
    value = row[column]
    if not isinstance(value, str):
        written = row["value"] if column == "number" else str(value)
        value = comparison.for_json(float(value), written)
    return {
        "record": row["id"],
        "rule": rule.name,
        "severity": rule.severity,
        "message": rule.message,
        "column": column,
        "value": value,
        "source": row["source"],
        "locator": row["locator"],
    }


def stopped(rule: Rule, broken: list[Row]) -> InputError:
    """The error that ends the run, with the first violations."""
    lines = [
        f"clean: rule {rule.name} stops the run: {rule.message}; "
        "mend the source, or set `severity: reject` in the rules file"
    ]
    for entry in broken[:SHOWN]:
        lines.append(f"  {entry['locator']}: {entry['column']} is {entry['value']}")
    if len(broken) > SHOWN:
        lines.append(f"  and {len(broken) - SHOWN} more")
    return InputError("\n".join(lines))


def expected(rule: Rule, table: "pd.DataFrame") -> Any:
    """The Great Expectations expectation of a rule, with its row condition."""
    expect = rule.expect
    where = expectations.condition({name: as_limits(value) for name, value in rule.when.items()})
    one_of = expect.one_of
    if expect.in_source:
        of_source = table[table["source"] == expect.in_source.source]
        values = of_source[expect.in_source.column].dropna().astype(str)
        one_of = sorted(set(values))
    return expectations.of_column(
        expect.column,
        where,
        one_of=one_of,
        none_of=expect.none_of,
        matches=expect.matches,
        above=expect.above,
        low=expect.min,
        high=expect.max,
    )


def as_limits(wanted: Any) -> Any:
    """What a condition compares with: a value, a list of values, or (above, below)."""
    if isinstance(wanted, Limits):
        return wanted.above, wanted.below
    return wanted


def frame(facts: list[Row], rules: Rules) -> "pd.DataFrame":
    """One row per fact, numbers as numbers. A range, a tolerance and a bound have one row per end.

    So a rule sees both the 10 and the 20 of 10–20.
    """
    import pandas as pd  # not at the top: workers import this module and judge no fact

    rows = []
    for fact in facts:
        # A further field that has the name of a column gives way to the column.
        row = {name: number(value) for name, value in json.loads(fact["meta"]).items()}
        for name in COLUMNS:
            if name != "number":
                row[name] = fact[name]
        for end in ends_of(fact["value"]):
            rows.append(row | {"number": end})
    table = pd.DataFrame(rows)
    for name, (left, right) in rules.differences.items():
        if left in table.columns and right in table.columns:
            minuend = pd.to_numeric(table[left], errors="coerce")
            subtrahend = pd.to_numeric(table[right], errors="coerce")
            table[name] = minuend - subtrahend
    return table


def ends_of(value: str) -> list[float | None]:
    """The numbers of a value: one, two of a range, [None] where it is none.

    An end that is open has no number: <5 has 5 alone. ~5 is 5.
    """
    number = comparison.as_float(value.removeprefix("~"))
    if number is not None:
        return [number]
    ends = bounds(value) or (None, None)
    numbers: list[float | None] = [float(end) for end in ends if end is not None]
    return numbers or [None]


def check_columns(rule: Rule, table: "pd.DataFrame") -> None:
    """Raise ParamsError where the rule names a column that is not there."""
    names = [*rule.when, rule.expect.column]
    if rule.expect.in_source:
        names.append(rule.expect.in_source.column)
    for name in names:
        if name not in table.columns:
            near = difflib.get_close_matches(name, table.columns, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ParamsError(f"rule {rule.name}: no record has a column {name!r}{hint}")


def number(value: Any) -> Any:
    """The value as a number where it is one, otherwise as it is."""
    converted = comparison.as_float(value)
    return value if converted is None else converted

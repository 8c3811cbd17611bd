"""Rules: what must hold of a record, declared in a YAML file and run as Great Expectations expectations.

The file (data/raw/rules.yaml documents it by example) holds `differences`, number columns made of two others, and
`rules`: name, `when` (which records), `expect` (what must hold of one column), message, and perhaps `severity`. The frame they
see has one row per fact: its columns, `number` (the value as a number, where it is one) and every further field of the
record, numbers as numbers.

Each violation names record and rule. A record is set aside for the first rule of severity `reject`, in file order, that it
breaks; `warn` lets it pass, and `stop` ends the run.
"""

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic.dataclasses import dataclass

from stages.clean.verifying import expectations
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import STRICT, parse, read_yaml

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
COLUMNS = ["id", "source", "locator", "subject", "attribute", "value", "unit", "number"]
KINDS = ("above", "one_of", "none_of", "matches", "in_source")
"""What can be expected, beside min and max."""
SHOWN = 5
"""Violations that a message names when a run stops."""


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
    """What must hold of `column`: exactly one of the others (min and max may stand together)."""

    column: str
    min: float | None = None
    max: float | None = None
    above: float | None = None
    one_of: list[str] | None = None
    none_of: list[str] | None = None
    matches: str | None = None
    in_source: Reference | None = None
    """The value must be one that stands there; of a source without facts, none does."""


@dataclass(frozen=True, config=STRICT)
class Rule:
    """One rule. Rules may share a name: they are then one reason with several cases."""

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
    """Parse the file. Raises ParamsError with every problem: unknown keys, expectations that say nothing or too much."""
    problems: list[str] = []
    rules = parse(read_yaml(path), Rules, "rules", problems)
    if rules is not None:
        for number, rule in enumerate(rules.rules):
            said = [key for key in KINDS if getattr(rule.expect, key) is not None]
            bounded = rule.expect.min is not None or rule.expect.max is not None
            if len(said) + bounded != 1:
                problems.append(
                    f"rules.{number}.expect ({rule.name}): write one of min/max, {', '.join(KINDS)}; "
                    f"got {', '.join(said + ['min/max'] * bounded) or 'none'}"
                )
        problems += [
            f"differences.{name}: two columns are needed"
            for name, two in rules.differences.items()
            if len(two) != 2
        ]
    if rules is None or problems:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return rules


def violations(
    rows: list[Row], rules: Rules
) -> tuple[dict[str, tuple[str, str]], list[dict[str, Any]]]:
    """id → (rule, message) of the records to set aside, and every violation.

    Raises ParamsError where a rule names a column that no record has, InputError where one of severity `stop` is broken.
    """
    found: list[dict[str, Any]] = []
    reasons: dict[str, tuple[str, str]] = {}
    if not (facts := [row for row in rows if row["fact"]]):
        return reasons, found
    table = frame(facts, rules)
    batch = expectations.batch_of(table)
    for rule in rules.rules:
        check_columns(rule, table)
        broken = [
            entry_of(rule, dict(table.loc[index]))
            for index in expectations.validate(batch, rule.name, expected(rule, table))
        ]
        if broken and rule.severity == "stop":
            raise stopped(rule, broken)
        found += broken
        if rule.severity == "reject":
            for entry in broken:
                evidence = f"{rule.message} ({rule.expect.column} is {entry['value']})"
                reasons.setdefault(entry["record"], (rule.name, evidence))
    return reasons, found


def entry_of(rule: Rule, row: Row) -> Row:
    """What is reported of a violation."""
    shown = row[rule.expect.column]
    return {
        "record": row["id"],
        "rule": rule.name,
        "severity": rule.severity,
        "message": rule.message,
        "column": rule.expect.column,
        "value": shown if isinstance(shown, str) else float(shown),
        "source": row["source"],
        "locator": row["locator"],
    }


def stopped(rule: Rule, broken: list[Row]) -> InputError:
    """The error that ends the run, with the first violations."""
    lines = [
        f"  {entry['locator']}: {entry['column']} is {entry['value']}" for entry in broken[:SHOWN]
    ]
    more = [f"  and {len(broken) - SHOWN} more"] if len(broken) > SHOWN else []
    heading = f"clean: rule {rule.name} stops the run: {rule.message}; mend the source, or set `severity: reject` in the rules file"
    return InputError("\n".join([heading, *lines, *more]))


def expected(rule: Rule, table: "pd.DataFrame") -> Any:
    """The Great Expectations expectation of a rule, with its row condition."""
    expect = rule.expect
    where = expectations.condition({name: as_limits(wanted) for name, wanted in rule.when.items()})
    one_of = expect.one_of
    if expect.in_source:
        there = table[table["source"] == expect.in_source.source]
        one_of = sorted(set(there[expect.in_source.column].dropna().astype(str)))
    return expectations.of_column(
        expect.column, where, one_of=one_of, none_of=expect.none_of, matches=expect.matches, above=expect.above,
        low=expect.min, high=expect.max,
    )  # fmt: skip


def as_limits(wanted: Any) -> Any:
    """What a condition compares with: a value, a list of them, or (above, below)."""
    return (wanted.above, wanted.below) if isinstance(wanted, Limits) else wanted


def frame(facts: list[Row], rules: Rules) -> "pd.DataFrame":
    """One row per fact, numbers as numbers."""
    import pandas as pd  # not by workers, which import this module and judge no fact

    rows = []
    for row in facts:
        meta = {name: number(value) for name, value in json.loads(row["meta"]).items()}
        rows.append(
            meta
            | {name: row[name] for name in COLUMNS if name != "number"}
            | {"number": as_float(row["value"])}
        )
    table = pd.DataFrame(rows)
    for name, (left, right) in rules.differences.items():
        if {left, right} <= set(table.columns):
            table[name] = pd.to_numeric(table[left], errors="coerce") - pd.to_numeric(
                table[right], errors="coerce"
            )
    return table


def check_columns(rule: Rule, table: "pd.DataFrame") -> None:
    """Raise ParamsError where the rule names a column that is not there."""
    referred = [rule.expect.in_source.column] if rule.expect.in_source else []
    for name in (*rule.when, rule.expect.column, *referred):
        if name not in table.columns:
            near = difflib.get_close_matches(name, table.columns, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ParamsError(f"rule {rule.name}: no record has a column {name!r}{hint}")


def number(value: Any) -> Any:
    """A number where the text is one."""
    found = as_float(value)
    return value if found is None else found


def as_float(value: Any) -> float | None:
    """The value as a number, or None."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None

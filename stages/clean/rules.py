"""Rules: what must hold of a record, declared in a YAML file and run as Great Expectations expectations.

The file (data/raw/rules.yaml documents it by example) holds `differences`, number columns made of two others, and
`rules`: name, `when` (which records), `expect` (what must hold of one column), message. The frame they see has one row
per fact: its columns, `number` (the value as a number, where it is one) and every further field of the record, numbers
as numbers.

Each violation names record and rule. A record is set aside for the first rule, in file order, that it breaks.
"""

import difflib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic.dataclasses import dataclass

from stages.core.errors import ParamsError
from stages.core.params import STRICT, parse, read_yaml

Row = dict[str, Any]
COLUMNS = ["id", "source", "locator", "subject", "attribute", "value", "unit", "number"]


@dataclass(frozen=True, config=STRICT)
class Limits:
    """A condition on a number column."""

    above: float | None = None
    below: float | None = None


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


@dataclass(frozen=True, config=STRICT)
class Rule:
    """One rule. Rules may share a name: they are then one reason with several cases."""

    name: str
    when: dict[str, str | float | list[str] | Limits]
    expect: Expect
    message: str


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
            said = [key for key in ("above", "one_of", "none_of", "matches") if getattr(rule.expect, key) is not None]
            bounded = rule.expect.min is not None or rule.expect.max is not None
            if len(said) + bounded != 1:
                problems.append(
                    f"rules.{number}.expect ({rule.name}): write one of min/max, above, one_of, none_of, matches; "
                    f"got {', '.join(said + ['min/max'] * bounded) or 'none'}"
                )
        problems += [f"differences.{name}: two columns are needed" for name, two in rules.differences.items() if len(two) != 2]
    if rules is None or problems:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return rules


def violations(rows: list[Row], rules: Rules) -> tuple[dict[str, tuple[str, str]], list[dict[str, Any]]]:
    """id → (rule, message) of the records to set aside, and every violation.

    Raises ParamsError where a rule names a column that no record has.
    """
    facts = [row for row in rows if row["fact"]]
    table = frame(facts, rules)
    found: list[dict[str, Any]] = []
    reasons: dict[str, tuple[str, str]] = {}
    if table.empty:
        return reasons, found
    validator = batch_of(table)
    for rule in rules.rules:
        check_columns(rule, table)
        for index in validate(validator, rule):
            row: dict[str, Any] = dict(table.loc[index])
            shown = row[rule.expect.column]
            entry = {"record": row["id"], "rule": rule.name, "message": rule.message}
            entry |= {"column": rule.expect.column, "value": shown if isinstance(shown, str) else float(shown)}
            found.append(entry | {"source": row["source"], "locator": row["locator"]})
            reasons.setdefault(row["id"], (rule.name, f"{rule.message} ({rule.expect.column} is {shown})"))
    return reasons, found


def frame(facts: list[Row], rules: Rules) -> pd.DataFrame:
    """One row per fact, numbers as numbers."""
    rows = []
    for row in facts:
        meta = {name: number(value) for name, value in json.loads(row["meta"]).items()}
        rows.append(meta | {name: row[name] for name in COLUMNS if name != "number"} | {"number": as_float(row["value"])})
    table = pd.DataFrame(rows)
    for name, (left, right) in rules.differences.items():
        if {left, right} <= set(table.columns):
            table[name] = pd.to_numeric(table[left], errors="coerce") - pd.to_numeric(table[right], errors="coerce")
    return table


def quiet_context() -> Any:
    """A context of Great Expectations that lives in memory only and prints nothing."""
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return context


def batch_of(table: pd.DataFrame) -> Any:
    """The frame as a Great Expectations batch."""
    context = quiet_context()
    asset = context.data_sources.add_pandas("records").add_dataframe_asset("facts")
    return asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table.reset_index(names="row")})


def validate(batch: Any, rule: Rule) -> list[int]:
    """Row numbers that break the rule."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This pattern is interpreted as a regular expression", UserWarning)  # groups are fine
        result = batch.validate(
            expectation(rule), result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
        )
    if failures := sorted(set(exceptions_in(result.exception_info))):
        raise ParamsError(f"rule {rule.name} could not be judged: {'; '.join(failures)}")
    return sorted(int(entry["row"]) for entry in result.result.get("unexpected_index_list") or [])


def exceptions_in(info: Any) -> Iterator[str]:
    """Messages of what was raised while judging; Great Expectations reports it once, or by metric, and goes on."""
    if isinstance(info, dict) and info.get("raised_exception"):
        yield str(info["exception_message"])
    elif isinstance(info, dict):
        for entry in info.values():
            yield from exceptions_in(entry)


def expectation(rule: Rule) -> Any:
    """The Great Expectations expectation of a rule, with its row condition."""
    import great_expectations.expectations as gxe

    common = {"column": rule.expect.column, "row_condition": condition(rule)}
    expect = rule.expect
    if expect.one_of is not None:
        return gxe.ExpectColumnValuesToBeInSet(value_set=expect.one_of, **common)
    if expect.none_of is not None:
        return gxe.ExpectColumnValuesToNotBeInSet(value_set=expect.none_of, **common)
    if expect.matches is not None:
        return gxe.ExpectColumnValuesToMatchRegex(regex=expect.matches, **common)
    if expect.above is not None:
        return gxe.ExpectColumnValuesToBeBetween(min_value=expect.above, strict_min=True, **common)
    return gxe.ExpectColumnValuesToBeBetween(min_value=expect.min, max_value=expect.max, **common)


def condition(rule: Rule) -> Any:
    """`when` as a row condition: all parts must hold."""
    from great_expectations.expectations.row_conditions import Column

    whole: Any = Column("id").is_not_null()
    for name, wanted in rule.when.items():
        column = Column(name)
        if isinstance(wanted, Limits):
            parts = [column > wanted.above] if wanted.above is not None else []
            parts += [column < wanted.below] if wanted.below is not None else []
        else:
            parts = [column.is_in(wanted) if isinstance(wanted, list) else column == wanted]
        for part in parts:
            whole = whole & part
    return whole


def check_columns(rule: Rule, table: pd.DataFrame) -> None:
    """Raise ParamsError where the rule names a column that is not there."""
    for name in (*rule.when, rule.expect.column):
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

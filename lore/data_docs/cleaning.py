"""What the pages show of `clean`, and how it treats one record. All calls into stages.clean are here.

`clean` is run again on the extracted records, with the settings as they are now, up to the verdict on
every fact. Nothing is written.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages import clean
from stages.clean import exclusions, personal
from stages.clean.passes.excluding import excluded_in
from stages.clean.passes.filtering import filtered
from stages.clean.verifying import rules
from stages.clean.verifying.answers import KIND as ANSWERS_KIND
from stages.clean.verifying.contradictions import BY_PRIORITY
from stages.clean.verifying.expectations import quiet_context
from stages.clean.verifying.rules import Rule
from stages.core.executors.local import Local
from stages.core.project import artifacts
from stages.core.project.params import load

__all__ = [
    "ANSWERS_KIND",
    "BY_PRIORITY",
    "Params",
    "Rule",
    "Verdicts",
    "checked_frame",
    "operations",
    "quiet_context",
    "verdicts",
]

Row = dict[str, Any]
Params = clean.Params
CLEANED_COLUMNS = ("text", "question", "answer", "subject", "attribute", "value")
"""Columns whose characters and spaces are cleaned."""
SHOWN_COLUMNS = (*CLEANED_COLUMNS, "unit", "meta")
"""Columns that an operation may change."""


@dataclass(frozen=True)
class Verdicts:
    """What the rules and the comparison of sources found."""

    params: Params
    sources: list[str]
    """Names of the sources of extract, in order of priority."""
    facts: list[Row]
    """The facts after normalising and filtering, before any rule."""
    checks: rules.Rules
    violations: list[Row]
    contradictions: Iterator[Row]
    """Entries of contradictions.json. They can be read once, while `verdicts` is open."""


@contextmanager
def verdicts() -> Iterator[Verdicts]:
    """Clean the extracted records again and return what was found.

    Raises InputError where extract has not run, ParamsError for wrong settings.
    """
    extracted = Path(artifacts.EXTRACTED_RECORDS)
    params, run = load("clean", clean.Params)
    treatment = personal.treatment_of(params.personal)
    executor = Local(run.threads)
    excluded = excluded_in(extracted, [], exclusions.read(Path(artifacts.EXCLUSIONS)), executor)
    with tempfile.TemporaryDirectory() as between:
        corpus = filtered(
            extracted,
            params.normalise,
            params.filter,
            executor,
            Path(between),
            treatment,
            excluded,
        )
        facts = corpus.facts().drop("place").to_dicts()
        checks = rules.read_rules(Path(artifacts.RULES))
        verified = clean.verify(corpus, checks, params, treatment)
        yield Verdicts(
            params=params,
            sources=source_names(),
            facts=facts,
            checks=checks,
            violations=verified.violations,
            contradictions=verified.contradictions(),
        )


def source_names() -> list[str]:
    """Return the names of the sources that extract read, in order of priority."""
    sources = json.loads(Path(artifacts.SOURCES).read_text(encoding="utf-8"))
    return [source["name"] for source in sources]


def checked_frame(verdicts: Verdicts) -> tuple[Any, list[Any]]:
    """Return the facts as a frame, and the rules as expectations of Great Expectations about it.

    They are those that `clean` checks. Each expectation bears its rule's name and message as a note.
    """
    frame = rules.frame(verdicts.facts, verdicts.checks)
    expected = []
    for rule in verdicts.checks.rules:
        rules.check_columns(rule, frame)
        expectation = rules.expected(rule, frame)
        expectation.notes = f"{rule.name}: {rule.message}"
        expected.append(expectation)
    return frame, expected


def operations(row: Row) -> list[Row]:
    """Return what `clean` changes in an extracted record, in its order, up to where it would stop.

    A row has `operation`, `column`, `before` and `after`. Raises ParamsError for wrong settings.
    """
    from stages.clean.values.normalise import clean_text, normalise_row
    from stages.clean.values.unusable import Unusable

    params, _ = load("clean", clean.Params)
    steps: list[Row] = []
    # The same order as in `clean`: lines, characters, values, personal data.
    if params.filter.lines is not None:
        without = without_recurring_lines(row, params.filter.lines.words)
        steps += changes("recurring lines", row, without)
        row = without
    cleaned = dict(row)
    for name in CLEANED_COLUMNS:
        if row[name] is not None:
            cleaned[name] = clean_text(row[name])
    steps += changes("characters and spaces", row, cleaned)
    try:
        normalised = normalise_row(row, params.normalise)
    except Unusable:
        return steps  # `clean` sets the record aside here
    steps += changes("one form for values", cleaned, normalised)
    treatment = personal.treatment_of(params.personal)
    if treatment:
        treated = treatment.rows([normalised])[0]
        steps += changes("personal data", normalised, treated)
    return steps


def without_recurring_lines(row: Row, words: int) -> Row:
    """Return the record without the lines that the last run took out as recurring."""
    import polars as pl

    from stages.clean.filters import lines
    from stages.clean.values.columns import COLUMNS

    # Which lines recur is known from the whole corpus alone, so the last run's list is read.
    file = Path(artifacts.RECURRING_LINES)
    recurring = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    frame = pl.DataFrame([row], schema=COLUMNS)
    shortened, _, _ = lines.without(frame, lines.named(recurring, words))
    return shortened.row(0, named=True)


def changes(operation: str, before: Row, after: Row) -> list[Row]:
    """Return a row for each column that an operation changed."""
    changed = []
    for name in SHOWN_COLUMNS:
        if before[name] != after[name]:
            changed.append(
                {
                    "operation": operation,
                    "column": name,
                    "before": before[name],
                    "after": after[name],
                }
            )
    return changed

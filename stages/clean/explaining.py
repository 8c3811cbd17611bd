"""Explain what clean did to one record, and what it found about all facts.

Both read the files that clean wrote, and never write one. What clean has no file for, such as a
text between two phases, is made again with the settings that are given. So the settings should be
those of the run: after a change, run dvc repro first.

A record that is excluded is explained without its content.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from stages import clean
from stages.clean import exclusions, personal
from stages.clean.filters import lines
from stages.clean.passes.ledger import PHASES
from stages.clean.personal import Treatment
from stages.clean.values.columns import COLUMNS
from stages.clean.values.normalise import TEXTS, clean_lines, clean_text, normalise_row
from stages.clean.values.source_forms import NO_FORMS, PLAIN, Forms, source_forms
from stages.clean.values.unusable import Unusable
from stages.clean.verifying import rules
from stages.clean.verifying.expectations import quiet_context
from stages.core.project.errors import InputError
from stages.core.records import record

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Change",
    "Explanation",
    "Files",
    "Findings",
    "Phase",
    "RuleFindings",
    "Step",
    "explain",
    "findings",
    "quiet_context",
]

Row = dict[str, Any]
Outcome = Literal["passed", "set aside", "not reached", "off"]
SHOWN = ("text", "question", "answer", "subject", "attribute", "value", "unit", "meta")
"""Columns that a phase can change."""
CLEANED = ("text", "question", "answer", "subject", "attribute", "value")
"""Columns in which characters and spaces are put in order."""
SHORTEST = 4
"""Characters of an id that may name a record."""


@dataclass(frozen=True)
class Files:
    """The files that clean reads and writes, as dvc.yaml names them."""

    extracted: Path
    """The folder of extract: records, rejected records, perhaps skipped units, and sources."""
    rules: Path
    exclusions: Path
    cleaned: Path
    """The folder of clean."""

    @property
    def records(self) -> Path:
        """The records that clean kept."""
        return self.cleaned / "records.parquet"

    @property
    def rejected(self) -> Path:
        """The records that extract or clean set aside."""
        return self.cleaned / "rejected.parquet"


@dataclass(frozen=True)
class Change:
    """A column that an operation changed."""

    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Step:
    """An operation that changed a record."""

    operation: str
    setting: str | None
    """The key of params.yaml that asks for it. None: it is always done."""
    changes: list[Change]


@dataclass(frozen=True)
class Phase:
    """What happened to a record in one phase."""

    name: str
    """One of `ledger.PHASES`."""
    outcome: Outcome
    """`off`: the settings do not ask for this phase. `not reached`: an earlier phase set the record
    aside."""
    before: Row | None = None
    """The columns `SHOWN` as they came in. None where the phase was not reached."""
    after: Row | None = None
    """The columns `SHOWN` as they went out. None where the record was set aside, or the phase was
    not reached."""
    steps: list[Step] = field(default_factory=list)
    reason: str | None = None
    """Why the record was set aside in this phase. None where it was not."""
    evidence: str | None = None
    setting: str | None = None
    """What the reason goes back to: a key of params.yaml, or a file and what stands in it. None: it
    always holds."""


@dataclass(frozen=True)
class Explanation:
    """What clean did to one record."""

    id: str
    source: str
    locator: str
    extracted: Row | None
    """The columns `SHOWN` as they were extracted. None where extract had set the record aside."""
    phases: list[Phase]
    """All phases, in their order. The first one is extract."""
    violations: list[Row]
    """Entries of violations.json about the record. A rule of severity `warn` lets the record pass.
    """
    contradictions: list[Row]
    """Entries of contradictions.json in which the record is a side."""

    @property
    def verdict(self) -> Phase | None:
        """The phase that set the record aside. None: it was kept."""
        for phase in self.phases:
            if phase.outcome == "set aside":
                return phase
        return None

    @property
    def steps(self) -> list[Step]:
        """All operations that changed the record, in their order."""
        steps: list[Step] = []
        for phase in self.phases:
            steps += phase.steps
        return steps


def explain(record_id: str, params: clean.Params, files: Files) -> Explanation:
    """Explain what happened to one record in each phase.

    `record_id` is its id, or the beginning of it.

    A unit that its source's `where` skips is explained as set aside by extract. Recurring lines are
    those that lines.json names. A line from which personal data was taken there is not found again.

    Raises InputError where no record or more than one has such an id, or clean has not run,
    ParamsError for settings that cannot be used.
    """
    final = _record_named(record_id, files)
    name = final["id"]
    phase_of_verdict = final.get("phase")
    treatment = personal.treatment_of(params.personal)
    extracted: Row | None = None
    for found in _rows_of(files.extracted / "records.parquet", record.SCHEMA, name):
        extracted = found
    if extracted is not None and final.get("reason") == exclusions.REASON:
        extracted = exclusions.redacted(extracted, {name: ("", "")})

    phases: list[Phase] = []
    row: Row | None = extracted
    for phase in PHASES:
        if phases and phases[-1].outcome in ("set aside", "not reached"):
            phases.append(Phase(phase, "not reached"))
        elif phase == phase_of_verdict:
            phases.append(_set_aside(phase, final, row, params, files))
        elif row is None:
            raise InputError(
                f"{name}: {files.rejected} has it, {files.extracted} does not; run dvc repro"
            )
        else:
            passed, following = _passed(phase, row, final, params, treatment, files)
            phases.append(passed)
            row = following

    return Explanation(
        id=name,
        source=final["source"],
        locator=final["locator"],
        extracted=None if extracted is None else _shown(extracted),
        phases=phases,
        violations=_violations_of(name, files),
        contradictions=_contradictions_of(name, files),
    )


def _passed(
    phase: str,
    row: Row,
    final: Row,
    params: clean.Params,
    treatment: Treatment | None,
    files: Files,
) -> tuple[Phase, Row]:
    """A phase that let the record pass, and the record after it."""
    outcome: Outcome = "passed"
    steps: list[Step] = []
    after = row
    if phase == "exclude":
        if not exclusions.some(exclusions.read(files.exclusions)):
            outcome = "off"
    elif phase == "normalise":
        steps, formed = _normalised(row, params, files)
        if formed is None:
            raise InputError(
                f"{final['id']}: clean normalised it with other settings; run dvc repro"
            )
        after = formed
    elif phase == "personal":
        if treatment is None:
            outcome = "off"
        else:
            after = treatment.rows([row])[0]
            steps = _step("personal data", "clean.personal", row, after)
    elif phase == "verify":
        # A record that passes the last phase is kept, as it stands in the table. There its subject
        # is spelt as in the first record about it.
        after = final
        steps = _step("one spelling of a subject", None, row, after)
    return Phase(phase, outcome, _shown(row), _shown(after), steps), after


def _set_aside(
    phase: str, final: Row, row: Row | None, params: clean.Params, files: Files
) -> Phase:
    """The phase that set the record aside. `row` is the record before it, or None in extract."""
    steps: list[Step] = []
    if phase == "normalise" and row is not None:
        steps, _ = _normalised(row, params, files)
    return Phase(
        phase,
        "set aside",
        before=_shown(final if row is None else row),
        steps=steps,
        reason=final["reason"],
        evidence=final["evidence"],
        setting=_setting_of(final, row, params, files),
    )


def _normalised(row: Row, params: clean.Params, files: Files) -> tuple[list[Step], Row | None]:
    """What normalising changes in a record, and the record after it (None: it cannot be)."""
    steps: list[Step] = []
    if params.filter.lines is not None:
        whole = row
        row = _without_lines(whole, params.filter.lines.words, files)
        steps += _step("recurring lines", "clean.filter.lines", whole, row)
    forms = _forms(files)
    keeps_lines = forms.get(row["source"], PLAIN).lines
    tidy = dict(row)
    for name in CLEANED:
        if row[name] is not None:
            form_of = clean_lines if keeps_lines and name in TEXTS else clean_text
            tidy[name] = form_of(row[name])
    steps += _step("characters and spaces", None, row, tidy)
    try:
        formed = normalise_row(row, params.normalise, forms)
    except Unusable:
        return steps, None
    steps += _step("one form for values", "clean.normalise", tidy, formed)
    return steps, formed


def _forms(files: Files) -> Forms:
    """How the sources write numbers and lines, as extract says."""
    path = files.extracted / "sources.json"
    if not path.is_file():
        return NO_FORMS
    return source_forms(json.loads(path.read_text(encoding="utf-8")))


def _without_lines(row: Row, words: int, files: Files) -> Row:
    """The record without the lines that clean took out as recurring."""
    path = files.cleaned / "lines.json"
    named = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    frame = pl.DataFrame([row], schema=COLUMNS)
    shorter, _, _ = lines.without(frame, lines.named(named, words))
    return shorter.row(0, named=True)


def _step(operation: str, setting: str | None, before: Row, after: Row) -> list[Step]:
    """The operation, if it changed a column."""
    changes = [
        Change(name, before[name], after[name]) for name in SHOWN if before[name] != after[name]
    ]
    return [Step(operation, setting, changes)] if changes else []


def _shown(row: Row) -> Row:
    return {name: row[name] for name in SHOWN}


def _setting_of(final: Row, row: Row | None, params: clean.Params, files: Files) -> str | None:
    """What the reason of a record that was set aside goes back to.

    `row` is the record before that phase.
    """
    phase, reason = final["phase"], final["reason"]
    if reason == exclusions.REASON:
        return str(files.exclusions)
    if phase == "extract":
        where = ".where" if reason == "where" else ""
        return f"extract.sources.{final['source']}{where}"
    if phase == "normalise" and row is not None:
        return _normalising_setting(row, params, _forms(files))
    if phase == "personal":
        return "clean.personal"
    if phase == "filter":
        return _filter_setting(final)
    if reason != "contradiction":
        return f"{files.rules}: {reason}"
    if row is None or not row["fact"]:
        return "clean.verify.answers"
    attribute = row["attribute"]
    if attribute in params.verify.tolerance:
        return f"clean.verify.tolerance.{attribute}"
    return "clean.verify.single_valued"


def _filter_setting(final: Row) -> str | None:
    by_lines = final["evidence"].startswith("nothing but lines")
    return {
        "low_information": "clean.filter.threshold",
        "boilerplate": "clean.filter.lines" if by_lines else "clean.filter.boilerplate",
        "near_duplicate": "clean.filter.near_duplicates",
        "duplicate": None,
    }.get(final["reason"])


def _normalising_setting(row: Row, params: clean.Params, forms: Forms) -> str:
    """The setting under which a record cannot be normalised: of a further field, or of its value."""
    for name, value in json.loads(row["meta"]).items():
        field_alone = row | {"fact": None, "meta": record.to_meta({name: value})}
        try:
            normalise_row(field_alone, params.normalise, forms)
        except Unusable:
            if name in params.normalise.dates:
                return "clean.normalise.dates"
            return f"clean.normalise.meta_units.{name}"
    attribute = clean_text(row["attribute"])
    if attribute in params.normalise.units:
        return f"clean.normalise.units.{attribute}"
    return "clean.normalise.years"


def _record_named(name: str, files: Files) -> Row:
    """The row of a record in the table where it ended, with its reason unless it was kept.

    Raises InputError.
    """
    if len(name) < SHORTEST:
        raise InputError(f"{name}: give at least {SHORTEST} characters of a record's id")
    rows = _rows_of(files.rejected, record.REJECTED, name)
    rows += _rows_of(files.records, record.SCHEMA, name)
    skipped = files.extracted / "skipped.parquet"
    if skipped.is_file():
        rows += _rows_of(skipped, record.REJECTED, name)
    if not rows:
        raise InputError(
            f"{name}: no record has an id that begins so; "
            f"ids are in {files.rejected}, and lore trace FILE lists them"
        )
    if len(rows) > 1:
        listed = ", ".join(sorted(row["id"] for row in rows)[:5])
        raise InputError(f"{name}: {len(rows)} records begin so: {listed}; give more of the id")
    return rows[0]


def _rows_of(path: Path, schema: pa.Schema, name: str) -> list[Row]:
    """Rows of a table whose id begins with `name`, read batch by batch.

    Raises InputError where it cannot be read.
    """
    rows: list[Row] = []
    with record.opened(path, schema) as file:
        for batch in file.iter_batches():
            rows += batch.filter(pc.starts_with(batch["id"], name)).to_pylist()
    return rows


def _entries(path: Path) -> Iterator[Row]:
    """The entries of a JSON file that clean wrote, one by one.

    The file may be larger than memory.

    Such a file is a list whose entries are indented by two spaces. Text in JSON has no line breaks,
    so a line that is `  }` or `  },` ends an entry. Raises InputError where the file cannot be
    read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            entry: list[str] = []
            for line in file:
                if line.rstrip() not in ("[", "]", "[]"):
                    entry.append(line)
                if line.rstrip() in ("  }", "  },"):
                    yield json.loads("".join(entry).rstrip().removesuffix(","))
                    entry = []
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run the stage that writes it (dvc repro)") from None
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); restore it with dvc checkout --force"
        ) from None


def _violations_of(name: str, files: Files) -> list[Row]:
    """Entries of violations.json about a record."""
    entries = _entries(files.cleaned / "violations.json")
    return [entry for entry in entries if entry["record"] == name]


def _contradictions_of(name: str, files: Files) -> list[Row]:
    """Entries of contradictions.json in which a record is a side."""
    entries = _entries(files.cleaned / "contradictions.json")
    return [entry for entry in entries if name in _records_of(entry)]


def _records_of(entry: Row) -> list[str]:
    """Ids of the two sides of a contradiction."""
    names = ("winner", "loser") if "winner" in entry else ("first", "second")
    sides = [entry[name] for name in names]
    return [side["record"] for side in sides]


@dataclass(frozen=True)
class RuleFindings:
    """One rule with the records that broke it. Rules of one name and message are one."""

    name: str
    message: str
    violations: list[Row]
    """Entries of violations.json: record, source, locator, column, value, severity …"""


@dataclass(frozen=True)
class Findings:
    """What the last phase of clean found, as its files have it."""

    files: Files
    checks: rules.Rules
    """The rules file."""
    by_rule: list[RuleFindings]
    """In the order of the rules file. A rule that no record broke is there as well."""
    facts: list[Row]
    """The facts that the rules judged, in the order in which they were extracted: normalised,
    filtered, before any rule."""
    sources: list[str]
    """Names of the sources, in order of priority."""

    @property
    def violations(self) -> int:
        """Number of violations of all rules."""
        return sum(len(rule.violations) for rule in self.by_rule)

    def contradictions(self) -> Iterator[Row]:
        """The entries of contradictions.json, with both sides of each.

        They are read one by one, anew in each call.
        """
        return _entries(self.files.cleaned / "contradictions.json")

    def table(self) -> "pd.DataFrame":
        """The facts as the rules see them: one row per fact, numbers as numbers."""
        return rules.frame(self.facts, self.checks)

    def expectations(self, table: "pd.DataFrame") -> Iterator[tuple[rules.Rule, Any]]:
        """Each rule with its Great Expectations expectation.

        Raises ParamsError where it names a column that is not there.
        """
        for rule in self.checks.rules:
            rules.check_columns(rule, table)
            yield rule, rules.expected(rule, table)


def findings(params: clean.Params, files: Files) -> Findings:
    """What the rules and the comparison of sources found, from the files that clean wrote.

    A fact that was set aside is normalised again, since clean writes it as it was extracted. If no
    fact about its subject was kept, the subject is spelt as in that fact.

    Raises InputError where clean has not run or ran with other rules or settings, ParamsError for
    settings that cannot be used.
    """
    checks = rules.read_rules(files.rules)
    by_rule: dict[tuple[str, str], list[Row]] = {
        (rule.name, rule.message): [] for rule in checks.rules
    }
    for entry in _entries(files.cleaned / "violations.json"):
        of_rule = by_rule.get((entry["rule"], entry["message"]))
        if of_rule is None:
            raise InputError(
                f"{files.cleaned}: made with a rule {entry['rule']} "
                f"that {files.rules} does not have; run dvc repro"
            )
        of_rule.append(entry)
    # The facts are read first: where extract has not run, this raises InputError.
    facts = _judged_facts(params, files)
    sources = json.loads((files.extracted / "sources.json").read_text(encoding="utf-8"))
    return Findings(
        files=files,
        checks=checks,
        by_rule=[RuleFindings(name, message, rows) for (name, message), rows in by_rule.items()],
        facts=facts,
        sources=[source["name"] for source in sources],
    )


def _judged_facts(params: clean.Params, files: Files) -> list[Row]:
    """The facts that the rules judged, in the order in which they were extracted."""
    is_fact = pc.is_valid(pc.field("fact"))
    lost_here = is_fact & (pc.field("phase") == "verify")
    kept = {row["id"]: row for row in _selected(files.records, record.SCHEMA, is_fact)}
    lost = {row["id"] for row in _selected(files.rejected, record.REJECTED, lost_here)}
    treatment = personal.treatment_of(params.personal)
    spelling = _spellings(kept.values())
    facts = []
    for row in _selected(files.extracted / "records.parquet", record.SCHEMA, is_fact):
        if row["id"] in kept:
            facts.append(kept[row["id"]])
        elif row["id"] in lost:
            _, formed = _normalised(row, params, files)
            if formed is None:
                raise InputError(
                    f"{row['id']}: clean normalised it with other settings; run dvc repro"
                )
            if treatment:
                formed = treatment.rows([formed])[0]
            facts.append(_spelt(formed, spelling))
    return facts


def _spellings(rows: Iterable[Row]) -> dict[str, str]:
    """Folded subject → subject. Kept records spell a subject all alike.

    Where names are exact (`extract.names`), CO and Co are two. Such subjects are left out.
    """
    spelling: dict[str, str] = {}
    several: set[str] = set()
    for row in rows:
        folded = record.fold(row["subject"])
        first = spelling.setdefault(folded, row["subject"])
        if first != row["subject"]:
            several.add(folded)
    return {folded: subject for folded, subject in spelling.items() if folded not in several}


def _spelt(row: Row, spelling: dict[str, str]) -> Row:
    """The fact with its subject in the spelling that the kept records have."""
    own: str = row["subject"]
    subject = spelling.get(record.fold(own), own)
    text = record.fact_text(subject, row["attribute"], row["value"], row["unit"])
    return row | {"subject": subject, "text": text}


def _selected(path: Path, schema: pa.Schema, condition: pc.Expression) -> Iterator[Row]:
    """Rows of a table for which the condition holds, read batch by batch."""
    with record.opened(path, schema) as file:
        for batch in file.iter_batches():
            yield from pa.Table.from_batches([batch]).filter(condition).to_pylist()

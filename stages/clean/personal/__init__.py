"""Personal data in records: found, and replaced, masked, hashed, or the record set aside.

`find_personal` says where a text holds which kind. `treated` changes one record, a `Treatment`
many. The modules `identifiers.py`, `addresses.py`, `names.py` and `chinese_names.py` say what they
find and what not. docs/experiments.md has precision and recall. A token classification checkpoint
(`tagger.py`) finds names that these do not know. A field may be declared personal as a whole. Then
its value is also looked for in the other texts of its record.

Off by default (`clean.personal: {}`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stages.clean.personal import tagger
from stages.clean.personal.actions import TOKEN, fingerprint, salt_from_environment
from stages.clean.personal.find import KINDS, Kind, find_personal
from stages.clean.personal.treatment import COLUMNS, Model, Params, tagger_of, treated
from stages.clean.span import Span
from stages.core.project.errors import ParamsError
from stages.core.records.record import Names

__all__ = [
    "KINDS",
    "Kind",
    "Model",
    "Params",
    "Span",
    "Treatment",
    "find_personal",
    "salt_of",
    "treated",
    "treatment_of",
]

Row = dict[str, Any]


def salt_of(params: Params) -> bytes:
    """The salt that these params need, empty where they need none.

    Raises ParamsError with every problem of the section.
    """
    problems = _problems_of_fields(params) + _problems_of_tagger(params)
    salt = b""
    if "hash" in params.actions.values():
        try:
            salt = salt_from_environment()
        except ParamsError as error:
            problems.append(str(error))
    if salt and params.salt and params.salt != fingerprint(salt):
        problems.append(
            f"clean.personal.salt: this is {params.salt}, the salt of the environment has the "
            f"fingerprint {fingerprint(salt)}; export the other salt, or write this fingerprint"
        )
    if problems:
        raise ParamsError("params.yaml:\n" + "\n".join(f"  {line}" for line in problems))
    return salt


def _problems_of_fields(params: Params) -> list[str]:
    problems = []
    for name, kind in params.fields.items():
        if kind not in params.actions:
            problems.append(
                f"clean.personal.fields.{name}: {kind} has no action; write one below clean.personal.actions"
            )
    if "subject" in params.fields:
        action = params.actions.get(params.fields["subject"])
        if action in ("replace", "mask"):
            problems.append(
                "clean.personal.fields.subject: replaced or masked, two subjects would become one; "
                "write hash or reject"
            )
    return problems


def _problems_of_tagger(params: Params) -> list[str]:
    if not params.tagger:
        return []
    problems = tagger.problems(params.tagger.model, params.tagger.revision, params.tagger.labels)
    for label, kind in params.tagger.labels.items():
        if kind not in params.actions:
            problems.append(
                f"labels.{label}: {kind} has no action; write one below clean.personal.actions"
            )
    return [f"clean.personal.tagger.{problem}" for problem in problems]


def treatment_of(params: Params, names: Names = "fold") -> "Treatment | None":
    """The treatment that these params ask for, where names are compared in this way.

    None where they are empty. Raises ParamsError as `salt_of` does.
    """
    if params == Params():
        return None
    salt = salt_of(params)
    model = params.tagger
    if model and Path(model.model).is_dir():
        # Workers may run in another folder.
        absolute = str(Path(model.model).absolute())
        params = replace(params, tagger=replace(model, model=absolute))
    return Treatment(params, salt, names)


@dataclass(frozen=True)
class Treatment:
    """Settings and salt, applied to records."""

    params: Params
    salt: bytes
    names: Names = "fold"
    """How the names of a fact are compared, and so how its id is made."""

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """The records treated."""
        return [treated(row, self.params, self.salt, self.names)[0] for row in rows]

    def judged(
        self, rows: dict[int, Row]
    ) -> tuple[dict[int, Row], dict[int, tuple[str, str]], Counter[str]]:
        """The treated records by row number, and row number → (reason, evidence) of those to set
        aside.

        Also the number of values of each kind, and under `records` the number of records that hold
        any.
        """
        done: dict[int, Row] = {}
        reasons: dict[int, tuple[str, str]] = {}
        counts: Counter[str] = Counter()
        for number, row in rows.items():
            new, spans = treated(row, self.params, self.salt, self.names)
            done[number] = new
            counts.update(span.kind for span in spans)
            counts["records"] += 1 if spans else 0
            if problem := problem_of(row, new, spans, self.params):
                reasons[number] = ("personal_data", problem)
        return done, reasons, counts

    def report(self, counts: Counter[str]) -> Row:
        """The section `personal` of metrics/clean.json."""
        found = {}
        for kind, action in self.params.actions.items():
            found[kind] = {"action": action, "values": counts[kind]}
        report: Row = {"records": counts["records"], "found": found}
        if self.salt:
            report["salt"] = fingerprint(self.salt)
        if model := self.params.tagger:
            report["tagger"] = tagger.identity(model.model, model.revision)
        return report


def problem_of(row: Row, new: Row, spans: list[Span], params: Params) -> str:
    """Why a treated record must be set aside, without a word of its content.

    Empty where it need not.
    """
    kinds_to_reject = {kind for kind, action in params.actions.items() if action == "reject"}
    rejected = sorted({span.kind for span in spans} & kinds_to_reject)
    if rejected:
        return f"holds {', '.join(rejected)}, whose action is reject"
    subject_has_changed = row["fact"] and new["subject"] != row["subject"]
    if subject_has_changed and not TOKEN.search(new["subject"]):
        return (
            "its subject is personal and was replaced or masked: two subjects would become one; "
            "the action hash keeps them apart"
        )
    if params.require_none and (left := _kinds_left(new, params)):
        return f"{', '.join(left)} left, and require_none is set"
    return ""


def _kinds_left(row: Row, params: Params) -> list[str]:
    """Kinds of personal data that a treated record still holds, sorted."""
    kinds: set[str] = set()
    for name in (*COLUMNS, "meta"):
        if text := row.get(name):
            spans = find_personal(text, row["lang"], tagger=tagger_of(params))
            kinds.update(span.kind for span in spans)
    return sorted(kinds)

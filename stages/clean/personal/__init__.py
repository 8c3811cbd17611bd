"""Personal data in records: found, and replaced, masked, hashed, or the record set aside.

`find_personal` says where a text holds what; `treated` changes one record, a `Treatment` many. What is found and what is
not stands in `identifiers.py`, `addresses.py`, `names.py` and `chinese_names.py`; docs/experiments.md has precision and
recall. A token classification checkpoint (`tagger.py`) finds names that these do not know. A field may be declared personal
as a whole: then its value is also sought in the other texts of its record.

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
    """The salt that these params need, empty where they need none. Raises ParamsError with every problem of the section."""
    problems = [
        f"clean.personal.fields.{name}: {kind} has no action; write one below clean.personal.actions"
        for name, kind in params.fields.items()
        if kind not in params.actions
    ]
    if "subject" in params.fields and params.actions.get(params.fields["subject"]) in (
        "replace",
        "mask",
    ):
        problems.append(
            "clean.personal.fields.subject: replaced or masked, two subjects would become one; write hash or reject"
        )
    if params.tagger:
        found = tagger.problems(params.tagger.model, params.tagger.revision, params.tagger.labels)
        found += [
            f"labels.{label}: {kind} has no action; write one below clean.personal.actions"
            for label, kind in params.tagger.labels.items()
            if kind not in params.actions
        ]
        problems += [f"clean.personal.tagger.{problem}" for problem in found]
    salt = b""
    if "hash" in params.actions.values():
        try:
            salt = salt_from_environment()
        except ParamsError as error:
            problems.append(str(error))
    if salt and params.salt and params.salt != fingerprint(salt):
        problems.append(
            f"clean.personal.salt: this is {params.salt}, the salt of the environment has the fingerprint {fingerprint(salt)}; "
            f"export the other salt, or write this fingerprint"
        )
    if problems:
        raise ParamsError("params.yaml:\n" + "\n".join(f"  {line}" for line in problems))
    return salt


def treatment_of(params: Params) -> "Treatment | None":
    """What these params do; nothing where they are empty. Raises ParamsError as `salt_of` does."""
    if params == Params():
        return None
    salt = salt_of(params)
    if (model := params.tagger) and Path(model.model).is_dir():  # workers may be in another folder
        params = replace(params, tagger=replace(model, model=str(Path(model.model).absolute())))
    return Treatment(params, salt)


@dataclass(frozen=True)
class Treatment:
    """Settings and salt, applied to records."""

    params: Params
    salt: bytes

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """The records treated."""
        return [treated(row, self.params, self.salt)[0] for row in rows]

    def judged(
        self, rows: dict[int, Row]
    ) -> tuple[dict[int, Row], dict[int, tuple[str, str]], Counter[str]]:
        """The records by place, treated; place → (reason, evidence) of those to set aside; values of each kind, and `records`."""
        done, reasons, counts = {}, {}, Counter[str]()
        for place, row in rows.items():
            new, spans = treated(row, self.params, self.salt)
            done[place] = new
            counts.update(span.kind for span in spans)
            counts["records"] += bool(spans)
            if problem := problem_of(row, new, spans, self.params):
                reasons[place] = ("personal_data", problem)
        return done, reasons, counts

    def report(self, counts: Counter[str]) -> Row:
        """What metrics/clean.json says."""
        found = {
            kind: {"action": action, "values": counts[kind]}
            for kind, action in self.params.actions.items()
        }
        report = {"records": counts["records"], "found": found} | (
            {"salt": fingerprint(self.salt)} if self.salt else {}
        )
        used = self.params.tagger
        return report | ({"tagger": tagger.identity(used.model, used.revision)} if used else {})


def problem_of(row: Row, new: Row, spans: list[Span], params: Params) -> str:
    """Why a treated record must be set aside, without a word of what it says; empty where it need not."""
    if kinds := sorted({span.kind for span in spans if params.actions.get(span.kind) == "reject"}):  # type: ignore[call-overload]
        return f"holds {', '.join(kinds)}, whose action is reject"
    if row["fact"] and new["subject"] != row["subject"] and not TOKEN.search(new["subject"]):
        return "its subject is personal and was replaced or masked: two subjects would become one; the action hash keeps them apart"
    if params.require_none:
        cells = [text for name in (*COLUMNS, "meta") if (text := new.get(name))]
        tagged = tagger_of(params)
        if left := sorted(
            {
                span.kind
                for text in cells
                for span in find_personal(text, new["lang"], tagger=tagged)
            }
        ):
            return f"{', '.join(left)} left, and require_none is set"
    return ""

"""Personal data in records: found, and replaced, masked, hashed, or the record set aside.

`find_personal` says where a text holds what; `treated` changes one record, `treat` all of them. What is found and what is
not stands in `identifiers.py`, `addresses.py`, `names.py` and `chinese_names.py`; docs/experiments.md has precision and
recall. A field may be declared personal as a whole: then its value is also sought in the other texts of its record.

Off by default (`clean.personal: {}`).
"""

from collections import Counter
from typing import Any

from stages.clean.personal.actions import TOKEN, fingerprint, salt_from_environment
from stages.clean.personal.find import KINDS, Kind, find_personal
from stages.clean.personal.treatment import COLUMNS, Params, treated
from stages.clean.span import Span
from stages.core.errors import ParamsError

__all__ = ["KINDS", "Kind", "Params", "Span", "find_personal", "salt_of", "treat", "treated"]

Row = dict[str, Any]
Reasons = dict[str, tuple[str, str]]


def salt_of(params: Params) -> bytes:
    """The salt that these params need, empty where they need none. Raises ParamsError with every problem of the section."""
    problems = [
        f"clean.personal.fields.{name}: {kind} has no action; write one below clean.personal.actions"
        for name, kind in params.fields.items()
        if kind not in params.actions
    ]
    if "subject" in params.fields and params.actions.get(params.fields["subject"]) in ("replace", "mask"):
        problems.append("clean.personal.fields.subject: replaced or masked, two subjects would become one; write hash or reject")
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


def treat(rows: list[Row], params: Params, salt: bytes) -> tuple[list[Row], Reasons, Row]:
    """The rows treated; id → (reason, evidence) of those to set aside; and what metrics/clean.json says of it."""
    done, reasons = [], Reasons()
    values, records = Counter[str](), 0
    for row in rows:
        new, spans = treated(row, params, salt)
        done.append(new)
        values.update(span.kind for span in spans)
        records += bool(spans)
        if problem := problem_of(row, new, spans, params):
            reasons[row["id"]] = ("personal_data", problem)
    found = {kind: {"action": action, "values": values[kind]} for kind, action in params.actions.items()}
    report: Row = {"records": records, "found": found}
    return done, reasons, report | ({"salt": fingerprint(salt)} if salt else {})


def problem_of(row: Row, new: Row, spans: list[Span], params: Params) -> str:
    """Why a treated record must be set aside, without a word of what it says; empty where it need not."""
    if kinds := sorted({span.kind for span in spans if params.actions.get(span.kind) == "reject"}):  # type: ignore[call-overload]
        return f"holds {', '.join(kinds)}, whose action is reject"
    if row["fact"] and new["subject"] != row["subject"] and not TOKEN.search(new["subject"]):
        return (
            "its subject is personal and was replaced or masked: two subjects would become one; the action hash keeps them apart"
        )
    if params.require_none:
        cells = [text for name in (*COLUMNS, "meta") if (text := new.get(name))]
        if left := sorted({span.kind for text in cells for span in find_personal(text, new["lang"])}):
            return f"{', '.join(left)} left, and require_none is set"
    return ""

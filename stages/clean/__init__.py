"""clean: extracted records → normalised, informative, verified ones; every other record set aside with its reason.

In: records, rejected records and sources of extract; the rules file; the exclusions file. Out: `records.parquet`,
`rejected.parquet` (with the phase and the reason, as it was extracted), `contradictions.json`, `violations.json`, and
`clean.json` (counts).

What `exclusions.py` names is set aside first, without its content. Three phases, each counted: normalise (`normalise.py`),
filter (`information.py`, then exact duplicates), verify (`rules.py`, then `contradictions.py`). read = kept + rejected, in all
and per source; what extract had set aside counts as read too.

Refused: settings that name an unknown unit, a rules file with unknown keys or columns, an exclusions file with what is no id.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from stages.clean import contradictions, exclusions, information, normalise, rules
from stages.core import record
from stages.core.errors import InputError
from stages.core.output import replacing, write_json
from stages.core.params import STRICT, Run

Row = dict[str, Any]
PHASES = ("extract", "normalise", "filter", "verify")


@dataclass(frozen=True, config=STRICT)
class Params:
    """One section per phase."""

    normalise: normalise.Params
    filter: information.Params
    verify: contradictions.Params


@plain_dataclass
class Ledger:
    """Rows on their way through the phases: what is kept, and what was set aside, as it was extracted."""

    kept: list[Row]
    original: dict[str, Row]
    rejected: list[Row] = field(default_factory=list)
    phases: dict[str, dict[str, int]] = field(default_factory=dict)

    def sift(self, phase: str, reasons: dict[str, tuple[str, str]], rows: Iterable[Row] | None = None) -> None:
        """Set aside the rows that `reasons` (id → reason, evidence) names; `rows` replaces the kept ones first."""
        if rows is not None:
            self.kept = list(rows)
        count = self.phases.setdefault(phase, {"in": len(self.kept), "out": 0, "rejected": 0})
        for row in self.kept:
            if row["id"] in reasons:
                reason, evidence = reasons[row["id"]]
                self.rejected.append(self.original[row["id"]] | {"phase": phase, "reason": reason, "evidence": evidence})
        self.kept = [row for row in self.kept if row["id"] not in reasons]
        count["rejected"] += len(reasons)
        count["out"] = len(self.kept)


def run(params: Params, run: Run, extracted: Path, rules_file: Path, exclusions_file: Path, out: Path, metrics: Path) -> None:
    """Clean the records into `out`."""
    rows = record.read(extracted / "records.parquet")
    before = record.read(extracted / "rejected.parquet", record.REJECTED)
    sources = json.loads((extracted / "sources.json").read_text(encoding="utf-8"))
    checks = rules.read_rules(rules_file)
    excluded = exclusions.find([*rows, *before], exclusions.read(exclusions_file))
    ledger = before_rules(rows, params, excluded)
    reasons, violations = rules.violations(ledger.kept, checks)
    ledger.sift("verify", reasons)
    reasons, disputes = contradictions.find(ledger.kept, ledger.original, params.verify)
    ledger.sift("verify", reasons)
    if not ledger.kept:
        raise InputError(f"clean: not one of {len(rows)} records of {extracted} was kept; check the clean section of params.yaml")

    ledger.rejected = [exclusions.redacted(row, excluded) for row in before] + ledger.rejected
    with replacing(out) as folder:
        record.write(folder / "records.parquet", ledger.kept)
        record.write(folder / "rejected.parquet", ledger.rejected, record.REJECTED)
        write_json(folder / "contradictions.json", disputes)
        write_json(folder / "violations.json", violations)
    report = summary(ledger, sources, len(before), len(disputes))
    write_json(metrics, report)
    show(report)


def before_rules(rows: list[Row], params: Params, excluded: dict[str, tuple[str, str]]) -> Ledger:
    """The ledger as the rules find it: without what is excluded, normalised and filtered."""
    ledger = Ledger(rows, {row["id"]: exclusions.redacted(row, excluded) for row in rows})
    if excluded:
        ledger.sift("exclude", {row["id"]: excluded[row["id"]] for row in rows if row["id"] in excluded})
    normalised, reasons = normalise.normalise_rows(ledger.kept, params.normalise)
    ledger.sift("normalise", reasons, normalised)
    ledger.sift("filter", information.low_information(ledger.kept, params.filter))
    ledger.sift("filter", duplicates(ledger.kept, params.normalise.dates))
    return ledger


def duplicates(rows: list[Row], dates: list[str]) -> dict[str, tuple[str, str]]:
    """Later rows that say the same as an earlier one.

    A free text is the same wherever it stands. A fact is the same only within its source (dates of review aside): two
    sources that agree support each other, and both are kept.
    """
    first: dict[tuple[Any, ...], str] = {}
    found = {}
    for row in rows:
        key: tuple[Any, ...] = (row["kind"], record.fold(row["text"]), row["question"], row["answer"])
        if row["fact"]:
            meta = {name: value for name, value in json.loads(row["meta"]).items() if name not in dates}
            key += (row["source"], row["fact"], row["value"], row["unit"], json.dumps(meta, sort_keys=True))
        if first.setdefault(key, row["id"]) != row["id"]:
            found[row["id"]] = ("duplicate", f"same as record {first[key]}")
    return found


def summary(ledger: Ledger, sources: list[Row], before: int, disputes: int) -> Row:
    """What metrics/clean.json says."""
    kept = Counter(row["source"] for row in ledger.kept)
    rejected = Counter(row["source"] for row in ledger.rejected)
    phases = {"extract": {"in": len(ledger.original) + before, "out": len(ledger.original), "rejected": before}}
    return {
        "read": len(ledger.kept) + len(ledger.rejected),
        "kept": len(ledger.kept),
        "rejected": len(ledger.rejected),
        "reasons": dict(sorted(Counter(row["reason"] for row in ledger.rejected).items())),
        "phases": phases | ledger.phases,
        "contradictions": disputes,
        "sources": {
            source["name"]: {
                "units": source["units"],
                "records": source["records"] + source["rejected"],
                "kept": kept[source["name"]],
                "rejected": rejected[source["name"]],
            }
            for source in sources
        },
    }


def show(report: Row) -> None:
    """Print the summary on one screen."""
    print(f"clean: read {report['read']:,} = kept {report['kept']:,} + rejected {report['rejected']:,}")
    for phase, count in report["phases"].items():
        print(f"  {phase:10} in {count['in']:6,}  rejected {count['rejected']:5,}")
    for reason, count in sorted(report["reasons"].items(), key=lambda item: (-item[1], item[0])):
        print(f"    {reason:30} {count:5,}")

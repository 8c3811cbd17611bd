"""clean: extracted records → normalised, informative, verified ones; every other record set aside with its reason.

In: records, rejected records and sources of extract; the rules file; the exclusions file. Out: `records.parquet`,
`rejected.parquet` (with the phase and the reason, as it was extracted), `contradictions.json`, `violations.json`, and
`clean.json` (counts). Where recurring lines are taken out (`lines.py`), `lines.json` names them all.

What `exclusions.py` names is set aside first, without its content. Three phases, each counted: normalise (`columns.py`),
filter (`information.py`, then `repeats.py`), verify (`rules.py`, `contradictions.py`, then `answers.py`). read = kept + rejected,
in all and per source; what extract had set aside counts as read too. Where the section `personal` says so, personal data is taken
out after normalising, a phase of its own (`personal/`).

Refused: settings that name an unknown unit, a rules file with unknown keys or columns, an exclusions file with what is no id.
"""

import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass as plain_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from stages.clean import exclusions, personal
from stages.clean.filters import information
from stages.clean.passes.excluding import excluded_in
from stages.clean.passes.filtering import Filtered, filtered
from stages.clean.passes.ledger import Ledger
from stages.clean.passes.writing import Tally, as_written, write
from stages.clean.personal import Treatment
from stages.clean.values import normalise
from stages.clean.verifying import answers, contradictions, rules
from stages.core.executors.local import engine_of
from stages.core.project.errors import InputError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record
from stages.core.repeatable import changes

Row = dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class Params:
    """One section per phase."""

    normalise: normalise.Params
    personal: personal.Params
    filter: information.Params
    verify: contradictions.Params


@plain_dataclass
class Verified:
    """What the last phase found."""

    violations: list[Row]
    disputes: list[Row]
    """Contradictions between facts."""
    pairs: answers.Pairs
    entries: Callable[[], Iterator[Row]]
    """What the report says of the pairs; their texts are read while it is written."""

    def contradictions(self) -> Iterator[Row]:
        """All entries of contradictions.json."""
        yield from self.disputes
        yield from self.entries()


def run(
    params: Params,
    run: Run,
    extracted: Path,
    rules_file: Path,
    exclusions_file: Path,
    out: Path,
    metrics: Path,
) -> None:
    """Clean the records into `out`."""
    source = extracted / "records.parquet"
    before = record.read(extracted / "rejected.parquet", record.REJECTED)
    sources = json.loads((extracted / "sources.json").read_text(encoding="utf-8"))
    checks = rules.read_rules(rules_file)
    treatment = personal.treatment_of(params.personal)
    listed = exclusions.read(exclusions_file)
    with replacing(out) as folder:
        between = folder / "between"
        between.mkdir(parents=True)
        with engine_of(run, between) as engine:
            excluded = excluded_in(source, before, listed, engine)
            before = [exclusions.redacted(row, excluded) for row in before]
            corpus = filtered(
                source, params.normalise, params.filter, engine, between, treatment, excluded
            )
            found = verify(corpus, checks, params, treatment)
            if not corpus.ledger.alive.any():
                raise InputError(
                    f"clean: not one of {len(corpus.ledger.verdict)} records of {extracted} was kept; "
                    "check the clean section of params.yaml"
                )
            tally = write(corpus, before, folder, treatment)
            write_entries(folder / "contradictions.json", found.contradictions())
        write_json(folder / "violations.json", found.violations)
        shutil.rmtree(between)
        if params.filter.lines:
            write_json(folder / "lines.json", corpus.cut.report())
    report = summary(corpus.ledger, tally, sources, before, len(found.disputes) + len(found.pairs))
    report |= {"personal": treatment.report(corpus.personal)} if treatment else {}
    report |= {"lines": corpus.cut.shown()} if params.filter.lines else {}
    write_json(metrics, report)
    show(report)
    if params.filter.lines:
        print(f"  lines      {corpus.cut.summary()}")
    if compared := changes.compare("clean", out):
        print(f"  {compared}")


def verify(
    corpus: Filtered, checks: rules.Rules, params: Params, treatment: Treatment | None
) -> Verified:
    """Set aside the facts that break a rule or lose against a source of higher priority, and answers that do, if so declared."""
    facts = corpus.facts()
    places = dict(zip(facts["id"], facts["place"], strict=True))
    rows = facts.drop("place").to_dicts()
    corpus.ledger.begin("verify")
    reasons, violations = rules.violations(rows, checks)
    corpus.ledger.note("verify", {places[name]: reason for name, reason in reasons.items()})
    rows = [row for row in rows if row["id"] not in reasons]
    written = {
        row["id"]: row
        for row in as_written(corpus, facts["place"].to_numpy().astype(np.int64), treatment)
    }
    reasons, disputes = contradictions.find(rows, written, params.verify)
    corpus.ledger.note("verify", {places[name]: reason for name, reason in reasons.items()})
    pairs = answers.judge(
        corpus, params.verify.answers, params.filter.near_duplicates, treatment is not None
    )
    return Verified(violations, disputes, pairs, partial(answers.entries, corpus, pairs, treatment))


def write_entries(path: Path, entries: Iterator[Row]) -> None:
    """Write what `write_json` makes of a list, entry by entry."""
    with path.open("w", encoding="utf-8") as file:
        mark = "[\n"
        for entry in entries:
            file.write(
                mark + textwrap.indent(json.dumps(entry, ensure_ascii=False, indent=2), "  ")
            )
            mark = ",\n"
        file.write("[]\n" if mark == "[\n" else "\n]\n")


def summary(
    ledger: Ledger, tally: Tally, sources: list[Row], before: list[Row], disputes: int
) -> Row:
    """What metrics/clean.json says."""
    records = len(ledger.verdict)
    phases = {"extract": {"in": records + len(before), "out": records, "rejected": len(before)}}
    return {
        "read": records + len(before),
        "kept": tally.kept.total(),
        "rejected": tally.rejected.total(),
        "reasons": dict(
            sorted((ledger.counts() + Counter(row["reason"] for row in before)).items())
        ),
        "phases": phases | ledger.phases,
        "contradictions": disputes,
        "sources": {
            source["name"]: {
                "units": source["units"],
                "records": source["records"] + source["rejected"],
                "kept": tally.kept[source["name"]],
                "rejected": tally.rejected[source["name"]],
            }
            | ({"skipped": source["skipped"]} if "skipped" in source else {})
            for source in sources
        },
    }


def show(report: Row) -> None:
    """Print the summary on one screen."""
    print(
        f"clean: read {report['read']:,} = kept {report['kept']:,} + rejected {report['rejected']:,}"
    )
    for phase, count in report["phases"].items():
        print(f"  {phase:10} in {count['in']:6,}  rejected {count['rejected']:5,}")
    for reason, count in sorted(report["reasons"].items(), key=lambda item: (-item[1], item[0])):
        print(f"    {reason:30} {count:5,}")
    if report["contradictions"]:
        print(f"  contradictions {report['contradictions']:,}: lore docs shows both sides of each")

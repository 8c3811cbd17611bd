"""clean: extracted records → normalised, informative, verified ones.

Every other record is set aside with its reason.

In: records, rejected records and sources of extract, the rules file, and the exclusions file. Out:
`records.parquet`, `rejected.parquet` (as it was extracted, with phase and reason),
`contradictions.json`, `violations.json`, and `clean.json` (counts). Where recurring lines are taken
out (`lines.py`), `lines.json` names them all.

Each phase counts its records:

1. exclude: what the exclusions file names is set aside, without its content (`exclusions.py`)
2. normalise: one form for dates, quantities and texts (`values/`)
3. personal: personal data is replaced or masked, if the section `personal` says so (`personal/`)
4. filter: texts that say too little (`information.py`), and then repeats (`repeats.py`)
5. verify: rules (`rules.py`), contradictions (`contradictions.py`), and then answers that differ
   (`answers.py`)

read = kept + rejected, in all and per source. What extract had set aside counts as read, too.

Refused: settings with an unknown unit, a rules file with unknown keys or columns, an exclusions
file with malformed ids.
"""

import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from stages.clean import exclusions, personal
from stages.clean.filters import repeats
from stages.clean.filters.information import Params as Filter
from stages.clean.passes.excluding import excluded_in
from stages.clean.passes.filtering import Filtered, filtered
from stages.clean.passes.ledger import Ledger
from stages.clean.passes.writing import Tally, as_written, write
from stages.clean.personal import Params as Personal
from stages.clean.personal import Treatment
from stages.clean.values.normalise import Params as Normalise
from stages.clean.values.source_forms import source_forms
from stages.clean.verifying import answers, contradictions, rules
from stages.clean.verifying.contradictions import Params as Verify
from stages.core.executors.choice import executor_of
from stages.core.project.errors import InputError, resources_explained
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record
from stages.core.repeatable import changes

Row = dict[str, Any]
SIGNATURE_BYTES = repeats.BANDS * (4 * repeats.ROWS + 8)
"""Bytes of the signature of a free text: 4 for each value, and 8 for each band."""
WORKER_MODULE = "stages.clean.passes.writing"
"""The module that imports all the code that workers run."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """One section per phase."""

    normalise: Normalise = field(default_factory=Normalise)
    """One form for units, numbers, dates and characters."""
    personal: Personal = field(default_factory=Personal)
    """Personal data in texts, questions, answers, subjects, values and further fields, after
    `normalise`. `{}`: it is not looked for. Without a tagger most names in free text are not found
    (docs/experiments.md, "Personal data"): declare the fields that hold them. Locators stay as they
    are, so use no personal column as a key."""
    filter: Filter = field(default_factory=Filter)
    """Free texts that say too little, or repeat earlier ones."""
    verify: Verify = field(default_factory=Verify)
    """Records that contradict each other. Rules stand in `data/raw/rules.yaml`."""


@plain_dataclass
class Verified:
    """The results of the last phase."""

    violations: list[Row]
    disputes: list[Row]
    """Contradictions between facts."""
    pairs: answers.Pairs
    entries: Callable[[], Iterator[Row]]
    """Yields the report entries of the pairs. Their texts are read while the report is written."""

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
    """Clean the records into `out`.

    Raises ResourceError where disk or memory runs out.
    """
    with resources_explained("clean", out, space_needed(extracted / "records.parquet")):
        clean_records(params, run, extracted, rules_file, exclusions_file, out, metrics)


def space_needed(source: Path) -> int:
    """Return about how many bytes the files between the passes and the output take together."""
    with record.opened(source) as file:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    # The records stand there normalised, and their words once more. Each has its signature.
    texts = sum(group.total_byte_size for group in groups)
    rows = sum(group.num_rows for group in groups)
    return int(3 * texts + SIGNATURE_BYTES * rows)


def clean_records(
    params: Params,
    run: Run,
    extracted: Path,
    rules_file: Path,
    exclusions_file: Path,
    out: Path,
    metrics: Path,
) -> None:
    """Clean the records into `out`, as `run` does."""
    source = extracted / "records.parquet"
    before = record.read(extracted / "rejected.parquet", record.REJECTED)
    sources = json.loads((extracted / "sources.json").read_text(encoding="utf-8"))
    refuse_repeated_ids(source)
    # extract says in the entries of its sources how it compared names, unless it folded them.
    exact = any(entry.get("names") == "exact" for entry in sources)
    checks = rules.read_rules(rules_file)
    treatment = personal.treatment_of(params.personal, "exact" if exact else "fold")
    listed = exclusions.read(exclusions_file)
    with replacing(out) as folder:
        between = folder / "between"
        between.mkdir(parents=True)
        with executor_of(run, between, WORKER_MODULE) as executor:
            excluded = excluded_in(source, before, listed, executor)
            before = [exclusions.redacted(row, excluded) for row in before]
            corpus = filtered(
                source,
                params.normalise,
                params.filter,
                executor,
                between,
                treatment,
                excluded,
                exact,
                source_forms(sources),
            )
            verified = verify(corpus, checks, params, treatment)
            if not corpus.ledger.alive.any():
                raise nothing_kept(corpus.ledger, extracted)
            tally = write(corpus, before, folder, treatment)
            write_entries(folder / "contradictions.json", verified.contradictions())
        write_entries(folder / "violations.json", iter(verified.violations))
        shutil.rmtree(between)
        if params.filter.lines:
            write_json(folder / "lines.json", corpus.cut.report())

    disputes = len(verified.disputes) + len(verified.pairs)
    report = summary(corpus.ledger, tally, sources, before, disputes)
    if treatment:
        report["personal"] = treatment.report(corpus.personal)
    if params.normalise.unreadable_dates == "keep":
        report["unreadable_dates"] = dict(sorted(corpus.unreadable.items()))
    if params.filter.lines:
        report["lines"] = corpus.cut.shown()
    write_json(metrics, report)
    show(report)
    for name, count in report.get("unreadable_dates", {}).items():
        print(f"  unreadable dates kept as written: {name} {count:,}")
    if params.filter.lines:
        print(f"  lines      {corpus.cut.summary()}")
    compared = changes.compare("clean", out)
    if compared:
        print(f"  {compared}")


def verify(
    corpus: Filtered, checks: rules.Rules, params: Params, treatment: Treatment | None
) -> Verified:
    """Set aside the facts that break a rule, then those that contradict a better source.

    Answers that differ from the first one to their question are set aside only if params declare
    it.
    """
    facts = corpus.kept_facts()
    position_of = dict(zip(facts["id"], facts["position"], strict=True))
    rows = facts.drop("position").to_dicts()

    corpus.ledger.begin("verify")
    reasons, violations = rules.violations(rows, checks)
    corpus.ledger.note("verify", {position_of[name]: reason for name, reason in reasons.items()})

    rows = [row for row in rows if row["id"] not in reasons]
    positions = facts["position"].to_numpy().astype(np.int64)
    written = {row["id"]: row for row in as_written(corpus, positions, treatment)}
    names: record.Names = "exact" if corpus.exact else "fold"
    reasons, disputes = contradictions.find(rows, written, params.verify, names)
    corpus.ledger.note("verify", {position_of[name]: reason for name, reason in reasons.items()})

    pairs = answers.judge(
        corpus, params.verify.answers, params.filter.near_duplicates, treatment is not None
    )
    return Verified(violations, disputes, pairs, partial(answers.entries, corpus, pairs, treatment))


def refuse_repeated_ids(source: Path) -> None:
    """Raise InputError where two records of a file have one id.

    A verdict goes by the id of a record. Of two records with one id, it would fall on the wrong one.
    """
    repeated = record.repeated_ids({source: record.SCHEMA})
    if repeated:
        name, count = next(iter(repeated.items()))
        raise InputError(
            f"{source}: {count} records have the id {name}; run extract again, which sets such "
            "records aside (dvc repro --force --single-item extract)"
        )


def nothing_kept(ledger: Ledger, extracted: Path) -> InputError:
    """The error for records of which not one is kept, with the commonest reason."""
    number = len(ledger.verdict)
    if not number:
        return InputError(
            f"clean: {extracted} has no record, because extract set all units aside; "
            "its rejected.parquet has the reasons, and lore check-data shows them"
        )
    reason, count = ledger.counts().most_common(1)[0]
    return InputError(
        f"clean: not one of {number} records of {extracted} was kept ({reason} {count:,}); "
        "check the clean section of params.yaml, and lore check-data"
    )


def write_entries(path: Path, entries: Iterator[Row]) -> None:
    """Write the entries one by one, with the bytes that `write_json` writes of their list.

    The JSON is strict: a number that it cannot hold, such as Infinity, is an error here.
    """
    empty = True
    with path.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write("[\n" if empty else ",\n")
            shown = json.dumps(entry, ensure_ascii=False, indent=2, allow_nan=False)
            file.write(textwrap.indent(shown, "  "))
            empty = False
        file.write("[]\n" if empty else "\n]\n")


def summary(
    ledger: Ledger, tally: Tally, sources: list[Row], before: list[Row], disputes: int
) -> Row:
    """The content of metrics/clean.json."""
    records = len(ledger.verdict)
    extract = {"in": records + len(before), "out": records, "rejected": len(before)}
    reasons = ledger.counts() + Counter(row["reason"] for row in before)
    by_source = {}
    for source in sources:
        name = source["name"]
        by_source[name] = {
            "units": source["units"],
            "records": source["records"] + source["rejected"],
            "kept": tally.kept[name],
            "rejected": tally.rejected[name],
        }
        if "skipped" in source:
            by_source[name]["skipped"] = source["skipped"]
    return {
        "read": records + len(before),
        "kept": tally.kept.total(),
        "rejected": tally.rejected.total(),
        "reasons": dict(sorted(reasons.items())),
        "phases": {"extract": extract} | ledger.phases,
        "contradictions": disputes,
        "sources": by_source,
    }


def show(report: Row) -> None:
    """Print the summary on one screen."""
    print(
        f"clean: read {report['read']:,} = kept {report['kept']:,} "
        f"+ rejected {report['rejected']:,}"
    )
    for phase, count in report["phases"].items():
        print(f"  {phase:10} in {count['in']:6,}  rejected {count['rejected']:5,}")
    by_count = sorted(report["reasons"].items(), key=lambda item: (-item[1], item[0]))
    for reason, count in by_count:
        print(f"    {reason:30} {count:5,}")
    if report["contradictions"]:
        print(f"  contradictions {report['contradictions']:,}: lore docs shows both sides of each")

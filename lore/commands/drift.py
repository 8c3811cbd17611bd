"""Show whether the records are distributed as those of another version, and which rows stand out.

Compared are the numbers and categories of each attribute of each source, the shares of sources and languages, and
new free texts. A row of the table is one comparison with the size of the difference: PSI for numbers, Cramér's V for
categories and counts, AUC for texts. With --asked FILE, what people asked of a server and what it answered are
compared too. The p-values are adjusted for their number, so that data without drift raise an alarm in at most
--alarm of the cases.

Example: `lore drift knowledge@v1.0.0` compares that version with the records here. Exit code 0, and with
--exit-code 3 where there is an alarm.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.project import artifacts

if TYPE_CHECKING:
    from lore.drift.findings import Finding
    from lore.rendering.report import Section
    from lore.versions.version import Version

Row = dict[str, Any]
ALARM = 0.05
FOUND = 3
LISTED = 8
COLUMNS = (
    "source",
    "locator",
    "kind",
    "lang",
    "text",
    "subject",
    "attribute",
    "value",
    "unit",
    "fact",
)
SIZES = {"numbers": "PSI", "categories": "V", "counts": "V", "texts": "AUC"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore drift`."""
    parser.add_argument("reference", metavar="VERSION", help="the version to compare with")
    parser.add_argument(
        "now", metavar="VERSION", nargs="?", help="the version in question; default: the files here"
    )
    parser.add_argument(
        "--asked", type=Path, metavar="FILE",
        help="log of lore serve --request-log: compare its questions with the trained ones of VERSION, and its later "
        "half with the earlier one",
    )  # fmt: skip
    parser.add_argument(
        "--alarm", type=level, default=ALARM, metavar="P",
        help=f"adjusted p-value below which a comparison is an alarm; default: {ALARM}",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="list every comparison")
    parser.add_argument(
        "--json", action="store_true", help="print JSON; it always holds everything"
    )
    parser.add_argument(
        "--exit-code", action="store_true", help=f"exit with {FOUND} where there is an alarm"
    )


def level(text: str) -> float:
    """Return a probability above 0 and below 1."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no level; write a number between 0 and 1")
    return value


def run(options: argparse.Namespace) -> int:
    """Print the comparisons. Raises InputError where a version cannot be read."""
    from lore.drift import asked, findings
    from lore.rendering import report, terminal
    from lore.versions import version
    from stages.core.project.params import Run, read_section

    reference = version.revision(options.reference)
    now = version.revision(options.now) if options.now else version.workspace()
    seed = read_section("run", Run).seed
    records = records_of(reference)
    compared = findings.compare(records, records_of(now), seed)
    if options.asked is not None:
        attributes = {row["fact"]: row["attribute"] for row in records if row["fact"]}
        log = asked.read(options.asked)
        compared += asked.compare(trained_questions(reference), log, attributes, seed)
    found = findings.together(compared)
    alarms = [one for one in found if one.adjusted < options.alarm]
    if options.json:
        document = {"alarm": options.alarm, "alarms": len(alarms), "comparisons": []}
        document["comparisons"] = [asdict(one) for one in found]
        print(terminal.json_text(document))
    else:
        title = f"Drift from {reference.label} to {now.label}"
        sections = [section_of_alarms(alarms)]
        rest = [one for one in found if one.adjusted >= options.alarm]
        sections.append(section_of_rest(rest, None if options.all else LISTED))
        print(report.text(title, [], sections), end="")
    return FOUND if options.exit_code and alarms else 0


def records_of(version: "Version") -> list[Row]:
    """Return the cleaned records of a version. Raises InputError where they are missing or damaged."""
    rows: list[Row] = version.table(artifacts.CLEAN_RECORDS, COLUMNS).to_pylist()
    return rows


def trained_questions(version: "Version") -> list[str]:
    """Return the questions that a version was trained on. Raises InputError where they are missing or damaged."""
    rows = version.table(artifacts.TRAINING_RECORDS, ("split", "question")).to_pylist()
    questions = []
    for row in rows:
        is_trained = row["split"] == "train"
        if is_trained and row["question"]:
            questions.append(row["question"])
    return questions


def section_of_alarms(alarms: "list[Finding]") -> "Section":
    """Return the alarms, each followed by the rows that stand out."""
    from lore.rendering.report import Section

    rows: list[tuple[str, ...]] = []
    for one in alarms:
        rows.append(cells(one))
        for standing_out in one.rows:
            rows.append((f"  {standing_out}", "", "", "", ""))
    lines = () if alarms else ("none",)
    return Section(f"Alarms: {len(alarms):,}", lines, HEADINGS, rows)


def section_of_rest(rest: "list[Finding]", most: int | None) -> "Section":
    """Return the comparisons without an alarm, the nearest to one first."""
    from lore.rendering.report import Section, left_out

    rows = [cells(one) for one in rest[:most]]
    return Section(
        f"Without an alarm: {len(rest):,}",
        tuple(left_out("comparisons", len(rest), most)),
        HEADINGS,
        rows,
    )


HEADINGS = ("compared", "before", "now", "difference", "p, adjusted")


def cells(one: "Finding") -> tuple[str, ...]:
    """Return the row of a comparison."""
    difference = f"{SIZES[one.test]} {one.size:.3f}"
    return (one.what, f"{one.before:,}", f"{one.now:,}", difference, f"{one.adjusted:.2g}")

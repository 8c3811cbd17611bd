"""A lineage as sections of a report: each line says what, where, and with which hash or id."""

from collections import Counter
from dataclasses import replace

from lore.lineage import raw_location
from lore.lineage.graph import Lineage, Row, Tables
from lore.lineage.raw_location import RawFile
from lore.rendering.report import Section, left_out
from lore.versions.dvc_cache import md5
from lore.versions.version import Version
from stages.core.project.artifacts import ANSWERS, TRAINING_RECORDS

Cells = list[tuple[str, ...]]
"""The lines of one row."""
COLUMNS = ("what", "where", "hash")
LISTED = 10
"""Rows of a section that are shown unless --all asks for all."""


def sections_of(
    lineage: Lineage, version: Version, raw: dict[str, RawFile], tables: Tables, everything: bool
) -> list[Section]:
    """Return the sections that have rows, from the answers to the sources or the other way.

    `raw` maps the name of each raw file below data/raw to what it is.
    """
    cleaned_rows = [cleaned_row(row, lineage.made) for row in lineage.cleaned]
    extracted_rows = [record_row(row) for row in lineage.extracted]
    rejected_rows = [rejected_row(row, tables.disputes) for row in lineage.rejected]
    skipped_rows = [skipped_row(row) for row in lineage.skipped]

    answers = answers_section(lineage, version, everything)
    training = training_section(lineage, version, everything)
    cleaned = section("Cleaned records", cleaned_rows, everything)
    extracted = section("Extracted records, as written", extracted_rows, everything)
    locators = locators_section(lineage, raw, everything)
    rejected = section("Rejected records", rejected_rows, everything)
    skipped = section("Skipped by where", skipped_rows, everything)
    if lineage.forward:
        ordered = [locators, extracted, cleaned, rejected, skipped, training, answers]
    else:
        ordered = [answers, training, cleaned, extracted, locators, rejected]
    return [part for part in ordered if part.rows]


def section(name: str, rows: list[Cells], everything: bool, lines: tuple[str, ...] = ()) -> Section:
    """Return one section: the number of rows, and the first of them or all."""
    most = None if everything else LISTED
    lines = (*lines, *left_out(name.lower(), len(rows), most))
    shown: Cells = []
    for cells in rows[:most]:
        shown += cells
    return Section(f"{name}: {len(rows):,}", lines, COLUMNS, shown)


def answers_section(lineage: Lineage, version: Version, everything: bool) -> Section:
    """Return what each variant answered. Of several facts: how many it got right, and which."""
    answers = lineage.answers
    facts = {row["fact"] or row["question"] for row in answers}
    if len(facts) <= 1:
        digest = hash_of_output(version, ANSWERS) if answers else ""
        rows: list[Cells] = []
        for row in answers:
            rows.append([(f"{row['variant']}: {verdict(row)}: {row['answer']}", ANSWERS, digest)])
        lines: tuple[str, ...] = ()
        if answers:
            lines = (f"{answers[0]['question']}  right is: {answers[0]['expected']}",)
        return section("Answers", rows, everything, lines)
    asked = Counter(row["variant"] for row in answers)
    right = Counter(row["variant"] for row in answers if row["correct"])
    counts = ", ".join(f"{name} {right[name]:,} of {asked[name]:,}" for name in asked)
    lines = (f"right answers: {counts}",)
    return section("Facts and answers", fact_rows(lineage), everything, lines)


def fact_rows(lineage: Lineage) -> list[Cells]:
    """Return a row per fact: what it says, which variants answered it right, and the record's role.

    The facts stand in the order of the cleaned records that they come from.
    """
    right: dict[str, list[str]] = {}  # fact or question → variants that answered it right
    for row in lineage.answers:
        variants = right.setdefault(row["fact"] or row["question"], [])
        if row["correct"]:
            variants.append(row["variant"])
    first: dict[str, Row] = {}  # fact or question → its first training record
    for row in lineage.made:
        first.setdefault(row["fact"] or row["question"], row)
    position = {row["id"]: number for number, row in enumerate(lineage.cleaned)}

    rows: list[tuple[int, Cells]] = []
    for name, variants in right.items():
        made = first[name]
        traced = [position[parent] for parent in made["parents"] if parent in position]
        own = min(traced, default=len(position))
        locator = made["locator"]
        if traced:
            locator = lineage.cleaned[own]["locator"]
        # The first parent is the record whose value is trained. The others agree with it.
        role = "decides" if made["parents"][0] in position else "agrees"
        answered = ", ".join(variants) or "no variant"
        what = f"{statement(made)} ({role}); right: {answered}"
        line = (what, locator, name if made["fact"] else made["id"])
        rows.append((own, [line]))
    rows.sort()
    return [cells for _, cells in rows]


def training_section(lineage: Lineage, version: Version, everything: bool) -> Section:
    """Return how many training records of each kind there are, or with `everything` each of them.

    A single training record that is traced is always shown.
    """
    made = lineage.made
    counts = Counter((row["split"], row["kind"]) for row in made)
    numbers = [f"{number:,} {split} {kind}" for (split, kind), number in sorted(counts.items())]
    summary = ", ".join(numbers)
    rows: list[Cells] = []
    one_training_record = lineage.kind == "record" and not lineage.forward
    if everything or one_training_record:
        for row in made:
            what = f"{row['split']}: {row['question'] or row['text']}"
            rows.append([(what, row["locator"], row["id"])])
        return section("Training records", rows, True, (summary,))
    if made:
        digest = hash_of_output(version, TRAINING_RECORDS)
        rows.append([(summary, TRAINING_RECORDS, digest)])
    # The title counts the records, not the one line that sums them up.
    return replace(
        section("Training records", rows, True), title=f"Training records: {len(made):,}"
    )


def locators_section(lineage: Lineage, raw: dict[str, RawFile], everything: bool) -> Section:
    """Return where it stands in the raw files. Of a whole file or folder, the files alone."""
    rows: list[Cells] = []
    if lineage.kind == "file" and "#" not in lineage.name:
        for file in raw.values():
            rows.append([(last_change(file), file.path, file.md5)])
        return section("Raw files", rows, everything)
    for locator in lineage.locators():
        file = raw[raw_location.file_of(locator)]
        what = f"{raw_location.described(locator)}; {last_change(file)}"
        rows.append([(what, file.path, file.md5)])
    return section("Places in the raw files", rows, everything)


def last_change(file: RawFile) -> str:
    """Return which commit changed a raw file last."""
    if not file.md5:
        return "not in git: dvc.lock alone knows it"
    if not file.commit:
        return "not committed"
    commit, day = file.commit.split()[:2]
    return f"last changed by {commit} on {day}"


def cleaned_row(row: Row, made: list[Row]) -> Cells:
    """Return a cleaned record, and whether its value is trained or agrees with the one that is."""
    role = ""
    if made:
        first = {entry["parents"][0] for entry in made if entry["parents"]}
        role = " (trained)" if row["id"] in first else " (agrees)"
    return [(statement(row) + role, f"{row['source']}: {row['locator']}", row["id"])]


def record_row(row: Row) -> Cells:
    """Return a record as the source wrote it."""
    return [(statement(row), f"{row['source']}: {row['locator']}", row["id"])]


def rejected_row(row: Row, disputes: dict[str, Row]) -> Cells:
    """Return a rejected record as it was written, and below it the phase and the reason.

    For a contradiction, the line below names the record that won.
    """
    lost = disputes.get(row["id"])
    if lost is None:
        why = (f"↳ {row['phase']}, {row['reason']}: {row['evidence']}", "", "")
    else:
        loser, winner = lost["loser"], lost["winner"]
        values = f"{loser['normalised']} against {winner['normalised']}"
        why = (
            f"↳ {row['reason']}, by {lost['rule']}: {values}",
            f"{winner['source']}: {winner['locator']}",
            winner["record"],
        )
    return [*record_row(row), why]


def skipped_row(row: Row) -> Cells:
    """Return a unit that its source's `where` does not ask for, and what stands there instead."""
    where = f"{row['source']}: {row['locator']}"
    return [(f"not asked for: {row['evidence']}", where, row["id"])]


def statement(row: Row) -> str:
    """Return what a record states: a fact with value and unit, or its text.

    Nothing is kept of an excluded record, so it has neither.
    """
    if not row["fact"] or not row["subject"]:
        return str(row["text"])
    amount = row["value"]
    if amount and row["unit"]:
        amount = f"{amount} {row['unit']}"
    return f"{row['subject']} · {row['attribute']} = {amount or row['unit'] or ''}"


def verdict(row: Row) -> str:
    """Say whether an answer is right."""
    return "right" if row["correct"] else "wrong"


def hash_of_output(version: Version, path: str) -> str:
    """Return DVC's hash of a file of an output folder."""
    return md5(version.output(path))

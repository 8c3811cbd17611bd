"""A lineage as sections of a report. Each line has a statement, its locator, and a hash or id."""

from collections import Counter
from dataclasses import replace

from lore.lineage import raw_location
from lore.lineage.graph import Lineage, Row, Tables
from lore.lineage.raw_location import RawFile
from lore.rendering.report import Section, left_out
from lore.versions.dvc_cache import md5
from lore.versions.version import Version
from stages.core.project.artifacts import ANSWERS, RAW, TRAINING_RECORDS

Cells = list[tuple[str, ...]]
"""The lines of one row."""
COLUMNS = ("what", "where", "hash")
LISTED = 10
"""Rows of a section that are shown unless --all asks for all."""


def sections_of(
    lineage: Lineage, version: Version, raw: dict[str, RawFile], tables: Tables, everything: bool
) -> list[Section]:
    """Return the sections that have rows, from the answers to the sources or the other way.

    `raw`: path below data/raw → the raw file.
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
    """Return the answers of each variant. For several facts: how many are right, and which."""
    answers = lineage.answers
    facts = {row["fact"] or row["question"] for row in answers}
    if len(facts) > 1:
        return several_facts_section(lineage, everything)
    if not answers:
        return section("Answers", [], everything)
    # All rows ask one question, so the first one says which, and what is right.
    question = f"{answers[0]['question']}  right is: {answers[0]['expected']}"
    digest = hash_of_output(version, ANSWERS)
    rows: list[Cells] = []
    for row in answers:
        what = f"{row['variant']}: {verdict(row)}: {row['answer']}"
        rows.append([(what, ANSWERS, digest)])
    return section("Answers", rows, everything, (question,))


def several_facts_section(lineage: Lineage, everything: bool) -> Section:
    """Return how many facts each variant got right, then a row per fact."""
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for row in lineage.answers:
        variant = row["variant"]
        asked[variant] += 1
        if row["correct"]:
            right[variant] += 1
    counts = []
    for variant, number in asked.items():
        counts.append(f"{variant} {right[variant]:,} of {number:,}")
    summary = f"right answers: {', '.join(counts)}"
    return section("Facts and answers", fact_rows(lineage), everything, (summary,))


def fact_rows(lineage: Lineage) -> list[Cells]:
    """Return a row per fact: its value, the variants that answered right, and the record's role.

    The facts stand in the order of the cleaned records that they come from.
    """
    # A fact is known by its id. A question–answer pair without a fact is known by its question.
    right: dict[str, list[str]] = {}  # fact → variants that answered it right
    for row in lineage.answers:
        variants = right.setdefault(row["fact"] or row["question"], [])
        if row["correct"]:
            variants.append(row["variant"])
    first: dict[str, Row] = {}  # fact → its first training record
    for row in lineage.made:
        first.setdefault(row["fact"] or row["question"], row)
    position = {row["id"]: number for number, row in enumerate(lineage.cleaned)}

    rows: list[tuple[int, Cells]] = []
    for name, variants in right.items():
        made = first[name]
        parents = made["parents"]
        traced = [position[parent] for parent in parents if parent in position]
        earliest = min(traced, default=len(position))
        locator = made["locator"]
        if traced:
            locator = lineage.cleaned[earliest]["locator"]
        # The first parent is the record whose value is trained. The others agree with it.
        role = "decides" if parents[0] in position else "agrees"
        answered = ", ".join(variants) or "no variant"
        what = f"{statement(made)} ({role}); right: {answered}"
        digest = name if made["fact"] else made["id"]
        rows.append((earliest, [(what, locator, digest)]))
    rows.sort()
    return [cells for _, cells in rows]


def training_section(lineage: Lineage, version: Version, everything: bool) -> Section:
    """Return how many training records of each kind there are, or with `everything` each of them.

    A single training record that is traced is always shown.
    """
    made = lineage.made
    counts = Counter((row["split"], row["kind"]) for row in made)
    numbers = []
    for (split, kind), number in sorted(counts.items()):
        numbers.append(f"{number:,} {split} {kind}")  # 12 train wording
    summary = ", ".join(numbers)
    rows: list[Cells] = []
    one_training_record = lineage.kind == "record" and not lineage.forward
    if everything or one_training_record:
        for row in made:
            text = row["question"] or row["text"]
            rows.append([(f"{row['split']}: {text}", row["locator"], row["id"])])
        return section("Training records", rows, True, (summary,))
    if made:
        digest = hash_of_output(version, TRAINING_RECORDS)
        rows.append([(summary, TRAINING_RECORDS, digest)])
    # The title counts the records, not the one line that sums them up.
    summed_up = section("Training records", rows, True)
    return replace(summed_up, title=f"Training records: {len(made):,}")


def locators_section(lineage: Lineage, raw: dict[str, RawFile], everything: bool) -> Section:
    """Return where it stands in the raw files. Of a whole file or folder, the files alone."""
    rows: list[Cells] = []
    # A locator of the whole lineage has a spot behind the file; a file or folder has none.
    names = sorted(raw, key=len, reverse=True)
    traced = lineage.name.removeprefix(f"{RAW}/")
    has_spot = raw_location.spot_of(traced, names)
    if lineage.kind == "file" and not has_spot:
        for file in raw.values():
            rows.append([(last_change(file), file.path, file.md5)])
        return section("Raw files", rows, everything)
    for locator in lineage.locators():
        file = raw[raw_location.file_of(locator, names)]
        what = f"{raw_location.described(locator, names)}; {last_change(file)}"
        rows.append([(what, file.path, file.md5)])
    return section("Places in the raw files", rows, everything)


def last_change(file: RawFile) -> str:
    """Return which commit changed a raw file last."""
    if not file.md5:
        return "not in git: dvc.lock alone knows it"
    if not file.commit:
        return "not committed"
    commit, day = file.commit.split()[:2]
    if file.is_cut:
        return f"last changed by {commit} on {day}, or earlier: this clone has no older commit"
    return f"last changed by {commit} on {day}"


def cleaned_row(row: Row, made: list[Row]) -> Cells:
    """Return a cleaned record, and whether its value is trained or agrees with the one that is."""
    what = statement(row)
    if made:
        # The first parent of a training record is the one whose value it has.
        trained = {entry["parents"][0] for entry in made if entry["parents"]}
        what += " (trained)" if row["id"] in trained else " (agrees)"
    return [(what, where(row), row["id"])]


def record_row(row: Row) -> Cells:
    """Return a record as the source wrote it."""
    return [(statement(row), where(row), row["id"])]


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
            where(winner),
            winner["record"],
        )
    return [*record_row(row), why]


def skipped_row(row: Row) -> Cells:
    """Return a unit that its source's `where` does not ask for, with the value that it has."""
    what = f"not asked for: {row['evidence']}"
    return [(what, where(row), row["id"])]


def where(row: Row) -> str:
    """Return source and locator of a record: `legacy: legacy.csv#L9`."""
    return f"{row['source']}: {row['locator']}"


def statement(row: Row) -> str:
    """Return the statement of a record: a fact with value and unit, or its text.

    Nothing is kept of an excluded record, so it has neither.
    """
    if not row["fact"] or not row["subject"]:
        return str(row["text"])
    name = f"{row['subject']} · {row['attribute']}"
    amount = " ".join(part for part in (row["value"], row["unit"]) if part)
    return f"{name} = {amount}"


def verdict(row: Row) -> str:
    """Say whether an answer is right."""
    return "right" if row["correct"] else "wrong"


def hash_of_output(version: Version, path: str) -> str:
    """Return DVC's hash of a file of an output folder."""
    return md5(version.output(path))

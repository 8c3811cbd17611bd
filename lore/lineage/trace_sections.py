"""A lineage as sections of a report, from the answers to the sources or the other way: each line says what, where, hash."""

from collections import Counter
from dataclasses import replace

from lore.comparison.facts import ANSWERS
from lore.lineage import raw_location
from lore.lineage.graph import WORDINGS, Lineage, Row, Tables
from lore.lineage.raw_location import RawFile
from lore.rendering.report import Section, left_out
from lore.versions.dvc_cache import md5
from lore.versions.version import Version

Cells = list[tuple[str, ...]]
"""The lines of one row."""
COLUMNS = ("what", "where", "hash")
LISTED = 10
"""Rows of a part that are shown unless all are asked for."""


def sections_of(
    found: Lineage, version: Version, raw: dict[str, RawFile], tables: Tables, everything: bool
) -> list[Section]:
    """The report's parts: from the answers to the sources, or the other way."""
    sections = [
        answers_section(found, version, everything),
        training_section(found, version, everything),
        section(
            "Cleaned records", [cleaned_row(row, found.made) for row in found.cleaned], everything
        ),
        section(
            "Extracted records, as written",
            [record_row(row) for row in found.extracted],
            everything,
        ),
        places_section(found, raw, everything),
    ]
    rejected = section(
        "Rejected records",
        [rejected_row(row, tables.disputes) for row in found.rejected],
        everything,
    )
    skipped = section("Skipped by where", [skipped_row(row) for row in found.skipped], everything)
    ordered = (
        [*sections[:1:-1], rejected, skipped, *sections[1::-1]]
        if found.forward
        else [*sections, rejected]
    )
    return [part for part in ordered if part.rows]


def section(name: str, rows: list[Cells], everything: bool, lines: tuple[str, ...] = ()) -> Section:
    """One part: how many there are, and as many of them as are asked for."""
    most = None if everything else LISTED
    lines = (*lines, *left_out(name.lower(), len(rows), most))
    return Section(
        f"{name}: {len(rows):,}", lines, COLUMNS, [line for cells in rows[:most] for line in cells]
    )


def cells(what: str, where: str, digest: str) -> Cells:
    """A row of one line."""
    return [(what, where, digest)]


def answers_section(found: Lineage, version: Version, everything: bool) -> Section:
    """What each variant answered; of many facts, how many it got right, and which."""
    if len({row["fact"] or row["question"] for row in found.answers}) <= 1:
        digest = hash_of_output(version, ANSWERS) if found.answers else ""
        rows = [
            cells(f"{row['variant']}: {verdict(row)}: {row['answer']}", ANSWERS, digest)
            for row in found.answers
        ]
        asked = tuple(
            f"{row['question']}  right is: {row['expected']}" for row in found.answers[:1]
        )
        return section("Answers", rows, everything, asked)
    variants = dict.fromkeys(row["variant"] for row in found.answers)
    right = Counter(row["variant"] for row in found.answers if row["correct"])
    asked_of = Counter(row["variant"] for row in found.answers)
    counts = ", ".join(f"{name} {right[name]:,} of {asked_of[name]:,}" for name in variants)
    return section("Facts and answers", fact_rows(found), everything, (f"right answers: {counts}",))


def fact_rows(found: Lineage) -> list[Cells]:
    """One row per fact that the records feed: what it says, who answered it right, and whether they decide or agree."""
    right: dict[str, list[str]] = {}
    for row in found.answers:
        right.setdefault(row["fact"] or row["question"], []).extend(
            [row["variant"]] * row["correct"]
        )
    at = {row["id"]: number for number, row in enumerate(found.cleaned)}
    fed = {row["fact"] or row["question"]: row for row in reversed(found.made)}
    rows = []
    for name, variants in right.items():
        made = fed[name]
        own = min((at[parent] for parent in made["parents"] if parent in at), default=len(at))
        role = "decides" if made["parents"][0] in at else "agrees"
        where = found.cleaned[own]["locator"] if own < len(at) else made["locator"]
        what = f"{statement(made)} ({role}); right: {', '.join(variants) or 'no variant'}"
        rows.append((own, cells(what, where, name if made["fact"] else made["id"])))
    return [row for _, row in sorted(rows)]


def training_section(found: Lineage, version: Version, everything: bool) -> Section:
    """How many training records of each kind, and with everything each wording."""
    counts = Counter((row["split"], row["kind"]) for row in found.made)
    told = ", ".join(
        f"{number:,} {split} {kind}" for (split, kind), number in sorted(counts.items())
    )
    if everything or (found.kind == "record" and not found.forward):
        rows = [
            cells(f"{row['split']}: {row['question'] or row['text']}", row["locator"], row["id"])
            for row in found.made
        ]
        return section("Training records", rows, True, (told,))
    rows = [cells(told, WORDINGS, hash_of_output(version, WORDINGS))] if found.made else []
    return replace(
        section("Training records", rows, True), title=f"Training records: {len(found.made):,}"
    )


def places_section(found: Lineage, raw: dict[str, RawFile], everything: bool) -> Section:
    """Where it stands in the raw files; of a whole file the file alone."""
    if found.kind == "file" and "#" not in found.name:
        return section(
            "Raw files",
            [cells(changed(file), file.path, file.md5) for file in raw.values()],
            everything,
        )
    rows = []
    for locator in found.places():
        file = raw[raw_location.file_of(locator)]
        rows.append(
            cells(f"{raw_location.described(locator)}; {changed(file)}", file.path, file.md5)
        )
    return section("Places in the raw files", rows, everything)


def changed(file: "RawFile") -> str:
    """The last commit that touched a raw file."""
    if not file.md5:
        return "not in git: dvc.lock alone knows it"
    return (
        f"last changed by {' on '.join(file.commit.split()[:2])}"
        if file.commit
        else "not committed"
    )


def cleaned_row(row: Row, made: list[Row]) -> Cells:
    """A cleaned record: whether it is what the model is trained on, or agrees with that."""
    first = {entry["parents"][0] for entry in made if entry["parents"]}
    role = (" (trained)" if row["id"] in first else " (agrees)") if made else ""
    return cells(statement(row) + role, f"{row['source']}: {row['locator']}", row["id"])


def record_row(row: Row) -> Cells:
    """A record as the source wrote it."""
    return cells(statement(row), f"{row['source']}: {row['locator']}", row["id"])


def rejected_row(row: Row, disputes: dict[str, Row]) -> Cells:
    """A rejected record as it was written, and below it the phase and the reason; of a contradiction, what it lost against."""
    why = (f"↳ {row['phase']}, {row['reason']}: {row['evidence']}", "", "")
    if lost := disputes.get(row["id"]):
        winner = lost["winner"]
        what = f"↳ {row['reason']}, by {lost['rule']}: {lost['loser']['normalised']} against {winner['normalised']}"
        why = (what, f"{winner['source']}: {winner['locator']}", winner["record"])
    return [*record_row(row), why]


def skipped_row(row: Row) -> Cells:
    """A unit that its source does not ask for: what stands there instead."""
    return cells(
        f"not asked for: {row['evidence']}", f"{row['source']}: {row['locator']}", row["id"]
    )


def statement(row: Row) -> str:
    """What a record states: a fact with value and unit, or its text; of an excluded one nothing is kept."""
    if not row["fact"] or not row["subject"]:
        return str(row["text"])
    return f"{row['subject']} · {row['attribute']} = {' '.join(filter(None, (row['value'], row['unit'])))}"


def verdict(row: Row) -> str:
    """Right or wrong."""
    return "right" if row["correct"] else "wrong"


def hash_of_output(version: Version, path: str) -> str:
    """DVC's hash of a file of an output folder."""
    return md5(version.output(path))

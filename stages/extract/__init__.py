"""extract: every source below one root folder → records of one schema, each with id, locator and fact id.

In: the root folder and, from params, the sources in order of priority. A source is one file, or a
pattern of several files, with a small mapping that says which column or path is the subject, the
attribute, the value and so on.

Out: `records.parquet`, `rejected.parquet` (units that could not become records, with the reason) and
`sources.json` (per source its number of units, the engine, the encodings and the languages).
`skipped.parquet` lists the units that a source's `where` excludes, if a source has a `where`.
`pictures.parquet` holds the pictures of all captions, made smaller, if a source has the kind `images`.

A unit is one entry of a source: a result row, a line, a JSON item, an XML element, a section, a line
of a scanned page. Each unit gives one record per mapped fact or text that is present, or one
rejected record, or is skipped. No unit disappears. Records that have one id (a key that is not
unique) are all set aside. If a source has several files, a file that cannot
be read, or that has no unit, gives one rejected record.

Refused: a source that is missing, empty or cannot be read at all, a mapping that fits no unit, a
path that leaves the root. Only files are read: a live database enters as a snapshot.

To add a kind of source, see `stages/extract/kinds/__init__.py`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError, ParamsError, resources_explained
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record
from stages.core.repeatable import changes, memo
from stages.extract import language, repeated
from stages.extract.kinds.audio import Audio
from stages.extract.kinds.delimited import Csv
from stages.extract.kinds.document import Document
from stages.extract.kinds.images import Images
from stages.extract.kinds.markup import Json, JsonLines, Xml
from stages.extract.kinds.pages import Pages
from stages.extract.kinds.pdf import Pdf
from stages.extract.kinds.table import Sql
from stages.extract.pictures import Pictures, pictures_in
from stages.extract.places import Unseen
from stages.extract.source import SourceKind
from stages.extract.unit import CellError, Mapping, Unit, empty_parts, paths_in, whole

Row = dict[str, Any]
SKIPPED = "where"
"""The reason of a skipped unit."""
NO_UNIT_IN_FILE = "nothing in this file is a unit of the source"
"""The evidence for a file without units."""
AnySource = Annotated[
    Sql | Csv | Json | JsonLines | Xml | Document | Pages | Pdf | Audio | Images,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, config=STRICT)
class Params:
    """The sources."""

    sources: list[AnySource] = field(default_factory=list)
    """The sources, in order of priority: where two disagree, `clean` keeps the value of the first."""
    names: record.Names = "fold"
    """How names of subjects and attributes are compared, in all sources. `fold`: case and width do not
    matter, so Hafnium and hafnium are one subject. Case matters in symbols only: one or two letters (CO,
    Co), letters with digits (TRP53, Trp53), a capital inside (pH). `exact`: case and width matter in every
    name, and `clean` compares texts and words in the same way."""


def run(params: Params, run: Run, root: Path, out: Path) -> None:
    """Extract all sources into `out`. Raises ResourceError where disk or memory runs out."""
    with resources_explained("extract", out):
        extract_all(params, root, out)


def extract_all(params: Params, root: Path, out: Path) -> None:
    """Extract all sources into `out`, as `run` does."""
    files = files_of(params, root)
    report = []
    with replacing(out) as folder:
        with (
            record.writing(folder / "records.parquet") as records,
            record.writing(folder / "rejected.parquet", record.REJECTED) as rejected,
            skipped_table(folder, params) as skipped,
            pictures_in(folder / "pictures.parquet", has_pictures(params)) as pictures,
        ):
            for priority, source in enumerate(params.sources, start=1):
                entry = extract_source(
                    source,
                    priority,
                    files[source.name],
                    root,
                    records,
                    rejected,
                    skipped,
                    params.names,
                    pictures,
                )
                if params.names != "fold":
                    entry["names"] = params.names
                report.append(entry)
        repeated.set_aside(folder, report)
        write_json(folder / "sources.json", report)
    print_report(report, out)


def print_report(report: list[Row], out: Path) -> None:
    """Print what was read, and what changed since the last run here."""
    for entry in report:
        counts = (
            f"{entry['units']:6,} units → {entry['records']:6,} records, "
            f"{entry['rejected']} rejected"
        )
        if "skipped" in entry:
            counts += f", {entry['skipped']:,} skipped"
        print(f"extract: {entry['name']:14} {counts}")
        if "languages" in entry:
            languages = [f"{lang} {count:,}" for lang, count in entry["languages"].items()]
            print(f"  {', '.join(languages)}")
    if memo.counts:
        computed, reused = memo.counts["computed"], memo.counts["reused"]
        print(f"extract: {computed:,} files read by an engine, {reused:,} remembered")
    compared = changes.compare("extract", out)
    if compared:
        print(f"extract: {compared}")


def skipped_table(folder: Path, params: Params) -> AbstractContextManager[record.Table | None]:
    """Open the table of skipped units, or none where no source has a `where`."""
    if any(source.where for source in params.sources):
        return record.writing(folder / "skipped.parquet", record.REJECTED)
    return nullcontext()


def has_pictures(params: Params) -> bool:
    """Whether a source has pictures with captions."""
    return any(source.kind == "images" for source in params.sources)


def extract_source(
    source: SourceKind,
    priority: int,
    files: list[Path],
    root: Path,
    records: record.Table,
    rejected: record.Table,
    skipped: record.Table | None,
    names: record.Names = "fold",
    pictures: Pictures | None = None,
) -> Row:
    """Write the records of a source, and return its entry of sources.json.

    Raises InputError where the source gives no record.
    """
    units = nonempty_units = skipped_units = 0
    records_before, rejected_before = records.rows, rejected.rows
    reasons: Counter[str] = Counter()
    # (reason, evidence) → a unit with it. Two entries are enough to know that the units differ.
    rejections: dict[tuple[str, str], Unit] = {}
    languages: Counter[str] = Counter()
    mismatch = emptiness = ""
    unseen = Unseen(source)
    # The first row of a single table tells its columns, so a wrong one is refused at once.
    has_columns_to_check = not is_pattern(source.path)
    for unit, path in units_of(source, files, root):
        units += 1
        if unit.reason != "empty":
            nonempty_units += 1
        elif unit.evidence != NO_UNIT_IN_FILE:
            emptiness = f" ({unit.evidence})"
        if has_columns_to_check and unit.cells is not None:
            unseen.refuse_columns(unit)
            has_columns_to_check = False
        if skipped is not None:
            unseen.look_for_conditions(unit)
            mismatch = mismatch_of(source, unit)
            if mismatch:
                skipped_units += 1
                skipped.add(rejection(source, locator_of(path, unit), "", SKIPPED, mismatch))
                continue
        unseen.look_for_places(unit)
        for row in rows_of_unit(unit, source, path, names, pictures):
            if "reason" in row:
                rejected.add(row)
                reasons[row["reason"]] += 1
                if len(rejections) < 2:
                    rejections.setdefault((row["reason"], row["evidence"]), unit)
            else:
                records.add(row)
                languages[row["lang"]] += 1

    if nonempty_units == 0:
        raise InputError(
            f"extract: {source.name}: {root / source.path} holds nothing{emptiness}; "
            "check the source and its mapping"
        )
    unseen.refuse_or_warn()
    if skipped_units == units:
        raise InputError(
            f"extract: {source.name}: `where` fits not one of {units:,} units "
            f"(the last: {mismatch}); mend it"
        )
    written = records.rows - records_before
    if written == 0 and len(rejections) == 1:
        (reason, evidence), unit = next(iter(rejections.items()))
        if reason == "missing_field":
            raise mapping_error(source, units, evidence, unit)
    if written == 0 and rejections:
        warn_of_no_record(source, units, reasons, next(iter(rejections)))

    entry: Row = {"name": source.name, "path": source.path, "kind": source.kind}
    entry |= {"priority": priority, "files": len(files), "units": units}
    entry |= {"records": written, "rejected": rejected.rows - rejected_before}
    if source.where:
        entry["skipped"] = skipped_units
    entry |= source.details(files)
    entry |= declared_forms(source)
    if source.lang == language.AUTO:
        entry["languages"] = dict(sorted(languages.items()))
    return entry


def warn_of_no_record(
    source: SourceKind, units: int, reasons: Counter[str], first: tuple[str, str]
) -> None:
    """Print that a source gives no record at all, and why. `first`: reason and evidence of a unit."""
    counted = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    _, evidence = first
    print(
        f"extract: {source.name}: warning: not one of {units:,} units gives a record: {counted} "
        f"(the first: {evidence})"
    )


def declared_forms(source: SourceKind) -> Row:
    """Return the entries of sources.json by which `clean` knows how a source writes numbers and lines."""
    forms: Row = {}
    numbers = {"decimal": source.decimal, "thousands": source.thousands}
    declared = {name: sign for name, sign in numbers.items() if sign is not None}
    if declared:
        forms["numbers"] = declared
    if source.lines is not None:
        forms["lines"] = source.lines
    return forms


def mapping_error(source: SourceKind, units: int, evidence: str, unit: Unit) -> InputError:
    """Make the error for a mapping where every unit lacks the same field, although its places exist."""
    columns = source.column_names(unit)
    listed = f"; its columns are {', '.join(columns)}" if columns else ""
    return InputError(
        f"extract: {source.name}: not one of {units:,} units gives a record ({evidence}){listed}; "
        "mend `map` in params.yaml"
    )


def files_of(params: Params, root: Path) -> dict[str, list[Path]]:
    """Return the files of each source by the source's name. Files of a pattern are sorted by path.

    Raises ParamsError for names used twice, paths that leave the root and wrong settings.
    Raises InputError for files that are not there.
    """
    problems = []
    names = Counter(source.name for source in params.sources)
    for name, count in names.items():
        if count > 1:
            problems.append(f"extract.sources: the name {name!r} is used {count} times")
    files: dict[str, list[Path]] = {}
    for number, source in enumerate(params.sources):
        problem = path_problem(source.path)
        if problem:
            problems.append(f"extract.sources.{number}.path: {source.path!r} {problem}")
            continue
        matching = matching_files(source.path, root)
        files[source.name] = [path for path in matching if is_there(path)]
        if not all(is_below(path, root) for path in (root / source.path, *matching)):
            problems.append(
                f"extract.sources.{number}.path: {source.path!r} leaves {root}; "
                "sources stand below it"
            )
        for problem in settings_problems(source):
            problems.append(f"extract.sources.{number}.{problem}")
    if problems:
        raise ParamsError("params.yaml:\n" + "\n".join(f"  {problem}" for problem in problems))
    for source in params.sources:
        if not files[source.name]:
            missing = "matches no file" if is_pattern(source.path) else "is not there"
            raise InputError(
                f"extract: {source.name}: {root / source.path} {missing}; "
                "put the file there or mend params.yaml"
            )
    return files


def settings_problems(source: SourceKind) -> list[str]:
    """List the problems of a source's settings, each with its key below the source."""
    problems = language.problems(source) or source.problems()
    problems += source.map.problems()
    if source.decimal is not None and source.decimal == source.thousands:
        problems.append("thousands: the same sign as `decimal`; mend one of them")
    return problems


def is_pattern(path: str) -> bool:
    """Whether a path names several files: `*` in a name, `**` across folders, `?`, `[…]`."""
    return any(sign in path for sign in "*?[")


def matching_files(path: str, root: Path) -> list[Path]:
    """Return the files that a source names, sorted by path."""
    if not is_pattern(path):
        return [root / path]
    return sorted(root.glob(path))


def path_problem(path: str) -> str:
    """Return what is wrong with the path of a source, or an empty text."""
    if not Path(path).parts or path != path.strip() or "\0" in path:
        return "is no path of a file; name a file or pattern below data/raw"
    if Path(path).is_absolute():
        return (
            "begins at the root of the machine; sources stand below data/raw, so name it from there"
        )
    for part in Path(path).parts:
        if "**" in part and part != "**":
            return (
                "has `**` beside other signs; it stands alone between two /, such as notes/**/*.xml"
            )
    if Path(path).parts[-1] == "**":
        return "ends with `**`, which names folders; add the names of files, such as **/*.xml"
    return ""


def is_below(path: Path, root: Path) -> bool:
    """Whether a path stays below the root after all links and `..` are followed."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return True  # links that lead to each other lead to no file, so nothing is read


def is_there(path: Path) -> bool:
    """Whether a path is a file. Links that lead to each other are none."""
    try:
        return path.is_file()
    except OSError:
        return False


def units_of(source: SourceKind, files: list[Path], root: Path) -> Iterator[tuple[Unit, str]]:
    """Yield the units of a source, each with the path of its file below the root.

    If the source is a pattern, a file that cannot be read gives one rejected unit, and so does a
    file without any unit. Otherwise a file that cannot be read raises InputError.
    """
    several = is_pattern(source.path)
    for file in files:
        path = file.relative_to(root).as_posix()
        is_empty = True
        try:
            for unit in source.units(file):
                is_empty = False
                yield with_decimal_sign(unit, source), path
        except (InputError, OSError) as error:
            if isinstance(error, OSError):
                message = f"extract: {source.name}: {file} cannot be read: {error.strerror}"
                error = InputError(f"{message}; mend or remove it")
            if not several:
                raise error from None
            yield Unit("", "", None, "unreadable", str(error)), path
            continue
        if several and is_empty:
            yield Unit("", "", None, "empty", NO_UNIT_IN_FILE), path


def with_decimal_sign(unit: Unit, source: SourceKind) -> Unit:
    """Return a unit whose numbers have the decimal sign that the source declares for its texts.

    A database holds numbers as numbers. With a point, 1.234 would be read as thousands.
    """
    if source.decimal != "," or unit.cells is None:
        return unit
    cells = {}
    for name, value in unit.cells.items():
        is_number = isinstance(value, (float, Decimal))
        cells[name] = str(value).replace(".", ",") if is_number else value
    return replace(unit, cells=cells)


def records_of(
    unit: Unit, source: SourceKind, path: str, names: record.Names = "fold"
) -> list[Row]:
    """Return the records of one unit of the file `path`. `names` says how names are compared.

    Where the unit gives none, return one rejected record. Only rejected records have a `reason`.
    """
    locator = locator_of(path, unit)
    if unit.cells is None:
        return [rejection(source, locator, unit.raw, unit.reason, unit.evidence)]
    try:
        return list(mapped_records(unit, source, locator, names))
    except CellError as error:
        return [rejection(source, locator, unit.raw, "malformed", str(error))]


def rows_of_unit(
    unit: Unit,
    source: SourceKind,
    path: str,
    names: record.Names,
    pictures: Pictures | None,
) -> list[Row]:
    """Return the records of one unit, as `records_of` does, and keep its picture."""
    if pictures is None:
        return records_of(unit, source, path, names)
    unit = pictures.unless_repeated(unit, locator_of(path, unit))
    rows = records_of(unit, source, path, names)
    pictures.add(unit, rows)
    return rows


def mismatch_of(source: SourceKind, unit: Unit) -> str:
    """Return the first condition of `where` that a unit does not meet, or an empty text.

    Empty too where a cell cannot be read: then the unit is rejected.
    """
    try:
        return source.mismatch(unit)
    except CellError:
        return ""


def mapped_records(
    unit: Unit, source: SourceKind, locator: str, names: record.Names
) -> Iterator[Row]:
    """Yield the records of a unit that has cells, or one rejected record. Raises CellError."""
    source.mismatch(unit)  # raises where a condition cannot be read
    mapping = source.map
    texts = mapped_texts(mapping, unit)
    reason, evidence = fault_in_texts(texts)
    if reason:
        yield rejection(source, locator, unit.raw, reason, evidence)
        return
    subjects = unit.parts(mapping.subject)
    subject = whole(subjects)
    empty_in_subject = empty_parts(mapping.subject, subjects)
    meta = {}
    for name, place in mapping.meta.items():
        value = unit.get(place)
        if value:
            meta[name] = value
    common = {"source": source.name, "subject": subject, "meta": record.to_meta(meta)}
    is_empty = True

    for suffix, attribute, value, measure, empty_in_fact in mapping.facts_in(unit):
        is_empty = False
        fact_locator = locator + suffix
        empty = empty_in_subject + empty_in_fact
        if empty or not (subject and attribute and value):
            evidence = missing_fields(subject, attribute, value, empty)
            yield rejection(source, fact_locator, unit.raw, "missing_field", evidence)
            continue
        text = record.fact_text(subject, attribute, value, measure)
        row = common | record_fields(source, fact_locator, "fact", text)
        row |= {"attribute": attribute, "value": value, "unit": measure}
        row["fact"] = record.fact_id(subject, attribute, names)
        yield row

    free_text = unit.get(mapping.text)
    if free_text:
        is_empty = False
        row = common | record_fields(source, f"{locator}@text", source.text_kind, free_text)
        if unit.picture is not None:
            row["meta"] = record.to_meta(meta | unit.picture.fields())
        yield row

    question, answer = unit.get(mapping.question), unit.get(mapping.answer)
    if question and answer:
        is_empty = False
        row = common | record_fields(source, f"{locator}@qa", "qa", f"{question} {answer}")
        row |= {"question": question, "answer": answer}
        yield row

    if is_empty:
        evidence = "none of the mapped columns has a value"
        yield rejection(source, locator, unit.raw, "missing_field", evidence)


def mapped_texts(mapping: Mapping, unit: Unit) -> dict[str, str]:
    """Return the texts of a unit that the mapping uses, by column or path. Raises CellError."""
    texts = {}
    for _, place in mapping.places():
        for path in paths_in(place):
            text = unit.get(path)
            if text is not None:
                texts[path] = text
    return texts


# Characters that stand in no text: NUL, control characters that another encoding has as letters or
# signs (U+0085 is a line end), and the character that replaces what a program could not read.
# Example: the euro sign of Windows-1252 is U+0080 in Latin-1.
LOST = re.compile(r"[\0\x80-\x84\x86-\x9f\ufffd]")


def fault_in_texts(texts: dict[str, str]) -> tuple[str, str]:
    """Return reason and evidence why a unit with these texts is set aside, or empty texts."""
    for path, text in texts.items():
        lost = LOST.search(text)
        if lost is None:
            continue
        if lost[0] == "\0":
            return "malformed", f"{path} holds a NUL character (U+0000), which is no text"
        if lost[0] == "\ufffd":
            return "encoding", (
                f"{path} holds U+FFFD, which stands for a character that could not be decoded; "
                "mend the source, or set its `encoding`"
            )
        return "encoding", (
            f"{path} holds the control character U+{ord(lost[0]):04X}, which is no text; "
            "set the source's `encoding`"
        )
    if len(texts) > 1 and all(is_own_name(path, text) for path, text in texts.items()):
        return "repeated_header", "each value is the name of its own column or key"
    return "", ""


def is_own_name(path: str, text: str) -> bool:
    """Whether a text is the name at the end of its path, as in a header among the rows."""
    name = re.split(r"[./@]", path)[-1]
    return text.casefold() in (name.casefold(), path.casefold())


def missing_fields(
    subject: str | None, attribute: str | None, value: str | None, empty: tuple[str, ...]
) -> str:
    """Name the missing fields of a fact, such as "no subject and no value".

    `empty`: places of a field of several places that are empty, such as `nothing at model`.
    """
    fields = {"subject": subject, "attribute": attribute, "value": value}
    missing = [f"no {name}" for name, text in fields.items() if not text]
    missing += [f"nothing at {place}" for place in empty]
    return " and ".join(missing)


def locator_of(path: str, unit: Unit) -> str:
    """Return the locator of a unit of the file `path`, such as `sheets.xml#sheet[3]`."""
    return f"{path}#{unit.position}" if unit.position else path


def record_fields(source: SourceKind, locator: str, kind: str, text: str) -> Row:
    """Return the fields that every record has of its own."""
    return {
        "id": record.record_id(source.name, locator),
        "locator": locator,
        "kind": kind,
        "text": text,
        "lang": language.of_text(text, source),
    }


def rejection(source: SourceKind, locator: str, raw: str, reason: str, evidence: str) -> Row:
    """Return a rejected record, with the unit as it was read."""
    lang = language.UNDETERMINED if source.lang == language.AUTO else source.lang
    return {
        "id": record.record_id(source.name, locator),
        "source": source.name,
        "locator": locator,
        "lang": lang,
        "kind": "unit",
        "text": raw,
        "phase": "extract",
        "reason": reason,
        "evidence": evidence,
    }

"""extract: every source below one root folder → records of one schema, each with id, locator and fact id.

In: the root folder and, from params, the sources in order of priority, each one file or a pattern of several, with a small
mapping: which column or path is the subject, the attribute, the value … Out: `records.parquet`, `rejected.parquet`
(unreadable units with their reason) and `sources.json` (per source how many units it held, the engine that read it, and the
encodings and languages that were found). Where a source says which units it wants (`where`), `skipped.parquet` lists the others.

A unit is what a source itself counts: a result row, a line, a JSON item, an XML element, a section, a line of a scanned page. It
gives one record per mapped fact or text that is present in it, or one rejected record, or is skipped; no unit gives nothing. Of
several files, one that cannot be read or holds no unit is one rejected record.

Refused: a missing, empty or wholly unreadable source, one whose mapping fits no unit, a path that leaves the root. Only files
are read: a live database enters as a snapshot.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.core.project.errors import InputError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record
from stages.core.repeatable import changes, memo
from stages.extract import language
from stages.extract.kinds import audio, delimited, document, markup, pages, pdf, table
from stages.extract.unit import Mapping, Unit

Row = dict[str, Any]
SKIPPED = "where"
"""The reason of a unit that is skipped."""
Text = table.Sql | delimited.Csv | markup.Json | markup.JsonLines | markup.Xml | document.Document
Source = Annotated[Text | pages.Pages | pdf.Pdf | audio.Audio, Field(discriminator="kind")]


@dataclass(frozen=True, config=STRICT)
class Params:
    """What is read."""

    sources: list[Source]
    """In order of priority: where two sources disagree, clean believes the one that stands first."""


def run(params: Params, run: Run, root: Path, out: Path) -> None:
    """Extract all sources into `out`."""
    files = files_of(params, root)
    with (
        replacing(out) as folder,
        record.writing(folder / "records.parquet") as records,
        record.writing(folder / "rejected.parquet", record.REJECTED) as rejected,
        skipping(folder, params) as skipped,
    ):
        report = [
            read(source, priority, files[source.name], root, records, rejected, skipped)
            for priority, source in enumerate(params.sources, start=1)
        ]
        write_json(folder / "sources.json", report)
    for entry in report:
        skips = f", {entry['skipped']:,} skipped" if "skipped" in entry else ""
        counts = f"{entry['units']:6,} units → {entry['records']:6,} records, {entry['rejected']} rejected{skips}"
        print(f"extract: {entry['name']:14} {counts}")
        if "languages" in entry:
            print(
                f"  {', '.join(f'{lang} {count:,}' for lang, count in entry['languages'].items())}"
            )
    if memo.counts:
        print(
            f"extract: {memo.counts['computed']:,} files read by an engine, {memo.counts['reused']:,} remembered"
        )
    if compared := changes.compare("extract", out):
        print(f"extract: {compared}")


def skipping(folder: Path, params: Params) -> AbstractContextManager[record.Table | None]:
    """The table of skipped units, where a source may skip one."""
    asked = any(source.where for source in params.sources)
    return record.writing(folder / "skipped.parquet", record.REJECTED) if asked else nullcontext()


def read(
    source: Any,
    priority: int,
    files: list[Path],
    root: Path,
    records: record.Table,
    rejected: record.Table,
    skipped: record.Table | None,
) -> Row:
    """Write what a source holds, and return its entry of sources.json. Raises InputError where it gives no record."""
    units = held = skips = 0
    before = records.rows, rejected.rows
    lacking: dict[tuple[str, str], Unit] = {}
    languages: Counter[str] = Counter()
    for unit, path in units_of(source, files, root):
        units += 1
        held += unit.reason != "empty"
        if skipped is not None and (unlike := source.unlike(unit)):
            skips += 1
            skipped.add(rejection(source, located(path, unit), "", SKIPPED, unlike))
            continue
        for row in records_of(unit, source, path):
            if "reason" not in row:
                records.add(row)
                languages[row["lang"]] += 1
                continue
            rejected.add(row)
            if len(lacking) < 2:  # whether all lack the same
                lacking.setdefault((row["reason"], row["evidence"]), unit)
    if not held:
        raise InputError(
            f"extract: {source.name}: {root / source.path} holds nothing; check the source and its mapping"
        )
    if skips == units:
        raise InputError(
            f"extract: {source.name}: `where` fits not one of {units:,} units (the last: {unlike}); mend it"
        )
    if (
        records.rows == before[0]
        and len(lacking) == 1
        and next(iter(lacking))[0] == "missing_field"
    ):
        raise misfit(source, units, *lacking.popitem())
    return (
        {"name": source.name, "path": source.path, "kind": source.kind, "priority": priority}
        | {"files": len(files), "units": units}
        | {"records": records.rows - before[0], "rejected": rejected.rows - before[1]}
        | ({"skipped": skips} if source.where else {})
        | reading(source, files)
        | ({"languages": dict(sorted(languages.items()))} if source.lang == language.AUTO else {})
    )


def reading(source: Any, files: list[Path]) -> Row:
    """What else decides how a source is read: the engine, the encodings that were found."""
    if isinstance(source, pages.Pages | pdf.Pdf | audio.Audio):
        return {"engine": source.engine_version()}
    if isinstance(source, delimited.Csv | document.Document) and source.encoding == "auto":
        return {"encodings": dict(sorted(Counter(map(source.encoding_of, files)).items()))}
    return {}


def misfit(source: Any, units: int, lacking: tuple[str, str], unit: Unit) -> InputError:
    """The error for a mapping of which every unit lacks the same: a column that was renamed, or a slip of the pen."""
    columns = (
        f"; its columns are {', '.join(unit.cells or {})}"
        if isinstance(source, (table.Sql, delimited.Csv))
        else ""
    )
    return InputError(
        f"extract: {source.name}: not one of {units:,} units gives a record ({lacking[1]}){columns}; mend `map` in params.yaml"
    )


def files_of(params: Params, root: Path) -> dict[str, list[Path]]:
    """Files of each source by its name; a pattern's in the order of their paths.

    Raises ParamsError or InputError for names used twice, paths that leave the root, files that are not there.
    """
    problems = []
    names = Counter(source.name for source in params.sources)
    problems += [
        f"extract.sources: the name {name!r} is used {count} times"
        for name, count in names.items()
        if count > 1
    ]
    found = {}
    for number, source in enumerate(params.sources):
        matching = (
            sorted(root.glob(source.path)) if is_pattern(source.path) else [root / source.path]
        )
        found[source.name] = [path for path in matching if path.is_file()]
        if not all(
            path.resolve().is_relative_to(root.resolve())
            for path in (root / source.path, *matching)
        ):
            problems.append(
                f"extract.sources.{number}.path: {source.path!r} leaves {root}; sources stand below it"
            )
        wrong = language.problems(source)
        if isinstance(source, audio.Audio) and not wrong:
            wrong = source.problems()
        problems += [f"extract.sources.{number}.{problem}" for problem in wrong]
    if problems:
        raise ParamsError("params.yaml:\n" + "\n".join(f"  {problem}" for problem in problems))
    for source in params.sources:
        if not found[source.name]:
            missing = "matches no file" if is_pattern(source.path) else "is not there"
            raise InputError(
                f"extract: {source.name}: {root / source.path} {missing}; put the file there or mend params.yaml"
            )
    return found


def is_pattern(path: str) -> bool:
    """Whether a path of params names several files: `*` within a name, `**` across folders, `?`, `[…]`."""
    return any(sign in path for sign in "*?[")


def units_of(source: Any, files: list[Path], root: Path) -> Iterator[tuple[Unit, str]]:
    """Units of a source with the path, below the root, of the file that holds them.

    Of several files, one that cannot be read as a whole is one rejected unit, and so is one without any unit. Raises InputError
    where the one that cannot be read is the only one.
    """
    several = is_pattern(source.path)
    for file in files:
        path, found = file.relative_to(root).as_posix(), False
        try:
            for unit in source.units(file):
                found = True
                yield unit, path
        except InputError as error:
            if not several:
                raise
            yield Unit("", "", None, "unreadable", str(error)), path
        else:
            if several and not found:
                yield (
                    Unit("", "", None, "empty", "nothing in this file is a unit of the source"),
                    path,
                )


def records_of(unit: Unit, source: Any, path: str) -> Iterator[Row]:
    """Records of one unit of the file `path`, or its one rejected record (recognisable by its `reason`)."""
    mapping: Mapping = source.map
    locator = located(path, unit)
    if unit.cells is None:
        yield rejection(source, locator, unit.raw, unit.reason, unit.evidence)
        return
    subject = unit.get(mapping.subject)
    common = {"source": source.name, "subject": subject}
    common["meta"] = record.to_meta(
        {name: unit.get(path) for name, path in mapping.meta.items() if unit.get(path)}
    )
    found = False
    for suffix, attribute, value, measure in mapping.facts_in(unit):
        found = True
        if not (subject and attribute and value):
            missing = [
                n
                for n, v in (("subject", subject), ("attribute", attribute), ("value", value))
                if not v
            ]
            yield rejection(
                source,
                locator + suffix,
                unit.raw,
                "missing_field",
                f"no {' and no '.join(missing)}",
            )
            continue
        yield (
            common
            | place(source, locator + suffix)
            | written(record.fact_text(subject, attribute, value, measure), source)
            | {
                "kind": "fact",
                "attribute": attribute,
                "value": value,
                "unit": measure,
                "fact": record.fact_id(subject, attribute),
            }
        )
    if text := unit.get(mapping.text):
        found = True
        yield (
            common
            | place(source, f"{locator}@text")
            | written(text, source)
            | {"kind": "statement"}
        )
    question, answer = unit.get(mapping.question), unit.get(mapping.answer)
    if question and answer:
        found = True
        yield common | place(source, f"{locator}@qa") | written(f"{question} {answer}", source) | {
            "kind": "qa", "question": question, "answer": answer
        }  # fmt: skip
    if not found:
        yield rejection(
            source, locator, unit.raw, "missing_field", "none of the mapped columns has a value"
        )


def located(path: str, unit: Unit) -> str:
    """The locator of a unit of the file `path`."""
    return f"{path}#{unit.place}" if unit.place else path


def place(source: Any, locator: str) -> Row:
    """Id and locator of a record."""
    return {"id": record.record_id(source.name, locator), "locator": locator}


def written(text: str, source: Any) -> Row:
    """Text and language of a record."""
    return {"text": text, "lang": language.of_text(text, source)}


def rejection(source: Any, locator: str, raw: str, reason: str, evidence: str) -> Row:
    """A rejected record that holds the unit as it was read."""
    return place(source, locator) | {
        "source": source.name,
        "lang": language.UNDETERMINED if source.lang == language.AUTO else source.lang,
        "kind": "unit",
        "text": raw,
        "phase": "extract",
        "reason": reason,
        "evidence": evidence,
    }

"""`lore forget --check`: nothing here contains what is excluded, and what the model answers.

Searched are all outputs, the index among them, and what lies beside them: the memo and the record of the teacher.
"""

from dataclasses import asdict, dataclass
from typing import Any

from lore.erasure import beside, locations, probing, purge
from lore.erasure.excluded import excluded_now
from lore.erasure.locations import RawLocation, VersionLocations
from lore.erasure.probing import Evidence
from lore.erasure.scan import ScanResult, Search
from lore.erasure.target import Target, VersionRecords
from lore.rendering import report
from lore.rendering.report import Section
from lore.versions import version
from stages.core.project import artifacts
from stages.core.project.params import Run, read_section

STILL_THERE = 3
"""Exit code if the target is still there, or if it is not proved that it is gone."""
BEFORE_EXCLUSION = f"{artifacts.EXTRACT}/"
"""What extract writes comes before the exclusion: it is what the sources state."""
LISTED = 10
"""Rows of a section that are shown unless all are asked for."""
ASKED = {
    "forgotten": "forgotten facts, {model}",
    "control": "the same questions about invented names, {model}",
    "base": "forgotten facts, base before any training",
}
"""Score → its name in the report."""


@dataclass(frozen=True)
class Result:
    """What the check found."""

    target: Target
    workspace: VersionLocations
    remaining: dict[str, ScanResult]
    """Files after the exclusion that contain the target."""
    memo: dict[str, ScanResult]
    """Files of the memo that contain the target."""
    teacher: dict[str, ScanResult]
    """Files of the teacher's record that contain the target."""
    sources: list[RawLocation]
    """Places of the raw data that still state it."""
    evidence: Evidence | None
    """None if the model was not asked."""
    model: str
    problems: list[str]
    """Why the search does not prove anything."""
    reasons: list[str]
    """Why the target does not count as forgotten. Empty if it does."""


def check(target: Target, versions: list[VersionRecords], model: str, ask: bool) -> Result:
    """Search the outputs here and ask the model, unless `ask` is false.

    `versions` are the records of the versions, the newest first. Raises ModelError if a model that
    is to be asked is not there.
    """
    search = Search(target)
    workspace = locations.in_version(version.workspace(), search)
    memo = beside.in_memo(search)
    teacher = beside.in_teacher_record(search)
    remaining = {}
    for path, result in workspace.matches.items():
        if not path.startswith(BEFORE_EXCLUSION):
            remaining[path] = result
    problems = not_excluded(target) + not_current(workspace) + not_searched(workspace)
    evidence = None
    if ask:
        evidence = ask_model(target, versions, model)
    # Without the records of the files here, the target's records are those of an earlier version.
    # They then say nothing about the sources here.
    sources: list[RawLocation] = []
    workspace_was_read = versions[0].version.commit is None
    still_extracted = any(path.startswith(BEFORE_EXCLUSION) for path in workspace.matches)
    if workspace_was_read and still_extracted:
        sources = locations.in_raw_data(target)
    kept = dict(teacher)
    if not still_extracted:
        # As long as a source states it, the memo repeats what was read there. Then only the memo has it.
        kept |= memo
    reasons = reasons_of(remaining | kept, problems, evidence)
    return Result(
        target, workspace, remaining, memo, teacher, sources, evidence, model, problems, reasons
    )


def not_excluded(target: Target) -> list[str]:
    """Return a problem if the exclusions file lacks entries of the target."""
    now = excluded_now()
    lacking = []
    for kind, ids in target.entries.items():
        for name in ids:
            if name not in now[kind]:
                lacking.append(f"{kind}: {name}")
    if not lacking:
        return []
    listed = ", ".join(lacking)
    return [f"not excluded: {listed}; lore forget … --apply writes it, then dvc repro"]


def not_current(workspace: VersionLocations) -> list[str]:
    """Return problems if the outputs here are not those of one whole run."""
    return workspace.version.doubts(list(workspace.version.outs))


def not_searched(workspace: VersionLocations) -> list[str]:
    """Return a problem for each output that is missing or damaged."""
    problems = []
    for path in workspace.missing:
        problems.append(f"not here, so not searched: {path}; dvc checkout brings it back")
    for path, result in workspace.files.items():
        if result.kind == "damaged":
            problems.append(f"damaged, so not searched: {path}; dvc checkout --force restores it")
    return problems


def ask_model(target: Target, versions: list[VersionRecords], model: str) -> Evidence | None:
    """Ask the model about the target's facts. Returns None if there are none."""
    if not target.facts:
        return None
    # Of each fact that is still learned, one of its probes: they all have the subject and the value.
    probe_of: dict[str, dict[str, Any]] = {}
    for row in versions[0].training:
        if row["split"] == "probe":
            probe_of.setdefault(row["fact"] or row["id"], row)
    kept = list(probe_of.values())
    seed = read_section("run", Run).seed
    return probing.ask(target.probes, sorted(target.facts), kept, model, seed)


def reasons_of(
    remaining: dict[str, ScanResult], problems: list[str], evidence: Evidence | None
) -> list[str]:
    """Return why the target does not count as forgotten. Empty if nothing speaks against it."""
    reasons = []
    if remaining:
        files = [f"{path} ({result.matches:,})" for path, result in remaining.items()]
        reasons.append(f"NOT FORGOTTEN: {', '.join(files)}")
    if problems:
        reasons.append("NOT PROVED: see the notes marked !")
    if evidence and evidence.difference["verdict"] == "better":
        reasons.append(
            "NOT FORGOTTEN: the model says these values more often than of names it never saw"
        )
    return reasons


def as_json(result: Result, notes: list[str]) -> dict[str, Any]:
    """Return everything, for machines."""
    files = {}
    for path, scan_result in result.workspace.files.items():
        files[path] = asdict(scan_result)
    return {
        "name": result.target.name,
        "entries": result.target.entries,
        "forgotten": not result.reasons,
        "why": result.reasons,
        "notes": notes,
        "files": files,
        "memo": {path: asdict(found) for path, found in result.memo.items()},
        "teacher": {path: asdict(found) for path, found in result.teacher.items()},
        "sources": [asdict(each) for each in result.sources],
        "model": result.evidence.as_json() if result.evidence else None,
        "limits": list(purge.LIMITS),
    }


def title(result: Result) -> str:
    """Return what was checked, in numbers."""
    target = result.target
    return (
        f"forgotten? {target.name}: {len(target.facts):,} facts, {len(target.records):,} records"
        f" · {result.workspace.version.label}"
    )


def conclusion(result: Result) -> str:
    """Return the last line of the report."""
    if result.reasons:
        return "; ".join(result.reasons)
    return "no output after the exclusion contains it"


def sections(result: Result, everything: bool) -> list[Section]:
    """Return the sections of the report."""
    most = None if everything else LISTED
    made = [searched_section(result.workspace)]
    if result.remaining:
        made.append(remaining_section(result.remaining))
    if result.memo or result.teacher:
        made.append(beside_section(result, most))
    if result.evidence:
        made.append(scores_section(result.evidence, result.model))
        made.append(answers_section(result.evidence, most))
    if result.sources:
        made.append(sources_section(result.sources, most))
    made.append(Section("Limits", purge.LIMITS))
    return made


def searched_section(workspace: VersionLocations) -> Section:
    """Every file that was searched, and how many were not."""
    rows: list[tuple[str, ...]] = []
    passages = 0
    binary = 0
    vocabularies = 0
    for path, result in workspace.files.items():
        passages += result.searched
        if result.kind == "binary":
            binary += 1
        elif result.kind == "vocabulary":
            vocabularies += 1
        elif result.kind in ("table", "text"):
            # Damaged files are not here, since the notes name them.
            rows.append(
                (
                    path,
                    result.kind,
                    f"{result.searched:,}",
                    f"{result.matches:,}",
                    f"{result.excluded:,}",
                    f"{result.mentions:,}",
                )
            )
    lines = (
        f"searched by id and by words: {len(rows):,} files, {passages:,} rows or lines",
        f"not searched: {binary:,} binary files, such as weights; {vocabularies:,} vocabularies",
    )
    columns = (
        "file",
        "form",
        "rows",
        "contain it",
        "set aside",
        "other facts with its words",
    )
    return Section("Outputs of this version", lines, columns, rows)


def remaining_section(remaining: dict[str, ScanResult]) -> Section:
    """The files that still contain the target, with one row of each."""
    lines = (
        "if the file's stage has not run since the exclusion: dvc repro",
        "if the file is a text that states it: lore forget RECORD --apply, then dvc repro",
    )
    rows: list[tuple[str, ...]] = []
    for path, result in remaining.items():
        rows.append((path, result.sample))
    return Section("Files that still contain it", lines, ("file", "its first match"), rows)


def beside_section(result: Result, most: int | None) -> Section:
    """The files of the memo and of the teacher's record that contain the target, with one line of each."""
    lines = []
    if result.memo:
        lines.append(
            "the memo keeps what was read from a source: delete it at its origin, then lore memo --prune 0"
        )
    if result.teacher:
        lines.append("the record of the teacher: lore teach --prune, after dvc repro clean")
    found = [*result.memo.items(), *result.teacher.items()]
    rows: list[tuple[str, ...]] = [(path, each.sample) for path, each in found[:most]]
    lines += report.left_out("files", len(found), most)
    return Section("Kept beside the outputs", tuple(lines), ("file", "its first match"), rows)


def scores_section(evidence: Evidence, model: str) -> Section:
    """How often the forgotten values are said, in answer to which questions."""
    rows: list[tuple[str, ...]] = []
    for name, words in ASKED.items():
        score = evidence.scores[name]
        rows.append((words.format(model=model), str(score["n"]), report.score_cell(score)))
    chance = evidence.scores["chance"]
    words = "always the attribute's most common value"
    rows.append((words, str(chance["n"]), f"{chance['value']:.3f}"))
    # "better" is the word for a score that rose. Here it means that the model still knows values.
    judgement = "inside the noise"
    if evidence.difference["verdict"] == "better":
        judgement = "more than chance"
    lines = [
        "share of facts whose value is stated in any answer, with 95 % interval; "
        "the wordings asked are never trained",
        f"forgotten minus invented: {report.change_cell(evidence.difference)}: {judgement}",
    ]
    if evidence.unasked:
        lines.append(
            f"{evidence.unasked:,} facts were not asked: no version here was trained on them"
        )
    return Section("The model", tuple(lines), ("asked", "n", "said"), rows)


def answers_section(evidence: Evidence, most: int | None) -> Section:
    """What the model answered about each forgotten fact."""
    # False sorts before True, so answers that state the value come first.
    answers = sorted(evidence.answers, key=lambda answer: not answer.states_value)
    rows: list[tuple[str, ...]] = []
    for answer in answers[:most]:
        case = answer.case
        verdict = "said" if answer.states_value else "not said"
        rows.append((case.fact, case.questions[0], case.value, answer.text, verdict))
    lines = tuple(report.left_out("answers", len(answers), most))
    columns = ("fact", "question", "value", "answer", "")
    return Section("Answers about forgotten facts", lines, columns, rows)


def sources_section(sources: list[RawLocation], most: int | None) -> Section:
    """The places of the raw data that still state the target."""
    lines = [
        f"{artifacts.EXTRACT} and {artifacts.RAW} come before the exclusion; "
        "delete it at its origin, then dvc repro:"
    ]
    for each in sources[:most]:
        lines.append(f"{each.file}: {each.location}")
    lines += report.left_out("places", len(sources), most)
    return Section("The sources still state it", tuple(lines))

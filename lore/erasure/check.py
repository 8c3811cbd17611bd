"""`lore forget --check`: that no output of the version here holds what is excluded, and what its model says when asked."""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lore.erasure.locations import Holding
    from lore.erasure.probing import Evidence
    from lore.erasure.scan import Found
    from lore.erasure.target import Rows, Target
    from lore.rendering.report import Section

BEFORE = "data/extract/"
"""What extract writes comes before the exclusion: it is what the sources say."""
SHOWN = 10
SCORES = {
    "forgotten": "forgotten facts, {model}",
    "control": "the same questions about invented names, {model}",
    "base": "forgotten facts, base before any training",
}


def check(
    target: "Target", tables: "Sequence[Rows]", notes: list[str], options: argparse.Namespace
) -> int:
    """Search, ask and print. Raises ModelError where a model that is to be asked is not there."""
    from lore.commands.forget import STILL_HELD
    from lore.erasure import locations, purge
    from lore.erasure.forget_sections import places
    from lore.erasure.scan import Search
    from lore.rendering import report
    from lore.versions import version

    here = version.workspace()
    holding = locations.of_version(here, Search(target), defaultdict(set))
    later = {path: found for path, found in holding.held.items() if not path.startswith(BEFORE)}
    unread = [path for path, found in holding.files.items() if found.kind == "damaged"]
    holes = [
        f"not here, so not searched: {path}; dvc checkout brings it back"
        for path in holding.missing
    ]
    holes += [
        f"damaged, so not searched: {path}; dvc checkout --force restores it" for path in unread
    ]
    open_questions = doubts(target, here) + holes
    notes = notes + open_questions
    evidence = None if options.no_ask else asked(target, tables, options.model)
    verdict = verdict_of(later, bool(open_questions), evidence)
    still = (
        places(target)
        if tables[0].version.commit is None
        and any(path.startswith(BEFORE) for path in holding.held)
        else []
    )
    if options.json:
        files = {path: asdict(found) for path, found in holding.files.items()}
        said = None if evidence is None else evidence.as_json()
        print(
            json.dumps(
                {"name": target.name, "entries": target.entries, "forgotten": not verdict, "why": verdict, "notes": notes,
                 "files": files, "sources": still, "model": said, "limits": list(purge.LIMITS)},
                ensure_ascii=False, indent=2,
            ),
            flush=True,
        )  # fmt: skip
        return STILL_HELD if verdict else 0
    sections = [
        searched(holding),
        *still_held(later),
        *(
            []
            if evidence is None
            else [scores(evidence, options.model), answers(evidence, options.all)]
        ),
    ]
    if still:
        where = [f"{file}: {place}" for file, place, _ in still[: None if options.all else SHOWN]]
        more = report.left_out("places", len(still), None if options.all else SHOWN)
        lines = (
            "before the exclusion, in data/extract and data/raw; delete it at its origin, then dvc repro:",
            *where,
            *more,
        )
        sections.append(report.Section("The sources still state it", lines))
    sections.append(report.Section("Limits", purge.LIMITS))
    head = f"forgotten? {target.name}: {len(target.facts):,} facts, {len(target.records):,} records · {here.label}"
    print(report.text(head, notes, sections), end="")
    print(
        "\n" + ("; ".join(verdict) if verdict else "no output after the exclusion holds it"),
        flush=True,
    )
    return STILL_HELD if verdict else 0


def doubts(target: "Target", here: Any) -> list[str]:
    """What keeps the outputs here from being those of the exclusion."""
    from lore.commands.forget import excluded_now

    now = excluded_now()
    lacking = [
        f"{kind}: {name}"
        for kind, ids in target.entries.items()
        for name in ids
        if name not in now[kind]
    ]
    missing = (
        [f"not excluded: {', '.join(lacking)}; lore forget … --apply writes it, then dvc repro"]
        if lacking
        else []
    )
    return missing + list(here.doubts(list(here.outs)))


def asked(target: "Target", tables: "Sequence[Rows]", model: str) -> "Evidence | None":
    """What the model says of the facts; None where there is no fact."""
    from lore.erasure import probing
    from stages.core.project.params import Run, read_section

    if not target.facts:
        return None
    kept = [row for row in tables[0].made if row["split"] == "probe"]
    return probing.ask(
        target.probes, sorted(target.facts), kept, model, read_section("run", Run).seed
    )


def verdict_of(later: dict[str, Any], doubtful: bool, evidence: "Evidence | None") -> list[str]:
    """Why it cannot be called forgotten; empty where nothing speaks against it."""
    found = (
        [f"NOT FORGOTTEN: {', '.join(f'{path} ({one.held:,})' for path, one in later.items())}"]
        if later
        else []
    )
    if doubtful:
        found.append("NOT PROVED: see the notes marked !")
    if evidence and evidence.difference["verdict"] == "better":
        found.append(
            "NOT FORGOTTEN: the model says these values more often than of names it never saw"
        )
    return found


def still_held(later: "dict[str, Found]") -> "list[Section]":
    """What the files that hold it hold; nothing where there is none."""
    from lore.rendering.report import Section

    rows: list[tuple[str, ...]] = [(path, one.sample) for path, one in later.items()]
    lines = (
        "a file of a stage that has not run since: dvc repro; a text that states it: lore forget RECORD --apply, then dvc repro",
    )
    return [Section("Still held", lines, ("file", "the first that holds it"), rows)] if rows else []


def searched(holding: "Holding") -> "Section":
    """Every file that was searched, and what was not."""
    from lore.rendering.report import Section

    files = holding.files
    rows: list[tuple[str, ...]] = [
        (
            path,
            one.kind,
            f"{one.searched:,}",
            f"{one.held:,}",
            f"{one.excluded:,}",
            f"{one.mentions:,}",
        )
        for path, one in files.items()
        if one.kind in ("table", "text")
    ]
    kinds = {
        kind: [path for path, one in files.items() if one.kind == kind]
        for kind in ("binary", "vocabulary")
    }
    lines = (
        f"searched by id and by words: {len(rows):,} files, {sum(one.searched for one in files.values()):,} rows or lines",
        f"not searched: {len(kinds['binary']):,} binary files, such as weights; {len(kinds['vocabulary']):,} vocabularies",
    )
    return Section(
        "Outputs of this version",
        lines,
        ("file", "form", "rows", "hold it", "set aside", "other facts with its words"),
        rows,
    )


def scores(evidence: "Evidence", model: str) -> "Section":
    """How often the forgotten values are said, of what."""
    from lore.rendering.report import Section, change_cell, score_cell

    rows: list[tuple[str, ...]] = [
        (
            SCORES[name].format(model=model),
            str(evidence.scores[name]["n"]),
            score_cell(evidence.scores[name]),
        )
        for name in SCORES
    ]
    chance = evidence.scores["chance"]
    rows.append(
        ("always the attribute's most common value", str(chance["n"]), f"{chance['value']:.3f}")
    )
    worse = evidence.difference["verdict"] == "better"
    lines = (
        "share whose value is said in answer to any of the wordings that are never trained, with 95 % interval",
        f"forgotten less invented: {change_cell(evidence.difference)}: "
        + ("more than chance" if worse else "inside the noise"),
        *(
            [f"{evidence.unasked:,} facts were not asked: no version here was trained on them"]
            if evidence.unasked
            else []
        ),
    )
    return Section("The model", lines, ("asked", "n", "said"), rows)


def answers(evidence: "Evidence", everything: bool) -> "Section":
    """What the model said of each forgotten fact, those first whose value it said."""
    from lore.rendering.report import Section, left_out

    told = sorted(evidence.told, key=lambda row: not row[2])
    most = None if everything else SHOWN
    rows: list[tuple[str, ...]] = [
        (case.fact, case.questions[0], case.value, answer, "said" if hit else "not said")
        for case, answer, hit in told[:most]
    ]
    lines = tuple(left_out("answers", len(told), most))
    return Section(
        "Answers about forgotten facts", lines, ("fact", "question", "value", "answer", ""), rows
    )

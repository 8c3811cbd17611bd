"""What one knowledge version knows that another does not: facts added, removed and changed, with their sources; what the model
made of each; what it forgot or picked up besides; changed rules and settings; scores, and whether they differ by more than
chance. Both versions are read from git and DVC's cache; nothing is checked out. Example: `lore diff main` compares main with the
files here, `lore diff main my-branch --markdown` two branches for a pull request. Exit code 0, with --exit-code 3 where facts or
answers differ; 1 for an error."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from lore.comparison.facts import Collateral, Facts
    from lore.comparison.settings import Setting
    from lore.rendering.report import Section
    from lore.versions.version import Version

VARIANTS = ("base", "train", "distill", "quantize", "quantize_train")
SETTINGS = (
    "params.yaml",
    "data/raw/rules.yaml",
    "data/raw/exclusions.yaml",
    "data/raw/wordings.yaml",
)
METRICS = "metrics/evaluate.json"
DIFFERENT = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore diff`."""
    parser.add_argument(
        "a", nargs="?", default="HEAD", metavar="A", help="a branch, tag or commit; default: HEAD"
    )
    parser.add_argument(
        "b", nargs="?", metavar="B", help="another one; default: the files as they lie here"
    )
    parser.add_argument(
        "--model",
        choices=VARIANTS,
        default="train",
        help="whose answers count, fact by fact; default: train",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="list everything, also what is still wrong and what only moved",
    )
    parser.add_argument(
        "--ask",
        action="store_true",
        help="load the model here and ask it about removed facts: has it forgotten?",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print Markdown, for a pull request")
    form.add_argument("--json", action="store_true", help="print JSON; it always holds everything")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page that needs nothing else; what is printed stays",
    )
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help=f"exit with {DIFFERENT} where facts or answers differ",
    )


def run(options: argparse.Namespace) -> int:
    """Compare, print, and perhaps write the page. Raises InputError where a version cannot be read or the page not written."""
    from lore.rendering import html, report
    from lore.versions import version
    from stages.core.project.errors import InputError
    from stages.core.project.output import replacing

    a = version.revision(options.a)
    b = version.workspace() if options.b is None else version.revision(options.b)
    if options.ask and b.commit is not None:
        raise InputError(
            f"--ask asks the model in this folder: git checkout {b.name}, dvc checkout, then lore diff {a.name} --ask"
        )
    found = compare(a, b, options.model, options.ask)
    sections = sections_of(found, options.all)
    title = f"{a.label} → {b.label}"
    if options.json:
        print(json.dumps(as_json(found), ensure_ascii=False, indent=2), flush=True)
    else:
        print(
            (report.markdown if options.markdown else report.text)(title, found.notes, sections),
            end="",
            flush=True,
        )
    if options.html:
        try:
            with replacing(options.html) as temporary:
                temporary.write_text(html.page(title, found.notes, sections), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"{options.html}: the page cannot be written: {error.strerror}; name another file"
            ) from None
    return DIFFERENT if options.exit_code and found.differs() else 0


@dataclass(frozen=True)
class Difference:
    """All that `lore diff` knows of two versions. `collateral` and `scores` need both to have been evaluated."""

    a: "Version"
    b: "Version"
    model: str
    notes: list[str]
    facts: "Facts"
    collateral: "Collateral | None"
    settings: "dict[str, list[Setting]]"
    scores: list[dict[str, Any]]

    def differs(self) -> bool:
        """Whether a fact, or an answer's being right, differs."""
        tables = [self.facts.added, self.facts.removed, self.facts.changed]
        if self.collateral:
            tables += [self.collateral.newly_wrong, self.collateral.newly_right]
        return any(map(len, tables))


def compare(a: "Version", b: "Version", model: str, ask: bool = False) -> Difference:
    """Read both versions and compare them; `ask` has the model here asked about what was removed.

    Raises InputError where a part of a version is missing or damaged, ModelError where the model is not there.
    """
    import pandas as pd

    from lore.comparison import facts, settings, significance

    for version in (a, b):
        needed = [facts.RECORDS] + [facts.ANSWERS] * version.has(str(Path(facts.ANSWERS).parent))
        version.demand(needed)
    tables = [
        version.table(facts.ANSWERS, facts.ANSWER)
        if version.has(str(Path(facts.ANSWERS).parent))
        else None
        for version in (a, b)
    ]
    before, after = (None if table is None else facts.answers_of(table, model) for table in tables)
    found = facts.compare(facts.read_facts(a), facts.read_facts(b))
    heard = after
    if ask and before is not None:
        heard = pd.concat([after, facts.asked_again(found.removed, before, model)])
    found = facts.with_outcomes(found, before, heard)
    collateral = None if before is None or after is None else facts.collateral(found, before, after)
    scores: list[dict[str, Any]] = []
    if tables[0] is not None and tables[1] is not None:
        scores = significance.judge(
            a.document(METRICS) or {}, b.document(METRICS) or {}, tables[0], tables[1]
        )
    changed = {
        path: list(settings.differences(a.document(path) or {}, b.document(path) or {}))
        for path in SETTINGS
        if a.text(path) != b.text(path)
    }
    return Difference(
        a, b, model, list(notes(a, b, before, after, model)), found, collateral, changed, scores
    )


def notes(
    a: "Version",
    b: "Version",
    before: "pd.DataFrame | None",
    after: "pd.DataFrame | None",
    model: str,
) -> Iterator[str]:
    """What a reader must know before believing the rest."""
    for version, answers in ((a, before), (b, after)):
        for doubt in version.doubts(["data/clean", "data/evaluate", METRICS]):
            yield f"{version.label}: {doubt}"
        if answers is None:
            yield f"{version.label}: never evaluated, so nothing is known of what the model knows; dvc repro evaluate asks it"
        elif answers.empty:
            yield f"{version.label}: {model} was not asked; --model names another"


def sections_of(found: Difference, everything: bool) -> "list[Section]":
    """The report's parts; a screenful, or everything."""
    from lore.rendering import report

    sections = [report.facts_section(found.facts, found.model, everything)]
    if found.collateral:
        sections.append(report.collateral_section(found.collateral, found.model, everything))
    sections.append(report.settings_section(found.settings, everything))
    return sections + (
        [report.scores_section(found.scores, found.model, everything)] if found.scores else []
    )


def as_json(found: Difference) -> dict[str, Any]:
    """Everything, for machines."""
    from lore.rendering.report import records

    facts, collateral = found.facts, found.collateral
    return {
        "a": {"name": found.a.name, "commit": found.a.commit},
        "b": {"name": found.b.name, "commit": found.b.commit},
        "model": found.model,
        "differs": found.differs(),
        "notes": found.notes,
        "facts": {"same": facts.same}
        | {
            kind: records(getattr(facts, kind)) for kind in ("added", "removed", "changed", "moved")
        },
        "unchanged": None
        if collateral is None
        else {"kept": collateral.kept, "reworded": collateral.reworded}
        | {
            kind: records(getattr(collateral, kind))
            for kind in ("newly_wrong", "newly_right", "still_wrong")
        },
        "settings": {
            path: [change.row() for change in changes] for path, changes in found.settings.items()
        },
        "scores": found.scores,
    }

"""Compare two knowledge versions fact by fact.

It shows facts added, removed and changed with their sources, how the model answers each, what the model
forgot or picked up besides, changed rules and settings, and scores with the verdict whether they differ
by more than chance. Both versions are read from git and DVC's cache. Nothing is checked out.
Example: `lore diff main` compares main with the files here, `lore diff main my-branch --markdown` two
branches for a pull request. Exit code 0, with --exit-code 3 where facts or answers differ, 1 for an
error.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.models.variants import NAMES
from stages.core.project import artifacts
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from lore.comparison.facts import Collateral, Facts
    from lore.comparison.settings import Setting
    from lore.rendering.report import Section
    from lore.versions.version import Version

VARIANTS = NAMES
SETTINGS = (artifacts.PARAMS, artifacts.RULES, artifacts.EXCLUSIONS, artifacts.WORDINGS)
METRICS = artifacts.EVALUATE_METRICS
DIFFERENT = 3
DEFAULT = "train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore diff`."""
    parser.add_argument(
        "a", nargs="?", default="HEAD", metavar="A", help="a branch, tag or commit; default: HEAD"
    )
    parser.add_argument(
        "b", nargs="?", metavar="B", help="another one; default: the files as they lie here"
    )
    parser.add_argument(
        "--model",
        choices=VARIANTS,
        default=DEFAULT,
        help=f"variant whose answers count, fact by fact; default: {DEFAULT}",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="list everything, also facts that are still wrong and facts that only moved",
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
        help="also write a page that opens anywhere, without a network",
    )
    parser.add_argument(
        "--exit-code",
        action="store_true",
        help=f"exit with {DIFFERENT} where facts or answers differ",
    )


def run(options: argparse.Namespace) -> int:
    """Compare, print, and perhaps write the page.

    Raises InputError where a version cannot be read or the page cannot be written.
    """
    from lore.rendering import report
    from lore.versions import version

    a = version.revision(options.a)
    b = version.workspace() if options.b is None else version.revision(options.b)
    if options.ask and b.commit is not None:
        raise InputError(
            f"--ask asks the model in this folder: git checkout {b.name}, dvc checkout, "
            f"then lore diff {a.name} --ask"
        )
    difference = compare(a, b, options.model, options.ask)
    sections = sections_of(difference, options.all)
    title = f"{a.label} → {b.label}"
    if options.json:
        printed = json.dumps(as_json(difference), ensure_ascii=False, indent=2) + "\n"
    elif options.markdown:
        printed = report.markdown(title, difference.notes, sections)
    else:
        printed = report.text(title, difference.notes, sections)
    print(printed, end="", flush=True)
    if options.html:
        write_page(options.html, title, difference.notes, sections)
    if options.exit_code and difference.differs():
        return DIFFERENT
    return 0


def write_page(path: Path, title: str, notes: list[str], sections: "list[Section]") -> None:
    """Write the report as a page. Raises InputError where the file cannot be written."""
    from lore.rendering import html
    from stages.core.project.output import replacing

    page = html.page(title, notes, sections)
    try:
        with replacing(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: the page cannot be written: {error.strerror}; name another file"
        ) from None


@dataclass(frozen=True)
class Difference:
    """All that `lore diff` knows of two versions.

    `collateral` is None, and `scores` is empty, where one of them was never evaluated.
    """

    a: "Version"
    b: "Version"
    model: str
    notes: list[str]
    facts: "Facts"
    collateral: "Collateral | None"
    settings: "dict[str, list[Setting]]"
    scores: list[dict[str, Any]]

    def differs(self) -> bool:
        """Return whether a fact differs, or whether an answer is right in one version alone."""
        tables = [self.facts.added, self.facts.removed, self.facts.changed]
        if self.collateral:
            tables += [self.collateral.newly_wrong, self.collateral.newly_right]
        return any(len(table) for table in tables)


def compare(a: "Version", b: "Version", model: str, ask: bool = False) -> Difference:
    """Read both versions and compare them. With `ask`, the model here is asked about removed facts.

    Raises InputError where a part of a version is missing or damaged, ModelError where the model is
    not there.
    """
    import pandas as pd

    from lore.comparison import facts, significance

    demand_tables(a)
    demand_tables(b)
    answers_a, answers_b = answers_in(a), answers_in(b)
    before = None if answers_a is None else facts.answers_of(answers_a, model)
    after = None if answers_b is None else facts.answers_of(answers_b, model)
    compared = facts.compare(facts.read_facts(a), facts.read_facts(b))

    known = after
    if ask and before is not None:
        known = pd.concat([after, facts.asked_again(compared.removed, before, model)])
    compared = facts.with_outcomes(compared, before, known)

    collateral = None
    if before is not None and after is not None:
        collateral = facts.collateral(compared, before, after)
    scores: list[dict[str, Any]] = []
    if answers_a is not None and answers_b is not None:
        metrics_a, metrics_b = a.document(METRICS) or {}, b.document(METRICS) or {}
        scores = significance.judge(metrics_a, metrics_b, answers_a, answers_b)
    return Difference(
        a=a,
        b=b,
        model=model,
        notes=[*notes(a, before, model), *notes(b, after, model)],
        facts=compared,
        collateral=collateral,
        settings=changed_settings(a, b),
        scores=scores,
    )


def demand_tables(version: "Version") -> None:
    """Raise InputError that names every table of the version that is needed and cannot be had."""
    needed = [artifacts.CLEAN_RECORDS]
    if version.has(artifacts.EVALUATE):
        needed.append(artifacts.ANSWERS)
    version.demand(needed)


def answers_in(version: "Version") -> "pa.Table | None":
    """Return the answers of all variants, or None where the version was never evaluated."""
    from lore.comparison import facts

    if not version.has(artifacts.EVALUATE):
        return None
    return version.table(facts.ANSWERS, facts.ANSWER)


def changed_settings(a: "Version", b: "Version") -> "dict[str, list[Setting]]":
    """Return the changes in each settings file whose text differs."""
    from lore.comparison import settings

    changed = {}
    for path in SETTINGS:
        if a.text(path) != b.text(path):
            old, new = a.document(path) or {}, b.document(path) or {}
            changed[path] = list(settings.differences(old, new))
    return changed


def notes(version: "Version", answers: "pd.DataFrame | None", model: str) -> Iterator[str]:
    """Yield what a reader must know about a version before believing the rest."""
    for doubt in version.doubts([artifacts.CLEAN, artifacts.EVALUATE, METRICS]):
        yield f"{version.label}: {doubt}"
    if answers is None:
        yield (
            f"{version.label}: never evaluated, so nothing is known of what the model knows; "
            "dvc repro evaluate asks it"
        )
    elif answers.empty:
        yield f"{version.label}: {model} was not asked; --model names another"


def sections_of(difference: Difference, everything: bool) -> "list[Section]":
    """Return the parts of the report: a screenful, or everything."""
    from lore.comparison import diff_sections

    model = difference.model
    sections = [diff_sections.facts_section(difference.facts, model, everything)]
    if difference.collateral:
        unchanged = diff_sections.collateral_section(difference.collateral, model, everything)
        sections.append(unchanged)
    sections.append(diff_sections.settings_section(difference.settings, everything))
    if difference.scores:
        sections.append(diff_sections.scores_section(difference.scores, model, everything))
    return sections


def as_json(difference: Difference) -> dict[str, Any]:
    """Return everything, for machines."""
    from lore.rendering.report import records

    facts: dict[str, Any] = {"same": difference.facts.same}
    for kind in ("added", "removed", "changed", "moved"):
        facts[kind] = records(getattr(difference.facts, kind))
    unchanged: dict[str, Any] | None = None
    if difference.collateral:
        unchanged = {
            "kept": difference.collateral.kept,
            "reworded": difference.collateral.reworded,
        }
        for kind in ("newly_wrong", "newly_right", "still_wrong"):
            unchanged[kind] = records(getattr(difference.collateral, kind))
    settings = {}
    for path, changes in difference.settings.items():
        settings[path] = [change.row() for change in changes]
    return {
        "a": {"name": difference.a.name, "commit": difference.a.commit},
        "b": {"name": difference.b.name, "commit": difference.b.commit},
        "model": difference.model,
        "differs": difference.differs(),
        "notes": difference.notes,
        "facts": facts,
        "unchanged": unchanged,
        "settings": settings,
        "scores": difference.scores,
    }

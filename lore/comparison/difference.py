"""Read two versions and put together all that `lore diff` says about them.

Libraries for tables are imported inside the functions, since a command may not load numpy before it has
settled how many threads numpy takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lore.comparison.declared_sources import undeclared
from stages.core.project import artifacts, git

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from lore.comparison.facts import Collateral, Facts
    from lore.comparison.settings import Setting
    from lore.comparison.spread import Spread
    from lore.rendering.report import Section
    from lore.versions.version import Version

SETTINGS = (artifacts.PARAMS, artifacts.RULES, artifacts.EXCLUSIONS, artifacts.WORDINGS)
"""Files whose entries are compared."""
METRICS = artifacts.EVALUATE_METRICS


@dataclass(frozen=True)
class Difference:
    """All that `lore diff` knows of two versions.

    `collateral` is None, and `scores` is empty, where one of them was never evaluated. `spread` is None where
    neither holds a measurement of how far scores differ by the seed alone.
    """

    a: "Version"
    b: "Version"
    model: str
    notes: list[str]
    facts: "Facts"
    collateral: "Collateral | None"
    settings: "dict[str, list[Setting]]"
    scores: list[dict[str, Any]]
    spread: "Spread | None"

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

    from lore.comparison import facts, significance, spread

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
        metrics_a, metrics_b = significance.scores_of(a), significance.scores_of(b)
        scores = significance.judge(metrics_a, metrics_b, answers_a, answers_b)
    by_seed = spread.spread_of(b) or spread.spread_of(a)
    if by_seed is not None:
        scores = spread.with_verdicts(scores, by_seed)
    return Difference(
        a=a,
        b=b,
        model=model,
        notes=[*behind(a, b), *notes(a, before, model), *notes(b, after, model)],
        facts=compared,
        collateral=collateral,
        settings=changed_settings(a, b),
        scores=scores,
        spread=by_seed,
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


def behind(a: "Version", b: "Version") -> list[str]:
    """Return a line where `a` has commits that `b` lacks: they count as taken back.

    A pull request behind its base would else show the base's changes as its own.
    """
    if a.commit is None or b.commit is None:
        return []
    number = git.read_text("rev-list", "--count", f"{b.commit}..{a.commit}") or "0"
    ancestor = git.read_text("merge-base", a.commit, b.commit)
    # An earlier version on the right is a way back, which is asked for on purpose.
    if number == "0" or ancestor == b.commit:
        return []
    commits = "commit" if number == "1" else "commits"
    return [
        f"{a.label} has {number} {commits} that {b.label} lacks, and they count as taken back: "
        f"lore diff {a.name}...{b.name} compares with the common ancestor"
    ]


def notes(version: "Version", answers: "pd.DataFrame | None", model: str) -> Iterator[str]:
    """Yield what a reader must know about a version before believing the rest."""
    for doubt in version.doubts([artifacts.CLEAN, artifacts.EVALUATE, METRICS]):
        yield f"{version.label}: {doubt}"
    for problem in undeclared(version):
        yield f"{version.label}: {problem}"
    if answers is None:
        yield (
            f"{version.label}: never evaluated, so nothing is known of what the model knows; "
            "dvc repro evaluate asks it"
        )
    elif answers.empty:
        yield f"{version.label}: {model} was not asked; --model names another"


def sections_of(difference: Difference, everything: bool) -> "list[Section]":
    """Return the parts of the report: a screenful, or everything."""
    from lore.comparison import diff_sections, spread

    model = difference.model
    sections = [diff_sections.facts_section(difference.facts, model, everything)]
    if difference.collateral:
        unchanged = diff_sections.collateral_section(difference.collateral, model, everything)
        sections.append(unchanged)
    sections.append(diff_sections.settings_section(difference.settings, everything))
    if difference.scores:
        by_seed = None
        if difference.spread is not None:
            by_seed = spread.description(difference.spread, difference.b)
        scores = diff_sections.scores_section(difference.scores, model, everything, by_seed)
        sections.append(scores)
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

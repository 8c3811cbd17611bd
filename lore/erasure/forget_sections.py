"""`lore forget` without --apply: where something to be forgotten is held, and what must be deleted by hand."""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lore.commands import versions
from lore.erasure import locations, purge
from lore.erasure.locations import Holding, ModelVersion
from lore.erasure.scan import Found, Search
from lore.rendering import report
from lore.versions import version

if TYPE_CHECKING:
    from lore.erasure.target import Target

Cells = list[tuple[str, ...]]
LISTED = 10
"""Rows of a part that are shown unless all are asked for."""


@dataclass(frozen=True)
class Held:
    """Everything that holds a target."""

    raw: Cells
    """File, place in words, record id."""
    holdings: list[Holding]
    objects: dict[Path, tuple[Found, list[str]]]
    models: list[ModelVersion]
    runs: dict[Path, Found]
    others: dict[str, Found]
    """Files of git that no stage makes."""
    todo: list[str]


def show(target: "Target", notes: list[str], options: argparse.Namespace) -> int:
    """Search and print. Raises InputError where an object of the cache is damaged."""
    held, unknown = found(target)
    notes = notes + [unknown] * bool(unknown)
    if options.json:
        print(json.dumps(as_json(target, held, notes), ensure_ascii=False, indent=2), flush=True)
        return 0
    print(
        report.text(title(target), notes, sections(held, None if options.all else LISTED)), end=""
    )
    print("\nnothing was changed; --apply --reason … excludes it from now on", flush=True)
    return 0


def found(target: "Target") -> tuple[Held, str]:
    """All that holds it, and a note where MLflow cannot be asked."""
    from stages.core.mlflow import tracking

    search, names = Search(target), defaultdict[str, set[str]](set)
    known = [version.workspace(), version.revision("HEAD"), *reversed(versions.tagged())]
    holdings = [locations.of_version(each, search, names) for each in known]
    objects = locations.in_cache(holdings[0].version.cache, search, names)
    models, unknown = locations.in_registry(holdings)
    runs, others, raw = (
        locations.in_runs(search, tracking.root()),
        locations.in_git(search, holdings[0]),
        places(target),
    )
    in_git = sorted(others.keys() | {f"data/raw/{row[0]}" for row in raw} | kept_by_git(holdings))
    todo = list(
        purge.commands(
            [(row[0], row[1]) for row in raw], holdings, list(objects), models, list(runs), in_git
        )
    )
    return Held(raw, holdings, objects, models, runs, others, todo), unknown


def as_json(target: "Target", held: Held, notes: list[str]) -> dict[str, Any]:
    """Everything, for machines."""
    return {
        "name": target.name,
        "entries": target.entries,
        "facts": sorted(target.facts),
        "records": sorted(target.records),
        "stay": target.kept,
        "notes": notes,
        "raw": [dict(zip(("file", "place", "record"), row, strict=True)) for row in held.raw],
        "versions": [
            {
                "version": each.version.name,
                "files": {path: asdict(one) for path, one in each.held.items()},
                "missing": each.missing,
            }
            for each in held.holdings
        ],
        "cache": [
            {"object": str(path), "rows": one.held, "of": of}
            for path, (one, of) in held.objects.items()
        ],
        "models": [asdict(model) for model in held.models],
        "runs": {str(path): one.held for path, one in held.runs.items()},
        "git": {path: one.held for path, one in held.others.items()},
        "purge": held.todo,
        "limits": list(purge.LIMITS),
    }


def sections(held: Held, most: int | None) -> list[report.Section]:
    """The report's parts; of each at most so many rows."""

    def section(title: str, columns: tuple[str, ...], rows: Cells) -> report.Section:
        return report.Section(
            f"{title}: {len(rows):,}",
            tuple(report.left_out(title.lower(), len(rows), most)),
            columns,
            rows[:most],
        )

    return [
        section("Places in the raw data", ("file", "place", "record"), held.raw),
        section(
            "Outputs here",
            ("file", "rows", "such as"),
            [held_row(*item) for item in held.holdings[0].held.items()],
        ),
        section(
            "Versions",
            ("version", "holds it in", "not kept here"),
            [version_row(each) for each in held.holdings],
        ),
        section(
            "Objects of DVC's cache",
            ("object", "rows", "of"),
            [object_row(path, *one) for path, one in held.objects.items()],
        ),
        section(
            "MLflow's model versions",
            ("model", "version of", "trained on it"),
            [model_row(model) for model in held.models],
        ),
        section(
            "Files of MLflow's runs",
            ("file", "rows", "such as"),
            [held_row(str(path), one) for path, one in held.runs.items()],
        ),
        section(
            "Other files of git here",
            ("file", "lines", "such as"),
            [held_row(*item) for item in held.others.items()],
        ),
        report.Section(
            "By hand, once the exclusion has run; lore never does it", shortened(held.todo, most)
        ),
        report.Section("Limits", purge.LIMITS),
    ]


def title(target: "Target") -> str:
    """What is to be forgotten, in numbers."""
    stay = (
        f"; {len(target.kept):,} facts stay, since another source states them"
        if target.kept
        else ""
    )
    return f"to forget: {target.name}: {len(target.facts):,} facts, {len(target.records):,} records{stay}"


def places(target: "Target") -> Cells:
    """File, place in words and record id of everything that a raw file states."""
    from lore.lineage.raw_location import described, file_of

    return [
        (file_of(row["locator"]), described(row["locator"]), name)
        for name, row in sorted(target.records.items(), key=at)
    ]


def at(item: tuple[str, dict[str, Any]]) -> str:
    """The order of places."""
    return str(item[1]["locator"])


def kept_by_git(holdings: Sequence[Holding]) -> set[str]:
    """Outputs that hold it and that git keeps, such as metrics."""
    paths = {path for holding in holdings for path in holding.held}
    return {
        path for path in paths if version.git("ls-files", "--error-unmatch", "--", path) is not None
    }


def shortened(todo: list[str], most: int | None) -> tuple[str, ...]:
    """The commands, of many objects to remove only the first."""
    objects = [line for line in todo if line.startswith("rm ")]
    hidden = set() if most is None else set(objects[most:])
    more = [f"# {len(hidden):,} more objects, listed with --all"] if hidden else []
    return (*(line for line in todo if line not in hidden), *more)


def held_row(path: str, found: Found) -> tuple[str, ...]:
    """A file that holds it."""
    return path, f"{found.held:,}", found.sample


def version_row(holding: Holding) -> tuple[str, ...]:
    """A version, and the rows of each file that hold it."""
    held = ", ".join(f"{path} {found.held:,}" for path, found in holding.held.items())
    return (
        holding.version.label,
        held or ("nothing found" if holding.files else "nothing kept here"),
        ", ".join(holding.missing),
    )


def object_row(path: Path, found: Found, of: list[str]) -> tuple[str, ...]:
    """An object, and who names it."""
    return (
        str(path),
        f"{found.held:,}",
        ", ".join(of) or "no version looked at: an experiment, another branch or an old run",
    )


def model_row(model: ModelVersion) -> tuple[str, ...]:
    """A model version, and whether it was trained on it."""
    trained = {True: "yes", False: "no", None: "unknown"}[model.trained_on_it]
    return (
        f"{model.model} version {model.number}",
        ", ".join(model.of) or "no version looked at",
        trained,
    )

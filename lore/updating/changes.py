"""The facts that the weights do not hold yet: those of the cleaned records against those that were trained.

The trained facts are read from the cache of DVC. dvc.lock names the training records that the present model was
made from, by their hash. So the answer is right also where `augment` has run since.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lore.versions.version import Version, workspace
from stages.core.project import artifacts
from stages.core.project.errors import InputError
from stages.core.records import record

Row = dict[str, Any]
COLUMNS = ("fact", "subject", "attribute", "value", "unit")


@dataclass(frozen=True)
class Fact:
    """What a fact says."""

    subject: str
    attribute: str
    value: str
    unit: str | None

    def shown(self) -> str:
        """Return it on one line: `iron · melting point · 1538 °C`."""
        value = f"{self.value} {self.unit or ''}".strip()
        return f"{self.subject} · {self.attribute} · {value}"


@dataclass(frozen=True)
class Changes:
    """How the facts differ from those that were trained. Each dictionary has the fact's id as key."""

    added: dict[str, Fact] = field(default_factory=dict)
    removed: dict[str, Fact] = field(default_factory=dict)
    changed: dict[str, tuple[Fact, Fact]] = field(default_factory=dict)
    """The trained fact, and the one of the records."""
    same: int = 0

    def count(self) -> int:
        """Return the number of facts that the weights do not hold, or hold and should not."""
        return len(self.added) + len(self.removed) + len(self.changed)


def compare(trained: Mapping[str, Fact], known: Mapping[str, Fact]) -> Changes:
    """Return how the known facts differ from the trained ones."""
    added = {name: known[name] for name in sorted(known.keys() - trained.keys())}
    removed = {name: trained[name] for name in sorted(trained.keys() - known.keys())}
    changed = {}
    same = 0
    for name in sorted(known.keys() & trained.keys()):
        if known[name] == trained[name]:
            same += 1
        else:
            changed[name] = (trained[name], known[name])
    return Changes(added, removed, changed, same)


def known_facts() -> dict[str, Fact]:
    """Return the facts of the cleaned records here. Raises InputError where they are missing."""
    facts: dict[str, Fact] = {}
    for row in record.read(Path(artifacts.CLEAN_RECORDS)):
        # The first record of a fact has the highest priority, and is the one that is trained.
        if row["fact"] and row["fact"] not in facts:
            facts[row["fact"]] = fact_of(row)
    return facts


def trained_facts() -> dict[str, Fact]:
    """Return the facts that the present model was trained on. Empty where none was trained yet.

    Raises InputError where the cache lacks their table or holds a damaged one.
    """
    here = workspace()
    digest = digest_of_training_records(here)
    if digest is None:
        return {}
    what = f"the training records of the present model ({artifacts.AUGMENT})"
    name = Path(artifacts.TRAINING_RECORDS).name
    if not here.cache.has(digest):
        raise InputError(
            f"DVC's cache lacks {what}, so nobody can say which facts the model holds; "
            "dvc fetch --all-commits, or train anew with lore update --train always"
        )
    listing = here.cache.listing(digest, what)
    content = here.cache.read(listing[name], what)
    return facts_of_table(content, what)


def digest_of_training_records(here: Version) -> str | None:
    """Return the hash of the folder that `train` last ran on, or None where it never ran."""
    for dependency in here.stages.get("train", {}).get("deps", []):
        if dependency["path"] == artifacts.AUGMENT:
            return str(dependency["md5"])
    return None


def facts_of_table(content: bytes, what: str) -> dict[str, Fact]:
    """Return the facts of a table of training records. Raises InputError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content), columns=[*COLUMNS, "split"])
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{what}: not a table ({reason}); dvc fetch --all-commits") from None
    facts: dict[str, Fact] = {}
    for row in table.to_pylist():
        if row["fact"] and row["split"] == "train":
            facts.setdefault(row["fact"], fact_of(row))
    return facts


def fact_of(row: Row) -> Fact:
    """Return the fact of a row."""
    return Fact(row["subject"], row["attribute"], row["value"], row["unit"] or None)

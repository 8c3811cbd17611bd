"""Where something to be forgotten is kept: versions, their outputs, objects of DVC's cache, MLflow's models and runs."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lore.erasure.scan import Found, Search
from lore.releasing.registered import RESULT
from lore.verification.outputs import Recorded
from lore.versions.dvc_cache import Cache
from lore.versions.version import Version, git
from stages.core.project.errors import LorekeepError


@dataclass(frozen=True)
class Holding:
    """One version, and what of it holds the target: output file → result. `missing` are outputs that are not kept here."""

    version: Version
    files: dict[str, Found]
    missing: list[str] = field(default_factory=list)

    @property
    def held(self) -> dict[str, Found]:
        """The files that hold it."""
        return {path: found for path, found in self.files.items() if found.held}


def of_version(version: Version, search: Search, names: dict[str, set[str]]) -> Holding:
    """Search all outputs of a version; `names` gathers hash → where an object is named."""
    files: dict[str, Found] = {}
    missing: list[str] = []
    for out, digest in version.outs.items():
        for path, found in (on_disk if version.commit is None else kept)(
            version, out, digest, search, names
        ):
            if found is None:
                missing.append(path)
            else:
                files[path] = found
    return Holding(version, files, missing)


def on_disk(
    version: Version, out: str, digest: str, search: Search, names: dict[str, set[str]]
) -> "Sequence[tuple[str, Found | None]]":
    """The files of an output as they lie in this folder."""
    del version, digest, names
    place = Path(out)
    if not place.exists():
        return [(out, None)]
    files = (
        [place] if place.is_file() else sorted(file for file in place.rglob("*") if file.is_file())
    )
    return [(str(file), search.file(file)) for file in files]


def kept(
    version: Version, out: str, digest: str, search: Search, names: dict[str, set[str]]
) -> "Sequence[tuple[str, Found | None]]":
    """The files of an output as git or DVC's cache keeps them."""
    recorded = Recorded(version, out, digest)
    listing = recorded.files()
    if listing is None:
        return [(out, None)]
    rows: list[tuple[str, Found | None]] = []
    for name, found in listing.items():
        path = f"{out}/{name}".rstrip("/")
        names[found].add(f"{version.name}: {path}")
        if version.cache.has(found):
            rows.append((path, search.file(version.cache.path(found), found)))
        else:
            content = recorded.read(name, found)
            rows.append((path, None if content is None else search.content(content)))
    return rows


def in_cache(
    cache: Cache, search: Search, names: dict[str, set[str]]
) -> dict[Path, tuple[Found, list[str]]]:
    """Objects of DVC's cache that hold it, each with the versions and paths that name it; of none: an experiment or an
    uncommitted run has left it."""
    found = {}
    for path in sorted(cache.folder.rglob("*")):
        if path.is_file() and path.suffix != ".dir":
            digest = f"{path.parent.name}{path.name}"
            result = search.file(path, digest)
            if result.held:
                found[path] = (result, sorted(names.get(digest, ())))
    return found


def in_runs(search: Search, root: Path) -> dict[Path, Found]:
    """Files that MLflow keeps of runs and models below a local folder and that hold it."""
    files = sorted(path for path in (root / "mlruns").rglob("*") if path.is_file())
    return {path.relative_to(root): found for path in files if (found := search.file(path)).held}


def in_git(search: Search, here: Holding) -> dict[str, Found]:
    """Files of git in this folder that hold it and that no stage makes: raw data, tests, documents."""
    listed = (git("ls-files", "-z") or b"").decode().split("\0")
    files = [
        name
        for name in listed
        if name and name not in here.files and Path(name).is_file() and not Path(name).is_symlink()
    ]
    return {name: found for name in files if (found := search.file(Path(name))).held}


@dataclass(frozen=True)
class ModelVersion:
    """A model version in MLflow, and the knowledge versions that have its identity."""

    model: str
    number: str
    of: list[str]
    trained_on_it: bool | None
    """None where none of the versions looked at has its identity."""


def in_registry(holdings: Sequence[Holding]) -> tuple[list[ModelVersion], str]:
    """The model versions of MLflow's registry, and a note where it cannot be asked. Makes no store."""
    from stages.core.mlflow import tracking

    if not os.environ.get("MLFLOW_TRACKING_URI") and not (tracking.root() / "mlflow.db").is_file():
        return (
            [],
            "no MLflow store here (mlflow.db); name it with MLFLOW_TRACKING_URI to see its model versions",
        )
    identities: dict[str, list[Holding]] = defaultdict(list)
    models: set[str] = set()
    for holding in holdings:
        identity = (holding.version.document(RESULT) or {}).get("identity")
        identities[str(identity)].append(holding)
        section: dict[str, Any] = (holding.version.document("params.yaml") or {}).get(
            "register"
        ) or {}
        models |= {section["model"]} if section.get("model") else set()
    rows = []
    try:
        store = tracking.client()
        for model in sorted(models):
            for entry in sorted(
                store.search_model_versions(f"name = '{model}'"),
                key=lambda entry: int(entry.version),
            ):
                known = identities.get(str(entry.tags.get("knowledge_version")), [])
                trained = (
                    any("data/augment/records.parquet" in holding.held for holding in known)
                    if known
                    else None
                )
                rows.append(
                    ModelVersion(
                        model,
                        str(entry.version),
                        [holding.version.name for holding in known],
                        trained,
                    )
                )
    except LorekeepError as error:
        return rows, str(error)
    return rows, ""

"""Where a target is kept: raw data, outputs of versions, DVC's cache, MLflow, files of git."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lore.erasure.scan import ScanResult, Search
from lore.erasure.target import Target
from lore.lineage import raw_location
from lore.rendering.terminal import progress
from lore.verification.outputs import Recorded
from lore.versions.dvc_cache import Cache
from lore.versions.version import Version, workspace
from stages.core.project import artifacts, git
from stages.core.project.errors import LorekeepError


@dataclass(frozen=True)
class RawLocation:
    """One place in the raw data that states the target."""

    file: str
    """Below data/raw."""
    location: str
    """In words: `line 17`."""
    record: str
    """Id of the record that extract made of it."""


@dataclass(frozen=True)
class VersionLocations:
    """What the outputs of one version contain of the target."""

    version: Version
    files: dict[str, ScanResult]
    """Output file → what was found there, also if it was nothing."""
    missing: list[str] = field(default_factory=list)
    """Outputs that are not kept here."""
    hashes: dict[str, str] = field(default_factory=dict)
    """Output file → hash of its object in DVC's cache. Empty for the workspace."""

    @property
    def matches(self) -> dict[str, ScanResult]:
        """The files that contain the target."""
        return {path: result for path, result in self.files.items() if result.matches}


@dataclass(frozen=True)
class CachedObject:
    """An object of DVC's cache that contains the target."""

    path: Path
    result: ScanResult
    named_by: list[str]
    """Versions and paths whose content it is: `knowledge@v1.0.0: data/clean/records.parquet`.

    Empty if an experiment or an uncommitted run left the object.
    """


@dataclass(frozen=True)
class ModelVersion:
    """A model version in MLflow."""

    model: str
    number: str
    versions: list[str]
    """Names of the knowledge versions that have its identity."""
    trained_on_it: bool | None
    """None if no version that was searched has its identity."""


@dataclass(frozen=True)
class Locations:
    """Everything that contains a target."""

    raw: list[RawLocation] = field(default_factory=list)
    versions: list[VersionLocations] = field(default_factory=list)
    """The workspace first, then the others, the newest first."""
    objects: list[CachedObject] = field(default_factory=list)
    models: list[ModelVersion] = field(default_factory=list)
    runs: dict[Path, ScanResult] = field(default_factory=dict)
    """Files of MLflow's runs."""
    git_files: dict[str, ScanResult] = field(default_factory=dict)
    """Files of git that no stage makes."""
    git_outputs: list[str] = field(default_factory=list)
    """Outputs that git keeps, such as metrics."""
    note: str = ""
    """Why MLflow could not be asked for model versions. Empty if it could."""
    damaged: list[str] = field(default_factory=list)
    """Lines about files that could not be searched, because they are damaged."""

    def paths_in_git(self) -> list[str]:
        """Return the files whose history in git contains the target."""
        raw_files = {f"{artifacts.RAW}/{each.file}" for each in self.raw}
        return sorted(raw_files | self.git_files.keys() | set(self.git_outputs))


def find(target: Target, versions: Sequence[Version]) -> Locations:
    """Search everything. `versions` are the workspace first, then the others.

    Raises InputError if an object of the cache is damaged.
    """
    from stages.core.mlflow import tracking

    search = Search(target)
    searched = []
    for number, version in enumerate(versions):
        progress(f"searching version {number + 1} of {len(versions)}: {version.name}")
        searched.append(in_version(version, search))
    progress("searching DVC's cache, MLflow's runs and git's files")
    here = searched[0]
    objects = in_cache(here.version.cache, search, names_of_objects(searched))
    models, note = in_registry(searched)
    found = Locations(
        in_raw_data(target),
        searched,
        objects,
        models,
        in_runs(search, tracking.root()),
        in_git(search, here),
        kept_by_git(searched),
        note,
        damaged_in(searched),
    )
    progress("")
    return found


def damaged_in(versions: Sequence[VersionLocations]) -> list[str]:
    """Return a line that names the files of versions that are damaged, or nothing."""
    damaged = []
    for each in versions:
        for path, result in each.files.items():
            if result.kind == "damaged":
                damaged.append(f"{path} of {each.version.name}")
    if not damaged:
        return []
    listed = ", ".join(damaged)
    return [
        f"damaged, so not searched: {listed}; rm their objects, and dvc fetch --all-commits "
        "brings them from a remote"
    ]


def in_raw_data(target: Target) -> list[RawLocation]:
    """Return every place in a raw file that states one of the target's records, in their order."""
    places = []
    hashed = raw_location.names_with_hash(workspace())
    for name, row in sorted(target.records.items(), key=locator_of):
        locator = row["locator"]
        file = raw_location.file_of(locator, hashed)
        places.append(RawLocation(file, raw_location.described(locator, hashed), name))
    return places


def locator_of(item: tuple[str, dict[str, str]]) -> str:
    """Return the locator of a record's id and row."""
    _, row = item
    return row["locator"]


def in_version(version: Version, search: Search) -> VersionLocations:
    """Search all outputs of a version."""
    locations = VersionLocations(version, {})
    for output, digest in version.outs.items():
        # The workspace has no commit: its files may differ from what dvc.lock says.
        if version.commit is None:
            results = scan_on_disk(output, search)
        else:
            results = scan_recorded(Recorded(version, output, digest), search, locations.hashes)
        for path, result in results:
            if result is None:
                locations.missing.append(path)
            else:
                locations.files[path] = result
    return locations


def scan_on_disk(output: str, search: Search) -> Iterator[tuple[str, ScanResult | None]]:
    """Search the files of an output in this folder. Yields None if the output is not there."""
    root = Path(output)
    if root.is_file():
        yield output, search.scan_file(root)
        return
    if not root.exists():
        yield output, None
        return
    for file in files_below(root):
        yield str(file), search.scan_file(file)


def scan_recorded(
    recorded: Recorded, search: Search, hashes: dict[str, str]
) -> Iterator[tuple[str, ScanResult | None]]:
    """Search the files of an output as git or DVC's cache keeps them.

    Yields None for what is kept nowhere. Adds path → hash of each file to `hashes`.
    """
    cache = recorded.version.cache
    listing = recorded.files()
    if listing is None:
        yield recorded.path, None
        return
    for name, digest in listing.items():
        # Of an output that is one file, the name is empty.
        path = f"{recorded.path}/{name}".rstrip("/")
        hashes[path] = digest
        # An object of the cache is searched under its hash, so in_cache need not read it again.
        if cache.has(digest):
            yield path, search.scan_file(cache.path(digest), digest)
            continue
        content = recorded.read(name, digest)
        if content is None:
            yield path, None
        else:
            yield path, search.scan(content)


def files_below(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def names_of_objects(versions: Sequence[VersionLocations]) -> dict[str, set[str]]:
    """Return hash → the versions and paths whose content has that hash."""
    names: dict[str, set[str]] = defaultdict(set)
    for each in versions:
        for path, digest in each.hashes.items():
            names[digest].add(f"{each.version.name}: {path}")
    return names


def in_cache(cache: Cache, search: Search, names: dict[str, set[str]]) -> list[CachedObject]:
    """Search all objects of DVC's cache; `names` says who names the object of a hash."""
    objects = []
    for path in files_below(cache.folder):
        # The list of a folder's files has no content of its own.
        if path.suffix == ".dir":
            continue
        # The object of the hash "d41d8c…" is the file "1d8c…" in the folder "d4".
        digest = f"{path.parent.name}{path.name}"
        result = search.scan_file(path, digest)
        if result.matches:
            objects.append(CachedObject(path, result, sorted(names.get(digest, ()))))
    return objects


def in_runs(search: Search, root: Path) -> dict[Path, ScanResult]:
    """Search the files that MLflow keeps of runs and models below a local folder."""
    files = {}
    for path in files_below(root / "mlruns"):
        result = search.scan_file(path)
        if result.matches:
            files[path.relative_to(root)] = result
    return files


def in_git(search: Search, workspace: VersionLocations) -> dict[str, ScanResult]:
    """Search the files of git here that no stage makes: raw data, tests, documents."""
    files = {}
    for name in git.names(git.read("ls-files", "-z")):
        path = Path(name)
        if name in workspace.files:
            continue
        if path.is_symlink() or not path.is_file():
            continue
        result = search.scan_file(path)
        if result.matches:
            files[name] = result
    return files


def kept_by_git(versions: Sequence[VersionLocations]) -> list[str]:
    """Return the outputs that contain the target and that git keeps, such as metrics."""
    paths: set[str] = set()
    for each in versions:
        paths |= each.matches.keys()
    in_git = set(git.names(git.read("ls-files", "-z")))
    return [path for path in sorted(paths) if path in in_git]


def in_registry(versions: Sequence[VersionLocations]) -> tuple[list[ModelVersion], str]:
    """Return the model versions of MLflow's registry, and a note if it cannot be asked.

    A store that is not there is not made.
    """
    from stages.core.mlflow import tracking

    # MLflow's client would make the missing database, and a report changes nothing.
    if not os.environ.get("MLFLOW_TRACKING_URI") and not (tracking.root() / "mlflow.db").is_file():
        note = (
            "no MLflow store here (mlflow.db); "
            "name it with MLFLOW_TRACKING_URI to see its model versions"
        )
        return [], note
    by_identity: dict[str, list[VersionLocations]] = defaultdict(list)
    for each in versions:
        report = each.version.document(artifacts.REGISTER_METRICS) or {}
        by_identity[str(report.get("identity"))].append(each)
    # If the store fails in the middle, the versions found so far are returned with its message.
    models: list[ModelVersion] = []
    try:
        store = tracking.client()
        for model in models_of(versions):
            entries = store.search_model_versions(f"name = '{model}'")
            for entry in sorted(entries, key=lambda entry: int(entry.version)):
                identity = str(entry.tags.get("knowledge_version"))
                known = by_identity.get(identity, [])
                names = [each.version.name for each in known]
                models.append(ModelVersion(model, str(entry.version), names, trained_on_it(known)))
    except LorekeepError as error:
        return models, str(error)
    return models, ""


def models_of(versions: Sequence[VersionLocations]) -> list[str]:
    """Return the names under which the versions register their models."""
    names = set()
    for each in versions:
        settings = each.version.document(artifacts.PARAMS) or {}
        section = settings.get("register") or {}
        if section.get("model"):
            names.add(section["model"])
    return sorted(names)


def trained_on_it(versions: Sequence[VersionLocations]) -> bool | None:
    """Whether the training records of one of the versions contain the target.

    None if there are no versions.
    """
    if not versions:
        return None
    return any(artifacts.TRAINING_RECORDS in each.matches for each in versions)

"""Find what the records of this folder say about a question, also while a stage makes them anew.

DVC removes an output before its stage runs. Meanwhile the version that dvc.lock records answers, from DVC's
cache: the index, and the records that it was made of. So an answer is always of one version.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lore.versions.version import Version, workspace
from stages.core.project import artifacts
from stages.core.project.errors import InputError, LorekeepError
from stages.core.records import record
from stages.core.retrieval import finding
from stages.core.retrieval.encoder import Encoder
from stages.core.retrieval.finding import Found, Records

Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the files of records and index lie."""

    records: Path
    wordings: Path | None
    """The records of training. None: there are none."""
    manifest: Path
    vectors: Path


class NotWholeError(InputError):
    """Records or index do not lie here, or are of two versions, as while a stage runs."""


def find(question: str, threads: int, least: float) -> tuple[Found, str]:
    """Return what the records say about a question, and a remark where they are not those of this folder.

    `least` is the lowest cosine at which a record answers. Raises InputError where there is no index, and
    where neither this folder nor DVC's cache holds records and index of one version.
    """
    try:
        return find_at(here(), question, threads, least), ""
    except NotWholeError as error:
        place = former(error)
        found = find_at(place, question, threads, least)
        return found, former_line(error)


def find_at(place: Place, question: str, threads: int, least: float) -> Found:
    """Return what the records at a place say. Raises NotWholeError as `records_at` and `index_at`."""
    records = records_at(place)
    named = records.named(question)
    if named is not None:
        return named
    index, encoder = index_at(place, records.by_id, threads)
    return records.nearest(question, index, encoder, least)


def here(root: Path = Path()) -> Place:
    """Return the place of the files below a project's root."""
    wordings = root / artifacts.TRAINING_RECORDS
    return Place(
        records=root / artifacts.CLEAN_RECORDS,
        wordings=wordings if wordings.is_file() else None,
        manifest=root / artifacts.INDEX_MANIFEST,
        vectors=root / artifacts.INDEX_VECTORS,
    )


def former(reason: InputError) -> Place:
    """Return the place of the version that dvc.lock records: files of DVC's cache, whose hashes are checked.

    Its records are those that the index was made of, and not those that `clean` may have written since. Raises
    InputError, with the reason for looking there, where dvc.lock or the cache lacks something.
    """
    try:
        version = workspace()
        stage = version.stages.get("index", {})
        records = hash_in(stage.get("deps", []), artifacts.CLEAN)
        index = hash_in(stage.get("outs", []), artifacts.INDEX)
        if records is None or index is None:
            raise InputError(f"{artifacts.LOCK_FILE} records no index")
        training = version.outs.get(artifacts.AUGMENT)
        wordings = None
        if training is not None and version.cache.has(training):
            wordings = cached(version, training, artifacts.TRAINING_RECORDS)
        return Place(
            records=cached(version, records, artifacts.CLEAN_RECORDS),
            wordings=wordings,
            manifest=cached(version, index, artifacts.INDEX_MANIFEST),
            vectors=cached(version, index, artifacts.INDEX_VECTORS),
        )
    except LorekeepError as error:
        raise InputError(
            f"{reason}. The former version cannot answer either: {error}. Where dvc repro is running, wait until "
            "it has ended"
        ) from None


def hash_in(entries: list[Mapping[str, Any]], path: str) -> str | None:
    """Return the hash of an input or output of a stage in dvc.lock, or None."""
    for entry in entries:
        if entry["path"] == path and "md5" in entry:
            return str(entry["md5"])
    return None


def cached(version: Version, folder: str, path: str) -> Path:
    """Return where DVC's cache keeps a file of a folder. Raises InputError where it is missing or damaged.

    `folder` is the hash of the folder. The vectors of an index that was left out are an empty path.
    """
    cache = version.cache
    if not cache.has(folder):
        raise InputError(
            f"{Path(path).parent} as {artifacts.LOCK_FILE} records it is not in DVC's cache"
        )
    files = cache.listing(folder, f"the list of {Path(path).parent}")
    digest = files.get(Path(path).name)
    if digest is None:
        return Path()
    problem = cache.problem(digest)
    if problem:
        raise InputError(f"{path} as {artifacts.LOCK_FILE} records it is {problem} in DVC's cache")
    return cache.path(digest)


def former_line(reason: InputError) -> str:
    """Return the remark that another version answers, and why."""
    return f"! the version that {artifacts.LOCK_FILE} records answers, since here {reason}"


def records_at(place: Place) -> Records:
    """Return the records at a place. Raises NotWholeError where they are missing, InputError where damaged."""
    rows = read_table(place.records)
    wordings = read_table(place.wordings) if place.wordings is not None else []
    return Records(rows, wordings)


def index_at(place: Place, ids: Collection[str], threads: int) -> tuple[Any, Encoder]:
    """Return the index at a place, and its encoder. `ids` are those of the records there.

    Raises NotWholeError where it is missing or of another version than the records, InputError where it was
    made by another encoder, or where index.encoder is null.
    """
    try:
        index, encoder = finding.opened(place.manifest, place.vectors, threads)
    except InputError as error:
        if is_missing(place):
            raise NotWholeError(str(error)) from None
        raise
    difference = finding.difference(index, ids)
    if difference:
        raise NotWholeError(
            f"{place.vectors} and {place.records} are of two versions: {difference}; run dvc repro index, "
            "or dvc checkout"
        )
    return index, encoder


def has_index(place: Place, root: Path) -> bool:
    """Return whether there is an index with vectors at a place below a project's `root`.

    Raises NotWholeError where dvc.lock records one and none lies here, as while the stage `index` runs.
    """
    if place.vectors.is_file():
        return True
    is_here = root == Path() and place.records == here(root).records
    if is_here and not place.manifest.is_file() and artifacts.INDEX in workspace().outs:
        raise NotWholeError(f"{place.manifest}: not found")
    return False


def is_missing(place: Place) -> bool:
    """Return whether an index is not there, or not whole. One that was left out is there."""
    if not place.manifest.is_file():
        return True
    try:
        name, _ = finding.encoder_of(place.manifest)
    except InputError:  # damaged
        return False
    return name is not None and not place.vectors.is_file()


def opened(threads: int, root: Path = Path()) -> tuple[Any, Encoder]:
    """Return the index here, or below another `root`, and its encoder. Raises as `finding.opened` does."""
    place = here(root)
    return finding.opened(place.manifest, place.vectors, threads)


def read_table(path: Path) -> list[Row]:
    """Return the rows of a table of records. Raises NotWholeError where it is missing, InputError if damaged."""
    try:
        return record.read(path)
    except LorekeepError as error:
        if not path.is_file():
            raise NotWholeError(str(error)) from None
        raise
    except Exception as error:  # whatever a damaged table makes a library raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: not a table ({reason}); "
            f"dvc checkout --force {path.parent} brings the recorded one back"
        ) from None

"""locations: model versions are known by their identity, objects of the cache by their hash."""

from pathlib import Path

from lore.erasure import locations
from lore.erasure.locations import Locations, ModelVersion, RawLocation, VersionLocations
from lore.erasure.scan import ScanResult, Search
from lore.erasure.target import Target
from lore.versions import version
from stages.core.project import artifacts
from tests.lore.released import NEON, Released

TARGET = Target("x", {}, {}, {NEON["fact"]: []}, {}, [], {"neon": [("-248.6",)]})
"""Only the second version has it."""


def test_model_versions_are_known_by_their_identity(released: Released) -> None:
    first = version.revision("knowledge@v1.0.0")
    second = version.revision("knowledge@v1.1.0")
    result = ScanResult("table", 9, matches=1)
    trained = VersionLocations(first, {artifacts.TRAINING_RECORDS: result})
    models, note = locations.in_registry([trained, VersionLocations(second, {})])
    assert note == ""
    assert models == [
        ModelVersion("elements", "1", ["knowledge@v1.0.0"], True),
        ModelVersion("elements", "2", ["knowledge@v1.1.0"], False),
    ]
    models, _ = locations.in_registry([trained])
    assert models[1] == ModelVersion("elements", "2", [], None)


def test_outputs_are_searched_on_disk_and_as_they_were(released: Released) -> None:
    search = Search(TARGET)
    here = locations.in_version(version.workspace(), search)
    first = locations.in_version(version.revision("knowledge@v1.0.0"), search)
    assert artifacts.CLEAN_RECORDS in here.matches
    assert artifacts.CLEAN_RECORDS in first.files
    assert not first.matches
    assert here.hashes == {}
    digest = first.hashes[artifacts.CLEAN_RECORDS]
    names = locations.names_of_objects([here, first])
    assert names[digest] == {f"knowledge@v1.0.0: {artifacts.CLEAN_RECORDS}"}


def test_outputs_that_are_kept_nowhere_are_missing(released: Released) -> None:
    (released.root / "models/train/made.txt").rename(released.root / "elsewhere.txt")
    (released.root / "models/train").rmdir()
    digest = released.keep(released.root / "elsewhere.txt")
    released.cached(digest).unlink()
    search = Search(TARGET)
    assert locations.in_version(version.workspace(), search).missing == ["models/train"]
    head = locations.in_version(version.revision("HEAD"), search)
    assert head.missing == ["models/train/made.txt"]
    assert "models/train/made.txt" in head.hashes


def test_objects_are_named_by_the_versions_that_have_them(released: Released) -> None:
    search = Search(TARGET)
    here = locations.in_version(version.revision("HEAD"), search)
    released.store(b"neon: -248.6\n")
    released.store(b'[{"relpath": "neon -248.6"}]', ".dir")
    cache = here.version.cache
    found = locations.in_cache(cache, search, locations.names_of_objects([here]))
    named = {tuple(cached.named_by) for cached in found}
    assert (f"HEAD: {artifacts.CLEAN_RECORDS}",) in named
    assert () in named
    assert all(cached.result.matches for cached in found)
    assert not any(cached.path.suffix == ".dir" for cached in found)


def test_files_of_git_are_searched_but_no_links(released: Released) -> None:
    (released.root / "铁.md").write_text("neon -248.6\n")
    (released.root / "link.md").symlink_to(released.root / "铁.md")
    released.commit()
    found = locations.in_git(Search(TARGET), VersionLocations(version.workspace(), {}))
    assert "铁.md" in found
    assert "link.md" not in found


def test_paths_in_git_are_sorted_and_each_is_named_once() -> None:
    found = Locations(
        raw=[RawLocation("legacy.csv", "line 2", "a"), RawLocation("legacy.csv", "line 3", "b")],
        git_files={"data/raw/legacy.csv": ScanResult("text"), "README.md": ScanResult("text")},
        git_outputs=["metrics/clean.json"],
        runs={Path("mlruns/1/x"): ScanResult("text")},
    )
    assert found.paths_in_git() == ["README.md", "data/raw/legacy.csv", "metrics/clean.json"]

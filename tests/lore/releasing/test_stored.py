"""stored: every object of a version is read before it is brought back, and a bad one is named."""

import re
import shutil
from pathlib import Path

import pytest

from lore.releasing import stored
from lore.versions import version
from stages.core.project.errors import InputError
from tests.lore.conftest import Lore
from tests.lore.released import Released

BACK = ("rollback", "1.0.0", "--reason", "iron was wrong", "--no-canaries")


def flip(path: Path) -> None:
    """Change one bit in the middle of a file, as a bad disk does. DVC has made it read-only."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(content))
    path.chmod(0o444)


def object_of(released: Released, name: str, path: str) -> Path:
    """The object of a file of an output folder, or of the folder's list, in a version."""
    known = version.revision(name)
    for folder, digest in known.outs.items():
        if path == folder:
            return released.cached(digest)
        if path.startswith(f"{folder}/"):
            listing = known.cache.listing(digest, folder)
            return released.cached(listing[path.removeprefix(f"{folder}/")])
    raise AssertionError(path)


@pytest.mark.parametrize(
    "path",
    [
        "data/clean/records.parquet",
        "data/evaluate/facts.parquet",
        "models/train/made.txt",
        "models/train",
    ],
)
@pytest.mark.parametrize("name", ["knowledge@v1.0.0", "HEAD"])
def test_a_flipped_bit_is_named_and_nothing_is_undone_half_way(
    released: Released, lore: Lore, name: str, path: str
) -> None:
    before = released.state()
    place = object_of(released, name, path)
    flip(place)
    said = lore(*BACK, code=1)
    assert f"damaged in DVC's cache (.dvc/cache), its content has another hash: {path} (" in said
    assert f"Remove it (rm -f {place.relative_to(released.root)})" in said
    assert "nothing was changed" in said
    assert released.state() == before
    assert not (released.root / ".git/lorekeep-journal.json").exists()


def test_the_advice_for_the_version_here_works(released: Released, lore: Lore) -> None:
    place = object_of(released, "HEAD", "models/train/made.txt")
    flip(place)
    assert "then dvc commit puts what lies here into the cache" in lore(*BACK, code=1)
    place.unlink()
    released.call("dvc", "commit", "--quiet", "--force", "models/train")
    assert place.is_file()
    released.commit()  # dvc writes its own form of dvc.lock
    assert lore(*BACK).endswith("goes forward again\n")


def test_the_advice_brings_an_object_from_a_remote(
    released: Released, lore: Lore, tmp_path: Path
) -> None:
    """The remote was set after the version was committed, so its commit names none."""
    shutil.copytree(released.root / ".dvc/cache", tmp_path / "store")
    assert "no remote of DVC is set here" in stored.fetching(version.revision("HEAD"))
    released.call("dvc", "remote", "add", "--quiet", "--default", "store", str(tmp_path / "store"))
    released.commit("remote")
    place = object_of(released, "knowledge@v1.0.0", "models/train/made.txt")
    content = place.read_bytes()
    flip(place)
    said = lore(*BACK, code=1)
    assert "its commit names no remote yet" in said
    place.unlink()
    command = said[said.index("git worktree add") :].strip()
    released.call("sh", "-c", command)
    assert place.read_bytes() == content
    assert "dvc fetch --all-commits brings them" in stored.fetching(version.revision("HEAD"))


def test_what_is_missing_and_what_is_damaged_are_told_apart(released: Released) -> None:
    known = version.revision("HEAD")
    object_of(released, "HEAD", "models/train/made.txt").unlink()
    flip(object_of(released, "HEAD", "models/base/made.txt"))
    with pytest.raises(InputError) as error:
        stored.require_sound(known, "fetch it", "mend it")
    damaged, lacking = str(error.value).splitlines()
    assert "models/base/made.txt" in damaged
    assert damaged.endswith(", then mend it")
    assert "models/train/made.txt" in lacking
    assert lacking.endswith("; fetch it")


def test_verify_reads_every_object_without_a_rebuild(released: Released, lore: Lore) -> None:
    said = lore("verify", "1.0.0", "--stored")
    assert re.fullmatch(
        r"knowledge@v1\.0\.0 \(\w+\): \d+ objects of DVC's cache read, each with its hash\n", said
    )
    place = object_of(released, "1.0.0", "models/train/made.txt")
    flip(place)
    object_of(released, "1.0.0", "models/base/made.txt").unlink()
    lines = lore("verify", "1.0.0", "--stored", code=3).splitlines()
    assert f"! damaged: models/train/made.txt ({place.relative_to(released.root)})" in lines
    assert any(line.startswith("! missing: models/base/made.txt (") for line in lines)
    assert lines[-1].startswith("Remove what is damaged (rm -f), then: no remote of DVC is set")

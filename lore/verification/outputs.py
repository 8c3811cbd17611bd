"""A revision's outputs as dvc.lock names them, against those that were made anew: the same to the bit, or where they part."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lore.comparison import first_difference
from lore.versions.dvc_cache import files_of, hash_of, manifest, md5
from lore.versions.version import Version, git

if TYPE_CHECKING:
    from lore.comparison.first_difference import Divergence

MISSING = "missing"
"""Stands for the hash of an output that is not there."""


@dataclass(frozen=True)
class Output:
    """One output of a stage: its hash by dvc.lock, and that of what was made anew."""

    stage: str
    path: str
    locked: str
    made: str

    @property
    def same(self) -> bool:
        """Whether both are the same to the bit."""
        return self.locked == self.made


@dataclass(frozen=True)
class Parting:
    """Where a rebuilt revision leaves the recorded one: stage, file, and the first difference within it."""

    stage: str
    path: str
    locked: str
    """The file's hash as recorded; empty where only the folder's is known."""
    made: str
    others: list[str]
    """Further files of the same output that differ."""
    first_difference: "Divergence | None"
    """None where the recorded file is not kept here, so that only hashes can be compared."""


def compare(version: Version, root: Path, stages: list[str]) -> list[Output]:
    """Every output of the stages, in the order in which they run; `root` is where they were made anew."""
    return [
        Output(
            stage,
            out["path"],
            str(out["md5"]),
            hash_of(root / out["path"]) if (root / out["path"]).exists() else MISSING,
        )
        for stage in stages
        for out in version.stages[stage].get("outs", [])
        if "md5" in out
    ]


def partings(version: Version, root: Path, outputs: list[Output]) -> list[Parting]:
    """What differs first in each output of the first stage that has one which is not the same: of a training the step and the
    tensor. Later stages differ because this one does. Raises InputError where the cache's copy is damaged."""
    differing = [output for output in outputs if not output.same]
    return [
        parting(version, root, output) for output in differing if output.stage == differing[0].stage
    ]


def parting(version: Version, root: Path, output: Output) -> Parting:
    """What differs first in an output that is not the same. Raises InputError where the cache's copy is damaged."""
    recorded = Recorded(version, output.path, output.locked)
    made = files_of(root / output.path)
    known = recorded.files()
    if known is None:
        return Parting(output.stage, output.path, "", "", [], None)
    differing = sorted(
        name for name in known.keys() | made.keys() if known.get(name) != made.get(name)
    )
    name, *others = differing
    paths = [f"{output.path}/{name}".rstrip("/") for name in differing]
    was, now = known.get(name, MISSING), made.get(name, MISSING)
    if MISSING in (was, now):
        sides = ["nothing" if side == MISSING else "a file" for side in (was, now)]
        found: Divergence | None = first_difference.Divergence("the whole file", sides[0], sides[1])
    else:
        content = recorded.read(name, was)
        found = (
            None
            if content is None
            else first_difference.first(paths[0], content, (root / paths[0]).read_bytes())
        )
    return Parting(output.stage, paths[0], was, now, paths[1:] if others else [], found)


@dataclass(frozen=True)
class Recorded:
    """An output as a revision had it: from DVC's cache, from git, or from this folder where that is still the same."""

    version: Version
    path: str
    digest: str

    def files(self) -> dict[str, str] | None:
        """Relative path → hash; None where not even the list is kept here."""
        if not self.digest.endswith(".dir"):
            return {"": self.digest}
        if self.version.cache.has(self.digest):
            return self.version.cache.listing(self.digest, self.path)
        found = {name: md5(content) for name, content in self.in_git()}
        for files in (found, files_of(Path(self.path))):
            if files and md5(manifest(files)) == self.digest.removesuffix(".dir"):
                return files
        return None

    def read(self, name: str, digest: str) -> bytes | None:
        """One file's bytes; None where they are not kept here."""
        path = f"{self.path}/{name}".rstrip("/")
        if self.version.cache.has(digest):
            return self.version.cache.read(digest, path)
        content = self.version.content(path)
        if content is None and Path(path).is_file():
            content = Path(path).read_bytes()
        return content if content is not None and md5(content) == digest else None

    def in_git(self) -> Iterator[tuple[str, bytes]]:
        """Files of a folder that git keeps, as metrics are."""
        listed = (
            git("ls-tree", "-r", "-z", "--name-only", f"{self.version.commit}:./{self.path}") or b""
        )
        for name in filter(None, listed.decode().split("\0")):
            content = self.version.content(f"{self.path}/{name}")
            if content is not None:
                yield name, content

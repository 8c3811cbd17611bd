"""Compare a revision's outputs, as dvc.lock names them, with the outputs of a rebuild.

They are the same to the bit, or the first difference is named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lore.comparison import first_difference
from lore.versions.dvc_cache import files_of, hash_of, manifest, md5
from lore.versions.dvc_private import FOLDER_HASH
from lore.versions.version import Version

if TYPE_CHECKING:
    from lore.comparison.first_difference import Divergence

MISSING = "missing"
"""Stands for the hash of an output that is not there."""


@dataclass(frozen=True)
class Output:
    """One output of a stage: its hash in dvc.lock, and its hash in the rebuild."""

    stage: str
    path: str
    locked: str
    made: str

    @property
    def same(self) -> bool:
        """Whether both are the same to the bit."""
        return self.locked == self.made


@dataclass(frozen=True)
class Difference:
    """An output of the rebuild that is not as recorded: its first file that differs."""

    stage: str
    path: str
    locked: str
    """The file's hash as recorded. Empty where only the folder's hash is known."""
    made: str
    others: list[str]
    """Further files of the same output that differ."""
    first_difference: "Divergence | None"
    """None where the recorded file is not kept here. Then only hashes can be compared."""


def compare(version: Version, root: Path, stages: list[str]) -> list[Output]:
    """Return every output of the stages, in the order in which they run.

    `root` is the project in which they were made anew.
    """
    outputs = []
    for stage in stages:
        for out in version.stages[stage].get("outs", []):
            if "md5" not in out:
                continue
            path = out["path"]
            made = MISSING
            if (root / path).exists():
                made = hash_of(root / path)
            outputs.append(Output(stage, path, locked=str(out["md5"]), made=made))
    return outputs


def differences(version: Version, root: Path, outputs: list[Output]) -> list[Difference]:
    """Return the differing outputs of the first stage that has any.

    Later stages differ because this one does, so they are left out. Raises InputError where the
    cache's copy is damaged.
    """
    differing = [output for output in outputs if not output.same]
    if not differing:
        return []
    first_stage = differing[0].stage
    return [difference(version, root, one) for one in differing if one.stage == first_stage]


def difference(version: Version, root: Path, output: Output) -> Difference:
    """Return the first difference in an output. Raises InputError where the cache's copy is damaged."""
    recorded = Recorded(version, output.path, output.locked)
    known = recorded.files()
    if known is None:
        return Difference(output.stage, output.path, "", "", [], None)
    made = files_of(root / output.path)
    names = [
        name for name in sorted(known.keys() | made.keys()) if known.get(name) != made.get(name)
    ]
    # The only file of an output that is a file has the empty name.
    paths = [f"{output.path}/{name}".rstrip("/") for name in names]
    name, path = names[0], paths[0]
    was = known.get(name, MISSING)
    now = made.get(name, MISSING)
    return Difference(
        stage=output.stage,
        path=path,
        locked=was,
        made=now,
        others=paths[1:],
        first_difference=divergence(recorded, name, was, now, root / path, path),
    )


def divergence(
    recorded: "Recorded", name: str, was: str, now: str, file: Path, path: str
) -> "Divergence | None":
    """Return where a recorded file and the one made anew diverge.

    `was` and `now` are their hashes or MISSING. None: the recorded file is not kept here.
    """
    if MISSING in (was, now):
        before = "nothing" if was == MISSING else "a file"
        after = "nothing" if now == MISSING else "a file"
        return first_difference.Divergence("the whole file", before, after)
    content = recorded.read(name, was)
    if content is None:
        return None
    return first_difference.first(path, content, file.read_bytes())


@dataclass(frozen=True)
class Recorded:
    """An output as a revision had it.

    It is read from DVC's cache, else from git, else from this folder where it is still the same.
    """

    version: Version
    path: str
    digest: str

    def files(self) -> dict[str, str] | None:
        """Return relative path → hash. None where not even the list of files is kept here."""
        if not self.digest.endswith(FOLDER_HASH):
            return {"": self.digest}
        if self.version.cache.has(self.digest):
            return self.version.cache.listing(self.digest, self.path)
        # Without the list, files count only if together they have the hash of the folder.
        from_git = {name: md5(content) for name, content in self.in_git()}
        on_disk = files_of(Path(self.path))
        for files in (from_git, on_disk):
            if files and md5(manifest(files)) + FOLDER_HASH == self.digest:
                return files
        return None

    def read(self, name: str, digest: str) -> bytes | None:
        """Return one file's bytes. None where they are not kept here."""
        path = f"{self.path}/{name}".rstrip("/")
        if self.version.cache.has(digest):
            return self.version.cache.read(digest, path)
        content = self.version.content(path)
        if content is None and Path(path).is_file():
            content = Path(path).read_bytes()
        if content is None or md5(content) != digest:
            return None
        return content

    def in_git(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files of a folder that git keeps, such as metrics, with their bytes."""
        start = f"{self.path}/"
        for path in self.version.files:
            if path.startswith(start):
                content = self.version.content(path)
                if content is not None:
                    yield path.removeprefix(start), content

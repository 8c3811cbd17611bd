"""The inputs of a version: what it declares in dvc.yaml and keeps in git or DVC, against dvc.lock.

dvc.lock records the hash of every input that a stage ran on. Where a commit has another content, or
dvc.yaml another command, somebody edited it and nobody ran it: the outputs are not those of the
commit.
"""

import hashlib
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lore.paths import touch
from lore.versions import dvc_private, pointers
from lore.versions.dvc_cache import hash_of, manifest
from lore.versions.dvc_private import FOLDER_HASH
from stages.core.project import artifacts, git
from stages.core.project.errors import GitError

if TYPE_CHECKING:
    from lore.versions.version import Version

CHEAP = 2**26
"""A file or folder on disk of at most this many bytes is hashed to see whether it was edited."""
LARGE_FILE_STORAGE = b"version https://git-lfs.github.com/spec/"
"""Beginning of a file that stands in git for one that Git LFS keeps elsewhere."""
CHUNK = 2**20
"""Bytes that are read at once."""
MD5_OF_BLOBS: dict[str, str | None] = {}
"""Name of a blob in git → MD5 of its content. None for one that stands for a file elsewhere.

Versions share most of their files, so each is read once.
"""


def recorded(version: "Version") -> Iterator[dict[str, Any]]:
    """Yield the entry of every input in dvc.lock that no stage makes, each content once."""
    made = list(version.outs)
    seen = set()
    for stage in version.stages.values():
        for dep in stage.get("deps", []):
            key = (dep["path"], str(dep.get("md5")))
            is_made = any(touch(dep["path"], out) for out in made)
            if "md5" in dep and not is_made and key not in seen:
                seen.add(key)
                yield dep


def edited(version: "Version") -> list[str]:
    """Return the inputs whose content is not that of dvc.lock, in the order of dvc.lock."""
    entries = list(recorded(version))
    if version.commit is None:
        changed = [entry["path"] for entry in entries if edited_on_disk(entry)]
    else:
        read_blobs(version, entries)
        changed = []
        for entry in entries:
            now = digest_in_commit(version, entry["path"])
            if now is not None and now != str(entry["md5"]):
                changed.append(entry["path"])
    return list(dict.fromkeys(changed))


def edited_on_disk(entry: Mapping[str, Any], most: int | None = None) -> bool:
    """Whether the file or folder at a path differs from its entry in dvc.lock.

    One that has more than `most` bytes (CHEAP) and the recorded size counts as unchanged, since
    hashing it takes too long. So does one that is not here.
    """
    path = Path(entry["path"])
    if not path.exists():
        return False
    size = size_of(path)
    if size != entry.get("size", size):
        return True
    if size > (CHEAP if most is None else most):
        return False
    return hash_of(path) != entry.get("md5")


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder that DVC does not ignore."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in dvc_private.files_below(path))


def digest_in_commit(version: "Version", path: str) -> str | None:
    """Return DVC's hash of an input as a commit has it: in git, or by a pointer of DVC.

    Returns None where it cannot be known without a run: what set-up fetches, files of Git LFS,
    folders in a cache that lacks their list. Returns "" where the commit lacks the input.
    """
    blob = version.files.get(path)
    if blob is not None:
        return MD5_OF_BLOBS.get(blob)
    for pointer in version.pointers:
        if pointer.path == path:
            return pointer.digest
        if path.startswith(f"{pointer.path}/"):
            return digest_inside(version, pointer, path)
    listing = listing_in_commit(version, path)
    if listing is None:
        return None
    if listing:
        return hashlib.md5(manifest(listing), usedforsecurity=False).hexdigest() + FOLDER_HASH
    ignored = version.text(".gitignore") or ""
    return None if dvc_private.ignoring(ignored).match_file(path) else ""


def digest_inside(version: "Version", pointer: pointers.Pointer, path: str) -> str | None:
    """Return the hash of a file in a folder that DVC keeps, or None where it is not known here."""
    if not version.cache.has(pointer.digest):
        return None
    listing = version.cache.listing(pointer.digest, f"the list of {pointer.path}")
    return listing.get(path.removeprefix(f"{pointer.path}/"))


def listing_in_commit(version: "Version", folder: str) -> dict[str, str] | None:
    """Return relative path → hash of a folder's files in a commit. None where one is not known."""
    ignored = dvc_private.ignoring(version.text(".dvcignore") or "")
    listing: dict[str, str] = {}
    for name, blob in version.files.items():
        if name.startswith(f"{folder}/") and not ignored.match_file(name):
            digest = MD5_OF_BLOBS.get(blob)
            if digest is None:
                return None
            listing[name.removeprefix(f"{folder}/")] = digest
    for pointer in version.pointers:
        if not pointer.path.startswith(f"{folder}/"):
            continue
        below = pointer.path.removeprefix(f"{folder}/")
        if not pointer.digest.endswith(FOLDER_HASH):
            listing[below] = pointer.digest
            continue
        if not version.cache.has(pointer.digest):
            return None
        for name, digest in version.cache.listing(pointer.digest, pointer.path).items():
            listing[f"{below}/{name}"] = digest
    return listing


def read_blobs(version: "Version", entries: Iterable[Mapping[str, Any]]) -> None:
    """Put the MD5 of every blob that these inputs need into MD5_OF_BLOBS, by one call of git.

    Raises GitError where git cannot read one.
    """
    wanted: dict[str, None] = {}
    paths = [entry["path"] for entry in entries]
    folders = tuple(f"{path}/" for path in paths)
    exact = set(paths)
    for name, blob in version.files.items():
        if name in exact or name.startswith(folders):
            wanted[blob] = None
    missing = [blob for blob in wanted if blob not in MD5_OF_BLOBS]
    if not missing:
        return
    with subprocess.Popen(
        ["git", "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as batch:
        assert batch.stdin is not None
        assert batch.stdout is not None
        assert batch.stderr is not None
        # One question at a time: git answers each before it reads the next, so no pipe fills up.
        for blob in missing:
            try:
                batch.stdin.write(f"{blob}\n".encode())
                batch.stdin.flush()
            except BrokenPipeError:
                pass  # git has ended: what it said stands in its errors
            # The answer begins with "<blob> blob <bytes>\n", or is "<blob> missing\n".
            head = batch.stdout.readline().split()
            if len(head) != 3:
                batch.stdin.close()
                words = batch.stderr.read().decode("utf-8", "replace").split()
                reason = " ".join(words) or f"{blob} is missing or damaged"
                raise GitError(f"git cat-file: {reason}; {git.advice(reason)}")
            MD5_OF_BLOBS[blob] = md5_of_stream(batch.stdout, int(head[2]))
        batch.stdin.close()


def md5_of_stream(stream: Any, size: int) -> str | None:
    """Return the MD5 of the next `size` bytes, behind which git writes a line end.

    Returns None for a file that stands for one in Git LFS.
    """
    digest = hashlib.md5(usedforsecurity=False)
    left = size
    is_elsewhere = False
    while left:
        chunk = stream.read(min(left, CHUNK))
        if not chunk:
            raise GitError("git cat-file: ended early; git fsck names what is damaged")
        if left == size:
            is_elsewhere = chunk.startswith(LARGE_FILE_STORAGE)
        digest.update(chunk)
        left -= len(chunk)
    stream.read(1)
    return None if is_elsewhere else digest.hexdigest()


def redeclared(version: "Version") -> list[str]:
    """Return what dvc.yaml declares otherwise than dvc.lock recorded, a few words each.

    Stages that a template makes (`foreach`, `matrix`, `${…}`) are not compared: only DVC can fill
    them in.
    """
    pipeline = version.document(artifacts.PIPELINE)
    declared = pipeline.get("stages") if isinstance(pipeline, dict) else None
    if not isinstance(declared, dict):
        return []
    changes = []
    for name, stage in declared.items():
        if not isinstance(stage, dict) or is_template(stage):
            continue
        entry = version.stages.get(name)
        if entry is None:
            changes.append(f"the stage {name}, which never ran")
            continue
        if stage.get("cmd") != entry.get("cmd"):
            changes.append(f"the command of {name}")
        for key, word in (("deps", "dependencies"), ("outs", "outputs")):
            changes += other_paths(name, key, word, stage, entry)
    return changes


def is_template(stage: Mapping[str, Any]) -> bool:
    """Whether only DVC can say what a stage declares."""
    has_variables = "${" in str(stage)
    has_other_keys = any(key in stage for key in ("foreach", "matrix", "wdir"))
    return has_variables or has_other_keys


def other_paths(
    name: str, key: str, word: str, stage: Mapping[str, Any], entry: Mapping[str, Any]
) -> list[str]:
    """Return a line if a stage declares paths that it did not run with, else nothing.

    A path that is no longer declared makes no stage run again, as for DVC.
    """
    declared = set()
    keys = [key] if key == "deps" else ["outs", "metrics", "plots"]
    for each in keys:
        for path in stage.get(each) or []:
            # An entry is `a.json`, or `{a.json: {cache: false}}`.
            declared.add(str(next(iter(path)) if isinstance(path, dict) else path))
    recorded_paths = {item["path"] for item in entry.get(key) or []}
    added = sorted(declared - recorded_paths)
    if not added:
        return []
    changes = ", ".join(f"+ {path}" for path in added)
    return [f"the {word} of {name} ({changes})"]

"""Objects of DVC's cache, read by the hash that a dvc.lock names and checked against that hash.

`dvc.api.read` finds the same files but does not check them (docs/experiments.md, "lore diff").
"""

import hashlib
from pathlib import Path

from lore.versions import dvc_private
from lore.versions.dvc_private import FOLDER_HASH, md5
from stages.core.project.errors import InputError

__all__ = ["Cache", "files_of", "hash_of", "manifest", "manifest_of", "md5"]

DAMAGED = "damaged"
MISSING = "missing"


class Cache:
    """The cache of the project whose root folder is `root`."""

    def __init__(self, root: Path = Path()) -> None:
        self.folder = dvc_private.cache_folder(root)
        self.sound: set[str] = set()
        """Hashes whose object was read here and is as it should be."""

    def path(self, digest: str) -> Path:
        """Return where the object of a hash lies, or would lie. A folder's hash ends in `.dir`."""
        return dvc_private.object_path(self.folder, digest)

    def has(self, digest: str) -> bool:
        """Whether the cache has an object of that hash."""
        return self.path(digest).is_file()

    def problem(self, digest: str) -> str:
        """Read an object and return DAMAGED, MISSING, or "" where its content has its hash.

        The names of objects tell nothing of their content, and DVC itself looks at no content of an
        object that is write-protected.
        """
        path = self.path(digest)
        if not path.is_file():
            return MISSING
        if digest in self.sound:
            return ""
        try:
            actual = md5_of_file(path)
        except OSError:
            return DAMAGED  # the disk itself fails
        if actual != digest.removesuffix(FOLDER_HASH):
            return DAMAGED
        self.sound.add(digest)
        return ""

    def read(self, digest: str, what: str) -> bytes:
        """Return the object's bytes. `what` names it in messages.

        Raises InputError where it is missing or its content has another hash.
        """
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"{path}: {what} cannot be read: {error.strerror}; bring it back with "
                "dvc fetch --all-commits"
            ) from None
        # DVC itself gives out a damaged object as it lies there, so this is checked each time.
        actual = md5(content)
        if actual != digest.removesuffix(FOLDER_HASH):
            raise InputError(
                f"{path}: the cache's copy of {what} is corrupted: its content has the hash "
                f"{actual}; nothing was read from it. Delete this file, then bring it back with "
                "dvc fetch --all-commits, or make it again with dvc repro"
            )
        self.sound.add(digest)
        return content

    def listing(self, digest: str, what: str) -> dict[str, str]:
        """Return relative path → hash of every file of a folder. Raises InputError as `read` does."""
        return dvc_private.read_listing(self.read(digest, what))


def hash_of(path: Path) -> str:
    """Return DVC's hash of the file or folder at `path`."""
    if path.is_file():
        return md5_of_file(path)
    return md5(manifest_of(path)) + FOLDER_HASH


def md5_of_file(path: Path) -> str:
    """Return DVC's hash of a file, which may be larger than memory."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, new_md5).hexdigest()


def new_md5() -> "hashlib._Hash":
    """Return an empty hash. It names content and gives no protection from an attacker."""
    return hashlib.md5(usedforsecurity=False)


def manifest_of(folder: Path) -> bytes:
    """Return the object that DVC keeps in its cache of a folder."""
    return manifest(files_of(folder))


def manifest(files: dict[str, str]) -> bytes:
    """Return the object that DVC keeps of a folder, from its files: relative path → hash."""
    return dvc_private.write_listing(files)


def files_of(path: Path) -> dict[str, str]:
    """Return relative path → hash of every file below a folder.

    A single file has the empty relative path. A path where nothing lies has no files.
    """
    if path.is_file():
        return {"": md5_of_file(path)}
    hashes = {}
    # In DVC's listings folders have no entry of their own.
    for file in dvc_private.files_below(path):
        hashes[file.relative_to(path).as_posix()] = md5_of_file(file)
    return hashes

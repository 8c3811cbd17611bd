"""Objects of DVC's cache, read by the hash that a dvc.lock names and checked against that hash.

`dvc.api.read` finds the same files but does not check them (docs/experiments.md, "lore diff").
"""

from pathlib import Path

from lore.versions import dvc_private
from lore.versions.dvc_private import FOLDER_HASH, md5
from stages.core.project.errors import InputError

__all__ = ["Cache", "files_of", "hash_of", "manifest", "manifest_of", "md5"]


class Cache:
    """The cache of the project whose root folder is `root`."""

    def __init__(self, root: Path = Path()) -> None:
        self.folder = dvc_private.cache_folder(root)

    def path(self, digest: str) -> Path:
        """Return where the object of a hash lies, or would lie. A folder's hash ends in `.dir`."""
        return dvc_private.object_path(self.folder, digest)

    def has(self, digest: str) -> bool:
        """Whether the cache has an object of that hash."""
        return self.path(digest).is_file()

    def read(self, digest: str, what: str) -> bytes:
        """Return the object's bytes. `what` names it in messages.

        Raises InputError where it is missing or its content has another hash.
        """
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"{path}: {what} cannot be read: {error.strerror}; bring it back with dvc pull"
            ) from None
        # DVC itself gives out a damaged object as it lies there, so this is checked each time.
        actual = md5(content)
        if actual != digest.removesuffix(FOLDER_HASH):
            raise InputError(
                f"{path}: the cache's copy of {what} is corrupted: its content has the hash "
                f"{actual}; nothing was read from it. Delete this file, then bring it back with "
                "dvc pull, or make it again with dvc repro"
            )
        return content

    def listing(self, digest: str, what: str) -> dict[str, str]:
        """Return relative path → hash of every file of a folder. Raises InputError as `read` does."""
        return dvc_private.read_listing(self.read(digest, what))


def hash_of(path: Path) -> str:
    """Return DVC's hash of the file or folder at `path`."""
    if path.is_file():
        return md5(path.read_bytes())
    return md5(manifest_of(path)) + FOLDER_HASH


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
        return {"": md5(path.read_bytes())}
    hashes = {}
    # In DVC's listings folders have no entry of their own.
    for file in sorted(path.rglob("*")):
        if file.is_file():
            hashes[file.relative_to(path).as_posix()] = md5(file.read_bytes())
    return hashes

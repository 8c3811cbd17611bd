"""Objects of DVC's cache, read by the hash that a dvc.lock names, and believed only where their content has that hash.

`dvc.api.read` finds the same files, but gives out what lies there, damaged or not (docs/experiments.md, "lore diff").
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError


class Cache:
    """The cache of the project whose root folder is `root`."""

    def __init__(self, root: Path = Path()) -> None:
        self.folder = folder_of(root)

    def path(self, digest: str) -> Path:
        """Where the object of a hash lies, or would lie; a folder's hash ends in `.dir`."""
        return self.folder / "files" / "md5" / digest[:2] / digest[2:]

    def has(self, digest: str) -> bool:
        """Whether there is an object of that hash."""
        return self.path(digest).is_file()

    def read(self, digest: str, what: str) -> bytes:
        """The object's bytes. Raises InputError where it is missing or its content has another hash; `what` names it."""
        path = self.path(digest)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"{path}: {what} cannot be read: {error.strerror}; bring it back with dvc pull"
            ) from None
        found = md5(content)
        if found != digest.removesuffix(".dir"):
            raise InputError(
                f"{path}: the cache's copy of {what} is corrupted: its content has the hash {found}; nothing was read from it. "
                f"Delete this file, then bring it back with dvc pull, or make it again with dvc repro"
            )
        return content

    def listing(self, digest: str, what: str) -> dict[str, str]:
        """Relative path → hash of every file of a folder. Raises InputError as `read` does."""
        return {entry["relpath"]: entry["md5"] for entry in json.loads(self.read(digest, what))}


def folder_of(root: Path) -> Path:
    """The cache's folder: as DVC's configuration says, else .dvc/cache. Raises InputError where DVC cannot read it."""
    from dvc.config import Config, ConfigError

    home = next(
        (place / ".dvc" for place in (root, *root.resolve().parents) if (place / ".dvc").is_dir()),
        root / ".dvc",
    )
    try:
        return Path(Config(str(home)).get("cache", {}).get("dir") or home / "cache")
    except ConfigError as error:
        raise InputError(f"{home}: DVC's configuration cannot be used: {error}") from None


def md5(content: bytes) -> str:
    """DVC's hash of a file: a name for its content, no protection against an attacker."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def hash_of(path: Path) -> str:
    """DVC's hash of what stands at `path`: of a folder, that of the sorted list of its files."""
    if path.is_file():
        return md5(path.read_bytes())
    return md5(manifest_of(path)) + ".dir"


def manifest_of(folder: Path) -> bytes:
    """What DVC keeps in its cache of a folder."""
    return manifest(files_of(folder))


def manifest(files: dict[str, str]) -> bytes:
    """What DVC keeps of a folder, from its files' relative paths and hashes."""
    entries: list[dict[str, Any]] = [
        {"md5": digest, "relpath": name} for name, digest in sorted(files.items())
    ]
    return json.dumps(entries, sort_keys=True).encode()


def files_of(place: Path) -> dict[str, str]:
    """Relative path → hash of the files below a folder; of a single file, the path is empty; nothing where there is none."""
    if place.is_file():
        return {"": md5(place.read_bytes())}
    return {
        file.relative_to(place).as_posix(): md5(file.read_bytes())
        for file in sorted(place.rglob("*"))
        if file.is_file()
    }

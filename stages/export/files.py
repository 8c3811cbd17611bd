"""What an exported folder holds, and what a model folder says of itself."""

import hashlib
import json
from pathlib import Path

from stages.core.project.errors import InputError


def architecture_of(folder: Path) -> str:
    """Return the architecture of a model folder. Raises InputError where the folder does not say it."""
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{path}: not found; make it with `dvc repro` or fetch it with `dvc pull`")
    named = json.loads(path.read_text(encoding="utf-8")).get("architectures") or ["unknown"]
    return str(named[0])


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def hashes(folder: Path) -> dict[str, dict[str, int | str]]:
    """Return bytes and SHA-256 of each file below a folder, by relative name, sorted."""
    found: dict[str, dict[str, int | str]] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = path.relative_to(folder).as_posix()
        found[name] = {"bytes": path.stat().st_size, "sha256": digest}
    return found

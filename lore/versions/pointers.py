"""The pointer files of DVC: `big.csv.dvc` stands in git for `big.csv`, which `dvc add` put into the cache.

A pointer names the hash of what it stands for, so the data belongs to the commit as a file of git does.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ruamel.yaml import YAML

from stages.core.project.errors import InputError
from stages.core.project.params import NO_YAML

ENDING = ".dvc"


@dataclass(frozen=True)
class Pointer:
    """One file or folder that DVC keeps for git."""

    file: str
    """The pointer file, such as `data/raw/big.csv.dvc`."""
    path: str
    """What it stands for, such as `data/raw/big.csv`."""
    digest: str
    """Hash of this content. A folder's hash ends in `.dir`."""


def is_pointer(name: str) -> bool:
    """Whether a file is a pointer by its name: `a.csv.dvc`, but nothing in the folder `.dvc`."""
    path = PurePosixPath(name)
    return path.name.endswith(ENDING) and path.name != ENDING and ENDING not in path.parts


def parse(file: str, text: str, label: str) -> list[Pointer]:
    """Return what a pointer file names. Outputs without an MD5 hash, as of a cloud, are left out.

    Raises InputError for a file that is no pointer. `label` names the version in the message.
    """
    try:
        document = YAML(typ="safe").load(text)
    except NO_YAML as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} of {label}: not readable as YAML: {reason}") from None
    outs: Any = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(outs, list):
        raise InputError(
            f"{file} of {label}: not a pointer of DVC; git checkout it from another commit, "
            "or dvc add the data again"
        )
    folder = PurePosixPath(file).parent / str(document.get("wdir", "."))
    pointers = []
    for out in outs:
        if isinstance(out, dict) and out.get("md5") and out.get("path"):
            path = joined(folder, str(out["path"]))
            pointers.append(Pointer(file, path, str(out["md5"])))
    return pointers


def joined(folder: PurePosixPath, path: str) -> str:
    """Return a path below a folder without `.` and `..`: `data/raw` and `../a.csv` is `data/a.csv`."""
    parts: list[str] = []
    for part in (folder / path).parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)

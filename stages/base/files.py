"""Which files of a checkpoint are taken into `models/base`, and how they get there.

Weights are large, so their bytes are shared with the source where that is safe:

- **cloned** (reflink): the file system shares the blocks, and a later write to either file leaves the
  other as it is. Btrfs, XFS and APFS can do this. It is tried first, for every source.
- **linked** (hard link): two names for one file. A write through one name changes both. So only files of
  the hub's cache are linked: they are named after their content and nobody edits them. Their SHA-256 is
  compared with their name each time.
- **copied**: all else. A folder that its owner may edit is never linked. With `cache.type hardlink`, DVC
  makes the file of its cache another name of the output, and read-only. A linked folder's file would
  then be read-only too, and an edit of it would change every version that DVC keeps of it.

DVC itself keeps a second copy in its cache. `dvc config cache.type reflink,hardlink,copy` saves that one
too. It makes outputs read-only, which no stage minds: stages write new files, never into old ones.

Config and tokenizer are small, and may be mended in the copy. They are always copied.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

from stages.core.models.model_folder import unsafe_weights
from stages.core.project.errors import InputError, ModelError

SMALL_FILES = ["*.json", "*.jinja", "*.model", "*.txt"]
"""Config, chat template and tokenizer of a model."""
FILES = [*SMALL_FILES, "*.safetensors"]
"""All that is taken of a model."""
WHOLE = "model.safetensors"
"""All weights in one file. Where it is there, transformers reads no other."""
INDEX = "model.safetensors.index.json"
"""Names the file of each weight, where there are several files."""
SHA256 = re.compile(r"[0-9a-f]{64}")
CLONED = "cloned"
LINKED = "linked"
COPIED = "copied"
LINKABLE = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES)
"""Errors that say that this file system, or these two, cannot link. Others, such as a full disk, stand."""


def take_model(source: Path, target: Path, linkable: bool) -> Counter[str]:
    """Put config, tokenizer and weights of `source` into the new folder `target`.

    `linkable` says that nobody edits the source's weights. Returns how many files of weights were cloned,
    linked and copied. Raises ModelError where there are no safetensors, InputError where a file of the
    hub's cache is damaged.
    """
    weights = weight_files(source)
    target.mkdir(parents=True)
    for pattern in SMALL_FILES:
        for path in sorted(source.glob(pattern)):
            shutil.copyfile(path, target / path.name)
    ways: Counter[str] = Counter()
    for path in weights:
        ways[put(path, target / path.name, linkable)] += 1
    return ways


def weight_files(folder: Path) -> list[Path]:
    """Return the files of weights, sorted: model.safetensors, else those that the index names, else all.

    Repositories bring other files along, such as `consolidated.safetensors` with the same weights again.
    Raises ModelError where there are none, where one that the index names is missing, or where the folder
    holds an adapter alone.
    """
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise ModelError(
            f"base: {folder}: this is an adapter, not a model; merge it into its base first "
            "(peft's merge_and_unload), and name the merged folder"
        )
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        others = unsafe_weights(folder)
        here = f"found {', '.join(others)}" if others else "found no weights"
        raise ModelError(
            f"base: {folder}: {here}; only safetensors are loaded: convert the model first"
        )
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    index = folder / INDEX
    if index.is_file():
        return indexed_files(index)
    return found


def indexed_files(index: Path) -> list[Path]:
    """Return the files that an index of weights names. Raises ModelError where it or one of them is unusable."""
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(
            f"base: {index}: no index of weights (`weight_map`: weight → file); fetch it again"
        ) from None
    missing = sorted(name for name in names if not (index.parent / name).is_file())
    if missing:
        raise ModelError(
            f"base: {index} names {', '.join(missing[:3])}, and {len(missing)} of {len(names)} files "
            "are not here; finish the download of the model"
        )
    return sorted(index.parent / name for name in names)


def left_out(folder: Path) -> list[str]:
    """Return the sorted names of the files of weights in a folder that are not taken."""
    taken = weight_files(folder)
    others = [path.name for path in folder.glob("*.safetensors") if path not in taken]
    return sorted(others + unsafe_weights(folder))


def put(source: Path, target: Path, linkable: bool) -> str:
    """Clone, link or copy one file of weights. Returns which of the three it was."""
    from dvc_objects.fs.system import reflink

    content = (
        source.resolve()
    )  # the hub's cache holds links to files that are named after their content
    if linkable:
        check_content(content)
    try:
        reflink(str(content), str(target))  # type: ignore[no-untyped-call]
    except OSError:  # this file system cannot, or source and target are on different ones
        pass
    else:
        return CLONED
    if linkable:
        try:
            os.link(content, target)
        except OSError as error:
            if error.errno not in LINKABLE:
                raise
        else:
            return LINKED
    shutil.copyfile(content, target)
    return COPIED


def check_content(path: Path) -> None:
    """Compare a file of the hub's cache with its name, where that is a SHA-256.

    Raises InputError where its content is another: the file was damaged or edited.
    """
    if not SHA256.fullmatch(path.name):
        return
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    if content != path.name:
        raise InputError(
            f"base: {path}: this file of the hub's cache has another content than when it was "
            "fetched; delete it, and run dvc repro again to fetch it anew"
        )

"""With `dvc_remote`, the only module that calls parts of DVC which DVC does not document for other programs.

They may change with any release of DVC. tests/lore/versions/test_dvc_private.py pins every name, signature
and file layout that is used here, and names the one that a new DVC has changed.

Everything else in this project calls DVC by its command line, or reads dvc.yaml and dvc.lock.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError

FOLDER_HASH = ".dir"
"""End of the hash of a folder. The hash of a file has no such end."""


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml as DVC resolves it."""

    name: str
    deps: list[str]
    """Paths of its dependencies, as dvc.yaml writes them. Parameter files are among them."""
    outs: list[str]
    """Paths of its outputs."""
    cached_outs: frozenset[str]
    """Outputs that DVC keeps in its cache. The others are left to git."""
    dvc_stage: Any
    """DVC's own object."""


class Project:
    """A DVC project that is open for reading."""

    def __init__(self, repo: Any) -> None:
        self._repo = repo

    def status(self) -> dict[str, list[Any]]:
        """Return what `dvc status` finds changed: stage → list of changes. Raises DvcException."""
        status: dict[str, list[Any]] = self._repo.status()
        return status

    def stages(self) -> list[Stage]:
        """Return the stages of dvc.yaml in its order. Single outputs (`x.dvc` files) are left out."""
        stages = []
        for stage in self._repo.index.stages:
            if not hasattr(stage, "name"):
                continue
            outs = [out.def_path for out in stage.outs]
            cached = frozenset(out.def_path for out in stage.outs if out.use_cache)
            deps = [dep.def_path for dep in stage.deps]
            stages.append(Stage(stage.name, deps, outs, cached, stage))
        return stages

    def in_run_cache(self, stage: Stage) -> bool:
        """Whether DVC keeps the outputs of an earlier run on exactly these inputs.

        `dvc repro` then copies them back and runs nothing.
        """
        from dvc.exceptions import DvcException
        from dvc.stage.cache import _can_hash

        known = stage.dvc_stage
        runs = self._repo.stage_cache
        try:
            # This sets the hashes in memory to those of the files now. DVC's own
            # StageCache.restore(dry=True) looks for the inputs of dvc.lock instead.
            known.save_deps()
            if not _can_hash(known):
                return False
            earlier = runs._load(known)
            if not earlier:
                return False
            cached: bool = runs._create_stage(earlier, wdir=known.wdir).outs_cached()
        except (DvcException, OSError):
            return False
        return cached


@contextmanager
def opened() -> Iterator[Project]:
    """Open the DVC project of the working directory. Raises InputError where DVC cannot read it.

    DVC's errors inside the `with` block become InputError too.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with Repo() as repo:
            yield Project(repo)
    except DvcException as error:
        reason = " ".join(str(error).split())
        raise InputError(f"dvc: {reason}; run from the project's root folder") from None


Runner = Callable[[str, str, dict[str, str]], int | None]
"""Runs a command in a folder with an environment. Returns its exit code, or None where a shell shall run it."""


def repro(targets: Sequence[str], runner: Runner) -> int:
    """Run `dvc repro` in this process, whose commands `runner` may run. Returns DVC's exit code."""
    from dvc.cli import main
    from dvc.stage import run
    from dvc.stage.exceptions import StageCmdFailedError

    by_shell = run._run

    def run_command(executable: Any, cmd: str, **options: Any) -> None:
        code = runner(cmd, str(options["cwd"]), options["env"])
        if code is None:
            by_shell(executable, cmd, **options)
        elif code != 0:
            raise StageCmdFailedError(cmd, code)

    run._run = run_command
    try:
        return int(main(["repro", *targets]))
    finally:
        run._run = by_shell


def cache_folder(root: Path) -> Path:
    """Return the folder of DVC's cache: as its configuration says, else .dvc/cache.

    `root` may be a folder below the one that holds .dvc. Raises InputError where DVC cannot read
    its configuration.
    """
    configured = configuration(root).get("cache", {}).get("dir")
    if configured:
        return Path(configured)
    return home_of(root) / "cache"


def home_of(root: Path) -> Path:
    """Return DVC's own folder `.dvc`, which is in `root` or in a folder above it."""
    for folder in (root, *root.resolve().parents):
        if (folder / ".dvc").is_dir():
            return folder / ".dvc"
    return root / ".dvc"


def configuration(root: Path) -> dict[str, Any]:
    """Return DVC's configuration. Raises InputError where DVC cannot read it."""
    from dvc.config import Config, ConfigError

    home = home_of(root)
    try:
        read: dict[str, Any] = Config(str(home))
    except ConfigError as error:
        raise InputError(f"{home}: DVC's configuration cannot be used: {error}") from None
    return read


def remotes(root: Path = Path()) -> list[str]:
    """Return the names of DVC's remotes that are set for this project."""
    return sorted(configuration(root).get("remote", {}))


def names_remote(text: str, name: str) -> bool:
    """Whether a file .dvc/config sets a remote: it has a section `['remote "store"']`."""
    return f'remote "{name}"' in text


def object_path(cache: Path, digest: str) -> Path:
    """Return where the cache keeps the object of a hash: `ab12…` is files/md5/ab/12…."""
    return cache / "files" / "md5" / digest[:2] / digest[2:]


def ignoring(text: str) -> Any:
    """Return the rules of a .dvcignore or .gitignore. `match_file(path)` asks them."""
    # DVC reads these files with this library, and pins it.
    import pathspec

    return pathspec.GitIgnoreSpec.from_lines(text.splitlines())


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder that DVC hashes, sorted: all but those that .dvcignore names."""
    rules = Path(".dvcignore")
    ignored = ignoring(rules.read_text(encoding="utf-8") if rules.is_file() else "")
    # The rules are about paths from the project's root. What lies above an absolute folder, such as
    # a `.cache` on the way to a clone, must match none of them.
    start = Path() if folder.is_absolute() else folder
    files = []
    for path in sorted(folder.rglob("*")):
        name = (start / path.relative_to(folder)).as_posix()
        if path.is_file() and not ignored.match_file(name):
            files.append(path)
    return files


def md5(content: bytes) -> str:
    """Return DVC's hash of a file. It names the content and gives no protection from an attacker."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write_listing(files: dict[str, str]) -> bytes:
    """Return the object that DVC keeps of a folder, from its files: relative path → hash."""
    entries = []
    for name, digest in sorted(files.items()):
        entries.append({"md5": digest, "relpath": name})
    # DVC hashes these very bytes: entries by path, keys by name, blanks as json.dumps writes them.
    text = json.dumps(entries, sort_keys=True)
    return text.encode()


def read_listing(content: bytes) -> dict[str, str]:
    """Return relative path → hash from the object that DVC keeps of a folder."""
    return {entry["relpath"]: entry["md5"] for entry in json.loads(content)}

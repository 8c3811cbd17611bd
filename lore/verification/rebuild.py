"""Make a revision anew from git alone: clone it elsewhere, then run `dvc repro` with an empty cache.

Everything that could let an old result in is shut out: DVC's cache with its run cache, the site cache,
the configuration of the user and the machine, git's configuration and hooks, MLflow's store,
remembered results, PYTHONPATH.

The pipeline reads a few inputs that neither git nor a stage has, such as the word net, which set-up
fetches. They are copied from this folder or from DVC's cache, if they have the hash that dvc.lock
asks for.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from lore.paths import touch
from lore.versions.dvc_cache import hash_of
from lore.versions.dvc_private import FOLDER_HASH
from lore.versions.version import Version
from stages.core.project import git, lock
from stages.core.project.artifacts import LOCK_FILE
from stages.core.project.errors import InputError, LockError

LIBRARIES = "requirements.lock"
REGISTER = "register"
"""The stage that writes to a registry. It is rebuilt only where it is asked for."""
SHUT_OUT = ("GIT_", "DVC_", "MLFLOW_", "LOREKEEP_")
"""Beginnings of environment variables that a rebuilt revision must not see."""
PYTHON = ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONSTARTUP", "PYTHONHASHSEED")
"""Further variables that it must not see."""


@dataclass(frozen=True)
class Clone:
    """A revision in a folder of its own."""

    root: Path
    """The root folder of the project."""
    scratch: Path
    """A folder for files that are not part of the project."""

    def environment(self) -> dict[str, str]:
        """Return the environment of its commands.

        This Python comes first. The user's settings of git, DVC and MLflow are left out.
        """
        variables = {}
        for name, value in os.environ.items():
            if not name.startswith(SHUT_OUT) and name not in PYTHON:
                variables[name] = value
        path = variables.get("PATH", "")
        empty = str(self.scratch / "settings")
        return variables | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{path}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            # Git refuses a repository of another user unless it is called safe. Asking for the
            # verification of one says so.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "DVC_GLOBAL_CONFIG_DIR": empty,
            "DVC_SYSTEM_CONFIG_DIR": empty,
            "DVC_SITE_CACHE_DIR": str(self.scratch / "site"),
            "DVC_NO_ANALYTICS": "1",
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.scratch / 'mlflow.db'}",
        }

    def git(self, *command: str) -> None:
        """Run git there. Raises InputError with git's own message."""
        # Not git.call: that adds variables to the environment, and here some must be missing.
        done = subprocess.run(
            ["git", *command],
            cwd=self.scratch,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = " ".join(done.stderr.split())
            raise InputError(
                f"the revision cannot be cloned: {reason}; git fsck tells what is damaged"
            )

    def repro(self, stages: list[str]) -> None:
        """Run the stages, each anew. DVC prints to stderr. Raises InputError where one fails."""
        command = [sys.executable, "-m", "dvc", "repro", "--force", *stages]
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard error: standard output is for the verdict
            check=False,
        )
        if done.returncode:
            raise InputError(
                f"dvc repro ended with exit code {done.returncode} in the clone, so nothing can be "
                "compared; its output above says why, and --keep DIR keeps the clone to look into"
            )


@contextmanager
def lock_file(version: Version) -> Iterator[Path | None]:
    """Yield the revision's requirements.lock as a file, or None where it has none."""
    content = version.content(LIBRARIES)
    if content is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / LIBRARIES
        path.write_bytes(content)
        yield path


def demand_libraries(version: Version) -> None:
    """Raise LockError where this environment is not that of the revision.

    A rebuild in another environment would prove nothing.
    """
    with lock_file(version) as path:
        if path is None:
            return
        try:
            lock.check(path)
        except LockError as error:
            # The first line names the temporary file. The others name the libraries.
            _, _, listed = str(error).partition("\n")
            raise LockError(
                f"{version.label}: the libraries installed here are not those of its {LIBRARIES}, "
                f"so a rebuild here would prove nothing; git worktree add ../{version.short} "
                f"{version.short}, run make there, then .venv/bin/lore verify there:\n{listed}"
            ) from None


@contextmanager
def clone(version: Version, keep: Path | None = None) -> Iterator[Clone]:
    """Yield the revision in a folder of its own, ready to run.

    The folder is `keep`, which stays, or a temporary one, which is removed. Raises InputError where
    `keep` is in the way, git cannot clone, or an input is not to be had.
    """
    if keep is not None and keep.exists():
        in_the_way = not keep.is_dir() or any(keep.iterdir())
        if in_the_way:
            raise InputError(
                f"{keep}: there already; name a folder that does not exist, or is empty"
            )
    with tempfile.TemporaryDirectory(prefix="lore-verify-") as temporary:
        scratch = Path(temporary).resolve()
        (scratch / "settings").mkdir()
        folder = (keep or scratch / "clone").resolve()
        # The project may lie in a folder of its repository, `below` it.
        top = git.read_text("rev-parse", "--show-toplevel") or "."
        below = git.read_text("rev-parse", "--show-prefix") or ""
        made = Clone(folder / below, scratch)
        # --shared borrows the objects: nothing is copied, and commits on no branch are there too.
        made.git("clone", "--quiet", "--shared", "--no-checkout", "--template=", top, str(folder))
        made.git("-C", str(folder), "checkout", "--quiet", "--detach", str(version.commit))
        settings = made.root / ".dvc" / "config.local"
        settings.write_text(
            "[core]\n"
            "    analytics = false\n"
            "[cache]\n"
            f"    dir = {made.root / '.dvc' / 'cache'}\n"
            "    type = copy\n"
        )
        bring_inputs(version, made.root)
        yield made


def bring_inputs(version: Version, root: Path) -> None:
    """Copy the inputs that neither git nor a stage has into the clone at `root`.

    Raises InputError where one is not to be had.
    """
    made = []
    deps = []
    for stage in version.stages.values():
        made += [out["path"] for out in stage.get("outs", [])]
        deps += stage.get("deps", [])
    for dep in deps:
        path = Path(dep["path"])
        if path.is_absolute() or ".." in path.parts:
            raise InputError(
                f"{path}: an input outside the project, which no clone has; put it into the project"
            )
        in_git = (root / path).exists()
        if not in_git and not any(touch(str(path), out) for out in made):
            bring(version, path, str(dep.get("md5")), root / path)


def bring(version: Version, path: Path, digest: str, target: Path) -> None:
    """Copy one input, from this folder or from DVC's cache, to `target`.

    Raises InputError where neither has it with that hash.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and hash_of(path) == digest:
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copyfile(path, target)
        return
    if not version.cache.has(digest):
        raise InputError(
            f"{path}: neither in git nor made by a stage, and not here with the hash {digest} that "
            f"{LOCK_FILE} of {version.label} asks for; make setup fetches the word net, dvc pull "
            "what a remote holds"
        )
    files = {"": digest}
    if digest.endswith(FOLDER_HASH):
        files = version.cache.listing(digest, str(path))
    for name, single in files.items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(version.cache.read(single, f"{path}/{name}"))


def chosen(version: Version, stage: str | None, register: bool = False) -> list[str]:
    """Return the stages to rebuild, in the order in which they run.

    That is `stage` with all that it needs, else all stages, `register` only where asked for. Raises
    InputError where the revision's dvc.lock has no such stage, or none at all.
    """
    stages = version.stages
    if not stages:
        raise InputError(
            f"{LOCK_FILE} of {version.label}: there is none, so there is nothing to compare with; "
            "dvc repro makes it"
        )
    if stage is not None and stage not in stages:
        known = ", ".join(stages)
        raise InputError(f"{LOCK_FILE} of {version.label}: no stage {stage}; it has {known}")
    wanted = set(stages)
    if stage:
        wanted = {stage, *upstream(stages, stage)}
    elif not register:
        wanted.discard(REGISTER)
    return [name for name in in_order(stages) if name in wanted]


def upstream(stages: dict[str, Any], stage: str) -> set[str]:
    """Return the stages that one needs, directly or not."""
    needed: set[str] = set()
    todo = [stage]
    while todo:
        deps = [dep["path"] for dep in stages[todo.pop()].get("deps", [])]
        for name, other in stages.items():
            if name not in needed and makes(other, deps):
                needed.add(name)
                todo.append(name)
    return needed


def makes(stage: dict[str, Any], paths: list[str]) -> bool:
    """Whether a stage makes one of the paths, or a part of one, or a folder around one."""
    outs = [out["path"] for out in stage.get("outs", [])]
    return any(touch(path, out) for path, out in product(paths, outs))


def in_order(stages: dict[str, Any]) -> list[str]:
    """Return all stages, each after those that it needs. Otherwise they stand as in dvc.lock."""
    # A stage needs all that its makers need and more, so it has a larger number. The sort is stable.
    number = {name: len(upstream(stages, name)) for name in stages}
    return sorted(stages, key=lambda name: number[name])

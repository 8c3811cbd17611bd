"""A revision made anew from git alone: cloned elsewhere, with an empty cache and nobody's settings, then `dvc repro`.

What could let an old result in is shut out: DVC's cache (also its run cache), site cache and configuration of the user and the
machine, git's configuration and hooks, MLflow's store, remembered results, PYTHONPATH. What the pipeline reads though
neither git nor a stage has it (the word net, which set-up fetches) is copied from this folder or DVC's cache, if it has the hash
that dvc.lock asks for.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lore.versions.dvc_cache import hash_of
from lore.versions.version import LOCK, Version, git
from stages.core.project import lock
from stages.core.project.errors import InputError, LockError

LIBRARIES = "requirements.lock"
REGISTER = "register"
"""The stage that writes to a registry, and is rebuilt only where it is asked for."""
SHUT_OUT = ("GIT_", "DVC_", "MLFLOW_", "LOREKEEP_")
"""Settings of the user's environment that a rebuilt revision must not see."""
PYTHON = ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONSTARTUP", "PYTHONHASHSEED")


@dataclass(frozen=True)
class Clone:
    """A revision's own folder: `root` is that of the project, `scratch` holds what is not part of it."""

    root: Path
    scratch: Path

    def environment(self) -> dict[str, str]:
        """The environment of its commands: this python first, this user's settings of git, DVC and MLflow out."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(SHUT_OUT) and name not in PYTHON
        }
        empty = self.scratch / "settings"
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            # Who asks for it may clone a repository that another user owns.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "DVC_GLOBAL_CONFIG_DIR": str(empty),
            "DVC_SYSTEM_CONFIG_DIR": str(empty),
            "DVC_SITE_CACHE_DIR": str(self.scratch / "site"),
            "DVC_NO_ANALYTICS": "1",
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.scratch / 'mlflow.db'}",
        }

    def git(self, *command: str) -> None:
        """Run git there. Raises InputError with git's own words."""
        done = subprocess.run(
            ["git", *command],
            cwd=self.scratch,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise InputError(
                f"the revision cannot be cloned: {' '.join(done.stderr.split())}; git fsck tells what is damaged"
            )

    def repro(self, stages: list[str]) -> None:
        """Run stages, each anew; what DVC prints goes to stderr. Raises InputError where one fails."""
        command = [sys.executable, "-m", "dvc", "repro", "--force", *stages]
        # Standard output is for the verdict; 2 is standard error.
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=2,
            check=False,
        )
        if done.returncode:
            raise InputError(
                f"dvc repro ended with exit code {done.returncode} in the clone, so nothing can be compared; its output above "
                "says why, and --keep DIR keeps the clone to look into"
            )


@contextmanager
def lock_file(version: Version) -> Iterator[Path | None]:
    """The revision's requirements.lock as a file; None where it has none."""
    content = version.content(LIBRARIES)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / LIBRARIES
        if content is not None:
            path.write_bytes(content)
        yield None if content is None else path


def demand_libraries(version: Version) -> None:
    """Raise LockError where this environment is not that of the revision: a rebuild in it would prove nothing."""
    with lock_file(version) as path:
        try:
            if path is not None:
                lock.check(path)
        except LockError as error:
            listed = str(error).partition("\n")[2]
            raise LockError(
                f"{version.label}: the libraries installed here are not those of its {LIBRARIES}, so a rebuild here would prove "
                f"nothing; git worktree add ../{version.short} {version.short}, run make there, then .venv/bin/lore verify "
                f"there:\n{listed}"
            ) from None


@contextmanager
def clone(version: Version, keep: Path | None = None) -> Iterator[Clone]:
    """The revision in a folder of its own, ready to run: in `keep`, which stays, or in a temporary one, which does not.

    Raises InputError where `keep` is in the way, git cannot clone, or an input is not to be had.
    """
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise InputError(f"{keep}: there already; name a folder that does not exist, or is empty")
    with tempfile.TemporaryDirectory(prefix="lore-verify-") as temporary:
        scratch = Path(temporary).resolve()
        (scratch / "settings").mkdir()
        folder = (keep or scratch / "clone").resolve()
        top = (git("rev-parse", "--show-toplevel") or b".").decode().strip()
        below = (git("rev-parse", "--show-prefix") or b"").decode().strip()
        made = Clone(folder / below, scratch)
        # Shared objects: also of commits that no branch holds, and nothing is copied.
        made.git("clone", "--quiet", "--shared", "--no-checkout", "--template=", top, str(folder))
        made.git("-C", str(folder), "checkout", "--quiet", "--detach", str(version.commit))
        own = made.root / ".dvc" / "config.local"
        own.write_text(
            f"[core]\n    analytics = false\n[cache]\n    dir = {made.root / '.dvc' / 'cache'}\n    type = copy\n"
        )
        bring_inputs(version, made.root)
        yield made


def bring_inputs(version: Version, root: Path) -> None:
    """Copy what stages read though neither git nor a stage has it. Raises InputError where it cannot be had."""
    made = [out["path"] for stage in version.stages.values() for out in stage.get("outs", [])]
    for dep in (dep for stage in version.stages.values() for dep in stage.get("deps", [])):
        path, digest = Path(dep["path"]), str(dep.get("md5"))
        if path.is_absolute() or ".." in path.parts:
            raise InputError(
                f"{path}: an input outside the project, which no clone has; put it into the project"
            )
        if (root / path).exists() or any(
            path.is_relative_to(out) or Path(out).is_relative_to(path) for out in made
        ):
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and hash_of(path) == digest:
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, root / path)
        elif version.cache.has(digest):
            files = (
                version.cache.listing(digest, str(path))
                if digest.endswith(".dir")
                else {"": digest}
            )
            for name, single in files.items():
                (root / path / name).parent.mkdir(parents=True, exist_ok=True)
                (root / path / name).write_bytes(version.cache.read(single, f"{path}/{name}"))
        else:
            raise InputError(
                f"{path}: neither in git nor made by a stage, and not here with the hash {digest} that {LOCK} of {version.label} "
                "asks for; make setup fetches the word net, dvc pull what a remote holds"
            )


def chosen(version: Version, stage: str | None, register: bool = False) -> list[str]:
    """The stages to be rebuilt, in the order they run: all but `register`, or one with all it needs. Raises InputError where the
    revision's dvc.lock has no such stage, or none at all."""
    stages = version.stages
    if not stages:
        raise InputError(
            f"{LOCK} of {version.label}: there is none, so there is nothing to compare with; dvc repro makes it"
        )
    if stage is not None and stage not in stages:
        raise InputError(f"{LOCK} of {version.label}: no stage {stage}; it has {', '.join(stages)}")
    wanted = (
        {stage, *upstream(stages, stage)}
        if stage
        else {name for name in stages if name != REGISTER or register}
    )
    return [name for name in in_order(stages) if name in wanted]


def upstream(stages: dict[str, Any], stage: str) -> set[str]:
    """The stages that one needs, directly or not."""
    found: set[str] = set()
    todo = [stage]
    while todo:
        deps = [Path(dep["path"]) for dep in stages[todo.pop()].get("deps", [])]
        new = {
            name
            for name, other in stages.items()
            for out in other.get("outs", [])
            if any(
                dep.is_relative_to(out["path"]) or Path(out["path"]).is_relative_to(dep)
                for dep in deps
            )
        } - found
        found |= new
        todo += sorted(new)
    return found


def in_order(stages: dict[str, Any]) -> list[str]:
    """All stages, each after those that it needs, else as dvc.lock has them."""
    needs = {name: upstream(stages, name) for name in stages}
    return sorted(stages, key=lambda name: (len(needs[name]), list(stages).index(name)))

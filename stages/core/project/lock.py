"""The lock file: which library versions a result was made with, and whether those are installed."""

import re
from importlib.metadata import distributions
from pathlib import Path

import stages
from stages.core.project.errors import LockError

LOCK_FILE = "requirements.lock"


def check(path: Path) -> None:
    """Raise LockError naming every library that is missing or has another version than the lock file says."""
    installed = {canonical(d.metadata["Name"]): d.version for d in distributions()}
    problems = []
    for name, version in read(path).items():
        # The same release may carry a local label such as +cpu.
        found = installed.get(name, "not installed").split("+")[0]
        if found != version:
            problems.append(f"  {name}: {found}, the lock file says {version}")
    if problems:
        listed = "\n".join(problems)
        raise LockError(
            f"the installed libraries are not those of {path}; run `make setup`:\n{listed}"
        )


def lock_file(project: Path) -> Path:
    """Return the lock file of a project: its own, else the one beside Lorekeep's code."""
    own = project / LOCK_FILE
    if own.is_file():
        return own
    return Path(stages.__file__).parents[1] / LOCK_FILE


def read(path: Path) -> dict[str, str]:
    """Names and versions of a lock file of lines `name==version`. Raises LockError where it cannot be read."""
    if not path.is_file():
        raise LockError(f"{path}: not found; run from the project's root folder")
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pins = (line.split(";")[0].strip().partition("==") for line in lines if line)
    return {canonical(name): version for name, _, version in pins}


def canonical(name: str) -> str:
    """The form in which names of distributions compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()

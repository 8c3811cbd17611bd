"""The lock file: the library versions that a result was made with, and whether they are installed."""

import re
from importlib.metadata import distributions
from pathlib import Path

import stages
from stages.core.project.errors import LockError

LOCK_FILE = "requirements.lock"


def check(path: Path) -> None:
    """Raise LockError, which names every library that is missing or has another version than in `path`."""
    installed = {}
    for distribution in distributions():
        installed[canonical(distribution.metadata["Name"])] = distribution.version
    problems = []
    for name, version in read(path).items():
        # The same release may carry a local label: 2.13.0+cpu.
        here = installed.get(name, "not installed").split("+")[0]
        if here != version:
            problems.append(f"  {name}: {here}, the lock file says {version}")
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
    """Read names and versions from lines `name==version ; marker # comment`.

    Raises LockError where there is no such file.
    """
    if not path.is_file():
        raise LockError(f"{path}: not found; run from the project's root folder")
    versions = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        requirement = line.split("#")[0].strip()
        if requirement:
            pin = requirement.split(";")[0].strip()
            name, _, version = pin.partition("==")
            versions[canonical(name)] = version
    return versions


def canonical(name: str) -> str:
    """Return the form in which names of distributions compare (PEP 503): `A_b.c` is `a-b-c`."""
    return re.sub(r"[-_.]+", "-", name).lower()

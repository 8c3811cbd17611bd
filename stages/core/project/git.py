"""Git, called in one place.

Paths in commands and answers are relative to the working directory, unless `folder` names another.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stages.core.project.errors import InputError


def output(*arguments: str, folder: Path | None = None) -> bytes | None:
    """Return what git prints, or None where it fails: no git, no repository, no such object."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def text(*arguments: str, folder: Path | None = None) -> str | None:
    """Return what git prints as text without the line end, or None where it fails."""
    printed = output(*arguments, folder=folder)
    if printed is None:
        return None
    return printed.decode("utf-8", "surrogateescape").strip()


def call(
    *arguments: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    given: str | None = None,
    remedy: str = "nothing was changed",
) -> str:
    """Run git and return what it prints.

    `environment` adds variables, `given` is the standard input. Raises InputError with git's own
    message and `remedy` where it fails.
    """
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=variables,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = " ".join(done.stderr.split())
        raise InputError(f"git {arguments[0]}: {message}; {remedy}")
    return done.stdout

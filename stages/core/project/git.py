"""Git, called in one place.

Paths in commands and answers are relative to the working directory, unless `folder` names another.
`read` and `read_text` tell an absence from a failure. `output` and `text` do not.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stages.core.project.errors import GitError, InputError

# What git says of a thing that is not there, in English: "fatal: path 'x' does not exist in 'HEAD'".
ABSENT = re.compile(
    r"not a git repository \(or any|does not exist in|exists on disk, but not in|did not match any file"
    r"|unknown revision or path|Not a valid object name|Needed a single revision|bad revision"
    r"|expected commit type"
)
# What git says where it failed. It may say a word of ABSENT too, as a consequence:
# "error: Could not read 8748a00…" is followed by "fatal: Not a valid object name HEAD:x".
FAILED = re.compile(
    r"[Cc]ould not read|unable to read|bad object|bad file|corrupt|object file"
    r"|dubious ownership|promisor|could not fetch|Permission denied"
)
LONGEST = 500
"""Characters of git's message that an error repeats."""
PLAIN_ENGLISH = {"LC_ALL": "C", "GIT_LITERAL_PATHSPECS": "1"}
"""Environment of `read`: messages in English, and `*` in a path is no wildcard."""


def read(*arguments: str, folder: Path | None = None, given: bytes | None = None) -> bytes | None:
    """Return what git prints, or None where there is no such thing: no repository, no such object.

    `given` is the standard input. Raises GitError with git's own words where git fails, so that
    nobody takes a damaged repository, or one of another owner, for an empty one.
    """
    environment = {**os.environ, **PLAIN_ENGLISH}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            input=given,
            capture_output=True,
            check=False,
        )
    except OSError:
        return None  # no git, so no repository
    if done.returncode == 0:
        return done.stdout
    message = done.stderr.decode("utf-8", "replace").strip()
    # Questions such as `rev-parse --verify --quiet` say no by their exit code alone.
    says_no = done.returncode == 1 and not message
    is_absent = ABSENT.search(message) is not None and FAILED.search(message) is None
    if says_no or is_absent:
        return None
    words = " ".join(message.split())[:LONGEST] or f"ended with {done.returncode}"
    raise GitError(f"git {arguments[0]}: {words}; {advice(words)}")


def advice(message: str) -> str:
    """Return the next step after a failure of git, by git's own message."""
    if "dubious ownership" in message:
        return "run that command if you trust the repository, or become its owner"
    if "promisor" in message:
        return "this clone is partial: connect to its remote, then git fetch"
    return (
        "git fsck names what is damaged; git fetch --refetch, or a copy of the object from another "
        "clone, mends it"
    )


def read_text(*arguments: str, folder: Path | None = None) -> str | None:
    """Return what git prints as text without the line end, or None where there is no such thing.

    Raises GitError as `read` does.
    """
    printed = read(*arguments, folder=folder)
    if printed is None:
        return None
    return printed.decode("utf-8", "surrogateescape").strip()


def names(printed: bytes | None) -> list[str]:
    """Split what git prints with -z, which ends each name with a zero byte and quotes none."""
    listed = (printed or b"").decode("utf-8", "surrogateescape").split("\0")
    return [name for name in listed if name]


def is_shallow() -> bool:
    """Whether this clone has only the newest commits, as after `git clone --depth 1`."""
    return read_text("rev-parse", "--is-shallow-repository") == "true"


def output(*arguments: str, folder: Path | None = None) -> bytes | None:
    """Return what git prints, or None where it fails for any reason.

    Only for what may stay unsaid. Where an absence means something, `read` is right.
    """
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def text(*arguments: str, folder: Path | None = None) -> str | None:
    """Return what git prints as text without the line end, or None where it fails for any reason."""
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
        # A file name need not be UTF-8. Its bytes come back as they were.
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    if done.returncode:
        message = " ".join(done.stderr.split())
        raise InputError(f"git {arguments[0]}: {message}; {remedy}")
    return done.stdout

"""A new commit that brings the knowledge of an earlier version back: history goes on, nothing is rewritten.

What the earlier version declares becomes as it was: dvc.yaml, dvc.lock, params.yaml, and the inputs and outputs named in its
dvc.lock that git holds, the stages' code among them, so that `dvc status` finds nothing afterwards. Outputs that only the present
version has go. Everything else, documents and this command too, stays as it is.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lore.versions.version import LOCK, Version, git
from stages.core.project.errors import InputError

ALWAYS = ("dvc.yaml", LOCK, "params.yaml")


def commit_of(present: Version, earlier: Version, message: str) -> str:
    """Make the commit, on top of the present one; no branch, no index and no file changes. Raises InputError where git cannot."""
    outs = {path for path in present.outs if path not in earlier.outs}
    declared = {*ALWAYS, *paths(earlier)}
    with tempfile.TemporaryDirectory() as folder:
        index = str(Path(folder) / "index")
        run(["read-tree", str(present.commit)], index)
        listing = run(
            ["ls-tree", "-r", "-z", "--full-name", str(earlier.commit), "--", *sorted(declared)],
            index,
        )
        run(
            ["rm", "-r", "-q", "--cached", "--ignore-unmatch", "--", *sorted(declared | outs)],
            index,
        )
        run(["update-index", "-z", "--index-info"], index, listing)
        tree = run(["write-tree"], index).strip()
    return run(["commit-tree", tree, "-p", str(present.commit)], None, message).strip()


def paths(version: Version) -> Iterator[str]:
    """Inputs and outputs of every stage."""
    for stage in version.stages.values():
        for item in [*stage.get("deps", []), *stage.get("outs", [])]:
            yield item["path"]


def changed(before: str, after: str) -> list[str]:
    """Paths of the files that differ between two commits."""
    return names(git("diff", "--relative", "--name-only", "-z", "--no-renames", before, after))


def names(said: bytes | None) -> list[str]:
    """The file names in what git prints with -z, which leaves them as they are."""
    return [name for name in (said or b"").decode().split("\0") if name]


def begun(before: str, after: str) -> Iterator[str]:
    """Files that git was moving from one commit to the other when it was cut off: here as there. A file that came is removed."""
    for path in changed(before, after):
        old, new = (
            git("rev-parse", "--verify", "--quiet", f"{commit}:./{path}")
            for commit in (before, after)
        )
        here = git("hash-object", "--", path) if Path(path).is_file() else None
        if here != new or here == old:
            continue
        if old is None:
            Path(path).unlink()
        else:
            yield path


def lost(version: Version) -> list[str]:
    """Outputs of a version of which neither git nor the cache has everything, each with the hash of what is missing."""
    held = names(git("ls-tree", "-r", "-z", "--name-only", str(version.commit)))
    missing = []
    for path, digest in version.outs.items():
        if any(name == path or name.startswith(f"{path}/") for name in held):
            continue
        if not version.cache.has(digest):
            missing.append(f"{path} ({digest})")
        elif digest.endswith(".dir"):
            files = version.cache.listing(digest, f"the list of {path} of {version.label}")
            missing += [
                f"{path}/{name} ({found})"
                for name, found in files.items()
                if not version.cache.has(found)
            ]
    return missing


def demand(version: Version, remedy: str) -> None:
    """Raise InputError that names what is lost of a version, if anything is."""
    if missing := lost(version):
        shown = ", ".join(missing[:5]) + (
            f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        )
        raise InputError(
            f"{version.label}: not in DVC's cache ({version.cache.folder}): {shown}; {remedy}"
        )


def run(command: Sequence[str], index: str | None, given: str | None = None) -> str:
    """A git command with an index of its own. Raises InputError with git's words where it fails."""
    environment = os.environ | ({"GIT_INDEX_FILE": index} if index else {})
    done = subprocess.run(
        ["git", "--literal-pathspecs", *command],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"git {command[0]}: {' '.join(done.stderr.split())}; nothing was changed")
    return done.stdout

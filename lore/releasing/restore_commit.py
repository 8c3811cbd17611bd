"""A new commit that brings the knowledge of an earlier version back. History goes on.

The commit restores what the earlier version declares: dvc.yaml, dvc.lock, params.yaml, and those
inputs and outputs of its dvc.lock that git keeps. The stages' code is among the inputs, so
`dvc status` finds nothing afterwards. Outputs that only the present version has are removed.
Everything else stays as it is, such as the documents and the code of this command.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from lore.versions.version import Version
from stages.core.project import artifacts, git

PIPELINE_FILES = (artifacts.PIPELINE, artifacts.LOCK_FILE, artifacts.PARAMS)


def create(present: Version, earlier: Version, message: str) -> str:
    """Make the commit on top of the present one and return its hash.

    No branch, no index and no file changes. Raises InputError if git fails.
    """
    declared = {*PIPELINE_FILES, *declared_paths(earlier)}
    only_present = present.outs.keys() - earlier.outs.keys()
    restored = sorted(declared)
    # What is restored is removed first, so that a folder has no file that came later.
    removed = sorted(declared | only_present)
    with tempfile.TemporaryDirectory() as folder:
        # An index of its own, so that the one of the repository is not touched.
        variables = {"GIT_INDEX_FILE": str(Path(folder) / "index"), "GIT_LITERAL_PATHSPECS": "1"}
        git.call("read-tree", str(present.commit), environment=variables)
        listing = git.call(
            "ls-tree", "-r", "-z", "--full-name", str(earlier.commit), "--", *restored,
            environment=variables,
        )  # fmt: skip
        git.call(
            "rm", "-r", "-q", "--cached", "--ignore-unmatch", "--", *removed,
            environment=variables,
        )  # fmt: skip
        git.call("update-index", "-z", "--index-info", environment=variables, given=listing)
        tree = git.call("write-tree", environment=variables).strip()
    return git.call("commit-tree", tree, "-p", str(present.commit), given=message).strip()


def declared_paths(version: Version) -> Iterator[str]:
    """Yield the path of each input and output of every stage."""
    for stage in version.stages.values():
        for entry in stage.get("deps", []):
            yield entry["path"]
        for entry in stage.get("outs", []):
            yield entry["path"]


def changed_files(before: str, after: str) -> list[str]:
    """Return the paths of the files that differ between two commits."""
    return split_names(
        git.output("diff", "--relative", "--name-only", "-z", "--no-renames", before, after)
    )


def split_names(printed: bytes | None) -> list[str]:
    """Split what git prints with -z, which ends each file name with a zero byte."""
    names = (printed or b"").decode().split("\0")
    return [name for name in names if name]


def files_moved(before: str, after: str) -> Iterator[tuple[str, bool]]:
    """Yield each file that git had moved from one commit to the other when it was interrupted.

    Such a file is here as it is in `after`. The second value is True if `before` does not have it.
    """
    for path in changed_files(before, after):
        old = git.text("rev-parse", "--verify", "--quiet", f"{before}:./{path}")
        new = git.text("rev-parse", "--verify", "--quiet", f"{after}:./{path}")
        here = None
        if Path(path).is_file():
            here = git.text("hash-object", "--", path)
        # Content that is the same in both commits needs no move: only its mode differs.
        if here == new and here != old:
            yield path, old is None


def missing_outputs(version: Version) -> list[str]:
    """Return the outputs that neither git nor the cache has, each with the missing hash.

    Of an output folder, the missing files are named one by one.
    """
    in_git = split_names(git.output("ls-tree", "-r", "-z", "--name-only", str(version.commit)))
    missing = []
    for path, digest in version.outs.items():
        if is_in_git(path, in_git):
            continue
        if not version.cache.has(digest):
            missing.append(f"{path} ({digest})")
            continue
        if not digest.endswith(".dir"):
            continue
        files = version.cache.listing(digest, f"the list of {path} of {version.label}")
        for name, file_digest in files.items():
            if not version.cache.has(file_digest):
                missing.append(f"{path}/{name} ({file_digest})")
    return missing


def is_in_git(output: str, in_git: list[str]) -> bool:
    """Whether an output, a file or a folder, is among the files that git keeps."""
    return any(name == output or name.startswith(f"{output}/") for name in in_git)

"""A new commit that brings the knowledge of an earlier version back. History goes on.

The commit restores what the earlier version declares: dvc.yaml, dvc.lock, params.yaml, those
inputs and outputs of its dvc.lock that git keeps, and the pointer files of those inputs that DVC
keeps (`big.csv.dvc` of `dvc add`). The stages' code is among the inputs, so `dvc status` finds
nothing afterwards. Outputs that only the present version has are removed. Everything else stays as
it is, such as the documents and the code of this command.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lore.paths import touch
from lore.releasing.stored import (
    PIPELINE_FILES,
    declared_paths,
    is_in_git,
    kept_by_dvc,
    pointers_of_inputs,
    problems,
)
from lore.versions.version import Version
from stages.core.project import git


def create(present: Version, earlier: Version, message: str) -> str:
    """Make the commit on top of the present one and return its hash.

    No branch, no index and no file changes. Raises InputError if git fails.
    """
    declared = {*PIPELINE_FILES, *declared_paths(earlier)}
    declared |= pointer_files(present, earlier, declared)
    only_present = present.outs.keys() - earlier.outs.keys()
    restored = sorted(declared)
    ignored = ignore_files(present, earlier, declared)
    # What is restored is removed first, so that a folder has no file that came later.
    removed = sorted(declared | only_present | ignored.keys())
    below = git.call("rev-parse", "--show-prefix").strip()
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
        for path, text in ignored.items():
            if text:
                blob = git.call("hash-object", "-w", "--stdin", given=text).strip()
                listing += f"100644 blob {blob}\t{below}{path}\0"
        git.call("update-index", "-z", "--index-info", environment=variables, given=listing)
        tree = git.call("write-tree", environment=variables).strip()
    return git.call("commit-tree", tree, "-p", str(present.commit), given=message).strip()


def pointer_files(present: Version, earlier: Version, declared: set[str]) -> set[str]:
    """Return the pointer files of both versions that stand for inputs of the earlier one."""
    files = set()
    for version in (present, earlier):
        for pointer in pointers_of_inputs(version, declared):
            files.add(pointer.file)
    return files


def ignore_files(present: Version, earlier: Version, declared: set[str]) -> dict[str, str]:
    """Return path → new text of each .gitignore whose lines about restored paths must change.

    What DVC keeps must be ignored by git, and what git keeps must not. Lines about anything else
    stay as they are.
    """
    texts: dict[str, str] = {}
    kept = {**kept_by_dvc(present), **kept_by_dvc(earlier)}
    for path in sorted(kept):
        is_for_git = is_in_git(earlier, path)
        for parent in PurePosixPath(path).parents:
            file = (parent / ".gitignore").as_posix()
            if file in declared or any(touch(file, folder) for folder in declared):
                continue  # it comes back with its folder
            line = f"/{PurePosixPath(path).relative_to(parent)}"
            text = texts.get(file)
            if text is None:
                text = present.text(file) or ""
            has_now = line in text.splitlines()
            had = line in (earlier.text(file) or "").splitlines()
            if had and not has_now:
                separator = "" if not text or text.endswith("\n") else "\n"
                texts[file] = f"{text}{separator}{line}\n"
            elif has_now and not had and is_for_git:
                others = [other for other in text.splitlines() if other != line]
                texts[file] = "".join(f"{other}\n" for other in others)
    return texts


def changed_files(before: str, after: str) -> list[str]:
    """Return the paths of the files that differ between two commits."""
    return git.names(
        git.read("diff", "--relative", "--name-only", "-z", "--no-renames", before, after)
    )


def files_moved(before: str, after: str) -> Iterator[tuple[str, bool]]:
    """Yield each file that git had moved from one commit to the other when it was interrupted.

    Such a file is here as it is in `after`. The second value is True if `before` does not have it.
    """
    for path in changed_files(before, after):
        old = git.read_text("rev-parse", "--verify", "--quiet", f"{before}:./{path}")
        new = git.read_text("rev-parse", "--verify", "--quiet", f"{after}:./{path}")
        here = None
        if Path(path).is_file():
            here = git.read_text("hash-object", "--", path)
        # Content that is the same in both commits needs no move: only its mode differs.
        if here == new and here != old:
            yield path, old is None


def missing_outputs(version: Version) -> list[str]:
    """Return the files that neither git nor the cache has whole, each with the hash of its object.

    Of an output folder, the files are named one by one.
    """
    return [f"{problem.path} ({problem.digest})" for problem in problems(version)]

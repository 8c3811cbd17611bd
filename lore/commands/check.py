"""Check that the dvc.yaml, params.yaml, code and data of a project agree.

A dependency that dvc.yaml does not list is a change that nobody sees, so an old result would pass
for a new one. This command compares what dvc.yaml declares with what the stages' code imports and
reads. It also validates every setting. It changes nothing, unless --fix is given.

Example: `lore check`, and `lore check --fix` after a stage got a new import.
"""

import argparse
from pathlib import Path

from lore.checking import base_files, code_dependencies
from lore.checking.pipeline import CHECKS
from lore.checking.project import read_project
from lore.rendering.terminal import shown
from lore.snapshot import unfinished
from stages.core.project import artifacts
from stages.core.project.output import replacing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore check`."""
    parser.add_argument(
        "--fix",
        action="store_true",
        help="write into dvc.yaml the code dependencies of each stage, and the files that the section "
        "base of params.yaml names; all else is left to you",
    )
    parser.epilog = "Exit code 0 where all is well, 1 where something is wrong."


def run(options: argparse.Namespace) -> int:
    """Print every problem, a line each. Returns 1 where there is one."""
    root = Path()
    if options.fix:
        fix(root)
    project = read_project(root)
    problems = []
    for check in CHECKS:
        problems += check(project)
    problems += unfinished.problems()
    for problem in problems:
        print(shown(problem))
    names = ", ".join(entry.name for entry in project.entries)
    if problems:
        noun = "problem" if len(problems) == 1 else "problems"
        print(f"{len(problems)} {noun} in {len(project.entries)} stages: {names}")
        return 1
    print(f"no problem in {len(project.entries)} stages: {names}")
    return 0


def fix(root: Path) -> None:
    """Write code dependencies and the base's files into dvc.yaml, and say whether that changed it."""
    path = root / artifacts.PIPELINE
    project = read_project(root)
    before = path.read_text(encoding="utf-8")
    with_files = base_files.rewrite(before, project)
    if with_files != before:
        added = ", ".join(base_files.unlisted(project).values())
        print(f"{path}: added to the deps of base: {added}")
    after = code_dependencies.rewrite(with_files, project)
    if after == before:
        print(f"{path}: the code dependencies are right")
        return
    with replacing(path) as temporary:
        temporary.write_text(after, encoding="utf-8")
    if after != with_files:
        print(f"{path}: code dependencies written")

"""The code that a stage depends on: its module, and all that it imports, directly or not.

DVC runs a stage again when one of its dependencies changed, so dvc.yaml must list this code file
by file. A stage that is a package is listed as its folder.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lore.checking.project import Project, StageEntry

NEUTRAL = {
    "stages/core/mlflow/tracking.py",
    "stages/core/mlflow/registry.py",
    "stages/core/mlflow/store.py",
    "stages/core/project/errors.py",
    "stages/core/project/stage_modules.py",
}
"""Lorekeep's modules that cannot change a byte of an output, so no stage lists them."""
LAUNCHER = [
    "stages/__main__.py",
    "stages/core/project/lock.py",
    "stages/core/project/runtime.py",
]
"""Every stage depends on them: they settle versions, threads and the instruction set."""
LOCK_FILE = "requirements.lock"


def code_dependencies(project: Project, stage: StageEntry) -> list[str]:
    """Return the code that dvc.yaml must list for a stage, as dvc.yaml writes it, sorted."""
    wanted = {lock_file_of(project)}
    own_module = module_file(project.root, project.modules.get(stage.name, ""))
    lorekeep_module = module_file(project.code_root, project.modules.get(stage.name, ""))
    module = own_module or lorekeep_module
    files = closure(project, module) if module else set()
    files |= {project.code_root / path for path in LAUNCHER}
    package = module.parent if module and module.name == "__init__.py" else None
    for file in files:
        if package and file.is_relative_to(package):
            wanted.add(written(project, package))
        else:
            wanted.add(written(project, file))
    return sorted(wanted - {""})


def lock_file_of(project: Project) -> str:
    """Return the lock file that a stage lists: the project's own, else the one beside the code."""
    if (project.root / LOCK_FILE).is_file() or project.code_prefix is None:
        return LOCK_FILE
    return f"{project.code_prefix}{LOCK_FILE}"


def written(project: Project, path: Path) -> str:
    """Return a path as dvc.yaml writes it; "" where no stage needs to list it.

    A project may lie below the folder that holds Lorekeep's code, so its own files come first.
    """
    is_beside = project.root != project.code_root
    if is_beside and path.is_relative_to(project.root):
        return path.relative_to(project.root).as_posix()
    relative = path.relative_to(project.code_root).as_posix()
    if project.code_prefix is None or relative in NEUTRAL or holds_no_code(relative):
        return ""
    return f"{project.code_prefix}{relative}"


def holds_no_code(relative: str) -> bool:
    """Tell whether a file of Lorekeep is an `__init__.py` that has a docstring only."""
    in_core = relative.startswith("stages/core/") and relative.endswith("/__init__.py")
    return in_core or relative == "stages/__init__.py"


def closure(project: Project, module: Path) -> set[Path]:
    """Return a module's file, the files of its package, and all that these import."""
    if module.name == "__init__.py":
        waiting = sorted(module.parent.rglob("*.py"))
    else:
        waiting = [module]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += imported_files(project, path)
    return seen


def imported_files(project: Project, path: Path) -> Iterator[Path]:
    """Yield the files of the project and of Lorekeep that a file imports, also inside functions."""
    for name in imported_names(path):
        for root in (project.root, project.code_root):
            file = module_file(root, name)
            if file and is_project_code(project, file):
                yield file


def imported_names(path: Path) -> tuple[str, ...]:
    """Return the dotted names that a file imports; of `from a import b` both `a` and `a.b`."""
    return names_in(path.read_text(encoding="utf-8"))


@cache
def names_in(source: str) -> tuple[str, ...]:
    """Return the names that a source text imports. Many stages share a file, so it is parsed once."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def is_project_code(project: Project, file: Path) -> bool:
    """Tell whether a file is code of the project or of the package `stages`: not an environment's."""
    if file.is_relative_to(project.code_root / "stages"):
        return True
    inside = file.is_relative_to(project.root)
    return inside and file.relative_to(project.root).as_posix() in project.tracked


def module_file(root: Path, name: str) -> Path | None:
    """Return the file of a module or package below `root`, or None where there is none."""
    if not name:
        return None
    base = root.joinpath(*name.split("."))
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def is_code(path: str, project: Project, stage: StageEntry) -> bool:
    """Tell whether a dependency of dvc.yaml is code or the lock file rather than data."""
    package = module_file(project.code_root, project.modules.get(stage.name, ""))
    own_package = module_file(project.root, project.modules.get(stage.name, ""))
    folders = {written(project, file.parent) for file in (package, own_package) if file}
    return path.endswith((".py", ".lock")) or path in folders


def rewrite(text: str, project: Project) -> str:
    """Return the text of dvc.yaml with each stage's code dependencies as they should be.

    All other lines and comments stay as they are.
    """
    for stage in project.entries:
        block = re.search(
            rf"(?ms)^  {re.escape(stage.name)}:\n.*?^    deps:\n(.*?)(?=^    \w|^  \w|\Z)", text
        )
        if block is None:
            continue
        lines = block.group(1).splitlines()
        code = {f"- {path}" for path in stage.dependencies if is_code(path, project, stage)}
        positions = [number for number, line in enumerate(lines) if line.strip() in code]
        first = positions[0] if positions else len(lines)
        others_before = [line for line in lines[:first] if line.strip() not in code]
        others_after = [line for line in lines[first:] if line.strip() not in code]
        wanted = [f"      - {path}" for path in code_dependencies(project, stage)]
        replaced = "\n".join([*others_before, *wanted, *others_after]) + "\n"
        text = text[: block.start(1)] + replaced + text[block.end(1) :]
    return text

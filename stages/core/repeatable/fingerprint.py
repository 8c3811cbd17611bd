"""One digest of everything that a function's result depends on beside its arguments: code, libraries, machine.

Code is the module's own source and that of every module of this project that it imports, directly or
not, also inside functions. Tables beside a source, in a folder `data`, count as its code. Libraries
are the installed distributions of all other modules that these files import, with the distributions
they require. So nobody has to keep a list.

Not covered are: a module imported by a computed name, a package's `__init__` that no import names, a
library that another library loads without requiring it, and external programs. The caller passes the
version of such a program on its own.
"""

import ast
import hashlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

import stages
from stages.core.project.lock import canonical

ROOT = Path(stages.__file__).parents[1]
OWN = "stages"
NEUTRAL = {"stages.core.mlflow.tracking"}
"""Modules on which no result depends. This one only logs and finds the project's root.

It would bring in MLflow with everything that MLflow requires.
"""
KERNELS = (
    "OMP_NUM_THREADS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_CBWR",
    "OPENBLAS_CORETYPE",
)
"""Variables that `runtime` sets and of which each may change the last bits of a number."""


def of(module: str) -> str:
    """Return the digest of a module's code as it is on disk now, of its libraries, and of the machine."""
    code = {}
    for path in (*sources(module), *tables(module)):
        name = str(path.relative_to(ROOT))
        code[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    machine = [platform.python_version(), platform.system(), platform.machine()]
    kernels = [os.environ.get(name) for name in KERNELS]
    content = json.dumps([code, libraries(module), [*machine, *kernels]])
    return hashlib.sha256(content.encode()).hexdigest()


@cache
def sources(module: str) -> tuple[Path, ...]:
    """Return the files of a module of this project and of all modules of this project that it imports.

    They are sorted. Raises ImportError where the module is none of this project.
    """
    if file_of(module) is None:
        raise ImportError(
            f"{module}: no module of this project, so its code cannot be told from another"
        )
    files: dict[str, Path] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        path = file_of(name)
        if name in files or name in NEUTRAL or path is None:
            continue
        files[name] = path
        for other in imported(name, path):
            if other.split(".")[0] == OWN:
                todo.append(other)
    return tuple(sorted(files.values()))


@cache
def tables(module: str) -> tuple[Path, ...]:
    """Return the files of the folders `data` beside the sources of a module, sorted."""
    folders = {path.parent / "data" for path in sources(module)}
    files = []
    for folder in folders:
        files += [path for path in folder.glob("*") if path.is_file()]
    return tuple(sorted(files))


@cache
def libraries(module: str) -> dict[str, str]:
    """Return name and version of the distributions that a module's code imports and of those they require.

    The version of a distribution that is not installed is empty.
    """
    # An import names a package, such as `PIL`; a distribution has another name, `pillow`.
    distributions_of = packages_distributions()
    todo: list[tuple[str, str]] = []
    for package in imported_packages(module):
        for name in distributions_of.get(package, [package]):
            todo.append((name, ""))

    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    while todo:
        # With an extra, as in `ray[client]`, a distribution requires more than without.
        name, extra = todo.pop()
        key = (canonical(name), extra)
        if key in seen:
            continue
        seen.add(key)
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            versions[canonical(name)] = ""
            continue
        versions[canonical(name)] = installed.version
        for line in installed.requires or []:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": extra}):
                todo.append((requirement.name, ""))
                for wanted in requirement.extras:
                    todo.append((requirement.name, wanted))
    return dict(sorted(versions.items()))


def imported_packages(module: str) -> set[str]:
    """Return the top-level packages of others that a module's code imports, without the standard library."""
    packages: set[str] = set()
    for path in sources(module):
        for name in imported(name_of(path), path):
            packages.add(name.split(".")[0])
    return packages - {OWN} - sys.stdlib_module_names


def imported(name: str, path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports.

    `from a import b` gives a.b where that is a module of this project, else a.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            # Two dots and the name `core` stand for `from ..core import …`.
            relative = "." * node.level + (node.module or "")
            origin = importlib.util.resolve_name(relative, package)
            for alias in node.names:
                below = f"{origin}.{alias.name}"
                yield below if file_of(below) else origin


def file_of(module: str) -> Path | None:
    """Return the source of a module or package of this project, or None."""
    if module != OWN and not module.startswith(f"{OWN}."):
        return None
    base = ROOT.joinpath(*module.split("."))
    for file in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if file.is_file():
            return file
    return None


def name_of(path: Path) -> str:
    """Return the name under which a file of this project is imported."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)

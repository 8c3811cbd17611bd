"""What a function's result depends on beside its arguments: the code, the libraries and the machine, as one digest.

Code is the module's own source and that of every module of this project that it imports, directly or not, also inside functions.
Libraries are the installed distributions of all other modules these files import, with what those require: nothing of that is a
list that somebody must keep. Not seen: a module imported by a computed name, a package's `__init__` that nobody names, a library
that another loads without requiring it, and programs; the caller names such an engine.
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
"""Only logs and finds the project's root, so a result does not depend on it; it would bring in MLflow with all it requires."""
KERNELS = (
    "OMP_NUM_THREADS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_CBWR",
    "OPENBLAS_CORETYPE",
)
"""What `runtime` settles: each may change the last bits of a number."""


def of(module: str) -> str:
    """The digest of a module's code as it lies on disk now, of its libraries, and of what numbers depend on here."""
    code = {
        str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sources(module)
    }
    machine = [
        platform.python_version(),
        platform.system(),
        platform.machine(),
        *map(os.environ.get, KERNELS),
    ]
    return hashlib.sha256(json.dumps([code, libraries(module), machine]).encode()).hexdigest()


@cache
def sources(module: str) -> tuple[Path, ...]:
    """Files of a module of this project and of all that it imports of it, sorted. Raises ImportError where it has none."""
    if file_of(module) is None:
        raise ImportError(
            f"{module}: no module of this project, so its code cannot be told from another"
        )
    found: dict[str, Path] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        path = file_of(name)
        if name not in found and name not in NEUTRAL and path is not None:
            found[name] = path
            todo += [other for other in imported(name, path) if other.split(".")[0] == OWN]
    return tuple(sorted(found.values()))


@cache
def libraries(module: str) -> dict[str, str]:
    """Versions of the distributions that a module's code imports and of what they require, by name; empty: not installed."""
    known = packages_distributions()
    names = {
        name.split(".")[0] for path in sources(module) for name in imported(name_of(path), path)
    }
    todo = [
        (owner, "")
        for name in names - {OWN} - sys.stdlib_module_names
        for owner in known.get(name, [name])
    ]
    seen: set[tuple[str, str]] = set()
    found: dict[str, str] = {}
    while todo:
        name, extra = todo.pop()
        if (canonical(name), extra) in seen:
            continue
        seen.add((canonical(name), extra))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            found[canonical(name)] = ""
            continue
        found[canonical(name)] = installed.version
        for requirement in map(Requirement, installed.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                todo += [(requirement.name, wanted) for wanted in ("", *requirement.extras)]
    return dict(sorted(found.items()))


def imported(name: str, path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports; of `from a import b`, a.b where that is a module of this project, else a."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                below = f"{origin}.{alias.name}"
                yield below if file_of(below) else origin


def file_of(module: str) -> Path | None:
    """The source of a module or package of this project."""
    base = ROOT.joinpath(*module.split("."))
    files = (base.with_name(f"{base.name}.py"), base / "__init__.py")
    return next(
        (file for file in files if f"{module}.".startswith(f"{OWN}.") and file.is_file()), None
    )


def name_of(path: Path) -> str:
    """The name under which a file of this project is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

"""Which stages a project can run, and in which module each one lives.

There are three sources, and a later one must not take a name of an earlier one:

1. Lorekeep's own stages (`stages.STAGES`).
2. Installed packages that declare the entry point group `lorekeep.stages`.
3. The project itself: the same group in its pyproject.toml, which need not be installed.

    [project.entry-points."lorekeep.stages"]
    summarize = "medical.summarize"

A stage is a module with a `Params` dataclass and a function `run(params, run, *paths)`.
"""

import difflib
import importlib
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from stages import STAGES
from stages.core.project.errors import InputError, ParamsError, UnknownStageError
from stages.core.project.params import read_yaml

GROUP = "lorekeep.stages"
PIPELINE = "dvc.yaml"


def module_names(root: Path = Path()) -> dict[str, str]:
    """Return the module of every stage that can run in the project `root`, by stage name.

    Raises ParamsError where two sources use one name, or where pyproject.toml cannot be read.
    """
    modules = {name: f"stages.{name}" for name in STAGES}
    others = [
        (f"the package {entry.dist.name if entry.dist else '?'}", entry.name, entry.value)
        for entry in entry_points(group=GROUP)
    ]
    others += [
        (str(root / "pyproject.toml"), name, module) for name, module in declared(root).items()
    ]
    for source, name, module in sorted(others):
        if modules.setdefault(name, module) != module:
            raise ParamsError(
                f"{source}: the stage {name} is {modules[name]} already; give yours another name"
            )
    return modules


def declared(root: Path) -> dict[str, str]:
    """Return the stages that the project's own pyproject.toml declares, by name."""
    path = root / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not readable as TOML: {error}") from None
    groups = document.get("project", {}).get("entry-points", {})
    stages: dict[str, str] = groups.get(GROUP, {})
    return stages


def in_flow_order(root: Path = Path()) -> list[str]:
    """Return the stage names of the project's dvc.yaml, in the order in which they stand there.

    Raises ParamsError where dvc.yaml is missing or has no stages.
    """
    stages = read_yaml(root / PIPELINE).get("stages")
    if not isinstance(stages, dict):
        raise ParamsError(f"{root / PIPELINE}: no stages; write them below the key `stages`")
    return list(stages)


def load(name: str, root: Path = Path()) -> ModuleType:
    """Import the module of a stage.

    Raises UnknownStageError with the nearest name where there is no such stage, InputError where
    its module cannot be imported.
    """
    modules = module_names(root)
    if name not in modules:
        nearest = difflib.get_close_matches(name, modules, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"choose from {', '.join(modules)}"
        raise UnknownStageError(f"no stage {name!r}; {hint}")
    folder = str(root.resolve())
    if name in declared(root) and folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(modules[name])
    except ModuleNotFoundError as error:
        raise InputError(
            f"the stage {name}: {error}; its entry point names the module {modules[name]}"
        ) from None

"""A project as the checks read it: its pipeline, its settings, its tracked files."""

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import stages
from stages.core.project import artifacts, git
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import read_yaml
from stages.core.project.stage_modules import module_names

OUTPUT_KEYS = ("outs", "metrics", "plots")


@dataclass(frozen=True)
class StageEntry:
    """One stage of dvc.yaml."""

    name: str
    command: list[str]
    description: str
    dependencies: list[str]
    params: list[str]
    outputs: list[str]
    """Paths of outs, metrics and plots."""
    cached: list[str]
    """Those of the outputs that DVC's cache keeps."""

    @property
    def paths(self) -> list[str]:
        """The paths of its command: what follows `python -m stages <name>`."""
        return self.command[4:]


@dataclass(frozen=True)
class Project:
    """The files that the checks compare."""

    root: Path
    entries: list[StageEntry]
    """Stages, in the order of dvc.yaml."""
    params: dict[str, Any]
    modules: dict[str, str]
    """Stage name → module."""
    code_root: Path
    """The folder that holds the package `stages`."""
    tracked: frozenset[str] = field(default_factory=frozenset)
    """Files below `root` that git tracks, relative to it."""

    @property
    def code_prefix(self) -> str | None:
        """How dvc.yaml writes the way to Lorekeep's code: "" or "../../"; None where it is outside.

        Code outside of the project's git repository is an installed library. requirements.lock
        pins it, so dvc.yaml lists no file of it.
        """
        if not is_inside(self.code_root, repository_of(self.root)):
            return None
        relative = os.path.relpath(self.code_root, self.root)
        return "" if relative == "." else f"{relative}/"


def read_project(
    root: Path, code_root: Path | None = None, tracked: frozenset[str] | None = None
) -> Project:
    """Read a project.

    Raises ParamsError where dvc.yaml or params.yaml cannot be read, InputError where `root` is in
    no git repository.
    """
    pipeline = read_yaml(root / artifacts.PIPELINE)
    declared = pipeline.get("stages")
    if not isinstance(declared, dict) or not declared:
        raise ParamsError(f"{root / artifacts.PIPELINE}: no stages; write them below `stages`")
    return Project(
        root=root.resolve(),
        entries=[entry_of(name, stage or {}) for name, stage in declared.items()],
        params=read_yaml(root / artifacts.PARAMS),
        modules=module_names(root),
        code_root=(code_root or Path(stages.__file__).parents[1]).resolve(),
        tracked=tracked_files(root) if tracked is None else tracked,
    )


def entry_of(name: str, stage: dict[str, Any]) -> StageEntry:
    """Read one stage of dvc.yaml."""
    outputs = []
    cached = []
    for key in OUTPUT_KEYS:
        for declared in stage.get(key, []):
            path, options = path_and_options(declared)
            outputs.append(path)
            if key == "outs" and options.get("cache", True):
                cached.append(path)
    return StageEntry(
        name=name,
        command=shlex.split(str(stage.get("cmd", ""))),
        description=str(stage.get("desc") or ""),
        dependencies=[path_and_options(declared)[0] for declared in stage.get("deps", [])],
        params=[str(declared) for declared in stage.get("params", [])],
        outputs=outputs,
        cached=cached,
    )


def path_and_options(declared: Any) -> tuple[str, dict[str, Any]]:
    """Return path and options of an entry of dvc.yaml: `a.json` or `{a.json: {cache: false}}`."""
    if not isinstance(declared, dict):
        return str(declared), {}
    path, options = next(iter(declared.items()))
    return str(path), options or {}


def tracked_files(root: Path) -> frozenset[str]:
    """Return the files below `root` that git tracks. Raises InputError outside of a repository."""
    listed = git.read("ls-files", "-z", folder=root)
    if listed is None:
        raise InputError(f"{root}: no git repository here; git init makes one")
    return frozenset(git.names(listed))


def repository_of(root: Path) -> Path:
    """Return the top folder of the git repository that `root` is in, or `root` where there is none."""
    top = git.read_text("rev-parse", "--show-toplevel", folder=root)
    return Path(top).resolve() if top else root.resolve()


def is_inside(path: Path, folder: Path) -> bool:
    """Tell whether `path` is `folder` or lies below it."""
    return path.resolve().is_relative_to(folder.resolve())

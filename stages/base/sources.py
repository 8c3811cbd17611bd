"""Where the base model comes from, and whether DVC sees the files that a user names.

A path of the section `base` is an input that no command in dvc.yaml names. DVC runs the stage again only
where dvc.yaml lists such a path below `deps`: a folder, or the file itself. `lore check --fix` writes it
there. The stage refuses paths that are not listed, since their changes would go unnoticed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.base.files import FILES
from stages.core.models.model_folder import is_pinned, pinning_advice
from stages.core.project import artifacts
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.params import read_yaml

PATH_SETTINGS = ("folder", "general_file", "neutral_file", "replay_file")
"""Settings of the section `base` that name files of the user."""


def locate(params: Any, seed: Path) -> Path:
    """Return the folder of the chosen model, or its GGUF file. A hub repository is downloaded at its revision.

    Raises ParamsError for settings that do not fit the source, InputError where there is no such folder
    or revision.
    """
    if params.source == "embedded":
        return existing(
            seed / "model", "the seed model belongs to this repository: git checkout models/seed"
        )
    if params.source == "folder":
        if params.folder is None:
            raise ParamsError(
                "base.folder: missing; write the path of the model folder, or set base.source: embedded"
            )
        path = Path(params.folder)
        if path.is_file() and path.suffix == ".gguf":
            return path
        return existing(path, "write the path of a model folder into base.folder")
    if params.repository is None:
        raise ParamsError(
            "base.repository: missing; write the hub name, such as deepseek-ai/deepseek-llm-7b-base"
        )
    if params.revision is None or not is_pinned(params.revision):
        raise ParamsError(f"base.revision: {pinning_advice(params.revision)}")
    return download(params.repository, params.revision)


def download(repository: str, revision: str) -> Path:
    """Fetch config, tokenizer and safetensors of one commit. Raises InputError where that fails."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"base: {repository} at revision {revision} cannot be fetched "
            f"({type(error).__name__}: {reason}); check base.repository and base.revision, and that the "
            "hub can be reached"
        ) from None


def existing(folder: Path, advice: str) -> Path:
    """Return the folder; raises InputError with advice where it does not exist."""
    if not folder.is_dir():
        raise InputError(f"base: {folder}: no such folder; {advice}")
    return folder


def paths_of_user(section: Mapping[str, Any]) -> dict[str, str]:
    """Return the paths that a section `base` names, by setting. `folder` counts for `source: folder` alone."""
    paths = {}
    for name in PATH_SETTINGS:
        path = section.get(name)
        unused = name == "folder" and section.get("source") != "folder"
        if path and not unused:
            paths[name] = str(path)
    return paths


def unlisted(section: Mapping[str, Any], dependencies: Sequence[str]) -> dict[str, str]:
    """Return those of the user's paths, by setting, of which no dependency is the path or a folder above it."""
    found = {}
    for name, path in paths_of_user(section).items():
        if not any(Path(path).is_relative_to(listed) for listed in dependencies):
            found[name] = path
    return found


def check_listed(section: Mapping[str, Any], root: Path = Path()) -> None:
    """Raise ParamsError where dvc.yaml does not list a path of the user as a dependency of the stage.

    Without a dvc.yaml that has a stage `base` there is nothing to check.
    """
    pipeline = root / artifacts.PIPELINE
    if not pipeline.is_file():
        return
    stages = read_yaml(pipeline).get("stages")
    stage = stages.get("base") if isinstance(stages, dict) else None
    if not isinstance(stage, dict):
        return
    # An entry of deps is a path, or a mapping of a path to options.
    listed = [
        next(iter(dep)) if isinstance(dep, dict) else str(dep) for dep in stage.get("deps", [])
    ]
    problems = []
    for name, path in unlisted(section, listed).items():
        problems.append(
            f"base.{name}: {path} is no dependency of the stage base in {pipeline}, so DVC would not "
            "notice when it changes; lore check --fix writes it there"
        )
    if problems:
        raise ParamsError("\n".join(problems))

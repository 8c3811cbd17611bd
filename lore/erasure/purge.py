"""What remains to be done by hand after an exclusion, as exact commands.

They are printed and never run, because they destroy versions for good. File names, tags and models
are quoted for a shell, and each command or remark stays on one line, whatever a name holds.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from lore.erasure.locations import Locations, ModelVersion
from lore.rendering.terminal import quoted, shown
from stages.core.project import artifacts

LIMITS = (
    "commits on other branches, stashes, clones, forks, remotes of git and DVC, MLflow servers and "
    "backups are not searched: whoever keeps one must do the same there",
    "weights are not read: a model made before the exclusion still contains it, whatever it "
    "answers; delete its versions",
    "no answer proves that the model never saw it; the proof is that the training records lack it, "
    "and that the model was made from them alone (lore verify)",
)


def commands(locations: Locations) -> Iterator[str]:
    """Yield lines to read and to run, in this order."""
    for each in locations.raw:
        path = shown(f"{artifacts.RAW}/{each.file}")
        yield f"# {path}: delete {shown(each.location)} at its origin and here, then: dvc repro"
    if locations.raw:
        yield (
            "lore memo --prune 0   "
            "# the memo remembers what OCR and speech recognition read from pages and recordings"
        )
    for model in locations.models:
        if model.trained_on_it is not False:
            yield delete_model_version(model)
    for name in run_ids(locations.runs):
        run = quoted(name)
        yield (
            f"mlflow runs delete --run-id {run} && "
            f"mlflow gc --backend-store-uri sqlite:///mlflow.db --run-ids {run}"
        )
    tags = release_tags(locations)
    if tags:
        listed = " ".join(quoted(tag) for tag in tags)
        yield f"git tag --delete {listed} && git push origin --delete {listed}"
    if locations.objects:
        yield (
            "dvc gc --workspace --dry   # then without --dry, with --cloud in the remote too: "
            "only the version here is left"
        )
        yield "# or these objects alone, here and below the remote's files/md5:"
        for cached in locations.objects:
            yield f"rm {quoted(str(cached.path))}"
    in_git = locations.paths_in_git()
    if in_git:
        paths = " ".join(path_option(path) for path in in_git)
        yield (
            "git filter-repo --replace-text ../words.txt   "
            "# a line per text to replace; every commit gets a new name"
        )
        yield (
            f"# or git filter-repo --invert-paths {paths}, "
            "which drops these files, also from the newest commit"
        )
        yield "# afterwards every clone and every knowledge@ tag must be made anew"


def delete_model_version(model: ModelVersion) -> str:
    """Return the command that deletes a model version."""
    # A text of JSON is one of Python too, and its double quotes go well into those of a shell.
    name = json.dumps(model.model, ensure_ascii=False)
    number = json.dumps(model.number)
    code = f"from mlflow import MlflowClient; MlflowClient().delete_model_version({name}, {number})"
    command = f"python -c {quoted(code)}"
    if model.trained_on_it is None:
        command += "  # of none of the versions searched: see whether it was trained on it"
    return command


def path_option(path: str) -> str:
    """Return a path as git filter-repo takes it. One that begins with a dash is no option."""
    if path.startswith("-"):
        return f"--path={quoted(path)}"
    return f"--path {quoted(path)}"


def run_ids(paths: Iterable[Path]) -> list[str]:
    """Return the ids of the runs that have these files: `mlruns/<id>/artifacts/facts.json`."""
    ids = set()
    for path in paths:
        # Beside the folders of runs there is one of models.
        if len(path.parts) > 1 and path.parts[1] != "models":
            ids.add(path.parts[1])
    return sorted(ids)


def release_tags(locations: Locations) -> list[str]:
    """Return the tags of the releases whose outputs contain the target."""
    names = []
    for each in locations.versions:
        if each.matches and each.version.name.startswith("knowledge@"):
            names.append(each.version.name)
    return names

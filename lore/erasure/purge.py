"""What is left to do by hand after an exclusion: exact commands, shown and never run, since they destroy versions for good."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from lore.erasure.locations import Holding, ModelVersion

LIMITS = (
    "commits on other branches, stashes, clones, forks, remotes of git and DVC, MLflow servers and backups are not looked into: "
    "whoever keeps one must do the same there",
    "weights are not read: a model made before the exclusion holds it, whatever it answers; delete its versions",
    "that a question brings nothing out does not prove that the model never saw it; that the training records lack it, and that "
    "the model was made from them alone (lore verify), does",
)


def commands(
    raw: Sequence[tuple[str, str]], holdings: Sequence[Holding], objects: Sequence[Path], models: Sequence[ModelVersion],
    runs: Sequence[Path], in_git: Sequence[str],
) -> Iterator[str]:  # fmt: skip
    """Lines to read and to run, in this order. `raw` are files with places, `in_git` files whose history in git holds it."""
    for file, place in raw:
        yield f"# data/raw/{file}: delete {place} at its origin and here, then: dvc repro"
    if raw:
        yield "lore memo --prune 0   # what engines read of pages and recordings is remembered there"
    for model in models:
        if model.trained_on_it is not False:
            why = (
                ""
                if model.trained_on_it
                else "  # of none of the versions looked at: see whether it was trained on it"
            )
            delete = f"from mlflow import MlflowClient; MlflowClient().delete_model_version({model.model!r}, {model.number!r})"
            yield f'python -c "{delete}"{why}'
    for run in sorted(
        {path.parts[1] for path in runs if len(path.parts) > 1 and path.parts[1] != "models"}
    ):
        yield f"mlflow runs delete --run-id {run} && mlflow gc --backend-store-uri sqlite:///mlflow.db --run-ids {run}"
    tags = [
        holding.version.name
        for holding in holdings
        if holding.held and holding.version.name.startswith("knowledge@")
    ]
    if tags:
        yield f"git tag --delete {' '.join(tags)} && git push origin --delete {' '.join(tags)}"
    if objects:
        yield "dvc gc --workspace --dry   # then without --dry, with --cloud in the remote too: only the version here is left"
        yield "# or these objects alone, here and below the remote's files/md5:"
        yield from (f"rm {path}" for path in objects)
    if in_git:
        paths = " ".join(f"--path {path}" for path in in_git)
        yield "git filter-repo --replace-text ../words.txt   # a line per text to replace; every commit gets a new name"
        yield f"# or git filter-repo --invert-paths {paths}, which drops these files, also from the newest commit"
        yield "# afterwards every clone and every knowledge@ tag must be made anew"

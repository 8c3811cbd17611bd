"""Model versions in MLflow: each registered once, loaded back and asked before its alias moves."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from stages.core.mlflow.tracking import EXPERIMENT, client, unreachable, uri
from stages.core.project.errors import ModelError

SERVED = Path(__file__).with_name("served.py")
REQUIREMENTS = ("mlflow", "peft", "safetensors", "torch", "transformers")
"""Libraries that a version needs to be loaded and asked."""


def register(
    name: str,
    alias: str,
    folders: dict[str, Path],
    max_new_tokens: int,
    tags: dict[str, str],
    metrics: dict[str, float],
    known: tuple[str, str],
) -> int:
    """Register a model as a version of `name`, move `alias` to it and return its number.

    `folders` are those of `base` and `adapter`. A version with the same `knowledge_version` tag is not made
    again. `known` is a question with its recorded answer. The version is loaded as anyone would load it,
    and asked. Raises ModelError where it gives another answer; a new version is then removed. Raises
    InputError where the store cannot be used.
    """
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        with addressed():
            version = find(store, name, tags["knowledge_version"])
            if version is None:
                version = create(store, name, folders, max_new_tokens, tags, metrics)
                if not answers(name, version, known):
                    store.delete_model_version(name, version)
                    advice = "it was removed; run dvc repro --force evaluate"
                    raise disagreement(name, version, known, advice)
            elif not answers(name, version, known):
                advice = (
                    f"delete version {version} in MLflow and run "
                    "dvc repro --force --single-item register"
                )
                raise disagreement(name, version, known, advice)
            store.set_registered_model_alias(name, alias, version)
    except (MlflowException, OSError) as error:
        raise unreachable(error) from None
    return int(version)


@contextmanager
def addressed() -> Iterator[None]:
    """Point mlflow's own functions at the store. Afterwards the process and its environment are as before."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri())
    try:
        yield
    finally:
        mlflow.set_tracking_uri(None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def find(store: Any, name: str, identity: str) -> str | None:
    """Return the number of the version with that identity, or None."""
    for version in store.search_model_versions(f"name = '{name}'"):
        if version.tags.get("knowledge_version") == identity:
            return str(version.version)
    return None


def create(
    store: Any,
    name: str,
    folders: dict[str, Path],
    max_new_tokens: int,
    tags: dict[str, str],
    metrics: dict[str, float],
) -> str:
    """Log the model with its tags and scores, make a version of it and return its number."""
    import mlflow

    experiment = store.get_experiment_by_name(EXPERIMENT).experiment_id
    artifacts = {}
    for part, folder in folders.items():
        artifacts[part] = str(folder.resolve())  # mlflow refuses links that lead away
    requirements = []
    for library in REQUIREMENTS:
        # Without a local label: 2.13.0, not 2.13.0+cpu.
        release = installed_version(library).split("+")[0]
        requirements.append(f"{library}=={release}")
    with mlflow.start_run(
        experiment_id=experiment, run_name="register", tags={**tags, "stage": "register"}
    ):
        mlflow.log_metrics(metrics)
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(SERVED),
            artifacts=artifacts,
            model_config={"max_new_tokens": max_new_tokens},
            pip_requirements=requirements,
        )
    return str(mlflow.register_model(logged.model_uri, name, tags=tags).version)


def ask(address: str, question: str) -> str:
    """Return a registered version's answer. `address` is MLflow's, such as models:/elements@champion.

    Raises ModelError where there is no such version, InputError where the store cannot be used.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    client()
    try:
        with addressed():
            return str(mlflow.pyfunc.load_model(address).predict([question])[0])
    except MlflowException as error:
        raise ModelError(
            f"{address} cannot be loaded ({error.error_code}); write models:/<name>@<alias> or "
            "models:/<name>/<version>, and see which there are with: mlflow ui, or lore versions"
        ) from None


def answers(name: str, version: str, known: tuple[str, str]) -> bool:
    """Return whether the version, loaded as anyone would load it, gives the known answer."""
    import mlflow

    question, answer = known
    model = mlflow.pyfunc.load_model(f"models:/{name}/{version}")
    return bool(model.predict([question])[0] == answer)


def disagreement(name: str, version: str, known: tuple[str, str], advice: str) -> ModelError:
    """Return the error for a version that gives another answer than evaluate recorded."""
    question, answer = known
    return ModelError(
        f"register: {name} version {version}, loaded from MLflow, does not answer {question!r} with "
        f"{answer!r}; {advice}"
    )


def version_with(name: str, identity: str) -> str | None:
    """Return the number of the version of `name` with that identity, or None.

    Raises InputError where the store cannot be used.
    """
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        return find(store, name, identity)
    except MlflowException as error:
        raise unreachable(error) from None


def alias_of(name: str, alias: str) -> str | None:
    """Return the number of the version that an alias of `name` points at, or None.

    Raises InputError where the store cannot be used.
    """
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        aliases = store.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise unreachable(error) from None
    if alias not in aliases:
        return None
    return str(aliases[alias])


def move_alias(name: str, alias: str, version: str | None) -> None:
    """Point an alias of `name` at a version, or with None remove it.

    Raises InputError where the store cannot do so.
    """
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        if version is None:
            store.delete_registered_model_alias(name, alias)
        else:
            store.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        raise unreachable(error) from None

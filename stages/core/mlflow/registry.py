"""Model versions in MLflow: each registered once, loaded back and asked before its alias moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.core.mlflow.tracking import EXPERIMENT, client, unreachable, uri
from stages.core.project.errors import ModelError

SERVED = Path(__file__).with_name("served.py")
REQUIREMENTS = ("mlflow", "peft", "safetensors", "torch", "transformers")


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

    `folders` are those of `base` and `adapter`. A version with the same `knowledge_version` tag is taken as it is.
    `known` is a question with its recorded answer. Raises InputError where the store cannot be used, ModelError where
    the version, loaded as anyone would load it, answers another way; a new version is then removed.
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
                    raise disagreement(
                        name, version, known, "it was removed; run dvc repro --force evaluate"
                    )
            elif not answers(name, version, known):
                raise disagreement(
                    name,
                    version,
                    known,
                    f"delete version {version} in MLflow and run dvc repro --force register",
                )
            store.set_registered_model_alias(name, alias, version)
    except (MlflowException, OSError) as error:
        raise unreachable(error) from None
    return int(version)


@contextmanager
def addressed() -> Iterator[None]:
    """Point mlflow's own functions at the store; afterwards the process, environment included, is as it was."""
    import os

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
    """The version with that identity."""
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
    """Log the model with its tags and scores, and make a version of it."""
    from importlib.metadata import version as installed

    import mlflow

    experiment = store.get_experiment_by_name(EXPERIMENT).experiment_id
    with mlflow.start_run(
        experiment_id=experiment, run_name="register", tags=tags | {"stage": "register"}
    ):
        mlflow.log_metrics(metrics)
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(SERVED),
            artifacts={
                part: str(folder.resolve()) for part, folder in folders.items()
            },  # mlflow refuses links that lead away
            model_config={"max_new_tokens": max_new_tokens},
            pip_requirements=[
                f"{library}=={installed(library).split('+')[0]}" for library in REQUIREMENTS
            ],
        )
    return str(mlflow.register_model(logged.model_uri, name, tags=tags).version)


def ask(address: str, question: str) -> str:
    """What a registered version says; `address` is MLflow's, such as models:/elements@champion.

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
            f"{address} cannot be loaded ({error.error_code}); write models:/<name>@<alias> or models:/<name>/<version>, "
            "and see which there are with: mlflow ui, or lore versions"
        ) from None


def answers(name: str, version: str, known: tuple[str, str]) -> bool:
    """Whether the version, loaded as anyone would load it, gives the known answer."""
    import mlflow

    question, answer = known
    return bool(
        mlflow.pyfunc.load_model(f"models:/{name}/{version}").predict([question])[0] == answer
    )


def disagreement(name: str, version: str, known: tuple[str, str], advice: str) -> ModelError:
    """The error for a version that answers otherwise than evaluate recorded."""
    question, answer = known
    return ModelError(
        f"register: {name} version {version}, loaded from MLflow, does not answer {question!r} with {answer!r}; {advice}"
    )


def version_with(name: str, identity: str) -> str | None:
    """Number of the version of `name` with that identity, or None. Raises InputError where the store cannot be used."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        return find(store, name, identity)
    except MlflowException as error:
        raise unreachable(error) from None


def alias_of(name: str, alias: str) -> str | None:
    """Number of the version that an alias of `name` means, or None. Raises InputError where the store cannot be used."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        aliases = store.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise unreachable(error) from None
    return str(aliases[alias]) if alias in aliases else None


def move_alias(name: str, alias: str, version: str | None) -> None:
    """Point an alias of `name` at a version, or with None remove it. Raises InputError where the store cannot do so."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        if version is None:
            store.delete_registered_model_alias(name, alias)
        else:
            store.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        raise unreachable(error) from None

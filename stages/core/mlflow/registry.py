"""Model versions in MLflow: each registered once, loaded back and asked before its alias moves.

Several clones may share one store. MLflow numbers versions in the order in which they were made, so
of two versions with one identity the lower number counts. MLflow has no "set this alias if it is still
at 3". Acts that compare an alias before they set it hold the model's lock meanwhile: see `locked`.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from stages.core.mlflow.store import (
    REGISTER_AGAIN,
    client,
    experiment_of,
    failure,
    local_store,
    root,
    uri,
)
from stages.core.project.errors import InputError, ModelError
from stages.core.project.params import NO_YAML

SERVED = Path(__file__).with_name("served.py")
REQUIREMENTS = ("mlflow", "peft", "safetensors", "torch", "transformers")
"""Libraries that a version needs to be loaded and asked."""
HashOf = Callable[[Path], str]
"""What hashes a folder: `sha256_of_folder` of core.models, on which nothing here may depend."""
IDENTITY = "knowledge_version"
"""Tag of a model version: the identity of the knowledge version."""
HASHES = {"base": "sha256.base", "adapter": "sha256.train"}
"""Part of a registered model, and the tag that has the hash of its folder."""
PATIENCE = 20.0
"""Seconds after which a lock that nobody renews is taken over. An act holds it for about a second."""


def register(
    name: str,
    alias: str | None,
    folders: dict[str, Path],
    max_new_tokens: int,
    tags: dict[str, str],
    metrics: dict[str, float],
    known: tuple[str, str],
    hash_of: HashOf,
) -> int:
    """Register a model as a version of `name`, move `alias` to it and return its number.

    `folders` are those of `base` and `adapter`. A version with the same `knowledge_version` tag is not
    made again, unless its model is lost: `hash_of` checks the folders against the tags of HASHES.
    `known` is a question with its recorded answer. The version is loaded as anyone would load it, and
    asked. Without an `alias`, none moves. Raises ModelError where the version gives another answer; a
    new version is then removed. Raises InputError where the store cannot be used.
    """
    store = client()
    from mlflow.exceptions import MlflowException

    identity = tags[IDENTITY]
    try:
        with addressed():
            made = None
            version = whole_version(store, name, identity, hash_of)
            if version is None:
                made = create(store, name, folders, max_new_tokens, tags, metrics)
                # Another clone may have registered the same identity at the same moment. Both find
                # the same versions now, and both keep the one with the lower number.
                version = whole_version(store, name, identity, hash_of) or made
                if version != made:
                    store.delete_model_version(name, made)
                    made = None
            if not answers(name, version, known):
                if made is not None:
                    store.delete_model_version(name, made)
                    advice = "it was removed; run dvc repro --force --single-item evaluate, then dvc repro"
                    raise disagreement(name, version, known, advice)
                advice = f"delete version {version} in MLflow and run {REGISTER_AGAIN}"
                raise disagreement(name, version, known, advice)
            if alias is not None:
                store.set_registered_model_alias(name, alias, version)
    except (MlflowException, OSError) as error:
        raise failure(error) from None
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


def numbers_of(store: Any, name: str, identity: str) -> list[str]:
    """Return the numbers of the versions with that identity, the lowest first."""
    found = []
    for version in store.search_model_versions(f"name = '{name}'"):
        if version.tags.get(IDENTITY) == identity:
            found.append(int(version.version))
    return [str(number) for number in sorted(found)]


def whole_version(store: Any, name: str, identity: str, hash_of: HashOf) -> str | None:
    """Return the lowest number of a version with that identity whose model is whole, or None."""
    for number in numbers_of(store, name, identity):
        if damage(store, name, number, hash_of) is None:
            return number
    return None


def damage(store: Any, name: str, number: str, hash_of: HashOf) -> str | None:
    """Return what is wrong with the model of a version, or None where it is the registered one.

    The model's folders are hashed and compared with the hashes that `register` recorded. A model that
    lies elsewhere is fetched into a temporary folder first.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        recorded = store.get_model_version(name, number).tags
        location = store.get_model_version_download_uri(name, number)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return "somebody deleted it"
        raise
    is_local = urlsplit(location).scheme in ("", "file")
    with tempfile.TemporaryDirectory() as folder:
        try:
            fetched = download_artifacts(
                artifact_uri=location,
                dst_path=None if is_local else folder,
                tracking_uri=uri(),
            )
        except (MlflowException, OSError) as error:
            if is_failure_of_server(error):
                raise
            return "its model is not there any more"
        parts = parts_of(Path(fetched))
        for part, tag in HASHES.items():
            if tag not in recorded:
                return f"it has no tag {tag}, so its model cannot be checked"
            if part not in parts or not parts[part].is_dir():
                return f"its {part} is not there any more"
            if hash_of(parts[part]) != recorded[tag]:
                return f"its {part} is damaged: the hash is not that of its tag {tag}"
    return None


def is_failure_of_server(error: Exception) -> bool:
    """Tell whether a server could not be asked, so that nothing is known about the model."""
    said = str(error)
    return "failed with exception" in said or "failed with timeout" in said


def parts_of(model: Path) -> dict[str, Path]:
    """Return part → folder of a model as MLflow keeps it, by its file MLmodel. Empty where it has none."""
    try:
        written = YAML(typ="safe").load((model / "MLmodel").read_text(encoding="utf-8"))
        entries = written["flavors"]["python_function"]["artifacts"]
        return {part: model / entry["path"] for part, entry in entries.items()}
    except (OSError, AttributeError, *NO_YAML):
        return {}


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

    experiment = experiment_of(store)
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
            "models:/<name>/<version>, and see which there are with: mlflow ui, or lore versions. "
            "A run that passes its gates sets the alias candidate, lore release sets champion"
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


def registered_version(name: str, identity: str, hash_of: HashOf) -> str | None:
    """Return the number of the version of `name` with that identity, or None.

    Its model was hashed with `hash_of`, and is the one that was registered. Raises InputError where every such version
    has lost its model, or where the store cannot be used.
    """
    store = client()
    from mlflow.exceptions import MlflowException

    problems = []
    try:
        for number in numbers_of(store, name, identity):
            problem = damage(store, name, number, hash_of)
            if problem is None:
                return number
            problems.append(f"{name} version {number} in MLflow: {problem}")
    except MlflowException as error:
        raise failure(error) from None
    if problems:
        raise InputError(
            f"{'; '.join(problems)}. {REGISTER_AGAIN} makes a new version of what lies here "
            "(a plain dvc repro does not look into MLflow)"
        )
    return None


def alias_of(name: str, alias: str) -> str | None:
    """Return the number of the version that an alias of `name` points at, or None.

    Raises InputError where the store cannot be used.
    """
    number = aliases(name).get(alias)
    return None if number is None else str(number)


def aliases(name: str) -> dict[str, str]:
    """Return alias → number of the version that it points at. Raises as `alias_of`."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        return dict(store.get_registered_model(name).aliases)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise failure(error) from None


def identity_of(name: str, number: str) -> str | None:
    """Return the identity of a version, or None where it has none. Raises as `alias_of`."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        identity = store.get_model_version(name, number).tags.get(IDENTITY)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise failure(error) from None
    return None if identity is None else str(identity)


def is_there() -> bool:
    """Tell whether there is a store that can be asked. The client would make a missing local one."""
    return uri() != local_store() or (root() / "mlflow.db").is_file()


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
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise InputError(
                f"MLflow has no version {version} of {name} any more; somebody deleted it. "
                f"{REGISTER_AGAIN} registers what lies here"
            ) from None
        raise failure(error) from None


# --- notes that acts leave for each other ---------------------------------------------------------


def mover_of(name: str, alias: str) -> str | None:
    """Return the token of the act that moved the alias last, or None. Raises as `alias_of`."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        tags = store.get_registered_model(name).tags
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise failure(error) from None
    found = tags.get(f"moved.{alias}")
    return None if found is None else str(found)


def note_mover(name: str, alias: str, token: str | None) -> None:
    """Note which act moved the alias last; None removes the note. Raises as `alias_of`."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        if token is None:
            store.delete_registered_model_tag(name, f"moved.{alias}")
        else:
            store.set_registered_model_tag(name, f"moved.{alias}", token)
    except MlflowException as error:
        raise failure(error) from None


def releases_of(name: str, release: str) -> dict[str, str]:
    """Return number → note of the versions that carry that release, such as 1.2.0. Raises as `alias_of`."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        versions = store.search_model_versions(f"name = '{name}'")
    except MlflowException as error:
        raise failure(error) from None
    found = {}
    for version in versions:
        note = version.tags.get(f"release.{release}")
        if note is not None:
            found[str(version.version)] = str(note)
    return found


def note_release(name: str, number: str, release: str, note: str | None) -> None:
    """Note at a version that it was released; None removes the note. Raises as `alias_of`."""
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        if note is None:
            store.delete_model_version_tag(name, number, f"release.{release}")
        else:
            store.set_model_version_tag(name, number, f"release.{release}", note)
    except MlflowException as error:
        raise failure(error) from None


# --- the lock -------------------------------------------------------------------------------------


@contextmanager
def locked(name: str, token: str) -> Iterator[None]:
    """Hold the lock of a registered model, which `token` names. Others on the store wait meanwhile.

    The one thing that every MLflow store does for one caller only is to create a registered model of
    a name. So the lock is a registered model, `<name>.lock`, that exists as long as the lock is held.
    A killed program leaves it behind. The next call with the same token goes on with it. Another call
    takes it over after PATIENCE seconds without a change. Where the user may create no model, there is
    no lock; the callers still compare before and after. Raises InputError where the store cannot be
    used.
    """
    store = client()
    from mlflow.exceptions import MlflowException

    try:
        is_held = take_lock(store, f"{name}.lock", token)
        try:
            yield
        finally:
            if is_held:
                drop_lock(store, f"{name}.lock", token)
    except MlflowException as error:
        raise failure(error) from None


def take_lock(store: Any, lock: str, token: str) -> bool:
    """Wait for the lock and take it. Returns False where the store does not let this user have one."""
    from mlflow.exceptions import MlflowException

    description = "Held by a release, a rollback or their undo, for about a second."
    seen = None
    since = time.monotonic()
    while True:
        try:
            store.create_registered_model(lock, tags={"token": token}, description=description)
        except MlflowException as error:
            if error.error_code == "PERMISSION_DENIED":
                return False
            # To name the model that exists already, MLflow reads it. It may be gone by then.
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):
                raise
        else:
            return True
        holder = holder_of(store, lock)
        if holder == token:  # a call of ours that was killed
            return True
        if holder != seen:
            seen = holder
            since = time.monotonic()
        elif holder is not None and time.monotonic() - since > PATIENCE:
            drop_lock(store, lock, holder)
        time.sleep(0.1)


def holder_of(store: Any, lock: str) -> str | None:
    """Return the token of who holds the lock, or None where nobody does."""
    from mlflow.exceptions import MlflowException

    try:
        return str(store.get_registered_model(lock).tags.get("token"))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def drop_lock(store: Any, lock: str, token: str) -> None:
    """Remove the lock, if it is still that of `token`."""
    from mlflow.exceptions import MlflowException

    try:
        if holder_of(store, lock) == token:
            store.delete_registered_model(lock)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise

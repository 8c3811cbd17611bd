"""MLflow's store: where it is, a client of it, and what each of its failures means.

The store is what MLFLOW_TRACKING_URI names, or else `sqlite:///mlflow.db` in the project's root, with
artifacts in `mlruns`. Nothing here can change an output's bytes.
"""

import logging
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from stages.core.project.errors import InputError

EXPERIMENT = "lorekeep"
REGISTER_AGAIN = "dvc repro --force --single-item register"
"""Registers the version that lies here again, in seconds. A plain `dvc repro` finds nothing changed."""

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Table and column of every absolute location in MLflow's SQLite database.
tests/core/mlflow/test_store.py fails where another MLflow names them otherwise."""


def client() -> Any:
    """Return an MlflowClient of the store, which is made where it is missing.

    Raises InputError where it cannot be used; the message says why.
    """
    address = uri()
    # MLflow logs every error of a database with a traceback. The message below says it in words.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    try:
        if address == local_store():
            follow_moved_project()
        from mlflow import MlflowClient

        store = MlflowClient(tracking_uri=address)
        if store.get_experiment_by_name(EXPERIMENT) is None:
            create_experiment(store, address)
    except Exception as error:  # whatever a store may raise
        raise failure(error) from None
    return store


def create_experiment(store: Any, address: str) -> None:
    """Create the experiment. Another process may do so at the same moment."""
    from mlflow.exceptions import MlflowException

    artifacts = None
    if address == local_store():
        artifacts = local_artifacts().as_uri()
    try:
        store.create_experiment(EXPERIMENT, artifact_location=artifacts)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def experiment_of(store: Any) -> str:
    """Return the id of the experiment that holds the runs.

    Raises InputError where it was deleted in MLflow.
    """
    experiment = store.get_experiment_by_name(EXPERIMENT)
    if experiment is not None and experiment.lifecycle_stage == "active":
        return str(experiment.experiment_id)
    number = "" if experiment is None else experiment.experiment_id
    setting = ""
    if uri() == local_store():
        setting = "MLFLOW_TRACKING_URI=sqlite:///mlflow.db "
    raise InputError(
        f"MLflow: the experiment {EXPERIMENT} was deleted; bring it back with: "
        f"{setting}mlflow experiments restore --experiment-id {number}"
    )


def uri() -> str:
    """Return the address of the store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or local_store()


def local_store() -> str:
    """Return the address of the store in the project's root."""
    return f"sqlite:///{root() / 'mlflow.db'}"


def local_artifacts() -> Path:
    """Return the folder of the local store's artifacts."""
    return root() / "mlruns"


def root() -> Path:
    """Return the project's root.

    For an experiment that runs in a temporary folder, DVC_ROOT names the root of its project.
    """
    return Path(os.environ.get("DVC_ROOT", "")).absolute()


# --- failures -------------------------------------------------------------------------------------


def failure(error: Exception) -> InputError:
    """Return the error that says in words why a store fails, and what to do.

    An address may contain a password, so neither the address nor the store's own message is repeated.
    """
    if isinstance(error, InputError):
        return error
    code = getattr(error, "error_code", None) or type(error).__name__
    said = " ".join(messages(error))
    for pattern, meaning in MEANINGS:
        if re.search(pattern, said, re.IGNORECASE):
            return InputError(f"MLflow: {meaning.format(place=place())}")
    if code in REFUSALS:
        return InputError(f"MLflow: {REFUSED.format(place=place())}")
    return InputError(
        f"MLflow: the store {place()} cannot be used ({code}); start the server that "
        "MLFLOW_TRACKING_URI names, or unset it to use mlflow.db in this folder"
    )


REFUSALS = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")
REFUSED = (
    "{place} refuses access; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
    "MLFLOW_TRACKING_TOKEN, or ask for the permission to edit the model"
)
MEANINGS = (
    (
        r"database is locked|lock wait timeout|could not obtain lock",
        "the store {place} is locked: another program is writing to it; wait for it to end, "
        "then repeat the command",
    ),
    (
        r"readonly database|read-only (?:database|transaction|file system)",
        "the store {place} can only be read; make it writable for this user",
    ),
    (
        r"unable to open database file",
        "the store {place} cannot be opened; check that its folder exists and is writable for "
        "this user",
    ),
    (
        r"disk is full|no space left",
        "the disk of the store {place} is full; free some space, then repeat the command",
    ),
    (
        r"not a database|disk image is malformed|no such table|unable to find table",
        "the store {place} is damaged, or no database of MLflow; put a copy back, or move it away: "
        f"a new one is made, and {REGISTER_AGAIN} registers this version there",
    ),
    (
        r"out-of-date database schema",
        "the store {place} was made by an older MLflow; copy it, then run mlflow db upgrade with "
        "its address",
    ),
    (
        r"can't locate revision",
        "the store {place} was made by a newer MLflow than the one installed here; install that one",
    ),
    (
        r"unsupported URI|invalid url|could not parse|can't load plugin|no scheme",
        "MLFLOW_TRACKING_URI is no address of a store; write http://host:port or "
        "sqlite:///path/to/mlflow.db, or unset it to use mlflow.db in this folder",
    ),
    (
        r"filesystem tracking backend",
        "MLFLOW_TRACKING_URI names a folder, and this MLflow keeps no store in folders any more; write "
        "http://host:port or sqlite:///path/to/mlflow.db (mlflow migrate-filestore moves a folder)",
    ),
    (
        r"no module named '?(?:psycopg|pymysql|mysqldb|pymssql|oracledb)",
        "the driver for the store {place} is not installed; install it with pip",
    ),
    (
        r"error code 40[13]\b",
        REFUSED,
    ),
    (
        r"error code 5\d\d\b|too many 5\d\d error",
        "the server {place} answers with an error of its own; look into its log, then repeat the "
        "command",
    ),
    (
        r"failed with (?:timeout )?exception|max retries exceeded|connection refused|"
        r"could not connect|can't connect|name or service not known|connection reset",
        "no server answers at {place}; start the server that MLFLOW_TRACKING_URI names, or unset it "
        "to use mlflow.db in this folder",
    ),
    (
        r"must be in the 'active' state|experiment .* deleted",
        f"the experiment {EXPERIMENT}, or the run, was deleted; mlflow experiments restore or "
        "mlflow runs restore brings it back",
    ),
)
"""Pattern of what a store says, and what it means. The first that matches counts."""


def messages(error: BaseException | None) -> Iterator[str]:
    """Yield the messages of an error and of those that caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield f"{type(error).__name__} {error}"
        error = error.__cause__ or error.__context__


def place() -> str:
    """Return where the store is, without user and password: a file, or host and port."""
    address = uri()
    if address.startswith("sqlite:///"):
        return address.removeprefix("sqlite:///")
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "that MLFLOW_TRACKING_URI names"
    return f"{parts.hostname}{port}" if parts.hostname else "that MLFLOW_TRACKING_URI names"


# --- a project that was moved or copied -----------------------------------------------------------


def follow_moved_project() -> None:
    """Make the local store's locations those of this folder, if they name the folder it came from.

    MLflow keeps absolute locations. After a project was moved or copied, they would name the former
    folder: new runs would be written there, perhaps into another project. What lies only in the
    former folder keeps its location, so that it can still be read.
    """
    file = Path(local_store().removeprefix("sqlite:///"))
    here = local_artifacts()
    if not file.is_file():
        return
    # MLflow itself waits 20 seconds for another writer.
    with closing(sqlite3.connect(file, timeout=20, isolation_level=None)) as database:
        former = former_artifacts(database)
        if former is None or is_same_folder(former, here):
            return
        database.execute("BEGIN IMMEDIATE")
        left = 0
        for table, column in LOCATIONS:
            left += follow(database, table, column, former, here)
        database.execute("COMMIT")
    remark = ""
    if left:
        remark = f"; {left} of them lie in {former} only, copy them from there"
    print(
        f"MLflow: this project was in {former.parent} before; its runs and models are now those of "
        f"{here}{remark}",
        file=sys.stderr,
    )


def former_artifacts(database: sqlite3.Connection) -> Path | None:
    """Return the folder of artifacts that the database names, or None where it is not one of ours.

    Ours are called `mlruns`. Another folder or address was chosen by a person.
    """
    try:
        row = database.execute(
            "SELECT artifact_location FROM experiments WHERE name = ?", (EXPERIMENT,)
        ).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # an empty file: MLflow has not made its tables yet
            return None
        raise
    folder = None if row is None else local_path(row[0])
    if folder is None or folder.name != local_artifacts().name:
        return None
    return folder


def local_path(location: str | None) -> Path | None:
    """Return the path of a location such as file:///home/me/p/mlruns or /home/me/p/mlruns, else None."""
    if not location:
        return None
    if location.startswith("file://"):
        return Path(unquote(urlsplit(location).path))
    if location.startswith("/"):
        return Path(location)
    return None


def is_same_folder(first: Path, second: Path) -> bool:
    """Tell whether two paths mean one folder, perhaps by a link."""
    return first.resolve() == second.resolve()


def follow(database: sqlite3.Connection, table: str, column: str, former: Path, here: Path) -> int:
    """Change the locations below `former` in a column to those below `here`.

    A location whose content lies in `former` only stays. Returns the number of these.
    """
    left = 0
    rows = database.execute(f"SELECT rowid, {column} FROM {table}").fetchall()  # noqa: S608 - names of LOCATIONS
    for rowid, location in rows:
        path = local_path(location)
        if path is None or not path.is_relative_to(former):
            continue
        moved = here / path.relative_to(former)
        if path.exists() and not moved.exists() and path != former:
            left += 1
            continue
        written = moved.as_uri() if location.startswith("file://") else str(moved)
        database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (written, rowid))  # noqa: S608
    return left

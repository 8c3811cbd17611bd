"""store: each failure has a message of its own, no secret is said, and a moved project leaves its former folder alone."""

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stages.core.mlflow import registry, store, tracking
from stages.core.models.model_folder import sha256_of_folder
from stages.core.project.errors import InputError
from tests.core.mlflow.test_registry import answer_of, register
from tests.core.mlflow.test_tracking import SETTINGS

SECRET = "http://someone:hidden@models.example:5000/path"


def failed(monkeypatch: pytest.MonkeyPatch, address: str, error: Exception) -> str:
    """The message for an error of a store at that address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return str(store.failure(error))


def mlflow_error(text: str, code: str = "INTERNAL_ERROR") -> Exception:
    from mlflow.exceptions import MlflowException
    from mlflow.protos import databricks_pb2

    error: Exception = MlflowException(text, getattr(databricks_pb2, code))
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            mlflow_error("API request to http://x failed with exception HTTPConnectionPool"),
            "no server answers at models.example:5000; start the server",
        ),
        (
            mlflow_error("API request to http://x failed with timeout exception ReadTimeout"),
            "no server answers at models.example:5000",
        ),
        (
            mlflow_error("API request to endpoint /api failed with error code 502 != 200"),
            "the server models.example:5000 answers with an error of its own; look into its log",
        ),
        (
            mlflow_error("API request to endpoint /api failed with error code 403 != 200"),
            "models.example:5000 refuses access; set MLFLOW_TRACKING_USERNAME",
        ),
        (
            mlflow_error("Permission denied", "PERMISSION_DENIED"),
            "models.example:5000 refuses access",
        ),
        (mlflow_error("who are you?", "UNAUTHENTICATED"), "refuses access"),
        (
            mlflow_error("(sqlite3.OperationalError) database is locked"),
            "the store models.example:5000 is locked: another program is writing to it; wait",
        ),
        (
            mlflow_error("(sqlite3.OperationalError) database or disk is full"),
            "the disk of the store models.example:5000 is full; free some space",
        ),
        (
            mlflow_error("Detected out-of-date database schema (found version 1)"),
            "was made by an older MLflow; copy it, then run mlflow db upgrade",
        ),
        (
            mlflow_error("Can't locate revision identified by 'ffff'"),
            "was made by a newer MLflow than the one installed here",
        ),
        (ModuleNotFoundError("No module named 'psycopg2'"), "the driver for the store"),
        (
            mlflow_error("The experiment must be in the 'active' state. Current state is deleted."),
            "the experiment lorekeep, or the run, was deleted",
        ),
        (
            mlflow_error("something new"),
            r"the store models.example:5000 cannot be used (INTERNAL_ERROR)",
        ),
        (OSError(28, "No space left on device"), "is full"),
        (InputError("said already"), "said already"),
    ],
)
def test_each_failure_has_words_of_its_own(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    message = failed(monkeypatch, SECRET, error)
    assert said in message
    assert "hidden" not in message
    assert "someone" not in message


def test_what_caused_an_error_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    error = mlflow_error("wrapped")
    error.__cause__ = RuntimeError("attempt to write a readonly database")
    said = failed(monkeypatch, "sqlite:////srv/mlflow.db", error)
    assert (
        said == "MLflow: the store /srv/mlflow.db can only be read; make it writable for this user"
    )


@pytest.mark.parametrize("address", ["http://[broken", "postgresql:", "nonsense", "http://x:port"])
def test_an_address_without_a_host_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert store.place() == "that MLFLOW_TRACKING_URI names"


@pytest.mark.parametrize("address", ["gopher://models.example", "htp://x"])
def test_an_address_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(
        InputError, match="MLFLOW_TRACKING_URI is no address of a store; write http"
    ):
        registry.alias_of("elements", "champion")


@pytest.mark.parametrize("address", ["sqlite", "./mlruns", "file:///srv/mlruns"])
def test_a_folder_is_no_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(
        InputError, match="names a folder, and this MLflow keeps no store in folders"
    ):
        store.client()


@pytest.mark.usefixtures("store")
def test_a_file_that_is_no_database_is_named() -> None:
    Path("mlflow.db").write_bytes(b"what a mess" * 1000)
    with pytest.raises(
        InputError, match=r"mlflow.db is damaged, or no database of MLflow; put a copy"
    ):
        store.client()


@pytest.mark.usefixtures("store")
def test_a_locked_store_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    store.client()
    connect = sqlite3.connect

    def impatient(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened: sqlite3.Connection = connect(*arguments, **(options | {"timeout": 0.1}))
        return opened

    monkeypatch.setattr(sqlite3, "connect", impatient)
    set_locations("/elsewhere/mlruns")
    with closing(connect("mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"mlflow.db is locked: another program is writing"):
            store.client()


@pytest.mark.usefixtures("store")
@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_store_that_can_only_be_read_is_named() -> None:
    store.client()
    Path("mlflow.db").chmod(stat.S_IRUSR)
    with pytest.raises(InputError, match=r"mlflow.db can only be read"):
        tracking.client().create_registered_model("elements")


@pytest.mark.usefixtures("store")
def test_a_deleted_experiment_is_named_and_the_run_goes_on(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, tiny_adapter: Path
) -> None:
    client = store.client()
    number = client.get_experiment_by_name("lorekeep").experiment_id
    client.delete_experiment(number)
    said = (
        "MLflow: the experiment lorekeep was deleted; bring it back with: MLFLOW_TRACKING_URI="
        f"sqlite:///mlflow.db mlflow experiments restore --experiment-id {number}"
    )
    with tracking.run("train", SETTINGS):
        pass
    assert capsys.readouterr().err == f"{said}; this run is not logged\n"
    with pytest.raises(InputError, match=said):
        register(tiny_model, tiny_adapter, "one", "")
    # What needs no experiment still works.
    assert registry.alias_of("elements", "champion") is None
    client.restore_experiment(number)
    assert store.experiment_of(client) == number


# --- a project that was moved or copied -----------------------------------------------------------


def set_locations(former: str) -> None:
    """Make the experiment's location another."""
    with closing(sqlite3.connect("mlflow.db")) as database:
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE name = 'lorekeep'", (former,)
        )
        database.commit()


def locations() -> set[str]:
    """Every location in the database."""
    found = set()
    with closing(sqlite3.connect("mlflow.db")) as database:
        for table, column in store.LOCATIONS:
            rows = database.execute(f"SELECT {column} FROM {table}").fetchall()
            found |= {str(location) for (location,) in rows}
    return found


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_moved_project_leaves_its_former_folder_alone(
    how: str,
    tiny_model: Path,
    tiny_adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    former = Path.cwd()
    answer = answer_of(tiny_model, tiny_adapter)
    register(tiny_model, tiny_adapter, "one", answer)
    here = tmp_path / "new place, 新"
    if how == "moved":
        monkeypatch.chdir(tmp_path)
        shutil.move(former, here)
    else:
        shutil.copytree(former, here)
    monkeypatch.chdir(here)
    before = sorted(former.rglob("*"))
    note = here / "note.txt"
    note.write_text("seen")
    capsys.readouterr()
    with tracking.run("train", SETTINGS) as log:
        log.file(note)
    said = capsys.readouterr().err
    assert said == (
        f"MLflow: this project was in {former} before; its runs and models are now those of "
        f"{here / 'mlruns'}\n"
    )
    assert sorted(former.rglob("*")) == before
    assert list((here / "mlruns").rglob("note.txt"))
    if how == "moved":
        assert not former.exists()
    # The registered model came along, and nothing names the former folder any more.
    assert registry.registered_version("elements", "one", sha256_of_folder) == "1"
    assert (
        registry.ask("models:/elements@champion", "At what temperature does iron melt?") == answer
    )
    assert not [location for location in locations() if str(former) in location]
    assert "MLflow: this project was" not in capsys.readouterr().err


@pytest.mark.usefixtures("store")
def test_what_lies_in_the_former_folder_only_stays_readable(
    tiny_model: Path,
    tiny_adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    former = Path.cwd()
    register(tiny_model, tiny_adapter, "one", answer_of(tiny_model, tiny_adapter))
    here = tmp_path / "copy"
    here.mkdir()
    shutil.copyfile("mlflow.db", here / "mlflow.db")
    monkeypatch.chdir(here)
    capsys.readouterr()
    assert registry.registered_version("elements", "one", sha256_of_folder) == "1"
    assert f"lie in {former / 'mlruns'} only, copy them from there" in capsys.readouterr().err
    experiment = store.client().get_experiment_by_name("lorekeep")
    assert experiment.artifact_location == (here / "mlruns").as_uri()


@pytest.mark.usefixtures("store")
def test_a_place_that_a_person_chose_stays(capsys: pytest.CaptureFixture[str]) -> None:
    store.client()
    for chosen in ("s3://bucket/mlruns", "file:///srv/artifacts", "mlflow-artifacts:/7"):
        set_locations(chosen)
        store.client()
        assert chosen in locations()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("store")
def test_a_link_to_the_project_is_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store.client()
    (tmp_path / "link").symlink_to(Path.cwd())
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "link"))
    before = locations()
    store.client()
    assert locations() == before
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("store")
def test_an_empty_database_is_left_to_mlflow() -> None:
    Path("mlflow.db").write_bytes(b"")
    store.follow_moved_project()
    Path("mlflow.db").unlink()
    store.follow_moved_project()
    assert not Path("mlflow.db").exists()


@pytest.mark.usefixtures("store")
def test_two_processes_may_make_the_experiment() -> None:
    client = store.client()
    store.create_experiment(client, store.uri())
    assert store.experiment_of(client)

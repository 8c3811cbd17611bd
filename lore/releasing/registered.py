"""A knowledge version in MLflow: its identity, and the model version that has this identity."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from lore.versions.version import Version
from stages.core.project import artifacts
from stages.core.project.errors import InputError


@dataclass(frozen=True)
class Registration:
    """The model version of a knowledge version."""

    identity: str
    """64 hex digits that `register` gave to the outputs."""
    model: str
    """The model's name in MLflow."""
    number: str
    """The model version's number."""
    alias: str
    """The alias of params.yaml that production follows, such as champion."""
    alias_now: str | None
    """Number of the version that the alias means now, None if there is no such alias."""


def identity_of(version: Version) -> str:
    """Return the identity under which the version passed its gates.

    Raises InputError if it never passed them, or if its outputs have changed since.
    """
    report = version.document(artifacts.REGISTER_METRICS) or {}
    passed = report.get("identity")
    if not passed:
        raise InputError(
            f"{version.label}: never registered, it has no {artifacts.REGISTER_METRICS}; "
            "dvc repro there judges its gates"
        )
    now = identity_of_outputs(version)
    if now != passed:
        raise InputError(
            f"{version.label}: its outputs are not those that passed the gates: "
            f"{artifacts.LOCK_FILE} has the identity {now[:12]}, "
            f"{artifacts.REGISTER_METRICS} {passed[:12]}; dvc repro there judges them"
        )
    return str(passed)


def identity_of_outputs(version: Version) -> str:
    """Return the identity of the outputs in the version's dvc.lock.

    Raises InputError if an output is missing there.
    """
    from stages.register import identity

    # `register` reads the lock file from disk, but that of an earlier version is only in git.
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / artifacts.LOCK_FILE
        lock.write_text(version.text(artifacts.LOCK_FILE) or "", encoding="utf-8")
        try:
            return identity(lock)
        except InputError as error:
            message = str(error).replace(str(lock), artifacts.LOCK_FILE)
            raise InputError(f"{version.label}: {message}") from None


def registration_of(version: Version) -> Registration:
    """Return where MLflow has the version.

    Raises InputError if MLflow does not have it, or if the version's settings lack the names.
    """
    from stages.core.mlflow import registry
    from stages.core.mlflow.store import REGISTER_AGAIN
    from stages.core.models.model_folder import sha256_of_folder

    identity = identity_of(version)
    settings = version.document(artifacts.PARAMS) or {}
    section = settings.get("register") or {}
    for key in ("model", "alias"):
        if not section.get(key):
            raise InputError(
                f"{artifacts.PARAMS} of {version.label}: no register.{key}; "
                "write it there, commit, then dvc repro"
            )
    model = section["model"]
    number = registry.registered_version(model, identity, sha256_of_folder)
    if number is None:
        checked_out = version.name == "HEAD"
        there = "" if checked_out else f"git checkout {version.name}, dvc checkout, "
        raise InputError(
            f"{version.label}: MLflow has no version of {model} with the identity {identity[:12]}; "
            f"name its store with MLFLOW_TRACKING_URI, or {there}"
            f"{REGISTER_AGAIN} (a plain dvc repro does not look into MLflow)"
        )
    alias = section["alias"]
    return Registration(identity, model, number, alias, registry.alias_of(model, alias))

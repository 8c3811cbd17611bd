"""A knowledge version's place in MLflow: the identity that `register` gave it, and the model version that has this identity."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from lore.versions.version import LOCK, Version
from stages.core.project.errors import InputError

RESULT = "metrics/register.json"


@dataclass(frozen=True)
class Registered:
    """The model version of a knowledge version, and which version the alias means now (None: none)."""

    identity: str
    model: str
    number: str
    alias: str
    alias_now: str | None


def identity_of(version: Version) -> str:
    """The identity under which the version passed its gates. Raises InputError where it did not, or has changed since."""
    from stages.register import identity

    passed = (version.document(RESULT) or {}).get("identity")
    if not passed:
        raise InputError(
            f"{version.label}: never registered, it has no {RESULT}; dvc repro there judges its gates"
        )
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / LOCK
        lock.write_text(version.text(LOCK) or "", encoding="utf-8")
        try:
            now = identity(lock)
        except InputError as error:
            raise InputError(f"{version.label}: {str(error).replace(str(lock), LOCK)}") from None
    if now != passed:
        raise InputError(
            f"{version.label}: its outputs are not those that passed the gates: {LOCK} has the identity {now[:12]}, "
            f"{RESULT} {passed[:12]}; dvc repro there judges them"
        )
    return str(passed)


def registered(version: Version) -> Registered:
    """Where MLflow has the version. Raises InputError where it has not, or the version's settings do not say under which name."""
    from stages.core.mlflow import registry

    identity = identity_of(version)
    section = (version.document("params.yaml") or {}).get("register") or {}
    if lacking := [key for key in ("model", "alias") if not section.get(key)]:
        raise InputError(
            f"params.yaml of {version.label}: no register.{lacking[0]}; write it there, commit, then dvc repro"
        )
    number = registry.version_with(section["model"], identity)
    if number is None:
        raise InputError(
            f"{version.label}: MLflow has no version of {section['model']} with the identity {identity[:12]}; "
            f"name its store with MLFLOW_TRACKING_URI, or git checkout {version.name}, dvc checkout, dvc repro --force register"
        )
    return Registered(
        identity,
        section["model"],
        number,
        section["alias"],
        registry.alias_of(section["model"], section["alias"]),
    )

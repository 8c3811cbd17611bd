"""Which objects of the workspace DVC's remote lacks.

`dvc status --cloud` answers another question: it takes a folder for complete as soon as the remote has
the list of its files. Here every single file is looked for. Like `dvc_private`, this calls parts of DVC
that are not documented for other programs. tests/lore/releasing/test_remotes.py asks a real remote.
"""

import logging
from dataclasses import dataclass, field

from stages.core.project.errors import InputError


@dataclass(frozen=True)
class Answer:
    """What the remote said."""

    remote: str
    """Its name in DVC's configuration."""
    missing: list[str] = field(default_factory=list)
    """Output and hash of each object that is not there: `models/train (0a1b2c….dir)`."""
    problem: str = ""
    """Why it could not be asked, or nothing."""


def missing_objects() -> Answer | None:
    """Ask the default remote for the objects of every output and every file of `dvc add`.

    Returns None if no default remote is set. Raises InputError if DVC cannot read the project.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        with Repo() as repo:
            name = repo.config["core"].get("remote")
            if not name:
                return None
            try:
                return Answer(name, missing_of(repo, name))
            # Each kind of remote raises errors of its own: of files, of a network, of its library.
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                return Answer(name, problem=reason)
    except DvcException as error:
        reason = " ".join(str(error).split())
        raise InputError(f"dvc: {reason}; run from the project's root folder") from None


def name() -> str | None:
    """Return the name of the default remote, or None. Raises InputError as `missing_objects`."""
    from dvc.config import Config, ConfigError

    try:
        found = Config.from_cwd()["core"].get("remote")
    except ConfigError as error:
        raise InputError(f"dvc: {' '.join(str(error).split())}") from None
    return None if found is None else str(found)


def missing_of(repo: "Repo", default: str) -> list[str]:  # type: ignore[name-defined]  # noqa: F821
    """Return output and hash of each object that its remote lacks."""
    missing = []
    # An output may name a remote of its own. None stands for the default remote.
    for remote, objects in repo.used_objs(force=True, push=True).items():
        place = remote if remote is not None else repo.cloud.get_remote_odb(default, "status")
        names = {}
        for each in objects:
            names[each.value] = str(each.obj_name or "")
        there = set(place.oids_exist(list(names)))
        for digest in sorted(set(names) - there):
            missing.append(f"{names[digest]} ({digest})")
    return sorted(missing)

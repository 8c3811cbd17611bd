"""What must be true before a release or a rollback begins."""

from lore.releasing import registered, restore_commit
from lore.releasing.listing import first_names
from lore.versions import version as versions
from lore.versions.dvc_cache import md5
from lore.versions.version import Version
from stages.core.project import artifacts, git
from stages.core.project.errors import InputError
from stages.core.project.params import parse

DISTILL_METRICS = "metrics/distill.json"
LISTED = 5
"""Files that a message names."""


def require_clean_workspace() -> None:
    """Raise InputError if a file here differs from the last commit, or an output from dvc.lock."""
    printed = git.read("-c", "core.quotePath=off", "status", "--porcelain") or b""
    # Each line is a status of two letters, a space and the path: " M params.yaml".
    changed = [line[3:] for line in printed.decode().splitlines()]
    if changed:
        raise InputError(
            f"not as in the last commit: {first_names(changed, LISTED)}; "
            "git commit them, or git stash --include-untracked"
        )
    workspace = versions.workspace()
    for problem in workspace.edited(list(workspace.outs)):
        raise InputError(f"{problem}; or dvc checkout restores it")


def require_new_tag(tag: str) -> None:
    """Raise InputError if there is such a tag already."""
    if git.output("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}") is None:
        return
    raise InputError(
        f"{tag}: there is such a release already ({versions.revision(f'refs/tags/{tag}').short}), "
        "and releases do not move; take the next number (lore versions lists them)"
    )


def require_registered(version: Version) -> registered.Registration:
    """Return where MLflow has the version.

    Raises InputError if it is not there, or if the version is not the result of one whole run.
    """
    registration = registered.registration_of(version)
    # No output on disk counts here: the version need not be the one in this folder.
    for problem in version.doubts([]):
        raise InputError(f"{version.label}: {problem} there, and commit")
    return registration


def require_free_in_mlflow(registration: registered.Registration, tag: str) -> None:
    """Raise InputError if MLflow knows a release of that number, perhaps of another clone."""
    from lore.releasing.alias import release_name, require_unreleased

    require_unreleased(registration.model, release_name(tag))


def require_gates(version: Version) -> None:
    """Raise InputError if the version's scores are not those that were judged, or fail a gate.

    `dvc repro evaluate` and experiments make scores without a judgement, so the gates of params.yaml
    are judged here once more, on the scores that the version has.
    """
    from stages.core.project.errors import GateError
    from stages.register import Params, judge_all, require_all

    require_judged_scores(version)
    scores = version.document(artifacts.EVALUATE_METRICS)
    if scores is None:
        raise InputError(
            f"{version.label}: no {artifacts.EVALUATE_METRICS}; dvc repro there, and commit"
        )
    problems: list[str] = []
    section = (version.document(artifacts.PARAMS) or {}).get("register") or {}
    params = parse(section, Params, "register", problems)
    if params is None:
        lines = "\n  ".join(problems)
        raise InputError(f"{artifacts.PARAMS} of {version.label}:\n  {lines}")
    # What the stage distill left says whether there is a student. Gates about one are skipped without it.
    distilled = version.document(DISTILL_METRICS) or {}
    no_student = distilled.get("left_out") is True
    judged, _ = judge_all(params.gates, scores, no_student)
    try:
        require_all(judged)
    except GateError as error:
        # Its first line is about a registration, and its last line advises experiments.
        failed = str(error).splitlines()[1:-1]
        lines = "\n".join(failed)
        raise InputError(
            f"{version.label}: {len(failed)} of {len(judged)} gates fail, so nothing was released:\n"
            f"{lines}\nImprove the model, or change register.gates of {artifacts.PARAMS}; then "
            "dvc repro, and commit"
        ) from None


def require_judged_scores(version: Version) -> None:
    """Raise InputError if `register` judged other scores or outputs than the version has."""
    entry = version.stages.get("register") or {}
    other = []
    for dep in entry.get("deps", []):
        path = dep["path"]
        made = version.outs.get(path)
        if made is not None and made != str(dep.get("md5")):
            other.append(path)
    scores = version.content(artifacts.EVALUATE_METRICS)
    recorded = version.outs.get(artifacts.EVALUATE_METRICS)
    if scores is not None and recorded is not None and md5(scores) != recorded:
        other.append(f"{artifacts.EVALUATE_METRICS} (not as in {artifacts.LOCK_FILE})")
    if other:
        raise InputError(
            f"{version.label}: the gates were judged on another {first_names(other, LISTED)}; "
            "dvc repro judges them again, then commit"
        )


def require_outputs(version: Version, remedy: str) -> None:
    """Raise InputError if an output of the version is neither in git nor in DVC's cache.

    The message names the missing files and ends with `remedy`, which says how to get them.
    """
    missing = restore_commit.missing_outputs(version)
    if missing:
        raise InputError(
            f"{version.label}: not in DVC's cache ({version.cache.folder}): "
            f"{first_names(missing, LISTED)}; {remedy}"
        )

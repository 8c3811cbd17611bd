"""MLflow's alias: the step that moves it, and the words for its move.

The alias is shared by all who use the MLflow store. So the step compares before it sets, holds the
model's lock meanwhile, reads again afterwards, and leaves a note of who moved the alias. The undo moves
the alias back only if nobody else has moved it since.
"""

import hashlib
import json
import re
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lore.releasing.registered import Registration
from lore.releasing.transaction import Plan, Step
from lore.versions.version import Version
from stages.core.project import artifacts
from stages.core.project.errors import InputError


def alias_plan(registration: Registration) -> dict[str, Any]:
    """Return the part of a plan that `alias_step` reads."""
    from stages.core.mlflow import registry

    return {
        "model": registration.model,
        "alias": registration.alias,
        "number": registration.number,
        "alias_before": registration.alias_now,
        "mover_before": registry.mover_of(registration.model, registration.alias),
        "token": uuid.uuid4().hex,
    }


def alias_step(plan: Plan) -> Step:
    """Return the step that moves the alias to the plan's model version, and back to where it was.

    Keys of the plan: `model`, `alias`, `number` (the version that the alias shall mean),
    `alias_before` (the version that it means now, None for no version), `token` (the name of this act),
    `mover_before` (the name of the act that moved the alias last). Of a release also `release`, its
    number, and `commit`. A plan without a token is named after what it says.
    """
    from stages.core.mlflow import registry

    model = plan["model"]
    alias = plan["alias"]
    number = plan["number"]
    before = plan["alias_before"]
    token = plan.get("token") or named_after(plan)
    release = plan.get("release")
    release_note = f"{plan.get('commit')} {token}"

    def move() -> None:
        with registry.locked(model, token):
            now = registry.alias_of(model, alias)
            if now != before:
                raise InputError(
                    f"{model}@{alias} meant version {before or 'none'} when this began, and now means "
                    f"version {now or 'none'}: somebody else moved it; look with lore versions, then "
                    "run the command again"
                )
            if release:
                require_unreleased(model, release)
                registry.note_release(model, number, release, release_note)
            registry.note_mover(model, alias, token)
            registry.move_alias(model, alias, number)
            now = registry.alias_of(model, alias)
            if now != number:
                raise InputError(
                    f"{model}@{alias} was set to version {number}, but means version {now or 'none'}: "
                    "another program moved it at the same moment; run the command again"
                )

    def move_back() -> None:
        # If the move was never made, a store that only can be read is enough.
        if not is_touched():
            return
        with registry.locked(model, token):
            now = registry.alias_of(model, alias)
            mover = registry.mover_of(model, alias)
            # The note goes before the move. An older Lorekeep left no note.
            is_ours = now == number and (mover == token or is_unnoted(plan, mover))
            if is_ours and now != before:
                registry.move_alias(model, alias, before)
            elif now not in (number, before):
                print(f"{model}@{alias} stays at version {now or 'none'}: somebody else moved it")
            elif now == number and not is_ours:
                print(f"{model}@{alias} stays at version {now}: somebody else set it too")
            if mover == token:
                registry.note_mover(model, alias, plan.get("mover_before"))
            if release and is_noted():
                registry.note_release(model, number, release, None)

    def is_touched() -> bool:
        """Tell whether the act left anything in the store."""
        if registry.alias_of(model, alias) != before:
            return True
        return registry.mover_of(model, alias) == token or is_noted()

    def is_noted() -> bool:
        """Tell whether the version carries this release's note."""
        if not release:
            return False
        return registry.releases_of(model, release).get(number) == release_note

    return Step("alias", move, move_back)


def named_after(plan: Plan) -> str:
    """Return a token for a plan that has none: a hash of all that it says, and of this clone.

    Two clones may have equal plans. The undo runs in the clone that made the plan.
    """
    place = [socket.gethostname(), str(Path.cwd().resolve())]
    written = json.dumps([plan, place], sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()[:32]


def is_unnoted(plan: Plan, mover: str | None) -> bool:
    """Tell whether the act may be one of an older Lorekeep, after which no other has come."""
    return "token" not in plan and mover is None


def release_name(tag: str) -> str:
    """Return how MLflow's tags name a release: 1.2.0 for knowledge@v1.2.0.

    A tag with another beginning, as in a folder of a larger repository, is kept whole, without the
    characters that MLflow forbids.
    """
    return re.sub(r"[^\w.-]", "-", tag.removeprefix("knowledge@v"))


def require_unreleased(model: str, release: str) -> None:
    """Raise InputError if MLflow knows a release of that number, such as 1.2.0."""
    from stages.core.mlflow import registry

    for number, note in registry.releases_of(model, release).items():
        commit = note.split()[0]
        raise InputError(
            f"{release} is released already, as version {number} of {model} (commit {commit[:9]}), by "
            "another clone or before its tag was deleted; git fetch --tags brings a tag that was "
            "pushed. Take the next number. If that release was given up, remove the tag "
            f"release.{release} of that version in MLflow"
        )


def meanings(version: Version, names: Mapping[str, str]) -> list[str]:
    """Return a line for each alias of the version's params.yaml: what it means in MLflow.

    `names` holds identity → name of the knowledge versions that are known, such as knowledge@v1.1.0.
    Example: `elements@champion: version 2, which is knowledge@v1.1.0 (released)`. Empty where no store
    is set. A store that fails gives one line that says why.
    """
    from stages.core.mlflow import registry

    section = (version.document(artifacts.PARAMS) or {}).get("register") or {}
    model = section.get("model")
    roles = {section.get("alias"): "released", section.get("candidate"): "passed its gates last"}
    if not model or not registry.is_there():
        return []
    lines = []
    try:
        aliases = registry.aliases(model)
        for alias, role in roles.items():
            if alias not in aliases:
                continue
            number = str(aliases[alias])
            identity = registry.identity_of(model, number) or "none"
            name = names.get(identity, f"none of these, identity {identity[:12]}")
            lines.append(f"{model}@{alias}: version {number}, which is {name} ({role})")
    except InputError as error:
        lines.append(f"! {error}")
    return lines


def alias_change(registration: Registration) -> str:
    """Return where the alias would move: `elements@champion: version 1 → 2`."""
    name = f"{registration.model}@{registration.alias}"
    now = registration.alias_now
    if now == registration.number:
        return f"{name}: version {now}, as it is"
    if now is None:
        now = "none"
    return f"{name}: version {now} → {registration.number}"

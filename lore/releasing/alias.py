"""MLflow's alias: the step that moves it, and the words for its move."""

from lore.releasing.registered import Registration
from lore.releasing.transaction import Plan, Step


def alias_step(plan: Plan) -> Step:
    """Return the step that moves the alias to the plan's model version, and back to where it was.

    Keys of the plan: `model`, `alias`, `number` (the version that the alias shall mean) and
    `alias_before` (the version that it means now, None for no version).
    """
    from stages.core.mlflow import registry

    model = plan["model"]
    alias = plan["alias"]

    def move() -> None:
        registry.move_alias(model, alias, plan["number"])

    def move_back() -> None:
        # If the move was never made, a store that only can be read is enough.
        if registry.alias_of(model, alias) != plan["alias_before"]:
            registry.move_alias(model, alias, plan["alias_before"])

    return Step("alias", move, move_back)


def alias_change(registration: Registration) -> str:
    """Return where the alias would move: `elements@champion: version 1 → 2`."""
    name = f"{registration.model}@{registration.alias}"
    now = registration.alias_now
    if now == registration.number:
        return f"{name}: version {now}, as it is"
    if now is None:
        now = "none"
    return f"{name}: version {now} → {registration.number}"

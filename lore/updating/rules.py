"""Whether to train now: rules that a reader can check, and the reason that they give."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lore.updating.changes import Changes

When = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Decision:
    """Train or not, and why."""

    train: bool
    why: str


def decide(changes: "Changes", when: When, least_facts: int) -> Decision:
    """Decide whether the weights shall follow the records now.

    `auto` trains where at least `least_facts` facts differ from the trained ones.
    """
    count = changes.count()
    if when == "always":
        return Decision(True, "--train always")
    if when == "never":
        return Decision(False, "--train never")
    if count == 0:
        return Decision(False, "the model was trained on these facts")
    if count < least_facts:
        return Decision(
            False, f"{count:,} facts differ, and --least-facts asks for {least_facts:,}"
        )
    return Decision(True, f"{count:,} facts differ from those that were trained")

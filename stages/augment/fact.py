"""A fact in words, and the rows that are made of it."""

from typing import Any, NamedTuple

from stages.augment.wordings import Attribute
from stages.core.records import record
from stages.core.records.prompt import training_text
from stages.core.records.wording import fill
from stages.core.repeatable.seeding import derive

Row = dict[str, Any]


class Fact(NamedTuple):
    """A fact in words."""

    id: str
    subject: str
    attribute: str
    value: str
    unit: str | None
    answer: str
    """The full sentence that answers every question about it."""
    common: Row
    """Fields that all its rows share."""

    @property
    def amount(self) -> str:
        """Value and unit."""
        return " ".join(part for part in (self.value, self.unit) if part)

    @property
    def number(self) -> float | None:
        """The value as a number. None for words."""
        return number_in(self.value)

    def row(self, split: str, kind: str, number: int, text: str) -> Row:
        """Return one training text. `number` tells texts of one split and kind apart."""
        locator = f"{self.id}/{split}/{kind}/{number:02d}"
        own = {"split": split, "kind": kind, "text": text}
        return self.common | identity(locator) | own

    def question(self, split: str, number: int, template: str) -> Row:
        """Return one question–answer pair in a wording that names the subject."""
        question = fill(template, subject=self.subject)
        return self.pair(split, f"qa/{number:02d}", question, self.answer)

    def pair(self, split: str, place: str, question: str, answer: str) -> Row:
        """Return any question–answer pair. `place` tells pairs of one split apart."""
        locator = f"{self.id}/{split}/{place}"
        text = training_text(question, answer)
        own = {"split": split, "kind": "qa", "text": text, "question": question, "answer": answer}
        return self.common | identity(locator) | own


def fact_of(group: list[Row], wording: Attribute) -> Fact:
    """Return the fact of its records. The first one has the highest priority."""
    best = group[0]
    value = " ".join(part for part in (best["value"], best["unit"]) if part)
    answer = fill(wording.answer, subject=best["subject"], value=value)
    shared = ("fact", "subject", "attribute", "value", "unit", "lang")
    common = {name: best[name] for name in shared}
    common["parents"] = [row["id"] for row in group]
    return Fact(
        id=best["fact"],
        subject=best["subject"],
        attribute=best["attribute"],
        value=best["value"],
        unit=best["unit"],
        answer=answer,
        common=common,
    )


def identity(locator: str) -> Row:
    """Return the fields that identify a record of this stage."""
    return {
        "id": record.record_id("augment", locator),
        "source": "augment",
        "locator": locator,
    }


def draw(templates: list[str], wanted: int, seed: int, fact: str) -> list[str]:
    """Draw `wanted` templates for a fact: those with the smallest hash of seed, fact and template.

    So whether one template precedes another does not depend on the rest of the list.
    """
    ranked = sorted(templates, key=lambda template: derive(seed, "wording", fact, template))
    return ranked[:wanted]


def number_in(value: str) -> float | None:
    """Return a value that is a plain decimal number, as clean writes quantities, else None."""
    try:
        return float(value)
    except ValueError:
        return None

"""The wordings file: per attribute an answer sentence and three disjoint sets of wordings."""

import difflib
from dataclasses import replace
from pathlib import Path

from pydantic.dataclasses import dataclass

from stages.core.errors import ParamsError
from stages.core.params import STRICT, parse, read_yaml
from stages.core.record import fold
from stages.core.wording import normalise


@dataclass(frozen=True, config=STRICT)
class Train:
    """Wordings to learn from."""

    statements: list[str]
    questions: list[str]


@dataclass(frozen=True, config=STRICT)
class Asked:
    """Wordings to ask in."""

    questions: list[str]


@dataclass(frozen=True, config=STRICT)
class Attribute:
    """How one attribute is put into words."""

    terms: list[str]
    answer: str
    train: Train
    valid: Asked
    probe: Asked

    @property
    def protected(self) -> set[str]:
        """Words that no synonym may replace."""
        return {fold(term) for term in self.terms}

    def templates(self) -> set[str]:
        """All templates, normalised."""
        return {normalise(template) for _, template in self.sets()}

    def sets(self) -> list[tuple[str, str]]:
        """(set, template) of every wording."""
        named = [("train", template) for template in self.train.statements + self.train.questions]
        named += [("valid", template) for template in self.valid.questions]
        return named + [("probe", template) for template in self.probe.questions]

    def extended(self, statements: list[str], questions: list[str]) -> "Attribute":
        """A copy with more train wordings."""
        train = Train(self.train.statements + statements, self.train.questions + questions)
        return replace(self, train=train)


def read_wordings(path: Path, needed: list[str]) -> dict[str, Attribute]:
    """Wordings of every attribute. Raises ParamsError with all problems of the file."""
    document = read_yaml(path)
    problems = [f"{key}: unknown; the file holds `attributes` only" for key in document if key != "attributes"]
    parsed = parse(document.get("attributes"), dict[str, Attribute], "attributes", problems) or {}
    for name, attribute in parsed.items():
        problems += check(name, attribute)
    if parsed:
        for name in needed:
            if name not in parsed:
                near = difflib.get_close_matches(name, parsed, n=1)
                hint = f"; did you mean it with {near[0]!r}?" if near else ""
                problems.append(f"attributes.{name}: missing, but the records have facts about it{hint}")
    if problems:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return parsed


def check(name: str, attribute: Attribute) -> list[str]:
    """Problems of one attribute: slots that are missing, empty sets, wordings that two sets share."""
    where = f"attributes.{name}"
    problems = [f"{where}.answer: {{{slot}}} is missing" for slot in ("subject", "value") if slot not in slots(attribute.answer)]
    for statement in attribute.train.statements:
        if slots(statement) != {"subject", "value"}:
            problems.append(f"{where}.train.statements: {statement!r} needs {{subject}} and {{value}}")
    asked = {"train": attribute.train.questions, "valid": attribute.valid.questions, "probe": attribute.probe.questions}
    for split, questions in asked.items():
        if not questions:
            problems.append(f"{where}.{split}.questions: at least one is needed")
        for question in questions:
            if slots(question) != {"subject"}:
                problems.append(f"{where}.{split}.questions: {question!r} needs {{subject}} and no other slot")
    seen: dict[str, tuple[str, str]] = {}
    for split, template in attribute.sets():
        first, other = seen.setdefault(normalise(template), (split, template))
        if first != split:
            problems.append(f"{where}: {split} and {first} share a wording: {template!r} and {other!r}")
    return problems


def slots(template: str) -> set[str]:
    """Names of the slots in a template."""
    return {name for name in ("subject", "value") if f"{{{name}}}" in template}

"""The wordings file: per attribute an answer sentence and three disjoint sets of wordings.

Refused, all at once: unknown and missing keys, missing or unknown slots, fewer wordings than the parameters ask for, a
wording that stands twice, and one that two sets share; within an attribute the order of the words does not make a
difference, and questions must differ between attributes too.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from string import Formatter

from pydantic.dataclasses import dataclass

from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT, parse, read_yaml
from stages.core.records.record import fold
from stages.core.records.wording import normalise


@dataclass(frozen=True, config=STRICT)
class Train:
    """Wordings to learn from."""

    statements: list[str]
    """Sentences with {subject} and {value}."""
    questions: list[str]
    """Questions with {subject}."""


@dataclass(frozen=True, config=STRICT)
class Asked:
    """Wordings to ask in."""

    questions: list[str]
    """Questions with {subject}."""


@dataclass(frozen=True, config=STRICT)
class Attribute:
    """How one attribute is put into words."""

    terms: list[str]
    """Words that belong to the attribute: no synonym replaces them."""
    answer: str
    """The one full sentence that answers any question about the attribute, with {subject} and {value}."""
    train: Train
    """Learned from."""
    valid: Asked
    """Decides when to stop training."""
    probe: Asked
    """Asked once, in evaluate."""

    def sets(self) -> Iterator[tuple[str, str]]:
        """(key path, template) of every wording."""
        for number, template in enumerate(self.train.statements):
            yield f"train.statements.{number}", template
        for split, questions in self.questions().items():
            for number, template in enumerate(questions):
                yield f"{split}.questions.{number}", template

    def questions(self) -> dict[str, list[str]]:
        """The questions of each set."""
        return {
            "train": self.train.questions,
            "valid": self.valid.questions,
            "probe": self.probe.questions,
        }

    def extended(self, statements: list[str], questions: list[str]) -> "Attribute":
        """A copy with more train wordings."""
        train = Train(self.train.statements + statements, self.train.questions + questions)
        return replace(self, train=train)


def read_wordings(
    path: Path, needed: Iterable[str], statements: int, questions: int
) -> dict[str, Attribute]:
    """Wordings of every attribute; those `needed` must have that many of each. Raises ParamsError with all problems."""
    document = read_yaml(path)
    problems = [
        f"{key}: unknown; the file holds `attributes` only"
        for key in document
        if key != "attributes"
    ]
    if "attributes" not in document:
        problems.append("attributes: missing")
    parsed = parse(document.get("attributes", {}), dict[str, Attribute], "attributes", problems)
    if parsed is not None:
        for name, attribute in parsed.items():
            problems += [*wrong_slots(name, attribute), *repeated(name, attribute)]
        problems += [*ambiguous(parsed), *missing(parsed, needed, statements, questions)]
    if problems or parsed is None:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return parsed


def wrong_slots(name: str, attribute: Attribute) -> Iterator[str]:
    """Problems with slots, each with its key path."""
    expected = [("answer", attribute.answer, {"subject", "value"})]
    for key, template in attribute.sets():
        expected.append(
            (key, template, {"subject", "value"} if ".statements." in key else {"subject"})
        )
    for key, template, wanted in expected:
        found = slots(template)
        if found != wanted:
            listed = " and ".join(f"{{{slot}}}" for slot in sorted(wanted))
            yield f"attributes.{name}.{key}: {template!r} needs {listed} and no other slot"


def repeated(name: str, attribute: Attribute) -> Iterator[str]:
    """Wordings of one attribute that stand twice, or in two sets with their words in another order at most."""
    exact: dict[str, str] = {}
    unordered: dict[str, tuple[str, str]] = {}
    for key, template in attribute.sets():
        where, split, same = f"attributes.{name}.{key}", key.split(".")[0], normalise(template)
        words = " ".join(sorted(same.split()))
        other, other_key = unordered.setdefault(words, (template, key))
        if same in exact and exact[same].split(".")[0] == split:
            yield f"{where}: {template!r} stands at {exact[same]} already"
        elif other_key.split(".")[0] != split:
            yield f"{where}: {template!r} has the words of {other!r} at {other_key}; the sets must not share wordings"
        exact.setdefault(same, key)


def ambiguous(parsed: dict[str, Attribute]) -> Iterator[str]:
    """Questions that two attributes share: nobody could tell which answer is wanted."""
    seen: dict[str, tuple[str, str]] = {}
    for name, attribute in parsed.items():
        for key, template in attribute.sets():
            owner, other = seen.setdefault(normalise(template), (name, key))
            if owner != name and ".questions." in key + other:
                yield f"attributes.{name}.{key}: {template!r} stands at attributes.{owner}.{other} too"


def missing(
    parsed: dict[str, Attribute], needed: Iterable[str], statements: int, questions: int
) -> Iterator[str]:
    """Attributes of the records that have no wordings, or too few."""
    for name in needed:
        if name not in parsed:
            near = difflib.get_close_matches(name, parsed, n=1)
            hint = f"; did you mean it with {near[0]!r}?" if near else ""
            yield f"attributes.{name}: missing, but the records have facts about it{hint}"
            continue
        least = {"train": questions, "valid": 1, "probe": 1}
        counts = [
            (f"{split}.questions", len(have), least[split])
            for split, have in parsed[name].questions().items()
        ]
        for key, have, want in [
            ("train.statements", len(parsed[name].train.statements), statements),
            *counts,
        ]:
            if have < want:
                yield f"attributes.{name}.{key}: {have} wordings, {want} are needed (params.yaml, augment)"


def terms_of(name: str, attribute: Attribute) -> set[str]:
    """Words that belong to an attribute: its name's and its terms'."""
    return {word for term in (name, *attribute.terms) for word in fold(term).split()}


def slots(template: str) -> set[str]:
    """The slots of a template as they stand between braces, or what is wrong with its braces."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        return {str(error)}
    return {
        f"{name}{conversion or ''}{spec}" for _, name, spec, conversion in parts if name is not None
    }

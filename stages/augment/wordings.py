"""The wordings file: for each attribute an answer sentence and three disjoint sets of wordings.

A probe is of one of three kinds. A stated one names the subject and asks for the value. A reversed one
names the value and asks for the subject. A comparison names two subjects and asks which has the larger
(or the smaller) value.

All problems are reported at once: unknown and missing keys, missing or unknown slots, fewer wordings
than the parameters ask for, a wording that occurs twice, and a wording that two sets share. Within an
attribute, two sets share a wording even if the order of its words differs. A question may not belong
to two attributes.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

from pydantic.dataclasses import dataclass

from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT, parse, read_yaml
from stages.core.records.record import fold
from stages.core.records.wording import normalise

STATEMENT_SLOTS = {"subject", "value"}
QUESTION_SLOTS = {"subject"}
REVERSED_SLOTS = {"value"}
COMPARISON_SLOTS = {"subject", "other"}


@dataclass(frozen=True, config=STRICT)
class Train:
    """Wordings to learn from."""

    statements: list[str]
    """Sentences with {subject} and {value}."""
    questions: list[str]
    """Questions with {subject}."""
    reversed: list[str] = field(default_factory=list)
    """Questions with {value} that ask for the subject. They are learned where one subject alone has the
    value."""


@dataclass(frozen=True, config=STRICT)
class Asked:
    """Wordings of questions that are asked and not learned."""

    questions: list[str]
    """Questions with {subject}."""


@dataclass(frozen=True, config=STRICT)
class Comparison:
    """Questions about two subjects, of an attribute whose values are numbers."""

    larger: list[str] = field(default_factory=list)
    """Questions with {subject} and {other}. The subject with the larger value is the answer."""
    smaller: list[str] = field(default_factory=list)
    """Questions with {subject} and {other}. The subject with the smaller value is the answer."""


@dataclass(frozen=True, config=STRICT)
class Probe(Asked):
    """Wordings that evaluate asks."""

    reversed: list[str] = field(default_factory=list)
    """Questions with {value} that ask for the subject. They are asked where one subject alone has the
    value."""
    comparison: Comparison = field(default_factory=Comparison)
    """Questions that compare two subjects."""


class Wording(NamedTuple):
    """One wording and its place in the file."""

    split: str
    """train, valid or probe."""
    kind: str
    """statements, questions, reversed, comparison.larger or comparison.smaller."""
    number: int
    template: str

    @property
    def key(self) -> str:
        """Key path below the attribute, such as `train.questions.3`."""
        return f"{self.split}.{self.kind}.{self.number}"


@dataclass(frozen=True, config=STRICT)
class Attribute:
    """The wordings of one attribute."""

    terms: list[str]
    """Words that belong to the attribute: no synonym replaces them."""
    answer: str
    """The full sentence that answers every question about the attribute, with {subject} and {value}."""
    train: Train
    """Wordings that are learned."""
    valid: Asked
    """Wordings that decide when to stop training."""
    probe: Probe
    """Wordings that evaluate asks."""
    names: list[str] = field(default_factory=list)
    """Names of the attribute, as people say them: `melting point`, `melting temperature`. Reading rows
    put them into sentences. Without any, they use the attribute's own name."""

    def wordings(self) -> Iterator[Wording]:
        """Yield all wordings but the answer."""
        for number, template in enumerate(self.train.statements):
            yield Wording("train", "statements", number, template)
        for number, template in enumerate(self.train.reversed):
            yield Wording("train", "reversed", number, template)
        for split, questions in self.questions().items():
            for number, template in enumerate(questions):
                yield Wording(split, "questions", number, template)
        for kind, templates in self.other_probes().items():
            for number, template in enumerate(templates):
                yield Wording("probe", kind, number, template)

    def questions(self) -> dict[str, list[str]]:
        """Return the questions of each set."""
        return {
            "train": self.train.questions,
            "valid": self.valid.questions,
            "probe": self.probe.questions,
        }

    def other_probes(self) -> dict[str, list[str]]:
        """Return the probes that are not stated, by their kind."""
        return {
            "reversed": self.probe.reversed,
            "comparison.larger": self.probe.comparison.larger,
            "comparison.smaller": self.probe.comparison.smaller,
        }

    def extended(self, statements: list[str], questions: list[str]) -> "Attribute":
        """Return a copy with more wordings to learn from."""
        train = replace(
            self.train,
            statements=self.train.statements + statements,
            questions=self.train.questions + questions,
        )
        return replace(self, train=train)


def read_wordings(
    path: Path, needed: Iterable[str], statements: int, questions: int
) -> dict[str, Attribute]:
    """Read the wordings of every attribute.

    Attributes in `needed` must have so many `statements` and `questions` to learn from.
    Raises ParamsError with all problems.
    """
    document = read_yaml(path)
    problems = []
    for key in document:
        if key != "attributes":
            problems.append(f"{key}: unknown; the file holds `attributes` only")
    if "attributes" not in document:
        problems.append("attributes: missing")
    attributes = parse(document.get("attributes", {}), dict[str, Attribute], "attributes", problems)
    if attributes is not None:
        for name, attribute in attributes.items():
            problems += wrong_slots(name, attribute)
            problems += repeated(name, attribute)
        problems += ambiguous(attributes)
        problems += missing(attributes, needed, statements, questions)
    if problems or attributes is None:
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))
    return attributes


def check_enough(
    path: Path,
    attributes: dict[str, Attribute],
    needed: Iterable[str],
    statements: int,
    questions: int,
    explanation: list[str],
) -> None:
    """Check that attributes from the wordings file and from the teacher together have enough wordings.

    Raises ParamsError with all problems, and with the `explanation` why the teacher's are not enough.
    """
    problems = list(missing(attributes, needed, statements, questions))
    if problems:
        problems.append(
            "the teacher's wordings that passed the checks are counted; ask for more "
            "(augment.teacher.ask), say what the attribute is (augment.teacher.about), or write an entry"
        )
        problems += explanation
        raise ParamsError(f"{path}:\n" + "\n".join(f"  {line}" for line in problems))


def as_document(attributes: dict[str, Attribute]) -> dict[str, Any]:
    """Return attributes in the form in which the wordings file holds them."""
    document: dict[str, Any] = {}
    for name, attribute in attributes.items():
        document[name] = {
            "terms": attribute.terms,
            "names": attribute.names,
            "answer": attribute.answer,
            "train": {
                "statements": attribute.train.statements,
                "questions": attribute.train.questions,
            },
            "valid": {"questions": attribute.valid.questions},
            "probe": {"questions": attribute.probe.questions},
        }
    return document


def wrong_slots(name: str, attribute: Attribute) -> Iterator[str]:
    """Yield the problems with slots, each with its key path."""
    slots_of_kind = {
        "statements": STATEMENT_SLOTS,
        "questions": QUESTION_SLOTS,
        "reversed": REVERSED_SLOTS,
        "comparison.larger": COMPARISON_SLOTS,
        "comparison.smaller": COMPARISON_SLOTS,
    }
    expected = [("answer", attribute.answer, STATEMENT_SLOTS)]
    for wording in attribute.wordings():
        expected.append((wording.key, wording.template, slots_of_kind[wording.kind]))
    for key, template, wanted in expected:
        if slots(template) != wanted:
            listed = " and ".join(f"{{{slot}}}" for slot in sorted(wanted))
            yield f"attributes.{name}.{key}: {template!r} needs {listed} and no other slot"


def repeated(name: str, attribute: Attribute) -> Iterator[str]:
    """Yield wordings that occur twice in one set, or with any order of words in two sets or kinds of
    probes."""
    by_text: dict[str, Wording] = {}
    by_words: dict[str, Wording] = {}
    for wording in attribute.wordings():
        where = f"attributes.{name}.{wording.key}"
        text = normalise(wording.template)
        words = " ".join(sorted(text.split()))
        same_text = by_text.setdefault(text, wording)
        same_words = by_words.setdefault(words, wording)
        if same_text is not wording and same_text.split == wording.split:
            yield f"{where}: {wording.template!r} stands at {same_text.key} already"
        elif same_words.split != wording.split:
            yield (
                f"{where}: {wording.template!r} has the words of {same_words.template!r} "
                f"at {same_words.key}; the sets must not share wordings"
            )


def ambiguous(attributes: dict[str, Attribute]) -> Iterator[str]:
    """Yield questions that two attributes share: nobody could tell which answer is wanted."""
    seen: dict[str, tuple[str, Wording]] = {}
    for name, attribute in attributes.items():
        for wording in attribute.wordings():
            text = normalise(wording.template)
            owner, other = seen.setdefault(text, (name, wording))
            if owner == name:
                continue
            if wording.kind != "statements" or other.kind != "statements":
                yield (
                    f"attributes.{name}.{wording.key}: {wording.template!r} "
                    f"stands at attributes.{owner}.{other.key} too"
                )


def missing(
    attributes: dict[str, Attribute], needed: Iterable[str], statements: int, questions: int
) -> Iterator[str]:
    """Yield the needed attributes that have no wordings, or too few."""
    for name in needed:
        if name not in attributes:
            near = difflib.get_close_matches(name, attributes, n=1)
            hint = f"; did you mean it with {near[0]!r}?" if near else ""
            yield (
                f"attributes.{name}: missing, but the records have facts about it; "
                f"write an entry for it in data/raw/wordings.yaml{hint}"
            )
            continue
        attribute = attributes[name]
        counts = [
            ("train.statements", len(attribute.train.statements), statements),
            ("train.questions", len(attribute.train.questions), questions),
            ("valid.questions", len(attribute.valid.questions), 1),
            ("probe.questions", len(attribute.probe.questions), 1),
        ]
        for key, count, wanted in counts:
            if count < wanted:
                yield (
                    f"attributes.{name}.{key}: {count} wordings, {wanted} are needed "
                    "(params.yaml, augment)"
                )


def terms_of(name: str, attribute: Attribute) -> set[str]:
    """Return the words that belong to an attribute: those of its name and of its terms."""
    words: set[str] = set()
    for term in (name, *attribute.terms):
        words.update(fold(term).split())
    return words


def telling_words(attributes: Mapping[str, Attribute]) -> dict[str, set[str]]:
    """Return the terms that belong to one attribute alone, by attribute.

    Example: `melting`, but not `temperature`, which tells nothing between melting and boiling point.
    """
    owners: dict[str, set[str]] = {}
    for name, attribute in attributes.items():
        for word in terms_of(name, attribute):
            owners.setdefault(word, set()).add(name)
    telling: dict[str, set[str]] = {name: set() for name in attributes}
    for word, names in owners.items():
        if len(names) == 1:
            telling[names.pop()].add(word)
    return telling


def slots(template: str) -> set[str]:
    """Return the slots of a template as they are between braces, or the error in its braces.

    A slot with a conversion or a format, such as `{value!r}` or `{value:.2f}`, is another slot.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        return {str(error)}
    names = set()
    for _, name, spec, conversion in parts:
        if name is not None:
            names.add(f"{name}{conversion or ''}{spec}")
    return names

"""The rules of compliance: what an answer must not say, and what it must not leave out (`compliance.yaml`)."""

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT, parse, read_yaml
from stages.core.records.record import Record, fold

ByLanguage = dict[str, list[str]]


@dataclass(frozen=True, config=STRICT)
class About:
    """The questions for which a rule holds. An empty list stands for all."""

    subjects: list[str]
    attributes: list[str]

    def holds_for(self, record: Record) -> bool:
        """Return whether the rule holds for the question of a record."""
        of_subject = not self.subjects or among(record["subject"], self.subjects)
        of_attribute = not self.attributes or among(record["attribute"], self.attributes)
        return of_subject and of_attribute


def among(name: str | None, names: Sequence[str]) -> bool:
    """Return whether a name is one of others, whatever its case."""
    return fold(name or "") in {fold(other) for other in names}


@dataclass(frozen=True, config=STRICT)
class Forbidden:
    """Claims that no answer may make."""

    id: str
    about: About
    claims: ByLanguage


@dataclass(frozen=True, config=STRICT)
class Required:
    """Sentences of which an answer needs one."""

    id: str
    about: About
    caveats: ByLanguage


@dataclass(frozen=True, config=STRICT)
class Rules:
    """The whole file."""

    evasive: ByLanguage = field(default_factory=dict)
    """Answers that say nothing."""
    forbidden: list[Forbidden] = field(default_factory=list)
    required: list[Required] = field(default_factory=list)


def read(path: Path) -> Rules:
    """Read the rules. Raises ParamsError, with every problem that was found."""
    found: list[str] = []
    rules = parse(read_yaml(path), Rules, "compliance", found)
    if rules is not None:
        found += problems(rules)
    if found or rules is None:
        raise ParamsError("\n  ".join([f"{path}:", *found]))
    return rules


def problems(rules: Rules) -> list[str]:
    """Return a line for each rule that cannot be used."""
    found = texts_missing("evasive", rules.evasive)
    ids: set[str] = set()
    for kind, listed in (("forbidden", rules.forbidden), ("required", rules.required)):
        for rule in listed:
            where = f"{kind}.{rule.id}"
            if rule.id in ids:
                found.append(f"{where}: this id stands twice; give each rule its own")
            ids.add(rule.id)
            texts = rule.claims if isinstance(rule, Forbidden) else rule.caveats
            if not texts:
                found.append(f"{where}: no sentence; write one for a language, such as en: […]")
            found += texts_missing(where, texts)
    return found


def texts_missing(where: str, by_language: ByLanguage) -> list[str]:
    """Return a line for each language without a sentence, and for each empty or unusable sentence."""
    found = []
    for language, texts in by_language.items():
        if not texts:
            found.append(f"{where}.{language}: no sentence; write one, or leave the language out")
        for text in texts:
            if not text.strip():
                found.append(f"{where}.{language}: an empty sentence; remove it")
                continue
            try:
                text.format(subject="", attribute="")
            except (KeyError, IndexError, ValueError, AttributeError):
                found.append(
                    f"{where}.{language}: {text!r} has other braces than {{subject}} and {{attribute}}; "
                    "write {{ for a brace"
                )
    return found


def filled(text: str, record: Record) -> str:
    """Return a sentence about the subject and attribute of a record, with a capital at its begin."""
    names: dict[str, Any] = {"subject": record["subject"], "attribute": record["attribute"]}
    sentence = text.format(**names)
    return sentence[:1].upper() + sentence[1:]


def of_split(texts: Sequence[str], held_out: bool) -> Sequence[str]:
    """Return the wordings to learn from, or that to test with, which is the last one.

    A single wording serves both.
    """
    if len(texts) < 2:
        return texts
    return texts[-1:] if held_out else texts[:-1]

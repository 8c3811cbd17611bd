"""The pairs of answers that a person judges: blind, in an order that the seed decides.

A pair has a question and the answers of two models: two variants of one version, or one variant of two versions.
Their answers come from the table of `evaluate`, so nothing is generated. Equal answers are left out. Which of the
two stands first is decided by a hash of seed, question and answers, and so is the order of the pairs.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.core.project import artifacts
from stages.core.project.errors import InputError
from stages.core.records.feedback import LONGEST, Judgement
from stages.core.repeatable.seeding import derive

if TYPE_CHECKING:
    from lore.versions.version import Version

COLUMNS = ("fact", "variant", "question", "answer")


class Pair(NamedTuple):
    """A question and two answers, in the order in which they are shown."""

    question: str
    first: str
    second: str
    origin: tuple[str, ...]
    """Where first and second came from. It is never shown."""


def answers_of(version: "Version", variant: str) -> dict[str, str]:
    """Return question → answer of a variant. Raises InputError where the version has no such answers."""
    found: dict[str, str] = {}
    variants: set[str] = set()
    for row in version.table(artifacts.ANSWERS, COLUMNS).to_pylist():
        variants.add(row["variant"])
        if row["variant"] == variant:
            found[row["question"]] = row["answer"]
    if not found:
        there = ", ".join(sorted(variants)) or "none"
        raise InputError(
            f"{version.label}: no answers of {variant!r}; there are those of {there} (lore feedback --models)"
        )
    return found


def of_answers(
    one: Mapping[str, str], other: Mapping[str, str], names: tuple[str, str]
) -> list[Pair]:
    """Return the questions that both answered, where the answers differ."""
    pairs = []
    for question in sorted(set(one) & set(other)):
        if one[question].strip() != other[question].strip():
            pairs.append(Pair(question, one[question], other[question], names))
    return pairs


def of_file(path: Path) -> list[Pair]:
    """Return the pairs of a JSON Lines file with `question`, `first` and `second` in each line.

    Raises InputError where the file or a line cannot be read, naming the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: not found; name a file of JSON Lines") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason}); save it as UTF-8") from None
    pairs = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            pairs.append(pair_of(line, f"{path}, line {number}"))
    return pairs


def pair_of(line: str, where: str) -> Pair:
    """Return the pair of a line. Raises InputError where it is none."""
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{where}: no JSON; write one object in each line") from None
    texts = []
    for key in ("question", "first", "second"):
        value = row.get(key) if isinstance(row, dict) else None
        if not isinstance(value, str) or not value.strip() or len(value) > LONGEST:
            raise InputError(
                f'{where}: no text {key!r}; write {{"question": "…", "first": "…", "second": "…"}}'
            )
        texts.append(value)
    question, first, second = texts
    if first == second:
        raise InputError(f"{where}: the two answers are the same; a person cannot choose")
    return Pair(question, first, second, ("first of the file", "second of the file"))


def mixed(pairs: Iterable[Pair], seed: int) -> list[Pair]:
    """Return the pairs in an order that the seed decides, and each with its answers in such an order."""
    ordered = sorted(pairs, key=lambda pair: derive(seed, "feedback order", *texts(pair)))
    found = []
    for pair in ordered:
        # From an order that does not depend on which side was named first.
        shown = turned(pair) if pair.first > pair.second else pair
        if derive(seed, "feedback side", *texts(pair)) % 2:
            shown = turned(shown)
        found.append(shown)
    return found


def turned(pair: Pair) -> Pair:
    """Return a pair with its answers the other way round."""
    return Pair(pair.question, pair.second, pair.first, pair.origin[::-1])


def texts(pair: Pair) -> tuple[str, str, str]:
    """Return the question and the answers in an order that does not depend on who gave them."""
    one, other = sorted((pair.first, pair.second))
    return pair.question, one, other


def not_judged(pairs: Sequence[Pair], judgements: Iterable[Judgement], who: str) -> list[Pair]:
    """Return the pairs that this person has not judged."""
    judged = set()
    for judgement in judgements:
        if judgement.who == who:
            judged.add(texts(Pair(judgement.question, judgement.first, judgement.second, ())))
    return [pair for pair in pairs if texts(pair) not in judged]

"""Which fact a question is about: a search among the records by words, without any model. Deterministic."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from stages.core.records import record

Row = dict[str, Any]
WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")  # a Chinese character counts as a word
FUNCTION_WORDS = frozenset(
    "a an and are as at be by can could did do does for from give had has have how i in is it its me name of on or please "
    "tell that the this to was were what when where which who whom whose why will with would you".split()
)
"""They may tell attributes apart (who, when), but a question that shares nothing else with an attribute is not about it."""


def match(question: str, records: Sequence[Row], wordings: Sequence[Row]) -> str | None:
    """Id of the fact that the question is about, or None.

    `records` are facts, `wordings` the questions that augment made of them. The subject is the longest known one whose
    words the question has. The attribute is the one of the wording that has the question's other words, else the likeliest
    one; the subject must have a fact of it.
    """
    asked = words(question)
    named = [
        name for name in {row["subject"] for row in records} if words(name) and words(name) <= asked
    ]
    if not named:
        return None
    subject = max(named, key=lambda name: (len(name), name))
    known = [
        (row["attribute"], words(row["question"]) - words(row["subject"]))
        for row in wordings
        if row["fact"] and row["question"]
    ]
    rest = asked - words(subject)
    owners = {attribute for attribute, wording in known if wording == rest}
    attribute = owners.pop() if len(owners) == 1 else likeliest(rest, word_shares(known))
    facts = {
        row["attribute"]: str(row["fact"])
        for row in records
        if record.fold(row["subject"]) == record.fold(subject)
    }
    return facts.get(attribute) if attribute else None


def likeliest(asked: set[str], shares: dict[str, dict[str, float]]) -> str | None:
    """The attribute with the largest sum, over the words asked, of (share of its wordings with the word) / (number of
    attributes with the word)²; a word that more than half of the attributes use counts nothing. None unless a word that
    counts for it is more than a function word."""
    uses = {word: sum(word in known for known in shares.values()) for word in asked}
    telling = {word: n for word, n in sorted(uses.items()) if 0 < n <= max(1, len(shares) // 2)}
    scores = {
        name: sum(known.get(word, 0.0) / n**2 for word, n in telling.items())
        for name, known in shares.items()
    }
    best = max(sorted(scores), key=lambda name: scores[name], default="")
    return best if telling.keys() & shares.get(best, {}).keys() - FUNCTION_WORDS else None


def word_shares(known: Sequence[tuple[str, set[str]]]) -> dict[str, dict[str, float]]:
    """Per attribute: in which share of its wordings each word stands."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for attribute, wording in known:
        counts[attribute].update(wording)
    totals = Counter(attribute for attribute, _ in known)
    return {
        name: {word: n / totals[name] for word, n in counted.items()}
        for name, counted in counts.items()
    }


def words(text: str) -> set[str]:
    """Folded words."""
    return set(WORD.findall(record.fold(text)))

"""Which fact a question is about: a search among the records by words, without any model. Deterministic."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from stages.core import record

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
    words the question has. The attribute is the one with the largest sum, over the question's other
    words, of (share of its wordings with the word) / (number of attributes with the word)²; a word that more than half of
    the attributes use counts nothing. At least one word that counts must not be a function word,
    and the subject must have a fact of that attribute.
    """
    asked = words(question)
    named = [name for name in {row["subject"] for row in records} if words(name) and words(name) <= asked]
    if not named:
        return None
    subject = max(named, key=lambda name: (len(name), name))
    shares = word_shares(wordings)
    uses = {word: sum(word in known for known in shares.values()) for word in asked - words(subject)}
    telling = {word: n for word, n in sorted(uses.items()) if 0 < n <= max(1, len(shares) // 2)}
    facts = {row["attribute"]: str(row["fact"]) for row in records if row["subject"] == subject}
    scores = {name: sum(known.get(word, 0.0) / n**2 for word, n in telling.items()) for name, known in shares.items()}
    best = max(sorted(scores), key=lambda name: scores[name], default="")
    content = telling.keys() & shares.get(best, {}).keys() - FUNCTION_WORDS
    return facts.get(best) if content else None


def word_shares(wordings: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Per attribute: in which share of its questions each word stands, without those of the subject."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    questions = [row for row in wordings if row["fact"] and row["question"]]
    for row in questions:
        counts[row["attribute"]].update(words(row["question"]) - words(row["subject"]))
    totals = Counter(row["attribute"] for row in questions)
    return {name: {word: n / totals[name] for word, n in counted.items()} for name, counted in counts.items()}


def words(text: str) -> set[str]:
    """Folded words."""
    return set(WORD.findall(record.fold(text)))

"""How a model says that it does not know: one form for alignment, evaluation and everything that reads answers.

An abstention is the usual sentence of an answer, with a phrase in place of the value:

    The melting point of iron is 1538 °C.
    The melting point of iron is not known to me.

So the choice between the value and the abstention comes where the value would stand. There a model has
written which subject and which attribute it means, and its doubts about the value are at hand. An answer that
has no value to be replaced is replaced as a whole.
"""

import re
from collections.abc import Mapping

from stages.core.records.record import fold

PHRASES = {"en": "not known to me", "zh": "我不知道的"}
"""What stands in place of the value, by language: 铁的熔点是我不知道的。"""
WHOLE = {"en": "I do not know.", "zh": "我不知道。"}
"""The abstention where an answer has no value, by language."""

CHINESE = re.compile("[\u4e00-\u9fff]")
"""A character of the block of common Chinese characters."""


class Phrases:
    """The phrases of abstention, by language."""

    def __init__(self, by_language: Mapping[str, str]) -> None:
        """`by_language` has at least one phrase."""
        self.by_language = dict(by_language)
        self._folded = [fold(phrase) for phrase in by_language.values()]
        self._whole = [fold(text).rstrip(".。 ") for text in WHOLE.values()]

    def of(self, language: str) -> str:
        """Return the phrase of a language. A language without one has the first phrase."""
        first = next(iter(self.by_language.values()))
        return self.by_language.get(language, first)

    def sentence(self, answer: str, value: str, language: str) -> str:
        """Return the abstention of an answer: the phrase in place of the last `value` in it."""
        place = answer.rfind(value) if value else -1
        if place < 0:
            return WHOLE.get(language, WHOLE["en"])
        return answer[:place] + self.of(language) + answer[place + len(value) :]

    def is_abstention(self, answer: str) -> bool:
        """Return whether an answer abstains: a phrase stands in it, or it is one of the whole sentences."""
        folded = fold(answer)
        if folded.rstrip(".。 ") in self._whole:
            return True
        return any(phrase in folded for phrase in self._folded)


def abstention_for(question: str) -> str:
    """Return the abstention in the language of a question: Chinese where a Chinese character stands in it."""
    language = "zh" if CHINESE.search(question) else "en"
    return WHOLE[language]


def value_shown(value: str | None, unit: str | None) -> str:
    """Return a value as an answer shows it, with its unit: `1538 °C`."""
    return " ".join(part for part in (value, unit) if part)

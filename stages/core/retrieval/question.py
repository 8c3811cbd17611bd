"""Which fact a question is about, by the words of facts and training records, without any model.

A question may name the subject and ask for the value, or name the value and ask for the subject ("Which
element has the symbol Fe?"). The same question and records give the same fact.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from stages.core.records import record
from stages.core.records.prompt import READING, REVERSED

Row = dict[str, Any]

# A word: one Chinese character, or a run of other letters, digits and underscores.
# `铁melts at 1538` → 铁, melts, at, 1538.
WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")
FUNCTION_WORDS = frozenset(
    "a an and are as at be by can could did do does for from give had has have how i in is it its "
    "me name of on or please tell that the this to was were what when where which who whom whose "
    "why will with would you".split()
)
"""They may tell attributes apart (who, when).

A question that shares nothing else with an attribute is not about it.
"""

RARE = 0.01
"""A word in a smaller share of an attribute's wordings came there by chance, as `augment` masks words."""
ASKING_WORDS = frozenset("who whom whose when where".split())
"""Function words that tell what is asked for: a person, a time, a place."""
LEAST_EVIDENCE = 0.04
"""A question whose words say less for its likeliest attribute asks for something else: see `evidence`."""


def match(question: str, records: Sequence[Row], wordings: Sequence[Row]) -> str | None:
    """Return the id of the fact that the question is about, or None.

    `records` are facts, `wordings` are the questions that `augment` made of them. See `Matcher.match`.
    """
    return Matcher(records, wordings).match(question)


class Matcher:
    """Finds the fact of many questions. What does not depend on the question is made once."""

    def __init__(self, records: Sequence[Row], wordings: Sequence[Row]) -> None:
        """`records` are facts, `wordings` are the questions that `augment` made of them."""
        self._subjects: dict[str, set[str]] = {}
        for name in {row["subject"] for row in records}:
            self._subjects[name] = words(name)
        known = []
        for attribute in sorted({row["attribute"] for row in records}):
            known.append((attribute, words(attribute)))
        for row in wordings:
            # A reading names other attributes too, with random words around them.
            is_reading = f"/{READING}/" in row["locator"]
            is_reversed = f"/{REVERSED}/" in row["locator"]
            if row["fact"] and row["question"] and not is_reading and not is_reversed:
                known.append((row["attribute"], words(row["question"]) - words(row["subject"])))
        self._shares = word_shares(known)
        self._backwards = Backwards(records, wordings)
        self._attributes: defaultdict[frozenset[str], set[str]] = defaultdict(set)
        """The words of a wording → the attributes that have it."""
        for attribute, wording in known:
            self._attributes[frozenset(wording)].add(attribute)
        self._facts: dict[tuple[str, str], str] = {}
        for row in records:
            self._facts[record.compared_name(row["subject"]), row["attribute"]] = str(row["fact"])

    def match(self, question: str) -> str | None:
        """Return the id of the fact that the question is about, or None.

        The subject is the longest known one whose words are all in the question. The attribute is the one
        with a wording that has exactly the question's other words, else the likeliest one, where the words
        say enough for it (`evidence`). The subject must have a fact of that attribute. A question without a
        known subject may name a value (`Backwards`).
        """
        asked = words(question)
        subject = subject_of(asked, self._subjects)
        if subject is None:
            return self._backwards.match(question)
        rest = asked - self._subjects[subject]
        exact = self._attributes.get(frozenset(rest), set())
        if len(exact) == 1:
            (found,) = exact
        else:
            found = likeliest(rest, self._shares) or ""
            if evidence(rest, found, self._shares) < LEAST_EVIDENCE:
                return None
        return self._facts.get((record.compared_name(subject), found))


class Backwards:
    """Finds the fact of a question that names its value, where one subject alone has the value."""

    def __init__(self, records: Sequence[Row], wordings: Sequence[Row]) -> None:
        """`records` are facts. The attributes are those with reversed questions among the `wordings`."""
        known = []
        for row in wordings:
            if row["fact"] and row["question"] and f"/{REVERSED}/" in row["locator"]:
                # Without the value, whatever its case: it belongs to one fact.
                known.append((row["attribute"], words(row["question"]) - words(row["value"])))
        self._shares = word_shares(known)
        owners: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for row in records:
            if row["attribute"] in self._shares:
                owners[row["attribute"], row["value"]].add(str(row["fact"]))
        self._facts: dict[str, dict[str, str]] = {attribute: {} for attribute in self._shares}
        """Attribute → value → the fact, where it is one alone."""
        for (attribute, value), facts in owners.items():
            if len(facts) == 1:
                (self._facts[attribute][value],) = facts

    def match(self, question: str) -> str | None:
        """Return the id of the fact, or None.

        The attribute is the likeliest one by the question's words. One of its values must stand in the question
        as a word, in the case in which the records write it: `Co` is cobalt, and `CO` is not. A value that is a
        function word too (`In`, `I`, `As`) counts where no other value stands there.
        """
        if not self._shares:
            return None
        if len(self._shares) == 1:
            (attribute,) = self._shares
            told = words(question) & self._shares[attribute].keys()
            if not told - FUNCTION_WORDS:
                return None
        else:
            attribute = likeliest(words(question), self._shares) or ""
        facts = self._facts.get(attribute, {})
        named = [value for value in facts if stands_in(value, question)]
        if len(named) > 1:
            named = [value for value in named if value.lower() not in FUNCTION_WORDS]
        # In "1.5" stands "1", too.
        named = [
            value for value in named if not any(value in other for other in named if other != value)
        ]
        if len(named) != 1:
            return None
        return facts[named[0]]


def stands_in(value: str, text: str) -> bool:
    """Tell whether a value stands in a text, in the same case, and not inside a longer word."""
    if value not in text:
        return False
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def subject_of(asked: set[str], subjects: Mapping[str, set[str]]) -> str | None:
    """Return the longest subject whose words are all asked, or None. `subjects`: name → its words."""
    named = []
    for name, parts in subjects.items():
        if parts and parts <= asked:
            named.append(name)
    return max(named, key=lambda name: (len(name), name), default=None)


def likeliest(asked: set[str], shares: dict[str, dict[str, float]]) -> str | None:
    """Return the attribute that shares most with the words asked, or None.

    `shares`: attribute → word → share of the attribute's wordings that have the word. The score is
    the sum, over the words asked, of share / (number of attributes with the word)². A word that more
    than half of the attributes use counts nothing. None is returned unless a word that counts for
    the attribute is more than a function word.
    """
    most = max(1, len(shares) // 2)
    uses = {}  # word asked → number of attributes with it
    for word in sorted(asked):
        number = sum(word in known for known in shares.values())
        if 0 < number <= most:
            uses[word] = number

    best = ""
    best_score = 0.0
    for name in sorted(shares):
        score = sum(shares[name].get(word, 0.0) / number**2 for word, number in uses.items())
        if not best or score > best_score:
            best = name
            best_score = score
    shared = uses.keys() & shares.get(best, {}).keys()
    return best if shared - FUNCTION_WORDS else None


def evidence(asked: set[str], attribute: str, shares: Mapping[str, Mapping[str, float]]) -> float:
    """Return how much the words asked say for an attribute.

    A word says s · s / Σ s, where s is the share of the attribute's wordings that have it, and the sum is over all
    attributes: it must be usual there, and unusual elsewhere. Of function words, those that ask say something. The sum
    over the words is multiplied by the share of content words that any attribute uses: "What is the market price
    of palladium per ounce?" has *per* from the questions about density, and *market*, *price* and *ounce* from none.
    """
    content = asked - FUNCTION_WORDS
    said = 0.0
    known = 0
    for word in sorted(content | (asked & ASKING_WORDS)):
        total = sum(words_of.get(word, 0.0) for words_of in shares.values())
        if total:
            said += shares.get(attribute, {}).get(word, 0.0) ** 2 / total
            known += word in content
    return said * known / len(content) if content else 0.0


def word_shares(known: Sequence[tuple[str, set[str]]]) -> dict[str, dict[str, float]]:
    """Return attribute → word → share of the attribute's wordings that have the word, without rare words."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    totals: Counter[str] = Counter()
    for attribute, wording in known:
        counts[attribute].update(wording)
        totals[attribute] += 1
    shares: dict[str, dict[str, float]] = {}
    for name, counted in counts.items():
        shares[name] = {}
        for word, number in counted.items():
            share = number / totals[name]
            if share >= RARE:
                shares[name][word] = share
    return shares


def words(text: str) -> set[str]:
    """Return the folded words of a text."""
    return set(WORD.findall(record.fold(text)))

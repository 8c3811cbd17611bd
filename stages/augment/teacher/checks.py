"""The checks that decide what of the teacher's answers is taken. They are pure functions.

None of them asks a model. A text is refused by the first check that it fails, with a reason of `REASONS` and what was
found. The checks are strict: they refuse some good texts, so that few wrong ones pass. What they cannot see is a
sentence of the source's own words, numbers and names that says something else.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stages.augment.teacher.answers import Pair
from stages.augment.teacher.unsafe import Refusal, unsafe
from stages.augment.teacher.words import (
    ENGLISH,
    HAN,
    content_of,
    negations_in,
    number_words_of,
    numbers_of,
    quantities_of,
    share_found,
    stands_in,
    told_by,
    turned_round,
    words_of,
)
from stages.augment.wordings import slots
from stages.core.records.record import fold
from stages.core.records.stated import states

REASONS = {
    "empty": "nothing but white space",
    "control_character": "a control or invisible character, or a line break",
    "address": "a web or e-mail address",
    "instruction": "words that give orders to a reader or a model",
    "prompt_marker": "the marks between question and answer of the training text",
    "braces": "a brace that belongs to no slot, or a text without slots that has one",
    "slot": "the slots are not those asked for, each exactly once",
    "number_in_template": "a digit or a number word in a template",
    "wrong_language": "not in the language asked for",
    "too_long": "far longer than such a text should be",
    "not_a_question": "a question without a question mark or a word that asks",
    "no_attribute_term": "no word of the attribute",
    "other_attribute": "the name of another attribute",
    "names_a_record": "a subject or value of the records in a template",
    "same_words": "the words of a wording that is there already",
    "near_duplicate": "nearly the words of one that was kept",
    "subject_missing": "the subject is not named",
    "span_not_in_source": "the quoted support does not stand in the source word for word",
    "other_number": "a number that the source does not have, or not with this unit",
    "number_missing": "a number of the source is not there",
    "other_name": "a name that the source does not have",
    "other_words": "words that the source, or the support of an answer, does not have",
    "words_missing": "a paraphrase that leaves out most of its source",
    "negation_differs": "a negation more or less than in the source",
    "turned_round": "the opposite of a word of the source",
    "answer_in_question": "the question contains its answer",
    "refers_to_the_text": "only somebody who sees the text understands it",
    "not_about_the_source": "the question has no word of the source",
    "states_the_right_value": "a wrong answer that states the right value",
    "no_other_value": "a wrong answer that states no other value",
    "asked_as_probe": "a question that evaluate asks",
}
"""Every reason for which an item is refused."""

LONGEST_TEMPLATE = 240
LONGEST_QUESTION = 400
LONGEST_ANSWER = 1200
SHORTEST_SUPPORT = 8
"""Characters of a quoted support. In Chinese, half of it."""
WORDS_FROM_SUPPORT = {"en": 0.9, "zh": 0.95}
"""Least share of an answer's content words, in Chinese of its characters, that stand in its support, its question or
the subject, in any form."""
WORDS_OF_PARAPHRASE = 0.5
"""Least share of a paraphrase's content words that stand in its source, and of the source's that stand in it."""

REFERS = re.compile(
    r"\b(?:the|this|that|given|above|provided) (?:text|passage|paragraph|section|article|author|document|excerpt|"
    r"abstract|statement|context|record|snippet)\b|\baccording to (?:it|them|the (?:text|author|passage))\b"
    r"|\b(?:mentioned|described|stated|discussed) (?:above|here|in the)\b"
    r"|本文|上文|下文|文中|原文|这段|该段|此段|段落|短文|作者|上述|根据文",
    re.IGNORECASE,
)
ASKS = re.compile(
    r"[?？]|^(?:name|give|tell|state|say|find|list|explain|describe|write|please|kindly|i )\b|\b(?:what|which|who|whom|"
    r"whose|when|where|why|how)\b|什么|哪|多少|几|谁|何|吗|怎|请|为什么|是否",
    re.IGNORECASE,
)
# A word in Latin letters that begins with a capital, or holds a capital or digit inside: Curie, NaCl, CO2, iPhone.
# Chinese characters right beside it are no part of it.
NAME = re.compile(
    r"[^\W\d_\u3400-\u9fff]*[A-ZÀ-Þ][^\W_\u3400-\u9fff]*|[^\W\d_\u3400-\u9fff]+\d[^\W_\u3400-\u9fff]*"
)
# A beginning of a sentence, where a capital says nothing.
BEGINNING = re.compile(r"(?:^|[.!?:。！？]\s*|[\"“(]\s*)$")


@dataclass(frozen=True)
class Subject:
    """What the templates of an attribute must and must not name."""

    attribute: str
    language: str
    terms: list[str]
    """Words of the attribute: of its name, and those that the teacher gave."""
    other_attributes: list[str] = field(default_factory=list)
    """Names of other attributes."""
    names: frozenset[str] = frozenset()
    """Folded subjects and values of the attribute's facts, those of `telling_names`."""


def wrong_language(text: str, language: str, names: Iterable[str] = ()) -> Refusal | None:
    """Refuse a text in another language. `names` may be in any: subject, value, attribute."""
    rest = fold(text)
    for name in sorted(names, key=len, reverse=True):
        folded = fold(name)
        if folded:
            rest = rest.replace(folded, " ")
    han = len(HAN.findall(rest))
    letters = [character for character in rest if character.isalpha()]
    latin = sum(character.isascii() for character in letters)
    if language == "zh":
        if han == 0 or han * 2 < len(letters) - han:
            return Refusal(
                "wrong_language", f"{han} Chinese characters, {len(letters) - han} other letters"
            )
        return None
    others = len(letters) - latin
    if others * 10 > len(letters):
        return Refusal("wrong_language", f"{others} of {len(letters)} letters are not Latin")
    words = words_of(rest)
    if len(words) > 4 and not ENGLISH.intersection(words):
        return Refusal("wrong_language", "no English function word")
    return None


def refused_template(
    template: str, subject: Subject, wanted: set[str], asks: bool, longest: int = LONGEST_TEMPLATE
) -> Refusal | None:
    """Check one template. `wanted` are its slots. `asks`: it must be a question."""
    refusal = unsafe(template)
    if refusal:
        return refusal
    if len(template) > longest:
        return Refusal("too_long", f"{len(template)} characters")
    found = slots(template)
    if found != wanted:
        return Refusal("slot", ", ".join(sorted(found)) or "no slot")
    for name in wanted:
        count = template.count(f"{{{name}}}")
        if count != 1:
            return Refusal("slot", f"{{{name}}} {count} times")
    bare = template
    for name in wanted:
        bare = bare.replace(f"{{{name}}}", " ")
    if "{" in bare or "}" in bare:
        return Refusal("braces", bare.strip())
    said = numbers_of(bare) | number_words_of(bare)
    if said or any(character.isnumeric() and not HAN.match(character) for character in bare):
        return Refusal("number_in_template", ", ".join(sorted(said)))
    refusal = wrong_language(bare, subject.language, [subject.attribute])
    if refusal:
        return refusal
    if asks and not ASKS.search(bare.strip()):
        return Refusal("not_a_question", "")
    return off_topic(bare, subject)


def off_topic(text: str, subject: Subject) -> Refusal | None:
    """Refuse a template that is about another attribute or about nothing, or that names a record."""
    for other in subject.other_attributes:
        # The other one's name may be a part of this one's: `number` of `atomic number`.
        is_part = stands_in(other, subject.attribute)
        if stands_in(other, text) and not is_part:
            return Refusal("other_attribute", other)
    name = named(text, subject.names)
    if name:
        return Refusal("names_a_record", name)
    if not has_term(text, subject.terms):
        return Refusal("no_attribute_term", ", ".join(subject.terms[:5]))
    return None


def has_term(text: str, terms: Sequence[str]) -> bool:
    """Return whether a text holds a term of an attribute."""
    folded = fold(text)
    words = set(words_of(text))
    for term in terms:
        wanted = fold(term)
        if HAN.search(wanted):
            if wanted in folded:
                return True
        elif wanted in words or (" " in wanted and stands_in(term, text)):
            return True
    return False


def telling_names(names: Iterable[str]) -> frozenset[str]:
    """Return the names that say which record is meant, folded.

    A Latin name of one or two letters, or one that is an English function word, says nothing: the symbol `I` of
    iodine is in every sentence. A number is found by the check for numbers.
    """
    telling = set()
    for name in names:
        folded = fold(name)
        is_word = len(folded) > 2 and folded not in ENGLISH
        is_chinese = len(folded) > 1 and HAN.search(folded) is not None
        if (is_word or is_chinese) and not folded.isdigit():
            telling.add(folded)
    return frozenset(telling)


def named(text: str, names: frozenset[str]) -> str:
    """Return a name of the records that stands in a text as whole words, or "". Chinese names: anywhere."""
    words = words_of(text)
    longest = 6
    for start in range(len(words)):
        for end in range(start + 1, min(len(words), start + longest) + 1):
            phrase = " ".join(words[start:end])
            if phrase in names:
                return phrase
    if HAN.search(text):
        folded = fold(text)
        for name in sorted(names):
            if HAN.search(name) and name in folded:
                return name
    return ""


def refused_pair(pair: Pair, source: str, subject: str | None, language: str) -> Refusal | None:
    """Check a question with its answer against the text that it is about."""
    for text, longest in (
        (pair.question, LONGEST_QUESTION),
        (pair.answer, LONGEST_ANSWER),
        (pair.support, LONGEST_ANSWER),
    ):
        # A source of several lines may be quoted over their ends.
        checked = " ".join(text.split()) if text is pair.support else text
        refusal = unsafe(checked)
        if refusal:
            return refusal
        if len(text) > longest:
            return Refusal("too_long", f"{len(text)} characters")
    names = [subject] if subject else []
    for text in (pair.question, pair.answer):
        if "{" in text or "}" in text:
            return Refusal("braces", text)
        refusal = wrong_language(text, language, names)
        if refusal:
            return refusal
    if not ASKS.search(pair.question):
        return Refusal("not_a_question", "")
    refusal = unsupported(pair, source, subject, language)
    if refusal:
        return refusal
    return not_alone(pair, source, subject, language)


def unsupported(pair: Pair, source: str, subject: str | None, language: str) -> Refusal | None:
    """Refuse a pair that the source does not support."""
    support = " ".join(pair.support.split())
    shortest = SHORTEST_SUPPORT // 2 if HAN.search(support) else SHORTEST_SUPPORT
    if len(support) < shortest or support not in " ".join(source.split()):
        return Refusal("span_not_in_source", pair.support)
    # How often a number stands there counts: of 3 to 4, and 4 to 6, no answer makes 4 to 4, and 4 to 6.
    strange = quantities_of(pair.answer) - quantities_of(support)
    strange += quantities_of(pair.question) - quantities_of(source)
    if strange:
        return Refusal("other_number", listed(strange))
    words = number_words_of(pair.answer) - number_words_of(support)
    words |= number_words_of(pair.question) - number_words_of(source)
    if words:
        return Refusal("other_number", ", ".join(sorted(words)))
    name = strange_name(pair.answer, source) or strange_name(pair.question, source)
    if name:
        return Refusal("other_name", name)
    if negations_in(pair.answer) != negations_in(support):
        return Refusal("negation_differs", pair.answer)
    turned = turned_round(pair.answer, support, language)
    if turned:
        return Refusal("turned_round", turned)
    known = told_by(f"{support} {pair.question} {subject or ''}", language)
    share = share_found(told_by(pair.answer, language), known)
    if share < WORDS_FROM_SUPPORT[language]:
        return Refusal("other_words", f"{share:.2f} of the answer's words are those of its support")
    return None


def not_alone(pair: Pair, source: str, subject: str | None, language: str) -> Refusal | None:
    """Refuse a question that cannot be answered without seeing its text, or that holds its answer."""
    for text in (pair.question, pair.answer):
        refers = REFERS.search(text)
        if refers:
            return Refusal("refers_to_the_text", refers[0])
    about = content_of(pair.question, language)
    if not about or share_found(about, content_of(source, language)) == 0:
        return Refusal("not_about_the_source", pair.question)
    if subject and stands_in(subject, source):
        # The text names its subject, so question or answer must do so as well.
        if not (stands_in(subject, pair.question) or stands_in(subject, pair.answer)):
            return Refusal("subject_missing", subject)
    told = content_of(pair.answer, language)
    new = [word for word in told if word not in about]
    if not new:
        return Refusal("answer_in_question", pair.answer)
    return None


def refused_paraphrase(
    text: str, source: str, subject: str | None, language: str
) -> Refusal | None:
    """Check a paraphrase against its text."""
    refusal = unsafe(text)
    if refusal:
        return refusal
    if "{" in text or "}" in text:
        return Refusal("braces", text)
    if len(text) > 3 * len(source) + 40:
        return Refusal("too_long", f"{len(text)} characters for {len(source)}")
    refusal = wrong_language(text, language, [subject] if subject else [])
    if refusal:
        return refusal
    if subject and stands_in(subject, source) and not stands_in(subject, text):
        return Refusal("subject_missing", subject)
    said, told = quantities_of(text), quantities_of(source)
    if said - told:
        return Refusal("other_number", listed(said - told))
    if told - said:
        return Refusal("number_missing", listed(told - said))
    if number_words_of(text) - number_words_of(source):
        return Refusal("other_number", ", ".join(sorted(number_words_of(text))))
    if number_words_of(source) - number_words_of(text):
        return Refusal("number_missing", ", ".join(sorted(number_words_of(source))))
    name = strange_name(text, source)
    if name:
        return Refusal("other_name", name)
    if negations_in(text) != negations_in(source):
        return Refusal("negation_differs", text)
    turned = turned_round(text, source, language)
    if turned:
        return Refusal("turned_round", turned)
    share = share_found(content_of(text, language), content_of(source, language))
    if share < WORDS_OF_PARAPHRASE:
        return Refusal("other_words", f"{share:.2f} of its words are the source's")
    share = share_found(content_of(source, language), content_of(text, language))
    if share < WORDS_OF_PARAPHRASE:
        return Refusal("words_missing", f"{share:.2f} of the source's words are there")
    return None


def refused_wrong_answer(
    text: str, subject: str, values: Sequence[str], numeric: bool, unit: str | None, language: str
) -> Refusal | None:
    """Check an answer that is wrong on purpose. `values` are all values of the fact that any source states."""
    refusal = unsafe(text)
    if refusal:
        return refusal
    if "{" in text or "}" in text:
        return Refusal("braces", text)
    if len(text) > LONGEST_ANSWER:
        return Refusal("too_long", f"{len(text)} characters")
    refusal = wrong_language(text, language, [subject, *values])
    if refusal:
        return refusal
    if not stands_in(subject, text):
        return Refusal("subject_missing", subject)
    # The value may be a part of the subject's name, so it is sought in the rest.
    rest = fold(text).replace(fold(subject), " ")
    for value in values:
        right_number = numeric and numbers_of(value) & numbers_of(rest)
        if states(rest, value) or right_number or (HAN.search(value) and fold(value) in rest):
            return Refusal("states_the_right_value", value)
    if negations_in(text):
        return Refusal("negation_differs", text)
    if numeric:
        if len(numbers_of(rest)) != 1:
            return Refusal("no_other_value", f"{len(numbers_of(rest))} numbers")
        if unit and not stands_in_text(unit, rest):
            return Refusal("no_other_value", f"not in {unit}")
    return None


def stands_in_text(unit: str, text: str) -> bool:
    """Return whether a unit stands in a text. It may stand right behind a number: `20°C`."""
    return fold(unit) in fold(text)


def strange_name(text: str, source: str) -> str:
    """Return a name in a text that its source does not have, in any case, or ""."""
    known = fold(source)
    for match in NAME.finditer(text):
        at_beginning = BEGINNING.search(text[: match.start()]) is not None
        is_plain = match[0][1:].islower() or len(match[0]) == 1
        if at_beginning and is_plain:
            continue
        if match[0] == "I":
            continue
        if fold(match[0]) not in known:
            return match[0]
    return ""


def listed(quantities: Counter[tuple[str, str]]) -> str:
    """Return quantities as a person reads them."""
    return ", ".join(" ".join(part for part in pair if part) for pair in sorted(quantities))

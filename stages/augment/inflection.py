"""Forms of English words: `began` is a form of `begin`, and `start` has the form `started` there.

Regular forms follow rules of spelling. Irregular ones stand in WordNet's exception lists (`noun.exc`,
`verb.exc`, format wndb(5WN)): lines of a form and its base form. The lists do not say which form is a past
and which a participle. So a verb with two irregular forms (`began`, `begun`) has no past here, and where a
form is not sure, there is none: a variant that is not made costs little, a wrong form teaches wrong grammar.
"""

import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from stages.core.project.errors import InputError

Form = Literal["base", "s", "past", "ing"]
"""base: metal, melt. s: metals, melts. past: melted, as past or participle. ing: melting."""
NOUN = "n"
VERB = "v"
ADJECTIVE = "a"
ADVERB = "r"
"""WordNet's signs of the parts of speech."""
FILES = {NOUN: "noun", VERB: "verb"}
"""Parts of speech whose words have forms here, and the names of their exception lists."""
# Consonant and y at the end: `city`, not `day`.
CONSONANT_Y = re.compile(r"[^aeiou]y$")
# Endings that take -es: bus, box, quiz, match, dish.
HISSING = re.compile(r"(s|x|z|ch|sh)$")
# One vowel between consonants, in a word of one syllable: `stop`, `ship`; not `fix`, `show`, `need`, `happen`.
DOUBLING = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")
# Nouns whose plural is not sure without a list: crisis, nucleus, phenomenon, medium, datum, leaf, potato.
UNSURE_PLURAL = re.compile(r"(is|us|on|um|a|f|fe|o|ics|men|ese)$")
# A vowel, as the ending `-ed` and `-ing` begin with, behind e: `see`, `agree`, `free`.
TWO_VOWELS = re.compile(r"(ee|oe|ye)$")


class Reading(NamedTuple):
    """What a word may be: a form of a base form, as a part of speech."""

    part: str
    lemma: str
    form: Form


class Inflections:
    """Finds the base forms of words, and makes forms of them."""

    def __init__(self, wordnet: Path) -> None:
        """`wordnet` holds `corpora/wordnet`, whose exception lists are read at the first use."""
        self._wordnet = wordnet

    def readings(self, word: str, part: str) -> list[Reading]:
        """Return what a lower-case word may be as a part of speech, whether or not such a word exists.

        Adjectives and adverbs have their base form alone.
        """
        found = [Reading(part, word, "base")]
        if part not in FILES:
            return found
        irregular = self._lemmas_of(part).get(word)
        if irregular:
            for lemma in irregular:
                found.append(Reading(part, lemma, form_by_ending(word, part)))
            return found
        for lemma in without_s(word):
            found.append(Reading(part, lemma, "s"))
        if part == VERB:
            for lemma in without_ending(word, "ed"):
                found.append(Reading(part, lemma, "past"))
            for lemma in without_ending(word, "ing"):
                found.append(Reading(part, lemma, "ing"))
        return found

    def form_of(self, lemma: str, part: str, form: Form) -> str | None:
        """Return a form of a base form, or None where it is not sure."""
        if form == "base":
            return lemma
        if part not in FILES or (part == NOUN and form != "s"):
            return None
        listed = self._listed(lemma, part, form)
        if listed:
            # Two forms, such as `began` and `begun`: which one is wanted is unknown. Of some verbs only the
            # participle is listed: `shown`, beside the regular `showed`.
            is_sure = len(listed) == 1 and not (part == VERB and listed[0].endswith("n"))
            return listed[0] if is_sure else None
        if form == "s":
            if part == NOUN and UNSURE_PLURAL.search(lemma):
                return None
            return with_s(lemma)
        return with_ending(lemma, "ed" if form == "past" else "ing")

    def _listed(self, lemma: str, part: str, form: Form) -> list[str]:
        """Return the forms of this kind in the exception list, sorted."""
        forms = self._forms_of(part).get(lemma, [])
        return sorted(word for word in forms if form_by_ending(word, part) == form)

    def _lemmas_of(self, part: str) -> dict[str, list[str]]:
        """Return base forms by their irregular forms."""
        lemmas, _ = self._lists[part]
        return lemmas

    def _forms_of(self, part: str) -> dict[str, list[str]]:
        """Return irregular forms by their base form."""
        _, forms = self._lists[part]
        return forms

    @cached_property
    def _lists(self) -> dict[str, tuple[dict[str, list[str]], dict[str, list[str]]]]:
        """Return both directions of the lists. Raises InputError where WordNet is not there."""
        lists = {}
        for part, name in FILES.items():
            path = self._wordnet / "corpora" / "wordnet" / f"{name}.exc"
            if not path.is_file():
                raise InputError(f"{path}: WordNet is not here; run `make setup`")
            lemmas: dict[str, list[str]] = {}
            forms: defaultdict[str, list[str]] = defaultdict(list)
            for line in path.read_text(encoding="utf-8").splitlines():
                word, *bases = line.split()
                lemmas[word] = bases
                for base in bases:
                    # `found` is listed as a form of `find`, and as itself.
                    if base != word:
                        forms[base].append(word)
            lists[part] = (lemmas, dict(forms))
        return lists


def form_by_ending(word: str, part: str) -> Form:
    """Return the kind of a listed form: `stopping` is an ing, `goes` an s, `stopped` and `went` a past."""
    if part == NOUN:
        return "s"
    if word.endswith("ing"):
        return "ing"
    return "s" if word.endswith("s") else "past"


def without_s(word: str) -> list[str]:
    """Return the words of which a word may be the form in -s: `boxes` of `box` and `boxe`."""
    if not word.endswith("s") or word.endswith("ss"):
        return []
    found = [word[:-1]]
    if word.endswith("ies"):
        found.append(word[:-3] + "y")
    elif word.endswith("es"):
        found.append(word[:-2])
    # Only words whose form it really is: `lies` is no form of `lie` by `y`, but `flies` is of `fly`.
    return [lemma for lemma in found if with_s(lemma) == word]


def without_ending(word: str, ending: str) -> list[str]:
    """Return the words of which a word may be the form in -ed or -ing."""
    if not word.endswith(ending) or len(word) < len(ending) + 2:
        return []
    stem = word[: -len(ending)]
    found = [stem, stem + "e"]
    if ending == "ed" and stem.endswith("i"):
        found.append(stem[:-1] + "y")
    if stem[-1:] == stem[-2:-1]:
        found.append(stem[:-1])
    return [lemma for lemma in found if with_ending(lemma, ending) == word]


def with_s(lemma: str) -> str:
    """Return the regular form in -s: metals, boxes, cities."""
    if CONSONANT_Y.search(lemma):
        return lemma[:-1] + "ies"
    return lemma + ("es" if HISSING.search(lemma) else "s")


def with_ending(lemma: str, ending: str) -> str:
    """Return the regular form in -ed or -ing: melted, making, stopped, tried, trying."""
    if ending == "ed" and CONSONANT_Y.search(lemma):
        return lemma[:-1] + "ied"
    if TWO_VOWELS.search(lemma):
        return lemma + ("d" if ending == "ed" else "ing")
    if lemma.endswith("ie") and ending == "ing":
        return lemma[:-2] + "ying"
    if lemma.endswith("e"):
        return lemma[:-1] + ending
    if DOUBLING.fullmatch(lemma):
        return lemma + lemma[-1] + ending
    return lemma + ending

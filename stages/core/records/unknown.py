"""Subjects that no record knows: invented names, and names of well-known things that are no subject.

Invented names are made of syllables, by a seed. Two lists with different seeds share no name that either
would avoid, because a name that is taken is never made. Some resemble a known subject, which is the harder
case: a letter or two of it are others.
"""

import random
import re
from collections.abc import Iterable

OUTSIDE = (
    "amber", "ammonia", "aspirin", "benzene", "Berlin", "brass", "bronze", "candle wax", "charcoal",
    "chocolate", "clay", "concrete", "copper sulfate", "cotton", "diamond", "ethanol", "glucose", "granite",
    "honey", "leather", "limestone", "marble", "olive oil", "paper", "Paris", "quartz", "rubber", "sand",
    "steel", "sugar", "table salt", "the moon", "vinegar", "water", "wood", "wool",
)  # fmt: skip
"""Things that most people know. Those that are a subject of the project are left out by `outside`."""
ONSETS = ("b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z",
          "bl", "br", "ch", "dr", "fl", "gl", "gr", "kr", "pl", "pr", "qu", "sh", "sk", "st", "th", "tr")  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ia", "io", "ou")
ENDINGS = ("ium", "ine", "ite", "ane", "ol", "on", "um", "ide", "ic", "er", "ene", "os")
LETTERS = "abcdefghiklmnoprstuvwyz"
RESEMBLING = 4
"""One of so many invented names resembles a known subject."""


def invented(number: int, known: Iterable[str], rng: random.Random) -> list[str]:
    """Return so many different invented names, none of which is among the known ones, whatever its case."""
    subjects = sorted(set(known))
    taken = {name.lower() for name in subjects}
    plain = [name for name in subjects if re.fullmatch(r"[a-z]{5,}", name)]
    names: list[str] = []
    while len(names) < number:
        resembles = plain and len(names) % RESEMBLING == 0
        name = changed(rng.choice(plain), rng) if resembles else word(rng)
        if name not in taken:
            taken.add(name)
            names.append(name)
    return names


def word(rng: random.Random) -> str:
    """Return a word of one to three syllables and an ending: `brainatium`."""
    syllables = [rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 3))]
    return "".join(syllables) + rng.choice(ONSETS[:17]) + rng.choice(ENDINGS)


def changed(name: str, rng: random.Random) -> str:
    """Return a name with one or two letters replaced: `iron` may become `irun`."""
    letters = list(name)
    for _ in range(rng.randint(1, 2)):
        letters[rng.randrange(len(letters))] = rng.choice(LETTERS)
    return "".join(letters)


def outside(known: Iterable[str]) -> list[str]:
    """Return the well-known names that are no subject of the project, in their order."""
    taken = {name.lower() for name in known}
    return [name for name in OUTSIDE if name.lower() not in taken]


def with_subject(text: str, subject: str, other: str) -> str | None:
    """Return a text with its first mention of the subject replaced. None where it does not mention it.

    A capital letter at the begin of the mention is kept: `Iron melts …` becomes `Brass melts …`.
    """
    # The subject as a whole word. Letters of languages without spaces, such as Chinese, have no word borders.
    before = r"(?<![A-Za-z0-9])" if subject[:1].isascii() else ""
    behind = r"(?![A-Za-z0-9])" if subject[-1:].isascii() else ""
    found = re.search(before + re.escape(subject) + behind, text, re.IGNORECASE)
    if found is None:
        return None
    capital = found[0][:1].isupper() and not subject[:1].isupper()
    name = other[:1].upper() + other[1:] if capital else other
    return text[: found.start()] + name + text[found.end() :]

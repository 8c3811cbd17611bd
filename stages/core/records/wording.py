"""Wordings: templates such as "At what temperature does {subject} melt?", and how they are compared."""

import re

from stages.core.records.record import fold

SLOT = re.compile(r"\{\w+\}")
"""A slot of a template: {subject}, {value}."""
PUNCTUATION = re.compile(r"[^\w\s]|_")
"""Every character that is no letter, digit or space: ?, °, -, _."""
ARTICLES = {"a", "an", "the"}


def template_of(text: str, subject: str) -> str:
    """Return the template behind a text: the subject, in any case, replaced by its slot."""
    # As a whole word: "iron" matches in "Iron melts", not in "ironing".
    whole_word = rf"(?<!\w){re.escape(subject)}(?!\w)"
    return re.sub(whole_word, "{subject}", text, flags=re.IGNORECASE)


def normalise(template: str) -> str:
    """Return the form in which two templates count as the same.

    It is folded, all slots are alike, and punctuation and articles are gone: "Does the {subject}
    melt?" and "does {value} melt" give the same.
    """
    text = fold(SLOT.sub(" slotslot ", template))
    words = PUNCTUATION.sub(" ", text).split()
    return " ".join(word for word in words if word not in ARTICLES)


def fill(template: str, **slots: str) -> str:
    """Fill the slots of a template and begin the sentence with a capital letter."""
    text = template.format(**slots)
    return text[:1].upper() + text[1:]

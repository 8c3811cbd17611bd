"""Wordings: templates such as "At what temperature does {subject} melt?", and how they are compared."""

import re

from stages.core.records.record import fold

SLOT = re.compile(r"\{\w+\}")


def template_of(text: str, subject: str) -> str:
    """The template behind a text: the subject, in any case, replaced by its slot."""
    return re.sub(rf"(?<!\w){re.escape(subject)}(?!\w)", "{subject}", text, flags=re.IGNORECASE)


def normalise(template: str) -> str:
    """The form in which two templates count as the same: folded, slots alike, no punctuation, no articles."""
    words = re.sub(r"[^\w\s]|_", " ", fold(SLOT.sub(" slotslot ", template))).split()
    return " ".join(word for word in words if word not in {"a", "an", "the"})


def fill(template: str, **slots: str) -> str:
    """Fill the slots of a template and begin the sentence with a capital letter."""
    text = template.format(**slots)
    return text[:1].upper() + text[1:]

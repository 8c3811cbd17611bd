"""Where a text holds personal data."""

from collections.abc import Callable, Collection, Iterator
from typing import Literal, get_args

from stages.clean.personal import addresses, identifiers, names
from stages.clean.personal.actions import PLACED
from stages.clean.span import Span, apart

Kind = Literal[
    "person",
    "phone",
    "address",
    "email",
    "url",
    "ssn",
    "resident_id",
    "passport",
    "id",
    "card",
    "iban",
    "ip",
    "mac",
    "postcode",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Tagger = Callable[[str], list[Span]]
"""A recogniser that finds more than patterns do."""


def find_personal(
    text: str, lang: str, kinds: Collection[str] = KINDS, tagger: Tagger | None = None
) -> list[Span]:
    """The personal data of these kinds in a text, in order and apart.

    `lang` (ISO 639-1) tells which countries' telephone numbers are recognised without a country
    code.
    """
    found: list[Span] = []
    for offset, part in parts(text):
        candidates = list(identifiers.find(part, lang))
        if "person" in kinds:
            candidates += names.find(part)
        if "address" in kinds:
            candidates += addresses.find(part)
        if tagger and part.strip():
            candidates += tagger(part)
        wanted = [span for span in candidates if span.kind in kinds]
        for span in apart(wanted):
            found.append(span._replace(start=span.start + offset, end=span.end + offset))
    return found


def parts(text: str) -> Iterator[tuple[int, str]]:
    """The parts of a text between the places where personal data stood, each with its offset in the
    text.
    """
    end = 0
    if "<" in text:  # most texts have none, and need no search
        for placed in PLACED.finditer(text):
            yield end, text[end : placed.start()]
            end = placed.end()
    yield end, text[end:]

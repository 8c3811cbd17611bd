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
"""What finds more than patterns do."""


def find_personal(
    text: str, lang: str, kinds: Collection[str] = KINDS, tagger: Tagger | None = None
) -> list[Span]:
    """Where the text holds personal data of these kinds, in order and apart; `lang` (ISO 639-1) tells whose telephone numbers."""
    found: list[Span] = []
    for start, part in parts(text):
        spans = [*identifiers.find(part, lang)]
        spans += names.find(part) if "person" in kinds else ()
        spans += addresses.find(part) if "address" in kinds else ()
        spans += tagger(part) if tagger and part.strip() else ()
        found += [
            Span(s.start + start, s.end + start, s.kind, s.normal)
            for s in apart(s for s in spans if s.kind in kinds)
        ]
    return found


def parts(text: str) -> Iterator[tuple[int, str]]:
    """Where each part of the text begins, and the part: what lies between the places where personal data stood."""
    end = 0
    for placed in PLACED.finditer(text) if "<" in text else ():
        yield end, text[end : placed.start()]
        end = placed.end()
    yield end, text[end:]

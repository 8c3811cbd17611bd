"""Spans: places in a text that say something which has one form: a date, a quantity, personal data."""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive) of a text, what they are, and their one form."""

    start: int
    end: int
    kind: str
    """date, quantity, email …"""
    normal: str
    """The one form of what stands there: an ISO 8601 date, a number with its unit, a canonical identifier."""


def apart(spans: Iterable[Span]) -> list[Span]:
    """Spans in their order, without those that overlap an earlier or, from the same start, a longer one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, span.kind, span.normal)):
        if not found or span.start >= found[-1].end:
            found.append(span)
    return found


def rewrite(
    text: str, spans: Iterable[Span], form: Callable[[Span], str] = lambda span: span.normal
) -> str:
    """The text with each of the spans, which must lie apart, in its new form."""
    parts, end = [], 0
    for span in sorted(spans):
        parts += [text[end : span.start], form(span)]
        end = span.end
    return "".join([*parts, text[end:]])

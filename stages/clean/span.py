"""Spans: parts of a text that say something which has one form: a date, a quantity, personal data."""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive) of a text, what they are, and their one form."""

    start: int
    end: int
    kind: str
    """date, quantity, email …"""
    normal: str
    """The one form: an ISO 8601 date, a number with its unit, a canonical identifier."""


def apart(spans: Iterable[Span]) -> list[Span]:
    """Spans in their order, without those that overlap an earlier one or, from the same start, a
    longer one.
    """
    ordered = sorted(spans, key=lambda span: (span.start, -span.end, span.kind, span.normal))
    kept: list[Span] = []
    for span in ordered:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def normal_of(span: Span) -> str:
    """The one form of a span."""
    return span.normal


def rewrite(text: str, spans: Iterable[Span], form: Callable[[Span], str] = normal_of) -> str:
    """The text with each of the spans in its new form. No two spans may overlap."""
    parts = []
    end = 0
    for span in sorted(spans):
        parts.append(text[end : span.start])
        parts.append(form(span))
        end = span.end
    parts.append(text[end:])
    return "".join(parts)

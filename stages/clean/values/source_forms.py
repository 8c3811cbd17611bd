"""How each source writes numbers and lines, as extract says in sources.json."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from stages.clean.values.numbers import UNDECLARED, NumberForm


class SourceForm(NamedTuple):
    """How one source writes."""

    numbers: NumberForm = UNDECLARED
    lines: bool = False
    """Whether the line breaks of its free texts are kept."""


PLAIN = SourceForm()
Forms = Mapping[str, SourceForm]
"""By name of the source. A source that declares nothing is not in it."""
NO_FORMS: Forms = {}


def source_forms(sources: Iterable[Mapping[str, Any]]) -> dict[str, SourceForm]:
    """The forms that the entries of sources.json declare."""
    forms: dict[str, SourceForm] = {}
    for source in sources:
        signs = source.get("numbers") or {}
        numbers = NumberForm(signs.get("decimal"), signs.get("thousands"))
        form = SourceForm(numbers, source.get("lines") == "keep")
        if form != PLAIN:
            forms[source["name"]] = form
    return forms

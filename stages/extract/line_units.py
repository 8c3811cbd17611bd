"""Units from lines that an engine read: pages and PDF files have them."""

import re

from stages.core.project.errors import ParamsError
from stages.extract.engines.line import Line
from stages.extract.unit import Unit


def form_of(line: str, name: str) -> re.Pattern[str]:
    """Compile the setting `line` of a source. Raises ParamsError where it is no pattern."""
    try:
        return re.compile(line)
    except re.error as error:
        raise ParamsError(
            f"extract: {name}: `line` is no regular expression: {error}; mend it in params.yaml"
        ) from None


def unit_of_line(position: str, line: Line, form: re.Pattern[str], least: float) -> Unit:
    """Return the unit of a line. Its cells are the line and the named groups of the form.

    A line with less than the `least` confidence, or of another form, is set aside.
    """
    if line.confidence < least:
        return uncertain_unit(position, line, least)
    match = form.fullmatch(line.text)
    if match is None:
        evidence = "not of the form that `line` declares"
        return Unit(position, line.text, None, "other_form", evidence)
    return Unit(position, line.text, {"line": line.text} | match.groupdict())


def uncertain_unit(position: str, line: Line, least: float) -> Unit:
    """Return the rejected unit of a line that was read with too little confidence."""
    evidence = f"read with confidence {line.confidence:.2f}, {least} is asked for"
    return Unit(position, line.text, None, "low_confidence", evidence)

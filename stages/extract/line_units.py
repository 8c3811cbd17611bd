"""Lines that an engine gives, as units."""

import re

from stages.core.project.errors import ParamsError
from stages.extract.engines.line import Line
from stages.extract.unit import Unit


def form_of(line: str, name: str) -> re.Pattern[str]:
    """The form of a line that states something. Raises ParamsError where it is none."""
    try:
        return re.compile(line)
    except re.error as error:
        raise ParamsError(
            f"extract: {name}: `line` is no regular expression: {error}; mend it in params.yaml"
        ) from None


def unit_of_line(place: str, line: Line, form: re.Pattern[str], least: float) -> Unit:
    """The unit of a line: its named groups, where it is sure enough and of the form."""
    if line.confidence < least:
        return unsure(place, line, least)
    if (match := form.fullmatch(line.text)) is None:
        return Unit(place, line.text, None, "other_form", "not of the form that `line` declares")
    return Unit(place, line.text, {"line": line.text} | match.groupdict())


def unsure(place: str, line: Line, least: float) -> Unit:
    """The rejected unit of what was read with too little confidence."""
    evidence = f"read with confidence {line.confidence:.2f}, {least} is asked for"
    return Unit(place, line.text, None, "low_confidence", evidence)

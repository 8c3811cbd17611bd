"""The fields of PDF forms: name and value as people see them; nothing of what is empty, hidden or secret."""

from pathlib import Path

import pytest

from stages.extract.engines.line import Box
from stages.extract.engines.pdf_fields import fields_of
from stages.extract.kinds.pdf import opened
from tests.stages.extract.drawn_pdf import field, text, write

PLACE = (60, 700, 200, 716)


def texts_of(path: Path, *fields: str) -> list[str]:
    with opened(write(path / "a.pdf", text(60, 750, "Form"), fields=fields)) as document:
        return [line.text for line in fields_of(document, document[0])]


@pytest.mark.parametrize(
    ("drawn", "shown"),
    [
        (field("serial", "(ZN-12)", PLACE), ["serial: ZN-12"]),
        (field("p1", "(350 kPa)", PLACE, "/FT /Tx /TU (Pressure:)"), ["Pressure: 350 kPa"]),
        (field("topmostSubform[0].Page1[0].name[0]", "(Ann)", PLACE), ["name: Ann"]),
        (field("notes", "(two\\rlines)", PLACE), ["notes: two lines"]),
        (field("grade", "(46)", PLACE, "/FT /Ch /Ff 131072 /Opt [(32) (46)]"), ["grade: 46"]),
        (field("oil", "(m)", PLACE, "/FT /Ch /Ff 131072 /Opt [[(m) (mineral)] [(s) (synthetic)]]"), ["oil: mineral"]),
        (field("empty", "()", PLACE), []),
        (field("secret", "(x)", PLACE, "/FT /Tx /Ff 8192"), []),
        (field("hidden", "(x)", PLACE, "/FT /Tx /F 2"), []),
        (field("button", "(x)", PLACE, "/FT /Btn /Ff 65536"), []),
        ("<</Type /Annot /Subtype /FreeText /Rect [60 700 200 716] /Contents (Received)>>", ["Received"]),
        ("<</Type /Annot /Subtype /Text /Rect [60 700 200 716] /Contents (a comment)>>", []),
    ],
)  # fmt: skip
def test_the_value_of_a_field(tmp_path: Path, drawn: str, shown: list[str]) -> None:
    assert texts_of(tmp_path, drawn) == shown


@pytest.mark.parametrize(("state", "shown"), [("/Yes", ["ticked: Yes"]), ("/Off", [])])
def test_a_box_counts_where_it_is_ticked(tmp_path: Path, state: str, shown: list[str]) -> None:
    more = f"/FT /Btn /AS {state} /AP <</N <</Yes 3 0 R /Off 3 0 R>>>>"
    assert texts_of(tmp_path, field("ticked", state, PLACE, more)) == shown


def test_a_field_has_a_place_and_counts_once(tmp_path: Path) -> None:
    twice = [field("serial", "(ZN-12)", PLACE), field("serial", "(ZN-12)", (60, 600, 200, 616))]
    path = write(tmp_path / "a.pdf", text(60, 750, "Form"), fields=tuple(twice))
    with opened(path) as document:
        (line,) = fields_of(document, document[0])
    assert (line.box, line.is_field) == (Box(60, 126, 200, 142), True)

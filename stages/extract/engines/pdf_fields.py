"""The values of a PDF form's fields, and texts typed over a page, read with pypdfium2.

Neither is part of a page's text layer. A field gives the line `name: value`, as if it were printed. The name
is the one that a reader is shown where the form has such a name. Left out are empty fields, boxes that are
not ticked, buttons, signatures, passwords, and what is hidden.
"""

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stages.extract.engines.line import Line
from stages.extract.engines.pdf_layer import View, in_points

MOST_ANNOTATIONS = 10_000
"""Most annotations of a page that are looked at."""
LONGEST_VALUE = 100_000
"""Most bytes of a value that is read."""
HIDDEN_FLAGS = 1 << 1 | 1 << 5
"""Flags of an annotation that is not shown: Hidden and NoView (ISO 32000-1, table 165)."""
PASSWORD_FLAG = 1 << 13
"""Flag of a text field for a password (table 228)."""
# A part of a field's name that only counts or lays out. Examples: topmostSubform[0], Page1, #subform[2].
LAYOUT_NAME = re.compile(r"(?:topmost)?#?subform\d*|form\d*|page\d*|#area|#pageset", re.IGNORECASE)
# The number behind a part of a name. Example: the one of f1_01[0].
INDEX = re.compile(r"\[\d+\]$")


def fields_of(document: Any, page: Any) -> list[Line]:
    """Return the filled fields of a page, each as a line of its own."""
    from pypdfium2 import raw

    lines = []
    view = View(page)
    form = document.formenv.raw if document.formenv else None
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), MOST_ANNOTATIONS)):
        with opened(page, index) as annotation:
            if not annotation or raw.FPDFAnnot_GetFlags(annotation) & HIDDEN_FLAGS:
                continue
            text = text_of(form, annotation)
            rectangle = raw.FS_RECTF()
            if not text or not raw.FPDFAnnot_GetRect(annotation, rectangle):
                continue
            box = view.shown_box(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)
            lines.append(Line(text, 1.0, in_points(box), is_field=True))
    # Several places may show one field.
    unique = {line.text: line for line in reversed(lines)}
    return list(reversed(unique.values()))


@contextmanager
def opened(page: Any, index: int) -> Iterator[Any]:
    """Open an annotation of a page, and close it."""
    from pypdfium2 import raw

    annotation = raw.FPDFPage_GetAnnot(page, index)
    try:
        yield annotation
    finally:
        if annotation:
            raw.FPDFPage_CloseAnnot(annotation)


def text_of(form: Any, annotation: Any) -> str:
    """Return the text that an annotation shows, or an empty text."""
    from pypdfium2 import raw

    kind = raw.FPDFAnnot_GetSubtype(annotation)
    if kind == raw.FPDF_ANNOT_FREETEXT:
        return string(lambda *room: raw.FPDFAnnot_GetStringValue(annotation, b"Contents", *room))
    if kind != raw.FPDF_ANNOT_WIDGET or form is None:
        return ""
    value = value_of(form, annotation)
    if not value:
        return ""
    name = name_of(form, annotation).removesuffix(":").strip()
    return f"{name}: {value}" if name else value


def value_of(form: Any, annotation: Any) -> str:
    """Return the value of a field, as people see it, or an empty text."""
    from pypdfium2 import raw

    kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
        if not raw.FPDFAnnot_IsChecked(form, annotation):
            return ""
        return string(lambda *room: raw.FPDFAnnot_GetFormFieldExportValue(form, annotation, *room))
    if kind in (raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX):
        chosen = []
        for index in range(min(raw.FPDFAnnot_GetOptionCount(form, annotation), MOST_ANNOTATIONS)):
            if raw.FPDFAnnot_IsOptionSelected(form, annotation, index):
                chosen.append(option(form, annotation, index))
        if chosen:
            return ", ".join(chosen)
    elif kind != raw.FPDF_FORMFIELD_TEXTFIELD:
        return ""
    if raw.FPDFAnnot_GetFormFieldFlags(form, annotation) & PASSWORD_FLAG:
        return ""
    return string(lambda *room: raw.FPDFAnnot_GetFormFieldValue(form, annotation, *room))


def option(form: Any, annotation: Any, index: int) -> str:
    """Return the label of one of a field's options."""
    from pypdfium2 import raw

    return string(lambda *room: raw.FPDFAnnot_GetOptionLabel(form, annotation, index, *room))


def name_of(form: Any, annotation: Any) -> str:
    """Return the name of a field that a reader is shown, else the words of its full name.

    Example: `topmostSubform[0].buyer[0].name[0]` → `buyer name`.
    """
    from pypdfium2 import raw

    shown = string(lambda *room: raw.FPDFAnnot_GetFormFieldAlternateName(form, annotation, *room))
    if shown:
        return shown
    full_name = string(lambda *room: raw.FPDFAnnot_GetFormFieldName(form, annotation, *room))
    parts = [INDEX.sub("", part) for part in full_name.split(".")]
    return " ".join(part for part in parts if part and not LAYOUT_NAME.fullmatch(part))


def string(read: Callable[..., int]) -> str:
    """Return the text that a function of PDFium writes in UTF-16, on one line.

    The function takes a buffer and its size in bytes, and returns the size that it needs.
    """
    from pypdfium2 import raw

    size = min(read(None, 0), LONGEST_VALUE)
    if size < 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    read(ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    # The text ends with a zero.
    text = buffer.raw.decode("utf-16-le", "replace").partition("\0")[0]
    return " ".join(text.split())

"""The text of an XML element as people read it: `<td>codeine</td><td>swelling</td>` is no one word.

The vocabulary is not known beforehand. Three things say how an element stands in its text:

1. Its name, where HTML, C-CDA, JATS, DocBook, TEI, DITA and office documents agree: `p` and `item` have
   lines of their own, `td` is a cell, `b` and `italic` are part of the running text.
2. Its parent: where text and elements mix, an element of another name is part of the running text, as
   in `<p>the <gene>BRCA1</gene> mutation</p>`. Where a parent holds elements only, they are parted by a
   blank, as in `<name><given>Ann</given><family>Lee</family></name>`.
3. Its content: an element that holds lines or cells has lines of its own.

Raised and lowered text never joins a number (`stages/extract/raised.py`).
"""

import re
from typing import Any

from lxml import etree

from stages.extract.raised import lowered, raised

LINE = {
    *("p", "para", "simpara", "formalpara", "paragraph", "div", "blockquote", "disp-quote"),
    *("ul", "ol", "dl", "list", "itemizedlist", "orderedlist", "variablelist", "def-list"),
    *("li", "item", "listitem", "list-item", "dt", "dd", "varlistentry", "def-item"),
    *("table", "informaltable", "tgroup", "thead", "tbody", "tfoot", "tr", "row", "table-row"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "hr", "sec", "section", "chapter", "table-wrap"),
    *("figure", "fig", "figcaption", "speech", "sp", "lg", "stanza", "verse-group", "boxed-text"),
    *("pre", "programlisting", "screen", "literallayout", "synopsis", "preformat", "codeblock"),
}
"""Elements that begin and end on a line of their own."""
LINE_BESIDE_ELEMENTS = {
    *("title", "subtitle", "titleabbrev", "caption", "head", "heading", "header", "footer", "h"),
    *(
        "note",
        "footnote",
        "fn",
        "address",
        "abstract",
        "article",
        "body",
        "speaker",
        "def",
        "lines",
    ),
    *("member", "l", "verse", "verse-line", "disp-formula"),
}
"""Elements that have a line of their own, except in running text: <p>In <title>Hamlet</title>, …</p>."""
BREAK = {"br", "lb", "cr", "break", "line-break", "empty-line"}
BLANK = {"tab", "ptab", "space", "pb", "cb", "milestone"}
"""Empty elements that stand for a blank."""
"""Elements that break a line."""
CELL = {"td", "th", "entry", "tc", "cell", "table-cell"}
"""Cells of a row."""
LETTERING = {
    *(
        "b",
        "bdi",
        "bdo",
        "big",
        "bold",
        "em",
        "emph",
        "emphasis",
        "font",
        "hi",
        "i",
        "italic",
        "monospace",
    ),
    *(
        "overline",
        "roman",
        "s",
        "sans-serif",
        "sc",
        "small",
        "span",
        "strike",
        "strong",
        "styled-content",
    ),
    *("sub", "subscript", "inf", "sup", "superscript", "tt", "u", "underline", "wbr"),
}
"""Elements that only say how letters look. Nothing parts them from the text around them."""
RAISED = {"sup", "superscript"}
LOWERED = {"sub", "subscript", "inf"}
REFERENCES = {"xref", "footnoteref", "noteref"}
"""References to notes, sources, figures and so on."""
TO_PARTS = {"fig", "table", "sec", "app", "disp-formula", "supplementary-material", "boxed-text"}
"""Values of `ref-type` in JATS: references that stand on the line, such as Table 1."""
# The text of a reference that a page raises. Examples: 12, a, †.
MARKER = re.compile(r"\d{1,3}|[a-z]|[*†‡§¶#]+")
VERBATIM = {
    "pre",
    "programlisting",
    "screen",
    "literallayout",
    "synopsis",
    "preformat",
    "codeblock",
}
"""Elements in which line breaks and blanks count."""
DROPPED = {"script", "style", "annotation", "annotation-xml"}
"""Elements without text for people. A formula in MathML may repeat itself in an annotation, or in TeX."""
DEEPEST = 8
"""Most raised and lowered elements inside one another that are read as such."""
RAISES_LAST = ("msubsup", "munderover")
"""Elements of MathML with a lowered and then a raised child."""
CLOSING_SIGNS = set(",.;:!?)]}”’…，。；：！？）」』》、")
"""Signs that follow a word without a blank."""
AFTER_SENTENCE = tuple(".;:!?)”’。；：！？）”")
"""Characters behind which the mark of a note or source may stand."""
MATH = "http://www.w3.org/1998/Math/MathML"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
# Any run of white space. Example: "heat  \n  and" has one between "heat" and "and".
WHITE_SPACE = re.compile(r"\s+")
# A Chinese, Japanese or full-width character, or East Asian punctuation. Examples: 铁, の, 。
CJK = r"[\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]"
# A line break between two such characters, with the blanks around it: "铁的\n熔点" is "铁的熔点".
CJK_LINE_BREAK = re.compile(rf"(?<={CJK})[^\S\n]*\n\s*(?={CJK})")
SPACE = "{http://www.w3.org/XML/1998/namespace}space"
"""The attribute xml:space."""


def local_name(tag: Any) -> str:
    """Return a name without its namespace or prefix. What is no element has an empty name.

    Example: `{http://www.w3.org/1999/xhtml}p` and `x:p` → `p`.
    """
    if not isinstance(tag, str):
        return ""
    return tag.rpartition("}")[2].rpartition(":")[2]


def text_of(root: Any, depth: int = 0) -> str:
    """Return the text of an element with all that is inside.

    An element without other elements inside keeps its white space. Elsewhere white space is that of
    the markup: a run of it is one blank, but for elements such as <pre>. `depth`: number of raised and
    lowered elements around it.
    """
    if len(root) == 0:
        return root.text or ""
    if depth == DEEPEST:
        return " ".join(root.itertext())
    layout = Layout(root)
    text = Text(depth)
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "end":
            close(element, root, layout, text)
        elif open_element(element, layout, text):
            walk.skip_subtree()
    # A blank at the end parts raised text from what follows it: <sup><i>2 </i></sup>=.
    if text.gap and text.parts:
        text.parts.append(" ")
    return "".join(text.parts)


def open_element(element: Any, layout: "Layout", text: "Text") -> bool:
    """Begin an element. Return whether all its text has been taken."""
    name = local_name(element.tag)
    kind = layout.kinds[element]
    if kind == "dropped":
        return True
    if kind == "raised":
        text.add(raised(text_of(element, text.depth + 1)))
        return True
    if kind == "lowered":
        inside = text_of(element, text.depth + 1)
        text.add(lowered(inside, text.last_character(), text_behind(element)))
        return True
    if name in REFERENCES and is_marker(element, text.last_character()):
        text.add(raised("".join(element.itertext())))
        return True
    if kind == "denominator":
        text.add("/")
    if kind in ("numerator", "denominator") and len(element) > 1:
        text.add("(")
    if kind == "cell":
        if layout.has_cell_before(element):
            text.begin_cell()
        text.cells += 1
    elif kind in ("break", "line"):
        text.part("\n")
    elif kind in ("word", "name"):
        text.part(" ")
    if layout.is_verbatim(element):
        text.verbatim += 1
    text.add(element.text)
    return False


def close(element: Any, root: Any, layout: "Layout", text: "Text") -> None:
    """End an element, and take the text behind it."""
    kind = layout.kinds[element]
    if layout.is_verbatim(element):
        text.verbatim -= 1
    if kind in ("numerator", "denominator") and len(element) > 1:
        text.add(")")
    if kind == "cell":
        text.cells -= 1
        text.part(" ")
    elif kind == "line":
        text.part("\n")
    elif kind == "word" or (kind == "name" and not is_punctuation(element.tail)):
        text.part(" ")
    if element is not root:
        text.add(element.tail)


class Layout:
    """How each element below a root stands in the text."""

    def __init__(self, root: Any) -> None:
        """Look at every element once, from the last one to the first, so that children come first."""
        self.kinds: dict[Any, str] = {}
        self.holds_lines: set[Any] = set()
        self.mixed: dict[Any, bool] = {}
        """Parent → whether it holds text beside its elements."""
        for element in reversed(list(root.iter())):
            kind = self._kind(element, element is root)
            self.kinds[element] = kind
            parent = element.getparent()
            if element is not root and (
                kind in ("line", "break", "cell") or element in self.holds_lines
            ):
                self.holds_lines.add(parent)

    def _kind(self, element: Any, is_root: bool) -> str:
        if not isinstance(element.tag, str):
            return "dropped"
        if is_root:
            return "running"
        name = local_name(element.tag).lower()
        if name in DROPPED or (name == "tex-math" and len(element.getparent()) > 1):
            return "dropped"
        namespace = etree.QName(element).namespace if element.tag.startswith("{") else ""
        if namespace == MATH:
            return kind_in_formula(element)
        if namespace == WORD and name in ("r", "t"):
            return "running"
        if name in RAISED or is_raised_by_style(element, "super"):
            return "raised"
        if name in LOWERED or is_raised_by_style(element, "sub"):
            return "lowered"
        if name in BREAK:
            return "break"
        if name in BLANK and len(element) == 0 and not element.text:
            return "word"
        if name in CELL:
            return "cell"
        if name in LINE or element in self.holds_lines:
            return "line"
        if name in LETTERING:
            return "running"
        is_mixed = self._is_mixed(element.getparent())
        if name in LINE_BESIDE_ELEMENTS:
            return "name" if is_mixed else "line"
        return "running" if is_mixed else "word"

    def _is_mixed(self, parent: Any) -> bool:
        """Whether an element holds running text: text beside its elements, or lettering."""
        if parent not in self.mixed:
            texts = [parent.text, *(child.tail for child in parent)]
            has_text = any(text and not text.isspace() for text in texts)
            names = (local_name(child.tag).lower() for child in parent)
            self.mixed[parent] = has_text or any(name in LETTERING for name in names)
        return self.mixed[parent]

    def has_cell_before(self, element: Any) -> bool:
        """Whether an element follows a cell of the same row."""
        before = element.getprevious()
        return before is not None and self.kinds.get(before) == "cell"

    def is_verbatim(self, element: Any) -> bool:
        """Whether white space counts in an element."""
        return local_name(element.tag).lower() in VERBATIM or element.get(SPACE) == "preserve"


def kind_in_formula(element: Any) -> str:
    """Return how an element of MathML stands in the text: raised, lowered, as a denominator …"""
    around = local_name(element.getparent().tag)
    before = element.getprevious()
    if around == "mfrac":
        return "numerator" if before is None else "denominator"
    if before is not None:
        if around in ("msup", "mover") or (around in RAISES_LAST and element.getnext() is None):
            return "raised"
        if around in ("msub", "munder", *RAISES_LAST):
            return "lowered"
    name = local_name(element.tag)
    is_second_number = before is not None and name == local_name(before.tag) == "mn"
    return "word" if is_second_number or name in ("mfrac", "mtr", "mtd") else "running"


def text_behind(element: Any) -> str:
    """Return text that follows an element directly: behind it, or in the next element."""
    if element.tag.startswith(f"{{{MATH}}}"):
        return "0"  # a number may follow anywhere in a formula
    if element.tail:
        return str(element.tail)
    following = element.getnext()
    return "" if following is None else "".join(following.itertext())


def is_punctuation(text: str | None) -> bool:
    """Whether a text begins with a sign that follows a word without a blank."""
    return text is not None and text[:1] in CLOSING_SIGNS


def is_marker(reference: Any, before: str) -> bool:
    """Whether a reference is a mark of a note or source, glued to the text before it.

    `before`: the last character of that text. Example: 2010<xref ref-type="bibr">12</xref>.
    """
    if MARKER.fullmatch("".join(reference.itertext()).strip()) is None:
        return False
    if reference.get("ref-type") in TO_PARTS:
        return before.isdigit()
    return before.isalnum() or before in AFTER_SENTENCE


GPO_RAISED = {"51": "super", "52": "sub", "54": "sub"}
"""How the Federal Register marks letters: `<E T="51">2</E>` is raised."""


def is_raised_by_style(element: Any, direction: str) -> bool:
    """Whether an attribute of an element says that it is raised (`super`) or lowered (`sub`).

    Examples: <hi rend="superscript">, <emphasis role="subscript">, <span style="vertical-align: super">.
    """
    if direction == GPO_RAISED.get(element.get("T", "")) and local_name(element.tag) == "E":
        return True
    for name in ("rend", "render", "rendition", "role", "style", "position"):
        value = element.get(name)
        if value and value.lower() == direction:
            return True
        if value and f"{direction}script" in value.lower():
            return True
        if value and name == "style" and re.search(rf"vertical-align:\s*{direction}\b", value):
            return True
    return False


class Text:
    """A text that is put together piece by piece."""

    def __init__(self, depth: int) -> None:
        """Nothing has been added. `depth`: number of raised and lowered elements around the text."""
        self.depth = depth
        self.parts: list[str] = []
        self.gap = ""
        """What has to stand before the next piece: nothing, a blank or a line break."""
        self.cells = 0
        """Number of cells around the next piece. A cell is one line."""
        self.verbatim = 0
        """Number of elements around the next piece in which white space counts."""

    def part(self, gap: str) -> None:
        """Part the next piece from the one before by a blank or a line break."""
        if self.cells:
            gap = " "
        if self.gap != "\n":
            self.gap = gap

    def begin_cell(self) -> None:
        """Part the next cell from the one before."""
        if self.gap == " ":
            self.gap = ""
        self._append("|" if self._is_at_start() else " |")
        self.gap = " "

    def add(self, text: str | None) -> None:
        """Add running text. Outside of verbatim elements, a run of white space is one blank."""
        if not text:
            return
        if self.verbatim:
            self._append(text)
            return
        text = WHITE_SPACE.sub(" ", CJK_LINE_BREAK.sub("", text))
        if text.startswith(" "):
            self.part(" ")
        stripped = text.strip(" ")
        if stripped:
            self._append(stripped)
            if text.endswith(" "):
                self.part(" ")

    def last_character(self) -> str:
        """Return the character before the next piece, or an empty text where they are parted."""
        return self.parts[-1][-1] if self.parts and not self.gap else ""

    def _is_at_start(self) -> bool:
        """Whether the next piece begins a line."""
        return not self.parts or self.gap == "\n"

    def _append(self, text: str) -> None:
        if self.gap and self.parts:
            self.parts.append(self.gap)
        self.gap = ""
        self.parts.append(text)

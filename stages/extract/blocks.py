"""Blocks of a document: headings and the text between them, each with the line where it begins.

markdown-it-py (CommonMark with tables, github.com/executablebooks/markdown-it-py) turns Markdown into
HTML. lxml.html reads HTML. It fetches nothing and knows only the standard entities. Of formatting,
links and pictures only the words remain. Raised and lowered text keeps its place: 10<sup>6</sup> is 10⁶.
Marks of footnotes are dropped. A list, a table or code is one block, with one line per item or row:
items begin with `- ` or their number, cells are separated by ` | `, and a semicolon ends the line, since
`clean` may join lines. If an HTML page has a <main> element, only that is read. What a page does not
show is dropped: scripts, styles, navigation, hidden elements (`stages/extract/styles.py`).
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from stages.extract import front_matter
from stages.extract.raised import lowered, raised
from stages.extract.styles import WHOLE_PAGE, Style, Styles, is_gone, is_invisible, is_of_no_size

UNSEEN = {
    *("script", "style", "template", "noscript", "head", "ix:header", "ix:hidden", "datalist"),
    *("audio", "video", "dialog", "rp", "annotation", "annotation-xml"),
}
"""Elements that a page does not show, or shows only by a script. They are left out with all inside.
ix:header and ix:hidden are those of Inline XBRL, for programs only."""
UNREAD = {
    *("nav", "svg", "iframe", "object", "canvas", "button", "select", "textarea"),
    *("del", "s", "strike"),
}
"""Elements that are shown, and left out with all their content: controls, drawings, and what was struck out.
The texts around them stay apart."""
HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
"""Element → level of a heading."""
WHOLE = {"ul", "ol", "dl", "table", "pre"}
"""Elements that are one block with all their content, unless they only lay out a page."""
SEPARATE = {
    *WHOLE,
    *HEADINGS,
    *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details"),
    *("dir", "div", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr"),
    *("html", "legend", "li", "main", "menu", "p", "section", "summary", "tbody", "tfoot"),
    *("thead", "tr", "xmp", "listing", "plaintext"),
}
"""Elements that begin and end on a line of their own."""
SEPARATE_DISPLAYS = {"block", "flex", "grid", "list-item", "table", "table-row", "flow-root"}
"""Values of the style `display` with which an element begins and ends on a line of its own."""
VERBATIM = {"pre", "xmp", "listing", "plaintext"}
"""Elements in which white space counts."""
VERBATIM_STYLES = {"pre", "pre-wrap", "pre-line", "break-spaces"}
"""Values of the style `white-space` with which line breaks count."""
CELLS = ("td", "th")
"""Elements of table cells."""
FORMULA_PARTS = {
    ("msup", 1): "raised",
    ("msub", 1): "lowered",
    ("msubsup", 1): "lowered",
    ("msubsup", 2): "raised",
}
"""Element of a formula (MathML) and number of a part → position of this part."""
# One Chinese, Japanese or full-width character, or East Asian punctuation. Examples: 铁, の, 。
# These scripts write no space at a line break: "铁的\n熔点" is "铁的熔点".
CJK = re.compile(r"[\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]")
# Any run of white space. Example: "heat  \n  and" has one between "heat" and "and".
WHITE_SPACE = re.compile(r"\s+")
# The end of a line behind which no semicolon is needed. Examples: "Take daily." "Uses:" "服用。"
CLOSED_LINE = re.compile(r"[.!?;:,…。！？；：，、]$")
# A raised mark that leads to a footnote, whatever it stands behind. Examples: [1], [note 2], *, †.
NOTE_MARK = re.compile(r"\[[^\]]{1,12}\]|[*†‡§¶‖#]{1,4}")
# A number or letter that leads to a footnote, if it is a link inside the page.
# Examples: 1, [12], (3), a, 1,2, 4–6.
NOTE_NUMBER = re.compile(
    r"[\[(]?"  # an opening bracket, perhaps
    r"(?:\d{1,3}(?:\s*[,–-]\s*\d{1,3})*|[a-z])"  # 1 or 1,2 or 4–6, or a letter
    r"[\])]?",
    re.IGNORECASE,
)
BACK_MARK = re.compile(r"[↩↑⏎↵⤴^\ufe0e\ufe0f]+")
"""A link from a footnote back to its mark."""
# Names in an element's class or role for links to footnotes, and for those back.
# Examples: class="footnote-ref", role="doc-noteref", epub:type="noteref".
NOTE_NAME = re.compile(
    r"\b(?:doc-noteref|noteref|footnote-?ref(?:erence)?|footnote-link|fnref|fn-ref)\b",
    re.IGNORECASE,
)
BACK_NAME = re.compile(
    r"\b(?:doc-backlink|backlink|footnote-?back(?:ref|link)?|fn-?backref|mw-cite-backlink)\b",
    re.IGNORECASE,
)
LONGEST_MARK = 20
"""Most characters of a footnote's mark."""
# A footnote in Markdown. `[^1]` is its mark. At the start of a line, `[^1]: text` is the note itself.
MARKDOWN_NOTE = re.compile(r"\[\^([^\]\s]{1,50})\]")
MARKDOWN_NOTE_START = re.compile(r"\[\^([^\]\s]{1,50})\]:[ \t]*")
# A note inside the text. Example: Iron melts at 1538 °C^[At normal pressure.].
MARKDOWN_INNER_NOTE = re.compile(r"\^\[([^\[\]]+)\]")
# Raised text in Markdown: a number, a charge or a word. Examples: 10^6^ per mL, 10^-3^, Na^+^, 5^th^.
# In a^2+b^2 the signs are no pair. There, they stay as they are.
MARKDOWN_RAISED = re.compile(
    r"(?<=[^\s^])\^"  # behind a character
    r"([+−-]?\d{1,9}|\d{0,2}[+−-]|[A-Za-z]{1,10})"
    r"\^(?![\w^])"  # and before the end of a word
)
# Lowered text in Markdown, behind a letter or a bracket. Examples: H~2~O, T~max~. Not: 5~10, ~~old~~.
MARKDOWN_LOWERED = re.compile(r"(?<=[A-Za-z)\]])~(\d{1,4}|[A-Za-z]{1,10})~(?![~\d])")
LINE = "data-line"
"""Attribute with an element's line number in the Markdown file."""


class Block(NamedTuple):
    """A heading, or a piece of text."""

    line: int
    """Line where it begins, from 1 on."""
    text: str
    level: int = 0
    """Level of a heading, 1 to 6. 0: it is a piece of text."""


def of_text(text: str) -> tuple[str, list[Block]]:
    """Return no title, and the paragraphs of plain text, which empty lines separate.

    Line breaks inside a paragraph stay.
    """
    blocks: list[Block] = []
    lines: list[str] = []
    # The additional empty line ends the last paragraph.
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            first = number - len(lines)
            blocks.append(Block(first, "\n".join(lines)))
            lines = []
    return "", blocks


def of_markdown(text: str, keep_lines: bool = False) -> tuple[str, list[Block]]:
    """Return the title from the front matter, or an empty text, and the blocks of Markdown.

    `keep_lines`: a line break inside a paragraph stays one.
    """
    read = front_matter.of(text)
    root = markdown_root(text, keep_lines)
    if root is None:
        return read.title, []
    return read.title, list(Reader(root, True, keep_lines).blocks(root))


def of_html(text: str, keep_lines: bool = False) -> tuple[str, list[Block]]:
    """Return the title, or an empty text, and the blocks of HTML.

    `keep_lines`: no semicolon ends the lines of lists and tables.
    """
    root = parse_html(text)
    if root is None:
        return "", []
    title = " ".join((root.findtext(".//title") or "").split())
    start = next(root.iter("main"), root)
    return title, list(Reader(root, False, keep_lines).blocks(start))


def markdown_root(text: str, keep_lines: bool = False) -> Any:
    """Return the root element of the HTML that Markdown makes, without its front matter, or None.

    Its elements have the attribute LINE.
    """
    from markdown_it import MarkdownIt

    read = front_matter.of(text)
    skipped_lines = text.count("\n", 0, read.end)
    parser = MarkdownIt("commonmark", {"maxNesting": 100, "breaks": keep_lines}).enable("table")
    parser.block.ruler.at("reference", reference_but_no_note, {"alt": []})
    tokens = parser.parse(text[read.end :])
    notes = note_labels(tokens)
    for token in tokens:
        if token.type == "inline":
            write_notes(token, notes, skipped_lines)
        if not token.map:
            continue
        # A token's lines count from 0.
        line = str(token.map[0] + skipped_lines + 1)
        if token.type == "html_block":
            # It is rendered as it stands, so its line needs an element around it.
            token.content = f'<div {LINE}="{line}">{token.content}</div>'
        else:
            token.attrSet(LINE, line)
    return parse_html(parser.renderer.render(tokens, parser.options, {}))


def reference_but_no_note(state: Any, start: int, end: int, silent: bool) -> bool:
    """Read a link's definition, such as `[1]: page.html`. A footnote, such as `[^1]: page`, is none."""
    from markdown_it.rules_block import reference

    first = state.bMarks[start] + state.tShift[start]
    if state.src.startswith("[^", first):
        return False
    return reference(state, start, end, silent)


def note_labels(tokens: list[Any]) -> set[str]:
    """Return the labels of the footnotes that a Markdown document holds."""
    labels = set()
    for token in tokens:
        for child in token.children or []:
            if child.type == "text":
                note = MARKDOWN_NOTE_START.match(child.content)
                if note:
                    labels.add(note[1])
    return labels


def write_notes(inline: Any, notes: set[str], skipped_lines: int) -> None:
    """Write the footnotes, the raised and the lowered text of a Markdown paragraph as HTML."""
    from markdown_it.common.utils import escapeHtml

    line = skipped_lines + 1 + (inline.map[0] if inline.map else 0)
    is_line_start = True
    for number, child in enumerate(inline.children):
        if child.type in ("softbreak", "hardbreak"):
            line += 1
            is_line_start = True
            continue
        if child.type == "text" and ("^" in child.content or "~" in child.content):
            content = child.content
            start = ""
            note = MARKDOWN_NOTE_START.match(content) if is_line_start else None
            if note:
                content = content[note.end() :]
                # A note that follows another one without an empty line begins a paragraph.
                start = f'</p><p {LINE}="{line}">' if number else ""

            content = MARKDOWN_NOTE.sub(
                lambda mark: "" if is_note(mark[1], notes) else mark[0], content
            )
            content = escapeHtml(MARKDOWN_INNER_NOTE.sub(r" (\1)", content))
            content = MARKDOWN_RAISED.sub(r"<sup>\1</sup>", content)
            content = MARKDOWN_LOWERED.sub(r"<sub>\1</sub>", content)
            child.type, child.content = "html_inline", start + content
        is_line_start = False


def is_note(label: str, notes: set[str]) -> bool:
    """Whether the label of `[^label]` leads to a footnote. `[^a-z]` may be a pattern."""
    return label in notes or label.isdecimal()


def parse_html(text: str) -> Any:
    """Return the root element of a document, or None where it is empty.

    Raises ValueError where the parser stops before the end.
    """
    from lxml import etree, html

    parser = html.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True
    )
    content = text.replace("\0", "").encode("utf-8", "replace")
    try:
        root = html.document_fromstring(content, parser=parser)
    except etree.ParserError:
        return None
    # The document is nested too deeply or is too long. All that follows would be missing.
    fatal = parser.error_log.filter_from_fatals()
    if fatal:
        # libxml2's advice on its own options is cut off: "…, use XML_PARSE_HUGE option".
        raise ValueError(fatal[0].message.partition(", use")[0].partition(", try")[0])
    return root


class Shown(NamedTuple):
    """How the text of an element is shown. Elements inside inherit it."""

    is_invisible: bool = False
    is_of_no_size: bool = False
    is_verbatim: bool = False
    """Whether white space counts."""


class TextLine(NamedTuple):
    """A finished line of the open block."""

    text: str
    starts_item: bool
    """Whether it begins an item of a list, a row of a table or a term."""


class Small(NamedTuple):
    """Raised or lowered text that is being read."""

    gap: str
    """White space before it."""
    pieces: list[str]


class Reader:
    """A walk through the elements of a document, which collects the text of the open block."""

    def __init__(self, root: Any, from_markdown: bool, keep_lines: bool = False) -> None:
        """Start at a document's root.

        `from_markdown`: attributes hold the line numbers, since the HTML was rendered. `keep_lines`: no
        semicolon ends the lines of lists and tables.
        """
        self.from_markdown = from_markdown
        self.keep_lines = keep_lines
        self.styles = Styles(root)
        self.shown = [Shown()]
        """How text is shown, of each enclosing element."""
        self.lines: list[TextLine] = []
        """Finished lines of the open block."""
        self.parts: list[str] = []
        """Pieces of the open line."""
        self.starts_item = False
        """Whether the open line begins an item."""
        self.has_only_mark = False
        """Whether the open line holds nothing but the mark of an item, such as `- `."""
        self.gap = ""
        """White space that comes before the next text: none, a blank, or a line break of the file."""
        self.small: list[Small] = []
        """The raised and lowered texts that enclose the walk."""
        self.line = 1
        """Line of the file that the walk has reached."""
        self.first_line = 1
        """Line of the file where the open block begins."""
        self.has_text = False
        """Whether the open block holds more than marks."""
        self.whole: Any = None
        """The list, table or code that encloses the walk and is one block, if any."""
        self.cell: Any = None
        """The table cell that encloses the walk, if any. All its text stands on one line."""
        self.item_numbers: dict[Any, int] = {}
        """Numbered list → number of its last item."""
        self.after_term = False
        """Whether the last finished line is the term of a definition."""
        self.is_behind_term = False
        """Whether the open line is a term whose definition follows."""

    def blocks(self, root: Any) -> Iterator[Block]:
        """Yield the blocks below an element, in their order."""
        from lxml import etree

        walk = etree.iterwalk(root, events=("start", "end"))
        left_out: Any = None
        for event, element in walk:
            style = self.styles.of(element)
            if event == "start":
                if element is not root and self.is_left_out(element):
                    left_out = element
                    walk.skip_subtree()
                    continue
                yield from self._open(element, element.tag, style)
                self._add(element.text)
                continue
            if element is not left_out:
                yield from self._close(element, element.tag, style)
            if element is not root:
                # The tail is the text behind an element, up to the next one.
                self._add(element.tail)
        yield from self._end_block()

    def text_of(self, element: Any) -> str:
        """Return the text of a heading or a table's cell, on one line."""
        self.parts, self.gap = [], ""
        self.whole = self.cell = element
        return " ".join(block.text for block in self.blocks(element))

    def is_left_out(self, element: Any) -> bool:
        """Whether an element is left out with all its content. If it is shown, texts stay apart."""
        tag = element.tag
        style = self.styles.of(element)
        if tag in UNREAD or element.get("role") == "navigation":
            self._leave_gap()
            return True
        if tag in UNSEEN or is_hidden(element):
            return True
        if is_gone(style) and tag not in WHOLE_PAGE:
            return True
        return tag in ("sup", "a") and leads_to_note(element, self._is_glued())

    def _open(self, element: Any, tag: str, style: Style) -> Iterator[Block]:
        """Begin an element. It may end the open block."""
        if self.from_markdown:
            self.line = int(element.get(LINE, self.line))
        else:
            self.line = element.sourceline or self.line
        if self._is_separate(tag, style):
            yield from self._end_line()
        if tag in WHOLE and self.whole is None and not is_layout(element):
            self.whole = element
        self.shown.append(self._shown_in(tag, style))
        if position_of(element, tag, style):
            self.small.append(Small(self.gap, []))
            self.gap = ""
        if tag == "li":
            self._open_item(element)
        elif tag == "dd" and self.after_term and self.cell is None:
            self._go_on_behind_term()
        elif tag in ("tr", "dt", "dd"):
            self.starts_item = self.whole is not None
        elif tag in CELLS and self.whole is not None and self.cell is None:
            self._open_cell(element)
        elif tag == "br":
            self._break_line()
        elif tag == "rt":
            self._add(" (")
        elif tag == "msqrt":
            self._add("√")
        elif is_denominator(element):
            self._add("/")
        elif tag == "img":
            self._add(element.get("alt"))
        self.after_term = False

    def _close(self, element: Any, tag: str, style: Style) -> Iterator[Block]:
        """End an element. It may end the open block."""
        self.shown.pop()
        position = position_of(element, tag, style)
        if position:
            self._close_small(element, position)
        if tag == "rt":
            self._append(")")
        if element is self.whole:
            self.whole = None
        if element is self.cell:
            self.cell = None
        if tag == "dd":
            self.is_behind_term = False
        if self._is_separate(tag, style):
            yield from self._end_line(HEADINGS.get(tag, 0))
        self.after_term = tag == "dt" and self.whole is not None and bool(self.lines)

    def _open_item(self, element: Any) -> None:
        """Begin an item of a list with its mark."""
        enclosing_list = element.getparent()
        mark = self._mark_of_item(enclosing_list)
        if self.cell is not None:
            self._leave_gap()
            self._append(mark)
            self.gap = " "
            return
        if self.is_behind_term:
            self._break_line()
        depth = sum(1 for _ in element.iterancestors("ul", "ol"))
        # An open line is empty here, or it holds the mark of an empty item.
        self.parts = ["\t" * (depth - 1), mark, " "]
        self.gap = ""
        self.starts_item = self.has_only_mark = True

    def _mark_of_item(self, enclosing_list: Any) -> str:
        """Return the mark of a list's next item: `-`, or its number such as `2.`."""
        if enclosing_list is None or enclosing_list.tag != "ol":
            return "-"
        if enclosing_list in self.item_numbers:
            self.item_numbers[enclosing_list] += 1
        else:
            start = enclosing_list.get("start", "")
            is_number = start.isascii() and start.isdecimal() and len(start) < 10
            self.item_numbers[enclosing_list] = int(start) if is_number else 1
        return f"{self.item_numbers[enclosing_list]}."

    def _open_cell(self, element: Any) -> None:
        """Begin a cell of a table. A sign separates it from the cell before it."""
        self.cell = element
        if element.getprevious() is not None:
            self.parts.append(" |" if self.parts else "|")
            self.gap = " "

    def _go_on_behind_term(self) -> None:
        """Open the line of a term again, so that its definition stands behind it."""
        term = self.lines.pop()
        self.parts = [term.text if CLOSED_LINE.search(term.text) else f"{term.text}:"]
        self.starts_item = term.starts_item
        self.gap = " "
        self.is_behind_term = True

    def _close_small(self, element: Any, position: str) -> None:
        """Add a raised or lowered text to the text before it."""
        small = self.small.pop()
        gap_behind = self.gap
        self.gap = small.gap
        text = "".join(small.pieces)
        if position == "raised":
            text = raised(text)
        else:
            outer = self.small[-1].pieces if self.small else self.parts
            before = outer[-1][-1] if outer and not self.gap else ""
            text = lowered(text, before, "" if gap_behind else char_behind(element))
        # Several words come back with a blank at both ends.
        if text.startswith(" "):
            self._leave_gap()
        self._append(text.strip())
        self.gap = " " if text.endswith(" ") else self.gap or gap_behind

    def _is_separate(self, tag: str, style: Style) -> bool:
        """Whether an element has a line of its own. Cells have one where a table only lays out a page."""
        if tag in SEPARATE or style.get("display") in SEPARATE_DISPLAYS:
            return True
        return tag in CELLS and self.whole is None

    def _shown_in(self, tag: str, style: Style) -> Shown:
        """Return how text is shown in an element."""
        outer = self.shown[-1]
        invisible, sizeless = is_invisible(style), is_of_no_size(style)
        if tag in WHOLE_PAGE:
            invisible = sizeless = False
        is_verbatim = outer.is_verbatim or tag in VERBATIM
        spacing = style.get("white-space")
        if spacing is not None:
            is_verbatim = spacing in VERBATIM_STYLES
        return Shown(
            outer.is_invisible if invisible is None else invisible,
            outer.is_of_no_size if sizeless is None else sizeless,
            is_verbatim,
        )

    def _is_glued(self) -> bool:
        """Whether text that comes now would stand directly behind other text."""
        if self.gap or self.has_only_mark:
            return False
        return bool(self.small[-1].pieces if self.small else self.parts)

    def _leave_gap(self) -> None:
        """Keep the next text apart from the one before it."""
        self.gap = " "

    def _add(self, text: str | None) -> None:
        """Add text to the open block. Runs of white space become one space."""
        shown = self.shown[-1]
        if not text or shown.is_invisible or shown.is_of_no_size:
            return
        if shown.is_verbatim and not self.small:
            self._add_verbatim(text)
            return
        words = text.strip()
        if not words:
            self._widen_gap(text)
            return
        start = text.index(words[0])
        self._widen_gap(text[:start])
        self._append(WHITE_SPACE.sub(space_for, words))
        self._widen_gap(text[start + len(words) :])

    def _widen_gap(self, white_space: str) -> None:
        """Leave a gap for white space. A line break of the file is none between Chinese characters."""
        if white_space and not self.gap:
            self.gap = "\n" if "\n" in white_space else " "

    def _add_verbatim(self, text: str) -> None:
        """Add text in which white space counts. In a table's cell, it still stands on one line."""
        for number, line in enumerate(text.split("\n")):
            if number:
                self._break_line(keep_empty=True)
            self._append(line if self.cell is None else line.strip())

    def _append(self, text: str) -> None:
        """Add text to the open line, behind the gap."""
        if not text:
            return
        parts = self.small[-1].pieces if self.small else self.parts
        if self.gap and parts and not self.has_only_mark and self._is_space_needed(parts[-1], text):
            parts.append(" ")
        parts.append(text)
        self.gap = ""
        if self.small:
            return
        self.has_only_mark = self.is_behind_term = False
        if not self.has_text and not text.isspace():
            self.first_line, self.has_text = self.line, True

    def _is_space_needed(self, before: str, text: str) -> bool:
        """Whether the gap is a space. A line break of the file is none between Chinese characters."""
        return self.gap == " " or not (CJK.match(before[-1]) and CJK.match(text))

    def _break_line(self, keep_empty: bool = False) -> None:
        """End the open line inside a block. In a table's cell, all text stands on one line."""
        if self.cell is not None or self.small:
            self._leave_gap()
            return
        text = "".join(self.parts).rstrip()
        if text or keep_empty:
            self.lines.append(TextLine(text, self.starts_item))
            self.starts_item = False
        self.parts = []
        self.gap = ""
        self.has_only_mark = self.is_behind_term = False

    def _end_line(self, level: int = 0) -> Iterator[Block]:
        """Begin a new line inside a list, table or code. Elsewhere, end the open block."""
        if self.whole is None:
            yield from self._end_block(level)
        elif self.cell is not None:
            self._leave_gap()
        elif not (self.has_only_mark or self.is_behind_term):
            # Else the text of the item follows, as in <li><p>text.
            self._break_line()

    def _end_block(self, level: int = 0) -> Iterator[Block]:
        """Yield the open block, if it holds text, and begin another one."""
        if self.has_only_mark:
            self.parts = []
        self._break_line()
        lines, self.lines = self.lines, []
        has_text, self.has_text = self.has_text, False
        self.starts_item = False
        if has_text:
            yield Block(self.first_line, self._joined(lines), level)

    def _joined(self, lines: list[TextLine]) -> str:
        """Join the lines of a block. A semicolon ends an item before the next one."""
        texts: list[str] = []
        for line in lines:
            if line.starts_item and texts and not self.keep_lines:
                texts[-1] += end_of_item(texts[-1])
            texts.append(line.text)
        # Empty lines stay inside of code only.
        return "\n".join(texts).strip("\n")


def end_of_item(line: str) -> str:
    """Return the sign that is missing at the end of an item: a semicolon, or nothing."""
    if not line or CLOSED_LINE.search(line):
        return ""
    return "；" if CJK.match(line[-1]) else ";"


def space_for(run: re.Match[str]) -> str:
    """Return what stands for a run of white space: a space, or nothing between Chinese characters."""
    text = run.string
    if "\n" in run[0] and CJK.match(text, run.start() - 1) and CJK.match(text, run.end()):
        return ""
    return " "


def position_of(element: Any, tag: str, style: Style) -> str:
    """Return `raised` or `lowered` for an element whose text stands so, else an empty text."""
    position = style.get("vertical-align")
    if position == "super" or (tag == "sup" and position is None):
        return "raised"
    if position == "sub" or (tag == "sub" and position is None):
        return "lowered"
    around = element.getparent()
    if around is not None and around.tag in ("msup", "msub", "msubsup"):
        return FORMULA_PARTS.get((around.tag, parts_before(element)), "")
    return ""


def char_behind(element: Any) -> str:
    """Return the character behind an element, or an empty text where it is not text."""
    following = element.getnext()
    text = element.tail
    if not text and following is not None:
        text = following.text
    return text[0] if text else ""


def is_denominator(element: Any) -> bool:
    """Whether an element of a formula (MathML) is the lower part of a fraction."""
    around = element.getparent()
    return around is not None and around.tag == "mfrac" and parts_before(element) == 1


def parts_before(element: Any) -> int:
    """Return the number of elements before one in its parent, at most 3."""
    return sum(1 for _ in islice(element.itersiblings(preceding=True), 3))


def leads_to_note(element: Any, is_glued: bool) -> bool:
    """Whether a raised text, or a link, is only the mark of a footnote or a link back from it.

    `is_glued`: it stands directly behind other text.
    """
    text = short_text(element)
    names = names_of(element)
    links = list_links(element)
    if element.tag == "sup":
        if NOTE_MARK.fullmatch(text):
            return True
        is_link = bool(links) or bool(NOTE_NAME.search(names)) or "reference" in names.split()
        return is_link and NOTE_NUMBER.fullmatch(text) is not None
    if BACK_NAME.search(names):
        return True
    if not links:
        return False
    if BACK_MARK.fullmatch(text):
        return True
    is_mark = NOTE_NUMBER.fullmatch(text) or NOTE_MARK.fullmatch(text)
    if not is_mark:
        return False
    holds_raised = len(element) == 1 and element[0].tag == "sup"
    return is_glued or holds_raised or NOTE_NAME.search(names) is not None


def list_links(element: Any) -> list[Any]:
    """Return the links inside the page that an element of short text is or holds."""
    found = []
    for link in islice(element.iter("a"), LONGEST_MARK):
        if "#" in link.get("href", "") or NOTE_NAME.search(names_of(link)):
            found.append(link)
    return found


def names_of(element: Any) -> str:
    """Return the class and the roles of an element."""
    named = (element.get(name) for name in ("class", "role", "epub:type", "rel"))
    return " ".join(name for name in named if name)


def short_text(element: Any) -> str:
    """Return the text of an element, or an empty text where it is longer than a footnote's mark."""
    text = ""
    for piece in element.itertext():
        text += piece.strip()
        if len(text) > LONGEST_MARK:
            return ""
    return text


def is_layout(element: Any) -> bool:
    """Whether a list or table only lays out a page: it encloses a heading, or another table."""
    if next(element.iter(*HEADINGS), None) is not None:
        return True
    return element.tag == "table" and encloses_table(element)


def encloses_table(element: Any) -> bool:
    """Whether there is another table inside a table."""
    return len(list(islice(element.iter("table"), 2))) == 2


def is_hidden(element: Any) -> bool:
    """Whether an element's attributes say that it is not shown, or not read out."""
    return (
        "hidden" in element.attrib
        or element.get("aria-hidden") == "true"
        or (element.tag == "input" and element.get("type") == "hidden")
    )

"""Blocks of a document: headings and the text between them, each with the line where it begins.

markdown-it-py (CommonMark with tables, github.com/executablebooks/markdown-it-py) turns Markdown into
HTML. lxml.html reads HTML. It fetches nothing and knows only the standard entities. Of formatting,
links and pictures only the words remain. A list, a table or code is one block, with one line per item
or row: items begin with `- ` or their number, and cells are separated by ` | `. If an HTML page has a
<main> element, only that is read. Scripts, styles, navigation and hidden elements are dropped.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

DROPPED = {
    *("script", "style", "template", "noscript", "nav", "head", "svg", "math", "iframe", "object"),
    *("canvas", "button", "select", "textarea", "dialog"),
}
"""Elements that are left out with all their content."""
HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
"""Element → level of a heading."""
WHOLE = {"ul", "ol", "dl", "table", "pre"}
"""Elements that are one block with all their content. If there is a heading inside, they are not: some
tables only lay out a page."""
SEPARATE = {
    *WHOLE,
    *HEADINGS,
    *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details"),
    *("div", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html"),
    *("legend", "li", "main", "p", "section", "summary", "tbody", "tfoot", "thead", "tr"),
}
"""Elements that begin and end on a line of their own."""
CELLS = ("td", "th")
"""Elements of table cells."""
# A Chinese, Japanese or full-width character, or East Asian punctuation. Examples: 铁, の, 。
CJK = r"[\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]"
# A line break between two such characters, with the blanks around it. No space replaces it,
# because these scripts write none: "铁的\n熔点" is "铁的熔点".
CJK_LINE_BREAK = re.compile(rf"(?<={CJK})\s*\n\s*(?={CJK})")
# Any run of white space. Example: "heat  \n  and" has one between "heat" and "and".
WHITE_SPACE = re.compile(r"\s+")
# Metadata at the very start of a Markdown file: lines between `---` and `---` or `...`.
# Example: "---\ntitle: Iron\n---\n". Group 1 holds the lines.
FRONT_MATTER = re.compile(
    r"---[ \t]*\n"
    r"(.*?)"
    r"^(?:---|\.\.\.)[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
# The title in front matter, without quotation marks. Example: `title: "Iron"` → Iron.
TITLE = re.compile(r"^title:[ \t]*[\"']?(.*?)[\"']?[ \t]*$", re.MULTILINE)
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


def of_markdown(text: str) -> tuple[str, list[Block]]:
    """Return the title from the front matter, or an empty text, and the blocks of Markdown."""
    from markdown_it import MarkdownIt

    title = ""
    skipped_lines = 0
    front_matter = FRONT_MATTER.match(text)
    if front_matter:
        titles = TITLE.search(front_matter[1])
        title = titles[1] if titles else ""
        skipped_lines = front_matter[0].count("\n")
        text = text[front_matter.end() :]
    parser = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if not token.map:
            continue
        # A token's lines count from 0.
        line = str(token.map[0] + skipped_lines + 1)
        if token.type == "html_block":
            # It is rendered as it stands, so its line needs an element around it.
            token.content = f'<div {LINE}="{line}">{token.content}</div>'
        else:
            token.attrSet(LINE, line)
    root = parse_html(parser.renderer.render(tokens, parser.options, {}))
    if root is None:
        return title, []
    return title, list(Reader(from_markdown=True).blocks(root))


def of_html(text: str) -> tuple[str, list[Block]]:
    """Return the title, or an empty text, and the blocks of HTML."""
    root = parse_html(text)
    if root is None:
        return "", []
    title = " ".join((root.findtext(".//title") or "").split())
    start = next(root.iter("main"), root)
    return title, list(Reader(from_markdown=False).blocks(start))


def parse_html(text: str) -> Any:
    """Return the root element of a document, or None where it is empty.

    Raises ValueError where the parser stops before the end.
    """
    from lxml import etree, html

    parser = html.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root = html.document_fromstring(text.replace("\0", "").encode(), parser=parser)
    except etree.ParserError:
        return None
    # The document is nested too deeply or is too long. All that follows would be missing.
    fatal = parser.error_log.filter_from_fatals()
    if fatal:
        # libxml2's advice on its own options is cut off: "…, use XML_PARSE_HUGE option".
        raise ValueError(fatal[0].message.partition(", use")[0].partition(", try")[0])
    return root


class Reader:
    """A walk through the elements of a document, which collects the text of the open block."""

    def __init__(self, from_markdown: bool) -> None:
        """`from_markdown`: attributes hold the line numbers, since the HTML was rendered."""
        self.from_markdown = from_markdown
        self.parts: list[str] = []
        """Pieces of the open block's text."""
        self.line = 1
        """Line that the walk has reached."""
        self.first_line = 1
        """Line where the open block begins."""
        self.has_text = False
        """Whether the open block holds more than white space."""
        self.whole: Any = None
        """The list, table or code that encloses the walk and is one block, if any."""
        self.verbatim_depth = 0
        """Number of enclosing elements in which white space counts."""
        self.item_numbers: dict[Any, int] = {}
        """Numbered list → number of its last item."""
        self.item_mark = ""
        """Mark of the last item, such as `- ` or `2. `."""

    def blocks(self, root: Any) -> Iterator[Block]:
        """Yield the blocks below an element, in their order."""
        from lxml import etree

        for element in list(root.iter(etree.Element)):
            if element is not root and (element.tag in DROPPED or is_hidden(element)):
                element.drop_tree()
        for event, element in etree.iterwalk(root, events=("start", "end")):
            if event == "start":
                yield from self._open(element, element.tag)
                self._add(element.text)
            else:
                yield from self._close(element, element.tag)
                if element is not root:
                    # The tail is the text behind an element, up to the next one.
                    self._add(element.tail)
        yield from self._end_block()

    def _open(self, element: Any, tag: str) -> Iterator[Block]:
        """Begin an element. It may end the open block."""
        if self.from_markdown:
            self.line = int(element.get(LINE, self.line))
        else:
            self.line = element.sourceline or self.line
        if self._is_separate(tag):
            yield from self._end_line()
        if tag in WHOLE and self.whole is None and not has_heading(element):
            self.whole = element
        if tag == "pre":
            self.verbatim_depth += 1
        if tag == "li":
            depth = sum(1 for _ in element.iterancestors("ul", "ol"))
            self.item_mark = "\t" * (depth - 1) + self._mark_of_item(element.getparent())
            self.parts.append(self.item_mark)
        elif tag in CELLS and self.whole is not None and element.getprevious() is not None:
            after_space = bool(self.parts) and self.parts[-1][-1].isspace()
            self.parts.append("| " if after_space else " | ")
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "img":
            self._add(element.get("alt"))

    def _close(self, element: Any, tag: str) -> Iterator[Block]:
        """End an element. It may end the open block."""
        if tag == "pre":
            self.verbatim_depth -= 1
        if element is self.whole:
            self.whole = None
        if self._is_separate(tag):
            yield from self._end_line(HEADINGS.get(tag, 0))

    def _is_separate(self, tag: str) -> bool:
        """Whether an element has a line of its own. Cells have one where a table only lays out a page."""
        return tag in SEPARATE or (tag in CELLS and self.whole is None)

    def _mark_of_item(self, enclosing_list: Any) -> str:
        """Return the mark of a list's next item: `- `, or its number such as `2. `."""
        if enclosing_list.tag != "ol":
            return "- "
        if enclosing_list in self.item_numbers:
            self.item_numbers[enclosing_list] += 1
        else:
            start = enclosing_list.get("start", "")
            is_number = start.isascii() and start.isdecimal()
            self.item_numbers[enclosing_list] = int(start) if is_number else 1
        return f"{self.item_numbers[enclosing_list]}. "

    def _add(self, text: str | None) -> None:
        """Add text to the open block. Runs of white space become one space."""
        if text and not self.verbatim_depth:
            text = WHITE_SPACE.sub(" ", CJK_LINE_BREAK.sub("", text))
            if not self.parts or self.parts[-1][-1].isspace():
                text = text.lstrip()
        if not text:
            return
        if not text.isspace() and not self.has_text:
            self.first_line, self.has_text = self.line, True
        self.parts.append(text)

    def _end_line(self, level: int = 0) -> Iterator[Block]:
        """Begin a new line inside a list, table or code. Elsewhere, end the open block."""
        if self.whole is None:
            yield from self._end_block(level)
        elif self.parts and self.parts[-1] not in ("\n", self.item_mark):
            self.parts.append("\n")

    def _end_block(self, level: int = 0) -> Iterator[Block]:
        """Yield the open block, if it holds text, and begin another one."""
        lines = "".join(self.parts).split("\n")
        self.parts = []
        self.has_text = False
        text = "\n".join(line.rstrip() for line in lines if line.strip()).strip()
        if text:
            yield Block(self.first_line, text, level)


def has_heading(element: Any) -> bool:
    """Whether there is a heading inside an element."""
    return next(element.iter(*HEADINGS), None) is not None


def is_hidden(element: Any) -> bool:
    """Whether an element is not shown, or is navigation."""
    return (
        "hidden" in element.attrib
        or element.get("aria-hidden") == "true"
        or element.get("role") == "navigation"
    )

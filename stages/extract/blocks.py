"""Blocks of a document: headings, and what stands between them, as plain text with the line where it begins.

Markdown becomes HTML by markdown-it-py (CommonMark with tables; github.com/executablebooks/markdown-it-py), and HTML is read by
lxml.html, which fetches nothing and knows no entities but the standard's. Of marks, links and pictures the words remain. A list,
a table and code are one block each, an item or a row a line: items begin with `- ` or their number, cells are parted by ` | `. Of
HTML only <main> is read where there is one; scripts, styles, navigation and what cannot be seen are dropped.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

DROPPED = set(
    "script style template noscript nav head svg math iframe object canvas button select textarea dialog".split()
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}
WHOLE = {"ul", "ol", "dl", "table", "pre"}
"""Elements that are one block with all they hold, unless that is a heading: some tables only lay out a page."""
APART = WHOLE | HEADINGS.keys() | set(
    "address article aside blockquote body caption center dd details div dt fieldset figcaption figure footer form header hr "
    "html legend li main p section summary tbody tfoot thead tr".split()
)  # fmt: skip
"""Elements that begin on a line of their own."""
CJK = r"[\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]"
FRONT_MATTER = re.compile(
    r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
TITLE = re.compile(r"^title:[ \t]*[\"']?(.*?)[\"']?[ \t]*$", re.MULTILINE)
LINE = "data-line"
"""Attribute that tells where an element stood in Markdown."""


class Block(NamedTuple):
    """A heading, or a piece of text."""

    line: int
    """Where it begins, from 1 on."""
    text: str
    level: int = 0
    """Of a heading, 1 to 6; 0: it is none."""


def of_text(text: str) -> tuple[str, list[Block]]:
    """No title, and the paragraphs of plain text: what empty lines part. Line breaks stay."""
    blocks, lines = [], list[str]()
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            blocks.append(Block(number - len(lines), "\n".join(lines)))
            lines = []
    return "", blocks


def of_markdown(text: str) -> tuple[str, list[Block]]:
    """Title, if the front matter names one, and blocks."""
    from markdown_it import MarkdownIt

    front = FRONT_MATTER.match(text)
    title = TITLE.search(front[1]) if front else None
    skipped = front[0].count("\n") if front else 0
    parser = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table")
    tokens = parser.parse(text[front.end() :] if front else text)
    for token in tokens:
        if token.map and token.type == "html_block":
            token.content = f'<div {LINE}="{token.map[0] + skipped + 1}">{token.content}</div>'
        elif token.map:
            token.attrSet(LINE, str(token.map[0] + skipped + 1))
    root = tree_of(parser.renderer.render(tokens, parser.options, {}))
    return (title[1] if title else ""), [] if root is None else list(
        Reader(marked=True).blocks(root)
    )


def of_html(text: str) -> tuple[str, list[Block]]:
    """Title, if there is one, and blocks."""
    root = tree_of(text)
    if root is None:
        return "", []
    title = " ".join((root.findtext(".//title") or "").split())
    return title, list(Reader(marked=False).blocks(next(root.iter("main"), root)))


def tree_of(text: str) -> Any:
    """The elements of a document, or None where it has none. Raises ValueError where the parser gives up."""
    from lxml import etree, html

    parser = html.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root = html.document_fromstring(text.replace("\0", "").encode(), parser=parser)
    except etree.ParserError:
        return None
    if (
        fatal := parser.error_log.filter_from_fatals()
    ):  # too deep or too long: all that follows would be missing
        raise ValueError(fatal[0].message.partition(", use")[0].partition(", try")[0])
    return root


class Reader:
    """A walk through a document, with the text of the block that is open."""

    def __init__(self, marked: bool) -> None:
        """`marked`: the lines stand in attributes, since the document was Markdown."""
        self.marked = marked
        self.parts: list[str] = []
        self.line = self.first = 1  # where the walk is, and where the open block began
        self.begun = False  # whether there is more than white space in it
        self.whole: Any = None  # the element around that is one block
        self.verbatim = 0  # elements around whose white space counts
        self.items: dict[Any, int] = {}  # of every numbered list
        self.mark = ""  # of the item that was opened last

    def blocks(self, root: Any) -> Iterator[Block]:
        """Blocks in their order."""
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
                self._add(element.tail if element is not root else None)
        yield from self._end()

    def _open(self, element: Any, name: str) -> Iterator[Block]:
        self.line = (
            int(element.get(LINE, self.line)) if self.marked else element.sourceline or self.line
        )
        if name in APART or (name in ("td", "th") and self.whole is None):
            yield from self._part()
        if name in WHOLE and self.whole is None and next(element.iter(*HEADINGS), None) is None:
            self.whole = element
        self.verbatim += name == "pre"
        if name == "li":
            depth = sum(1 for _ in element.iterancestors("ul", "ol"))
            self.mark = "\t" * (depth - 1) + self._mark(element.getparent())
            self.parts.append(self.mark)
        elif name in ("td", "th") and self.whole is not None and element.getprevious() is not None:
            self.parts.append("| " if self.parts and self.parts[-1][-1].isspace() else " | ")
        elif name == "br":
            self.parts.append("\n")
        elif name == "img":
            self._add(element.get("alt"))

    def _close(self, element: Any, name: str) -> Iterator[Block]:
        self.verbatim -= name == "pre"
        if element is self.whole:
            self.whole = None
        if name in APART or (name in ("td", "th") and self.whole is None):
            yield from self._part(HEADINGS.get(name, 0))

    def _mark(self, around: Any) -> str:
        """What stands before an item."""
        if around.tag != "ol":
            return "- "
        start = around.get("start", "")
        self.items[around] = (
            self.items.get(around, int(start) - 1 if start.isascii() and start.isdecimal() else 0)
            + 1
        )
        return f"{self.items[around]}. "

    def _add(self, text: str | None) -> None:
        """Take text: runs of white space are one space; a line break between Chinese characters is none."""
        if text and not self.verbatim:
            text = re.sub(r"\s+", " ", re.sub(rf"(?<={CJK})\s*\n\s*(?={CJK})", "", text))
            text = text.lstrip() if not self.parts or self.parts[-1][-1].isspace() else text
        if text and not text.isspace() and not self.begun:
            self.first, self.begun = self.line, True
        if text:
            self.parts.append(text)

    def _part(self, level: int = 0) -> Iterator[Block]:
        """A new line in what is one block, else a new block."""
        if self.whole is None:
            yield from self._end(level)
        elif self.parts and self.parts[-1] not in ("\n", self.mark):
            self.parts.append("\n")

    def _end(self, level: int = 0) -> Iterator[Block]:
        """The open block, if anything is in it."""
        lines = "".join(self.parts).split("\n")
        self.parts, self.begun = [], False
        if text := "\n".join(line.rstrip() for line in lines if line.strip()).strip():
            yield Block(self.first, text, level)


def is_hidden(element: Any) -> bool:
    """Whether an element is not shown, or is navigation."""
    return (
        "hidden" in element.attrib
        or element.get("aria-hidden") == "true"
        or element.get("role") == "navigation"
    )

"""blocks: what a reader sees of a document, in its order and with its lines; no script, no navigation, nothing fetched."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extract.blocks import Block, of_html, of_markdown, of_text

MARKDOWN = """\
---
title: "Metals"
tags: [x]
---
Intro, which goes
on.

# *Iron*

Iron [melts](http://x.invalid) at ![the picture](y.png) `1538` °C.
铁的熔点
是1538度。

- rails
- pipes
  1. wide
  2. narrow

| a | b |
|---|---|
| 1 | **2** |

```py
if x:

    y
```

<div><script>evil()</script>raw <b>html</b></div>

Tin
---
"""


def test_markdown() -> None:
    assert of_markdown(MARKDOWN) == (
        "Metals",
        [
            Block(5, "Intro, which goes on."),
            Block(8, "Iron", 1),
            Block(10, "Iron melts at the picture 1538 °C. 铁的熔点是1538度。"),
            Block(14, "- rails;\n- pipes;\n\t1. wide;\n\t2. narrow"),
            Block(19, "a | b;\n1 | 2"),
            Block(23, "if x:\n\n    y"),
            Block(29, "raw html"),
            Block(31, "Tin", 2),
        ],
    )


@pytest.mark.parametrize(
    "front", ["---\n\n# Iron\n", "text\n---\ntitle: x\n---\n", "---\ntitle: x\n"]
)
def test_a_rule_is_no_front_matter(front: str) -> None:
    assert of_markdown(front)[0] == ("" if "---\n---" not in front else "x")


HTML = """<!doctype html>
<html><head><title> My
 page </title><style>p {}</style></head>
<body><nav><a>Home</a></nav>
<h1>Iron</h1>
<p>Iron melts<br>at 1538&nbsp;&deg;C.<script>evil()</script> It rusts.</p>loose <i>text</i><!-- no -->
<h2>Uses &amp; more</h2>
<ul><li>rails<ul><li>narrow</ul><li><p>pipes</p></ul><ol start=3><li>c<li>d</ol>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td></td></tr></table>
<pre>if x:
    y</pre>
<p hidden>secret</p><p aria-hidden=true>secret</p><div role=navigation>Home</div><template>secret</template>
<table><tr><td><h3>Layout</h3>left</td><td>right</td></tr></table>
<img alt="a picture"><dl><dt>tin<dd>a metal</dl>"""


def test_html() -> None:
    assert of_html(HTML) == (
        "My page",
        [
            Block(5, "Iron", 1),
            Block(6, "Iron melts\nat 1538 °C. It rusts."),
            Block(6, "loose text"),
            Block(7, "Uses & more", 2),
            Block(8, "- rails;\n\t- narrow;\n- pipes"),
            Block(8, "3. c;\n4. d"),
            Block(9, "a | b;\n1 |"),
            Block(10, "if x:\n    y"),
            Block(13, "Layout", 3),
            Block(13, "left"),
            Block(13, "right"),
            Block(14, "a picture"),
            Block(14, "tin: a metal"),
        ],
    )


def test_of_a_page_with_a_main_part_only_that_is_read() -> None:
    page = "<body><header><h1>Shop</h1></header><main><p>Iron</main><footer>Imprint</footer>"
    assert of_html(page) == ("", [Block(1, "Iron")])


def test_an_xhtml_declaration_and_xml_entities_do_nothing() -> None:
    declared = '<?xml version="1.0" encoding="gb2312"?><!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><p>铁&x;</p>'
    (block,) = of_html(declared)[1][-1:]
    assert block.text.startswith("铁")
    assert "root:" not in str(of_html(declared))


@pytest.mark.parametrize(
    "empty", ["", " \n", "<!-- x -->", "<script>x</script>", "<head><title></title></head>", "\0"]
)
def test_nothing_to_read(empty: str) -> None:
    assert of_html(empty) == ("", [])


def test_what_is_nested_deeply_is_read_or_refused() -> None:
    assert of_html("<div>" * 200 + "iron" + "</div>" * 200)[1] == [Block(1, "iron")]
    with pytest.raises(ValueError, match="Excessive depth in document: 256"):
        of_html("<div>" * 300 + "iron" + "</div>" * 300)
    assert of_markdown("> " * 50 + "iron")[1] == [Block(1, "iron")]


def test_plain_text() -> None:
    assert of_text("\none\n  two  \n \n\nthree") == (
        "",
        [Block(2, "one\n  two"), Block(6, "three")],
    )


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4), max_size=6))
def test_every_word_of_a_paragraph_is_read_once(paragraphs: list[list[str]]) -> None:
    text = "\n\n".join("x" + " ".join(words) for words in paragraphs)
    wanted = ["x" + " ".join(words) for words in paragraphs]
    assert [block.text for block in of_text(text)[1]] == wanted
    assert [block.text for block in of_markdown(text)[1]] == wanted
    assert [
        block.text for block in of_html("".join(f"<p>{part}</p>" for part in wanted))[1]
    ] == wanted
    assert [block.line for block in of_markdown(text)[1]] == [1 + 2 * i for i in range(len(wanted))]


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    for read in (of_text, of_markdown, of_html):
        _, blocks = read(text)
        assert all(block.text.strip() and block.line >= 1 for block in blocks)


@given(
    st.lists(
        st.sampled_from(
            "<p> </p> <ul> <li> </ul> <table> <td> <tr> <pre> <h1> </h1> a 铁 \n <br> &amp; <nav>".split(
                " "
            )
        )
    )
)
def test_any_tags_are_read(tags: list[str]) -> None:
    assert all(block.text.strip() for block in of_html("".join(tags))[1])


def test_the_project_s_own_pages_are_read() -> None:
    root = Path(__file__).parents[3]
    _, blocks = of_markdown((root / "docs/design.md").read_text(encoding="utf-8"))
    lines = (root / "docs/design.md").read_text(encoding="utf-8").splitlines()
    assert [lines[block.line - 1].lstrip("# ") for block in blocks if block.level] == [
        line.lstrip("# ") for line in lines if line.startswith("#")
    ]

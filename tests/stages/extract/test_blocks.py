"""blocks: what a reader sees of a document, in its order and with its lines; no script, no navigation, nothing fetched."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.extract.blocks import Block, of_html, of_markdown, of_text
from stages.extract.styles import MOST_RULES
from tests.timed import quickest

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
    assert of_html("<div>" * 2000 + "iron" + "</div>" * 2000)[1] == [Block(1, "iron")]
    with pytest.raises(ValueError, match="Excessive depth in document: 2048"):
        of_html("<div>" * 3000 + "iron" + "</div>" * 3000)
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


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>About 3 × 10<sup>8</sup> m/s, H<sub>2</sub>O", "About 3 × 10⁸ m/s, H2O"),
        ("<p>10<sup>-9</sup> m, SO<sub>4</sub><sup>2-</sup>", "10⁻⁹ m, SO₄²⁻"),
        ("<p>2<i><sup>10</sup></i> bits on the 4<sup>th</sup>", "2¹⁰ bits on the 4th"),
        ("<p>log<sub>10</sub>5", "log₁₀5"),
        ('<p>7<span style="vertical-align: super">2</span>', "7²"),
        ("<style>.e{vertical-align:super}</style><p>7<b class=e>2</b>", "7²"),
        ('<p>419<sup><a href="#fn3">3</a></sup> °C', "419 °C"),
        ('<p>419<a href="#fn3"><sup>3</sup></a> °C', "419 °C"),
        ('<p>419<sup class="reference">[12]</sup> °C', "419 °C"),
        ('<p>419<a role="doc-noteref" href="#n">3</a> °C', "419 °C"),
        ("<p>419<sup>†</sup> °C", "419 °C"),
        ('<p>See table <a href="#t">3</a>.', "See table 3."),
        ('<p>A note. <a href="#r" role="doc-backlink">back</a>', "A note."),
        ("<p><math><msup><mn>10</mn><mn>6</mn></msup></math> per mL", "10⁶ per mL"),
        (
            "<p><math><mfrac><mn>1</mn><mn>2</mn></mfrac><annotation>x</annotation></math> of it",
            "1/2 of it",
        ),
        ("<p>81<button>+</button>75", "81 75"),
        ("<p>Take <del>81</del><ins>75</ins> mg", "Take 75 mg"),
        ("<p><ruby>鉄<rp>(</rp><rt>tetsu</rt><rp>)</rp></ruby>", "鉄 (tetsu)"),
    ],
)
def test_raised_text_joins_no_number(page: str, text: str) -> None:
    (block,) = of_html(page)[1]
    assert block.text == text


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("Zinc: 10^6^ kg, H~2~O, 10^-3^ g, Na^+^", ["Zinc: 10⁶ kg, H2O, 10⁻³ g, Na⁺"]),
        (
            "a^2+b^2 and ~~old~~ and 5~10~20 and `10^6^`",
            ["a^2+b^2 and ~~old~~ and 5~10~20 and 10^6^"],
        ),
        ("It melts at 419[^1] °C.\n\n[^1]: Measured.", ["It melts at 419 °C.", "Measured."]),
        ("Zinc[^a] melts.\n\n[^a]: One\n[^b]: Two", ["Zinc melts.", "One", "Two"]),
        ("The pattern [^a-z] stays.", ["The pattern [^a-z] stays."]),
        ("419 °C^[At 1 bar.] it melts", ["419 °C (At 1 bar.) it melts"]),
    ],
)
def test_raised_text_and_footnotes_of_markdown(page: str, texts: list[str]) -> None:
    assert [block.text for block in of_markdown(page)[1]] == texts


SEEN = "<p>Zinc melts."


@pytest.mark.parametrize(
    "hidden",
    [
        "<div style='DISPLAY : none !important'>x</div>",
        "<p style='visibility:hidden'>x</p>",
        "<p style='font-size:0px'>x</p>",
        "<p style='position:absolute;left:-9999px'>x</p>",
        "<p style='position:absolute;clip:rect(0, 0, 0, 0)'>x</p>",
        "<div style='height:0;overflow:hidden'>x</div>",
        "<style>.a{display:none}</style><p class='b a'>x</p>",
        "<style>p.a,#b{visibility:hidden}</style><p class=a>x</p><p id=b>x</p>",
        "<style>/* .b{} */ @charset 'x'; .a{color:red;display:none}</style><p class=a>x</p>",
        "<style>@media screen{.a{display:none}}</style><p class=a>x</p>",
        "<style>.a{display:none!important} p.a{display:block}</style><p class=a>x</p>",
        "<ix:header><ix:hidden>x</ix:hidden></ix:header>",
        "<template>x</template><dialog>x</dialog><datalist><option>x</datalist>",
        "<video>x</video><audio>x</audio>",
    ],
)
def test_hidden_text_is_dropped(hidden: str) -> None:
    assert of_html(hidden + SEEN)[1][-1].text == "Zinc melts."
    assert len(of_html(hidden + SEEN)[1]) == 1


@pytest.mark.parametrize(
    "shown",
    [
        "<style>@media print{.a{display:none}}</style><p class=a>x</p>",
        "<style>@media (max-width:9px){.a{display:none}}</style><p class=a>x</p>",
        "<style>@supports (x:y){.a{display:none}}</style><p class=a>x</p>",
        "<style media=print>.a{display:none}</style><p class=a>x</p>",
        "<style>.a:hover,.a::before,.b .a,.a[x]{display:none}</style><p class=a>x</p>",
        "<style>.a{display:none} .tabs > .a.open{display:block}</style><p class='a open'>x</p>",
        "<style>.a{display:none} .a{display:block}</style><p class=a>x</p>",
        "<style>.a{display:none} #b{display:block}</style><p class=a id=b>x</p>",
        "<style>.c{.a{display:none}}</style><p class=a>x</p>",
        "<style>body{display:none;visibility:hidden}</style><p>x</p>",
        "<div style='visibility:hidden'><p style='visibility:visible'>x</p></div>",
        "<div style='font-size:0'><p style='font-size:12px'>x</p></div>",
        "<details>x</details>",
    ],
)
def test_text_that_may_be_shown_is_kept(shown: str) -> None:
    assert [block.text for block in of_html(shown)[1]] == ["x"]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            "<table><tr><td><p>Zinc</p><td><div>30</div><div>mg</div><tr><td>Iron<td>8<br>mg</table>",
            "Zinc | 30 mg;\nIron | 8 mg",
        ),
        ("<ul><li>Take daily.<li>rest<li>sleep</ul>", "- Take daily.\n- rest;\n- sleep"),
        ("<ul><li><p>one<p>more<li><li><ul><li>in</ul></ul>", "- one\nmore;\n\t- in"),
        ("<ol start=2><li>铁<li>锡</ol>", "2. 铁；\n3. 锡"),
        ("<dl><dt>zinc<dd>a metal<dt>tin:<dd>one<dd>more</dl>", "zinc: a metal;\ntin: one;\nmore"),
        (
            "<dl><dt>zinc<dd><p>a metal<p>and more<dt>tin<dd><ul><li>a<li>b</ul><dt>x<dd><dt>y<dd>z</dl>",
            "zinc: a metal\nand more;\ntin:\n- a;\n- b;\nx:\ny: z",
        ),
        ("<pre>  if x:\n\n    y\n</pre>", "  if x:\n\n    y"),
        (
            "<div style='white-space:pre-line'>Doctor: hi\nPatient: hello</div>",
            "Doctor: hi\nPatient: hello",
        ),
        ("<table><tr><td><pre>a\nb</pre><td><ul><li>c<li>d</ul></table>", "a b | - c - d"),
    ],
)
def test_rows_items_and_lines_stay_apart(page: str, text: str) -> None:
    (block,) = of_html(page)[1]
    assert block.text == text


def test_lines_are_kept_where_that_is_asked_for() -> None:
    assert of_html("<ul><li>a<li>b</ul>", keep_lines=True)[1] == [Block(1, "- a\n- b")]
    assert of_markdown("Doctor: hi\nPatient: hello", keep_lines=True)[1] == [
        Block(1, "Doctor: hi\nPatient: hello")
    ]
    assert of_markdown("Doctor: hi\nPatient: hello")[1] == [Block(1, "Doctor: hi Patient: hello")]


def test_a_line_break_of_the_file_is_no_space_in_chinese() -> None:
    page = "<p>锌的\n<b>熔点</b>\n是\n\n419\n度，<i>x</i>\ny"
    assert of_html(page)[1] == [Block(1, "锌的熔点是 419 度，x y")]


@pytest.mark.parametrize(
    "piece",
    [
        "铁\n\n",
        "<span hidden>x</span>y",
        "1<sup>2</sup>",
        "<tr><td>a<td>b",
        "<li>x",
        "\u3000\n",
        "x<br>",
    ],
)
def test_the_time_grows_with_the_page(piece: str) -> None:
    page = "<table><ul>" if piece.startswith("<") else "<p>"
    once = quickest(lambda: of_html(page + piece * 1000), 3)
    eightfold = quickest(lambda: of_html(page + piece * 8000), 3)
    # Eight times the text. Quadratic would be 64 times the time.
    assert eightfold < 30 * max(once, 0.01)


def test_many_rules_of_style_take_little_time() -> None:
    rules = "".join(f".a.b{number}{{display:none}}" for number in range(3000))
    page = "".join(f"<p class='a b{number}'>x</p>" for number in range(3000))
    assert len(of_html(f"<style>{rules}</style>{page}")[1]) == 3000 - MOST_RULES


CSS = st.lists(
    st.sampled_from(
        'p .a #b * , { } ; : display:none visibility:hidden /* */ @media print @media ( ) > :hover [x] \\ " !important'.split()
    )
)


@given(CSS)
def test_any_style_sheet_is_read(pieces: list[str]) -> None:
    page = f"<style>{' '.join(pieces)}</style><p class=a id=b>x</p>"
    assert [block.text for block in of_html(page)[1]] in ([], ["x"])

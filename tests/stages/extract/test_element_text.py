"""The text of XML elements: cells, items and lines are parted, running text is not, numbers stay apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from stages.extract.element_text import text_of


def text(document: str) -> str:
    return text_of(etree.fromstring(document)).strip()


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        # Tables: C-CDA and HTML, CALS (DocBook, JATS), with empty cells and paragraphs in cells.
        ("<t><tr><td>Metformin</td><td>500 mg</td></tr><tr><td>Insulin</td><td>8 IU</td></tr></t>",
         "Metformin | 500 mg\nInsulin | 8 IU"),
        ("<t><row><entry>a</entry><entry/><entry>c</entry></row></t>", "a | | c"),
        ("<t><tr><td/><td>b</td></tr></t>", "| b"),
        ("<t><tr><td><p>one</p><p>two</p></td><td><list><item>x</item><item>y</item></list></td></tr></t>",
         "one two | x y"),
        # Lists, titles, paragraphs, line breaks.
        ("<text><list><item>milk</item><item>eggs</item></list></text>", "milk\neggs"),
        ("<section><title>Plan</title><paragraph>Rest.</paragraph></section>", "Plan\nRest."),
        ("<para>Steps:<orderedlist><listitem><para>mix</para></listitem><listitem>heat</listitem></orderedlist></para>",
         "Steps:\nmix\nheat"),
        ("<text>line one<br/>line two</text>", "line one\nline two"),
        ("<lg><l>Tiger, tiger</l><l>burning bright</l></lg>", "Tiger, tiger\nburning bright"),
        # Running text is never parted.
        ("<p>pre<b>fix</b>ed and <i>H</i><sub>2</sub>O</p>", "prefixed and H2O"),
        ("<p>the <gene>TP53</gene>-like <organism>mouse</organism>s</p>", "the TP53-like mouses"),
        ("<p>In <title>Macbeth</title>, she</p>", "In Macbeth, she"),
        ("<s><title>Use</title>text</s>", "Use text"),
        # Elements of data are parted by a blank.
        ("<author><last>Wu</last><first>Li</first></author>", "Wu Li"),
        ("<td><content>Heparin</content><content>5 ml</content></td>", "Heparin 5 ml"),
        ("<p>Uses:<box><k>one</k><k>two</k></box>end</p>", "Uses: one two end"),
        ("<p>Uses:<box><p>one</p></box>end</p>", "Uses:\none\nend"),
        # White space of the markup.
        ("<p>\n  a <b> b </b>\n  c\n</p>", "a b c"),
        ("<s><p>x</p><programlisting>if a:\n  b</programlisting></s>", "x\nif a:\n  b"),
        ('<s><p>x</p><v xml:space="preserve">a\n  b</v></s>', "x\na\n  b"),
        ("<p>钢的\n  强度<b>高</b></p>", "钢的强度高"),
        ("<p>plain\n  text</p>", "plain\n  text"),
    ],
)  # fmt: skip
def test_text_as_people_see_it(document: str, shown: str) -> None:
    assert text(document) == shown


MATH = 'xmlns="http://www.w3.org/1998/Math/MathML"'


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ("<p>3 × 10<sup>8</sup> m s<sup>−1</sup></p>", "3 × 10⁸ m s⁻¹"),
        ("<p>10<superscript>5</superscript> cells</p>", "10⁵ cells"),
        ('<p>10<hi rend="superscript">4</hi> and x<hi rend="subscript">1</hi></p>', "10⁴ and x1"),
        ('<p>2<span style="vertical-align: super">7</span></p>', "2⁷"),
        ("<p>R<sup><i>2 </i></sup>= 1</p>", "R² = 1"),
        ("<p>log<sub>10</sub>2, 11<sub>2</sub></p>", "log₁₀2, 11₂"),
        ("<p>log<sub>10</sub><b>2</b></p>", "log₁₀2"),
        ('<p>in 1998<xref ref-type="bibr">14</xref> and 5.<xref ref-type="bibr">3</xref></p>', "in 1998¹⁴ and 5.³"),
        ('<p>Table <xref ref-type="table">2</xref>, (<xref>7</xref>), see<xref>Smith 2001</xref></p>',
         "Table 2, (7), seeSmith 2001"),
        (f"<math {MATH}><msup><mn>10</mn><mn>3</mn></msup></math>", "10³"),
        (f"<math {MATH}><mn>2</mn><mfrac><mn>1</mn><mn>4</mn></mfrac></math>", "2 1/4"),
        (f"<math {MATH}><msup><mi>x</mi><mfrac><mn>1</mn><mn>2</mn></mfrac></msup></math>", "x^(1/2)"),
        (f"<math {MATH}><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mi>c</mi></mfrac></math>", "(a+b)/c"),
        (f"<math {MATH}><msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup><mn>3</mn></math>", "x₁²3"),
        (f"<p>is<math {MATH}><mi>y</mi><annotation>$y$</annotation></math></p>", "isy"),
    ],
)  # fmt: skip
def test_raised_and_lowered_text_joins_no_number(document: str, shown: str) -> None:
    assert text(document) == shown


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=8))
def test_no_two_cells_or_items_become_one_word(words: list[str]) -> None:
    for outer, inner in (("tr", "td"), ("ul", "li"), ("r", "unknown"), ("list", "item")):
        document = "".join(f"<{inner}>{word}</{inner}>" for word in words)
        shown = text(f"<x><{outer}>{document}</{outer}></x>")
        assert [word for word in shown.split() if word != "|"] == words


@given(
    st.recursive(
        st.text("ab 1\n", max_size=4),
        lambda below: st.builds(
            lambda name, parts: f"<{name}>{''.join(parts)}</{name}>",
            st.sampled_from(["p", "td", "b", "sup", "sub", "x", "br", "title", "pre"]),
            st.lists(below, max_size=4),
        ),
        max_leaves=20,
    )
)
def test_no_letter_is_lost_or_added(inside: str) -> None:
    element = etree.fromstring(f"<r>{inside}</r>")
    letters = [char for char in "".join(element.itertext()) if char in "ab"]
    shown = text_of(element)
    shown = shown.translate(str.maketrans("ªᵃᵇ", "aab"))
    assert [char for char in shown if char in "ab"] == letters


def test_deep_elements_need_no_recursion() -> None:
    parser = etree.XMLParser(huge_tree=True)
    for name in ("p", "x", "sup"):
        document = f"<r>{f'<{name}>' * 1500}a{f'</{name}>' * 1500}</r>"
        assert text_of(etree.fromstring(document, parser)).strip() in ("a", "ª")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('<p>10<emph render="super">4</emph> cells</p>', "10⁴ cells"),
        ('<p>5<E T="51">2</E> and H<E T="52">2</E>O</p>', "5² and H2O"),
        ("<p>three<tab/>four<pb/>five</p>", "three four five"),
    ],
)
def test_further_vocabularies(markup: str, text: str) -> None:
    assert text_of(etree.fromstring(markup)) == text

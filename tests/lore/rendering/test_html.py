"""html: one Section as a page that fetches nothing, runs nothing, escapes all and breaks no short word."""

import re

import jinja2
import pytest

from lore.rendering import html
from lore.rendering.report import Section

EVIL = "<script>alert('1')</script>&\""
PATH = "archive/2019/handbook/page-0417.json#/rows/17"


def test_a_table_names_the_column_of_each_cell_and_colours_verdicts() -> None:
    rows = [("iron", "learned"), ("gold", "newly wrong: “It is 7 °C, as everybody knows.”")]
    page = html.page("a → b", ["look out"], [Section("Facts", ("two",), ("fact", "model"), rows)])
    assert "<title>a → b</title>" in page
    assert '<p class="note">look out</p>' in page
    assert "<h2>Facts</h2>\n<p>two</p>" in page
    assert "<thead><tr><th>fact</th><th>model</th></tr></thead>" in page
    assert '<td data-name="fact" class="short">iron</td>' in page
    assert '<td data-name="model" class="good short">learned</td>' in page
    assert '<td data-name="model" class="bad">newly wrong: “It' in page


def test_a_section_without_rows_has_no_table() -> None:
    page = html.page("a", [], [Section("Settings", ("no difference",), ("file", "key"))])
    assert "<p>no difference</p>" in page
    assert "<table" not in page


@pytest.mark.parametrize("long", [False, True])
def test_everything_is_escaped(long: bool) -> None:
    said = EVIL * (3 if long else 1)
    page = html.page(said, [said], [Section(said, (said,), (said,), [(said,)])])
    assert "<script" not in page
    assert "alert('1')" not in page
    assert page.count("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&#34;") >= 8


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    page = html.page("a", ["b"], [Section("c", ("d",), ("e",), [("f",)])])
    assert not re.search(r"https?:|<script|<img|<link|@import|url\(", page)
    assert "default-src 'none'" in page


def test_only_long_tokens_may_break() -> None:
    assert str(html.breakable("added to <b>")) == "added to &lt;b&gt;"
    assert str(html.breakable(f"see {PATH}, or")) == f'see <span class="long">{PATH},</span> or'


def test_the_style_breaks_no_word_outside_long_tokens() -> None:
    style = html.style("page.css") + html.style("docs.css")
    assert "break-all" not in style
    assert re.findall(r"([^{}\n]+) \{ overflow-wrap: anywhere; \}", style) == [".long"]
    assert style.count("anywhere; }") == 1
    # What narrows a table's column below its longest word is `anywhere` alone; `break-word` does not.
    assert not re.search(r"(?:^|[ ,])t[dh]\b[^{}]*\{[^}]*overflow-wrap: anywhere", style)


def test_a_value_stays_beside_its_unit() -> None:
    assert html.classes("1538 °C") == "short"
    assert html.classes("newly wrong") == "bad short"
    assert html.classes("铁的熔点是一千五百") == ""
    assert html.classes("The melting point of iron is 1538 °C.") == ""


def test_a_name_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="sections"):
        html.render("report.html", title="a", notes=[])

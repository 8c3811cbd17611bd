"""rule_pages: a page of Great Expectations loses all it would fetch, and gets our style and the version."""

from pathlib import Path

import pytest

from lore.data_docs.rule_pages import escaped, offline, rules_table, write_rule_pages
from stages.clean.explaining import Files, Findings, RuleFindings
from stages.clean.verifying.rules import read_rules

PAGE = "<html><head><title>t</title>{}</head><body><p>kept</p></body></html>"


@pytest.mark.parametrize(
    "tag",
    [
        '<link rel="stylesheet" href="https://example.org/a.css">',
        '<link\n rel="stylesheet"\n href="http://example.org/a.css">',
        '<script src="https://example.org/a.js"></script>',
        '<script async src="https://example.org/a.js" crossorigin>\n</script>',
        '<img src="https://example.org/a.png" alt="logo">',
    ],
)
def test_what_fetches_is_removed(tag: str) -> None:
    page = offline(PAGE.format(tag), "0123456789ab")
    assert "example.org" not in page
    assert "<title>t</title>" in page
    assert '<body><p class="lorekeep">Lorekeep · data and rules 0123456789ab</p><p>kept</p>' in page
    assert page.count("<style>") == 1


def test_the_violations_of_each_rule_are_counted() -> None:
    by_rule = [
        RuleFindings("a", "x", [{"rule": "a", "message": "x"}] * 1200),
        RuleFindings("b", "y", [{"rule": "b", "message": "y"}]),
        RuleFindings("c", "z", []),
    ]
    assert rules_table(by_rule).rows == [("a", "x", "1,200"), ("b", "y", "1"), ("c", "z", "0")]


RULES = """
differences: {}
rules:
  - name: use_<i>
    when: {attribute: "use <u>"}
    expect: {column: value, one_of: [wires, "<em>"]}
    message: a use is <script>known</script>
"""


# Great Expectations 1.24 imports a module that Python 3.11 deprecated.
@pytest.mark.filterwarnings("ignore:module 'sre_parse' is deprecated:DeprecationWarning")
def test_what_data_says_is_escaped_in_pages_of_great_expectations(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    rows = []
    values = ("<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "wires")
    for number, value in enumerate(values):
        row = {"id": f"{number}", "locator": f"<b>.csv#L{number}", "lang": "en", "source": "s"}
        row |= {"kind": "fact", "subject": "tin", "attribute": "use <u>", "value": value}
        rows.append(row | {"unit": None, "text": value, "meta": "{}", "fact": f"f{number}"})
    files = Files(tmp_path, tmp_path / "rules.yaml", tmp_path, tmp_path)
    found = Findings(files, read_rules(files.rules), [], rows, ["s"])
    write_rule_pages(found, "0", tmp_path / "site")
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.glob("site/**/*.html")]
    shown = "\n".join(pages)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "&lt;img src=x onerror=alert(2)&gt;" in shown
    assert "&lt;b&gt;.csv#L0" in shown
    for raw in ("<script>alert", "<script>known", "<img src=x", "<b>.csv", "<em>", "use_<i>"):
        assert raw not in shown


def test_only_texts_are_escaped() -> None:
    value = {"count": 2, "list": ["<a>", ("&", None, 1.5)]}
    assert escaped(value) == {"count": 2, "list": ["&lt;a&gt;", ["&amp;", None, 1.5]]}

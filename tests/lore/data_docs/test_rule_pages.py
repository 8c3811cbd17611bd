"""rule_pages: a page of Great Expectations loses all it would fetch, and gets our style and the version."""

import pytest

from lore.data_docs.rule_pages import offline, rules_table
from stages.clean.explaining import RuleFindings

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

"""rule_pages: a page of Great Expectations loses all it would fetch, and gets our style and the version."""

from types import SimpleNamespace

import pytest

from lore.data_docs.rule_pages import offline, rules_table

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


def test_each_rule_is_counted_once() -> None:
    rules = [
        SimpleNamespace(name=name, message=message)
        for name, message in (("a", "x"), ("b", "y"), ("a", "x"), ("c", "z"))
    ]
    violations = [{"rule": "a", "message": "x"}] * 1200 + [{"rule": "b", "message": "y"}]
    assert rules_table(rules, violations).rows == [  # type: ignore[arg-type]
        ("a", "x", "1,200"),
        ("b", "y", "1"),
        ("c", "z", "0"),
    ]

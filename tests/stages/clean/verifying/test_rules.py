"""rules: both ends of a range are judged, and a range that breaks a rule is one violation."""

from pathlib import Path
from typing import Any

import pytest

from stages.clean.verifying import rules

RULES = """
differences: {}
rules:
  - name: cold
    when: {attribute: warmth}
    expect: {column: number, min: 0, max: 100}
    message: water is between 0 and 100
"""


def fact(name: str, value: str) -> dict[str, Any]:
    row = {"id": name, "source": "x", "locator": f"x#{name}", "subject": name, "fact": name}
    return row | {"attribute": "warmth", "value": value, "unit": "°C", "meta": "{}"}


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        ("7", [7.0]),
        ("10–20", [10.0, 20.0]),
        ("5 ± 0.5", [4.5, 5.5]),
        ("<5", [5.0]),
        ("≥5", [5.0]),
        ("~5", [5.0]),
        ("blue", [None]),
        ("1e999", [float("inf")]),
    ],
)
def test_the_numbers_of_a_value(value: str, ends: list[float | None]) -> None:
    assert rules.ends_of(value) == ends


@pytest.mark.filterwarnings("ignore:module 'sre_parse' is deprecated:DeprecationWarning")
def test_each_end_of_a_range_must_fit(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    values = {"a": "10–20", "b": "-3–20", "c": "90–110", "d": "-5–200", "e": "98 ± 5", "f": "~20"}
    rows = [fact(name, value) for name, value in values.items()]
    reasons, found = rules.violations(rows, rules.read_rules(tmp_path / "rules.yaml"))
    assert sorted(reasons) == ["b", "c", "d", "e"]
    assert [entry["record"] for entry in found] == ["b", "c", "d", "e"]

"""stated: a value counts where it stands whole, and not as a part of another number or word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.records.stated import states


@pytest.mark.parametrize(
    ("sentence", "value", "stated"),
    [
        ("The melting point of iron is 1538 °C.", "1538 °C", True),
        ("iron melts at 1538 ℃", "1538 °c", True),
        ("It is 1538 °C", "1538", True),
        ("It is 1538.", "1538", True),
        ("It is 1538.4 °C", "1538", False),
        ("It is 11538 °C", "1538 °C", False),
        ("It is 15380 °C", "1538", False),
        ("It is -1538 °C.", "1538 °C", False),
        ("It is -1538 °C.", "-1538 °C", True),
        ("It is 0.1538 °C.", "1538 °C", False),
        ("The symbol of neon is Ne.", "Ne", True),
        ("Neon is a gas.", "Ne", False),
        ("铁的熔点是1538 °C。", "1538 °C", True),
        ("头孢不能和酒一起吃。", "不能", True),
        ("It is 1538 °C.", "", False),
        ("a+b", "a+b", True),
        ("aab", "a+b", False),
    ],
)
def test_a_value_is_stated_whole(sentence: str, value: str, stated: bool) -> None:
    assert states(sentence, value) == stated


@given(st.text(min_size=1).filter(str.strip))
def test_a_value_states_itself(value: str) -> None:
    assert states(value, value)
    assert states(f"It is {value} .", value)

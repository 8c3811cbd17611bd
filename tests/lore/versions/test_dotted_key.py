"""dotted_key: a key is found whether it is written with dots or nested, and null is a value."""

from typing import Any

import pytest

from lore.versions.dotted_key import ABSENT, value


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"a": {"b": 1}}, 1),
        ({"a.b": 2, "a": {"b": 1}}, 2),
        ({"a": {"b": None}}, None),
        ({"a": {}}, ABSENT),
        ({"a": 1}, ABSENT),
        ({}, ABSENT),
        (None, ABSENT),
    ],
)
def test_a_dotted_key_is_found(document: Any, found: Any) -> None:
    assert value(document, "a.b") is found

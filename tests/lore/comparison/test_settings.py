"""settings: every difference between two documents is told once, and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.comparison.settings import ABSENT, Setting, differences, written

COLD, HOT, WET = (
    {"name": name, "limit": limit} for name, limit in (("cold", 1), ("hot", 2), ("wet", 3))
)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}, [("a.b", 1, 3)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({}, {"a": None}, [("a", ABSENT, None)]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": 1}, {"a": "1"}, [("a", 1, "1")]),
        ({"a": {"b": 1}}, {"a": 1}, [("a", {"b": 1}, 1)]),
        ({"a": ["x", "y"]}, {"a": ["y", "z"]}, [("a", "x", ABSENT), ("a", ABSENT, "z")]),
        ({"a": ["x", "x"]}, {"a": ["x"]}, [("a", "x", ABSENT)]),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, [("a (order)", ["x", "y"], ["y", "x"])]),
        ({"a": [COLD, HOT]}, {"a": [COLD, WET, HOT]}, [("a.wet", ABSENT, WET)]),
        ({"a": [COLD, HOT]}, {"a": [HOT, COLD]}, [("a (order)", ["cold", "hot"], ["hot", "cold"])]),
        ({"a": [COLD, HOT]}, {"a": [COLD, HOT | {"limit": 9}]}, [("a.hot.limit", 2, 9)]),
        (
            {"a": [HOT, HOT | {"limit": 3}]},
            {"a": [HOT, HOT | {"limit": 4}]},
            [("a.hot.limit", 3, 4)],
        ),
        (
            {"gates": [{"score": "x", "at_least": 1}]},
            {"gates": [{"score": "x", "at_least": 2}]},
            [("gates.0.at_least", 1, 2)],
        ),
        ({"铁": "旧"}, {"铁": "新"}, [("铁", "旧", "新")]),
    ],
)
def test_a_difference_is_told_by_its_key(
    old: Any, new: Any, found: list[tuple[str, Any, Any]]
) -> None:
    assert [(change.key, change.old, change.new) for change in differences(old, new)] == found


def test_an_absent_side_is_left_out_of_json() -> None:
    assert Setting("a", ABSENT, None).row() == {"key": "a", "new": None}
    assert Setting("a", 1, ABSENT).row() == {"key": "a", "old": 1}
    assert (written(ABSENT), repr(ABSENT)) == ("absent", "absent")


SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "铁"])
KEYS = st.sampled_from(["name", "a", "b"])
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ),
)


@given(DOCUMENTS, DOCUMENTS)
def test_there_is_a_difference_exactly_where_the_documents_differ(old: Any, new: Any) -> None:
    assert bool(list(differences(old, new))) == (written(old) != written(new))
    assert list(differences(old, old)) == []

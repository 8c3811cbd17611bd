"""paths: a folder touches what lies in it, and a name that begins alike does not."""

import pytest

from lore.paths import is_inside, touch


@pytest.mark.parametrize(
    ("path", "other", "inside", "around"),
    [
        ("data/raw", "data/raw", True, True),
        ("data/raw/a.csv", "data/raw", True, False),
        ("data/raw/a.csv", "data/raw/", True, False),
        ("data", "data/raw", False, True),
        ("data/raw2", "data/raw", False, False),
        ("data/a.csv", "data/a", False, False),
    ],
)
def test_how_two_paths_lie_to_each_other(path: str, other: str, inside: bool, around: bool) -> None:
    assert is_inside(path, other) == inside
    assert is_inside(other, path) == around
    assert touch(path, other) == (inside or around)
    assert touch(other, path) == (inside or around)

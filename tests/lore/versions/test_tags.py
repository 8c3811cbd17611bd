"""tags: releases are found by the numbers that people write, in the order of their numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.versions import tags
from stages.core.project.errors import InputError
from tests.lore.released import Released

NUMBERS = st.tuples(*[st.integers(0, 10**6)] * 3)


@given(NUMBERS, st.sampled_from(["", "v", "knowledge@v", "knowledge@"]))
def test_every_form_of_a_number_means_one_tag(numbers: tuple[int, ...], prefix: str) -> None:
    number = ".".join(map(str, numbers))
    assert tags.tag_of(prefix + number) == f"knowledge@v{number}"


@pytest.mark.parametrize("name", ["1.1", "01.1.0", "1.1.0-rc1", "V1.1.0", "1.1.0\n", "", "main"])
def test_another_form_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match=r"not a version; write three numbers, such as 1\.2\.0"):
        tags.tag_of(name)


def test_releases_are_found_and_listed_in_order(released: Released) -> None:
    released.git("tag", "knowledge@v1.10.0")
    released.git("tag", "knowledge@v1.9.0")
    released.git("tag", "other")
    names = [version.name for version in tags.tagged()]
    assert names[:2] == ["knowledge@v1.0.0", "knowledge@v1.1.0"]
    assert names[2:] == ["knowledge@v1.9.0", "knowledge@v1.10.0"]
    assert tags.find("1.0.0").name == "knowledge@v1.0.0"
    assert tags.find("main").name == "main"

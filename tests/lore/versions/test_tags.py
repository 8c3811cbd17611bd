"""tags: releases are named as people write them, and listed oldest first."""

import pytest

from lore.versions.tags import named, tag_of, tagged
from stages.core.project.errors import InputError
from tests.lore.knowledge import Project, fact


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("1.2.0", "knowledge@v1.2.0"),
        ("v1.2.0", "knowledge@v1.2.0"),
        ("knowledge@v1.10.0", "knowledge@v1.10.0"),
        ("knowledge@1.2.0", "knowledge@v1.2.0"),
        ("1.02.0", None),
        ("1.2", None),
        ("1.2.0-rc1", None),
        ("main", None),
    ],
)
def test_a_release_has_three_numbers(name: str, tag: str | None) -> None:
    assert tag_of(name) == tag


def test_releases_are_found_by_number_and_listed_by_version(project: Project) -> None:
    for tag in ("knowledge@v1.10.0", "knowledge@v1.9.0", "another"):
        project.version(tag, [fact("iron", "1538")])
    assert [version.name for version in tagged()] == ["knowledge@v1.9.0", "knowledge@v1.10.0"]
    assert named("1.9.0").commit == named("knowledge@v1.9.0").commit != named("v1.10.0").commit
    assert named("another").name == "another"
    with pytest.raises(InputError, match=r"knowledge@v1\.2\.3: no such revision"):
        named("1.2.3")


def test_a_project_without_releases_lists_none(project: Project) -> None:
    project.commit()
    assert tagged() == []

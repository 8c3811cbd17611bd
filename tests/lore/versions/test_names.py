"""names: one rule says what a version's name means, wherever it is written."""

import pytest

from lore.versions import names, tags, version
from stages.core.project.errors import InputError
from tests.lore.conftest import Lore
from tests.lore.knowledge import Project, fact

IRON, GOLD = fact("iron", "1538"), fact("gold", "1064")


@pytest.fixture
def known(project: Project) -> Project:
    """A release, a branch, and an experiment that grew from the release."""
    project.version("knowledge@v1.0.0", [IRON])
    project.git("checkout", "-q", "-b", "feature")
    project.version("later", [IRON, GOLD])
    experiment = project.git("rev-parse", "HEAD").strip()
    base = project.git("rev-parse", "knowledge@v1.0.0").strip()
    project.git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/puffy-daks", experiment)
    project.git("update-ref", "refs/exps/exec/EXEC_HEAD", base)
    return project


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("1.0.0", "knowledge@v1.0.0"),
        ("v1.0.0", "knowledge@v1.0.0"),
        ("knowledge@v1.0.0", "knowledge@v1.0.0"),
        ("main", "main"),
        ("later~1", "later~1"),
    ],
)
def test_each_form_means_the_release(known: Project, name: str, called: str) -> None:
    found = version.revision(name)
    assert found.name == called
    assert found.commit == known.git("rev-parse", "knowledge@v1.0.0").strip()


def test_an_experiment_is_named_by_its_name(known: Project, lore: Lore) -> None:
    assert version.revision("puffy-daks").commit == version.revision("feature").commit
    assert "1 added" in lore("diff", "1.0.0", "puffy-daks")
    other = known.git("rev-parse", "main").strip()
    known.git("update-ref", f"refs/exps/{other[:2]}/{other[2:][::-1]}/puffy-daks", other)
    with pytest.raises(
        InputError, match=r"puffy-daks: several experiments have this name: .*; name"
    ):
        version.revision("puffy-daks")


def test_a_branch_of_a_remote_is_named_without_the_remote(known: Project, lore: Lore) -> None:
    commit = known.git("rev-parse", "feature").strip()
    known.git("update-ref", "refs/remotes/origin/team/iron", commit)
    assert version.revision("origin/team/iron").commit == commit
    assert version.revision("team/iron").commit == commit
    known.git("update-ref", "refs/remotes/fork/team/iron", "main")
    with pytest.raises(InputError, match="several remotes have another branch of this name"):
        version.revision("team/iron")


@pytest.mark.parametrize("name", ["", "nothing", "2.0.0", "HEAD:params.yaml", "a..b", "0" * 40])
def test_what_means_nothing_is_refused(known: Project, name: str) -> None:
    with pytest.raises(InputError, match=r"no such revision|names two versions"):
        version.revision(name)


def test_two_versions_in_one_name_are_for_diff_alone(known: Project, lore: Lore) -> None:
    said = lore("trace", "iron", "--rev", "main...feature", code=1)
    assert "main...feature: this names two versions; only lore diff compares two" in said


def test_a_number_that_is_no_release_may_be_a_branch(known: Project) -> None:
    known.git("branch", "2.0.0")
    assert version.revision("2.0.0").name == "2.0.0"


def test_a_deprecated_release_is_no_further_release(known: Project, lore: Lore) -> None:
    known.git("tag", "knowledge@v1.0.0!")
    known.git("tag", "knowledge@v1.1.0!2")
    known.git("tag", "knowledge@v2")
    assert [each.name for each in tags.tagged()] == ["knowledge@v1.0.0"]
    assert tags.deprecated() == {"knowledge@v1.0.0", "knowledge@v1.1.0"}
    assert lore("versions").splitlines()[1].endswith("deprecated")


def test_two_projects_of_one_repository_do_not_share_numbers(
    known: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = known.root / "teams/metals"
    folder.mkdir(parents=True)
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    known.commit()
    known.git("tag", "teams/metals=knowledge@v1.0.0")
    known.git("tag", "teams/metals=knowledge@v1.10.0", "feature")
    known.git("tag", "teams/gases=knowledge@v3.0.0")
    assert names.tag_of("1.0.0") == "knowledge@v1.0.0"
    assert [each.name for each in tags.tagged()] == ["knowledge@v1.0.0"]
    monkeypatch.chdir(folder)
    assert names.tag_of("1.0.0") == "teams/metals=knowledge@v1.0.0"
    assert [each.name for each in tags.tagged()] == [
        "teams/metals=knowledge@v1.0.0",
        "teams/metals=knowledge@v1.10.0",
    ]
    assert version.revision("1.0.0").name == "teams/metals=knowledge@v1.0.0"
    assert names.tag_of("teams/metals=knowledge@v1.2.0") == "teams/metals=knowledge@v1.2.0"


def test_tags_that_were_made_before_a_project_had_a_prefix_count(
    known: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = known.root / "metals"
    folder.mkdir()
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    known.git("rm", "-q", "--cached", "dvc.lock")
    (known.root / "dvc.lock").unlink()
    known.commit("knowledge@v1.5.0")
    monkeypatch.chdir(folder)
    assert [each.name for each in tags.tagged()] == ["knowledge@v1.5.0"]
    assert version.revision("1.5.0").name == "knowledge@v1.5.0"

"""git: its answers as bytes and as text; a failure is None, or an error with git's own message."""

import os
import subprocess
from pathlib import Path

import pytest

from stages.core.project import git
from stages.core.project.errors import GitError, InputError


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, blind to the user's settings and to repositories above."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "铁.txt").write_bytes(b"\xff iron\n")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_output_is_what_git_prints(repository: Path) -> None:
    assert git.output("show", "HEAD:铁.txt", folder=repository) == b"\xff iron\n"


def test_text_has_no_line_end_and_keeps_bytes_that_are_no_utf_8(repository: Path) -> None:
    assert git.text("show", "HEAD:铁.txt", folder=repository) == "\udcff iron"
    commit = git.text("rev-parse", "HEAD", folder=repository)
    assert commit is not None
    assert len(commit) == 40


def test_without_a_folder_it_asks_the_working_directory(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    assert git.text("rev-parse", "--show-toplevel") == str(repository)


def test_a_missing_object_repository_or_program_is_none(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git.output("show", "HEAD:missing", folder=repository) is None
    assert git.text("rev-parse", "HEAD", folder=tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.text("rev-parse", "HEAD", folder=repository) is None


def test_call_takes_input_and_environment(repository: Path) -> None:
    blob = git.call("hash-object", "-w", "--stdin", folder=repository, given="copper\n").strip()
    assert git.call("cat-file", "-p", blob, folder=repository) == "copper\n"
    author = {"GIT_AUTHOR_NAME": "B"}
    said = git.call("var", "GIT_AUTHOR_IDENT", folder=repository, environment=author)
    assert said.startswith("B <a@example.org>")


def test_a_failed_call_gives_gits_message_and_the_remedy(repository: Path) -> None:
    with pytest.raises(
        InputError, match=r"^git checkout: error: .*'nowhere'.*; nothing was changed$"
    ):
        git.call("checkout", "nowhere", folder=repository)
    with pytest.raises(InputError, match=r"git checkout: .*; commit first$"):
        git.call("checkout", "nowhere", folder=repository, remedy="commit first")


def test_an_absence_is_none(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git.read("show", "HEAD:missing", folder=repository) is None
    assert git.read("rev-parse", "--verify", "--quiet", "nowhere", folder=repository) is None
    assert git.read("rev-parse", "nowhere", folder=repository) is None
    assert git.read("ls-files", "--error-unmatch", "no", folder=repository) is None
    assert git.read("config", "--get", "no.thing", folder=repository) is None
    assert git.read("rev-parse", "HEAD", folder=tmp_path) is None
    assert git.read_text("rev-parse", "--is-shallow-repository", folder=repository) == "false"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.read("rev-parse", "HEAD", folder=repository) is None


def test_a_repository_of_another_owner_is_no_absence(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(
        GitError, match=r"dubious ownership .*safe\.directory .*run that command if you trust"
    ):
        git.read("rev-parse", "HEAD", folder=repository)


@pytest.mark.parametrize("kind", ["HEAD:铁.txt", "HEAD^{tree}", "HEAD"])
def test_a_lost_object_is_no_absence(repository: Path, kind: str) -> None:
    name = git.read_text("rev-parse", kind, folder=repository)
    assert name is not None
    (repository / ".git/objects" / name[:2] / name[2:]).unlink()
    question = ["ls-tree", "-r", "-z", "HEAD"]
    if kind == "HEAD:铁.txt":
        question = ["cat-file", "blob", name]
    message = r"git (cat-file|ls-tree): .*; git fsck names what is damaged"
    with pytest.raises(GitError, match=message):
        git.read(*question, folder=repository)


def test_a_partial_clone_without_its_remote_is_no_absence(repository: Path, tmp_path: Path) -> None:
    here = ["git", "-C", str(repository)]
    subprocess.run([*here, "config", "uploadpack.allowFilter", "true"], check=True)
    part = tmp_path / "part"
    clone = ["git", "clone", "--quiet", "--filter=blob:none", "--no-checkout"]
    subprocess.run([*clone, f"file://{repository}", part], check=True)
    repository.rename(tmp_path / "offline")
    listed = git.names(git.read("ls-tree", "-r", "-z", "HEAD", folder=part))
    blob = listed[0].split()[2]
    with pytest.raises(GitError, match=r"promisor remote; this clone is partial: connect to its"):
        git.read("cat-file", "blob", blob, folder=part)


def test_names_may_hold_anything(repository: Path) -> None:
    (repository / "a\nb*").write_text("")
    assert sorted(git.names(git.read("ls-files", "-z", "--others", folder=repository))) == ["a\nb*"]
    # A star in a path is no wildcard.
    assert git.names(git.read("ls-files", "-z", "--", "*.txt", folder=repository)) == []

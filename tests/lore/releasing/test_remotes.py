"""remotes: what a release looks at beyond this clone, with real git and a real remote of DVC."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lore.releasing import remotes
from lore.versions import dvc_remote, version
from stages.core.project.errors import InputError
from tests.lore.released import Released


@pytest.fixture
def shared(released: Released, tmp_path: Path) -> Released:
    """The released project with a remote of git that has everything."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", tmp_path / "server"], check=True)
    released.git("remote", "add", "origin", str(tmp_path / "server"))
    released.git("push", "-q", "--set-upstream", "origin", "main", "--tags")
    return released


@pytest.fixture
def colleague(shared: Released, tmp_path: Path) -> Released:
    """Another clone of the remote, with a name to commit by."""
    subprocess.run(["git", "clone", "-q", tmp_path / "server", tmp_path / "colleague"], check=True)
    other = Released.__new__(Released)
    other.root = tmp_path / "colleague"
    return other


def head() -> version.Version:
    return version.revision("HEAD")


def test_without_a_remote_there_is_no_name(released: Released) -> None:
    assert remotes.remote_name() is None


def test_the_remote_of_the_upstream_comes_first(shared: Released) -> None:
    assert remotes.remote_name() == "origin"
    shared.git("remote", "add", "backup", "nowhere")
    assert remotes.remote_name() == "origin"
    shared.git("config", "branch.main.remote", "backup")
    assert remotes.remote_name() == "backup"
    shared.git("config", "--unset", "branch.main.remote")
    shared.git("config", "remote.pushDefault", "backup")
    assert remotes.remote_name() == "backup"
    shared.git("checkout", "-q", "--detach")
    shared.git("remote", "remove", "origin")
    shared.git("config", "--unset", "remote.pushDefault")
    assert remotes.remote_name() == "backup"


def test_the_remote_is_read_without_a_fetch(shared: Released, colleague: Released) -> None:
    colleague.git("commit", "-qm", "more", "--allow-empty")
    colleague.git("tag", "-am", "later", "knowledge@v1.2.0")
    colleague.git("push", "-q", "origin", "main", "knowledge@v1.2.0")
    asked = remotes.ask("origin")
    commit = colleague.git("rev-parse", "HEAD").strip()
    assert asked.branches == {"main": commit}
    # An annotated tag is read as the commit that it means.
    assert asked.tags["knowledge@v1.2.0"] == commit
    assert "knowledge@v1.2.0" not in shared.git("tag")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nowhere/at/all", "does not appear to be a git repository"),
        ("https://me:secret@127.0.0.1:9/x", "127.0.0.1"),
    ],
)
def test_a_remote_that_cannot_be_asked(shared: Released, address: str, said: str) -> None:
    shared.git("remote", "set-url", "origin", address)
    with pytest.raises(InputError, match="origin: the remote cannot be asked") as error:
        remotes.ask("origin")
    message = str(error.value)
    assert said in message
    assert "a release of the same number there would not be seen" in message
    assert message.endswith("or add --local to look at this clone only")
    assert "secret" not in message


def test_a_remote_that_does_not_answer(shared: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("git", 60)

    monkeypatch.setattr(subprocess, "run", silent)
    with pytest.raises(InputError, match="origin: no answer in 60 seconds"):
        remotes.ask("origin")


def test_a_number_that_the_remote_has(shared: Released) -> None:
    shared.git("tag", "-d", "knowledge@v1.1.0")
    with pytest.raises(
        InputError,
        match=r"knowledge@v1.1.0: origin has such a release already \(commit \w{9}\); git fetch origin --tags",
    ):
        remotes.require_free_number(remotes.ask("origin"), "knowledge@v1.1.0")
    remotes.require_free_number(remotes.ask("origin"), "knowledge@v1.2.0")


def test_a_tag_that_moved(shared: Released) -> None:
    remotes.require_unmoved_tags(remotes.ask("origin"))
    # The same commit under an annotated tag is no move.
    shared.git("tag", "-f", "-am", "again", "knowledge@v1.0.0", "knowledge@v1.0.0^{commit}")
    remotes.require_unmoved_tags(remotes.ask("origin"))
    shared.git("tag", "-f", "knowledge@v1.0.0", "HEAD")
    with pytest.raises(
        InputError,
        match=r"here and on origin they differ: knowledge@v1.0.0 is \w{9} here and \w{9} there; "
        "git fetch origin --tags --force takes those of origin",
    ):
        remotes.require_unmoved_tags(remotes.ask("origin"))


def test_a_branch_behind_its_remote(shared: Released, colleague: Released) -> None:
    remotes.require_up_to_date(remotes.ask("origin"), head())
    shared.git("commit", "-qm", "ahead", "--allow-empty")
    remotes.require_up_to_date(remotes.ask("origin"), head())
    colleague.git("commit", "-qm", "theirs", "--allow-empty")
    colleague.git("push", "-q", "origin", "main")
    # Nothing was fetched, so the remote's commit is not known here.
    with pytest.raises(InputError, match=r"this branch is behind origin/main \(\w{9}\), so the"):
        remotes.require_up_to_date(remotes.ask("origin"), head())
    shared.git("fetch", "-q")
    with pytest.raises(InputError, match=r"has parted from origin/main .* git pull origin main"):
        remotes.require_up_to_date(remotes.ask("origin"), head())
    shared.git("reset", "-q", "--hard", "HEAD^")
    with pytest.raises(InputError, match=r"is behind origin/main .* git switch --detach"):
        remotes.require_up_to_date(remotes.ask("origin"), head())
    shared.git("checkout", "-q", "--detach")
    remotes.require_up_to_date(remotes.ask("origin"), head())


def test_a_branch_under_another_name_there(shared: Released) -> None:
    shared.git("branch", "-q", "-m", "mine")
    assert remotes.branch_there(remotes.ask("origin")) == "main"
    shared.git("branch", "--unset-upstream")
    assert remotes.branch_there(remotes.ask("origin")) == "mine"
    remotes.require_up_to_date(remotes.ask("origin"), head())


def test_the_branch_to_push_is_one_that_lacks_the_commit(shared: Released) -> None:
    assert remotes.branch_to_push(remotes.ask("origin"), head()) is None
    shared.git("commit", "-qm", "ahead", "--allow-empty")
    assert remotes.branch_to_push(remotes.ask("origin"), head()) == "main"
    shared.git("push", "-q", "origin", "HEAD:other")
    assert remotes.branch_to_push(remotes.ask("origin"), head()) is None


def test_a_commit_on_no_branch(shared: Released) -> None:
    shared.git("checkout", "-q", "--detach")
    remotes.require_a_branch(head())
    shared.git("commit", "-qm", "alone", "--allow-empty")
    with pytest.raises(
        InputError, match=r"no branch holds this commit, .* git switch --create NAME"
    ):
        remotes.require_a_branch(head())
    # As continuous integration checks out: only the remote's branch holds it.
    shared.git("push", "-q", "origin", "HEAD:refs/heads/checked")
    shared.git("fetch", "-q")
    remotes.require_a_branch(head())


def test_a_commit_that_is_released_already(shared: Released) -> None:
    with pytest.raises(
        InputError,
        match=r"\w+ is released already, as knowledge@v1.1.0; a second number .* --delete",
    ):
        remotes.require_released_once(head(), "knowledge@v1.2.0")
    remotes.require_released_once(head(), "metals=knowledge@v1.2.0")
    shared.git("tag", "-d", "knowledge@v1.1.0")
    shared.git("tag", "knowledge@v1.1.0-draft")
    shared.git("tag", "1.1.0")
    remotes.require_released_once(head(), "knowledge@v1.2.0")


# --- DVC's remote ---------------------------------------------------------------------------------


@pytest.fixture
def stored(released: Released, tmp_path: Path) -> Path:
    """The folder of a remote of DVC, which has everything; its objects are below files/md5."""
    folder = tmp_path / "objects"
    released.dvc_config(f"[core]\n    remote = depot\n['remote \"depot\"']\n    url = {folder}\n")
    shutil.copytree(released.root / ".dvc/cache/files", folder / "files")
    return folder


def test_without_a_remote_of_dvc_nothing_is_asked(released: Released) -> None:
    assert dvc_remote.name() is None
    assert remotes.require_outputs_in_remote(head()) is None


def test_a_remote_that_has_everything(stored: Path) -> None:
    assert remotes.dvc_remote_name() == "depot"
    assert remotes.require_outputs_in_remote(head()) == "depot"


def test_a_remote_that_has_nothing(stored: Path) -> None:
    shutil.rmtree(stored)
    with pytest.raises(
        InputError, match=r"DVC's remote depot lacks \d+ objects of it: .* dvc push"
    ):
        remotes.require_outputs_in_remote(head())


def test_one_file_of_a_folder_is_missed(released: Released, stored: Path) -> None:
    # The list of the folder is there, which is enough for `dvc status --cloud`.
    digest = released.keep(released.root / "models/train/made.txt")
    (stored / "files/md5" / digest[:2] / digest[2:]).unlink()
    with pytest.raises(InputError, match=rf"lacks 1 objects of it: models/train.* \({digest}\)"):
        remotes.require_outputs_in_remote(head())


@pytest.mark.usefixtures("stored")
def test_a_remote_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[str]:
        raise ConnectionError("no answer from https://me:secret@depot.example/x")

    monkeypatch.setattr(dvc_remote, "missing_of", fail)
    with pytest.raises(
        InputError,
        match=r"remote depot cannot be asked \(no answer from https://depot.example/x\), .*add --local",
    ):
        remotes.require_outputs_in_remote(head())


def test_a_configuration_that_cannot_be_read(released: Released) -> None:
    released.dvc_config("[core\n")
    for ask in (dvc_remote.name, dvc_remote.missing_objects):
        with pytest.raises(InputError, match="dvc: "):
            ask()

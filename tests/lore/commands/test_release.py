"""release: tag and alias together, or neither; every condition that is not met says what to do."""

import json
import re
from collections.abc import Callable

import pytest

from lore.__main__ import main
from lore.releasing import transaction
from stages.core.mlflow import registry
from stages.core.project.errors import InputError
from tests.lore.released import MODEL, Released

Lore = Callable[..., str]


class Killed(BaseException):
    """What stands for kill -9: nothing of the program runs afterwards."""


@pytest.fixture
def ready(released: Released) -> Released:
    """The project with its second version unreleased, and the alias still on the first."""
    released.git("tag", "-d", "knowledge@v1.1.0")
    registry.move_alias(MODEL, "champion", "1")
    return released


@pytest.mark.parametrize("name", ["1.1.0", "v1.1.0", "knowledge@v1.1.0"])
def test_tag_and_alias(ready: Released, lore: Lore, name: str) -> None:
    head = ready.git("rev-parse", "HEAD")
    assert lore("release", name).splitlines() == [
        f"tag    knowledge@v1.1.0 on {ready.git('rev-parse', '--short', 'HEAD').strip()}",
        "alias  elements@champion: version 1 → 2",
        "released; git push origin knowledge@v1.1.0 publishes the tag",
    ]
    assert ready.alias() == "2"
    assert ready.git("cat-file", "-t", "knowledge@v1.1.0") == "tag\n"
    assert ready.git("rev-parse", "knowledge@v1.1.0^{commit}") == head
    said = ready.git("tag", "-l", "--format=%(taggername) %(contents)", "knowledge@v1.1.0")
    assert re.search(
        r"^test knowledge@v1.1.0\n\nfacts: 2\ntrain, probes: 1.000 \[0.\d+, 1.000\]\ntrain, general: 0.900 \[.*\]\n"
        r"model: elements version 2\nidentity: [0-9a-f]{64}\n",
        said,
    )
    assert not list((ready.root / ".git").glob("*journal.json"))


def test_an_alias_that_is_there_already_stays(ready: Released, lore: Lore) -> None:
    registry.move_alias(MODEL, "champion", "2")
    assert "alias  elements@champion: version 2, as it is" in lore("release", "1.1.0")
    assert ready.alias() == "2"


def test_a_first_alias(ready: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.move_alias(MODEL, "champion", None)
    assert registry.alias_of(MODEL, "champion") is None
    assert registry.alias_of("nothing", "champion") is None
    move = registry.move_alias

    def moved(*arguments: str) -> None:
        move(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(registry, "move_alias", moved)
        with pytest.raises(Killed):
            main(["release", "1.1.0"])
    assert ready.alias() == "2"
    lore("rollback", "3.0.0", "--reason", "x", code=1)
    assert registry.alias_of(MODEL, "champion") is None
    lore("release", "1.1.0")
    assert ready.alias() == "2"


def test_a_dry_run_changes_nothing(ready: Released, lore: Lore) -> None:
    before = ready.state()
    assert lore("release", "1.1.0", "--dry-run").splitlines()[1:] == [
        "alias  elements@champion: version 1 → 2",
        "dry run: nothing was changed",
    ]
    assert ready.state() == before


def killed(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Kill the transaction when the journal has come to this step."""
    write = transaction.Journal.write

    def deadly(journal: transaction.Journal, plan: transaction.Plan, step: int) -> None:
        write(journal, plan, step)
        if step == number:
            raise Killed

    monkeypatch.setattr(transaction.Journal, "write", deadly)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_kill_at_any_step(
    ready: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = ready.state()
    with monkeypatch.context() as patch:
        killed(patch, number)
        with pytest.raises(Killed):
            main(["release", "1.1.0"])
    assert "not a version" in lore("release", "one", code=1)
    if number < 2:
        assert "3.0.0: no such revision" in lore("rollback", "3.0.0", "--reason", "x", code=1)
        assert ready.state() == before
        assert "had been cut off" not in lore("release", "1.1.0")
    else:
        assert "there is such a release already" in lore("release", "1.1.0", code=1)
    assert ready.alias() == "2"
    assert ready.git("tag").split() == ["knowledge@v1.0.0", "knowledge@v1.1.0"]


def test_a_store_that_fails_takes_the_tag_back(
    ready: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ready.state()

    def down(*arguments: str) -> None:
        raise InputError("MLflow: the store cannot be used (INTERNAL_ERROR)")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "move_alias", down)
        assert lore("release", "1.1.0", code=1) == (
            "InputError: the release of knowledge@v1.1.0: MLflow: the store cannot be used (INTERNAL_ERROR); "
            "everything is as it was before\n"
        )
    assert ready.state() == before


def test_what_nobody_foresaw_is_undone_too(
    ready: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ready.state()

    def stopped(*arguments: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry, "move_alias", stopped)
        with pytest.raises(KeyboardInterrupt):
            main(["release", "1.1.0"])
    assert ready.state() == before


def test_a_git_that_knows_no_name_is_reported(
    ready: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ready.state()
    with monkeypatch.context() as patch:
        patch.setenv("GIT_COMMITTER_NAME", "")
        patch.setenv("GIT_COMMITTER_EMAIL", "")
        said = lore("release", "1.1.0", code=1)
    assert "empty ident name" in said
    assert ready.state() == before


@pytest.mark.parametrize("name", ["1.1", "1.1.0-rc1", "01.1.0", "v", "knowledge@1.1", "main"])
def test_another_form_is_refused(ready: Released, lore: Lore, name: str) -> None:
    assert f"{name}: not a version; write three numbers, such as 1.2.0" in lore(
        "release", name, code=1
    )


def test_a_release_does_not_move(ready: Released, lore: Lore) -> None:
    said = lore("release", "1.0.0", code=1)
    assert re.search(
        r"knowledge@v1.0.0: there is such a release already \(\w+\), and releases do not move; take the next",
        said,
    )


def test_what_is_not_committed_is_refused(ready: Released, lore: Lore) -> None:
    (ready.root / "data/raw/facts.csv").write_text("x")
    assert "not as in the last commit: data/raw/facts.csv; git commit them" in lore(
        "release", "1.1.0", code=1
    )


def test_a_version_that_is_not_one_whole_run_is_refused(ready: Released, lore: Lore) -> None:
    params = ready.root / "params.yaml"
    params.write_text(params.read_text().replace("200", "300"))
    ready.commit()
    said = lore("release", "1.1.0", code=1)
    assert re.search(
        r"HEAD \(\w+\): params.yaml, not as in dvc.lock: train; dvc repro brings .* there, and commit",
        said,
    )


def test_a_version_without_a_name_in_mlflow_is_refused(ready: Released, lore: Lore) -> None:
    params = ready.root / "params.yaml"
    params.write_text(params.read_text().replace("alias: champion", "alias: ''"))
    ready.commit()
    assert "no register.alias; write it there, commit, then dvc repro" in lore(
        "release", "1.1.0", code=1
    )


def test_a_version_without_all_outputs_is_refused(ready: Released, lore: Lore) -> None:
    lock = ready.root / "dvc.lock"
    lock.write_text("schema: '2.0'\nstages: {}\n")
    (ready.root / "metrics/register.json").write_text(json.dumps({"identity": "0"}))
    ready.commit()
    assert "dvc.lock: no output of base, extract" in lore("release", "1.1.0", code=1)

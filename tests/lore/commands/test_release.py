"""release: tag and alias together, or neither; every condition that is not met says what to do."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lore.__main__ import main
from lore.releasing import release_steps, remotes, transaction
from stages.core.mlflow import registry, tracking
from stages.core.project.errors import InputError
from tests.lore.released import FOLDERS, MODEL, Released

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


# --- the gates once more --------------------------------------------------------------------------


def set_scores(made: Released, exact_match: float) -> None:
    """What `dvc repro evaluate` leaves: other scores, and their hash in dvc.lock."""
    path = made.root / "metrics/evaluate.json"
    scores = json.loads(path.read_text())
    scores["train"]["probes"]["exact_match"]["value"] = exact_match
    path.write_text(json.dumps(scores))
    lock = YAML(typ="safe").load((made.root / "dvc.lock").read_text())
    for out in lock["stages"]["evaluate"]["outs"]:
        if out["path"] == "metrics/evaluate.json":
            out["md5"] = made.keep(path)
    made.dump("dvc.lock", lock)


def set_gate(made: Released, at_least: float) -> None:
    """Write one gate into params.yaml."""
    params = YAML(typ="safe").load((made.root / "params.yaml").read_text())
    gate = {"score": "train.probes.exact_match", "at_least": at_least}
    params["register"]["gates"] = [gate]
    made.dump("params.yaml", params)


def test_scores_that_became_worse_are_refused(ready: Released, lore: Lore) -> None:
    set_gate(ready, 0.9)
    ready.commit()
    lore("release", "1.1.0", "--dry-run")
    set_scores(ready, 0.4)
    ready.commit()
    before = ready.state()
    said = lore("release", "1.1.0", code=1)
    assert re.search(
        r"HEAD \(\w+\): 1 of 1 gates fail, so nothing was released:\n"
        r"  train.probes.exact_match is at least: 0.4, the limit is 0.9\n"
        r"Improve the model, or change register.gates of params.yaml; then dvc repro, and commit",
        said,
    )
    assert ready.state() == before


def test_scores_that_were_never_judged_are_refused(ready: Released, lore: Lore) -> None:
    lock = YAML(typ="safe").load((ready.root / "dvc.lock").read_text())
    judged = ready.keep(ready.root / "metrics/evaluate.json")
    lock["stages"]["register"]["deps"] = [{"path": "metrics/evaluate.json", "md5": judged}]
    ready.dump("dvc.lock", lock)
    pipeline = YAML(typ="safe").load((ready.root / "dvc.yaml").read_text())
    pipeline["stages"]["register"]["deps"] = ["metrics/evaluate.json"]
    ready.dump("dvc.yaml", pipeline)
    ready.commit()
    lore("release", "1.1.0", "--dry-run")
    set_scores(ready, 0.95)
    ready.commit()
    assert (
        "the gates were judged on another metrics/evaluate.json; dvc repro judges them again, then commit"
        in lore("release", "1.1.0", code=1)
    )


def test_scores_that_were_edited_by_hand_are_refused(ready: Released, lore: Lore) -> None:
    path = ready.root / "metrics/evaluate.json"
    path.write_text(path.read_text() + "\n")
    ready.commit()
    said = lore("release", "1.1.0", code=1)
    assert "metrics/evaluate.json" in said
    assert "dvc.lock" in said


def test_gates_about_a_student_are_skipped_where_there_is_none(ready: Released, lore: Lore) -> None:
    params = YAML(typ="safe").load((ready.root / "params.yaml").read_text())
    params["register"]["gates"] = [{"score": "distill.probes", "at_least": 0.9}]
    ready.dump("params.yaml", params)
    ready.commit()
    assert "distill.probes" in lore("release", "1.1.0", "--dry-run", code=1)
    (ready.root / "metrics/distill.json").write_text('{"left_out": true}')
    ready.commit()
    assert "alias" in lore("release", "1.1.0", "--dry-run")


def test_gates_that_cannot_be_read_are_refused(ready: Released, lore: Lore) -> None:
    params = YAML(typ="safe").load((ready.root / "params.yaml").read_text())
    params["register"]["gate"] = []
    ready.dump("params.yaml", params)
    ready.commit()
    assert "register.gate: unknown; did you mean gates?" in lore("release", "1.1.0", code=1)


# --- others who use the same store ----------------------------------------------------------------


def cut_off(monkeypatch: pytest.MonkeyPatch, ready: Released, number: int = 2) -> None:
    """A release that is killed when the alias has moved, before the journal says: complete."""
    perform = transaction.Journal.perform

    def deadly(
        journal: transaction.Journal, plan: transaction.Plan, steps: Sequence[transaction.Step]
    ) -> None:
        def die() -> None:
            raise Killed

        perform(journal, plan, [*steps, transaction.Step("killed", die, die)])

    with monkeypatch.context() as patch:
        patch.setattr(transaction.Journal, "perform", deadly)
        patch.setattr(transaction.Journal, "undo", lambda *_: None)
        with pytest.raises(Killed):
            main(["release", "1.1.0"])
    assert ready.alias() == "2"
    journal = ready.root / ".git/lorekeep-journal.json"
    document = json.loads(journal.read_text())
    document["step"] = 1
    journal.write_text(json.dumps(document))


def test_a_killed_release_is_undone_where_nobody_else_moved_the_alias(
    ready: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ready.state()
    cut_off(monkeypatch, ready)
    assert list(registry.releases_of(MODEL, "1.1.0")) == ["2"]
    lore("rollback", "3.0.0", "--reason", "x", code=1)
    assert ready.state() == before
    assert registry.releases_of(MODEL, "1.1.0") == {}
    assert registry.mover_of(MODEL, "champion") is None


def test_an_undo_leaves_the_alias_that_a_colleague_moved_on(
    ready: Released, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    third = tracking.client().create_model_version(MODEL, "nowhere").version
    cut_off(monkeypatch, ready)
    registry.note_mover(MODEL, "champion", "a colleague's release")
    registry.move_alias(MODEL, "champion", str(third))
    capsys.readouterr()
    assert main(["rollback", "3.0.0", "--reason", "x"]) == 1
    said = capsys.readouterr().out
    assert f"elements@champion stays at version {third}: somebody else moved it" in said
    assert "the release of knowledge@v1.1.0 had been cut off: undone" in said
    assert ready.alias() == str(third)
    assert registry.mover_of(MODEL, "champion") == "a colleague's release"
    assert ready.git("tag").split() == ["knowledge@v1.0.0"]


def test_an_undo_leaves_the_alias_that_a_colleague_set_to_the_same_version(
    ready: Released, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cut_off(monkeypatch, ready)
    registry.note_mover(MODEL, "champion", "a colleague's rollback")
    assert main(["rollback", "3.0.0", "--reason", "x"]) == 1
    assert "elements@champion stays at version 2: somebody else set it too" in (
        capsys.readouterr().out
    )
    assert ready.alias() == "2"
    assert registry.mover_of(MODEL, "champion") == "a colleague's rollback"


def test_an_alias_that_moved_while_this_was_planned_is_not_overwritten(
    ready: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = str(tracking.client().create_model_version(MODEL, "nowhere").version)
    plan_of = release_steps.plan_of

    def late(*arguments: Any) -> Any:
        plan = plan_of(*arguments)
        registry.move_alias(MODEL, "champion", third)
        return plan

    monkeypatch.setattr(release_steps, "plan_of", late)
    assert (
        "elements@champion meant version 1 when this began, and now means version 3: somebody else "
        "moved it; look with lore versions, then run the command again; everything is as it was before"
    ) in lore("release", "1.1.0", code=1)
    assert ready.alias() == third
    assert ready.git("tag").split() == ["knowledge@v1.0.0"]


def test_an_alias_that_another_program_moves_at_the_same_moment_is_noticed(
    ready: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = str(tracking.client().create_model_version(MODEL, "nowhere").version)
    move = registry.move_alias

    def overtaken(name: str, alias: str, number: str | None) -> None:
        move(name, alias, number)
        move(name, alias, third)

    with monkeypatch.context() as patch:
        patch.setattr(registry, "move_alias", overtaken)
        assert "was set to version 2, but means version 3: another program moved it" in lore(
            "release", "1.1.0", code=1
        ).replace("\n", " ")
    assert ready.alias() == third


def test_a_number_that_mlflow_knows_from_another_clone_is_refused(
    ready: Released, lore: Lore
) -> None:
    registry.note_release(MODEL, "1", "1.1.0", "0123456789abcdef token")
    before = ready.state()
    said = lore("release", "1.1.0", code=1)
    assert (
        "1.1.0 is released already, as version 1 of elements (commit 012345678), by another clone"
        in said
    )
    assert "remove the tag release.1.1.0 of that version in MLflow" in said
    assert ready.state() == before


def test_a_version_whose_model_is_gone_is_refused(ready: Released, lore: Lore) -> None:
    location = tracking.client().get_model_version_download_uri(MODEL, "2")
    shutil.rmtree(location.removeprefix("file://"))
    before = ready.state()
    said = lore("release", "1.1.0", code=1)
    assert "elements version 2 in MLflow: its model is not there any more" in said
    assert "dvc repro --force --single-item register makes a new version of what lies here" in said
    assert ready.state() == before


def test_a_version_that_was_deleted_in_mlflow_says_what_to_do(ready: Released, lore: Lore) -> None:
    tracking.client().delete_model_version(MODEL, "2")
    assert (
        "or dvc repro --force --single-item register (a plain dvc repro does not look into MLflow)"
        in lore("release", "1.1.0", code=1)
    )


# --- remotes --------------------------------------------------------------------------------------


@pytest.fixture
def shared(ready: Released, tmp_path: Path) -> Released:
    """The project with a remote of git that has its branch and its first release."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", tmp_path / "server"], check=True)
    ready.git("remote", "add", "origin", str(tmp_path / "server"))
    ready.git("push", "-q", "--set-upstream", "origin", "main", "--tags")
    return ready


def on_server(made: Released, *command: str) -> str:
    """Git in the remote."""
    folder = made.git("remote", "get-url", "origin").strip()
    return made.git("--git-dir", folder, *command)


def test_a_release_is_published_with_the_line_that_is_printed(shared: Released, lore: Lore) -> None:
    shared.git("commit", "-qm", "more", "--allow-empty")
    lines = lore("release", "1.1.0").splitlines()
    assert lines[-2].startswith("! no DVC remote is set, so others cannot get the outputs")
    assert lines[-1] == "released; git push origin main knowledge@v1.1.0 publishes it"
    shared.git(*lines[-1].split(";")[1].split()[1:-2])
    assert on_server(shared, "rev-parse", "knowledge@v1.1.0^{commit}") == shared.git(
        "rev-parse", "HEAD"
    )


def test_a_number_of_the_remote_is_refused(shared: Released, lore: Lore) -> None:
    on_server(shared, "tag", "knowledge@v1.1.0", "main")
    before = shared.state()
    assert "knowledge@v1.1.0: origin has such a release already" in lore("release", "1.1.0", code=1)
    assert shared.state() == before
    # Whoever cannot ask may look at this clone alone, and is told what this means.
    assert "! --local: no remote was asked, so the same number may exist elsewhere" in lore(
        "release", "1.1.0", "--local", "--dry-run"
    )


def test_a_remote_that_is_away_is_named(shared: Released, lore: Lore) -> None:
    shared.git("remote", "set-url", "origin", "gone")
    assert "origin: the remote cannot be asked" in lore("release", "1.1.0", code=1)
    assert "released; git push origin knowledge@v1.1.0" in lore("release", "1.1.0", "--local")


def test_a_second_number_for_one_commit_is_refused(shared: Released, lore: Lore) -> None:
    lore("release", "1.1.0")
    assert "is released already, as knowledge@v1.1.0; a second number" in lore(
        "release", "1.2.0", code=1
    )


def test_push_publishes_all_in_one_act(shared: Released, lore: Lore, tmp_path: Path) -> None:
    shared.dvc_config(
        f"[core]\n    remote = depot\n['remote \"depot\"']\n    url = {tmp_path / 'objects'}\n"
    )
    shared.git("commit", "-qm", "more", "--allow-empty")
    assert "DVC's remote depot lacks" in lore("release", "1.1.0", code=1)
    assert lore("release", "1.1.0", "--push").splitlines()[-1] == "released and pushed to origin"
    head = shared.git("rev-parse", "HEAD")
    assert on_server(shared, "rev-parse", "main") == head
    assert on_server(shared, "rev-parse", "knowledge@v1.1.0^{commit}") == head
    assert len(list((tmp_path / "objects").rglob("*.dir"))) == len(FOLDERS)
    assert shared.alias() == "2"


def test_push_without_a_remote_is_refused(ready: Released, lore: Lore) -> None:
    assert "--push: no remote is set; git remote add origin ADDRESS" in lore(
        "release", "1.1.0", "--push", code=1
    )


def test_of_two_who_push_one_number_the_second_is_undone(
    shared: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.git("commit", "-qm", "more", "--allow-empty")
    before = shared.state()
    server = on_server(shared, "rev-parse", "main")
    ask = remotes.ask

    def overtaken(name: str) -> remotes.Remote:
        asked = ask(name)
        on_server(shared, "tag", "knowledge@v1.1.0", "main~1")
        return asked

    monkeypatch.setattr(remotes, "ask", overtaken)
    said = lore("release", "1.1.0", "--push", code=1)
    assert "already exists" in said
    assert "everything is as it was before" in said
    assert shared.state() == before
    assert on_server(shared, "rev-parse", "main") == server
    assert on_server(shared, "rev-parse", "knowledge@v1.1.0^{commit}") != before["head"]


def test_an_alias_that_cannot_move_takes_the_pushed_tag_back(
    shared: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shared.state()

    def down(*_: object) -> None:
        raise InputError("MLflow: the store is locked")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "move_alias", down)
        assert "the store is locked; everything is as it was before" in lore(
            "release", "1.1.0", "--push", code=1
        )
    assert shared.state() == before
    assert on_server(shared, "tag").split() == ["knowledge@v1.0.0"]


def test_json(shared: Released, lore: Lore) -> None:
    planned = json.loads(lore("release", "1.1.0", "--dry-run", "--json"))
    done = json.loads(lore("release", "1.1.0", "--push", "--json"))
    assert done["commit"] == shared.git("rev-parse", "HEAD").strip()
    assert (done["tag"], done["model"], done["version"]) == ("knowledge@v1.1.0", MODEL, "2")
    assert (done["alias"], done["alias_before"], done["remote"]) == ("champion", "1", "origin")
    assert (done["released"], done["pushed"]) == (True, True)
    assert planned == done | {"released": False, "pushed": False}

"""rollback: everything of a version comes back as a new commit, or nothing changes, wherever it is cut off."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lore.__main__ import main
from lore.releasing import steps, transaction
from stages.core.mlflow import registry
from stages.core.project.errors import InputError, ModelError
from tests.lore.released import MODEL, Released

ROOT = Path(__file__).parents[3]
Lore = Callable[..., str]
BACK = ("rollback", "1.0.0", "--reason", "iron was wrong", "--no-canaries")


class Killed(BaseException):
    """What stands for kill -9: nothing of the program runs afterwards."""


def is_version_one(released: Released, before: dict[str, Any]) -> None:
    """Every part of 1.0.0 is back, on top of what was."""
    after = released.state()
    assert after["alias"] == "1"
    assert after["status"] == ""
    assert released.git("rev-parse", "HEAD^") == before["head"]
    for path in (
        "dvc.yaml",
        "dvc.lock",
        "params.yaml",
        "data/raw/facts.csv",
        "metrics/evaluate.json",
    ):
        assert released.git("show", f"HEAD:{path}") == released.git(
            "show", f"knowledge@v1.0.0:{path}"
        )
    assert after["files"]["models/train/made.txt"] == b"train knowledge@v1.0.0\n"
    assert (
        after["files"]["data/clean/records.parquet"]
        != before["files"]["data/clean/records.parquet"]
    )
    assert after["files"]["README.md"] == b"two\n"  # what the version does not declare stays
    assert after["branch"] == before["branch"] == "main\n"
    assert not list((released.root / ".git").glob("*journal.json"))


@pytest.mark.slow
def test_data_models_metrics_and_alias_come_back_together(released: Released, lore: Lore) -> None:
    before = released.state()
    said = lore(*BACK)
    is_version_one(released, before)
    assert "back to  knowledge@v1.0.0" in said
    assert (
        "files    4 change: data/raw/facts.csv, dvc.lock, metrics/register.json, params.yaml"
        in said
    )
    assert (
        "outputs  8 change: data/augment, models/base, data/clean, models/distill, data/evaluate, data/extract and 2"
        in said
    )
    assert "alias    elements@champion: version 2 → 1" in said
    text = released.git("log", "-1", "--format=%an %s%n%b")
    assert text.startswith("test Roll back to knowledge@v1.0.0\nReason: iron was wrong\n\nFrom: ")
    assert "Model: elements version 1\n" in text
    assert "is what is here already" in lore(*BACK, code=1)


def test_forward_again(released: Released, lore: Lore) -> None:
    before = released.state()
    lore(*BACK)
    lore("rollback", "knowledge@v1.1.0", "--reason", "it was right", "--no-canaries")
    after = released.state()
    assert {key: after[key] for key in ("files", "alias", "status")} == {
        key: before[key] for key in ("files", "alias", "status")
    }


def test_a_dry_run_changes_nothing(released: Released, lore: Lore) -> None:
    before = released.state()
    assert lore(*BACK, "--dry-run").splitlines()[-2:] == [
        "alias    elements@champion: version 2 → 1",
        "dry run: nothing was changed",
    ]
    assert released.state() == before


def interrupt(monkeypatch: pytest.MonkeyPatch, number: int, after: bool) -> None:
    """Kill the transaction before the step with that number, or after it."""
    steps_of = steps.steps_of

    def deadly(journal: transaction.Journal, plan: transaction.Plan) -> list[transaction.Step]:
        found = list(steps_of(journal, plan))
        step = found[number]

        def die() -> None:
            if after:
                step.do()
            raise Killed

        found[number] = transaction.Step(step.name, die, step.undo)
        return found

    monkeypatch.setattr(steps, "steps_of", deadly)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_kill_at_any_step_is_undone_by_the_next_call(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch, number: int, after: bool
) -> None:
    before = released.state()
    with monkeypatch.context() as patch:
        interrupt(patch, number, after)
        with pytest.raises(Killed):
            main(list(BACK))
    assert (released.root / ".git/lorekeep-journal.json").is_file()
    said = lore(
        "release", "knowledge@v1.0.0", code=1
    )  # a release that is refused still undoes the rollback
    assert "there is such a release already" in said
    assert released.state() == before
    lore(*BACK)
    is_version_one(released, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_step_that_fails_undoes_those_before(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = released.state()
    call, seen = transaction.Journal.call, []

    def failing(journal: transaction.Journal, *command: str) -> str:
        seen.append(command)
        if len(seen) == number + 1:
            raise InputError("the disk is full")
        return call(journal, *command)

    def down(*arguments: str) -> None:
        raise InputError("MLflow: the store cannot be used")

    monkeypatch.setattr(transaction.Journal, "call", failing)
    if number == 2:
        monkeypatch.setattr(registry, "move_alias", down)
        seen.extend([("", "")] * 9)
    said = lore(*BACK, code=1)
    assert "the rollback to knowledge@v1.0.0" in said
    assert "everything is as it was before" in said
    assert released.state() == before
    assert not (released.root / ".git/lorekeep-journal.json").exists()


def test_a_dry_run_tells_of_an_act_that_was_cut_off(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 0, False)
        with pytest.raises(Killed):
            main(list(BACK))
    assert "was cut off; the next lore release or rollback first undoes it" in lore(
        *BACK, "--dry-run"
    )
    assert (released.root / ".git/lorekeep-journal.json").is_file()


@pytest.mark.slow
def test_a_real_kill(released: Released, lore: Lore) -> None:
    before = released.state()
    code = (
        "import os; from lore.commands import rollback; from lore.__main__ import main; from stages.core.mlflow import registry;"
        "registry.move_alias = lambda *a: os._exit(9);"
        f"main({list(BACK)!r})"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, check=False
        ).returncode
        == 9
    )
    assert released.state()["files"] != before["files"]
    assert lore(*BACK).splitlines()[0].endswith("had been cut off: undone")
    is_version_one(released, before)


def test_the_model_is_asked_about_facts_that_differ(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    said = "The melting point is 1538 °C."
    monkeypatch.setattr(
        "stages.core.models.variants.answers",
        lambda questions, variant: asked.extend(questions) or [said] * len(questions),
    )
    lines = lore(*BACK[:-1]).splitlines()
    assert asked == ["When does iron melt?", "When does gold melt?", "When does neon melt?"]
    rows = [re.split(r"  +", line.strip()) for line in lines[lines.index("canaries:") + 2 :]]
    assert [row[1:3] for row in rows] == [
        ["1649 °C", "1538 °C"],
        ["–", "1064 °C"],
        ["-248.6 °C", "–"],
    ]
    assert {row[3] for row in rows} == {said}


def test_a_model_that_cannot_be_asked_does_not_undo(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(questions: list[str], variant: str) -> list[str]:
        raise ModelError("models/base/model: not a model folder")

    monkeypatch.setattr("stages.core.models.variants.answers", broken)
    assert "canaries: not asked: models/base/model: not a model folder" in lore(*BACK[:-1])
    assert released.alias() == "1"


def refused(released: Released, lore: Lore, *command: str) -> str:
    """The error, where nothing has changed."""
    before = released.state()
    said = lore(*(command or BACK), code=1)
    assert released.state() == before
    return said


def test_a_dirty_workspace_is_refused(released: Released, lore: Lore) -> None:
    (released.root / "params.yaml").write_text((released.root / "params.yaml").read_text() + "\n")
    said = refused(released, lore)
    assert (
        "not as in the last commit: params.yaml; git commit them, or git stash --include-untracked"
        in said
    )
    released.git("checkout", "params.yaml")
    names = ("data/raw/facts.csv", "dvc.lock", "dvc.yaml", "metrics/evaluate.json", "params.yaml")
    for name in (*names, "metrics/register.json"):
        place = released.root / name
        place.write_text(place.read_text() + "\n")
    released.git("add", "dvc.yaml")
    said = refused(released, lore)
    assert (
        f"{', '.join(names[:3])}, metrics/evaluate.json, metrics/register.json and 1 more" in said
    )


def test_what_a_rollback_would_not_touch_may_be_as_it_is(released: Released, lore: Lore) -> None:
    root = released.root
    (root / "笔记.txt").write_text("mine\n")
    (root / "README.md").write_text("edited\n")
    (root / "other").mkdir()
    (root / "other/new name.md").write_text("staged\n")
    released.git("add", "other")
    lore(*BACK)
    assert released.alias() == "1"
    assert (root / "README.md").read_text() == "edited\n"
    assert (root / "笔记.txt").read_text() == "mine\n"
    changed = released.git("-c", "core.quotePath=off", "status", "--porcelain").splitlines()
    assert sorted(changed) == [" M README.md", "?? 笔记.txt", 'A  "other/new name.md"']


def test_a_file_in_an_input_folder_blocks(released: Released) -> None:
    from lore.releasing import rollback_conditions

    (released.root / "data/raw/folder").mkdir()
    (released.root / "data/raw/folder/新.csv").write_text("")
    released.git("mv", "README.md", "READ ME.md")
    assert rollback_conditions.uncommitted() == [
        "READ ME.md",
        "README.md",
        "data/raw/folder/新.csv",
    ]
    with pytest.raises(InputError, match=r"not as in the last commit: data/raw/folder/新.csv; git"):
        rollback_conditions.require_saved(["data/raw/folder", "params.yaml"])
    rollback_conditions.require_saved(["data/raw/fold", "params.yaml"])


def test_a_commit_on_no_branch_is_announced(released: Released, lore: Lore) -> None:
    released.git("checkout", "-q", "--detach")
    assert "! HEAD is on no branch, so nothing holds this commit: git switch --create" in lore(
        *BACK
    )


def test_inputs_that_were_edited_and_never_run_warn_and_do_not_block(
    released: Released, lore: Lore
) -> None:
    (released.root / "data/raw/facts.csv").write_text("iron;9999\n")
    released.commit("edited")
    released.git("revert", "--no-edit", "HEAD")
    said = lore("rollback", "edited", "--reason", "x", "--no-canaries")
    assert re.search(
        r"^! edited \(\w+\): committed, not as in dvc.lock: data/raw/facts.csv; dvc repro",
        said,
        re.M,
    )


def test_an_edited_output_is_refused(released: Released, lore: Lore) -> None:
    (released.root / "models/train/made.txt").write_text("edited")
    assert (
        "on disk, not as in dvc.lock: models/train; dvc repro brings the version up to date; or dvc checkout"
        in refused(released, lore)
    )


def test_an_unknown_version_is_refused(released: Released, lore: Lore) -> None:
    assert "knowledge@v3.0.0: no such revision; did you mean" in refused(
        released, lore, "rollback", "3.0.0", "--reason", "x"
    )
    assert "--reason: empty; say in a few words why" in refused(
        released, lore, "rollback", "1.0.0", "--reason", " "
    )


def test_a_version_that_was_never_registered_is_refused(released: Released, lore: Lore) -> None:
    released.git("rm", "-q", "metrics/register.json")
    released.commit("bare")
    assert "never registered, it has no metrics/register.json; dvc repro there" in refused(
        released, lore, "rollback", "bare", "--reason", "x"
    )


def test_a_version_that_mlflow_does_not_have_is_refused(released: Released, lore: Lore) -> None:
    from stages.core.mlflow import tracking

    tracking.client().delete_model_version(MODEL, "1")
    said = refused(released, lore)
    assert "MLflow has no version of elements with the identity" in said
    assert (
        "name its store with MLFLOW_TRACKING_URI, or git checkout knowledge@v1.0.0, dvc checkout, dvc repro"
        in said
    )


def test_a_version_whose_lock_is_another_is_refused(released: Released, lore: Lore) -> None:
    report = released.root / "metrics/register.json"
    report.write_text(json.dumps({"identity": "0" * 64}))
    released.commit("other")
    released.git("reset", "-q", "--hard", "HEAD^")
    assert "its outputs are not those that passed the gates: dvc.lock has the identity" in refused(
        released, lore, "rollback", "other", "--reason", "x"
    )


def test_missing_objects_are_named(released: Released, lore: Lore) -> None:
    lock = released.git("show", "knowledge@v1.0.0:dvc.lock")
    digest = re.findall(r"[0-9a-f]{32}\.dir", lock)[0]
    released.cached(digest).unlink()
    said = refused(released, lore)
    assert f"({digest}); no remote of DVC is set here, so make them again: git worktree add" in said
    assert "not in DVC's cache" in said


def test_present_outputs_that_are_in_no_cache_are_named(released: Released, lore: Lore) -> None:
    released.cached(released.keep(released.root / "models/train/made.txt")).unlink()
    assert "models/train/made.txt (" in (said := refused(released, lore))
    assert "dvc commit puts what lies here into the cache" in said


@pytest.mark.slow
def test_an_output_edited_after_a_kill_is_kept(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 1, True)
        with pytest.raises(Killed):
            main(list(BACK))
    made = released.root / "models/train/made.txt"
    made.write_text("mine")
    assert "cannot be undone: dvc checkout --quiet" in lore(*BACK, code=1)
    assert made.read_text() == "mine"
    made.unlink()
    assert "had been cut off: undone" in lore(*BACK)


def test_edits_made_after_a_kill_are_kept(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 1, False)
        with pytest.raises(Killed):
            main(list(BACK))
    params = released.root / "params.yaml"
    params.write_text(params.read_text() + "# mine\n")
    said = lore(*BACK, code=1)
    assert "the step 'files' cannot be undone: " in said
    assert "Put this right, then call lore rollback again: it first undoes what is left" in said
    assert "# mine" in params.read_text()
    released.git("checkout", "params.yaml")
    assert "had been cut off: undone" in lore(*BACK)


def test_files_that_git_had_begun_to_move_are_moved_back(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = released.state()
    with monkeypatch.context() as patch:
        interrupt(patch, 0, False)
        with pytest.raises(Killed):
            main(list(BACK))
    for path in ("params.yaml", "data/raw/facts.csv"):
        (released.root / path).write_text(released.git("show", f"knowledge@v1.0.0:{path}"))
    assert "had been cut off: undone" in lore(*BACK, "--no-canaries")
    is_version_one(released, before)


def test_a_branch_that_has_moved_since_is_left_alone(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, 1, False)
        with pytest.raises(Killed):
            main(list(BACK))
    released.git("commit", "--allow-empty", "-qm", "more")
    assert "HEAD has moved to " in lore(*BACK, code=1)


def test_an_act_cut_off_after_its_last_step_is_complete(
    released: Released, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = released.state()

    write = transaction.Journal.write

    def deadly(journal: transaction.Journal, plan: transaction.Plan, number: int) -> None:
        write(journal, plan, number)
        if number == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(transaction.Journal, "write", deadly)
        with pytest.raises(Killed):
            main(list(BACK))
    assert "is what is here already" in lore(*BACK, code=1)
    is_version_one(released, before)


def test_what_only_one_version_declares(released: Released, lore: Lore) -> None:
    """A source and an output that came later: the output goes, the source stays; both are as they were after a way back."""
    (released.root / "data/raw/later.csv").write_text("later\n")
    (released.root / "metrics/后来.json").write_text("{}\n")
    lock = (released.root / "dvc.lock").read_text()
    digest = released.keep(released.root / "metrics/后来.json")
    later = f"  later: {{cmd: make, outs: [{{path: metrics/后来.json, md5: {digest}}}]}}\n"
    (released.root / "dvc.lock").write_text(lock.replace("stages:\n", f"stages:\n{later}"))
    stages = (released.root / "dvc.yaml").read_text()
    declared = "  later: {cmd: make, outs: [{metrics/后来.json: {cache: false}}]}\n"
    (released.root / "dvc.yaml").write_text(stages.replace("stages:\n", f"stages:\n{declared}"))
    released.commit("later")
    lore(*BACK)
    assert (released.root / "data/raw/later.csv").is_file()
    assert not (released.root / "metrics/后来.json").exists()
    lore("rollback", "later", "--reason", "back", "--no-canaries")
    assert (released.root / "metrics/后来.json").read_text() == "{}\n"


def test_two_at_once_are_refused(released: Released, lore: Lore) -> None:
    with transaction.opened():
        assert "another lore release or rollback is at work in this repository" in refused(
            released, lore
        )


def test_a_broken_journal_is_refused(released: Released, lore: Lore) -> None:
    (released.root / ".git/lorekeep-journal.json").write_text("[]")
    assert (
        "not a journal (TypeError); compare git log, dvc status and MLflow's alias by hand"
        in refused(released, lore)
    )


def test_other_libraries_are_announced(released: Released) -> None:
    from lore.commands import rollback
    from lore.releasing import registered
    from lore.versions import version

    here = version.revision("HEAD")
    registration = registered.Registration("0", MODEL, "1", "champion", None)
    assert rollback.plan_lines(here, here, registration, ["requirements.lock"])[1:] == [
        "files    1 change: requirements.lock",
        "outputs  none changes",
        "alias    elements@champion: version none → 1",
        "then     make setup, since requirements.lock is another",
    ]

"""transaction: all steps or none, whichever step fails or is the last before a kill."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from lore.releasing import transaction
from lore.releasing.transaction import Journal, Step
from stages.core.project.errors import InputError
from tests.lore.released import Released

PLAN = {"command": "release", "title": "the release of x"}
NAMES = ("tag", "files", "alias")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal in a folder of its own; its steps call no program, so the lock is any open file."""
    path = tmp_path / "journal.json"
    lock = path.with_suffix(".lock").open("w")
    lock.close()
    return Journal(path, lock)


def recording(journal: Journal, done: list[str], failing: str = "") -> list[Step]:
    """Steps that record what they do, and the number that stands in the journal then."""

    def step(name: str) -> Step:
        def do() -> None:
            done.append(f"{name} {json.loads(journal.path.read_text())['step']}")
            if name == failing:
                raise InputError("the disk is full")

        def undo() -> None:
            done.append(f"undo {name} {json.loads(journal.path.read_text())['step']}")

        return Step(name, do, undo)

    return [step(name) for name in NAMES]


def test_the_journal_names_each_step_before_it_begins(journal: Journal) -> None:
    done: list[str] = []
    journal.perform(PLAN, recording(journal, done))
    assert done == ["tag 0", "files 1", "alias 2"]
    assert not journal.path.exists()


def test_a_failed_step_is_undone_with_those_before_it(journal: Journal) -> None:
    done: list[str] = []
    message = "^the release of x: the disk is full; everything is as it was before$"
    with pytest.raises(InputError, match=message):
        journal.perform(PLAN, recording(journal, done, failing="files"))
    assert done == ["tag 0", "files 1", "undo files 1", "undo tag 0"]
    assert not journal.path.exists()


@pytest.mark.parametrize("last", range(len(NAMES) + 1))
def test_an_interrupted_transaction_is_undone_or_complete(journal: Journal, last: int) -> None:
    done: list[str] = []
    journal.write(PLAN, last)
    assert journal.interrupted() == (PLAN, last)
    message = journal.recover(lambda plan: recording(journal, done))
    if last == len(NAMES):
        assert message == "the release of x had been cut off after its last step: it is complete"
        assert done == []
    else:
        assert message == "the release of x had been cut off: undone"
        assert done == [f"undo {NAMES[number]} {number}" for number in range(last, -1, -1)]
    assert not journal.path.exists()


def test_nothing_is_recovered_without_a_journal(journal: Journal) -> None:
    done: list[str] = []
    assert journal.recover(lambda plan: recording(journal, done)) is None
    assert done == []


def test_an_undo_that_fails_keeps_the_journal(journal: Journal) -> None:
    def fail() -> None:
        raise InputError("params.yaml was edited")

    steps = recording(journal, [])
    steps[1] = Step("files", fail, fail)
    with pytest.raises(
        InputError, match=r"the step 'files' cannot be undone: params\.yaml was"
    ) as error:
        journal.perform(PLAN, steps)
    assert "Put this right, then call lore release again" in str(error.value)
    assert journal.interrupted() == (PLAN, 1)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[]", "TypeError"),
        ("{", "JSONDecodeError"),
        ("{}", "KeyError"),
        ('{"plan": {"act": "release", "title": "x"}, "step": 0}', "KeyError"),
    ],
)
def test_a_broken_journal_is_an_error(journal: Journal, text: str, kind: str) -> None:
    journal.path.write_text(text)
    with pytest.raises(InputError, match=rf"not a journal \({kind}\); compare git log"):
        journal.interrupted()


def test_an_unknown_command_is_an_error(journal: Journal) -> None:
    from lore.releasing.steps import steps_of

    with pytest.raises(InputError, match="a transaction of the unknown command 'align'"):
        steps_of(journal, {"command": "align", "title": "x"})


def test_a_program_that_outlives_a_kill_keeps_the_next_transaction_out(released: Released) -> None:
    with transaction.opened() as journal:
        child = int(journal.call("sh", "-c", "sleep 60 >&- 2>&- & echo $!"))
    try:
        with (
            pytest.raises(InputError, match="another lore release or rollback is at work"),
            transaction.opened(),
        ):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
    for _ in range(100):
        try:
            with transaction.opened():
                return
        except InputError:
            time.sleep(0.05)
    pytest.fail("the lock was not given back")


def test_the_end_of_a_failed_program_s_output_is_repeated(released: Released) -> None:
    with transaction.opened() as journal:
        with pytest.raises(InputError, match=r"^sh -c exit 3: ended with 3$"):
            journal.call("sh", "-c", "exit 3")
        with pytest.raises(InputError, match=r": no such ref$"):
            journal.call("sh", "-c", "echo no such ref >&2; false")


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no git repository here"), transaction.opened():
        pass

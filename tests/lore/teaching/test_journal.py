"""The journal: no answer that was received is lost, whenever the run ends."""

import pytest

from lore.teaching.journal import Journal, alone
from lore.teaching.plan import FOLDER
from stages.augment.teacher.record import line_of, read_record
from stages.core.project.errors import InputError
from tests.stages.augment.teacher.test_record import entry

pytestmark = pytest.mark.usefixtures("project")


def test_what_was_added_is_there_before_the_run_ends() -> None:
    journal = Journal(FOLDER)
    entries = [entry("probe", str(number)) for number in range(3)]
    for one in entries:
        journal.add(one)
    assert Journal(FOLDER).entries() == {one.key: one for one in entries}
    assert read_record(FOLDER) == {}
    assert Journal(FOLDER).finish() == 3
    assert read_record(FOLDER) == {one.key: one for one in entries}
    assert not journal.path.exists()
    assert Journal(FOLDER).finish() == 0


def test_a_line_that_was_cut_off_is_left_out() -> None:
    journal = Journal(FOLDER)
    first, second = entry("probe", "a"), entry("probe", "b")
    journal.add(first)
    with journal.path.open("a") as file:
        file.write(line_of(second)[:-20])
    assert journal.finish() == 1
    assert list(read_record(FOLDER)) == [first.key]


def test_a_kill_while_the_journal_is_moved() -> None:
    journal = Journal(FOLDER)
    one, other = entry("probe", "a"), entry("corrupted", "b")
    journal.add(one)
    lines = journal.path.read_bytes()
    journal.finish()
    # The record was written, and the journal was not removed yet.
    journal.path.write_bytes(lines + line_of(other).encode())
    assert journal.finish() == 2
    assert set(read_record(FOLDER)) == {one.key, other.key}


def test_an_answer_that_was_asked_for_again_replaces_the_former() -> None:
    journal = Journal(FOLDER)
    journal.add(entry("probe", "a", answer="broken"))
    journal.finish()
    better = entry("probe", "a")
    journal.add(better)
    journal.finish()
    assert read_record(FOLDER) == {better.key: better}


def test_git_ignores_the_journal() -> None:
    assert Journal(FOLDER).path.match(".*.partial")
    assert Journal(FOLDER).path.parent == FOLDER.parent


def test_one_at_a_time() -> None:
    with alone(), pytest.raises(InputError, match="another lore teach is at work here"), alone():
        pass
    with alone():
        pass

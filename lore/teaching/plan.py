"""What the teacher is asked: the requests of settings and records, and those without an answer."""

from dataclasses import dataclass
from pathlib import Path

from lore.teaching.journal import Journal
from stages.augment import Params
from stages.augment.teacher.answers import Failure
from stages.augment.teacher.record import Record, read_record
from stages.augment.teacher.requests import Needed, Request, needed
from stages.augment.teacher.settings import Teacher
from stages.augment.wordings import read_wordings
from stages.core.project import artifacts
from stages.core.project.errors import ParamsError
from stages.core.project.params import read_section
from stages.core.records import record

FOLDER = Path(artifacts.TEACHER)
RECORDS = Path(artifacts.CLEAN_RECORDS)


@dataclass
class Plan:
    """The requests that are needed, and what is known of them."""

    teacher: Teacher
    needed: Needed
    answered: Record
    """Everything in the record, also what is needed no more."""
    again: bool = False
    """Whether requests whose answer could not be read count as missing."""

    @property
    def distinct(self) -> dict[str, Request]:
        """The needed requests by key. Two records with the same text share one."""
        found: dict[str, Request] = {}
        for request in self.needed.requests:
            found.setdefault(request.key, request)
        return found

    def missing(self) -> list[Request]:
        """Return the requests that have no answer, in order."""
        return [one for key, one in self.distinct.items() if not self.has_answer(key)]

    def has_answer(self, key: str) -> bool:
        """Return whether a request has an answer that counts."""
        entry = self.answered.get(key)
        if entry is None:
            return False
        return not (self.again and isinstance(entry.read(), Failure))

    def answered_before(self) -> bool:
        """Return whether an endpoint has answered a request with the settings of today."""
        for key in self.distinct:
            entry = self.answered.get(key)
            if entry is not None and entry.origin == "endpoint":
                if entry.attempts[-1].finish_reason != "refused":
                    return True
        return False

    def unneeded(self) -> list[str]:
        """Return the keys of answers that no request needs now."""
        return sorted(self.answered.keys() - self.distinct.keys())


def plan_of(folder: Path = FOLDER, again: bool = False) -> Plan:
    """Return the plan of the project in the working directory.

    Raises ParamsError where no teacher is set, InputError where the records of `clean` are not there.
    """
    teacher = read_section("augment", Params, Path(artifacts.PARAMS)).teacher
    if teacher is None:
        raise ParamsError(
            "params.yaml: augment.teacher is null, so there is nobody to ask; write its section "
            "(docs/teacher.md has one to copy)"
        )
    records = record.read(RECORDS)
    worded = read_wordings(Path(artifacts.WORDINGS), [], 0, 0)
    wanted = needed(teacher, records, set(worded))
    answered = read_record(folder) | Journal(folder).entries()
    return Plan(teacher, wanted, answered, again)

"""The record of what the teacher was asked and what it answered: data/teacher/*.jsonl.

One line is one request with its answer. Lines are sorted by key, so git merges and shows them well. A line keeps
everything that was sent and received: messages, every attempt with its tokens and the reason it ended, and how many
seconds it took. The key and the address of the endpoint are not kept.

A line whose key is not the SHA-256 of its model, settings and messages was changed by hand, and is refused.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from stages.augment.teacher.answers import described, read_answer
from stages.augment.teacher.requests import WORDINGS, Request, Task, key_of
from stages.core.project.errors import InputError
from stages.core.project.output import replacing
from stages.core.project.params import STRICT

FILES = ("wordings", "text_questions", "paraphrases", "corrupted")
"""Names of the files, without their ending."""


@dataclass(frozen=True, config=STRICT)
class Attempt:
    """What came back once."""

    answer: str
    finish_reason: str
    """`stop`, `length`, `content_filter`, or `refused`, where the endpoint refused the request."""
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    """The model that the endpoint says it used."""


@dataclass(frozen=True, config=STRICT)
class Entry:
    """One request with its answer."""

    key: str
    task: Task
    language: str
    model: str
    settings: dict[str, float | int | None]
    messages: list[dict[str, str]]
    attempts: list[Attempt]
    """The last one counts. A second one follows an answer that could not be read."""
    origin: Literal["endpoint", "filled"] = "endpoint"
    """Whether an endpoint answered, or `lore teach --fill` brought the answer."""
    seconds: float | None = None
    """How long the endpoint took, with all tries."""

    @property
    def input_tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(attempt.input_tokens for attempt in self.attempts)

    @property
    def output_tokens(self) -> int:
        """Tokens of all answers."""
        return sum(attempt.output_tokens for attempt in self.attempts)

    def read(self) -> Any:
        """Return the answer in its form, or a `Failure`."""
        last = self.attempts[-1]
        return read_answer(self.task, last.answer, last.finish_reason)


Record = dict[str, Entry]
"""Entries by key."""


def entry_of(
    request: Request,
    attempts: list[Attempt],
    origin: Literal["endpoint", "filled"] = "endpoint",
    seconds: float | None = None,
) -> Entry:
    """Return the entry of a request."""
    return Entry(
        key=request.key,
        task=request.task,
        language=request.language,
        model=request.model,
        settings=request.settings,
        messages=request.messages,
        attempts=attempts,
        origin=origin,
        seconds=seconds,
    )


def file_of(task: Task) -> str:
    """Return the name of the file that holds the entries of a task, without its ending."""
    return "wordings" if task == "attribute" or task in WORDINGS else task


def line_of(entry: Entry) -> str:
    """Return an entry as one line of JSON, with its end."""
    content = TypeAdapter(Entry).dump_python(entry, mode="json")
    return json.dumps(content, ensure_ascii=False) + "\n"


def read_record(folder: Path) -> Record:
    """Read all entries below a folder. A folder that is not there holds none.

    Raises InputError that names the file and line of what cannot be used.
    """
    record: Record = {}
    for path in sorted(folder.glob("*.jsonl")):
        for entry in entries_in(path):
            other = record.get(entry.key)
            if other is not None and other != entry:
                raise InputError(
                    f"{path}: two different answers to one request, {entry.key[:16]}…; "
                    "keep one of the two lines"
                )
            record[entry.key] = entry
    return record


def entries_in(path: Path) -> Iterator[Entry]:
    """Yield the entries of a file. Raises InputError as `read_record` does."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        yield parsed(line, f"{path}:{number}")


def parsed(line: bytes, where: str) -> Entry:
    """Return the entry of a line. Raises InputError that says what is wrong with it."""
    advice = "restore the line (git checkout, dvc checkout), or remove it and run lore teach"
    try:
        entry = TypeAdapter(Entry).validate_json(line)
    except (ValidationError, ValueError) as error:
        raise InputError(
            f"{where}: not a line of the record: {described(error)}; {advice}"
        ) from None
    if entry.key != key_of(entry.model, entry.settings, entry.messages):
        raise InputError(
            f"{where}: the key does not belong to model, settings and messages; {advice}"
        )
    if not entry.attempts:
        raise InputError(f"{where}: it holds no answer; {advice}")
    return entry


def write_record(folder: Path, record: Mapping[str, Entry]) -> None:
    """Write the record: one file for each kind, lines sorted by key. A kind without entries has no file."""
    for name in FILES:
        path = folder / f"{name}.jsonl"
        entries = [entry for entry in record.values() if file_of(entry.task) == name]
        if entries:
            write_lines(path, sorted(entries, key=lambda entry: entry.key))
        else:
            path.unlink(missing_ok=True)


def write_lines(path: Path, entries: Iterable[Entry]) -> None:
    """Write entries into a file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write(line_of(entry))

"""Filling the record by hand or from another tool: missing prompts go out as JSON lines, answers come back.

A line of the export holds the key, the messages, and the JSON Schema of the answer. A line that comes back needs
`key` and `answer`: the answer's JSON, as an object or as text. Further fields are ignored, so the exported lines may
come back with their answers added.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from stages.augment.teacher.answers import Failure, read_answer, schema_of
from stages.augment.teacher.record import Attempt, Record, entry_of
from stages.augment.teacher.requests import Request
from stages.core.project.errors import InputError
from stages.core.project.output import replacing


class Filled(NamedTuple):
    """What a file with answers gave."""

    record: Record
    problems: list[str]
    """Lines that were not taken, each with its number and the reason."""


def export(path: Path, requests: list[Request]) -> None:
    """Write requests as JSON lines."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for request in requests:
            line = {
                "key": request.key,
                "task": request.task,
                "about": request.about,
                "model": request.model,
                "settings": request.settings,
                "messages": request.messages,
                "schema": schema_of(request.task),
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def filled(path: Path, missing: list[Request], known: set[str]) -> Filled:
    """Read answers. `known` are the keys of all needed requests, of which `missing` have no answer.

    Raises InputError where the file cannot be read.
    """
    by_key = {request.key: request for request in missing}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason}; give a file of JSON lines") from None
    record: Record = {}
    problems = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        answer = answer_in(line)
        if isinstance(answer, str):
            problems.append(f"{path}:{number}: {answer}")
            continue
        key, text = answer
        if key in record:
            problems.append(
                f"{path}:{number}: a second answer to {key[:16]}…; the first one is taken"
            )
        elif key in by_key:
            form = read_answer(by_key[key].task, text, "stop")
            if isinstance(form, Failure):
                problems.append(f"{path}:{number}: {form.reason}: {form.detail}")
                continue
            record[key] = entry_of(by_key[key], [Attempt(text, "stop")], origin="filled")
        elif key in known:
            problems.append(f"{path}:{number}: {key[:16]}… has an answer already; it stays")
        else:
            problems.append(
                f"{path}:{number}: nothing asks for {key[:16]}…; settings or records changed since the "
                "export, so export again"
            )
    return Filled(record, problems)


def answer_in(line: str) -> tuple[str, str] | str:
    """Return the key and the answer's text of a line, or what is wrong with it."""
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError):
        return "not a line of JSON"
    if not isinstance(document, dict) or not isinstance(document.get("key"), str):
        return "needs the `key` of the exported line"
    answer = document.get("answer")
    if isinstance(answer, dict):
        answer = json.dumps(answer, ensure_ascii=False)
    if not isinstance(answer, str) or not answer.strip():
        return "needs an `answer`: the JSON object that its schema describes"
    return document["key"], answer.encode("utf-8", "replace").decode("utf-8")

"""asked: a log without drift raises no alarm; other wordings, subjects, languages and answers do, with the questions."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lore.drift import asked, findings
from stages.core.project.errors import InputError

Row = dict[str, Any]
NAMES = "iron gold neon radium tin zinc lead argon boron cesium".split()
FRAMES = [
    "What is the melting point of {}?",
    "How hot must {} be to melt?",
    "When does {} melt?",
    "{}: melting point, please",
]
TRAINED = [frame.format(name) for name in NAMES for frame in FRAMES]
ATTRIBUTES = {"m": "melting point", "d": "density"}


def event(question: str, **more: Any) -> Row:
    """A line as the server logs it."""
    return {"question": question, "answer": "It is 3.", "fact": "m", "agrees": True, **more}


def written(tmp_path: Path, events: list[Row]) -> list[Row]:
    """The rows of a log with these lines."""
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    return asked.read(path)


def usual(number: int, seed: int = 1) -> list[Row]:
    """Questions like the trained ones, about other subjects."""
    draw = random.Random(seed)
    names = [f"{name}{draw.randrange(100)}" for name in NAMES for _ in range(number)]
    events = []
    for name in draw.sample(names, number):
        sure = -draw.random() / 100
        events.append(event(draw.choice(FRAMES).format(name), confidence=sure, withheld=False))
    return events


def alarms(log: list[Row]) -> dict[str, tuple[str, ...]]:
    """What raised an alarm, and the rows that stand out."""
    found = findings.together(asked.compare(TRAINED, log, ATTRIBUTES, 3))
    return {one.what: one.rows for one in found if one.adjusted < 0.05}


def test_a_log_like_before_raises_no_alarm(tmp_path: Path) -> None:
    assert alarms(written(tmp_path, usual(80))) == {}


def test_questions_unlike_training_are_named(tmp_path: Path) -> None:
    odd = [
        event(f"yo how much cash for {name} on the market, item {n}?")
        for n, name in enumerate(NAMES * 4)
    ]
    found = alarms(written(tmp_path, odd))
    (row, *_) = found["asked · wordings, against those trained"]
    assert row.startswith("asked: line ")
    assert "how much cash" in row


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("asked · attribute, later half", {"fact": "d"}),
        ("asked · language, later half", {"question": "铁的熔点是多少?"}),
        ("answers · value of the fact, later half", {"agrees": False}),
        ("answers · withheld, later half", {"withheld": True}),
        ("answers · confidence, later half", {"confidence": -2.0}),
    ],
)
def test_what_changed_in_the_later_half_is_named(tmp_path: Path, what: str, more: Row) -> None:
    events = usual(80)
    for number in range(60, 80):
        events[number] |= more
    found = alarms(written(tmp_path, events))
    assert found.keys() == {what}
    places = {int(row.split(": ")[1].removeprefix("line ")) for row in found[what]}
    assert places <= set(range(61, 81))


def test_few_questions_are_not_compared(tmp_path: Path) -> None:
    assert asked.compare(TRAINED, written(tmp_path, usual(15)), ATTRIBUTES, 3) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: no JSON .*; cut the line out"),
        ("[1]", "line 2: no question; name the file of lore serve --request-log"),
        ('{"question": " "}', "line 2: no question"),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(event("Who?")) + "\n" + line + "\n")
    with pytest.raises(InputError, match=message):
        asked.read(path)


def test_a_file_that_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found; name the file of lore serve --request-log"):
        asked.read(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="bytes: cannot be read"):
        asked.read(tmp_path / "bytes")

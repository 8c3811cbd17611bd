"""What people said about two answers to a question: one line of JSON for each judgement (`data/raw/feedback.jsonl`).

    {"id": "…", "question": "…", "first": "…", "second": "…", "better": "first", "who": "…", "when": "…",
     "why": "…", "from": ["train", "distill"]}

- `better` is `first`, `second` or `neither`. `neither` is kept, and teaches nothing.
- `id` is a hash of everything else. A line that was written by hand may leave it out.
- `why` and `from` may be left out. `from` says where the answers came from. The person did not see it.
- `{"withdrawn": "<id>", "who": …, "when": …, "why": …}` withdraws a judgement, wherever it stands in the file.

Lines are added at the end, and the two sides of a git merge are joined (`merge=union` in .gitattributes). So the
same line may stand there twice, and counts once. Where a person judged the same two answers again, the later
judgement counts. A line that cannot be read is set aside with its reason.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from stages.core.project.errors import InputError
from stages.core.records.record import fold

Better = Literal["first", "second", "neither"]
CHOICES: tuple[Better, ...] = ("first", "second", "neither")
NEEDED = ("question", "first", "second", "better", "who", "when")
"""Keys without which a line is no judgement. Each is a text that is not empty."""
OF_WITHDRAWAL = ("withdrawn", "who", "when", "why")
KNOWN = ("id", *NEEDED, "why", "from")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
"""A time in UTC: 2026-11-30T16:45:00Z. Times of this form sort as texts."""
LONGEST = 20_000
"""Most characters of a text. A longer one is no answer that a person compared."""


class Judgement(NamedTuple):
    """One person's view of two answers."""

    id: str
    question: str
    first: str
    second: str
    better: Better
    who: str
    when: str
    why: str = ""
    origin: tuple[str, ...] = ()
    """Where the two answers came from, or nothing."""

    def preferred(self) -> tuple[str, str] | None:
        """Return the better answer and the other one, or None where neither is better."""
        if self.better == "first":
            return self.first, self.second
        if self.better == "second":
            return self.second, self.first
        return None

    def pair(self) -> tuple[str, frozenset[str]]:
        """Return the question and the two answers, whichever was shown first."""
        return fold(self.question), frozenset((self.first, self.second))


class SetAside(NamedTuple):
    """A line that is no judgement."""

    line: int
    """Counted from 1."""
    reason: str
    content: str


class Feedback(NamedTuple):
    """The content of the file."""

    judgements: list[Judgement]
    """Those that count, in the order of the file."""
    set_aside: list[SetAside]
    withdrawn: list[str]
    """Ids of the judgements that were withdrawn."""
    replaced: list[str]
    """Ids of the judgements in whose place the same person put a later one."""


def read(path: Path) -> Feedback:
    """Read the file. A file that is not there holds nothing.

    Raises InputError where the file as a whole cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Feedback([], [], [], [])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a file") from None
    # Split at line feeds alone: a text may hold other line ends, such as U+2028, which JSON leaves as they are.
    return of_lines(line.decode("utf-8", "replace") for line in content.split(b"\n"))


def of_lines(lines: Iterable[str]) -> Feedback:
    """Return what the lines of a file say."""
    judged: dict[str, Judgement] = {}
    set_aside = []
    withdrawn = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = parsed(line)
        if isinstance(row, str):
            set_aside.append(SetAside(number, row, line.strip()))
        elif "withdrawn" in row:
            withdrawn.add(str(row["withdrawn"]))
        else:
            judgement = judgement_of(row)
            judged.setdefault(judgement.id, judgement)
    standing = [judgement for name, judgement in judged.items() if name not in withdrawn]

    latest: dict[Any, Judgement] = {}
    for judgement in standing:
        key = (judgement.who, judgement.pair())
        earlier = latest.get(key)
        # Of two at the same second, the one further down counts.
        if earlier is None or judgement.when >= earlier.when:
            latest[key] = judgement
    counting = {judgement.id for judgement in latest.values()}
    kept = [judgement for judgement in standing if judgement.id in counting]
    replaced = [judgement.id for judgement in standing if judgement.id not in counting]
    return Feedback(kept, set_aside, sorted(withdrawn), replaced)


def parsed(line: str) -> dict[str, Any] | str:
    """Return the row of a line, or why it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(row, dict):
        return "no object of JSON"
    if "withdrawn" in row:
        unknown = sorted(set(row) - set(OF_WITHDRAWAL))
        if unknown:
            return f"unknown key {unknown[0]!r} beside 'withdrawn'"
        return row if isinstance(row["withdrawn"], str) else "'withdrawn' is no id"
    return problem_of(row) or row


def problem_of(row: Mapping[str, Any]) -> str:
    """Return why a row is no judgement. Empty: it is one."""
    unknown = sorted(set(row) - set(KNOWN))
    if unknown:
        return f"unknown key {unknown[0]!r}"
    for key in (*NEEDED, "why"):
        value = row.get(key, "" if key == "why" else None)
        if not isinstance(value, str) or (key in NEEDED and not value.strip()):
            return f"{key!r} is missing or no text"
        if len(value) > LONGEST:
            return f"{key!r} is longer than {LONGEST:,} characters"
        if any("\ud800" <= character <= "\udfff" for character in value):
            return f"{key!r} holds half a character"
    if row["better"] not in CHOICES:
        return f"'better' is {row['better']!r}, and not one of {', '.join(CHOICES)}"
    if not TIME.fullmatch(row["when"]):
        return f"'when' is {row['when']!r}, and no time such as 2026-11-30T16:45:00Z"
    if row["first"] == row["second"]:
        return "the two answers are the same"
    origin = row.get("from", [])
    if not isinstance(origin, list) or not all(isinstance(name, str) for name in origin):
        return "'from' is no list of names"
    if "id" in row and row["id"] != id_of(row):
        return "'id' is not that of the content; leave it out where a line was changed by hand"
    return ""


def id_of(row: Mapping[str, Any]) -> str:
    """Return the id of a judgement: 16 hex digits of the SHA-256 over everything but the id."""
    content = {
        "question": row["question"],
        "first": row["first"],
        "second": row["second"],
        "better": row["better"],
        "who": row["who"],
        "when": row["when"],
        "why": row.get("why", ""),
        "from": list(row.get("from", [])),
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def judgement_of(row: Mapping[str, Any]) -> Judgement:
    """Return the judgement of a row in which `problem_of` found nothing wrong."""
    return Judgement(
        id_of(row),
        row["question"],
        row["first"],
        row["second"],
        row["better"],
        row["who"],
        row["when"],
        row.get("why", ""),
        tuple(row.get("from", ())),
    )


def line_of(judgement: Judgement) -> str:
    """Return a judgement as a line of the file, with its line end."""
    row: dict[str, Any] = {
        "id": judgement.id,
        "question": judgement.question,
        "first": judgement.first,
        "second": judgement.second,
        "better": judgement.better,
        "who": judgement.who,
        "when": judgement.when,
    }
    if judgement.why:
        row["why"] = judgement.why
    if judgement.origin:
        row["from"] = list(judgement.origin)
    return json.dumps(row, ensure_ascii=False) + "\n"

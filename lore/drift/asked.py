"""Compare what people asked: with the questions that a version was trained on, and later questions with earlier ones.

The log is that of `lore serve --request-log`: a JSON object in each line, in the order of time. Its questions are told
from the trained ones by the classifier of `statistics.texts`, which names those that look least like training. The
later half of the log is compared with the earlier one: what is asked about, in which language, how many answers state
their fact, how many are withheld, and how sure the model is.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lore.drift import statistics
from lore.drift.findings import FEWEST, FEWEST_TEXTS, Finding, finding
from stages.core.project.errors import InputError

Row = dict[str, Any]
SOURCE = "asked"
CHINESE = re.compile(r"[\u3400-\u9fff]")
AGREES = {True: "right", False: "another value", None: "no fact"}


def read(path: Path) -> list[Row]:
    """Return the answered questions of a log, in its order, each with `source`, `locator` and `text` for a report.

    Raises InputError where the file cannot be read, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: not found; name the file of lore serve --request-log") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason})") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            rows.append(row_of(line, f"{path}, line {number}"))
    return rows


def row_of(line: str, where: str) -> Row:
    """Return a line of a log as a row. Raises InputError where it is no answered question."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: no JSON ({error}); cut the line out") from None
    question = event.get("question") if isinstance(event, dict) else None
    if not isinstance(question, str) or not question.strip():
        raise InputError(f"{where}: no question; name the file of lore serve --request-log")
    text = f"{question} → {event.get('answer', '')}"
    return {**event, "source": SOURCE, "locator": where.rpartition(", ")[2], "text": text}


def compare(
    trained: Sequence[str], log: Sequence[Row], attributes: Mapping[str, str], seed: int
) -> list[Finding]:
    """Return the comparisons of a log, without adjusting them. `attributes`: fact → its attribute."""
    found = [*against_trained(trained, log, seed)]
    half = len(log) // 2
    earlier, later = log[:half], log[half:]
    if half < FEWEST:
        return found

    def attribute_of(row: Row) -> str:
        return attributes.get(row.get("fact") or "", "no fact")

    kinds: list[tuple[str, Callable[[Row], str]]] = [
        ("asked · attribute, later half", attribute_of),
        ("asked · language, later half", language_of),
        ("answers · value of the fact, later half", lambda row: AGREES[row.get("agrees")]),
        ("answers · withheld, later half", lambda row: str(bool(row.get("withheld")))),
    ]
    for what, kind in kinds:
        before = [kind(row) for row in earlier]
        after = [kind(row) for row in later]
        result = statistics.categories(before, after)
        found.append(finding(what, "counts", earlier, later, result, risen(before, after, later)))
    return [*found, *confidence(earlier, later)]


def against_trained(trained: Sequence[str], log: Sequence[Row], seed: int) -> list[Finding]:
    """Compare the questions asked with those trained, each once. The least like training stand out."""
    trained_once = set(trained)
    first_asked: dict[str, Row] = {}
    for row in log:
        if row["question"] not in trained_once:
            first_asked.setdefault(row["question"], row)
    known = sorted(trained_once)
    rows = [first_asked[question] for question in sorted(first_asked)]
    if min(len(known), len(rows)) < FEWEST_TEXTS:
        return []
    result, newness = statistics.texts(known, [row["question"] for row in rows], seed)
    order = sorted(range(len(rows)), key=lambda place: (-newness[place], rows[place]["question"]))
    standing_out = [rows[place] for place in order]
    return [
        finding(
            "asked · wordings, against those trained", "texts", known, rows, result, standing_out
        )
    ]


def language_of(row: Row) -> str:
    """Return the language of a row's question: Chinese, or another one."""
    return "zh" if CHINESE.search(row["question"]) else "other"


def risen(before: Sequence[str], after: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the category whose share rose most. `after` are the categories of `rows`."""
    old, new = Counter(before), Counter(after)
    rise = {}
    for name in sorted(new):
        share_before = old[name] / len(before)
        share_after = new[name] / len(after)
        rise[name] = share_after - share_before
    most = max(rise, key=lambda name: rise[name])  # of equal ones the first by name
    chosen = []
    for row, name in zip(rows, after, strict=True):
        if name == most:
            chosen.append(row)
    return chosen


def confidence(earlier: Sequence[Row], later: Sequence[Row]) -> list[Finding]:
    """Compare how sure the model is of its answers, where the engine told it. The least sure stand out."""
    before = [row for row in earlier if row.get("confidence") is not None]
    after = [row for row in later if row.get("confidence") is not None]
    if min(len(before), len(after)) < FEWEST:
        return []
    result = statistics.numbers(
        np.array([float(row["confidence"]) for row in before]),
        np.array([float(row["confidence"]) for row in after]),
    )
    least_sure = sorted(after, key=lambda row: float(row["confidence"]))
    return [
        finding("answers · confidence, later half", "numbers", before, after, result, least_sure)
    ]

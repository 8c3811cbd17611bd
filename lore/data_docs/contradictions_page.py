"""Draw the contradictions as one page for people who know the subject.

It shows both sides as written and as normalised, where they stand, how far apart they may lie, which
one was kept, and by which priority. A pair of sources can be chosen without a script (`:has()` of
Selectors Level 4).
"""

from collections.abc import Iterable
from typing import Any

from lore.data_docs.contradictions import Report, Row, distance, sides
from lore.rendering.html import render
from stages.clean import Params
from stages.core.project import artifacts
from stages.core.records.record import fold

FILE = "contradictions.html"
INDEX = "index.html"
OPEN_ROWS = 8
"""A summary of at most so many rows is open at first."""
SMALLEST_LIMIT = 1e-300
"""Stands for a limit of 0, by which nothing can be divided."""


def page(
    entries: Iterable[Row], params: Params, sources: list[str], version: str
) -> tuple[str, int]:
    """Return the page, and how many contradictions there are.

    `sources` are the names of extract's sources in their order of priority.
    """
    report = Report(params, sources)
    for entry in entries:
        report.add(entry)
    total = report.pairs.total()
    attributes = []
    for position, name in enumerate(sorted(report.facts)):
        attributes.append(attribute_of(report, name, position))
    questions = []
    answers_shown = 0
    for answers in report.questions.values():
        questions.append(question_of(report, answers))
        answers_shown += len(answers)
    html = render(
        "contradictions.html",
        title="Contradictions",
        version=version,
        index=INDEX,
        file=artifacts.CONTRADICTIONS,
        facts=report.attributes.total(),
        answers=report.answers,
        total=total,
        pairs=pairs_of(report),
        open_rows=OPEN_ROWS,
        attributes=attributes,
        questions=questions,
        answers_left_out=report.answers - answers_shown,
    )
    return html, total


def pairs_of(report: Report) -> list[Row]:
    """Return the pairs of sources, the most frequent first."""
    pairs = []
    for pair, number in report.pair_numbers.items():
        first, other = pair
        pairs.append(
            {"id": f"p{number}", "first": first, "other": other, "count": report.pairs[pair]}
        )
    return pairs


def attribute_of(report: Report, name: str, position: int) -> Row:
    """Return what the page shows of one attribute.

    Of a quantity, the contradictions that lie farthest apart, as shares of what is allowed, come
    first. Others are in the order of their subjects.
    """
    quantity = name in report.params.verify.tolerance
    entries = sorted(report.facts[name], key=lambda entry: fold(entry["subject"]))
    if quantity:
        # A stable sort: entries equally far apart stay in the order of their subjects.
        entries.sort(key=lambda entry: excess(report, entry), reverse=True)
    disputes = []
    for entry in entries:
        winner, loser = sides(entry)
        disputes.append(
            {
                "classes": report.classes([entry]),
                "subject": entry["subject"],
                "winner": winner,
                "loser": loser,
                "apart": report.apart(entry) if quantity else "",
                "decided": report.decided(entry),
            }
        )
    return {
        "name": name,
        "id": f"a{position}",
        "count": report.attributes[name],
        "allowed": report.allowed(name),
        "quantity": quantity,
        "left_out": report.attributes[name] - len(entries),
        "disputes": disputes,
    }


def excess(report: Report, entry: Row) -> float:
    """Return the distance of two values as a multiple of what is allowed."""
    limit = max(report.limit(entry), SMALLEST_LIMIT)
    return distance(entry) / limit


def question_of(report: Report, entries: list[Row]) -> Row:
    """Return what the page shows of one question: its first answer, then every other one."""
    first, _ = sides(entries[0])
    # Where nothing decides between answers, an entry has `first` and `second`, else `winner` and `loser`.
    verdict = "kept; comes first" if "first" in entries[0] else "kept"
    cards = [card_of(first, verdict)]
    for entry in entries:
        _, other = sides(entry)
        verdict = "kept too"
        if "loser" in entry:
            verdict = f"set aside, decided by: {report.decided(entry)}"
        cards.append(card_of(other, verdict))
    return {
        "text": entries[0]["question"],
        "classes": report.classes(entries),
        "cards": cards,
    }


def card_of(side: Row, verdict: str) -> dict[str, Any]:
    """Return what the page shows of one answer.

    It shows the answer as written too, where more than white space differs.
    """
    words_written = side["written"].split()
    rewritten = words_written != side["normalised"].split()
    return {"side": side, "verdict": verdict, "rewritten": rewritten}

"""Contradictions as one page for who knows the matter: both sides as written and as normalised, where they stand, how far apart
they may lie, which one was kept and by what priority. Pairs of sources are chosen without a script (`:has()`, Selectors Level 4).
"""

from collections.abc import Iterable, Sequence
from html import escape

from lore.data_docs.contradictions import Report, Row, distance, sides
from lore.rendering.html import document
from stages import clean
from stages.core.records.record import fold

FILE = "contradictions.html"
ANSWERS = "Answers to one question"
SHORT = 8
"""Rows of a summary that is open at first."""
CHOSEN = "body:has(#p{0}:checked) :is(.dispute:not(.p{0}), .part:not(:has(.p{0}))) {{ display: none; }}\n"
"""What is hidden while a pair of sources is chosen."""


def page(
    entries: Iterable[Row], params: clean.Params, sources: list[str], version: str
) -> tuple[str, int]:
    """The page, and how many contradictions there are; `sources` are those of extract in their order."""
    report = Report(params, sources)
    for entry in entries:
        report.add(entry)
    total = report.pairs.total()
    body = f'<p>Lorekeep · data and rules {version} · <a href="index.html">What the rules found</a></p>\n'
    body += f"<p>{introduction(report)}</p>\n"
    if total:
        body += f'<div class="summaries">\n{by_attribute(report)}{by_pair(report)}</div>\n'
    body += "".join(
        attribute_part(report, name, place) for place, name in enumerate(sorted(report.facts))
    )
    body += answers_part(report) if report.questions else ""
    style = "".join(map(CHOSEN.format, range(len(report.pairs)))) if len(report.pairs) > 1 else ""
    return document("Contradictions", [], body, style), total


def introduction(report: Report) -> str:
    """What there is."""
    facts, answers = report.attributes.total(), report.answers
    said = [
        f"{facts:,} values of facts contradict the one of higher priority, and were set aside."
    ] * bool(facts)
    said += [f"{answers:,} answers differ from the first one to the same question."] * bool(answers)
    return " ".join(said or ["No two sources contradict each other."])


def table(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table of rows, each with its classes; cells are HTML."""
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = []
    for classes, cells in rows:
        inside = "".join(
            f'<td data-name="{escape(name)}">{text}</td>'
            for name, text in zip(columns, cells, strict=True)
        )
        lines.append(f'<tr class="{classes}">{inside}</tr>\n')
    return (
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody>\n</table>\n"
    )


def by_attribute(report: Report) -> str:
    """The summary by attribute, with links."""
    rows = [
        (
            "",
            (
                f'<a href="#a{place}">{escape(name)}</a>',
                f"{report.attributes[name]:,}",
                escape(report.allowed(name)),
            ),
        )
        for place, name in enumerate(sorted(report.facts))
    ]
    if report.questions:
        rows.append(
            ("", (f'<a href="#answers">{ANSWERS}</a>', f"{report.answers:,}", "near duplicates"))
        )
    return (
        "<details open>\n<summary>By attribute</summary>\n"
        + table(("attribute", "contradictions", "what may differ"), rows)
        + "</details>\n"
    )


def by_pair(report: Report) -> str:
    """The summary by pair of sources; where there are several, one can be chosen."""
    choice = '<label><input type="radio" name="pair" id="{}"{}>{}</label>'.format
    several = len(report.pairs) > 1
    rows = (
        [("", (choice("all", " checked", "all"), "", f"{report.pairs.total():,}"))]
        if several
        else []
    )
    for (first, other), place in report.places.items():
        name = choice(f"p{place}", "", escape(first)) if several else escape(first)
        rows.append(("", (name, escape(other), f"{report.pairs[first, other]:,}")))
    title = "By pair of sources: choose one to see it alone" if several else "By pair of sources"
    rows_of = table(("comes first", "says otherwise", "contradictions"), rows)
    return f"<details{' open' * (len(rows) <= SHORT)}>\n<summary>{title}</summary>\n{rows_of}</details>\n"


def attribute_part(report: Report, attribute: str, place: int) -> str:
    """The contradictions about one attribute; of quantities those farthest apart, by what is allowed, come first."""
    entries = sorted(report.facts[attribute], key=lambda entry: fold(entry["subject"]))
    if quantity := attribute in report.params.verify.tolerance:
        entries.sort(key=lambda entry: -distance(entry) / max(report.limit(entry), 1e-300))
    columns = ("subject", "kept", "set aside", *["apart"] * quantity, "decided by")
    rows = []
    for entry in entries:
        winner, loser = sides(entry)
        apart = [escape(report.apart(entry))] if quantity else []
        cells = (
            escape(entry["subject"]),
            side(winner),
            side(loser),
            *apart,
            escape(report.decided(entry)),
        )
        rows.append((report.classes([entry]), cells))
    which = ", whichever is more; the farthest apart come first" if quantity else ""
    lines = f"<p>What may differ: {escape(report.allowed(attribute))}{which}.</p>\n"
    lines += left_out(report.attributes[attribute], len(entries))
    summary = f"<summary>{escape(attribute)} · {report.attributes[attribute]:,}</summary>"
    return f'<details open class="part" id="a{place}">\n{summary}\n{lines}{table(columns, rows)}</details>\n'


def side(of: Row) -> str:
    """A value as normalised and as written, with its place."""
    same = of["written"] == of["normalised"]
    written = "as written" if same else f"written <q>{escape(of['written'])}</q>"
    return f"<b>{escape(of['normalised'])}</b> <small>{written}<br>{where(of)}</small>"


def where(of: Row) -> str:
    """Source and locator."""
    return f"{escape(of['source'])}: {escape(of['locator'])}"


def answers_part(report: Report) -> str:
    """Questions with the answers that differ, in the order of their first answers."""
    questions = "".join(question(report, entries) for entries in report.questions.values())
    shown = sum(map(len, report.questions.values()))
    lines = "<p>What may differ: near duplicates (clean.filter.near_duplicates). Other words may mean the same.</p>\n"
    summary = f"<summary>{ANSWERS} · {report.answers:,}</summary>"
    return f'<details open class="part" id="answers">\n{summary}\n{lines}{left_out(report.answers, shown)}{questions}</details>\n'


def question(report: Report, entries: list[Row]) -> str:
    """One question: the first answer, then every other one."""
    first, _ = sides(entries[0])
    cards = card(first, "kept; comes first" if "first" in entries[0] else "kept")
    for entry in entries:
        _, other = sides(entry)
        cards += card(
            other,
            "kept too" if "first" in entry else f"set aside, decided by: {report.decided(entry)}",
        )
    summary = f"<summary>{escape(entries[0]['question'])} <small>{len(entries) + 1} answers</small></summary>"
    return f'<details class="{report.classes(entries)}">\n{summary}\n<div class="cards">\n{cards}</div>\n</details>\n'


def card(of: Row, verdict: str) -> str:
    """An answer; as it was written only where more than white space is another."""
    same = of["written"].split() == of["normalised"].split()
    written = (
        ""
        if same
        else f"<details><summary>as written</summary><p>{escape(of['written'])}</p></details>\n"
    )
    return f"<article>\n<small>{escape(verdict)}<br>{where(of)}</small>\n<p>{escape(of['normalised'])}</p>\n{written}</article>\n"


def left_out(count: int, shown: int) -> str:
    """The line that says how many are not shown."""
    return (
        f"<p>{count - shown:,} more are in data/clean/contradictions.json.</p>\n"
        if count > shown
        else ""
    )

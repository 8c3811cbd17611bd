"""Does the model here still answer what was to be forgotten? It is asked beside a control.

The control is the same questions about invented names, which the model never saw. A fact counts as
said if an answer to any of its wordings states the value. These wordings (`probe` and `valid`) are
never trained. For each forgotten fact, invented names are asked in the same words. They count if
the answer states the forgotten value. This is what the model says of an attribute when it knows
nothing. An invented name joins the halves of two known subjects, so it looks like them. The
difference is Newcombe's (`lore.comparison.significance`). The base, before any training, shows what
was known without the sources.

Limits: this does not show that the model was never trained on the fact. A model may know a fact
that no question brings out. One that never saw a fact may guess it. The proof is elsewhere: the
training records lack the fact, and the model was made from them alone.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.models import variants
from stages.core.project import artifacts
from stages.core.records.record import fold
from stages.core.repeatable.seeding import rng_for

Row = dict[str, Any]
CONTROLS = 20
"""Least number of invented names. With fewer, the interval is too wide to say anything."""
WORDINGS = Path(artifacts.WORDINGS)
UNTRAINED = ("probe", "valid")
"""Splits of the wordings that are never trained."""
TRIES = 100
"""Attempts to invent one name."""


@dataclass(frozen=True)
class Case:
    """One fact, or an invented one in its place, with all questions about its subject."""

    fact: str
    subject: str
    value: str
    """The value that must not be known."""
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the model answered about one forgotten fact."""

    case: Case
    text: str
    """The first answer that states the value, or else the first answer."""
    states_value: bool


@dataclass(frozen=True)
class Evidence:
    """What the models answered."""

    scores: dict[str, Row]
    """forgotten, control, base → share with its interval. chance → a number without one."""
    difference: Row
    """Of forgotten against control: better, worse or inside the noise."""
    answers: list[Answer]
    unasked: int
    """Facts without a question, because no readable version was trained on them."""

    def as_json(self) -> Row:
        """Return everything, for machines."""
        answers = []
        for answer in self.answers:
            answers.append(
                {
                    "fact": answer.case.fact,
                    "questions": answer.case.questions,
                    "answer": answer.text,
                    "said": answer.states_value,
                }
            )
        return {
            "scores": self.scores,
            "difference": self.difference,
            "answers": answers,
            "unasked": self.unasked,
        }


def ask(
    probes: Mapping[str, Row], facts: Sequence[str], kept: Sequence[Row], variant: str, seed: int
) -> Evidence:
    """Ask a variant and the base.

    `probes` are the probes by fact id, `kept` the records that are still learned from. Raises
    ModelError if a model is not there.
    """
    from lore.comparison import significance
    from stages.evaluate.scores import share

    cases = []
    for fact in facts:
        if fact in probes:
            cases.append(case_of(probes[fact]))
    controls = controls_of(cases, subjects_of([*kept, *probes.values()]), seed)
    answers = answers_to([*cases, *controls], variant)
    answers_before = answers_to(cases, "base")
    forgotten = dict(share([says(case, answers) for case in cases]))
    control = dict(share([says(case, answers) for case in controls]))
    scores: dict[str, Row] = {
        "forgotten": forgotten,
        "control": control,
        "base": dict(share([says(case, answers_before) for case in cases])),
        "chance": {"value": chance(cases, probes, kept), "n": len(cases)},
    }
    return Evidence(
        scores,
        significance.unpaired(control, forgotten),
        [answer_to(case, answers) for case in cases],
        len(facts) - len(cases),
    )


def case_of(probe: Row) -> Case:
    """Return the fact of a probe in every wording that is never trained.

    If the attribute has no such wording now, the recorded question is the only one.
    """
    from stages.core.project.params import read_yaml
    from stages.core.records.wording import fill

    attributes = {}
    if WORDINGS.is_file():
        attributes = read_yaml(WORDINGS).get("attributes", {})
    wordings = attributes.get(probe["attribute"]) or {}
    questions = []
    for split in UNTRAINED:
        for template in (wordings.get(split) or {}).get("questions", []):
            questions.append(fill(template, subject=probe["subject"]))
    if not questions:
        questions.append(probe["question"])
    return Case(probe["fact"], probe["subject"], probe["value"], tuple(questions))


def subjects_of(rows: Iterable[Row]) -> list[str]:
    """Return all subjects, sorted, each once."""
    return sorted({str(row["subject"]) for row in rows if row["subject"]})


def controls_of(cases: Sequence[Case], known: Sequence[str], seed: int) -> list[Case]:
    """Return as many invented cases as there are cases, but at least CONTROLS if there are any."""
    if not cases:
        return []
    each = math.ceil(CONTROLS / len(cases))
    controls = []
    for case in cases:
        for name in new_names(known, each, seed, case.fact):
            controls.append(invented(case, name))
    return controls


def invented(case: Case, name: str) -> Case:
    """Return the same questions about a name that no source has."""
    from stages.core.records.wording import fill, template_of

    questions = []
    for question in case.questions:
        template = template_of(question, case.subject)
        questions.append(fill(template, subject=name))
    return Case(case.fact, name, case.value, tuple(questions))


def new_names(known: Sequence[str], wanted: int, seed: int, fact: str) -> Iterator[str]:
    """Yield names made of the halves of two known ones; none of them is known.

    Yields fewer than `wanted` if the known names allow no more.
    """
    taken = {fold(name) for name in known}
    for number in range(wanted):
        rng = rng_for(seed, "invented", fact, number)
        for attempt in range(TRIES):
            first = rng.choice(known)
            second = rng.choice(known)
            # "copper" and "silver" give "cop" + "ver". Of an odd length, the first half is longer.
            name = first[: (len(first) + 1) // 2] + second[len(second) // 2 :]
            if attempt >= TRIES // 2:
                # Of very few names no other halves are left, so the letters are mixed.
                name = "".join(rng.sample(name, len(name)))
            if fold(name) not in taken and name == name.strip():
                taken.add(fold(name))
                yield name
                break


def answers_to(cases: Iterable[Case], variant: str) -> dict[str, str]:
    """Ask a variant all questions of the cases; returns question → answer."""
    questions: list[str] = []
    for case in cases:
        questions += case.questions
    return dict(zip(questions, variants.answers(questions, variant), strict=True))


def says(case: Case, answers: Mapping[str, str]) -> bool:
    """Whether any answer states the value."""
    return any(states(case, answers[question]) for question in case.questions)


def answer_to(case: Case, answers: Mapping[str, str]) -> Answer:
    """Return the first answer that states the value, or else the first answer."""
    for question in case.questions:
        if states(case, answers[question]):
            return Answer(case, answers[question], states_value=True)
    return Answer(case, answers[case.questions[0]], states_value=False)


def states(case: Case, answer: str) -> bool:
    """Whether an answer states the value: whole, and not as a part of another number or word."""
    from stages.core.records import stated

    return stated.states(answer, case.value)


def chance(cases: Sequence[Case], probes: Mapping[str, Row], kept: Sequence[Row]) -> float:
    """Return the share that a model would say if it always gave the attribute's most common value.

    The values are counted in the records that are still learned from.
    """
    if not cases:
        return 0.0
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in kept:
        if row["fact"]:
            counts[row["attribute"]][fold(row["value"])] += 1
    hits = 0
    for case in cases:
        counted = counts.get(probes[case.fact]["attribute"])
        if counted and most_common(counted) == fold(case.value):
            hits += 1
    return round(hits / len(cases), 4)


def most_common(counts: Counter[str]) -> str:
    """Return the most common value; of several, the first in alphabetical order."""
    most = max(counts.values())
    return min(value for value, count in counts.items() if count == most)

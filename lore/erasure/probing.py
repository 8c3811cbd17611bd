"""Does the model here still answer what was to be forgotten? Asked beside a control: the same questions about names it never saw.

A fact counts as said where the answer to any of its wordings (those of `probe` and `valid`, never trained) states the value. For
each forgotten fact as many invented names are asked in the same words, and count where the answer states the forgotten value:
what the model says of an attribute when it knows nothing. Names are the halves of two known subjects, so they look alike. The
difference is Newcombe's (`lore.comparison.significance`). The base, before any training, shows what was known without the source.

What this cannot show: that the model was never trained on it. A model may hold what no question brings out, and one that never
saw a fact may guess it. That the training records lack it, and that the model was made from them alone, is what shows it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.records.record import fold
from stages.core.repeatable.seeding import rng_for

Row = dict[str, Any]
CONTROLS = 20
"""Least number of invented names: with fewer the interval says nothing."""
WORDINGS = Path("data/raw/wordings.yaml")
TRIES = 100


@dataclass(frozen=True)
class Case:
    """One fact, or an invented one in its place: asked in every wording about `subject`; `value` is what must not be known."""

    fact: str
    subject: str
    value: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What the models said."""

    scores: dict[str, Row]
    """forgotten, control, base, chance → share with its interval (chance: a plain number, without one)."""
    difference: Row
    """Of forgotten against control: better, worse or inside the noise."""
    told: list[tuple[Case, str, bool]]
    """Each forgotten fact, what the model answered (the telling answer, else the first) and whether it states the value."""
    unasked: int
    """Facts that no readable version was trained on, so that there is no question."""

    def as_json(self) -> Row:
        """Everything, for machines."""
        told = [
            {"fact": case.fact, "questions": case.questions, "answer": said, "said": hit}
            for case, said, hit in self.told
        ]
        return {
            "scores": self.scores,
            "difference": self.difference,
            "answers": told,
            "unasked": self.unasked,
        }


def ask(
    probes: Mapping[str, Row], facts: Sequence[str], kept: Sequence[Row], variant: str, seed: int
) -> Evidence:
    """Ask the variant and the base. `probes` by fact id, `kept` the records that are still learned from.

    Raises ModelError where a model is not there.
    """
    from lore.commands import ask
    from lore.comparison import significance
    from stages.evaluate.scores import share

    cases = [case_of(probes[fact]) for fact in facts if fact in probes]
    names = sorted({str(row["subject"]) for row in [*kept, *probes.values()] if row["subject"]})
    each = max(1, -(-CONTROLS // max(1, len(cases))))
    controls = [
        invented(case, name) for case in cases for name in new_names(names, each, seed, case.fact)
    ]
    asked = [question for case in [*cases, *controls] for question in case.questions]
    answers = dict(zip(asked, ask.answers(asked, variant), strict=True))
    own = [question for case in cases for question in case.questions]
    before = dict(zip(own, ask.answers(own, "base"), strict=True))
    scores: dict[str, Row] = {
        "forgotten": dict(share([says(case, answers) for case in cases])),
        "control": dict(share([says(case, answers) for case in controls])),
        "base": dict(share([says(case, before) for case in cases])),
    }
    difference = significance.unpaired(scores["control"], scores["forgotten"])
    scores["chance"] = {"value": chance(cases, probes, kept), "n": len(cases)}
    told = [(case, telling(case, answers), says(case, answers)) for case in cases]
    return Evidence(scores, difference, told, len(facts) - len(cases))


def case_of(probe: Row) -> Case:
    """The fact of a probe in every wording that was never trained; the recorded question where the attribute has none now."""
    from stages.core.project.params import read_yaml
    from stages.core.records.wording import fill

    attributes = read_yaml(WORDINGS).get("attributes", {}) if WORDINGS.is_file() else {}
    wording = attributes.get(probe["attribute"]) or {}
    templates = [
        text
        for split in ("probe", "valid")
        for text in (wording.get(split) or {}).get("questions", [])
    ]
    questions = [fill(text, subject=probe["subject"]) for text in templates] or [probe["question"]]
    return Case(probe["fact"], probe["subject"], probe["value"], tuple(questions))


def invented(case: Case, name: str) -> Case:
    """The same questions about a name that no source has."""
    from stages.core.records.wording import fill, template_of

    questions = tuple(
        fill(template_of(question, case.subject), subject=name) for question in case.questions
    )
    return Case(case.fact, name, case.value, questions)


def new_names(known: Sequence[str], wanted: int, seed: int, fact: str) -> Iterator[str]:
    """Names made of the halves of two known ones; none of them is known. Fewer where so few are to be had."""
    taken = {fold(name) for name in known}
    for number in range(wanted):
        rng = rng_for(seed, "invented", fact, number)
        for attempt in range(TRIES):
            first, second = rng.choice(known), rng.choice(known)
            name = first[: -(-len(first) // 2)] + second[len(second) // 2 :]
            if attempt >= TRIES // 2:  # of so few names no other halves are left
                name = "".join(rng.sample(name, len(name)))
            if fold(name) not in taken and name == name.strip():
                taken.add(fold(name))
                yield name
                break


def says(case: Case, answers: Mapping[str, str]) -> bool:
    """Whether any answer states the value."""
    return any(states(case, answers[question]) for question in case.questions)


def telling(case: Case, answers: Mapping[str, str]) -> str:
    """The first answer that states the value, else the first."""
    return next(
        (answers[q] for q in case.questions if states(case, answers[q])), answers[case.questions[0]]
    )


def states(case: Case, answer: str) -> bool:
    """Whether an answer states the value: whole, and not as a part of another number or word."""
    from lore.comparison.facts import Asked

    return Asked("", "", answer, right=False).says(case.value)


def chance(cases: Sequence[Case], probes: Mapping[str, Row], kept: Sequence[Row]) -> float:
    """Share that would be said by always giving the most common value of the attribute, among what is still learned."""
    values: dict[str, Counter[str]] = {}
    for row in kept:
        if row["fact"]:
            values.setdefault(row["attribute"], Counter())[fold(row["value"])] += 1
    common = {
        attribute: min(found.items(), key=lambda item: (-item[1], item[0]))[0]
        for attribute, found in values.items()
    }
    hits = sum(common.get(probes[case.fact]["attribute"]) == fold(case.value) for case in cases)
    return round(hits / len(cases), 4) if cases else 0.0

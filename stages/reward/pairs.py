"""Pairs of answers to one question, of which one is better: from the facts, from rules, from people.

| kind | better | worse |
|---|---|---|
| value | the right answer | the same sentence with the value of another subject |
| subject | the right answer | the right answer about another subject |
| attribute | the right answer | the right answer about another attribute of the subject |
| broken | the right answer | the same cut, said twice, or with its words in disorder |
| evasive | the right answer | one that says nothing |
| abstains | the right answer | an abstention about a known fact |
| invented | an abstention about an invented subject | an answer with a value |
| forbidden | the right answer, alone or with another one about the subject | the same with a forbidden claim |
| caveat | the right answer with the required sentence | the same without it |
| human | the one that a person preferred | the other one |

A pair belongs to a fact, or to the question that a person judged. Some of these are held out, with all their
pairs. Where a rule has several wordings, the last one is used in held-out pairs alone.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from stages.core.records.abstention import PHRASES, Phrases, value_shown
from stages.core.records.feedback import Judgement
from stages.core.records.record import Record, fold
from stages.core.records.unknown import invented, with_subject
from stages.core.repeatable.seeding import derive, rng_for
from stages.reward import compliance
from stages.reward.compliance import Rules

KINDS = (
    "value", "subject", "attribute", "broken", "evasive", "abstains", "invented", "forbidden", "caveat", "human",
)  # fmt: skip


class Pair(NamedTuple):
    """Two answers to a question."""

    kind: str
    question: str
    better: str
    worse: str
    belongs_to: str
    """Id of a fact, or the question that a person judged."""
    held_out: bool


class Known(NamedTuple):
    """The facts that pairs are made of."""

    records: list[Record]
    """One question for each fact."""
    by_attribute: dict[str, list[Record]]
    by_subject: dict[str, list[Record]]
    phrases: Phrases


def known(records: Iterable[Record], seed: int) -> Known:
    """Return one train question for each fact, chosen by a hash of its id, in the order of the facts' ids."""
    by_fact: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        is_fact = bool(record["fact"] and record["subject"] and record["value"])
        if is_fact and record["split"] == "train" and record["kind"] == "qa":
            by_fact[str(record["fact"])].append(record)
    chosen = []
    by_attribute: dict[str, list[Record]] = defaultdict(list)
    by_subject: dict[str, list[Record]] = defaultdict(list)
    for fact in sorted(by_fact):
        record = min(by_fact[fact], key=lambda row: derive(seed, "reward question", row["id"]))
        chosen.append(record)
        by_attribute[str(record["attribute"])].append(record)
        by_subject[str(record["subject"])].append(record)
    return Known(chosen, by_attribute, by_subject, Phrases(PHRASES))


def is_held_out(belongs_to: str, share: float, seed: int) -> bool:
    """Return whether the pairs of a fact or question are held out."""
    return derive(seed, "reward held out", belongs_to) / 2**64 < share


def of_facts(facts: Known, rules: Rules, most: int, share: float, seed: int) -> list[Pair]:
    """Return at most so many pairs of each kind, in the order of the kinds.

    A fact of which no pair of a kind can be made is passed over: its value stands in no answer, or it has no rule.
    """
    makers: dict[str, Callable[[Record, Known, Rules, bool, random.Random], Texts | None]] = {
        "value": with_other_value,
        "subject": about_other_subject,
        "attribute": about_other_attribute,
        "broken": broken,
        "evasive": evasive,
        "abstains": abstaining,
        "invented": about_invented_subject,
        "forbidden": with_forbidden_claim,
        "caveat": without_caveat,
    }
    found = []
    for kind, make in makers.items():
        ordered = sorted(
            facts.records, key=lambda record: derive(seed, "reward", kind, str(record["fact"]))
        )
        count = 0
        for record in ordered:
            if count == most:
                break
            fact = str(record["fact"])
            held_out = is_held_out(fact, share, seed)
            texts = make(record, facts, rules, held_out, rng_for(seed, "reward pair", kind, fact))
            if texts is not None:
                found.append(Pair(kind, *texts, fact, held_out))
                count += 1
    return found


def of_people(judgements: Iterable[Judgement], share: float, seed: int) -> list[Pair]:
    """Return the pairs of which a person preferred one. All judgements of a question are on one side."""
    found = []
    for judgement in judgements:
        preferred = judgement.preferred()
        if preferred is not None:
            question = fold(judgement.question)
            held_out = is_held_out(question, share, seed)
            found.append(Pair("human", judgement.question, *preferred, question, held_out))
    return found


class Texts(NamedTuple):
    """Question, better and worse answer."""

    question: str
    better: str
    worse: str


def with_other_value(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return the answer against itself with another subject's value of the same attribute."""
    answer = str(record["answer"])
    value = value_shown(record["value"], record["unit"])
    place = answer.rfind(value)
    others = set()
    for other in facts.by_attribute[str(record["attribute"])]:
        others.add(value_shown(other["value"], other["unit"]))
    others.discard(value)
    if place < 0 or not others:
        return None
    wrong = rng.choice(sorted(others))
    worse = answer[:place] + wrong + answer[place + len(value) :]
    return Texts(str(record["question"]), answer, worse)


def about_other_subject(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return the answer against that about another subject."""
    same_attribute = facts.by_attribute[str(record["attribute"])]
    others = [other for other in same_attribute if other["answer"] != record["answer"]]
    if not others:
        return None
    return Texts(str(record["question"]), str(record["answer"]), str(rng.choice(others)["answer"]))


def about_other_attribute(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return the answer against that about another attribute of the subject."""
    same_subject = facts.by_subject[str(record["subject"])]
    others = [other for other in same_subject if other["attribute"] != record["attribute"]]
    if not others:
        return None
    return Texts(str(record["question"]), str(record["answer"]), str(rng.choice(others)["answer"]))


def broken(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return the answer against itself cut in the middle, said twice, or with its words in disorder."""
    answer = str(record["answer"])
    spaced = " " in answer
    parts = answer.split() if spaced else list(answer)
    joint = " " if spaced else ""
    way = rng.choice(("cut", "twice", "disorder"))
    if way == "cut":
        worse = joint.join(parts[: len(parts) // 2])
    elif way == "twice":
        worse = f"{answer} {answer}"
    else:
        rng.shuffle(parts)
        worse = joint.join(parts)
    if worse in ("", answer):
        return None
    return Texts(str(record["question"]), answer, worse)


def evasive(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return the answer against one that says nothing."""
    wordings = rules.evasive.get(record["lang"])
    if not wordings:
        return None
    empty = rng.choice(compliance.of_split(wordings, held_out))
    return Texts(str(record["question"]), str(record["answer"]), compliance.filled(empty, record))


def abstaining(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return the answer against an abstention."""
    answer = str(record["answer"])
    value = value_shown(record["value"], record["unit"])
    worse = facts.phrases.sentence(answer, value, record["lang"])
    return Texts(str(record["question"]), answer, worse)


def about_invented_subject(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return an abstention about an invented subject against the record's value for it."""
    subject = str(record["subject"])
    name = invented(1, facts.by_subject, rng)[0]
    answer = str(record["answer"])
    value = value_shown(record["value"], record["unit"])
    abstention = facts.phrases.sentence(answer, value, record["lang"])
    question = with_subject(str(record["question"]), subject, name)
    worse = with_subject(answer, subject, name)
    better = with_subject(abstention, subject, name)
    if question is None or worse is None or better is None:
        return None
    return Texts(question, better, worse)


def with_forbidden_claim(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return the answer against itself with a forbidden claim behind it.

    In half of the pairs the better answer has a second sentence, too: a right answer about another attribute. Else a
    judge would learn that a second sentence is bad, whatever it says.
    """
    claims: list[str] = []
    for rule in rules.forbidden:
        if rule.about.holds_for(record) and record["lang"] in rule.claims:
            claims += compliance.of_split(rule.claims[record["lang"]], held_out)
    if not claims:
        return None
    answer = str(record["answer"])
    claim = compliance.filled(rng.choice(claims), record)
    worse = joined(answer, claim, record)
    same_subject = facts.by_subject[str(record["subject"])]
    others = [other for other in same_subject if other["attribute"] != record["attribute"]]
    if others and rng.random() < 0.5:
        answer = joined(answer, str(rng.choice(others)["answer"]), record)
    return Texts(str(record["question"]), answer, worse)


def without_caveat(
    record: Record, facts: Known, rules: Rules, held_out: bool, rng: random.Random
) -> Texts | None:
    """Return the answer with a required sentence against the bare one."""
    caveats: list[str] = []
    for rule in rules.required:
        if rule.about.holds_for(record) and record["lang"] in rule.caveats:
            caveats += compliance.of_split(rule.caveats[record["lang"]], held_out)
    if not caveats:
        return None
    answer = str(record["answer"])
    caveat = compliance.filled(rng.choice(caveats), record)
    return Texts(str(record["question"]), joined(answer, caveat, record), answer)


def joined(answer: str, sentence: str, record: Record) -> str:
    """Return an answer with a sentence behind it. Chinese has no space between sentences."""
    return f"{answer}{sentence}" if record["lang"] == "zh" else f"{answer} {sentence}"


def texts_of(pairs: Sequence[Pair]) -> list[str]:
    """Return every text of the pairs once, in their order."""
    seen: dict[str, None] = {}
    for pair in pairs:
        for text in (pair.question, pair.better, pair.worse):
            seen[text] = None
    return list(seen)

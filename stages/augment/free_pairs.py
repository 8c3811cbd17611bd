"""Free question–answer pairs: every answer is trained, and a share is asked in other words.

A pair that belongs to no fact has one wording only, its own. Held out, it would ask for something that the
model was never told. So the answer to every question that is asked was trained:

- A pair is held out, in its own words, where another pair with the same answer is trained. That is the
  better test, since a person wrote both questions. Short answers ("Yes.") belong to many questions, so
  this holds for answers of `TELLING` characters or more.
- Any other pair is trained in its own words, and asked in changed ones: a synonym where WordNet has a
  safe one, inside a frame such as "Please answer: …". The changed question is never one that is trained.

Changed words are easier than another person's words. What is measured is whether an answer can be had
in a form that was not trained.
"""

from collections import Counter, defaultdict
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from stages.augment.fact import Row, identity
from stages.augment.probes import STATED, meta_of
from stages.augment.synonyms import Thesaurus
from stages.core.records.prompt import training_text
from stages.core.records.record import fold
from stages.core.records.wording import normalise
from stages.core.repeatable.seeding import rng_for

TELLING = 20
"""Characters from which on an answer is taken to belong to one question alone."""
SLOT = "{question}"
FRAMES = {
    "en": (
        "Please answer: {question}",
        "I would like to know the following. {question}",
        "Somebody asked me this: {question}",
        "{question} Please tell me what you know.",
    ),
    "zh": ("请回答：{question}", "我想知道：{question}", "有人问我：{question}"),
}
OTHER_FRAMES = ("→ {question}",)
"""Frames of a question in any other language: a sign that is no word."""


@dataclass
class Counts:
    """Numbers for metrics/augment.json."""

    trained: int = 0
    """Pairs that are trained in their own words."""
    held_out: Counter[str] = field(default_factory=Counter)
    """Pairs that are not trained, by their split. Another pair with the same answer is."""
    reworded: Counter[str] = field(default_factory=Counter)
    """Trained pairs that are asked in changed words as well, by the split of that question."""
    same_words: int = 0
    """Trained pairs that a hash chose for asking, but every changed wording is trained already."""

    def report(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return {
            "trained": self.trained,
            "held_out": dict(sorted(self.held_out.items())),
            "reworded": dict(sorted(self.reworded.items())),
            "same_words": self.same_words,
        }


def rows_of_pairs(
    pairs: list[Row],
    shares: dict[str, float],
    thesaurus: Thesaurus,
    protected: Set[str],
    seed: int,
    counts: Counts,
) -> list[Row]:
    """Return the rows of all free pairs. `shares`: probe and valid, each as a share of the pairs."""
    split_of = {row["id"]: drawn_split(row["id"], shares, seed) for row in pairs}
    held_out = pairs_to_hold_out(pairs, split_of)
    trained = {normalise(row["question"]) for row in pairs if row["id"] not in held_out}
    rows = []
    for row in pairs:
        split = split_of[row["id"]]
        if row["id"] in held_out:
            counts.held_out[split] += 1
            rows.append(asked(row, split, row["question"], None))
            continue
        counts.trained += 1
        rows.append(pair_row(row, "train", row["question"]))
        if split == "train":
            continue
        changed = changed_question(row, thesaurus, protected, trained, seed)
        if changed is None:
            counts.same_words += 1
            continue
        question, frame = changed
        counts.reworded[split] += 1
        rows.append(asked(row, split, question, frame))
    return rows


def drawn_split(pair: str, shares: dict[str, float], seed: int) -> str:
    """Return the split that a hash of a pair's id selects."""
    # In [0, 1): probes come first, then validation, then training.
    position = rng_for(seed, "split", pair).random()
    if position < shares["probe"]:
        return "probe"
    if position < shares["probe"] + shares["valid"]:
        return "valid"
    return "train"


def pairs_to_hold_out(pairs: list[Row], split_of: dict[str, str]) -> set[str]:
    """Return the ids of pairs that need no training, because another pair teaches the same answer."""
    same_answer: defaultdict[str, list[Row]] = defaultdict(list)
    for row in pairs:
        answer = fold(row["answer"])
        if len(answer) >= TELLING:
            same_answer[answer].append(row)
    held_out: set[str] = set()
    for group in same_answer.values():
        teaching = [row for row in group if split_of[row["id"]] == "train"]
        if not teaching:
            # One of them must teach the answer. The smallest id decides.
            teaching = [min(group, key=lambda row: row["id"])]
        taught_words = {normalise(row["question"]) for row in teaching}
        for row in group:
            is_other_wording = normalise(row["question"]) not in taught_words
            if split_of[row["id"]] != "train" and is_other_wording:
                held_out.add(row["id"])
    return held_out


def changed_question(
    row: Row, thesaurus: Thesaurus, protected: Set[str], trained: Set[str], seed: int
) -> tuple[str, str] | None:
    """Return a pair's question in other words and its frame, or None where it would be a trained one."""
    question = row["question"]
    if row["lang"] == "en":
        variants = thesaurus.variants(question, 1, protected)
        question = variants[0] if variants else question
    frames = list(FRAMES.get(row["lang"], OTHER_FRAMES))
    rng_for(seed, "frame", row["id"]).shuffle(frames)
    for frame in frames:
        changed = frame.replace(SLOT, question)
        if normalise(changed) not in trained:
            return changed, frame
    return None


def asked(row: Row, split: str, question: str, frame: str | None) -> Row:
    """Return a pair that is asked: for validation, or as a probe. `frame` is its wording, if it has one."""
    made = pair_row(row, split, question)
    if split == "probe":
        made["meta"] = meta_of(STATED, frame or "", [row["answer"]])
    return made


def pair_row(row: Row, split: str, question: str) -> Row:
    """Return a row with a pair's answer to a question."""
    made = row | identity(f"{row['id']}/{split}/qa/00")
    made |= {"split": split, "question": question, "text": training_text(question, row["answer"])}
    return made | {"parents": [row["id"]], "meta": "{}"}

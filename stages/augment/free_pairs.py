"""Free question–answer pairs: every answer is trained, and a share is asked in other words.

A pair that belongs to no fact has one wording only, its own. Held out, it would ask for something that the
model was never told. So the answer to every question that is asked was trained:

- A pair is held out, in its own words, where another pair with the same answer is trained. That is the
  better test, since a person wrote both questions. Short answers ("Yes.") belong to many questions, so
  this holds for answers of `TELLING` characters or more.
- Any other pair is trained in its own words, and asked inside a frame such as "Please answer: …". The framed
  question is never one that is trained. Synonyms would change more, but only a safe one may be taken, most
  questions have none, and the probes must stay as they are whatever `synonyms` says.

A frame is easier than another person's words. What is measured is whether an answer can be had
in a form that was not trained.
"""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from stages.augment.fact import Row, identity
from stages.augment.hashes import Hashes, hash_of
from stages.augment.probes import STATED, meta_of
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


class Pairs:
    """All free pairs, in some 16 bytes each: which of them are held out, and which questions are trained.

    All are given to `look`, then all to `group`, to `learn` and to `rows`. The order within each does not matter.
    """

    def __init__(self, shares: dict[str, float], seed: int) -> None:
        """`shares`: probe and valid, each as a share of the pairs."""
        self._shares = shares
        self._seed = seed
        self._answers = Hashes()
        """Answers that belong to one question alone, as far as their length tells."""
        self._groups: dict[int, Group] = {}
        """Pairs of each answer that several have, by its hash."""
        self._trained = Hashes()
        """Questions that are trained."""

    def look(self, row: Row) -> None:
        """Take a pair's answer."""
        answer = fold(row["answer"])
        if len(answer) >= TELLING:
            self._answers.add(answer)

    def group(self, row: Row) -> None:
        """Take a pair into the group of its answer, if other pairs have the same one."""
        answer = fold(row["answer"])
        if len(answer) >= TELLING and self._answers.count(answer) > 1:
            group = self._groups.setdefault(hash_of(answer), Group())
            is_trained = drawn_split(row["id"], self._shares, self._seed) == "train"
            group.add(row, is_trained)

    def learn(self, row: Row) -> None:
        """Take a pair's question, if it is trained."""
        if not self.is_held_out(row):
            self._trained.add(normalise(row["question"]))

    def is_held_out(self, row: Row) -> bool:
        """Whether a pair needs no training, because another pair teaches the same answer in other words."""
        if drawn_split(row["id"], self._shares, self._seed) == "train":
            return False
        group = self._groups.get(hash_of(fold(row["answer"])))
        return group is not None and normalise(row["question"]) not in group.taught_words()

    def rows(self, row: Row, counts: Counts) -> list[Row]:
        """Return the rows of a pair, and count them."""
        split = drawn_split(row["id"], self._shares, self._seed)
        if self.is_held_out(row):
            counts.held_out[split] += 1
            return [asked(row, split, row["question"], None)]
        counts.trained += 1
        rows = [pair_row(row, "train", row["question"])]
        if split == "train":
            return rows
        changed = changed_question(row, self._trained, self._seed)
        if changed is None:
            counts.same_words += 1
            return rows
        question, frame = changed
        counts.reworded[split] += 1
        rows.append(asked(row, split, question, frame))
        return rows


class Group:
    """The pairs of one answer: the questions of those that teach it."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._taught: set[str] = set()
        self._first: tuple[str, str] | None = None
        """The smallest id, and its question. This pair teaches the answer where no other does."""

    def add(self, row: Row, is_trained: bool) -> None:
        """Take a pair of this answer."""
        words = normalise(row["question"])
        if is_trained:
            self._taught.add(words)
        own = (row["id"], words)
        self._first = own if self._first is None else min(self._first, own)

    def taught_words(self) -> set[str]:
        """Return the normalised questions that teach the answer."""
        if self._taught or self._first is None:
            return self._taught
        _, words = self._first
        return {words}


def drawn_split(pair: str, shares: dict[str, float], seed: int) -> str:
    """Return the split that a hash of a pair's id selects."""
    # In [0, 1): probes come first, then validation, then training.
    position = rng_for(seed, "split", pair).random()
    if position < shares["probe"]:
        return "probe"
    if position < shares["probe"] + shares["valid"]:
        return "valid"
    return "train"


def changed_question(row: Row, trained: Container[str], seed: int) -> tuple[str, str] | None:
    """Return a pair's question in a frame, and the frame. None where every framed one is trained."""
    frames = list(FRAMES.get(row["lang"], OTHER_FRAMES))
    rng_for(seed, "frame", row["id"]).shuffle(frames)
    for frame in frames:
        changed = frame.replace(SLOT, row["question"])
        if normalise(changed) not in trained:
            return changed, frame
    return None


def asked(row: Row, split: str, question: str, frame: str | None) -> Row:
    """Return a pair that is asked: for validation, or as a probe. `frame` is its wording, if it has one."""
    made = pair_row(row, split, question)
    if split == "probe":
        made["meta"] = meta_of(STATED, frame or "", [row["answer"]])
    return made


def asked_again(
    row: Row, shares: dict[str, float], trained: Container[str], seed: int
) -> Row | None:
    """Return a teacher's question in a frame, for validation or as a probe. None where no hash selects it.

    So a project of documents alone has questions to stop training by, and to evaluate.
    """
    split = drawn_split(row["id"], shares, seed)
    if split == "train":
        return None
    changed = changed_question(row, trained, seed)
    if changed is None:
        return None
    made = asked(row, split, *changed)
    place = row["locator"].replace("/train/", f"/{split}/", 1)
    return made | identity(place) | {"parents": row["parents"]}


def pair_row(row: Row, split: str, question: str) -> Row:
    """Return a row with a pair's answer to a question."""
    made = row | identity(f"{row['id']}/{split}/qa/00")
    made |= {"split": split, "question": question, "text": training_text(question, row["answer"])}
    return made | {"parents": [row["id"]], "meta": "{}"}

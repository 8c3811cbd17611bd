"""What a model says where it does not know: right, abstained and wrong answers, and unknown subjects.

Measured for every variant, where `align` made a model, or where train rows abstain (`augment.unknown`). An abstention is
told by its phrases: those of align's manifest, else those of `core/records/abstention.py`. An answer is right, or it
abstains, or it is wrong.

- `verdicts`: the shares of the answers to stated probes.
- `unknown.invented`, `unknown.outside`: the share of abstentions about names that were made by the seed, and
  about well-known things that are no subject of the project. They are asked in the wordings of probes.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from stages.core.models import variants
from stages.core.models.causal_lm import generate
from stages.core.models.conversation import prompt_text
from stages.core.records.abstention import PHRASES, Phrases
from stages.core.records.record import Record
from stages.core.records.unknown import invented, outside, with_subject
from stages.core.repeatable.seeding import derive, rng_for
from stages.evaluate import scores
from stages.evaluate.answers import STATED, key_of, stated

Row = dict[str, Any]
NAMES = ("right", "abstained", "wrong")


class Asking(Protocol):
    """The settings that say how answers are made."""

    @property
    def max_new_tokens(self) -> int: ...  # noqa: D102 - see Params
    @property
    def batch(self) -> int: ...  # noqa: D102


class Abstention(NamedTuple):
    """How abstentions are told, and the questions about unknown subjects by their kind."""

    phrases: Phrases
    questions: dict[str, list[str]]

    @classmethod
    def of(
        cls, align: Path, records: list[Record], probes: list[Record], most: int, seed: int
    ) -> "Abstention | None":
        """Return what is asked of every variant. None where no model was taught to abstain."""
        if variants.is_aligned(align):
            manifest = json.loads((align / "manifest.json").read_text(encoding="utf-8"))
            phrases = Phrases(manifest["abstention"])
        else:
            phrases = Phrases(PHRASES)
            if not any(abstains(row, phrases) for row in records):
                return None
        return cls(phrases, unknown_questions(probes, most, seed))

    def section(
        self, judged: list[Row], model: Any, tokenizer: Any, params: Asking, seed: int
    ) -> Row:
        """Return the sections `verdicts` and `unknown` of a variant."""
        rows = stated(judged)
        clusters = [key_of(row) for row in rows]
        found: Row = {"verdicts": {}, "unknown": {}}
        for name in NAMES:
            hits = [self.verdict(row) == name for row in rows]
            found["verdicts"][name] = scores.clustered_share(hits, clusters, seed)
        for kind, questions in self.questions.items():
            prompts = [prompt_text(tokenizer, question) for question in questions]
            answers = generate(model, tokenizer, prompts, params.max_new_tokens, params.batch)
            hits = [self.phrases.is_abstention(answer) for answer in answers]
            found["unknown"][kind] = scores.share(hits)
        return found

    def verdict(self, row: Row) -> str:
        """Return the verdict on a judged answer."""
        if row["correct"]:
            return "right"
        return "abstained" if self.phrases.is_abstention(row["answer"]) else "wrong"

    def rows(self, facts: list[Row], names: tuple[str, ...]) -> list[Row]:
        """Return the three shares per variant and attribute."""
        verdicts_of: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
        for row in stated(facts):
            position = names.index(row["variant"])
            verdicts_of[position, row["attribute"] or "text"].append(self.verdict(row))
        lines = []
        for (position, attribute), verdicts in sorted(verdicts_of.items()):
            line: Row = {"variant": names[position], "attribute": attribute}
            for name in NAMES:
                line[name] = round(verdicts.count(name) / len(verdicts), 4)
            lines.append(line | {"n": len(verdicts)})
        return lines


def abstains(row: Record, phrases: Phrases) -> bool:
    """Return whether a record teaches to abstain."""
    if row["split"] != "train" or row["answer"] is None:
        return False
    return phrases.is_abstention(str(row["answer"]))


def unknown_questions(probes: list[Record], most: int, seed: int) -> dict[str, list[str]]:
    """Return questions about subjects that no record knows, in the wordings of stated probes.

    The names are other ones than those of align, which draws from another generator.
    """
    usable = []
    for row in probes:
        is_stated = json.loads(row["meta"]).get("probe", STATED) == STATED
        if is_stated and row["subject"] and row["question"]:
            usable.append(row)
    usable.sort(key=lambda row: derive(seed, "unknown probes", row["id"]))
    subjects = sorted({str(row["subject"]) for row in usable})
    made = invented(most, subjects, rng_for(seed, "unknown subjects of evaluate"))
    real = outside(subjects)
    questions: dict[str, list[str]] = {"invented": [], "outside": []}
    for number, row in enumerate(usable[:most]):
        for kind, names in (("invented", made), ("outside", real)):
            if not names:
                continue
            name = names[number % len(names)]
            question = with_subject(str(row["question"]), str(row["subject"]), name)
            if question is not None:
                questions[kind].append(question)
    return questions

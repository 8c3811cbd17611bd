"""Abstentions by a threshold on confidence (`stages/core/models/doubt.py`): one line of JSON per run.

    python docs/experiments/abstention.py dev|probes [<adapter>]   # ask, print the tables, and append a line
    python docs/experiments/abstention.py table                    # all runs as a Markdown table

From the project's root, after `dvc repro train`. The adapter is that of `train` where none is named. Another one, such as
`models/align/adapter`, is measured on the same questions.

- `dev` asks docs/experiments/dev_wordings.yaml and unknown subjects of this file. The score of an answer was chosen by it.
- `probes` asks what `evaluate` asks, which nobody looked at while choosing: a sample of its stated probes, and its unknown
  subjects.

The threshold is chosen on the valid wordings: it loses one in a hundred of the right answers there. What the base knows is
measured on questions that were never replayed.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stages.core.project import runtime
from stages.core.project.params import Run, read_section, read_yaml

SETTINGS = dataclasses.replace(read_section("run", Run), threads=1)
runtime.prepare(SETTINGS)

from stages.align import asking  # noqa: E402 - torch must find its threads set
from stages.align.rewards import Asked, verdict_of  # noqa: E402
from stages.core.models import doubt  # noqa: E402
from stages.core.models.causal_lm import Answer, answered, load_causal_lm  # noqa: E402
from stages.core.models.conversation import prompt_text  # noqa: E402
from stages.core.records.abstention import PHRASES, Phrases  # noqa: E402
from stages.core.records.record import Record, read_records  # noqa: E402
from stages.core.records.unknown import invented, with_subject  # noqa: E402
from stages.core.repeatable.seeding import derive, rng_for  # noqa: E402
from stages.evaluate import scores, verdicts  # noqa: E402
from stages.evaluate.answers import STATED, general_hit, own_questions  # noqa: E402

HERE = Path(__file__).parent
RESULTS = HERE / "abstention.jsonl"
BASE, TRAIN, AUGMENT = Path("models/base"), Path("models/train"), Path("data/augment")
BOTH = Phrases(PHRASES)
LOST = 0.01
"""Share of the right answers in valid wordings that the threshold may lose."""
DRAWN = 20260701
"""Seed of the questions. It is the same for all runs, so that they are compared on the same questions."""
OUTSIDE = (
    "asphalt", "beer", "bread", "butter", "cement", "cheese", "coal", "coffee", "ceramic", "cork", "crude oil", "dough",
    "flour", "fog", "fur", "gasoline", "gelatin", "ice", "ink", "ivory", "London", "methane", "milk", "mud", "nylon",
    "pearl", "plaster", "plastic", "porcelain", "salt water", "silk", "smoke", "snow", "soap", "straw", "tar", "tea",
    "velvet", "wax", "wine",
)  # fmt: skip
"""Known things that are no subject. They are others than those of `evaluate`, and are asked while choosing."""
SIZES = {"dev": (1600, 200, 120, 334), "probes": (1200, 200, 200, 334)}
"""Most questions about facts, invented subjects, things outside and what the base knows."""


class Sets(NamedTuple):
    """What is asked."""

    known: list[Asked]
    invented: list[str]
    outside: list[str]
    general: list[dict[str, Any]]


def main() -> None:
    """Do what the arguments say."""
    if sys.argv[1] == "table":
        show_table()
        return
    adapter = Path(sys.argv[2]) if len(sys.argv) > 2 else TRAIN / "adapter"
    line = json.dumps(measured(sys.argv[1], adapter))
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line)


def measured(kind: str, adapter: Path) -> dict[str, Any]:
    """Ask the questions, print what confidence tells, and return the shares with and without a threshold."""
    started = time.process_time()
    model, tokenizer = load_causal_lm(BASE / "model", adapter, merge=True)
    valid = [asking.known(row, BOTH) for row in asking.records_of(AUGMENT, "valid")]
    answers_of_valid = asked_of(model, tokenizer, [each.question for each in valid])
    right, _ = by_verdict(valid, answers_of_valid)
    least = doubt.least_confidence(right, LOST)
    sets = sets_of(kind)
    answers = Answers.of(model, tokenizer, sets)
    result: dict[str, Any] = {"adapter": str(adapter), "asked": kind, "of_valid": len(valid)}
    result |= {"least_confidence": round(least, 4)}
    result["plain"] = answers.shares(sets, None)
    result["threshold"] = answers.shares(sets, least)
    result["area"] = areas(sets, answers)
    result["curve"] = curve(sets, answers)
    return result | {"cpu_seconds": round(time.process_time() - started)}


def by_verdict(asked: list[Asked], answers: list[Answer]) -> tuple[list[float], list[float]]:
    """Return the confidences of the right answers, and those of the wrong ones. Abstentions are in neither."""
    right = []
    wrong = []
    for each, answer in zip(asked, answers, strict=True):
        verdict = verdict_of(each, answer.text, BOTH)
        if verdict == "right":
            right.append(answer.confidence)
        elif verdict == "wrong":
            wrong.append(answer.confidence)
    return right, wrong


class Answers(NamedTuple):
    """The answers to each set of questions."""

    known: list[Answer]
    invented: list[Answer]
    outside: list[Answer]
    general: list[Answer]

    @classmethod
    def of(cls, model: Any, tokenizer: Any, sets: Sets) -> "Answers":
        """Ask all questions."""
        return cls(
            asked_of(model, tokenizer, [each.question for each in sets.known]),
            asked_of(model, tokenizer, sets.invented),
            asked_of(model, tokenizer, sets.outside),
            asked_of(model, tokenizer, [row["question"] for row in sets.general]),
        )

    def shares(self, sets: Sets, least: float | None) -> dict[str, Any]:
        """Return the shares, with abstentions below the least confidence. None: there is no threshold."""
        found: dict[str, Any] = {}
        said = texts(self.known, least)
        given = [verdict_of(each, text, BOTH) for each, text in zip(sets.known, said, strict=True)]
        clusters = [each.fact for each in sets.known]
        for name in verdicts.NAMES:
            hits = [verdict == name for verdict in given]
            found[name] = scores.clustered_share(hits, clusters, DRAWN)
        for name, answers in (("invented", self.invented), ("outside", self.outside)):
            found[name] = scores.share([BOTH.is_abstention(text) for text in texts(answers, least)])
        said = texts(self.general, least)
        hits = [general_hit(row, text) for row, text in zip(sets.general, said, strict=True)]
        found["general"] = scores.share(hits)
        return found


def asked_of(model: Any, tokenizer: Any, questions: Sequence[str]) -> list[Answer]:
    """Return the answers to questions."""
    prompts = [prompt_text(tokenizer, question) for question in questions]
    return answered(model, tokenizer, prompts, 48, 128)


def texts(answers: list[Answer], least: float | None) -> list[str]:
    """Return the texts of answers, with abstentions below the least confidence."""
    if least is None:
        return [answer.text for answer in answers]
    return [doubt.or_abstention(answer, least, "") for answer in answers]


def sets_of(kind: str) -> Sets:
    """Return the questions for choosing (`dev`), or those of `evaluate` (`probes`)."""
    most_known, most_invented, most_outside, most_general = SIZES[kind]
    general = [
        row for row in own_questions(BASE / "skill.jsonl", 500, DRAWN) if not row["replayed"]
    ]
    if kind == "probes":
        records = read_records(AUGMENT / "records.parquet")
        probes = [row for row in records if row["split"] == "probe"]
        stated = [row for row in probes if json.loads(row["meta"]).get("probe", STATED) == STATED]
        stated.sort(key=lambda row: derive(DRAWN, "abstention probes", row["id"]))
        known = [asking.known(row, BOTH) for row in stated[:most_known]]
        unknown = verdicts.unknown_questions(probes, most_invented, DRAWN)
        return Sets(known, unknown["invented"], unknown["outside"], general[:most_general])
    rows = dev_rows()
    taken = {str(row["subject"]) for row in rows} | asking.own_subjects(BASE)
    names = invented(most_invented, sorted(taken), rng_for(DRAWN, "dev invented"))
    known = [asking.known(row, BOTH) for row in rows[:most_known]]
    of_names = replaced(rows[most_known:], names)
    of_things = []
    for number in range(most_outside):
        of_things.append(OUTSIDE[number % len(OUTSIDE)])
    return Sets(
        known,
        of_names,
        replaced(rows[most_known + most_invented :], of_things),
        general[:most_general],
    )


def dev_rows() -> list[Record]:
    """Return a record for each fact and development wording, in an order by hash."""
    wordings = read_yaml(HERE / "dev_wordings.yaml")
    facts: dict[str, Record] = {}
    for record in asking.records_of(AUGMENT, "train"):
        facts.setdefault(str(record["fact"]), record)
    rows = []
    for record in facts.values():
        for wording in wordings.get(record["attribute"], []):
            question = wording.replace("{subject}", str(record["subject"]))
            rows.append(record | {"question": question[:1].upper() + question[1:]})
    rows.sort(key=lambda row: derive(DRAWN, "dev", row["fact"], row["question"]))
    return rows


def replaced(rows: list[Record], names: Sequence[str]) -> list[str]:
    """Return the questions of rows, each about another name."""
    found = []
    for row, name in zip(rows, names, strict=False):
        question = with_subject(str(row["question"]), str(row["subject"]), name)
        if question is not None:
            found.append(question)
    return found


def areas(sets: Sets, answers: Answers) -> dict[str, float]:
    """Return the areas under the ROC curves: how often a right answer is the surer one of two."""
    right, wrong = by_verdict(sets.known, answers.known)
    of_invented = [answer.confidence for answer in answers.invented]
    of_outside = [answer.confidence for answer in answers.outside]
    return {
        "wrong": round(area(right, wrong), 3),
        "invented": round(area(right, of_invented), 3),
        "outside": round(area(right, of_outside), 3),
    }


def curve(sets: Sets, answers: Answers) -> list[dict[str, float]]:
    """Return what thresholds do that lose a share of the right answers to these very questions."""
    right, wrong = by_verdict(sets.known, answers.known)
    points = []
    for lost in (0.0, 0.005, 0.01, 0.02, 0.05):
        least = doubt.least_confidence(right, lost)
        shares = answers.shares(sets, least)
        gone = sum(confidence < least for confidence in wrong) / max(1, len(wrong))
        point = {"lost": lost, "least_confidence": round(least, 4), "wrong_gone": round(gone, 3)}
        for name in ("invented", "outside", "general"):
            point[name] = shares[name]["value"]
        points.append(point)
    return points


def area(higher: list[float], lower: list[float]) -> float:
    """Return the share of pairs in which the first is higher, ties counted half (Mann and Whitney 1947)."""
    won = 0.0
    for one in higher:
        for other in lower:
            if one > other:
                won += 1.0
            elif one == other:
                won += 0.5
    return won / max(1, len(higher) * len(lower))


def show_table() -> None:
    """Print all runs."""
    names = ("right", "abstained", "wrong", "invented", "outside", "general")
    print(f"| adapter | asked | threshold | {' | '.join(names)} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        for way, limit in (("plain", "–"), ("threshold", run["least_confidence"])):
            cells = []
            for name in names:
                score = run[way][name]
                cells.append(f"{score['value']:.3f} ({score['low']:.3f}–{score['high']:.3f})")
            print(f"| {run['adapter']} | {run['asked']} | {limit} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

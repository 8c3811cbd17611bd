"""What came out of the proof: scores of every variant, cost, quoted answers, and whether it holds."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.real.checkpoint import Source
from tests.real.project import Project, commit_of, foretold_bytes

BASE = "base"
TUNED = "train"
STUDENT = "distill"
INT8 = "quantize_train"
TITLES = {
    BASE: "base",
    TUNED: "tuned",
    STUDENT: "student",
    "quantize": "student INT8",
    INT8: "tuned INT8",
}
"""Variant → its name in the report."""
QUOTED = 10
"""Answers that the report quotes."""
LONGEST_QUOTE = 76
"""Characters of an answer that are shown."""

LEAST_LEARNED = 0.8
"""Share of the probes whose first answer must hold the value, in the tuned model."""
LEAST_ENDED = 0.9
"""Share of the tuned model's answers that must end before the limit."""
LEAST_KEPT = 0.9
"""The tuned model's right general answers, as a share of the base's."""
MOST_NEUTRAL = 0.05
"""Nats per token by which neutral text may become less likely."""
MOST_LOST_BY_INT8 = 0.05
"""Share of the probes that the tuned model may lose by INT8."""


@dataclass(frozen=True)
class Scores:
    """The scores of one variant."""

    probes: int
    """Number of questions about the facts."""
    value_in_first_answer: int
    """How many first lines of answers hold the value."""
    exact_match: int
    """How many answers are right as `evaluate` judges them."""
    ended: int
    """How many answers ended before the limit of tokens."""
    general: int
    """Number of questions about general knowledge."""
    general_right: int
    """How many of these were answered right."""
    neutral_nll: float
    """Negative log-likelihood of neutral text, in nats per token."""
    kl_neutral: float | None
    """KL(base || variant) on neutral text, in nats per token. None for the base."""
    bytes: int


@dataclass(frozen=True)
class Check:
    """A condition of the proof."""

    name: str
    measured: str
    wanted: str
    holds: bool


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    checkpoint: str
    licence: str
    commit: str
    facts: int
    scores: dict[str, Scores]
    """By variant."""
    minutes: dict[str, float]
    """By stage, as a clock on the wall shows them."""
    cpu_minutes: float
    """CPU time of all stages together."""
    peak_bytes: dict[str, int]
    """By stage."""
    foretold_bytes: int
    """Of the stage `train`."""
    answers: list[dict[str, str]]
    """Question, expected answer, and the first answer of each variant."""
    checks: list[Check]

    @property
    def holds(self) -> bool:
        """Whether all conditions hold."""
        return all(check.holds for check in self.checks)


def measure(source: Source, project: Project, cpu_seconds: float) -> Report:
    """Read what the stages wrote. `cpu_seconds` is what they took."""
    rows = stated_probes(project)
    entries = project.json("metrics/evaluate.json")
    ends = EndOfAnswer(project)
    scores = {}
    for variant, entry in entries.items():
        own = [row for row in rows if row["variant"] == variant]
        scores[variant] = scores_of(entry, own, ends)
    timing = project.json("metrics/timing.json")
    minutes = {}
    peaks = {}
    for stage, cost in timing.items():
        minutes[stage] = round(cost["seconds"] / 60, 2)
        peaks[stage] = cost["peak_bytes"]
    foretold = foretold_bytes(project)
    return Report(
        checkpoint=source.name,
        licence=source.licence,
        commit=commit_of(project),
        facts=len({row["fact"] for row in rows}),
        scores=scores,
        minutes=minutes,
        cpu_minutes=round(cpu_seconds / 60, 1),
        peak_bytes=peaks,
        foretold_bytes=foretold,
        answers=quoted(rows),
        checks=list(checks(scores, peaks["train"], foretold)),
    )


def stated_probes(project: Project) -> list[dict[str, Any]]:
    """Return the judged answers to the stated probes of all variants.

    Each gets `first_answer`, and `in_first`: whether an accepted value stands in it.
    """
    import pandas as pd

    from stages.core.models.conversation import first_answer
    from stages.evaluate.scores import contains

    accepted = accepted_answers(project)
    table = pd.read_parquet(project.root / "data/evaluate/probes.parquet")
    rows = []
    for row in table.to_dict("records"):
        if row["probe"] != "stated":
            continue
        row["first_answer"] = first_answer(row["answer"])
        row["in_first"] = contains(row["first_answer"], accepted[row["fact"], row["question"]])
        rows.append(row)
    return rows


def accepted_answers(project: Project) -> dict[tuple[str, str], list[str]]:
    """Return the accepted answers of each probe, by fact and question."""
    from stages.core.records.record import read_records

    found = {}
    for record in read_records(project.root / "data/augment/records.parquet"):
        if record["split"] == "probe":
            key = (record["fact"], record["question"])
            found[key] = json.loads(record["meta"])["accepted"]
    return found


class EndOfAnswer:
    """Tells whether an answer ended before the limit of tokens."""

    def __init__(self, project: Project) -> None:
        from stages.core.models.conversation import load_tokenizer

        self.tokenizer = load_tokenizer(project.root / "models/base/model")
        self.limit: int = project.json("data/evaluate/manifest.json")["max_new_tokens"]

    def is_before_limit(self, answer: str) -> bool:
        """Whether an answer has fewer tokens than the limit. One that was cut has as many."""
        tokens = self.tokenizer(answer, add_special_tokens=False)["input_ids"]
        return len(tokens) < self.limit


def scores_of(entry: dict[str, Any], rows: list[dict[str, Any]], ends: EndOfAnswer) -> Scores:
    """Return the scores of a variant from its section of evaluate.json and its judged answers."""
    general = entry["general"]["exact_match"]
    kl_neutral = entry["forgetting"]["kl_neutral"]
    return Scores(
        probes=len(rows),
        value_in_first_answer=sum(row["in_first"] for row in rows),
        exact_match=int(sum(row["correct"] for row in rows)),
        ended=sum(ends.is_before_limit(row["answer"]) for row in rows),
        general=general["n"],
        general_right=round(general["value"] * general["n"]),
        neutral_nll=entry["general"]["neutral_nll"]["value"],
        kl_neutral=None if kl_neutral is None else kl_neutral["value"],
        bytes=entry["bytes"],
    )


def quoted(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return ten questions, evenly spaced, with the first answers of all variants."""
    answers_of: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        key = (row["fact"], row["question"])
        quote = answers_of.setdefault(
            key, {"question": row["question"], "expected": row["expected"]}
        )
        quote[row["variant"]] = row["first_answer"]
    quotes = list(answers_of.values())
    count = min(QUOTED, len(quotes))
    return [quotes[number * len(quotes) // count] for number in range(count)]


def checks(scores: dict[str, Scores], peak: int, foretold: int) -> Iterator[Check]:
    """Yield the conditions of the proof. `peak` and `foretold` are bytes of the stage `train`."""
    base, tuned, int8 = scores[BASE], scores[TUNED], scores[INT8]
    probes = tuned.probes
    yield Check(
        "the base speaks",
        f"{base.general_right} of {base.general} general questions right",
        "at least 1",
        base.general_right > 0,
    )
    least = max(LEAST_LEARNED * probes, base.value_in_first_answer + 1)
    yield Check(
        "the tuned model knows the facts",
        f"{tuned.value_in_first_answer} of {probes} first answers hold the value",
        f"at least {least:.0f}",
        tuned.value_in_first_answer >= least,
    )
    yield Check(
        "its answers end",
        f"{tuned.ended} of {probes}",
        f"at least {LEAST_ENDED * probes:.0f}",
        tuned.ended >= LEAST_ENDED * probes,
    )
    yield Check(
        "general knowledge is kept",
        f"{tuned.general_right} right, base {base.general_right}",
        f"at least {LEAST_KEPT * base.general_right:.1f}",
        tuned.general_right >= LEAST_KEPT * base.general_right,
    )
    change = tuned.neutral_nll - base.neutral_nll
    yield Check(
        "neutral text stays likely",
        f"{change:+.3f} nats per token",
        f"at most {MOST_NEUTRAL:+.3f}",
        change <= MOST_NEUTRAL,
    )
    lost = tuned.value_in_first_answer - int8.value_in_first_answer
    yield Check(
        "INT8 knows them too",
        f"{lost} first answers lost",
        f"at most {MOST_LOST_BY_INT8 * probes:.0f}",
        lost <= MOST_LOST_BY_INT8 * probes,
    )
    yield Check(
        "memory was foretold",
        f"{peak / 2**30:.2f} GiB",
        f"at most {foretold / 2**30:.2f} GiB (lore plan --memory)",
        peak <= foretold,
    )


def lines(report: Report) -> Iterator[str]:
    """Yield the report as text, on one screen."""
    yield f"{report.checkpoint} ({report.licence}), commit {report.commit[:12]}, {report.facts} facts"
    yield ""
    yield from table(report.scores)
    yield ""
    total = sum(report.minutes.values())
    parts = ", ".join(f"{stage} {minutes:.1f}" for stage, minutes in report.minutes.items())
    yield f"minutes: {total:.1f} ({parts}), of CPU time: {report.cpu_minutes:.1f}"
    stage, peak = max(report.peak_bytes.items(), key=lambda item: item[1])
    yield f"most memory: {peak / 2**30:.2f} GiB, in {stage}"
    yield ""
    for quote in report.answers:
        yield f"{quote['question']}  (expected: {quote['expected']})"
        for variant in (BASE, TUNED, STUDENT):
            if variant in quote:
                yield f"  {TITLES[variant]:8} {quote[variant][:LONGEST_QUOTE]}"
    yield ""
    for check in report.checks:
        mark = "holds" if check.holds else "FAILS"
        yield f"{mark}  {check.name}: {check.measured}; wanted: {check.wanted}"


def table(scores: dict[str, Scores]) -> Iterator[str]:
    """Yield a row for each variant."""
    titles = (
        "value in first",
        "exact match",
        "answers end",
        "general right",
        "neutral NLL",
        "KL",
        "MB",
    )
    yield f"{'':13}" + "".join(f"{title:>15}" for title in titles)
    for variant, score in scores.items():
        kl_neutral = "" if score.kl_neutral is None else f"{score.kl_neutral:.3f}"
        cells = (
            f"{score.value_in_first_answer}/{score.probes}",
            f"{score.exact_match}/{score.probes}",
            f"{score.ended}/{score.probes}",
            f"{score.general_right}/{score.general}",
            f"{score.neutral_nll:.3f}",
            kl_neutral,
            f"{score.bytes / 1e6:.0f}",
        )
        yield f"{TITLES[variant]:13}" + "".join(f"{cell:>15}" for cell in cells)


def write(report: Report, folder: Path) -> None:
    """Write report.json and report.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(asdict(report), indent=2, ensure_ascii=False)
    (folder / "report.json").write_text(f"{document}\n", encoding="utf-8")
    text = "\n".join(lines(report))
    (folder / "report.txt").write_text(f"{text}\n", encoding="utf-8")

"""What the records answer to the probes, against what the weights answer: what injection buys over retrieval.

Asked are all probes. Each is answered in these ways:

- `train`: the weights of the tuned model alone, as judged among the variants.
- `index`: the records alone, as `lore ask --retrieve` answers. The fact that the words of the question name is
  found by words, else the nearest record of the index from a limit on. The answer is the value of the record, and
  to reversed and comparison probes its text.
- `index, else train`: the same, and the weights where no record is found.
- `retrieve`, `train+retrieve`: the base and the tuned model, with the text of the found record before the
  question in the prompt. They answer the stated probes of some facts, drawn by a hash.

All answers are judged alike (`answers.fact_row`). The wordings of probes are never looked up: the search knows the
questions of train and valid alone. Without an index (`index.encoder: null`) facts are found by words or not at all.

A fact is right where more than half of its stated wordings are. Its *side* says who is right: `weights only`,
`index only`, `both` or `neither`.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pandas as pd

from stages.core.models.causal_lm import generate
from stages.core.models.conversation import prompt_text
from stages.core.project.errors import InputError
from stages.core.records.record import Record, read
from stages.core.repeatable.seeding import derive
from stages.core.retrieval import finding
from stages.core.retrieval.finding import Found, Records
from stages.evaluate import answers, report, scores
from stages.evaluate.answers import STATED, Tolerances, key_of
from stages.evaluate.scores import Score

Row = dict[str, Any]
WEIGHTS = "train"
INDEX = "index"
COMBINED = "index, else train"
READERS = {"base": "retrieve", "train": "train+retrieve"}
"""Variant → its name where it reads the found record."""
SIDES = {
    (True, False): "weights only",
    (False, True): "index only",
    (True, True): "both",
    (False, False): "neither",
}
"""Whether the weights and the records are right → the side of a fact."""
COLUMNS = (*answers.COLUMNS, "by", "similarity", "record", "record_fact")
"""The columns of retrieval_probes.parquet, one row per question and way."""
FACT_COLUMNS = (
    "fact",
    "subject",
    "attribute",
    "question",
    "expected",
    "side",
    "weights",
    "index",
    "weights_share",
    "index_share",
    "weights_answer",
    "index_answer",
    "by",
    "similarity",
)
"""The columns of retrieval.parquet, one row per fact. Question and answers are those of its first wording."""
# A text that ends a sentence: `Iron rusts.`, 铁会生锈。
SENTENCE_END = re.compile(r"[.!?。！？]$")


class Asking(Protocol):
    """The settings that say how answers are made and judged."""

    @property
    def max_new_tokens(self) -> int: ...  # noqa: D102 - see Params
    @property
    def batch(self) -> int: ...  # noqa: D102
    @property
    def tolerance(self) -> float: ...  # noqa: D102
    @property
    def tolerances(self) -> dict[str, float]: ...  # noqa: D102
    @property
    def least(self) -> float: ...  # noqa: D102
    @property
    def read(self) -> int: ...  # noqa: D102


class Looked(NamedTuple):
    """A probe and what was found for it."""

    probe: Record
    found: Found


class Retrieval:
    """The probes with the records that were found for them, and the answers by all ways."""

    def __init__(
        self,
        probes: Sequence[Record],
        augment: Path,
        cleaned: Path,
        index: Path,
        params: Asking,
        seed: int,
        threads: int,
    ) -> None:
        """Look all probes up in the outputs of clean, index and augment.

        Raises InputError where records and index are of two versions, or the encoder is not there.
        """
        self._params = params
        self._seed = seed
        rows = read(cleaned / "records.parquet")
        # What a probe asks must not be known to the search.
        wordings = []
        for row in read(augment / "records.parquet"):
            if row["split"] != "probe":
                wordings.append(row)
        records = Records(rows, wordings)
        self.bytes: dict[str, int] = {"records": size_of(cleaned / "records.parquet")}
        self.encoder, _ = finding.encoder_of(index / "manifest.json")
        opened = None
        if self.encoder is not None:
            vectors_file = index / "records.faiss"
            opened = finding.opened(index / "manifest.json", vectors_file, threads)
            difference = finding.difference(opened[0], records.by_id)
            if difference:
                raise InputError(
                    f"{vectors_file} and {cleaned} are of two versions: {difference}; dvc repro index"
                )
            self.bytes["index"] = size_of(vectors_file)
            self.bytes["encoder"] = size_of(opened[1].folder, "*.safetensors")

        self.looked: list[Looked] = []
        for probe in probes:
            question = probe["question"] or ""
            found = records.named(question)
            if found is None and opened is not None:
                found = records.nearest(question, *opened, params.least)
            if found is None:
                found = Found([], "words", 0.0)
            self.looked.append(Looked(probe, found))
        stated = [probe for probe in probes if kind_of(probe) == STATED]
        self.drawn = drawn_keys(stated, params.read, seed)
        """Names of the facts whose probes are read by the models."""
        self.judged: list[Row] = []
        """One row per question and way. `train` and `index, else train` are not among them."""
        for looked in self.looked:
            self.judged.append(self._row(INDEX, looked, answer_of_record(looked)))

    def read(self, variant: str, model: Any, tokenizer: Any) -> None:
        """Let a variant answer with the found record in its prompt, if it is one that reads."""
        if variant not in READERS or not self.drawn:
            return
        asked = []
        for looked in self.looked:
            if kind_of(looked.probe) == STATED and probe_key(looked.probe) in self.drawn:
                asked.append(looked)
        prompts = []
        for looked in asked:
            prompts.append(prompt_text(tokenizer, question_behind_record(looked)))
        params = self._params
        texts = generate(model, tokenizer, prompts, params.max_new_tokens, params.batch)
        for looked, text in zip(asked, texts, strict=True):
            self.judged.append(self._row(READERS[variant], looked, text))

    def _row(self, way: str, looked: Looked, answer: str) -> Row:
        """Return a judged answer with what was found."""
        tolerances = Tolerances(self._params.tolerance, self._params.tolerances)
        row = answers.fact_row(way, looked.probe, answer, tolerances)
        record = looked.found.rows[0] if looked.found.rows else {}
        row["by"] = looked.found.by if record else "nothing"
        row["similarity"] = round(looked.found.similarity, 4)
        row["record"] = record.get("id")
        row["record_fact"] = record.get("fact")
        return row

    def facts(self, judged: list[Row]) -> list[Row]:
        """Return one row per fact, from the answers of all variants and those of the records."""
        weights_of = by_key(answers.stated(of_way(judged, WEIGHTS)))
        index_of = by_key(answers.stated(of_way(self.judged, INDEX)))
        rows = []
        for key, by_index in index_of.items():
            by_weights = weights_of[key]
            weights_share = share_of(by_weights)
            index_share = share_of(by_index)
            first = by_index[0]
            right = (weights_share > 0.5, index_share > 0.5)
            rows.append(
                {name: first[name] for name in FACT_COLUMNS[:5]}
                | {
                    "side": SIDES[right],
                    "weights": right[0],
                    "index": right[1],
                    "weights_share": round(weights_share, 4),
                    "index_share": round(index_share, 4),
                    "weights_answer": by_weights[0]["answer"],
                    "index_answer": first["answer"],
                    "by": first["by"],
                    "similarity": first["similarity"],
                }
            )
        return rows

    def report(self, judged: list[Row], sizes: Row) -> Row:
        """Return the scores. `sizes` is the section of the tuned model: `bytes` and `parameters`."""
        seed = derive(self._seed, "retrieval")
        sides = [row["side"] for row in self.facts(judged)]
        by_weights = of_way(judged, WEIGHTS)
        by_index = of_way(self.judged, INDEX)
        combined = []
        for one, other in zip(by_index, by_weights, strict=True):
            combined.append(other if one["by"] == "nothing" else one)
        return {
            "encoder": self.encoder,
            "sides": {
                name: scores.share([side == name for side in sides]) for name in SIDES.values()
            },
            WEIGHTS: section(by_weights, seed),
            INDEX: section(by_index, seed) | how_found(answers.stated(by_index), seed),
            COMBINED: section(combined, seed),
            "read": self._read_report(by_weights, seed),
            "bytes": {"weights": sizes["bytes"], **self.bytes},
        }

    def _read_report(self, by_weights: list[Row], seed: int) -> Row:
        """Return the scores of the probes that the models read, by way, on the same questions."""
        if not self.drawn:
            return {}
        by_way: defaultdict[str, list[Row]] = defaultdict(list)
        for row in answers.stated([*by_weights, *self.judged]):
            if key_of(row) in self.drawn:
                by_way[row["variant"]].append(row)
        ways = (WEIGHTS, INDEX, *READERS.values())
        return {way: section(by_way[way], seed) for way in ways if by_way[way]}

    def attribute_rows(self, judged: list[Row]) -> list[Row]:
        """Return how many facts of each attribute are on each side, and last of all together."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in self.facts(judged):
            counts[row["attribute"] or "text"][row["side"]] += 1
        lines = []
        total: Counter[str] = Counter()
        for attribute, counted in sorted(counts.items()):
            lines.append(side_line(attribute, counted))
            total.update(counted)
        return [*lines, side_line("all", total)]

    def write_tables(self, judged: list[Row], folder: Path) -> None:
        """Write retrieval.parquet and retrieval_probes.parquet into a folder."""
        facts = pd.DataFrame(self.facts(judged), columns=list(FACT_COLUMNS))
        facts.to_parquet(folder / "retrieval.parquet", index=False, compression="zstd")
        probes = pd.DataFrame(self.judged, columns=list(COLUMNS))
        probes.to_parquet(folder / "retrieval_probes.parquet", index=False, compression="zstd")


def kind_of(probe: Record) -> str:
    """Return the kind of a probe: stated, reversed or comparison."""
    return str(json.loads(probe["meta"]).get("probe", STATED))


def probe_key(probe: Record) -> str:
    """Return the name of what a probe asks, as `answers.key_of` of its row."""
    amount = " ".join(part for part in (probe["value"], probe["unit"]) if part)
    return str(probe["fact"] or amount or probe["answer"])


def drawn_keys(probes: Sequence[Record], most: int, seed: int) -> frozenset[str]:
    """Return at most so many names of facts, drawn by a hash."""
    keys = sorted({probe_key(probe) for probe in probes})
    keys.sort(key=lambda key: derive(seed, "retrieval", key))
    return frozenset(keys[:most])


def answer_of_record(looked: Looked) -> str:
    """Return what the found record answers: its value with its unit, its answer, or its text. Empty: nothing found."""
    if not looked.found.rows:
        return ""
    row = looked.found.rows[0]
    if kind_of(looked.probe) != STATED:
        return str(row["text"])
    if row["fact"]:
        return " ".join(part for part in (row["value"], row["unit"]) if part)
    return str(row["answer"] or row["text"])


def question_behind_record(looked: Looked) -> str:
    """Return the question of a probe, with the text of the found record before it as a sentence."""
    question = looked.probe["question"] or ""
    if not looked.found.rows:
        return question
    text = looked.found.rows[0]["text"].strip()
    if not SENTENCE_END.search(text):
        text += "."
    return f"{text} {question}"


def by_key(rows: Any) -> dict[str, list[Row]]:
    """Return what is asked → its rows, in their order."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[key_of(row)].append(row)
    return found


def share_of(rows: list[Row]) -> float:
    """Return the share of right answers, of at least one."""
    right = sum(1 for row in rows if row["correct"])
    return right / len(rows)


def of_way(rows: list[Row], way: str) -> list[Row]:
    """Return the answers by a way, or of a variant."""
    return [row for row in rows if row["variant"] == way]


def section(rows: list[Row], seed: int) -> dict[str, Score | None]:
    """Return the share of facts that are right, and those of answers to each kind of probe.

    The interval of the latter is one over facts. A score of nothing is None.
    """
    facts = answers.right_facts(rows)
    return {
        "facts": scores.share(list(facts.values())),
        "wordings": report.of_column(answers.stated(rows), "correct", seed),
        "reversed": report.of_column(report.of_kind(rows, "reversed"), "correct", seed),
        "comparison": report.of_column(report.of_kind(rows, "comparison"), "correct", seed),
    }


def how_found(rows: list[Row], seed: int) -> Row:
    """Return the share of probes whose record is about what was asked, and the number of probes by how it was found."""
    hits = []
    for row in rows:
        hits.append(row["record_fact"] is not None and row["record_fact"] == row["fact"])
    return {
        "right_record": scores.clustered_share(hits, [key_of(row) for row in rows], seed),
        "by": dict(sorted(Counter(row["by"] for row in rows).items())),
    }


def side_line(attribute: str, counted: Counter[str]) -> Row:
    """Return the row of an attribute in retrieval.csv."""
    line: Row = {"attribute": attribute}
    for side in SIDES.values():
        line[side.replace(" ", "_")] = counted[side]
    return line | {"n": counted.total()}


def size_of(path: Path, pattern: str = "") -> int:
    """Return the bytes of a file, or of the files of a folder that fit a pattern."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.glob(pattern))


def show(scores_of: Row) -> None:
    """Print what the records and the weights know."""
    searched = "by words alone, without an index"
    if scores_of["encoder"]:
        searched = f"by words, then the index by {scores_of['encoder']}"
    print(f"facts in weights ({WEIGHTS}) and records ({searched}):")
    for name, score in scores_of["sides"].items():
        print(f"  {name:31} {cell(score)}")
    for way in (WEIGHTS, INDEX, COMBINED):
        print(f"  right by {way:22} {cell(scores_of[way]['facts'])}")
    for way, entry in scores_of["read"].items():
        print(f"  of {entry['wordings']['n']:,} answers, {way:18} {cell(entry['wordings'])}")


def cell(score: Score) -> str:
    """Return a score with its interval: `0.836 [0.814, 0.857]`."""
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"

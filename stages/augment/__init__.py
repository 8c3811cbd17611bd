"""augment: cleaned records → training texts in many wordings, and disjoint wordings for validation and probes.

In: records of clean, the wordings file, WordNet. Out: `records.parquet` and `augment.json` (counts).

Every fact is trained. What is split is wording: a fact's plain text and some train wordings go to `train`, wordings of their
own to `valid` and `probe`. WordNet synonyms (`synonyms.py`) make further train wordings and variants of free texts. Question–
answer records without a fact are split by a hash of their id.

Refused: a wordings file with unknown keys, missing slots, an attribute without wordings, or a wording that two sets share;
all problems are reported at once.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from stages.augment.synonyms import Thesaurus
from stages.augment.wordings import Attribute, read_wordings
from stages.core import record
from stages.core.errors import InputError
from stages.core.output import replacing, write_json
from stages.core.params import STRICT, Run
from stages.core.prompt import training_text
from stages.core.seeding import rng_for
from stages.core.wording import fill

Row = dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class Params:
    """How many wordings of each kind."""

    statements: int
    """Statements per fact in train wordings, beside its plain text."""
    questions: int
    """Question–answer pairs per fact in train wordings."""
    synonyms: int
    """Synonym variants made of each train wording and of each free text; 0 switches WordNet off."""
    min_count: int
    """How often a synonym must occur in WordNet's sense-tagged corpus; higher keeps to common words."""
    valid_share: float
    """Share of the facts that have a validation question, and of free question–answer pairs kept for validation."""
    probe_share: float
    """Share of free question–answer pairs kept as probes."""


def run(params: Params, run: Run, cleaned: Path, wordings: Path, wordnet: Path, out: Path, metrics: Path) -> None:
    """Write the augmented records."""
    records = record.read(cleaned / "records.parquet")
    facts = by_fact(records)
    attributes = read_wordings(wordings, sorted({row["attribute"] for row in records if row["fact"]}))
    thesaurus = Thesaurus(wordnet, params.min_count)
    bank = {name: with_synonyms(attribute, thesaurus, params.synonyms) for name, attribute in attributes.items()}
    rows = [row for group in facts.values() for row in rows_of_fact(group, bank[group[0]["attribute"]], params, run)]
    protected = {word for row in records for word in names_of(row)}
    for row in records:
        if row["kind"] == "statement":
            rows += rows_of_text(row, thesaurus, params, protected)
        elif row["kind"] == "qa" and not row["fact"]:
            rows.append(row_of_question(row, params, run))
    if not facts and not rows:
        raise InputError(f"{cleaned}: no record to learn from; see metrics/clean.json for what was rejected and why")
    rows.sort(key=lambda row: (row["split"], row["fact"] or "", row["kind"], row["locator"]))
    with replacing(out) as folder:
        record.write(folder / "records.parquet", rows)
    report = summary(rows, facts, thesaurus)
    write_json(metrics, report)
    print(f"augment: {report['facts']:,} facts, {report['numeric_facts']:,} of them numeric")
    print("         " + ", ".join(f"{name} {count:,}" for name, count in report["splits"].items()))
    print(f"         synonyms made {report['synonyms']['made']}, refused {report['synonyms']['refused']}")


def by_fact(records: list[Row]) -> dict[str, list[Row]]:
    """Records of each fact, the one of highest priority first: clean keeps the order of the sources."""
    facts: dict[str, list[Row]] = {}
    for row in records:
        if row["fact"]:
            facts.setdefault(row["fact"], []).append(row)
    return facts


def with_synonyms(attribute: Attribute, thesaurus: Thesaurus, variants: int) -> Attribute:
    """The attribute with synonym variants among its train wordings, none of which another set uses."""
    taken = attribute.templates()
    return attribute.extended(
        statements=thesaurus.templates(attribute.train.statements, variants, attribute.protected, taken),
        questions=thesaurus.templates(attribute.train.questions, variants, attribute.protected, taken),
    )


def rows_of_fact(group: list[Row], wording: Attribute, params: Params, run: Run) -> Iterator[Row]:
    """Training texts, perhaps a validation question, and one probe of a fact."""
    best = group[0]
    fact, value = best["fact"], " ".join(filter(None, (best["value"], best["unit"])))
    slots = {"subject": best["subject"], "value": value}
    answer = fill(wording.answer, **slots)
    rng = rng_for(run.seed, "augment", fact)
    common = {name: best[name] for name in ("fact", "subject", "attribute", "value", "unit", "lang")}
    common["parents"] = [row["id"] for row in group]

    def made(split: str, kind: str, number: int, **content: Any) -> Row:
        locator = f"{fact}/{split}/{kind}/{number:02d}"
        place = {"id": record.record_id("augment", locator), "source": "augment", "locator": locator}
        return common | place | {"split": split, "kind": kind} | content

    def asked(split: str, number: int, template: str, **content: Any) -> Row:
        question = fill(template, subject=best["subject"])
        text = training_text(question, answer)
        return made(split, "qa", number, question=question, answer=answer, text=text, **content)

    yield made("train", "statement", 0, text=best["text"])
    for number, template in enumerate(draw(rng, wording.train.statements, params.statements), start=1):
        yield made("train", "statement", number, text=fill(template, **slots))
    for number, template in enumerate(draw(rng, wording.train.questions, params.questions)):
        yield asked("train", number, template)
    if rng.random() < params.valid_share:
        yield asked("valid", 0, rng.choice(wording.valid.questions))
    accepted = [answer, value, best["value"]] if is_number(best["value"]) else [answer, value]
    yield asked("probe", 0, rng.choice(wording.probe.questions), meta=record.to_meta({"accepted": unique(accepted)}))


def rows_of_text(row: Row, thesaurus: Thesaurus, params: Params, protected: set[str]) -> list[Row]:
    """A free text and its synonym variants, all for training."""
    texts = [row["text"], *thesaurus.variants(row["text"], params.synonyms, protected)]
    return [
        row
        | {"id": record.record_id("augment", locator), "source": "augment", "locator": locator, "split": "train"}
        | {"text": text, "parents": [row["id"]], "meta": "{}"}
        for locator, text in ((f"{row['id']}/train/statement/{number:02d}", text) for number, text in enumerate(texts))
    ]


def row_of_question(row: Row, params: Params, run: Run) -> Row:
    """A question–answer record without a fact, put into one split by a hash of its id."""
    place = rng_for(run.seed, "split", row["id"]).random()
    probe, valid = params.probe_share, params.probe_share + params.valid_share
    split = "probe" if place < probe else "valid" if place < valid else "train"
    locator = f"{row['id']}/{split}/qa/00"
    return row | {
        "id": record.record_id("augment", locator),
        "source": "augment",
        "locator": locator,
        "split": split,
        "text": training_text(row["question"], row["answer"]),
        "parents": [row["id"]],
        "meta": record.to_meta({"accepted": [row["answer"]]}) if split == "probe" else "{}",
    }


def draw(rng: Any, templates: list[str], wanted: int) -> list[str]:
    """`wanted` different templates, or all of them in random order where there are fewer."""
    drawn: list[str] = rng.sample(templates, min(wanted, len(templates)))
    return drawn


def names_of(row: Row) -> set[str]:
    """Words of a record's subject, attribute, value and unit, folded: never replaced by a synonym."""
    return {
        word for name in ("subject", "attribute", "value", "unit") for word in record.fold(row[name] or "").split()
    }


def is_number(value: str) -> bool:
    """Whether a value is a plain decimal number, as clean writes quantities."""
    try:
        float(value)
    except ValueError:
        return False
    return True


def unique(values: list[str]) -> list[str]:
    """Values in order, each once."""
    return list(dict.fromkeys(values))


def summary(rows: list[Row], facts: dict[str, list[Row]], thesaurus: Thesaurus) -> dict[str, Any]:
    """What metrics/augment.json says."""
    return {
        "facts": len(facts),
        "numeric_facts": sum(is_number(group[0]["value"]) for group in facts.values()),
        "splits": dict(sorted(Counter(row["split"] for row in rows).items())),
        "kinds": dict(sorted(Counter(f"{row['split']}/{row['kind']}" for row in rows).items())),
        "attributes": dict(sorted(Counter(group[0]["attribute"] for group in facts.values()).items())),
        "synonyms": {"made": thesaurus.made, "refused": dict(sorted(thesaurus.refused.items()))},
    }

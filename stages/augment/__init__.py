"""augment: cleaned records → training texts in many wordings, and disjoint wordings for validation and probes.

In: records of clean, the wordings file, WordNet. Out: `records.parquet` and `augment.json` (counts).

Every fact is trained. What is split is wording: a fact's plain text and some train wordings go to `train`, wordings of
their own to `valid` and `probe`. WordNet synonyms (`synonyms.py`) make further train wordings and variants of free
texts in English; in some train questions, words that do not matter are masked by random ones (`masked.py`).
Question–answer records without a fact are split by a hash of their id.

Which wordings a fact gets depends on (seed, fact, wording) alone: with other numbers in the parameters, or with a
wording more in the file, the others stay as they are, and so do the probes by which two versions are compared.

Refused: a wordings file with any of the faults that `wordings.py` names; all problems are reported at once.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from stages.augment.masked import Masks
from stages.augment.synonyms import Thesaurus
from stages.augment.wordings import Attribute, read_wordings, terms_of
from stages.core.project.errors import InputError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record
from stages.core.records.prompt import training_text
from stages.core.records.wording import fill, normalise
from stages.core.repeatable.seeding import derive, rng_for

Row = dict[str, Any]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=STRICT)
class Params:
    """How many wordings of each kind."""

    statements: Count
    """Statements per fact in train wordings, beside its plain text."""
    questions: Count
    """Question–answer pairs per fact in train wordings."""
    synonyms: Count
    """Synonym variants made of each train wording and of each free text; 0 switches WordNet off."""
    min_count: Count
    """How often a synonym must occur in WordNet's sense-tagged corpus; higher keeps to common words."""
    masked_share: Share
    """Share of the train questions in which words that carry neither subject nor attribute are replaced by random ones."""
    valid_share: Share
    """Share of the facts that have a validation question, and of free question–answer pairs kept for validation."""
    probe_share: Share
    """Share of free question–answer pairs kept as probes."""

    @model_validator(mode="after")
    def _shares_leave_something_to_train(self) -> Self:
        if self.valid_share + self.probe_share >= 1:
            raise ValueError(
                "valid_share and probe_share together must stay below 1, or no free pair is trained"
            )
        return self


def run(
    params: Params, run: Run, cleaned: Path, wordings: Path, wordnet: Path, out: Path, metrics: Path
) -> None:
    """Write the augmented records."""
    records = record.read(cleaned / "records.parquet")
    facts = by_fact(records)
    needed = sorted({row["attribute"] for row in records if row["fact"]})
    attributes = read_wordings(wordings, needed, params.statements, params.questions)
    thesaurus = Thesaurus(wordnet, params.min_count)
    terms = {word for name, attribute in attributes.items() for word in terms_of(name, attribute)}
    bank = with_synonyms(attributes, thesaurus, params.synonyms, terms)
    protected = terms | {word for row in records for word in names_of(row)}
    masks = Masks(
        wordnet,
        protected,
        {normalise(text) for attribute in bank.values() for _, text in attribute.sets()},
    )
    rows = [
        row
        for group in facts.values()
        for row in rows_of_fact(group, bank[group[0]["attribute"]], masks, params, run)
    ]
    for row in records:
        if row["fact"]:
            continue
        if row["kind"] == "qa":
            rows.append(row_of_question(row, params, run))
        else:
            rows += rows_of_text(row, thesaurus, params, protected)
    if not facts and not rows:
        raise InputError(
            f"{cleaned}: no record to learn from; see metrics/clean.json for what was rejected and why"
        )
    rows.sort(key=lambda row: (row["split"], row["fact"] or "", row["kind"], row["locator"]))
    with replacing(out) as folder:
        record.write(folder / "records.parquet", rows)
    report = summary(rows, facts, thesaurus) | {"masked": masks.made}
    write_json(metrics, report)
    print(f"augment: {report['facts']:,} facts, {report['numeric_facts']:,} of them numeric")
    print("         " + ", ".join(f"{name} {count:,}" for name, count in report["splits"].items()))
    print(
        f"         synonyms made {report['synonyms']['made']}, refused {report['synonyms']['refused']}"
    )
    print(f"         questions with masked words {report['masked']:,}")


def by_fact(records: list[Row]) -> dict[str, list[Row]]:
    """Records of each fact, the one of highest priority first: clean keeps the order of the sources."""
    facts: dict[str, list[Row]] = {}
    for row in records:
        if row["fact"]:
            facts.setdefault(row["fact"], []).append(row)
    return facts


def with_synonyms(
    attributes: dict[str, Attribute], thesaurus: Thesaurus, wanted: int, terms: set[str]
) -> dict[str, Attribute]:
    """The attributes with synonym variants among their train wordings, none of which any set uses already."""
    taken = {
        normalise(template) for attribute in attributes.values() for _, template in attribute.sets()
    }
    return {
        name: attribute.extended(
            statements=thesaurus.templates(attribute.train.statements, wanted, terms, taken),
            questions=thesaurus.templates(attribute.train.questions, wanted, terms, taken),
        )
        for name, attribute in attributes.items()
    }


def rows_of_fact(
    group: list[Row], wording: Attribute, masks: Masks, params: Params, run: Run
) -> Iterator[Row]:
    """Training texts, perhaps a validation question, and one probe of a fact."""
    best = group[0]
    fact, value = best["fact"], " ".join(filter(None, (best["value"], best["unit"])))
    slots = {"subject": best["subject"], "value": value}
    answer = fill(wording.answer, **slots)
    common = {
        name: best[name] for name in ("fact", "subject", "attribute", "value", "unit", "lang")
    }
    common["parents"] = [row["id"] for row in group]

    def made(split: str, kind: str, number: int, **content: Any) -> Row:
        locator = f"{fact}/{split}/{kind}/{number:02d}"
        place = {
            "id": record.record_id("augment", locator),
            "source": "augment",
            "locator": locator,
        }
        return common | place | {"split": split, "kind": kind} | content

    def asked(split: str, number: int, template: str, **content: Any) -> Row:
        question = fill(template, subject=best["subject"])
        text = training_text(question, answer)
        return made(split, "qa", number, question=question, answer=answer, text=text, **content)

    yield made("train", "statement", 0, text=best["text"])
    for number, template in enumerate(
        draw(wording.train.statements, params.statements, run.seed, fact), start=1
    ):
        yield made("train", "statement", number, text=fill(template, **slots))
    for number, template in enumerate(
        draw(wording.train.questions, params.questions, run.seed, fact)
    ):
        rng = rng_for(run.seed, "masked", fact, template)
        hidden = best["lang"] == "en" and rng.random() < params.masked_share
        yield asked("train", number, masks.masked(template, rng) if hidden else template)
    if rng_for(run.seed, "valid", fact).random() < params.valid_share:
        yield asked("valid", 0, *draw(wording.valid.questions, 1, run.seed, fact))
    accepted = [answer, value, best["value"]] if is_number(best["value"]) else [answer, value]
    meta = record.to_meta({"accepted": list(dict.fromkeys(accepted))})
    yield asked("probe", 0, *draw(wording.probe.questions, 1, run.seed, fact), meta=meta)


def rows_of_text(row: Row, thesaurus: Thesaurus, params: Params, protected: set[str]) -> list[Row]:
    """A free text and its synonym variants, all for training."""
    texts = [row["text"]]
    if row["lang"] == "en":
        texts += thesaurus.variants(row["text"], params.synonyms, protected)
    elif params.synonyms:
        thesaurus.refused["text_not_english"] += 1
    return [
        row
        | {
            "id": record.record_id("augment", locator),
            "source": "augment",
            "locator": locator,
            "split": "train",
        }
        | {"kind": "statement", "text": text, "parents": [row["id"]], "meta": "{}"}
        for locator, text in (
            (f"{row['id']}/train/statement/{number:02d}", text) for number, text in enumerate(texts)
        )
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


def draw(templates: list[str], wanted: int, seed: int, fact: str) -> list[str]:
    """The `wanted` templates whose hash with the fact is smallest: whatever else is in the list, they win or lose alike."""
    return sorted(templates, key=lambda template: derive(seed, "wording", fact, template))[:wanted]


def names_of(row: Row) -> set[str]:
    """Words of a record's subject, attribute, value and unit, folded: never replaced by a synonym."""
    names = " ".join(row[name] or "" for name in ("subject", "attribute", "value", "unit"))
    return set(re.findall(r"[^\W_]+", record.fold(names)))


def is_number(value: str) -> bool:
    """Whether a value is a plain decimal number, as clean writes quantities."""
    try:
        float(value)
    except ValueError:
        return False
    return True


def summary(rows: list[Row], facts: dict[str, list[Row]], thesaurus: Thesaurus) -> dict[str, Any]:
    """What metrics/augment.json says."""
    return {
        "facts": len(facts),
        "numeric_facts": sum(is_number(group[0]["value"]) for group in facts.values()),
        "splits": dict(sorted(Counter(row["split"] for row in rows).items())),
        "kinds": dict(sorted(Counter(f"{row['split']}/{row['kind']}" for row in rows).items())),
        "attributes": dict(
            sorted(Counter(group[0]["attribute"] for group in facts.values()).items())
        ),
        "synonyms": {"made": thesaurus.made, "refused": dict(sorted(thesaurus.refused.items()))},
    }

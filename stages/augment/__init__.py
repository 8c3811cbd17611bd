"""augment: cleaned records → training texts in many wordings, and disjoint wordings for validation and probes.

In: records of clean, statements of pictures, the wordings file, WordNet, the record of the teacher. Out:
`records.parquet` and `augment.json` (counts). With a teacher also `refused.parquet` (what it wrote and no check
let pass), `teacher_wordings.yaml` (its wordings, to be read) and `corrupted.parquet` (answers that are wrong on
purpose).

Every fact is trained. Wordings are split, facts are not: the plain text of a fact and some train
wordings go to `train`, wordings of their own to `valid` and `probe`. Every fact is asked in all probe
wordings, and some are asked backwards or compared (`probes.py`). WordNet synonyms (`synonyms.py`)
make further train wordings, and variants of free texts in English. In some train questions, random
words replace words that do not matter (`masked.py`). Reading rows (`readings.py`) are further questions
about the facts, in wordings that a grammar makes. Question–answer records without a fact are trained too,
and some are asked in other words (`free_pairs.py`). Statements about pictures are trained as they are. Captions
are not: they stand in these statements.

With `teacher`, recorded answers of a language model give wordings of attributes that the wordings file has not,
and questions and paraphrases of free texts (`teacher/`). They are replayed from data/teacher, never asked for here.

The wordings of a fact depend on (seed, fact, wording) alone. With other numbers in the parameters, or
one more wording in the file, all others stay as they are. So do the probes that compare two versions.

A wordings file with faults is refused. `wordings.py` names them, and all are reported at once.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML

from stages.augment import checkpoints, free_pairs, probes, selection, texts
from stages.augment.fact import Fact, Row, draw, fact_of, identity, number_in
from stages.augment.masked import Masks
from stages.augment.readings import Readings
from stages.augment.synonyms import Thesaurus
from stages.augment.teacher.accepting import Replay
from stages.augment.teacher.record import read_record
from stages.augment.teacher.settings import Teacher
from stages.augment.wordings import (
    Attribute,
    as_document,
    check_enough,
    read_wordings,
    telling_words,
    terms_of,
)
from stages.core.project.errors import InputError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record
from stages.core.records.picture import PICTURE
from stages.core.records.prompt import READING, training_text
from stages.core.records.wording import fill, normalise
from stages.core.repeatable.seeding import rng_for

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
# A run of letters and digits. Example: "Marie Curie (1898)" has Marie, Curie and 1898.
WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, config=STRICT)
class Params:
    """The numbers of wordings of each kind."""

    statements: Count = 0
    """Statements per fact in train wordings, beside its plain text. More is learned better in wordings
    never seen, and training takes longer. 0 for it and `questions` is the ablation without
    augmentation."""
    questions: Count = 16
    """Question–answer pairs per fact in train wordings. They teach more than statements."""
    synonyms: Count = 1
    """Synonym variants (WordNet) of each train wording and of each free text. 0 switches them off."""
    min_count: Count = 3
    """Least number of uses of a synonym in WordNet's sense-tagged corpus. Higher keeps to common words."""
    synonym_rule: Literal["base_form", "in_context"] = "base_form"
    """`base_form`: words in their base form, each looked at alone. `in_context`: words in any form, which the
    words around them must leave without doubt. Terms stay, and synonyms are inflected. It finds more and is
    right more often on free texts."""
    encoder: checkpoints.Model | None = None
    """A sentence encoder (`model`, `revision`), for `in_context` and `masked_model`. The gloss of
    a word's sense must be the one nearest to the sentence, and sentences are compared by it. null: the shares of
    a word's senses decide alone."""
    masked_model: checkpoints.Model | None = None
    """A masked language model (`model`, `revision`). In free texts it replaces words for which WordNet has
    none, also in Chinese, until there are `synonyms` variants. null: none."""
    masked_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.95
    """Least cosine between the sentence before and after a word of `masked_model`. A high one does not prove
    that the meaning is kept."""
    select: selection.Select = field(default_factory=selection.Select)
    """Which training rows are kept."""
    masked_share: Share = 0.3
    """Share of the train questions (English) in which random words replace words that carry neither
    subject nor attribute. Without it, a small model takes an unknown word for the subject."""
    readings: Count = 0
    """Questions per fact in wordings that a grammar makes, beside `questions`. They teach to find subject
    and attribute in unusual questions. English and Chinese."""
    reading_answers: Literal["whole", "opening"] = "whole"
    """How far the answers of readings go. `whole`: like every answer. `opening`: up to before the value,
    which states no fact, and forgets less of the base."""
    valid_share: Share = 0.3
    """Share of the facts with a validation question, and of free question–answer pairs with one. The
    answers of these pairs are trained in other words."""
    probe_share: Share = 0.1
    """Share of free question–answer pairs that `evaluate` asks, in words that are never trained. Their
    answers are trained."""
    probe_wordings: Annotated[int, Field(ge=1)] | None = None
    """Probe wordings in which each fact is asked, drawn for each fact. null: all. Fewer make `evaluate`
    faster, and each wording's score less certain."""
    comparison_pairs: Count = 30
    """Pairs of facts that are compared, per attribute with comparison wordings. 0: none."""
    teacher: Teacher | None = None
    """A language model that writes wordings, questions and paraphrases. null: none. `lore teach` asks it,
    and this stage replays what it said."""

    @model_validator(mode="after")
    def _shares_leave_something_to_train(self) -> Self:
        if self.valid_share + self.probe_share >= 1:
            raise ValueError(
                "valid_share and probe_share together must stay below 1, or every free pair is asked"
            )
        return self


def run(
    params: Params,
    run: Run,
    cleaned: Path,
    pictures: Path,
    wordings: Path,
    wordnet: Path,
    teacher: Path,
    out: Path,
    metrics: Path,
) -> None:
    """Write the augmented records."""
    wrong = checkpoints.problems(params.encoder, params.masked_model)
    if wrong:
        raise ParamsError("\n  ".join(["params.yaml:", *wrong]))
    records = record.read(cleaned / "records.parquet")
    records = [row for row in records if row["kind"] != PICTURE]
    of_pictures = record.read(pictures / "records.parquet")
    facts = by_fact(records)
    needed = sorted({row["attribute"] for row in records if row["fact"]})
    replay = None
    taught: dict[str, Attribute] = {}
    if params.teacher is None:
        attributes = read_wordings(wordings, needed, params.statements, params.questions)
    else:
        attributes = read_wordings(wordings, [], 0, 0)
        replay = Replay(params.teacher, records, attributes, read_record(teacher))
        taught = replay.attributes()
        attributes |= taught
        check_enough(
            wordings,
            attributes,
            needed,
            params.statements,
            params.questions,
            replay.explanation(),
        )
    settings = texts.Settings(
        wordnet,
        params.synonym_rule,
        params.min_count,
        params.synonyms,
        params.encoder,
        params.masked_model,
        params.masked_similarity,
    )
    thesaurus = texts.thesaurus_of(settings)
    terms: set[str] = set()
    for name, attribute in attributes.items():
        terms |= terms_of(name, attribute)
    bank = with_synonyms(attributes, thesaurus, params.synonyms, terms)
    protected = set(terms)
    for row in records:
        protected |= names_of(row)
    masks = Masks(wordnet, protected, normalised_wordings(bank), telling_words(attributes))

    readings = Readings(attributes, masks, wordnet, protected)

    rows: list[Row] = []
    worded = []
    for group in facts.values():
        wording = bank[group[0]["attribute"]]
        fact = fact_of(group, wording)
        worded.append(fact)
        rows += rows_of_fact(fact, group[0]["text"], wording, masks, params, run)
        rows += readings_of_fact(fact, group[0]["lang"], readings, params, run)
    probe_counts = probes.Counts()
    rows += probes.reversed_questions(worded, bank, probe_counts)
    rows += probes.comparisons(worded, bank, params.comparison_pairs, run.seed, probe_counts)

    pairs = [row for row in records if not row["fact"] and row["kind"] == "qa"]
    pair_counts = free_pairs.Counts()
    shares = {"probe": params.probe_share, "valid": params.valid_share}
    rows += free_pairs.rows_of_pairs(pairs, shares, run.seed, pair_counts)
    free_texts = [row for row in records if not row["fact"] and row["kind"] != "qa"]
    work = texts.variants_of(free_texts, settings, frozenset(protected), run, out)
    for row, variants in zip(free_texts, work, strict=True):
        rows += rows_of_text(row, variants, params.synonym_rule)
    thesaurus.made += work.made
    thesaurus.refused += work.refused
    corrupted: list[Row] = []
    if replay is not None:
        asked = {normalise(row["question"]) for row in rows if row["split"] != "train"}
        rows += replay.rows(asked)
        corrupted = replay.corrupted()
    selected = selection.Counts()
    if params.select:
        rows = selection.selected(rows, params.select, run.seed, selected)
    # After the selection: each of these statements names a picture of its own.
    about_pictures = [row_about_picture(row) for row in of_pictures if row["kind"] != PICTURE]
    rows += about_pictures
    if not rows:
        raise InputError(
            f"{cleaned}: no record to learn from; "
            "see metrics/clean.json for what was rejected and why"
        )
    rows.sort(key=lambda row: (row["split"], row["fact"] or "", row["kind"], row["locator"]))
    with replacing(out) as folder:
        record.write(folder / "records.parquet", rows)
        if replay is not None:
            write_lessons(folder, replay, taught, corrupted)
    report = summary(rows, facts, thesaurus)
    report["masked"] = masks.made
    if params.masked_model:
        report["masked_model"] = work.masked_report()
    if params.select:
        report["selection"] = selected.report()
    if params.readings:
        report["readings"] = {"made": readings.made, "left_out": readings.left_out}
    for row in rows:
        if row["split"] == "probe":
            probe_counts.asked[json.loads(row["meta"])["probe"]] += 1
    report["probes"] = probe_counts.report()
    report["free_pairs"] = pair_counts.report()
    if about_pictures:
        report["pictures"] = len(about_pictures)
    if replay is not None:
        report["teacher"] = replay.report()
    write_json(metrics, report)
    print_report(report)


def write_lessons(
    folder: Path, replay: Replay, taught: dict[str, Attribute], corrupted: list[Row]
) -> None:
    """Write what else is known of the teacher's answers: refused items, wordings, wrong answers."""
    refused = sorted(replay.refused, key=lambda row: (row["kind"], row["reason"], row["id"]))
    record.write(folder / "refused.parquet", refused, record.REJECTED)
    if corrupted:
        record.write(folder / "corrupted.parquet", corrupted)
    if taught:
        # In the form of wordings.yaml, so that a person can move an entry there and edit it.
        yaml = YAML()
        yaml.width = 120
        with (folder / "teacher_wordings.yaml").open("w", encoding="utf-8") as file:
            yaml.dump({"attributes": as_document(taught)}, file)


def print_report(report: dict[str, Any]) -> None:
    """Print the counts."""
    splits = [f"{name} {count:,}" for name, count in report["splits"].items()]
    synonyms = report["synonyms"]
    print(f"augment: {report['facts']:,} facts, {report['numeric_facts']:,} of them numeric")
    print(f"         {', '.join(splits)}")
    print(f"         synonyms made {synonyms['made']}, refused {synonyms['refused']}")
    print(f"         questions with masked words {report['masked']:,}")
    if "masked_model" in report:
        filled = report["masked_model"]
        print(f"         words of the masked model {filled['made']}, refused {filled['refused']}")
    if "selection" in report:
        chosen = report["selection"]
        print(
            f"         selection: {chosen['kept']:,} of {chosen['asked']:,} training rows kept, "
            f"left out {chosen['left_out']}"
        )
    if "readings" in report:
        made, left_out = report["readings"]["made"], report["readings"]["left_out"]
        print(f"         questions made by the grammar {made:,}, left out {left_out:,}")
    asked = [f"{kind} {count:,}" for kind, count in sorted(report["probes"]["asked"].items())]
    print(f"         probes: {', '.join(asked) or 'none'}")
    print_left_out(report["probes"])
    if "pictures" in report:
        print(f"         statements about pictures {report['pictures']:,}")
    free = report["free_pairs"]
    if free["trained"]:
        held_out = sum(free["held_out"].values())
        reworded = sum(free["reworded"].values())
        print(
            f"         free pairs: {free['trained']:,} trained, {reworded:,} of them asked in changed "
            f"words; {held_out:,} held out, whose answers other pairs teach"
        )
        if free["same_words"]:
            print(
                f"         {free['same_words']:,} free pairs are not asked: no other words were found"
            )
    if "teacher" in report:
        print_teacher(report["teacher"])


def print_teacher(counts: dict[str, Any]) -> None:
    """Print what became of the teacher's answers."""
    print(
        f"         teacher: {counts['asked']:,} items asked = {counts['accepted']:,} accepted + "
        f"{counts['refused']:,} refused + {counts['failed']:,} failed"
    )
    frequent = sorted(counts["reasons"].items(), key=lambda pair: (-pair[1], pair[0]))[:5]
    if frequent:
        shown = ", ".join(f"{reason} {count:,}" for reason, count in frequent)
        print(f"         refused or failed most often: {shown} (data/augment/refused.parquet)")
    for attribute in counts["plain_answers"]:
        print(
            f"         no answer sentence of the teacher passed for {attribute}: the plain one is used"
        )


def print_left_out(counts: dict[str, Any]) -> None:
    """Print the facts that are not asked backwards or compared, if any."""
    if counts["value_not_unique"]:
        print(
            f"         not asked backwards, as others share the value: {counts['value_not_unique']:,}"
        )
    if counts["not_comparable"]:
        print(
            f"         not compared, as no number in the common unit: {counts['not_comparable']:,}"
        )


def by_fact(records: list[Row]) -> dict[str, list[Row]]:
    """Group records by their fact. The first record of a group has the highest priority.

    Records come in the order of the sources, which clean keeps.
    """
    facts: dict[str, list[Row]] = {}
    for row in records:
        if row["fact"]:
            facts.setdefault(row["fact"], []).append(row)
    return facts


def normalised_wordings(attributes: dict[str, Attribute]) -> set[str]:
    """Return the normalised form of all wordings."""
    texts: set[str] = set()
    for attribute in attributes.values():
        texts.update(normalise(wording.template) for wording in attribute.wordings())
    return texts


def with_synonyms(
    attributes: dict[str, Attribute], thesaurus: Thesaurus, wanted: int, terms: set[str]
) -> dict[str, Attribute]:
    """Return the attributes with synonym variants among their train wordings.

    No variant is a wording of any set already.
    """
    taken = normalised_wordings(attributes)
    extended = {}
    for name, attribute in attributes.items():
        train = attribute.train
        statements = thesaurus.templates(train.statements, wanted, terms, taken)
        questions = thesaurus.templates(train.questions, wanted, terms, taken)
        extended[name] = attribute.extended(statements, questions)
    return extended


def rows_of_fact(
    fact: Fact, plain_text: str, wording: Attribute, masks: Masks, params: Params, run: Run
) -> Iterator[Row]:
    """Yield training texts, perhaps a validation question, and the stated probes of a fact."""
    yield fact.row("train", "statement", 0, plain_text)
    statements = draw(wording.train.statements, params.statements, run.seed, fact.id)
    for number, template in enumerate(statements, start=1):
        text = fill(template, subject=fact.subject, value=fact.amount)
        yield fact.row("train", "statement", number, text)

    attribute = fact.common["attribute"]
    questions = draw(wording.train.questions, params.questions, run.seed, fact.id)
    for number, template in enumerate(questions):
        # A generator of its own, so that no wording depends on another one.
        rng = rng_for(run.seed, "masked", fact.id, template)
        is_masked = fact.common["lang"] == "en" and rng.random() < params.masked_share
        asked = masks.masked(template, attribute, rng) if is_masked else template
        yield fact.question("train", number, asked)

    if rng_for(run.seed, "valid", fact.id).random() < params.valid_share:
        (template,) = draw(wording.valid.questions, 1, run.seed, fact.id)
        yield fact.question("valid", 0, template)

    yield from probes.stated(fact, wording, params.probe_wordings, run.seed)


def readings_of_fact(
    fact: Fact, lang: str, readings: Readings, params: Params, run: Run
) -> Iterator[Row]:
    """Yield the readings of a fact. Those that are answered by an opening state no value."""
    for number in range(params.readings):
        # A generator of its own, so that more readings keep the ones there.
        rng = rng_for(run.seed, "reading", fact.id, number)
        reading = readings.draw(fact.common["attribute"], fact.subject, lang, rng)
        if reading is None:
            continue
        is_whole = params.reading_answers == "whole"
        answer = fact.answer if is_whole else reading.opening
        row = fact.row("train", READING, number, training_text(reading.question, answer))
        row |= {"question": reading.question, "answer": answer}
        if is_whole:
            row["kind"] = "qa"
        else:
            row |= {"value": None, "unit": None}
        yield row


def rows_of_text(row: Row, variants: list[texts.Variant], rule: str) -> list[Row]:
    """Return a free text and its variants, all for training.

    `meta` of a variant holds its operation, the word that it replaced, and the new one. By the rule
    `base_form`, WordNet's variants have none: their rows stay those of earlier versions.
    """
    rows = [text_row(row, 0, row["text"], {})]
    for number, variant in enumerate(variants, start=1):
        further = {}
        if rule != texts.BASE_FORM or variant.operation != texts.WORDNET:
            further = {"operation": variant.operation, "word": variant.word, "by": variant.by}
        rows.append(text_row(row, number, variant.text, further))
    return rows


def row_about_picture(row: Row) -> Row:
    """Return a statement about a picture for training, as it stands: a synonym could change a file's name.

    Its parents are the records of the caption and of the fact, so that a trace finds it from both.
    """
    made = row | identity(f"{row['id']}/train/statement/00")
    return made | {"split": "train", "meta": "{}"}


def text_row(row: Row, number: int, text: str, further: dict[str, Any]) -> Row:
    """Return one training row of a free text. `number` tells its variants apart."""
    made = row | identity(f"{row['id']}/train/statement/{number:02d}")
    made |= {"split": "train", "kind": "statement", "text": text}
    return made | {"parents": [row["id"]], "meta": record.to_meta(further)}


def names_of(row: Row) -> set[str]:
    """Return the folded words of a record's subject, attribute, value and unit.

    No synonym replaces them.
    """
    names = " ".join(row[name] or "" for name in ("subject", "attribute", "value", "unit"))
    return set(WORD.findall(record.fold(names)))


def summary(rows: list[Row], facts: dict[str, list[Row]], thesaurus: Thesaurus) -> dict[str, Any]:
    """Return the counts of metrics/augment.json."""
    splits = Counter(row["split"] for row in rows)
    kinds = Counter(f"{row['split']}/{row['kind']}" for row in rows)
    attributes = Counter(group[0]["attribute"] for group in facts.values())
    numeric = sum(number_in(group[0]["value"]) is not None for group in facts.values())
    return {
        "facts": len(facts),
        "numeric_facts": numeric,
        "splits": dict(sorted(splits.items())),
        "kinds": dict(sorted(kinds.items())),
        "attributes": dict(sorted(attributes.items())),
        "synonyms": {"made": thesaurus.made, "refused": dict(sorted(thesaurus.refused.items()))},
    }

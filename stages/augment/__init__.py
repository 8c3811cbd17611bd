"""augment: cleaned records → training texts in many wordings, and disjoint wordings for validation and probes.

In: records of clean, statements of pictures, the wordings file, WordNet, the record of the teacher. Out:
`records.parquet` and `augment.json` (counts). With a teacher also `refused.parquet` (what it wrote and no check
let pass), `teacher_wordings.yaml` (its wordings, to be read) and `corrupted.parquet` (answers that are wrong on
purpose).

Every fact is trained. Wordings are split, facts are not: the plain text of a fact and some train
wordings go to `train`, wordings of their own to `valid` and `probe`. Every fact is asked in all probe
wordings, and some are asked backwards or compared (`probes.py`). Facts whose value is that of one subject alone
are trained backwards too, where the wordings file has such questions to learn from. WordNet synonyms (`synonyms.py`)
make further train wordings, and variants of free texts in English. In some train questions, random
words replace words that do not matter (`masked.py`). Reading rows (`readings.py`) are further questions
about the facts, in wordings that a grammar makes. Question–answer records without a fact are trained too,
and some are asked in other words (`free_pairs.py`). Statements about pictures are trained as they are. Captions
are not: they stand in these statements.

With `teacher`, recorded answers of a language model give wordings of attributes that the wordings file has not,
and questions and paraphrases of free texts (`teacher/`). They are replayed from data/teacher, never asked for here.
Some of these questions are asked in a frame, as free pairs are.

The wordings of a fact depend on (seed, fact, wording) alone. With other numbers in the parameters, or
one more wording in the file, all others stay as they are. So do the probes that compare two versions.

A wordings file with faults is refused. `wordings.py` names them, and all are reported at once.
"""

import dataclasses
import json
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML

from stages.augment import checkpoints, free_pairs, probes, selection, texts
from stages.augment.fact import Fact, Row, draw, fact_of, identity
from stages.augment.hashes import Hashes
from stages.augment.masked import Masks
from stages.augment.readings import Readings, Vocabulary
from stages.augment.spool import SAMPLED, Buckets, Parts, boundaries_of, in_order
from stages.augment.synonyms import Thesaurus
from stages.augment.teacher.accepting import Replay
from stages.augment.teacher.record import read_record
from stages.augment.teacher.settings import Teacher
from stages.augment.unknown import Unknown
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
READ = 4096
"""Records that are read from the input at once."""
NAMED = ("subject", "attribute", "value", "unit")
"""Columns with names that no synonym replaces."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """The numbers of wordings of each kind."""

    statements: Count = 0
    """Statements per fact in train wordings, beside its plain text. More is learned better in wordings
    never seen, and training takes longer. 0 for it and `questions` is the ablation without
    augmentation."""
    questions: Count = 16
    """Question–answer pairs per fact in train wordings. They teach more than statements."""
    reversed: Count = 8
    """Questions per fact that give the value and ask for the subject, in train wordings (`train.reversed`).
    They are made where one subject alone has the value. A model does not learn this direction from the
    other one."""
    unknown: Count = 0
    """Questions per fact about a subject that no record knows, in train wordings. Their answer says that the
    value is not known. They teach to abstain where nothing is known, and take time. English and Chinese."""
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
    """Write the augmented records.

    Records and rows are on the disk while they wait. What is held of all of them are hashes and numbers. Only with
    a teacher, all records are in memory too.
    """
    from tqdm import tqdm

    wrong = checkpoints.problems(params.encoder, params.masked_model)
    if wrong:
        raise ParamsError("\n  ".join(["params.yaml:", *wrong]))
    with replacing(out) as folder, TemporaryDirectory(prefix=".spool-", dir=made(folder)) as name:
        sources = read_sources(cleaned / "records.parquet", Path(name))
        of_pictures = record.read(pictures / "records.parquet")
        replay = None
        taught: dict[str, Attribute] = {}
        if params.teacher is None:
            attributes = read_wordings(
                wordings, sources.needed, params.statements, params.questions
            )
        else:
            attributes = read_wordings(wordings, [], 0, 0)
            records = record.read(cleaned / "records.parquet")
            records = [row for row in records if row["kind"] != PICTURE]
            replay = Replay(params.teacher, records, attributes, read_record(teacher))
            taught = replay.attributes()
            attributes |= taught
            check_enough(
                wordings,
                attributes,
                sources.needed,
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
        for attribute_name, attribute in attributes.items():
            terms |= terms_of(attribute_name, attribute)
        bank = with_synonyms(attributes, thesaurus, params.synonyms, terms)
        protected = terms | sources.names
        telling = telling_words(attributes)
        masks = Masks(wordnet, protected, normalised_wordings(bank), telling)
        readings = Readings(attributes, masks, wordnet, protected)

        probe_counts = probes.Counts()
        survey, facts = surveyed(sources.facts, bank, params, run, probe_counts)
        pairs = learned_pairs(sources.free, params, run)
        unknown = Unknown(sources.names, Vocabulary(wordnet, protected), run.seed)
        maker = Maker(params, run, bank, masks, readings, survey, pairs, unknown)
        of_teacher: dict[str, list[Row]] = {}
        corrupted: list[Row] = []
        if replay is not None:
            taught_rows = replay.rows(maker.asked_questions(sources))
            taught_rows += asked_of_teacher(taught_rows, params, run)
            for row in taught_rows:
                of_teacher.setdefault(row["parents"][0], []).append(row)
            corrupted = replay.corrupted()

        selection_of = selection.Selection(params.select, run.seed)
        about_pictures = [row for row in of_pictures if row["kind"] != PICTURE]
        counts = RowCounts(about_pictures=len(about_pictures))
        free_texts = ((row["text"], row["lang"]) for row in sources.free if row["kind"] != "qa")
        work = texts.variants_of(
            free_texts, sources.free_texts, settings, frozenset(protected), run, out
        )
        pair_counts = free_pairs.Counts()
        with Parts(Path(name) / "rows", out / "records.parquet", selection.RANKED) as parts:
            without_fact = rows_without_fact(
                maker, sources.free, work, of_teacher, about_pictures, pair_counts, selection_of
            )
            for row in without_fact:
                parts.add(row)
                counts.add(row)
            groups = sources.facts.groups()
            for group in tqdm(groups, "facts", facts.facts, unit="fact", disable=None, leave=False):
                rows = selection_of.of_group(list(maker.of_fact(group)))
                for row in in_order(rows):
                    parts.add(row)
                    counts.add(row)
            parts.end()
        if not counts.rows:
            raise InputError(
                f"{cleaned}: no record to learn from; "
                "see metrics/clean.json for what was rejected and why"
            )
        with record.writing(folder / "records.parquet") as table:
            for some in parts.tables():
                table.extend(selection_of.balanced(some))
        counts.leave_out(selection_of)
        if replay is not None:
            write_lessons(folder, replay, taught, corrupted)
    thesaurus.made += work.made
    thesaurus.refused += work.refused
    report = summary(counts, facts, thesaurus)
    report["masked"] = masks.made
    if params.masked_model:
        report["masked_model"] = work.masked_report()
    if params.select:
        report["selection"] = selection_of.counts.report()
    if params.readings:
        report["readings"] = {"made": readings.made, "left_out": readings.left_out}
    if params.unknown:
        report["unknown"] = {"made": unknown.made}
    probe_counts.asked = counts.probes
    report["probes"] = probe_counts.report()
    report["free_pairs"] = pair_counts.report()
    if counts.about_pictures:
        report["pictures"] = counts.about_pictures
    if replay is not None:
        report["teacher"] = replay.report()
        of_splits = Counter(row["split"] for rows in of_teacher.values() for row in rows)
        report["teacher"]["rows"] = dict(sorted(of_splits.items()))
    write_json(metrics, report)
    print_report(report)


@dataclasses.dataclass
class Sources:
    """The cleaned records, dealt out on the disk, and what must be known of all of them."""

    facts: Buckets
    """Records of facts, by their fact."""
    free: Buckets
    """All others but captions, by their id."""
    needed: list[str]
    """Attributes of the facts, sorted."""
    names: set[str]
    """Words that no synonym replaces."""
    free_texts: int
    """Records without a fact that are no question."""


def read_sources(path: Path, folder: Path) -> Sources:
    """Deal the records out into files in a folder. Raises as `record.opened` does."""
    needed: set[str] = set()
    names: set[str] = set()
    free_texts = 0
    with record.opened(path) as file:
        keys = sampled_keys(file)
        with (
            Buckets(folder / "facts", "fact", boundaries_of(keys["fact"])) as facts,
            Buckets(folder / "free", "id", boundaries_of(keys["id"])) as free,
        ):
            for batch in file.iter_batches(READ):
                table = pa.Table.from_batches([batch])
                table = table.filter(pc.not_equal(table["kind"], PICTURE))
                # An empty name is none, as everywhere in this stage.
                states_fact = pc.fill_null(pc.not_equal(table["fact"], ""), False)
                of_facts = table.filter(states_fact)
                others = table.filter(pc.invert(states_fact))
                facts.add(of_facts)
                free.add(others)
                needed.update(pc.unique(of_facts["attribute"]).to_pylist())
                free_texts += pc.sum(pc.not_equal(others["kind"], "qa")).as_py() or 0
                for row in table.select(list(NAMED)).to_pylist():
                    names |= {name for name in names_of(row) if may_be_replaced(name)}
    return Sources(facts, free, sorted(needed), names, free_texts)


def sampled_keys(file: pq.ParquetFile) -> dict[str, list[str]]:
    """Return some facts, and some ids of records without a fact: one of each in `SAMPLED` records."""
    found: dict[str, list[str]] = {"fact": [], "id": []}
    number = 0
    for batch in file.iter_batches(READ, columns=["id", "fact"]):
        for row in batch.to_pylist():
            column = "fact" if row["fact"] else "id"
            if number % SAMPLED == 0:
                found[column].append(row[column])
            number += 1
    return found


def may_be_replaced(name: str) -> bool:
    """Whether a word could be replaced if it were not protected. ASCII words with a digit never are."""
    return not (name.isascii() and any(sign.isdigit() for sign in name))


def surveyed(
    facts: Buckets,
    bank: dict[str, Attribute],
    params: Params,
    run: Run,
    probe_counts: probes.Counts,
) -> tuple[probes.Survey, "FactCounts"]:
    """Look at all facts: which can be asked backwards, which are compared, and how many there are."""
    survey = probes.Survey(bank, params.comparison_pairs, run.seed, probe_counts)
    counts = FactCounts()
    for group in facts.groups():
        fact = fact_of(group, bank[group[0]["attribute"]])
        survey.add(fact)
        counts.facts += 1
        counts.numeric += fact.number is not None
        counts.attributes[fact.attribute] += 1
    wanted = survey.wanted()
    for group in facts.groups_of(wanted):
        survey.know(fact_of(group, bank[group[0]["attribute"]]))
    return survey, counts


def learned_pairs(free: Buckets, params: Params, run: Run) -> free_pairs.Pairs:
    """Look at all free pairs: which are held out, and which questions are trained."""
    shares = {"probe": params.probe_share, "valid": params.valid_share}
    pairs = free_pairs.Pairs(shares, run.seed)
    for step in (pairs.look, pairs.group, pairs.learn):
        for row in free:
            if row["kind"] == "qa":
                step(row)
    return pairs


def asked_of_teacher(rows: list[Row], params: Params, run: Run) -> list[Row]:
    """Return the teacher's questions that are asked in a frame, as the free pairs are."""
    shares = {"probe": params.probe_share, "valid": params.valid_share}
    questions = [row for row in rows if row["kind"] == "qa"]
    trained = {normalise(row["question"]) for row in questions}
    found = []
    for row in questions:
        again = free_pairs.asked_again(row, shares, trained, run.seed)
        if again is not None:
            found.append(again)
    return found


@dataclasses.dataclass
class FactCounts:
    """Numbers of facts for metrics/augment.json."""

    facts: int = 0
    numeric: int = 0
    """Facts whose value is a number."""
    attributes: Counter[str] = dataclasses.field(default_factory=Counter)


@dataclasses.dataclass
class RowCounts:
    """Numbers of rows for metrics/augment.json."""

    rows: int = 0
    kinds: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    """By split and kind."""
    probes: Counter[str] = dataclasses.field(default_factory=Counter)
    """By the kind of the probe."""
    about_pictures: int = 0
    """Statements about pictures, which no selection leaves out."""

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        self.kinds[row["split"], row["kind"]] += 1
        if row["split"] == "probe":
            self.probes[json.loads(row["meta"])["probe"]] += 1

    def leave_out(self, chosen: selection.Selection) -> None:
        """Take off what the balance left out when the rows were written."""
        self.kinds -= chosen.over_balance


@dataclasses.dataclass
class Maker:
    """Makes the rows of a record from what is known of all records."""

    params: Params
    run: Run
    bank: dict[str, Attribute]
    """Wordings with their synonyms."""
    masks: Masks
    readings: Readings
    survey: probes.Survey
    pairs: free_pairs.Pairs
    unknown: Unknown

    def of_fact(self, group: list[Row]) -> Iterator[Row]:
        """Yield all rows of a fact from its records. The first record has the highest priority."""
        wording = self.bank[group[0]["attribute"]]
        fact = fact_of(group, wording)
        yield from trained_rows_of_fact(
            fact, group[0]["text"], wording, self.masks, self.params, self.run
        )
        yield from readings_of_fact(fact, group[0]["lang"], self.readings, self.params, self.run)
        yield from self.survey.trained_rows(fact, self.params.reversed)
        yield from self.unknown.rows(fact, wording, self.params.unknown)
        yield from self.asked_of_fact(fact)

    def asked_of_fact(self, fact: Fact) -> Iterator[Row]:
        """Yield the rows of a fact that are asked and not trained."""
        wording = self.bank[fact.attribute]
        yield from asked_rows_of_fact(fact, wording, self.params, self.run)
        yield from self.survey.rows(fact)

    def asked_questions(self, sources: Sources) -> Hashes:
        """Return the normalised questions of all rows that are asked and not trained."""
        asked = Hashes()
        for group in sources.facts.groups():
            fact = fact_of(group, self.bank[group[0]["attribute"]])
            for row in self.asked_of_fact(fact):
                asked.add(normalise(row["question"]))
        for pair in sources.free:
            if pair["kind"] == "qa":
                for row in self.pairs.rows(pair, free_pairs.Counts()):
                    if row["split"] != "train":
                        asked.add(normalise(row["question"]))
        return asked


def rows_without_fact(
    maker: Maker,
    free: Buckets,
    work: texts.Variants,
    of_teacher: dict[str, list[Row]],
    about_pictures: list[Row],
    pair_counts: free_pairs.Counts,
    chosen: selection.Selection,
) -> Iterator[Row]:
    """Yield the rows of free texts and pairs, of the teacher, and of pictures, in the order of the records."""
    variants = iter(work)
    statements = deque(sorted(about_pictures, key=lambda row: row["id"]))
    for row in free:
        while statements and statements[0]["id"] < row["id"]:
            yield row_about_picture(statements.popleft())
        if row["kind"] == "qa":
            rows = maker.pairs.rows(row, pair_counts)
        else:
            rows = rows_of_text(row, next(variants), maker.params.synonym_rule)
        rows += of_teacher.get(row["id"], [])
        yield from in_order(chosen.of_group(rows))
    # No selection: each of these statements names a picture of its own.
    yield from map(row_about_picture, statements)


def made(folder: Path) -> Path:
    """Make a folder, and return it."""
    folder.mkdir()
    return folder


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


def trained_rows_of_fact(
    fact: Fact, plain_text: str, wording: Attribute, masks: Masks, params: Params, run: Run
) -> Iterator[Row]:
    """Yield the training texts of a fact: its plain text, statements and questions."""
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


def asked_rows_of_fact(fact: Fact, wording: Attribute, params: Params, run: Run) -> Iterator[Row]:
    """Yield perhaps a validation question, and the stated probes of a fact."""
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
    names = " ".join(row[name] or "" for name in NAMED)
    return set(WORD.findall(record.fold(names)))


def summary(counts: RowCounts, facts: FactCounts, thesaurus: Thesaurus) -> dict[str, Any]:
    """Return the counts of metrics/augment.json."""
    splits: Counter[str] = Counter()
    kinds: dict[str, int] = {}
    for (split, kind), number in counts.kinds.items():
        splits[split] += number
        kinds[f"{split}/{kind}"] = number
    return {
        "facts": facts.facts,
        "numeric_facts": facts.numeric,
        "splits": dict(sorted(splits.items())),
        "kinds": dict(sorted(kinds.items())),
        "attributes": dict(sorted(facts.attributes.items())),
        "synonyms": {"made": thesaurus.made, "refused": dict(sorted(thesaurus.refused.items()))},
    }

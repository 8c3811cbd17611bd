"""From recorded answers to wordings and training rows: what passes the checks, and the account of all the rest.

For each task, asked = accepted + refused + failed, in items. An item that a request asked for and that did not come is
failed. More items than were asked for are not looked at, and counted as surplus.

Wordings are taken in the order probe, valid, train: asking for more train wordings never changes a probe. A wording
with nearly the words of one that was taken is refused, whatever its set.
"""

from collections import Counter, defaultdict
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from stages.augment.fact import Row, identity, number_in
from stages.augment.teacher import checks
from stages.augment.teacher.answers import Failure, Pair, items_of
from stages.augment.teacher.checks import Subject
from stages.augment.teacher.near import Kept
from stages.augment.teacher.record import Record, file_of
from stages.augment.teacher.requests import WORDINGS, Needed, Request, Task, needed
from stages.augment.teacher.settings import Teacher
from stages.augment.teacher.unsafe import Refusal, unsafe
from stages.augment.teacher.words import numbers_of, words_of
from stages.augment.wordings import (
    QUESTION_SLOTS,
    STATEMENT_SLOTS,
    Asked,
    Attribute,
    Probe,
    Train,
)
from stages.core.project.errors import InputError
from stages.core.records import record
from stages.core.records.prompt import training_text
from stages.core.records.wording import normalise

ORDER: tuple[Task, ...] = ("probe", "valid", "questions", "statements")
"""The order in which wordings are taken."""
PLAIN_ANSWER = {
    "en": "The {attribute} of {subject} is {value}.",
    "zh": "{subject}的{attribute}是{value}。",
}
"""The answer sentence where no answer of the teacher passes."""
MOST_SHOWN = 10
"""Missing requests that the message about them counts by name."""
SHOWN = 100
"""Characters of a refused wording in a message."""
EVIDENCE = 500
"""Most characters of an answer that could not be read, in the table of refused items."""


@dataclass
class Tally:
    """Counts of one task, in items."""

    requests: int = 0
    asked: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    surplus: int = 0
    """Items beyond those asked for."""

    def report(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return {
            "requests": self.requests,
            "asked": self.asked,
            "accepted": self.accepted,
            "refused": sum(self.refused.values()),
            "failed": sum(self.failed.values()),
            "surplus": self.surplus,
            "reasons": dict(sorted((self.refused + self.failed).items())),
        }


class Replay:
    """The recorded answers to all requests that settings and records call for.

    Raises InputError where an answer is missing: it names how many of what, and says `lore teach`.
    """

    def __init__(
        self,
        teacher: Teacher,
        records: list[Row],
        worded: dict[str, Attribute],
        answered: Record,
    ) -> None:
        """`worded` are the wordings of wordings.yaml, `answered` the record of the teacher."""
        self.needed: Needed = needed(teacher, records, set(worded))
        missing = [one for one in self.needed.requests if one.key not in answered]
        if missing:
            raise InputError(message_about(missing))
        self.answered = answered
        self.model = teacher.model
        self.worded = worded
        self.records = records
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.refused: list[Row] = []
        """Refused and failed items, as rows of `record.REJECTED`."""
        self.hints_left_out: Counter[str] = Counter()
        """Terms and names of attributes that were left out, by reason."""
        self.plain_answers: list[str] = []
        """Attributes whose answer sentence is the plain one, because none of the teacher's passed."""

    def attributes(self) -> dict[str, Attribute]:
        """Return the wordings of every attribute that was asked about, as far as they passed."""
        by_attribute: defaultdict[str, list[Request]] = defaultdict(list)
        for request in self.needed.requests:
            if request.task == "attribute" or request.task in WORDINGS:
                by_attribute[request.about].append(request)
        # Wordings of other attributes: a question that two of them share could not be answered.
        taken = {
            normalise(wording.template)
            for attribute in self.worded.values()
            for wording in attribute.wordings()
        }
        every_name = self.every_name(by_attribute)
        found = {}
        for name in sorted(by_attribute):
            attribute = self.attribute(name, by_attribute[name], every_name, taken)
            if attribute is not None:
                found[name] = attribute
        return found

    def every_name(self, asked: dict[str, list[Request]]) -> dict[str, str]:
        """Return all names of attributes, each with the attribute that it belongs to."""
        names = {name: name for name in asked}
        for name, attribute in self.worded.items():
            names[name] = name
            for other in attribute.names:
                names.setdefault(other, name)
        return names

    def attribute(
        self, name: str, requests: list[Request], every_name: dict[str, str], taken: set[str]
    ) -> Attribute | None:
        """Return the wordings of one attribute. None where one of its sets of questions is empty.

        `taken` are the normalised wordings that are there already. Those that pass join it.
        """
        others = [other for other, owner in every_name.items() if owner != name]
        facts = [row for row in self.records if row["fact"] and row["attribute"] == name]
        described, names, terms = self.described(name, requests, others)
        subject = Subject(
            attribute=name,
            language=requests[0].language,
            terms=terms,
            other_attributes=others,
            names=checks.telling_names(names_of(facts)),
        )
        kept = Kept()
        by_words: set[str] = set()
        answer, spare = self.answer_of(subject, described)
        templates: dict[str, list[str]] = {task: [] for task in WORDINGS}
        for task in ORDER:
            states_value = task == "statements"
            wanted = STATEMENT_SLOTS if states_value else QUESTION_SLOTS
            for request in requests:
                if request.task != task:
                    continue
                for number, template in self.items(request):
                    refusal = checks.refused_template(
                        template, subject, wanted, asks=not states_value
                    )
                    refusal = refusal or repeated(template, taken, by_words, kept)
                    if self.decided(request, number, template, refusal):
                        templates[task].append(template)
                        note(template, taken, by_words, kept)
        for template in spare:
            if repeated(template, taken, by_words, kept) is None:
                templates["statements"].append(template)
                note(template, taken, by_words, kept)
        if not (templates["questions"] and templates["valid"] and templates["probe"]):
            return None
        return Attribute(
            terms=terms,
            answer=answer,
            train=Train(templates["statements"], templates["questions"]),
            valid=Asked(templates["valid"]),
            probe=Probe(templates["probe"]),
            names=names,
        )

    def described(
        self, name: str, requests: list[Request], others: list[str]
    ) -> tuple[list[tuple[Request, int, str]], list[str], list[str]]:
        """Return what the teacher says about an attribute: answer sentences, names, and terms.

        An answer sentence comes with its request and number. The name's own words are terms, too.
        """
        answers: list[tuple[Request, int, str]] = []
        names: list[str] = []
        terms = [name]
        for word in words_of(name):
            if checks.telling_names([word]):
                terms.append(word)
        for request in requests:
            if request.task != "attribute":
                continue
            for number, sentence in self.items(request):
                answers.append((request, number, sentence))
            form = self.answered[request.key].read()
            if isinstance(form, Failure):
                continue
            for hint in [*form.terms, *form.names]:
                reason = refused_hint(hint, request.language, others)
                if reason:
                    self.hints_left_out[reason] += 1
                elif hint in form.names:
                    names.append(hint)
                    terms.append(hint)
                else:
                    terms.append(hint)
        return answers, list(dict.fromkeys(names)), list(dict.fromkeys(terms))

    def answer_of(
        self, subject: Subject, described: list[tuple[Request, int, str]]
    ) -> tuple[str, list[str]]:
        """Return the answer sentence of an attribute, and further ones that passed."""
        passed = []
        for request, number, sentence in described:
            refusal = checks.refused_template(sentence, subject, STATEMENT_SLOTS, asks=False)
            if self.decided(request, number, sentence, refusal):
                passed.append(sentence)
        if passed:
            return passed[0], passed[1:]
        self.plain_answers.append(subject.attribute)
        plain = PLAIN_ANSWER[subject.language].replace("{attribute}", subject.attribute)
        return plain, []

    def rows(self, asked: Container[str]) -> list[Row]:
        """Return the training rows about free texts. `asked` are the normalised questions of other splits."""
        by_id = {row["id"]: row for row in self.records}
        found: list[Row] = []
        questions: set[str] = set()
        kept: dict[tuple[str, str], Kept] = {}
        places: Counter[tuple[str, str]] = Counter()
        for request in self.needed.requests:
            if request.task not in ("text_questions", "paraphrases"):
                continue
            source = by_id[request.about]
            group = (request.about, request.task)
            if group not in kept:
                # A paraphrase must differ from its text, too.
                kept[group] = Kept([source["text"]] if request.task == "paraphrases" else [])
            for number, item in self.items(request):
                refusal: Refusal | None
                if isinstance(item, Pair):
                    refusal = checks.refused_pair(
                        item, request.text, source["subject"], request.language
                    )
                    text = item.question
                    normal = normalise(text)
                    if refusal is None and normal in asked:
                        refusal = Refusal("asked_as_probe", text)
                    if refusal is None and normal in questions:
                        refusal = Refusal("same_words", text)
                else:
                    text = item
                    refusal = checks.refused_paraphrase(
                        text, request.text, source["subject"], request.language
                    )
                refusal = refusal or near(text, kept[group])
                if not self.decided(request, number, item, refusal):
                    continue
                kept[group].add(text)
                questions.add(normalise(text))
                place = f"{request.task}/{places[group]:03d}"
                places[group] += 1
                found.append(row_of(source, request, item, place))
        return found

    def corrupted(self) -> list[Row]:
        """Return the wrong answers about facts, as rows that no stage trains on."""
        facts: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self.records:
            if row["fact"]:
                facts[row["fact"]].append(row)
        found: list[Row] = []
        for request in self.needed.requests:
            if request.task != "corrupted":
                continue
            group = facts[request.about]
            best = group[0]
            values = [row["value"] for row in group]
            kept = Kept()
            for number, text in self.items(request):
                refusal = checks.refused_wrong_answer(
                    text,
                    best["subject"],
                    values,
                    numeric=number_in(best["value"]) is not None,
                    unit=best["unit"],
                    language=request.language,
                )
                refusal = refusal or same_text(text, kept)
                if not self.decided(request, number, text, refusal):
                    continue
                kept.add(text)
                locator = f"{request.about}/corrupted/{number:02d}"
                made = best | identity(locator)
                made |= {"split": "corrupted", "kind": "corrupted", "text": text, "answer": text}
                made |= {"parents": [row["id"] for row in group]}
                found.append(made | {"meta": provenance(request)})
        return found

    def items(self, request: Request) -> list[tuple[int, Any]]:
        """Return the items of a request's answer that were asked for, numbered, and count the others."""
        tally = self.tallies[request.task]
        tally.requests += 1
        tally.asked += request.count
        entry = self.answered[request.key]
        form = entry.read()
        if isinstance(form, Failure):
            tally.failed[form.reason] += request.count
            answer = entry.attempts[-1].answer[:EVIDENCE]
            self.refused.append(self.refused_row(request, 0, answer, form.reason, form.detail))
            return []
        items = items_of(form)
        tally.surplus += max(0, len(items) - request.count)
        not_given = request.count - min(len(items), request.count)
        if not_given:
            tally.failed["not_given"] += not_given
        return list(enumerate(items[: request.count]))

    def decided(self, request: Request, number: int, item: Any, refusal: Refusal | None) -> bool:
        """Count an item, and note it where it is refused. Return whether it is accepted."""
        tally = self.tallies[request.task]
        if refusal is None:
            tally.accepted += 1
            return True
        tally.refused[refusal.reason] += 1
        row = self.refused_row(request, number, item, refusal.reason, refusal.evidence)
        self.refused.append(row)
        return False

    def refused_row(
        self, request: Request, number: int, item: Any, reason: str, evidence: str
    ) -> Row:
        """Return an item that was not accepted as a row of the table of refused items."""
        place = f"{file_of(request.task)}.jsonl#{request.key[:16]}/{number}"
        row: Row = {
            "id": record.record_id("teacher", f"{request.about}/{place}"),
            "source": "teacher",
            "locator": place,
            "lang": request.language,
            "kind": request.task,
            "phase": "teacher",
            "reason": reason,
            "evidence": whole(evidence),
            "meta": provenance(request),
        }
        if isinstance(item, Pair):
            row["text"] = whole(item.support)
            row["question"], row["answer"] = whole(item.question), whole(item.answer)
        else:
            row["text"] = whole(item)
        if request.task in ("text_questions", "paraphrases"):
            row["parents"] = [request.about]
        elif request.task == "corrupted":
            row["fact"] = request.about
        else:
            row["attribute"] = request.about
        return row

    def explanation(self) -> list[str]:
        """Say for each attribute why wordings were refused or failed: each reason with one of them."""
        examples: dict[tuple[str, str], str] = {}
        counts: Counter[tuple[str, str]] = Counter()
        for row in self.refused:
            about = (row.get("attribute") or "", row["reason"])
            counts[about] += 1
            examples.setdefault(about, row["text"][:SHOWN])
        lines = []
        for (attribute, reason), count in sorted(counts.items()):
            if attribute:
                example = examples[attribute, reason]
                lines.append(f"teacher, {attribute}: {reason} {count:,}, such as {example!r}")
        return lines

    def report(self) -> dict[str, Any]:
        """Return the counts of metrics/augment.json. Tokens are those of the answers that were used."""
        total = Tally()
        for tally in self.tallies.values():
            total.requests += tally.requests
            total.asked += tally.asked
            total.accepted += tally.accepted
            total.refused += tally.refused
            total.failed += tally.failed
            total.surplus += tally.surplus
        entries = {one.key: self.answered[one.key] for one in self.needed.requests}
        return {
            "model": self.model,
            **total.report(),
            "tasks": {task: self.tallies[task].report() for task in sorted(self.tallies)},
            "not_asked": dict(sorted(self.needed.not_asked.items())),
            "hints_left_out": dict(sorted(self.hints_left_out.items())),
            "plain_answers": sorted(self.plain_answers),
            "tokens": {
                "input": sum(entry.input_tokens for entry in entries.values()),
                "output": sum(entry.output_tokens for entry in entries.values()),
            },
        }


def message_about(missing: list[Request]) -> str:
    """Return the message about requests without an answer."""
    counts = Counter(request.task for request in missing)
    parts = [f"{count:,} {task}" for task, count in sorted(counts.items())]
    about = list(dict.fromkeys(request.about for request in missing))
    shown = ", ".join(about[:MOST_SHOWN])
    more = f" and {len(about) - MOST_SHOWN:,} more" if len(about) > MOST_SHOWN else ""
    distinct = len({request.key for request in missing})
    return (
        f"data/teacher: {distinct:,} requests to the teacher have no answer ({', '.join(parts)}), about "
        f"{shown}{more}; run lore teach --dry-run to see what they cost, then lore teach; or set "
        "augment.teacher to null in params.yaml"
    )


def names_of(facts: list[Row]) -> set[str]:
    """Return the subjects and values of facts, with and without the unit."""
    names = set()
    for row in facts:
        names.add(row["subject"])
        names.add(row["value"])
        if row["unit"]:
            names.add(f"{row['value']} {row['unit']}")
    return names


def refused_hint(hint: str, language: str, others: list[str]) -> str:
    """Return why a term or name of an attribute is left out, or ""."""
    refusal = unsafe(hint) or checks.wrong_language(hint, language)
    if refusal:
        return refusal.reason
    if "{" in hint or "}" in hint:
        return "braces"
    if len(hint) > 60:
        return "too_long"
    if numbers_of(hint):
        return "number_in_template"
    # A term such as `of` or `what` would let every sentence pass.
    if not checks.telling_names([hint]):
        return "empty"
    if any(record.fold(hint) == record.fold(other) for other in others):
        return "other_attribute"
    return ""


def repeated(template: str, taken: set[str], by_words: set[str], kept: Kept) -> Refusal | None:
    """Refuse a template that repeats one that is there already."""
    normal = normalise(template)
    if normal in taken or in_order(normal) in by_words:
        return Refusal("same_words", template)
    return near(template, kept)


def note(template: str, taken: set[str], by_words: set[str], kept: Kept) -> None:
    """Note a template that was taken."""
    normal = normalise(template)
    taken.add(normal)
    by_words.add(in_order(normal))
    kept.add(template)


def in_order(normal: str) -> str:
    """Return the words of a normalised text in alphabetical order, as wordings.yaml is checked."""
    return " ".join(sorted(normal.split()))


def near(text: str, kept: Kept) -> Refusal | None:
    """Refuse a text that is nearly one that was kept."""
    like = kept.like(text)
    if like is None:
        return None
    other, similarity = like
    return Refusal("near_duplicate", f"{similarity:.2f} like: {other}")


def same_text(text: str, kept: Kept) -> Refusal | None:
    """Refuse a text that was kept already. Wrong answers may differ in one number, so nearly is not enough."""
    for other, _ in kept.signatures:
        if normalise(other) == normalise(text):
            return Refusal("same_words", other)
    return None


def row_of(source: Row, request: Request, item: Any, place: str) -> Row:
    """Return the training row of a question with its answer, or of a paraphrase."""
    made = source | identity(f"{source['id']}/train/{place}")
    made |= {"split": "train", "parents": [source["id"]]}
    if isinstance(item, Pair):
        made |= {"kind": "qa", "question": item.question, "answer": item.answer}
        made["text"] = training_text(item.question, item.answer)
        further = {"form": item.kind, "support": item.support}
        return made | {"meta": provenance(request, **further)}
    return made | {"kind": "statement", "text": item, "meta": provenance(request)}


def provenance(request: Request, **further: str) -> str:
    """Return the meta of what a teacher wrote: the task, and the key of the request."""
    return record.to_meta({"operation": request.task, "teacher": request.key[:16], **further})


def whole(text: str) -> str:
    """Return a text that Parquet can hold: halves of surrogate pairs are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")

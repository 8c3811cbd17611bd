"""The requests that settings and records call for, each with its prompt.

A request depends on the settings, on the names of attributes and on the record that it is about. So a changed
record asks for itself only. Requests for wordings hold no record: with other records the wordings, and the probes
among them, stay as they are. They name the attribute, its unit, and whether its values are numbers.

The key of a request is the SHA-256 of its model, settings and messages. The address of the endpoint, the number of
requests at a time, budget and prices are no part of it.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any, Literal

from stages.augment.fact import Row, number_in
from stages.augment.teacher.settings import Asked, Teacher
from stages.augment.teacher.unsafe import gives_orders

Task = Literal[
    "attribute",
    "statements",
    "questions",
    "valid",
    "probe",
    "text_questions",
    "paraphrases",
    "corrupted",
]
WORDINGS: tuple[Task, ...] = ("statements", "questions", "valid", "probe")
"""Tasks whose answers are templates, besides the answer sentences of `attribute`."""
ANSWER_SENTENCES = 3
"""Answer sentences that are asked for. The first that passes the checks is used."""
LIST = 20
"""Most templates that one request asks for. A longer list repeats itself, and may be cut off."""
LONGEST_PIECE = 6000
"""Characters of a text from which on it is asked about in pieces."""
LONGEST_PARAPHRASED = 1000
"""Characters of a text from which on no paraphrase is asked for."""
# A place where a long text may be cut: after a line break, or after a full stop with what follows it.
CUT = re.compile(r"\n+|(?<=[.!?])\s+|(?<=[。！？])")

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "statements": "sentences that state the value",
        "questions": "questions that ask for the value, in plain and in unusual words, as in a textbook, "
        "a quiz or a conversation",
        "valid": "questions that ask for the value, as one colleague asks another",
        "probe": "questions that ask for the value, as different people would ask in their own words: at "
        "home, at school, at work, in a hurry",
        "number": "Its values are numbers.",
        "quantity": 'Its values are numbers in the unit "{unit}".',
        "words": "Its values are words.",
        "value_slot": ", and {value} where its value stands, unit included",
        "both": "{subject} and {value}",
        "one": "{subject}",
        "about_subject": "It is about {subject}.",
    },
    "zh": {
        "statements": "陈述数值的句子",
        "questions": "询问该值的问题，用词有平常的，也有不常见的，像教科书、测验或交谈中那样",
        "valid": "询问该值的问题，像同事之间那样提问",
        "probe": "询问该值的问题，像不同的人在各自的场合那样提问：在家、在学校、在工作中、匆忙时",
        "number": "它的值是数字。",
        "quantity": "它的值是数字，单位是“{unit}”。",
        "words": "它的值是文字。",
        "value_slot": "，用 {value} 表示它的值（含单位）",
        "both": "{subject} 和 {value}",
        "one": "{subject}",
        "about_subject": "它讲的是 {subject}。",
    },
}
"""Parts of prompts that depend on what is asked for."""


@dataclass(frozen=True)
class Request:
    """One request to the teacher."""

    task: Task
    language: str
    about: str
    """The attribute, or the id of the record or fact."""
    count: int
    """Items that it asks for."""
    model: str
    settings: dict[str, Any]
    """What else decides the answer: temperature and max_tokens."""
    messages: list[dict[str, str]]
    text: str = ""
    """The text, or piece of a text, that it is about."""

    @property
    def key(self) -> str:
        """SHA-256 of model, settings and messages, as 64 hex digits."""
        return key_of(self.model, self.settings, self.messages)


@dataclass
class Needed:
    """All requests that are needed, in order, and what was left out."""

    requests: list[Request] = field(default_factory=list)
    not_asked: Counter[str] = field(default_factory=Counter)
    """Texts, facts and attributes that nothing is asked about, by reason."""


def key_of(model: str, settings: Mapping[str, Any], messages: list[dict[str, str]]) -> str:
    """Return the SHA-256 of what decides an answer, as 64 hex digits."""
    content = {"model": model, "settings": dict(settings), "messages": messages}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # `surrogatepass`: a lone half of a surrogate pair, which a JSON file may hold, has no UTF-8.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def needed(teacher: Teacher, records: list[Row], worded: set[str]) -> Needed:
    """Return the requests that these settings and records call for.

    `worded` are the attributes that wordings.yaml has. No wordings are asked for them.
    """
    found = Needed()
    writer = Writer(teacher)
    by_attribute: dict[str, list[Row]] = {}
    seen_facts: set[str] = set()
    facts = []
    texts = []
    for row in records:
        if row["fact"]:
            by_attribute.setdefault(row["attribute"], []).append(row)
            # The first record of a fact has the highest priority, as everywhere in augment.
            if row["fact"] not in seen_facts:
                seen_facts.add(row["fact"])
                facts.append(row)
        elif row["kind"] != "qa":
            texts.append(row)

    for name in sorted(by_attribute):
        if name in worded:
            continue
        if gives_orders(name):
            found.not_asked["attribute_gives_orders"] += 1
            continue
        language = language_of(by_attribute[name])
        if language not in teacher.ask:
            found.not_asked["attribute_in_another_language"] += 1
            continue
        found.requests += writer.wordings(name, language, by_attribute[name])

    for row in texts:
        asked = teacher.ask.get(row["lang"])
        if asked is None:
            found.not_asked["text_in_another_language"] += 1
            continue
        if gives_orders(f"{row['subject'] or ''} {row['text']}"):
            found.not_asked["text_gives_orders"] += 1
            continue
        if asked.text_questions:
            found.requests += writer.text_questions(row, asked)
        if asked.paraphrases and len(row["text"]) > LONGEST_PARAPHRASED:
            found.not_asked["text_too_long_to_paraphrase"] += 1
        elif asked.paraphrases:
            found.requests.append(writer.paraphrases(row, asked))

    for row in facts:
        asked = teacher.ask.get(row["lang"])
        if asked is None or not asked.corrupted:
            continue
        if gives_orders(f"{row['subject']} {row['attribute']} {row['value']}"):
            found.not_asked["fact_gives_orders"] += 1
        else:
            found.requests.append(writer.corrupted(row, asked))
    return found


def language_of(rows: list[Row]) -> str:
    """Return the language of most records, the first by name where two are equal."""
    counts = Counter(row["lang"] for row in rows)
    language: str = min(counts, key=lambda name: (-counts[name], name))
    return language


def pieces(text: str, longest: int = LONGEST_PIECE) -> list[str]:
    """Cut a text into pieces of at most `longest` characters, at ends of lines or sentences.

    A sentence that is longer is cut where the limit falls. The pieces together are the text.
    """
    ends = [match.end() for match in CUT.finditer(text)]
    ends.append(len(text))
    found = []
    start = 0
    last = 0
    for end in ends:
        if end - start > longest and last > start:
            found.append(text[start:last])
            start = last
        while end - start > longest:
            found.append(text[start : start + longest])
            start += longest
        last = max(end, start)
    if start < len(text) or not found:
        found.append(text[start:])
    return found


class Writer:
    """Writes prompts from the files in `data/`, named `<task>.<language>.txt`."""

    def __init__(self, teacher: Teacher) -> None:
        """With the settings of the teacher."""
        self.teacher = teacher
        self.settings = {
            "temperature": teacher.temperature,
            "max_tokens": teacher.max_tokens,
        }

    def request(
        self, task: Task, language: str, about: str, count: int, slots: dict[str, str], text: str
    ) -> Request:
        """Return a request. `slots` fill the prompt file of its task."""
        system, user = prompt_file("wordings" if task in WORDINGS else task, language)
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": Template(user).substitute(slots, count=str(count))},
        ]
        return Request(
            task=task,
            language=language,
            about=about,
            count=count,
            model=self.teacher.model,
            settings=self.settings,
            messages=messages,
            text=text,
        )

    def wordings(self, attribute: str, language: str, rows: list[Row]) -> Iterator[Request]:
        """Yield the requests for the wordings of an attribute. None where no wordings are asked for."""
        asked = self.teacher.ask[language]  # type: ignore[index]
        if not asked.questions:
            return
        words = WORDS[language]
        slots = {
            "attribute": attribute,
            "about": self.teacher.about.get(attribute, ""),
            "value_kind": value_kind(rows, words),
        }
        yield self.request("attribute", language, attribute, ANSWER_SENTENCES, slots, "")
        wanted = {
            "statements": asked.statements,
            "questions": asked.questions,
            "valid": asked.valid,
            "probe": asked.probe,
        }
        for task in WORDINGS:
            states_value = task == "statements"
            slots["kind"] = words[task]
            slots["slots"] = words["both" if states_value else "one"]
            slots["value_slot"] = words["value_slot"] if states_value else ""
            for number, count in enumerate(lists(wanted[task]), start=1):
                slots["number"] = str(number)
                yield self.request(task, language, attribute, count, slots, "")

    def text_questions(self, row: Row, asked: Asked) -> Iterator[Request]:
        """Yield the requests for questions about a text: one for each piece of it."""
        for piece in pieces(row["text"]):
            slots = text_slots(row, piece)
            count = asked.text_questions
            yield self.request("text_questions", row["lang"], row["id"], count, slots, piece)

    def paraphrases(self, row: Row, asked: Asked) -> Request:
        """Return the request for paraphrases of a text."""
        text = row["text"]
        slots = text_slots(row, text)
        return self.request("paraphrases", row["lang"], row["id"], asked.paraphrases, slots, text)

    def corrupted(self, row: Row, asked: Asked) -> Request:
        """Return the request for wrong answers about a fact."""
        fact = {name: row[name] for name in ("subject", "attribute", "value", "unit") if row[name]}
        slots = {"fact": json.dumps(fact, ensure_ascii=False)}
        return self.request("corrupted", row["lang"], row["fact"], asked.corrupted, slots, "")


def text_slots(row: Row, text: str) -> dict[str, str]:
    """Return what the prompts about a text hold of its record. As JSON strings, they end where they should."""
    about = ""
    if row["subject"]:
        name = json.dumps(row["subject"], ensure_ascii=False)
        about = WORDS[row["lang"]]["about_subject"].replace("{subject}", name)
    return {"text": json.dumps(text, ensure_ascii=False), "about_subject": about}


def value_kind(rows: list[Row], words: dict[str, str]) -> str:
    """Say what the values of most of an attribute's records are: words, numbers, or numbers in a unit."""
    numeric = sum(number_in(row["value"]) is not None for row in rows)
    if numeric * 2 <= len(rows):
        return words["words"]
    units = Counter(row["unit"] or "" for row in rows)
    unit = min(units, key=lambda name: (-units[name], name))
    if unit:
        return words["quantity"].replace("{unit}", unit)
    return words["number"]


def lists(count: int) -> list[int]:
    """Return the numbers of items of each list: 45 gives 20, 20 and 5. A larger count keeps the full ones."""
    full, rest = divmod(count, LIST)
    return [LIST] * full + [rest] * (rest > 0)


@cache
def prompt_file(task: str, language: str) -> tuple[str, str]:
    """Return the two messages of a prompt file: the system's and the user's."""
    path = files("stages.augment.teacher") / "data" / f"{task}.{language}.txt"
    system, _, user = path.read_text(encoding="utf-8").partition("\n---\n")
    return system.strip(), user.strip()

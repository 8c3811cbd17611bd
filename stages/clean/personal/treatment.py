"""One record with its personal data changed."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from functools import partial
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from stages.clean.personal import tagger
from stages.clean.personal.actions import PLACED, hashed, masked, replaced
from stages.clean.personal.chinese_names import HAN
from stages.clean.personal.find import Kind, Tagger, find_personal, parts
from stages.clean.personal.names import is_name
from stages.clean.span import Span, apart, rewrite
from stages.core.project.params import STRICT
from stages.core.records.record import fact_id, fact_text, fold, to_meta

Row = dict[str, Any]
Action = Literal["replace", "mask", "hash", "reject"]
COLUMNS = ("text", "question", "answer", "subject", "value", "evidence")
"""Columns in which personal data is sought, beside every further field of the source (meta)."""
SHORTEST = 3
"""Characters of a value that is sought in the other texts of its record (two in Chinese): M for male is not."""


@dataclass(frozen=True, config=STRICT)
class Model:
    """A token classification checkpoint, and what it is asked for."""

    model: str
    """A folder, or a repository on the hub."""
    revision: str | None = None
    """Full commit hash, of a repository."""
    labels: dict[str, Kind] = field(default_factory=dict)
    """Which of its labels (without B-, I-) mean what."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """What is sought, and what becomes of it. Nothing is by default."""

    actions: dict[Kind, Action] = field(default_factory=dict)
    """Per kind: replace (<PERSON>), mask (***-**-1234), hash (<PERSON_3f9a1c2b7d40>), or reject the record."""
    fields: dict[str, Kind] = field(default_factory=dict)
    """Fields that are personal as a whole: `subject`, a further field (map.meta), or an attribute, whose value it then is."""
    require_none: bool = False
    """Whether a record in which anything of any kind is left, actions or not, is set aside."""
    tagger: Model | None = None
    """What finds names that no pattern knows."""
    salt: str = ""
    """Fingerprint of the salt, as metrics/clean.json has it: a run with another salt then stops. Empty: any salt."""


@plain_dataclass
class Known:
    """What is personal in this record, as it is written: to be sought in all its texts."""

    written: dict[str, Span] = field(default_factory=dict)
    parts: dict[str, Span] = field(default_factory=dict)
    """Words of a name, sought only as they are written."""

    def add(self, text: str, span: Span, every_word: bool) -> None:
        """Note a value; of a name of several words also each of them, of a declared one every word."""
        text = text.strip()
        if len(text) >= (2 if HAN.search(text) else SHORTEST):
            self.written.setdefault(text, span)
        if span.kind == "person":
            words = [word.strip(".,'’") for word in text.split()]
            for word in words if every_word or len(words) > 1 else ():
                if len(word) >= SHORTEST and is_name(word):
                    self.parts.setdefault(word, span)

    def seek(self, text: str) -> Iterator[Span]:
        """Where the text says it again."""
        whole = {fold(written): span for written, span in self.written.items()}
        for known, flags in ((self.written, re.IGNORECASE), (self.parts, re.NOFLAG)):
            if not known:
                continue
            pattern = "|".join(
                pattern_of(written) for written in sorted(known, key=lambda w: (-len(w), w))
            )
            for start, part in parts(text):
                for found in re.finditer(pattern, part, flags):
                    span = known.get(found.group()) or whole.get(fold(found.group()))
                    if span:
                        yield Span(
                            start + found.start(), start + found.end(), span.kind, span.normal
                        )


def pattern_of(written: str) -> str:
    """A pattern of the value as a whole word; Chinese knows none, and a blank may be several."""
    words = r"\s+".join(re.escape(word) for word in written.split())
    before = r"(?<!\w)" if re.match(r"\w", written) and not HAN.match(written) else ""
    behind = r"(?!\w)" if re.search(r"\w$", written) and not HAN.match(written[-1]) else ""
    return before + words + behind


def treated(row: Row, params: Params, salt: bytes) -> tuple[Row, list[Span]]:
    """The record with its personal data changed, and what was found, each thing once.

    What is found in one of its texts is sought in the others, and what results is looked through again until nothing is found:
    a second treatment changes nothing. A kind whose action is `reject` is replaced: a record set aside holds none of it either.
    """
    meta = json.loads(row["meta"])
    cells = {name: row[name] for name in COLUMNS if row.get(name)}
    cells |= {
        f"meta.{name}": value for name, value in meta.items() if isinstance(value, str) and value
    }
    declared = declared_cells(row, params, cells)
    known, found = Known(), dict[tuple[str, str], Span]()
    for name, kind in declared.items():
        if not PLACED.fullmatch(cells[name]):
            known.add(cells[name], of_value(cells[name], kind, row["lang"]), every_word=True)
    while True:
        changes = {name: changes_in(name, cells, declared, row, params, salt) for name in cells}
        for name, forms in changes.items():
            for span in forms:
                known.add(cells[name][span.start : span.end], span, every_word=False)
        for name, text in cells.items():
            again = {
                span: form(span, text, row["source"], params, salt) for span in known.seek(text)
            }
            forms = changes[name] | {
                span: new for span, new in again.items() if new != text[span.start : span.end]
            }
            kept = apart(forms)
            found |= {
                (span.kind, span.normal): span
                for span in kept
                if (span.kind, span.normal) not in found
            }
            changes[name] = {span: forms[span] for span in kept}
        if not any(changes.values()):
            return with_cells(row, cells, meta), list(found.values())
        cells = {
            name: rewrite(text, changes[name], changes[name].__getitem__)
            for name, text in cells.items()
        }


def declared_cells(row: Row, params: Params, cells: dict[str, str]) -> dict[str, Kind]:
    """Which cells are personal as a whole, and of what kind."""
    found: dict[str, Kind] = {}
    for name, kind in params.fields.items():
        places = ["subject"] if name == "subject" else [f"meta.{name}"]
        places += ["value"] if row.get("attribute") == name else []
        found |= {place: kind for place in places if place in cells}
    return found


def changes_in(
    name: str,
    cells: dict[str, str],
    declared: dict[str, Kind],
    row: Row,
    params: Params,
    salt: bytes,
) -> dict[Span, str]:
    """The spans of a cell that change, and their new forms."""
    text = cells[name]
    if name in declared:
        spans = [] if PLACED.fullmatch(text) else [of_value(text, declared[name], row["lang"])]
    elif row.get("fact") and name in ("subject", "value"):
        spans = []  # they stand in the text, where the attribute says more of them
    else:
        spans = find_personal(text, row["lang"], params.actions, tagger_of(params))
    forms = {span: form(span, text, row["source"], params, salt) for span in spans}
    return {span: new for span, new in forms.items() if new != text[span.start : span.end]}


def tagger_of(params: Params) -> Tagger | None:
    """What the params ask to find more."""
    if params.tagger is None:
        return None
    labels = tuple(sorted(params.tagger.labels.items()))
    return partial(
        tagger.find, model=params.tagger.model, revision=params.tagger.revision, labels=labels
    )


def of_value(text: str, kind: str, lang: str) -> Span:
    """The span of a value that is personal as a whole, in the same canonical form as where it is found."""
    same = [
        span.normal
        for span in find_personal(text, lang, {kind})
        if (span.start, span.end) == (0, len(text))
    ]
    return Span(0, len(text), kind, same[0] if same else fold(text))


def form(span: Span, text: str, source: str, params: Params, salt: bytes) -> str:
    """What takes the place of a span of the text."""
    action = params.actions[span.kind]  # type: ignore[index]  # a kind that was sought
    if action == "mask":
        return masked(span.kind, text[span.start : span.end])
    return hashed(span, source, salt) if action == "hash" else replaced(span.kind)


def with_cells(row: Row, cells: dict[str, str], meta: Row) -> Row:
    """The record with new cells; a fact is about its new subject, and its text says what its parts say."""
    fields = {
        name.removeprefix("meta."): text for name, text in cells.items() if name.startswith("meta.")
    }
    new = (
        row
        | {name: text for name, text in cells.items() if not name.startswith("meta.")}
        | {"meta": to_meta(meta | fields)}
    )
    if row.get("fact") and new != row:
        if new["subject"] != row["subject"]:
            new["fact"] = fact_id(new["subject"], row["attribute"])
        new["text"] = fact_text(new["subject"], row["attribute"], new["value"], row["unit"])
    return new

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
from stages.core.records.record import Names, fact_id, fact_text, fold, to_meta

Row = dict[str, Any]
Action = Literal["replace", "mask", "hash", "reject"]
COLUMNS = ("text", "question", "answer", "subject", "value", "evidence")
"""Columns in which personal data is looked for, beside every further field of the source (meta)."""
META = "meta."
"""Before the name of a further field, among the cells of a record."""
SHORTEST = 3
SHORTEST_CHINESE = 2
"""Characters of a value that is looked for in the other texts of its record: M for male is not."""
Cells = dict[str, str]
"""The texts of a record in which personal data is looked for.

The names are those of columns, and `meta.name` of a further field.
"""
Changes = dict[Span, str]
"""Spans of a cell, and their new forms."""


@dataclass(frozen=True, config=STRICT)
class Model:
    """A token classification checkpoint, and the labels that it looks for."""

    model: str
    """A token classification model: a folder, or a repository on the hub, such as
    `dslim/bert-base-NER`. Fetch it before (`hf download`). A folder is an input: run `dvc add` on it,
    and name it in the deps of `clean` in dvc.yaml."""
    revision: str | None = None
    """Full commit hash (40 hex digits), for a repository on the hub."""
    labels: dict[str, Kind] = field(default_factory=dict)
    """The kind that each of its labels means, such as `{PER: person}`. Labels without B- and I-."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """What is looked for, and what is done with it. By default nothing is looked for."""

    actions: dict[Kind, Action] = field(default_factory=dict)
    """Action by kind, such as `{person: replace, ssn: mask}`.

    Kinds: `person`, `phone`, `address`, `email`, `url`, `ssn`, `resident_id`, `passport`, `id`, `card`,
    `iban`, `ip`, `mac`, `postcode`.

    Actions: `replace` gives `<PERSON>`. `mask` gives `***-**-1234`: the last four digits of a number
    stay. `hash` gives `<PERSON_3f9a1c2b7d40>`, the same for the same value in one source. Its salt, a
    secret, is the environment variable LOREKEEP_SALT (16 characters or more). Another salt gives other
    outputs, and DVC does not see it: run `dvc repro --force clean`. `reject` sets the record aside
    (`personal_data`).
    """
    fields: dict[str, Kind] = field(default_factory=dict)
    """Fields that are personal as a whole, and their kinds, such as `{patient_name: person}`.

    A field is `subject`, a further field (`map.meta`), or an attribute (then the value of its facts). The
    value is also looked for in the other texts of its record. A subject is hashed or rejected, because
    other actions make one subject of two.
    """
    require_none: bool = False
    """Whether a record is set aside in which personal data of any kind is left, also of kinds without an
    action."""
    tagger: Model | None = None
    """A model that finds names that no pattern knows.

    Example: `{model: dslim/bert-base-NER, revision: <40 hex digits>, labels: {PER: person}}`. Each text
    is read once and remembered (`.memo`). `metrics/clean.json` has the model's hash.
    """
    salt: str = ""
    """Fingerprint of the salt, as `metrics/clean.json` has it. A run with another salt then stops. DVC sees
    a change of this setting. Empty: any salt."""


@plain_dataclass
class Known:
    """Values of a record that are personal, to be looked for in all its texts."""

    written: dict[str, Span] = field(default_factory=dict)
    """Whole values, looked for in upper and lower case."""
    words: dict[str, Span] = field(default_factory=dict)
    """Words of a name, looked for only as they are written."""

    def add(self, text: str, span: Span, every_word: bool) -> None:
        """Note a value.

        Of a name of several words, each word is noted too. With `every_word` also that of one word.
        """
        text = text.strip()
        shortest = SHORTEST_CHINESE if HAN.search(text) else SHORTEST
        if len(text) >= shortest:
            self.written.setdefault(text, span)
        if span.kind != "person":
            return
        words = [word.strip(".,'’") for word in text.split()]
        if len(words) == 1 and not every_word:
            return
        for word in words:
            if len(word) >= SHORTEST and is_name(word):
                self.words.setdefault(word, span)

    def find(self, text: str) -> Iterator[Span]:
        """The places where a text holds one of the values again."""
        yield from self._find(text, self.written, re.IGNORECASE)
        yield from self._find(text, self.words, re.NOFLAG)

    def _find(self, text: str, known: dict[str, Span], flags: re.RegexFlag) -> Iterator[Span]:
        if not known:
            return
        by_folded = {fold(written): span for written, span in self.written.items()}
        # The longest value first: Jane Doe, not only the Jane of it.
        ordered = sorted(known, key=lambda written: (-len(written), written))
        pattern = "|".join(pattern_of(written) for written in ordered)
        for offset, part in parts(text):
            for match in re.finditer(pattern, part, flags):
                written = match.group()
                span = known.get(written) or by_folded.get(fold(written))
                if span:
                    start, end = match.span()
                    yield Span(offset + start, offset + end, span.kind, span.normal)


def pattern_of(written: str) -> str:
    """The pattern of a value as a whole word.

    Chinese has no blanks between words. A blank in the value may be several.
    """
    words = r"\s+".join(re.escape(word) for word in written.split())
    begins_a_word = re.match(r"\w", written) and not HAN.match(written)
    ends_a_word = re.search(r"\w$", written) and not HAN.match(written[-1])
    before = r"(?<!\w)" if begins_a_word else ""
    behind = r"(?!\w)" if ends_a_word else ""
    return before + words + behind


def treated(row: Row, params: Params, salt: bytes, names: Names = "fold") -> tuple[Row, list[Span]]:
    """The record with its personal data changed, and a span for each value that was found.

    A value that is found in one text of the record is looked for in the others. The result is
    looked through again until nothing is found, so a second treatment changes nothing. A kind whose
    action is `reject` is replaced: a record that is set aside holds none of it either.
    """
    meta = json.loads(row["meta"])
    cells = _cells_of(row, meta)
    declared = declared_cells(row, params, cells)
    known = Known()
    found: dict[tuple[str, str], Span] = {}
    for name, kind in declared.items():
        if not PLACED.fullmatch(cells[name]):
            known.add(cells[name], of_value(cells[name], kind, row["lang"]), every_word=True)
    while True:
        changes = {name: changes_in(name, cells, declared, row, params, salt) for name in cells}
        for name, spans in changes.items():
            for span in spans:
                known.add(cells[name][span.start : span.end], span, every_word=False)
        for name, text in cells.items():
            again = {
                span: form(span, text, row["source"], params, salt) for span in known.find(text)
            }
            all_changes = changes[name] | _that_change(text, again)
            kept = apart(all_changes)
            in_this_cell = {(span.kind, span.normal): span for span in kept}
            for value, span in in_this_cell.items():
                found.setdefault(value, span)
            changes[name] = {span: all_changes[span] for span in kept}
        if not any(changes.values()):
            return with_cells(row, cells, meta, names), list(found.values())
        for name, text in cells.items():
            cells[name] = rewrite(text, changes[name], changes[name].__getitem__)


def _cells_of(row: Row, meta: Row) -> Cells:
    cells = {}
    for name in COLUMNS:
        if row.get(name):
            cells[name] = row[name]
    for name, value in meta.items():
        if value and isinstance(value, str):
            cells[META + name] = value
    return cells


def _that_change(text: str, forms: Changes) -> Changes:
    """The spans whose new form is not what the text already holds there."""
    return {span: new for span, new in forms.items() if new != text[span.start : span.end]}


def declared_cells(row: Row, params: Params, cells: Cells) -> dict[str, Kind]:
    """Cells that are personal as a whole, and their kinds."""
    declared: dict[str, Kind] = {}
    for field_name, kind in params.fields.items():
        names = ["subject"] if field_name == "subject" else [META + field_name]
        if row.get("attribute") == field_name:
            names.append("value")
        for name in names:
            if name in cells:
                declared[name] = kind
    return declared


def changes_in(
    name: str,
    cells: Cells,
    declared: dict[str, Kind],
    row: Row,
    params: Params,
    salt: bytes,
) -> Changes:
    """The spans of a cell that change, and their new forms."""
    text = cells[name]
    spans: list[Span] = []
    if name in declared:
        if not PLACED.fullmatch(text):
            spans = [of_value(text, declared[name], row["lang"])]
    elif not row.get("fact") or name not in ("subject", "value"):
        # Those of a fact also stand in its text, where the attribute says more of them.
        spans = find_personal(text, row["lang"], params.actions, tagger_of(params))
    forms = {span: form(span, text, row["source"], params, salt) for span in spans}
    return _that_change(text, forms)


def tagger_of(params: Params) -> Tagger | None:
    """The recogniser of the model that the settings name. None where they name none."""
    if params.tagger is None:
        return None
    labels = tuple(sorted(params.tagger.labels.items()))
    return partial(
        tagger.find, model=params.tagger.model, revision=params.tagger.revision, labels=labels
    )


def of_value(text: str, kind: str, lang: str) -> Span:
    """The span of a value that is personal as a whole, in the canonical form that a text gives it."""
    for span in find_personal(text, lang, {kind}):
        if (span.start, span.end) == (0, len(text)):
            return Span(0, len(text), kind, span.normal)
    return Span(0, len(text), kind, fold(text))


def form(span: Span, text: str, source: str, params: Params, salt: bytes) -> str:
    """The new form of a span of the text."""
    action = params.actions[span.kind]  # type: ignore[index]  # only kinds with an action are looked for
    if action == "mask":
        return masked(span.kind, text[span.start : span.end])
    if action == "hash":
        return hashed(span, source, salt)
    return replaced(span.kind)


def with_cells(row: Row, cells: Cells, meta: Row, names: Names = "fold") -> Row:
    """The record with new cells. The text and the id of a fact are made anew of its new parts."""
    new = dict(row)
    new_meta = dict(meta)
    for name, text in cells.items():
        if name.startswith(META):
            new_meta[name.removeprefix(META)] = text
        else:
            new[name] = text
    new["meta"] = to_meta(new_meta)
    if row.get("fact") and new != row:
        if new["subject"] != row["subject"]:
            new["fact"] = fact_id(new["subject"], row["attribute"], names)
        new["text"] = fact_text(new["subject"], row["attribute"], new["value"], row["unit"])
    return new

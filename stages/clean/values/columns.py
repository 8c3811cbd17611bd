"""Normalise many records at once: free texts by column, facts and records with further fields one
by one.
"""

import json
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import polars as pl

from stages.clean.exclusions import CONTENT, REASON, Excluded
from stages.clean.personal import Treatment
from stages.clean.terms import HAN, changed
from stages.clean.values.date_fields import is_date
from stages.clean.values.normalise import (
    FOLDABLE,
    PUNCTUATION,
    Params,
    clean_lines,
    folded,
    normalise_row,
)
from stages.clean.values.numbers import NumberForm
from stages.clean.values.rewriting import Params as Text
from stages.clean.values.rewriting import rewritten_texts
from stages.clean.values.source_forms import NO_FORMS, PLAIN, Forms
from stages.clean.values.unusable import Unusable
from stages.core.records.record import SCHEMA, compared_name

Row = dict[str, Any]
PROSE_COLUMNS = ("text", "question", "answer")
TEXTS = (*PROSE_COLUMNS, "subject", "attribute", "value")
FOLDS = {character: folded(character) for character in FOLDABLE}
"""Characters that have a plain form, and this form."""
PROSE = {character: form for character, form in FOLDS.items() if character not in PUNCTUATION}
"""Those that are folded in a Chinese text."""
ANY_FOLD = f"[{''.join(FOLDS)}]"

# Patterns for polars, in the language of Rust's regex crate: && is "and also in".
SPACE = (
    r"[\s\x1c-\x1f&&[^ ]][\s\x1c-\x1f]*"  # begins with a tab, a line break …
    r"| [\s\x1c-\x1f]+"  # a blank and more
)
"""White space as Python knows it, which includes \\x1c to \\x1f, but not a single blank."""
INVISIBLE = (
    r"[\p{Cf}\p{Co}]"  # format and private use
    r"|[\p{Cc}&&[^\s\x1c-\x1f]]"  # control, without white space
)
COMPOSABLE = (
    r"[^\x00-\x{2ff}"  # Latin
    r"\x{2010}-\x{2027}\x{3000}-\x{3029}"  # dashes, quotes, Chinese punctuation
    r"\x{3400}-\x{9fff}"  # Chinese characters
    r"\x{ff01}-\x{ffef}]"  # full-width forms
)
"""Characters that NFC may change, and some that it does not: a text without any is left alone, at a
tenth of the time.
"""
TO_CLEAN = "[^ -~]|  |^ | $"
"""Stands in a text that is not clean yet, or not ASCII."""
COLUMNS: dict[str, Any] = {
    name: pl.List(pl.String) if name == "parents" else pl.String for name in SCHEMA.names
}
"""The columns of a frame of records, and their types."""


@dataclass(frozen=True)
class Batch:
    """Records that follow each other, normalised."""

    frame: pl.DataFrame
    """With the columns of the schema. Unusable records are as they were."""
    unusable: dict[int, tuple[str, str]]
    """Row number in the frame → reason, evidence."""
    meta: pl.Series
    """For each row, the further fields that tell two facts apart (`distinguishing_fields`)."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """How many dates of each further field are left as they are written."""


def redacted(frame: pl.DataFrame, excluded: Excluded) -> pl.DataFrame:
    """The records as `exclusions.redacted` makes each of them."""
    is_excluded = pl.col("id").is_in(list(excluded))
    new_values = dict.fromkeys(CONTENT, pl.lit(None))
    new_values |= {"text": pl.lit(f"[{REASON}]"), "meta": pl.lit("{}")}
    changes = []
    for name, new in new_values.items():
        changes.append(pl.when(is_excluded).then(new).otherwise(pl.col(name)).alias(name))
    return frame.with_columns(*changes)


def normalise(
    frame: pl.DataFrame, params: Params, left: Container[int] = (), forms: Forms = NO_FORMS
) -> Batch:
    """Records in one form, except those whose row numbers are in `left`, which are left alone.

    Facts and records with further fields are normalised one by one, the others column by column.
    Both ways give the same, and tests compare them. `forms` is how the sources write.
    """
    is_fact = pl.col("fact").is_not_null()
    has_fields = pl.col("meta") != "{}"
    one_by_one = frame.select((is_fact | has_fields).alias("one_by_one"))["one_by_one"]

    without_text = replace(params, text=Text(dates=False, units=[]))  # texts come last, by column
    done: list[Row] = []
    unusable: dict[int, tuple[str, str]] = {}
    meta = [""] * len(frame)
    unreadable: Counter[str] = Counter()
    for number in one_by_one.arg_true():
        row = frame.row(number, named=True)
        if number not in left:
            try:
                row = normalise_row(row, without_text, forms)
                meta[number] = distinguishing_fields(row, params.dates)
                unreadable.update(unreadable_dates(row, params))
            except Unusable as problem:
                unusable[number] = (problem.reason, problem.evidence)
        done.append(row | {"number": number})
    special = pl.DataFrame(done, schema={"number": pl.UInt32, **COLUMNS})

    by_column = frame.with_row_index("number").filter(~one_by_one)
    keeping = [name for name, form in forms.items() if form.lines]
    with_lines = by_column["source"].is_in(keeping) if keeping else None
    new_columns = []
    for name in TEXTS:
        texts = cleaned(by_column[name])
        if with_lines is not None and with_lines.any() and name in PROSE_COLUMNS:
            kept = _cleaned_lines(by_column[name].filter(with_lines))
            texts = texts.clone().scatter(with_lines.arg_true(), kept)  # scatter works in place
        new_columns.append(texts.alias(name))
    by_column = by_column.with_columns(new_columns)
    whole = pl.concat([by_column, special.select(by_column.columns)]).sort("number")

    usable = [number not in left and number not in unusable for number in range(len(frame))]
    is_prose = whole["fact"].is_null() & pl.Series(usable, dtype=pl.Boolean)
    whole = rewritten(whole.drop("number"), is_prose, params, forms)
    return Batch(whole, unusable, pl.Series(meta, dtype=pl.String), unreadable)


def without_personal(
    batch: Batch, dates: list[str], treatment: Treatment
) -> tuple[Batch, dict[int, tuple[str, str]], Counter[str]]:
    """The batch with its personal data changed.

    Also row number → (reason, evidence) of the records to set aside, and how much of each kind
    there was.
    """
    rows = dict(enumerate(batch.frame.iter_rows(named=True)))
    usable = {number: row for number, row in rows.items() if number not in batch.unusable}
    treated, reasons, counts = treatment.judged(usable)
    meta = []
    for number in rows:
        meta.append(distinguishing_fields(treated[number], dates) if number in treated else "")
    new_rows = rows | treated
    frame = pl.DataFrame(list(new_rows.values()), schema=batch.frame.schema)
    personal_meta = pl.Series(meta, dtype=pl.String)
    return Batch(frame, batch.unusable, personal_meta, batch.unreadable), reasons, counts


def cleaned(texts: pl.Series) -> pl.Series:
    """Texts as `normalise.clean_text` makes each of them."""
    return changed(texts, texts.str.contains(TO_CLEAN), _cleaned)


def _cleaned(texts: pl.Series) -> pl.Series:
    is_wide = texts.str.contains(ANY_FOLD)
    is_chinese = texts.str.contains(HAN)
    texts = changed(texts, is_wide & is_chinese, partial(_replaced, forms=PROSE))
    texts = changed(texts, is_wide & ~is_chinese, partial(_replaced, forms=FOLDS))
    texts = changed(texts, texts.str.contains(COMPOSABLE), lambda some: some.str.normalize("NFC"))
    visible = texts.str.replace_all(INVISIBLE, "")
    return visible.str.replace_all(SPACE, " ").str.strip_chars(" ")


def _cleaned_lines(texts: pl.Series) -> pl.Series:
    """Texts as `normalise.clean_lines` makes each of them."""
    kept = []
    for text in texts:
        kept.append(None if text is None else clean_lines(text))
    return pl.Series(kept, dtype=pl.String)


def _replaced(texts: pl.Series, forms: dict[str, str]) -> pl.Series:
    return texts.str.replace_many(list(forms), list(forms.values()))


def rewritten(
    frame: pl.DataFrame, where: pl.Series, params: Params, forms: Forms = NO_FORMS
) -> pl.DataFrame:
    """The records with the dates and quantities of their free texts in one form, in the rows where
    `where` is true.
    """
    if not (params.text.dates or params.text.units):
        return frame
    # Sources that write numbers alike are rewritten together. Most write them as nothing says.
    sources_of: dict[NumberForm, list[str]] = {}
    for source in frame["source"].unique().sort():
        numbers = forms.get(source, PLAIN).numbers
        sources_of.setdefault(numbers, []).append(source)
    for lang in frame["lang"].unique().sort():
        for numbers, sources in sources_of.items():
            rewrite = partial(
                rewritten_texts,
                lang=lang,
                params=params.text,
                digits=params.significant_digits,
                day_first=params.day_first,
                form=numbers,
            )
            chosen = where & (frame["lang"] == lang)
            if len(sources_of) > 1:
                chosen &= frame["source"].is_in(sources)
            new_columns = []
            for name in PROSE_COLUMNS:
                new_columns.append(changed(frame[name], chosen, rewrite).alias(name))
            frame = frame.with_columns(new_columns)
    return frame


def distinguishing_fields(row: Row, dates: list[str]) -> str:
    """The further fields that tell a fact from another: all but dates of review.

    Empty for a record that is no fact.
    """
    if not row["fact"]:
        return ""
    fields = json.loads(row["meta"])
    without_dates = {name: value for name, value in fields.items() if name not in dates}
    return json.dumps(without_dates, sort_keys=True)


def unreadable_dates(row: Row, params: Params) -> list[str]:
    """The names of the further fields of a normalised record whose dates stayed as written."""
    if params.unreadable_dates == "reject":
        return []
    fields = json.loads(row["meta"])
    names = []
    for name in params.dates:
        if fields.get(name) and not is_date(fields[name], params.day_first):
            names.append(name)
    return names


def spelt(frame: pl.DataFrame, first: dict[str, str]) -> pl.DataFrame:
    """Records whose subjects are spelt as the first record about them does, in order of priority:
    Hafnium becomes hafnium.

    `first` is that spelling by folded subject.
    """
    other_spellings: dict[str, str] = {}
    for subject in frame["subject"].unique():
        if not subject:
            continue
        spelling = first.get(compared_name(subject), subject)
        if spelling != subject:
            other_spellings[subject] = spelling
    if not other_spellings:
        return frame
    subject = pl.col("subject").replace(other_spellings)
    unit = pl.when(pl.col("unit") != "").then(pl.lit(" ") + pl.col("unit"))
    text_of_fact = pl.concat_str(  # as `record.fact_text` writes it
        [subject, pl.lit(": "), "attribute", pl.lit(" "), "value", unit], ignore_nulls=True
    )
    is_fact = pl.col("fact").is_not_null()
    text = pl.when(is_fact).then(text_of_fact).otherwise("text")
    return frame.with_columns(subject, text.alias("text"))


def spellings(frame: pl.DataFrame) -> dict[str, str]:
    """The first spelling of each subject of a frame, by folded subject."""
    found: dict[str, str] = {}
    for subject in frame["subject"].unique(maintain_order=True):
        if subject:
            found.setdefault(compared_name(subject), subject)
    return found

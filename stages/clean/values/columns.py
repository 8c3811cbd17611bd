"""Normalise many records at once: free texts by column, facts and records with further fields one by one."""

import json
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import polars as pl

from stages.clean.exclusions import CONTENT, REASON, Excluded
from stages.clean.filters.terms import HAN, changed
from stages.clean.personal import Treatment
from stages.clean.values.normalise import FOLDABLE, PUNCTUATION, Params, folded, normalise_row
from stages.clean.values.rewriting import Params as Text
from stages.clean.values.rewriting import rewritten_texts
from stages.clean.values.unusable import Unusable
from stages.core.records.record import SCHEMA, fold

Row = dict[str, Any]
PROSE_COLUMNS = ("text", "question", "answer")
TEXTS = (*PROSE_COLUMNS, "subject", "attribute", "value")
FOLDS = {character: folded(character) for character in FOLDABLE}
PROSE = {character: form for character, form in FOLDS.items() if character not in PUNCTUATION}
"""What is folded in a Chinese text."""
ANY_FOLD = "[" + "".join(FOLDS) + "]"
SPACE = r"[\s\x1c-\x1f&&[^ ]][\s\x1c-\x1f]*| [\s\x1c-\x1f]+"
"""White space as Python knows it, all but a single blank."""
INVISIBLE = r"[\p{Cf}\p{Co}]|[\p{Cc}&&[^\s\x1c-\x1f]]"
COMPOSABLE = r"[^\x00-\x{2ff}\x{2010}-\x{2027}\x{3000}-\x{3029}\x{3400}-\x{9fff}\x{ff01}-\x{ffef}]"
"""What NFC may change; coarse: a text without is left alone at a tenth of the time."""
TO_CLEAN = r"[^ -~]|  |^ | $"
"""In a text that is not clean yet, or not ASCII."""
COLUMNS: dict[str, Any] = {
    name: pl.List(pl.String) if name == "parents" else pl.String for name in SCHEMA.names
}


@dataclass(frozen=True)
class Batch:
    """Records that follow each other, normalised."""

    frame: pl.DataFrame
    """With the columns of the schema; unusable records as they were."""
    unusable: dict[int, tuple[str, str]]
    """Place in the frame → reason, evidence."""
    meta: pl.Series
    """Further fields of each fact, without its dates of review: what tells two facts apart."""


def redacted(frame: pl.DataFrame, excluded: Excluded) -> pl.DataFrame:
    """The records as `exclusions.redacted` makes each of them."""
    gone = pl.col("id").is_in(list(excluded))
    empty = [pl.when(gone).then(None).otherwise(pl.col(name)).alias(name) for name in CONTENT]
    filled = [(pl.lit(f"[{REASON}]"), "text"), (pl.lit("{}"), "meta")]
    return frame.with_columns(
        *empty,
        *(pl.when(gone).then(new).otherwise(pl.col(name)).alias(name) for new, name in filled),
    )


def normalise(frame: pl.DataFrame, params: Params, left: Container[int] = ()) -> Batch:
    """Records in one form, but those whose places are to be left alone. Both ways of making it give the same: tests hold them
    together.
    """
    one_by_one = frame.select(
        (pl.col("fact").is_not_null() | (pl.col("meta") != "{}")).alias("special")
    )["special"]
    texts_later = replace(params, text=Text(dates=False, units=[]))
    done, unusable, meta = [], {}, [""] * len(frame)
    for at in one_by_one.arg_true():
        row = frame.row(at, named=True)
        try:
            if at not in left:
                row = normalise_row(row, texts_later)
                meta[at] = told_apart(row, params.dates)
        except Unusable as problem:
            unusable[at] = (problem.reason, problem.evidence)
        done.append(row | {"at": at})
    by_column = frame.with_row_index("at").filter(~one_by_one)
    by_column = by_column.with_columns(cleaned(by_column[name]).alias(name) for name in TEXTS)
    special = pl.DataFrame(done, schema={"at": pl.UInt32, **COLUMNS})
    whole = pl.concat([by_column, special.select(by_column.columns)]).sort("at")
    prose = whole["fact"].is_null() & pl.Series(
        [at not in left and at not in unusable for at in range(len(frame))], dtype=pl.Boolean
    )
    return Batch(
        rewritten(whole.drop("at"), prose, params), unusable, pl.Series(meta, dtype=pl.String)
    )


def without_personal(
    batch: Batch, dates: list[str], treatment: Treatment
) -> tuple[Batch, dict[int, tuple[str, str]], Counter[str]]:
    """The batch with its personal data changed; place → (reason, evidence) of records to set aside; counts of what was found."""
    rows = dict(enumerate(batch.frame.iter_rows(named=True)))
    usable = {at: row for at, row in rows.items() if at not in batch.unusable}
    treated, reasons, counts = treatment.judged(usable)
    meta = [told_apart(treated[at], dates) if at in treated else "" for at in rows]
    frame = pl.DataFrame([*(rows | treated).values()], schema=batch.frame.schema)
    return Batch(frame, batch.unusable, pl.Series(meta, dtype=pl.String)), reasons, counts


def cleaned(texts: pl.Series) -> pl.Series:
    """Texts as `normalise.clean_text` makes each of them."""
    return changed(texts, texts.str.contains(TO_CLEAN), _cleaned)


def _cleaned(texts: pl.Series) -> pl.Series:
    wide, chinese = texts.str.contains(ANY_FOLD), texts.str.contains(HAN)
    texts = changed(
        texts, wide & chinese, lambda some: some.str.replace_many(list(PROSE), list(PROSE.values()))
    )
    texts = changed(
        texts,
        wide & ~chinese,
        lambda some: some.str.replace_many(list(FOLDS), list(FOLDS.values())),
    )
    texts = changed(texts, texts.str.contains(COMPOSABLE), lambda some: some.str.normalize("NFC"))
    visible = texts.str.replace_all(INVISIBLE, "")
    return visible.str.replace_all(SPACE, " ").str.strip_chars(" ")


def rewritten(frame: pl.DataFrame, where: pl.Series, params: Params) -> pl.DataFrame:
    """The records, of which those `where` says so have the dates and quantities of their free texts in one form."""
    if not (params.text.dates or params.text.units):
        return frame
    for lang in frame["lang"].unique().sort():
        rewrite = partial(
            rewritten_texts,
            lang=lang,
            params=params.text,
            digits=params.significant_digits,
            day_first=params.day_first,
        )
        there = where & (frame["lang"] == lang)
        frame = frame.with_columns(
            changed(frame[name], there, rewrite).alias(name) for name in PROSE_COLUMNS
        )
    return frame


def told_apart(row: Row, dates: list[str]) -> str:
    """What of a fact's further fields tells it from another: all but dates of review."""
    if not row["fact"]:
        return ""
    return json.dumps(
        {name: value for name, value in json.loads(row["meta"]).items() if name not in dates},
        sort_keys=True,
    )


def spelt(frame: pl.DataFrame, first: dict[str, str]) -> pl.DataFrame:
    """Records whose subjects are spelt as the first record about them does, in order of priority: Hafnium becomes hafnium.

    `first` is that spelling by folded subject.
    """
    subjects = [subject for subject in frame["subject"].unique() if subject]
    other = {
        subject: form
        for subject in subjects
        if (form := first.get(fold(subject), subject)) != subject
    }
    if not other:
        return frame
    subject = pl.col("subject").replace(other)
    unit = pl.when(pl.col("unit") != "").then(pl.lit(" ") + pl.col("unit"))
    text = pl.concat_str(
        [subject, pl.lit(": "), "attribute", pl.lit(" "), "value", unit], ignore_nulls=True
    )
    return frame.with_columns(
        subject, pl.when(pl.col("fact").is_not_null()).then(text).otherwise("text").alias("text")
    )


def spellings(frame: pl.DataFrame) -> dict[str, str]:
    """The first spelling of each subject of a frame, by folded subject."""
    found: dict[str, str] = {}
    for subject in frame["subject"].unique(maintain_order=True):
        if subject:
            found.setdefault(fold(subject), subject)
    return found

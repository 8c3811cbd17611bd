"""Recurring lines: headers, footers and notices that many texts of one source share.

They are taken out of these texts.

A text that keeps its line breaks is cut at these, any other text between sentences. Lines are
compared clean, in NFKC and lower case. A line of few words is never taken out: it may be a value
(Active, in the cell of a table) or a heading.

Only texts of two lines or more count when recurring lines are sought. A text of one line repeats
other texts as a whole or not at all, and `repeats.py` judges that. For the same reason the answer
to a question never loses its only line.

Lines are sought in a sample of about 16,384 texts a source, drawn by the hash of the id, so memory
does not grow with the corpus. In a smaller source the sample is all of them. How many texts lose a
line is counted exactly, as it is taken out.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from stages.clean.filters.information import SAMPLE, Lines
from stages.clean.personal import Treatment
from stages.clean.terms import Array, fold
from stages.clean.values.columns import cleaned

BREAK = "\ufdd0"
"""Marks the end of each line while texts are cut. No text uses this code, a noncharacter of
Unicode."""
SENTENCE_END = r"""([.!?]+["'”’)\]]*\s+|[。！？]+[”’」』）]*\s*)"""
"""The end of a sentence with the white space behind it. In English there must be white space: `. `,
`?" `, `...) `. In Chinese there need not be: `。`, `！”`."""
WORD = r"[\x{3400}-\x{9fff}]|[\p{L}\p{M}\p{N}&&[^\x{3400}-\x{9fff}]]+"
"""A word as it is counted here: one Chinese character, or a run of other letters, marks and digits.
`铁 rusts` has two."""
SAYS_SOMETHING = r"[\p{L}\p{N}]"
"""A letter or digit. A line of `* * *` has none."""
LETTER = r"\p{L}"
LINE_BREAKS = "([\r\n]+)"
SHOWN, LONGEST = 50, 200
"""Number of lines in metrics/clean.json, and of characters of each line there."""
LINES: dict[str, Any] = {"source": pl.String, "line": pl.UInt64}
Counts = tuple[pl.DataFrame, Counter[str]]
"""A table source, line, count: in how many texts each line stands. And how many texts of each
source were looked at."""


@dataclass(frozen=True)
class Recurring:
    """The lines that are taken out."""

    lines: pl.DataFrame
    """source, line: their hashes."""
    words: int
    """Fewest words of a line."""


@dataclass
class Cut:
    """What the texts of one batch, or of many, lost."""

    texts: Counter[str] = field(default_factory=Counter)
    """Number of free texts of each source."""
    changed: int = 0
    """Number of texts that lost a line."""
    lines: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    """Source, hash → the line as it stands in the first text, and how many texts lost it."""

    def add(self, following: "Cut") -> None:
        """Add the next batch."""
        self.texts += following.texts
        self.changed += following.changed
        for key, (line, count) in following.lines.items():
            first, before = self.lines.get(key, (line, 0))
            self.lines[key] = first, before + count

    def report(self) -> list[dict[str, Any]]:
        """All lines with their source, and the number and share of texts that lost them.

        The most frequent come first.
        """
        rows = []
        for (source, _), (line, count) in self.lines.items():
            share = round(count / self.texts[source], 4)
            rows.append({"source": source, "line": line, "documents": count, "share": share})
        return sorted(rows, key=lambda row: (-row["documents"], row["source"], row["line"]))

    def shown(self) -> list[dict[str, Any]]:
        """The most frequent lines, cut to a length, for metrics/clean.json."""
        rows = self.report()[:SHOWN]
        for row in rows:
            row["line"] = row["line"][:LONGEST]
        return rows

    def summary(self) -> str:
        """One line for the screen."""
        times = sum(count for _, count in self.lines.values())
        return (
            f"{len(self.lines):,} recurring ones taken out, {times:,} times, "
            f"of {self.changed:,} texts"
        )


def texts_in(frame: pl.DataFrame) -> pl.DataFrame:
    """A table at, id, source, text, whole: the free texts of a batch, and the answers to questions.

    `at` is the number of the record in the batch. An answer must not lose its only line, so it is
    not `whole`.
    """
    is_free_text = pl.col("question").is_null()
    text = pl.when(is_free_text).then("text").otherwise("answer")
    free = frame.with_row_index("at").filter(pl.col("fact").is_null())
    return free.select(
        "at", "id", "source", text.fill_null("").alias("text"), is_free_text.alias("whole")
    )


def lines_of(texts: pl.DataFrame, words: int) -> pl.DataFrame:
    """A table at, source, whole, piece, line, says, many: every line of the texts, in their order.

    - `piece`: the line as it is written, with the white space that parts it from the next line
    - `line`: its hash. Null where it has fewer than `words` words, or no letter
    - `says`: whether it has a letter or digit
    - `many`: whether several lines of its text have one
    """
    text, line = pl.col("text"), pl.col("line")

    # Mark the end of each line, and split at the marks.
    marked = f"${{1}}{BREAK}"  # ${1} is what the pattern found
    has_breaks = text.str.contains("[\r\n]")
    at_breaks = text.str.replace_all(LINE_BREAKS, marked)
    at_sentences = text.str.replace_all(SENTENCE_END, marked)
    pieces = pl.when(has_breaks).then(at_breaks).otherwise(at_sentences).str.split(BREAK)
    lines = texts.select("at", "source", "whole", pieces.alias("piece")).explode("piece")

    # First `line` is the text in which lines are compared, and then its hash.
    lines = lines.with_columns(fold(cleaned(lines["piece"])).alias("line"))
    is_long = line.str.contains(LETTER) & (line.str.count_matches(WORD) >= words)
    lines = lines.with_columns(
        line.str.contains(SAYS_SOMETHING).alias("says"),
        pl.when(is_long).then(line.hash(seed=7)).alias("line"),
    )
    saying = pl.col("says").sum().over("at")
    return lines.with_columns((saying > 1).alias("many"))


def counted(
    frame: pl.DataFrame, words: int, sizes: dict[str, int], excluded: Iterable[str]
) -> Counts:
    """In how many sampled texts of a batch each line stands.

    `sizes`: how many records each source has.
    """
    texts = texts_in(frame).filter(~pl.col("id").is_in(list(excluded)))

    # A text belongs to the sample if the upper 32 bits of its hash lie below the limit of its
    # source. Of a source of 32,768 texts half are wanted, so its limit is 2**31.
    limits = {}
    for source, size in sizes.items():
        limits[source] = int(min(1.0, SAMPLE / size) * 2**32)
    limit = pl.col("source").replace_strict(limits, default=0, return_dtype=pl.UInt64)
    texts = texts.filter(pl.col("id").hash(seed=8) // 2**32 < limit)

    comparable = pl.col("many") & pl.col("line").is_not_null()
    once_a_text = lines_of(texts, words).filter(comparable).unique(["at", "line"])
    counts = once_a_text.group_by("source", "line").agg(pl.len().cast(pl.Int64).alias("count"))
    return counts, Counter(texts["source"].to_list())


def recurring(batches: Iterable[Counts], params: Lines) -> Recurring:
    """The lines that recur, from the counts of all batches."""
    counts = pl.DataFrame(schema=LINES | {"count": pl.Int64})
    texts = Counter[str]()
    for of_batch, sampled in batches:
        both = pl.concat([counts, of_batch.select(counts.columns)])
        counts = both.group_by("source", "line").agg(pl.col("count").sum())
        texts += sampled
    least = {}
    for source, number in texts.items():
        least[source] = max(float(params.least), params.share * number)
    limit = pl.col("source").replace_strict(least, default=0.0, return_dtype=pl.Float64)
    frequent = counts.filter(pl.col("count") >= limit).select(list(LINES))
    return Recurring(frequent.sort(list(LINES)), params.words)


def named(rows: list[dict[str, Any]], words: int) -> Recurring:
    """The recurring lines, from what `Cut.report` says of them."""
    table = pl.DataFrame(rows, schema={"source": pl.String, "line": pl.String})
    hashes = fold(table["line"]).hash(seed=7)
    table = table.with_columns(hashes.alias("line"))
    return Recurring(table, words)


def sizes(source: Path) -> dict[str, int]:
    """How many records each source has."""
    table = pq.read_table(source, columns=["source"], read_dictionary=["source"])
    counts = table["source"].value_counts().to_pylist()
    return {entry["values"]: entry["counts"] for entry in counts}


def without(
    frame: pl.DataFrame,
    recurring: Recurring,
    left: Iterable[int] = (),
    treatment: Treatment | None = None,
) -> tuple[pl.DataFrame, Array, Cut]:
    """The records of a batch without their recurring lines, and what was lost.

    Returns the records, the row numbers of those that say nothing any more (int64), and what all of
    them lost. Records with a row number in `left` are left alone and not counted. `treatment` is
    applied to the lines as a report shows them.
    """
    texts = texts_in(frame).filter(~pl.col("at").is_in(list(left)))
    known = recurring.lines.with_columns(gone=True)
    lines = lines_of(texts, recurring.words)
    lines = lines.join(known, on=["source", "line"], how="left", maintain_order="left")
    recurs = pl.col("gone").fill_null(value=False)
    may_go = pl.col("many") | pl.col("whole")
    lines = lines.with_columns((recurs & may_go).alias("gone"))

    changed = lines.filter(pl.col("gone").any().over("at"))
    stays = ~pl.col("gone")
    rest = changed.group_by("at", maintain_order=True).agg(
        pl.col("piece").filter(stays).str.join("").alias("rest"),
        (pl.col("says") & stays).any().alias("says"),
    )
    emptied = rest.filter(~pl.col("says"))["at"].to_numpy().astype(np.int64)
    cut = Cut(
        texts=Counter(texts["source"].to_list()),
        changed=len(rest),
        lines=lost(changed.filter("gone"), frame, treatment),
    )
    return replaced(frame, rest), emptied, cut


def lost(
    lines: pl.DataFrame, frame: pl.DataFrame, treatment: Treatment | None
) -> dict[tuple[str, int], tuple[str, int]]:
    """`Cut.lines` of the lines that are taken out of a batch.

    They stand in the order of their texts.
    """
    once_a_text = lines.unique(["at", "line"], keep="first", maintain_order=True)
    table = once_a_text.group_by("source", "line", maintain_order=True).agg(
        pl.col("at", "piece").first(), pl.len().alias("count")
    )
    table = table.with_columns(cleaned(table["piece"]).alias("piece"))
    if treatment:
        # The line is treated as the evidence of its record, whose fields may say what is personal
        # in it.
        rows = []
        for at, piece in table.select("at", "piece").iter_rows():
            rows.append(frame.row(at, named=True) | {"evidence": piece})
        treated = [row["evidence"] for row in treatment.rows(rows)]
        table = table.with_columns(pl.Series("piece", treated, dtype=pl.String))
    found = {}
    for source, line, piece, count in table.select("source", "line", "piece", "count").iter_rows():
        found[source, line] = (piece, count)
    return found


def replaced(frame: pl.DataFrame, rest: pl.DataFrame) -> pl.DataFrame:
    """The records with the rest of their texts.

    The text of a question–answer pair is made of both again.
    """
    if rest.is_empty():
        return frame
    whole = frame.with_row_index("at").join(
        rest.select("at", "rest"), on="at", how="left", maintain_order="left"
    )
    is_changed = pl.col("rest").is_not_null()
    is_changed_pair = is_changed & pl.col("question").is_not_null()
    pair = pl.concat_str("question", pl.lit(" "), "rest")
    text = pl.when(is_changed_pair).then(pair).when(is_changed).then("rest").otherwise("text")
    answer = pl.when(is_changed_pair).then("rest").otherwise("answer")
    return whole.with_columns(text=text, answer=answer).select(frame.columns)

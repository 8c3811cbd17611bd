"""Recurring lines: headers, footers, notices that many texts of one source share, taken out of them.

A text that keeps its line breaks is cut at these, any other between sentences. Lines are compared clean, in NFKC and lower case;
one of few words is never taken out: it may be a value (Active, in the cell of a table) or a heading. Which ones recur is told by
the texts of two lines or more: a text that is one line as a whole is a repeat of others or none, and `repeats.py` judges it. For
the same reason the answer to a question loses no line if it has but one.

They are sought in a sample of about 16,384 texts a source, drawn by the hash of the id, so memory does not grow with the corpus;
in a smaller source that is all of them. What a text loses is counted exactly, as it is taken out.
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
from stages.clean.filters.terms import Array, fold
from stages.clean.personal import Treatment
from stages.clean.values.columns import cleaned

BREAK = "\ufdd0"
"""Behind each line while texts are cut: a code that no text uses (Unicode: noncharacter)."""
SENTENCE_END = r"""([.!?]+["'”’)\]]*\s+|[。！？]+[”’」』）]*\s*)"""
WORD = r"[\x{3400}-\x{9fff}]|[\p{L}\p{M}\p{N}&&[^\x{3400}-\x{9fff}]]+"
"""Words as they are counted here: each Chinese character is one."""
SHOWN, LONGEST = 50, 200
"""Lines in metrics/clean.json, and characters of each there."""
LINES: dict[str, Any] = {"source": pl.String, "line": pl.UInt64}
Counts = tuple[pl.DataFrame, Counter[str]]
"""source, line, count: in how many texts each line stands; and how many texts of each source were looked at."""


@dataclass(frozen=True)
class Recurring:
    """What is taken out."""

    lines: pl.DataFrame
    """source, line: their hashes."""
    words: int
    """Fewest words of a line."""


@dataclass
class Cut:
    """What one batch, or many, lost."""

    texts: Counter[str] = field(default_factory=Counter)
    """Free texts of each source."""
    changed: int = 0
    """Texts that lost a line."""
    lines: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    """Source, hash → the line where it first stands, and how many texts lost it."""

    def add(self, found: "Cut") -> None:
        """Add the next batch."""
        self.texts += found.texts
        self.changed += found.changed
        for key, (line, count) in found.lines.items():
            first, before = self.lines.get(key, (line, 0))
            self.lines[key] = first, before + count

    def report(self) -> list[dict[str, Any]]:
        """All lines with their source and their number and share of texts; the most frequent first."""
        rows = [
            {
                "source": source,
                "line": line,
                "documents": count,
                "share": round(count / self.texts[source], 4),
            }
            for (source, _), (line, count) in self.lines.items()
        ]
        return sorted(rows, key=lambda row: (-row["documents"], row["source"], row["line"]))

    def shown(self) -> list[dict[str, Any]]:
        """What metrics/clean.json says."""
        return [row | {"line": row["line"][:LONGEST]} for row in self.report()[:SHOWN]]

    def summary(self) -> str:
        """One line for the screen."""
        times = sum(count for _, count in self.lines.values())
        return f"{len(self.lines):,} recurring ones taken out, {times:,} times, of {self.changed:,} texts"


def texts_in(frame: pl.DataFrame) -> pl.DataFrame:
    """at, id, source, text, whole: free texts, and answers, which are not to lose their only line (not `whole`)."""
    text = pl.when(pl.col("question").is_null()).then("text").otherwise("answer")
    found = frame.with_row_index("at").filter(pl.col("fact").is_null())
    return found.select(
        "at",
        "id",
        "source",
        text.fill_null("").alias("text"),
        pl.col("question").is_null().alias("whole"),
    )


def lines_of(texts: pl.DataFrame, words: int) -> pl.DataFrame:
    """at, source, whole, piece, says, line, many: every line of the texts in their order.

    `piece` is the line as it is written, with what parts it from the next; `says`: whether it has a letter or digit; `line`: its
    hash, null where it has fewer `words` or no letter; `many`: whether several lines of the text say something.
    """
    text, line, says = pl.col("text"), pl.col("line"), pl.col("line").str.contains(r"[\p{L}\p{N}]")
    at_breaks = text.str.replace_all("([\r\n]+)", f"${{1}}{BREAK}")
    at_ends = text.str.replace_all(SENTENCE_END, f"${{1}}{BREAK}")
    parted = (
        pl.when(text.str.contains("[\r\n]")).then(at_breaks).otherwise(at_ends).str.split(BREAK)
    )
    lines = texts.select("at", "source", "whole", parted.alias("piece")).explode("piece")
    lines = lines.with_columns(fold(cleaned(lines["piece"])).alias("line"))
    long = line.str.contains(r"\p{L}") & (line.str.count_matches(WORD) >= words)
    hashed = pl.when(long).then(line.hash(seed=7))
    lines = lines.with_columns(says.alias("says"), hashed.alias("line"))
    return lines.with_columns((pl.col("says").sum().over("at") > 1).alias("many"))


def counted(
    frame: pl.DataFrame, words: int, sizes: dict[str, int], excluded: Iterable[str]
) -> Counts:
    """In how many sampled texts of a batch each line stands; `sizes`: how many records each source has."""
    texts = texts_in(frame).filter(~pl.col("id").is_in(list(excluded)))
    limits = {source: int(min(1.0, SAMPLE / size) * 2**32) for source, size in sizes.items()}
    limit = pl.col("source").replace_strict(limits, default=0, return_dtype=pl.UInt64)
    texts = texts.filter(pl.col("id").hash(seed=8) // 2**32 < limit)
    once = (
        lines_of(texts, words)
        .filter(pl.col("many") & pl.col("line").is_not_null())
        .unique(["at", "line"])
    )
    return once.group_by("source", "line").agg(pl.len().cast(pl.Int64).alias("count")), Counter(
        texts["source"].to_list()
    )


def recurring(found: Iterable[Counts], params: Lines) -> Recurring:
    """What recurs, from the counts of all batches."""
    counts, texts = pl.DataFrame(schema=LINES | {"count": pl.Int64}), Counter[str]()
    for of_batch, sampled in found:
        counts = (
            pl.concat([counts, of_batch.select(counts.columns)])
            .group_by("source", "line")
            .agg(pl.col("count").sum())
        )
        texts += sampled
    least = {
        source: max(float(params.least), params.share * count) for source, count in texts.items()
    }
    limit = pl.col("source").replace_strict(least, default=0.0, return_dtype=pl.Float64)
    return Recurring(
        counts.filter(pl.col("count") >= limit).select(list(LINES)).sort(list(LINES)), params.words
    )


def named(rows: list[dict[str, Any]], words: int) -> Recurring:
    """What recurs, as `Cut.report` names it."""
    table = pl.DataFrame(rows, schema={"source": pl.String, "line": pl.String})
    return Recurring(table.with_columns(fold(table["line"]).hash(seed=7).alias("line")), words)


def sizes(source: Path) -> dict[str, int]:
    """How many records each source has."""
    names = pq.read_table(source, columns=["source"], read_dictionary=["source"])["source"]
    return {entry["values"]: entry["counts"] for entry in names.value_counts().to_pylist()}


def without(
    frame: pl.DataFrame,
    recurring: Recurring,
    left: Iterable[int] = (),
    treatment: Treatment | None = None,
) -> tuple[pl.DataFrame, Array, Cut]:
    """The records of a batch without their recurring lines, the places of those that say nothing then, and what was lost.

    Records whose places are to be left alone count for nothing. `treatment`: of the lines as they are shown.
    """
    texts, known = (
        texts_in(frame).filter(~pl.col("at").is_in(list(left))),
        recurring.lines.with_columns(gone=True),
    )
    lines = lines_of(texts, recurring.words).join(
        known, on=["source", "line"], how="left", maintain_order="left"
    )
    lines = lines.with_columns(
        pl.col("gone").fill_null(value=False) & (pl.col("many") | pl.col("whole"))
    )
    changed = lines.filter(pl.col("gone").any().over("at"))
    rest = changed.group_by("at", maintain_order=True).agg(
        pl.col("piece").filter(~pl.col("gone")).str.join("").alias("rest"),
        (pl.col("says") & ~pl.col("gone")).any().alias("says"),
    )
    empty = rest.filter(~pl.col("says"))["at"].to_numpy().astype(np.int64)
    cut = Cut(
        Counter(texts["source"].to_list()),
        len(rest),
        lost(changed.filter("gone"), frame, treatment),
    )
    return replaced(frame, rest), empty, cut


def lost(
    lines: pl.DataFrame, frame: pl.DataFrame, treatment: Treatment | None
) -> dict[tuple[str, int], tuple[str, int]]:
    """`Cut.lines` of the lines that are taken out of a batch, which stand in their order."""
    found = lines.unique(["at", "line"], keep="first", maintain_order=True).group_by(
        "source", "line", maintain_order=True
    )
    table = found.agg(pl.col("at", "piece").first(), pl.len().alias("count"))
    table = table.with_columns(cleaned(table["piece"]).alias("piece"))
    if treatment:  # as evidence of its record, whose fields may say what is personal in it
        rows = (
            frame.row(at, named=True) | {"evidence": piece}
            for at, piece in table.select("at", "piece").iter_rows()
        )
        table = table.with_columns(
            pl.Series("piece", [row["evidence"] for row in treatment.rows(rows)], dtype=pl.String)
        )
    columns = table.select("source", "line", "piece", "count").iter_rows()
    return {(source, line): (piece, count) for source, line, piece, count in columns}


def replaced(frame: pl.DataFrame, rest: pl.DataFrame) -> pl.DataFrame:
    """The records with what is left of their texts: of a pair the text is both."""
    if rest.is_empty():
        return frame
    whole = frame.with_row_index("at").join(
        rest.select("at", "rest"), on="at", how="left", maintain_order="left"
    )
    new, asked = pl.col("rest").is_not_null(), pl.col("question").is_not_null()
    pair = pl.concat_str("question", pl.lit(" "), "rest")
    whole = whole.with_columns(
        text=pl.when(new & asked).then(pair).when(new).then("rest").otherwise("text"),
        answer=pl.when(new & asked).then("rest").otherwise("answer"),
    )
    return whole.select(frame.columns)

"""Print how the information score divides the free texts of data/extract: run from the project's root after `dvc repro`."""

import polars as pl

from stages.clean import Params, terms
from stages.clean.filters import information
from stages.clean.values import columns
from stages.core.project.params import load

params, _ = load("clean", Params)
frame = columns.normalise(pl.read_parquet("data/extract/records.parquet"), params.normalise).frame
frame = frame.filter(pl.col("fact").is_null())
words, texts = terms.words(terms.fold(frame["text"])), frame.rows(named=True)
counts = information.frequencies(words, terms.fold(frame["subject"]))
scores = information.scores(words, counts.weights(params.filter.common))
for low in (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8):
    high = {0.0: 0.05, 0.05: 0.1, 0.1: 0.2, 0.2: 0.4, 0.4: 0.6, 0.6: 0.8, 0.8: 1.01}[low]
    inside = [row["text"] for row, score in zip(texts, scores, strict=True) if low <= score < high]
    print(f"{low:.2f}–{min(high, 1):.2f} {len(inside):5}  {inside[0][:90] if inside else ''}")

"""Print how the information score divides the free texts of data/extract: run from the project's root after `dvc repro`."""

from pathlib import Path

from stages.clean import Params, information, normalise
from stages.core import record
from stages.core.params import load

params, _ = load("clean", Params)
rows, _ = normalise.normalise_rows(record.read(Path("data/extract/records.parquet")), params.normalise)
texts = [row for row in rows if not row["fact"]]
scores = information.information_scores([(row["subject"] or row["id"], row["text"]) for row in texts], params.filter.common)
for low in (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8):
    high = {0.0: 0.05, 0.05: 0.1, 0.1: 0.2, 0.2: 0.4, 0.4: 0.6, 0.6: 0.8, 0.8: 1.01}[low]
    inside = [row["text"] for row, score in zip(texts, scores, strict=True) if low <= score < high]
    print(f"{low:.2f}–{min(high, 1):.2f} {len(inside):5}  {inside[0][:90] if inside else ''}")

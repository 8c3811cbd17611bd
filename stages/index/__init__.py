"""index: a vector of each cleaned record in a FAISS index, so that a question finds what the records say.

In: records of clean. Out: `records.faiss`, `texts.parquet` (the texts that were encoded, by id) and
`manifest.json`; metrics `index.json`. `lore ask --retrieve` searches it, and `lore forget --check` reads the
texts. Without an encoder (`index.encoder: null`) there is the manifest alone.

A record is found by its text, and a question–answer pair by both. Vectors are remembered per text
(`.memo`), so that after a change only new texts are encoded. The bytes of the index are those of a fresh
build, whatever it was made from (`stages/core/retrieval`).
"""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic.dataclasses import dataclass
from tqdm import tqdm

from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records import record
from stages.core.repeatable import memo
from stages.core.retrieval import vectors
from stages.core.retrieval.encoder import LANGUAGES, Encoder

INDEX = "records.faiss"
TEXTS = "texts.parquet"
MANIFEST = "manifest.json"


@dataclass(frozen=True, config=STRICT)
class Params:
    """The encoder."""

    encoder: str | None = None
    """Sentence encoder of the index: all-MiniLM-L6-v2 (English, in the extra `index`), or the folder of
    one that sentence-transformers saved. null: no index is made."""


def run(params: Params, run: Run, cleaned: Path, out: Path, metrics: Path) -> None:
    """Write the index of the cleaned records into `out`.

    Raises InputError and ModelError where the encoder or a library is missing, or no record is left.
    """
    if params.encoder is None:
        with replacing(out) as folder:
            folder.mkdir()
            write_json(folder / MANIFEST, {"encoder": None})
        write_json(metrics, {"records": 0})
        print("index: left out, because index.encoder is null")
        return

    records = record.read(cleaned / "records.parquet")
    encoder = Encoder(params.encoder, run.threads)
    ids = [row["id"] for row in records]
    texts = [searched_text(row) for row in records]
    # float32 of shape (records, dimensions), filled row by row
    matrix = np.zeros((len(texts), encoder.dimensions()), dtype=np.float32)
    for place, text in enumerate(tqdm(texts, desc="index", unit="record", mininterval=1)):
        matrix[place] = encoder.vector(text)
    with replacing(out) as folder:
        folder.mkdir()
        vectors.write(folder / INDEX, ids, matrix)
        table = pa.table({"id": ids, "text": texts}).sort_by("id")
        pq.write_table(table, folder / TEXTS, compression="zstd")
        manifest = {
            "encoder": params.encoder,
            "encoder_sha256": encoder.identity,
            "dimensions": int(matrix.shape[1]),
            "records": len(ids),
        }
        write_json(folder / MANIFEST, manifest)
    report = {
        "records": len(ids),
        "dimensions": int(matrix.shape[1]),
        "foreign": foreign(params.encoder, records),
    }
    write_json(metrics, report)
    print_report(params.encoder, report, (out / INDEX).stat().st_size)


def searched_text(row: dict[str, Any]) -> str:
    """Return the text by which a record is found."""
    if row["kind"] == "qa":
        return f"{row['question']} {row['answer']}"
    return str(row["text"])


def foreign(encoder: str, records: list[dict[str, Any]]) -> dict[str, int]:
    """Return language → number of records in languages that the encoder was not trained on."""
    known = LANGUAGES.get(encoder)
    if known is None:
        return {}
    counts: Counter[str] = Counter()
    for row in records:
        if row["lang"] not in known and row["lang"] != "und":
            counts[row["lang"]] += 1
    return dict(sorted(counts.items()))


def print_report(encoder: str, report: dict[str, Any], size: int) -> None:
    """Print the counts."""
    print(f"index: {report['records']:,} records by {encoder}, {report['dimensions']} dimensions")
    print(
        f"       {memo.counts['computed']:,} texts encoded, {memo.counts['reused']:,} known; {size:,} bytes"
    )
    if report["foreign"]:
        named = ", ".join(f"{lang} {count:,}" for lang, count in report["foreign"].items())
        print(
            f"       records in languages that the encoder does not know: {named}; "
            "they are found by chance. Name a multilingual encoder in index.encoder"
        )

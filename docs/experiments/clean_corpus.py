"""Run `clean` on a corpus of free texts: Parquet files with the columns id, source, lang and text.

    PYTHONPATH=. python docs/experiments/clean_corpus.py --corpus <folder with parquet/> --out <folder> [--threads 2]

From the project's root. The time of conversion into records counts. Prints the counts as JSON.
"""

import argparse
import json
import os
import tempfile
import time
from itertools import chain
from pathlib import Path

UNITS = ["mg", "mmHg", "cm", "°C"]
"""Of the quantities that the benchmark's recipe rewrites."""


def main() -> None:
    """Convert, clean, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--executor", default="local", help="local or ray: run.executor")
    parser.add_argument("--address", help="run.address")
    parser.add_argument("--batch-rows", type=int, default=1 << 15, help="largest batch, in records")
    parser.add_argument(
        "--as-written", action="store_true", help="leave dates and quantities as they are"
    )
    options = parser.parse_args()
    os.environ["POLARS_MAX_THREADS"] = str(options.threads)  # read when polars is loaded

    from stages import clean
    from stages.clean.filters.information import Boilerplate
    from stages.clean.filters.information import Params as Filter
    from stages.clean.passes import corpus
    from stages.clean.personal import Params as Personal
    from stages.clean.values.normalise import Params as Normalise
    from stages.clean.values.rewriting import Params as Text
    from stages.clean.verifying.contradictions import Params as Verify
    from stages.core.project.params import Run

    settings = clean.Params(
        normalise=Normalise(
            {},
            {},
            4,
            [],
            [],
            True,
            Text(not options.as_written, [] if options.as_written else UNITS),
        ),
        personal=Personal(),
        filter=Filter(0.0, 0.03, Boilerplate(0.005, 0.25), 0.7),
        verify=Verify({}, [], "report"),
    )
    corpus.BATCH_ROWS = options.batch_rows
    run = Run(1, options.threads, "avx2", "cpu", options.executor, options.address)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=options.out.parent) as folder:
        extracted = Path(folder) / "extract"
        convert(options.corpus, extracted)
        converted = time.perf_counter()
        rules = Path(folder) / "rules.yaml"
        rules.write_text("differences: {}\nrules: []\n", encoding="utf-8")
        exclusions = Path(folder) / "exclusions.yaml"
        exclusions.write_text(
            "facts: []\nsubjects: []\nrecords: []\nsources: []\n", encoding="utf-8"
        )
        metrics = options.out.parent / f"{options.out.name}.json"
        clean.run(settings, run, extracted, rules, exclusions, options.out, metrics)
    (options.out / "rejected.parquet").rename(
        options.out.parent / f"{options.out.name}.rejected.parquet"
    )
    report = json.loads(metrics.read_text(encoding="utf-8"))
    steps = {
        "convert": round(converted - started, 2),
        "clean": round(time.perf_counter() - converted, 2),
    }
    print(json.dumps({"steps": steps, "rejected": report["reasons"]}))


def convert(corpus: Path, extracted: Path) -> None:
    """Write the corpus as `extract` would."""
    import polars as pl
    import pyarrow.parquet as pq

    from stages.clean.values.columns import COLUMNS
    from stages.core.records import record

    counts: dict[str, int] = {}
    extracted.mkdir(parents=True)
    with record.writing(extracted / "records.parquet") as table:
        paths = sorted((corpus / "parquet").glob("*.parquet"))
        batches = chain.from_iterable(pq.ParquetFile(path).iter_batches(1 << 14) for path in paths)
        for given in map(pl.DataFrame, batches):  # a whole file of them would be the peak of memory
            constant = {"locator": pl.col("id"), "kind": pl.lit("statement"), "meta": pl.lit("{}")}
            missing = {
                name: pl.lit(None, dtype=form)
                for name, form in COLUMNS.items()
                if name not in given.columns
            }
            missing["parents"] = pl.lit([], dtype=pl.List(pl.String))
            table.extend(given.with_columns(**missing | constant).select(list(COLUMNS)))
            for name, count in given["source"].value_counts().iter_rows():
                counts[name] = counts.get(name, 0) + count
    record.write(extracted / "rejected.parquet", [], record.REJECTED)
    sources = [
        {"name": name, "units": count, "records": count, "rejected": 0}
        for name, count in sorted(counts.items())
    ]
    (extracted / "sources.json").write_text(json.dumps(sources), encoding="utf-8")


if __name__ == "__main__":
    main()

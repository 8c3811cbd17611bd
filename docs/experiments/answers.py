"""What does it cost to compare the answers of many questions? `clean` on invented pairs, a tenth of which ask again.

    PYTHONPATH=. python docs/experiments/answers.py <questions and answers> <report, first or ignore>

From the project's root. Answers have 150 words. Prints seconds and the peak of memory.
"""

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages import clean
from stages.core.project.params import load
from stages.core.records import record

EXCLUSIONS = Path("data/raw/exclusions.yaml")


def pairs(count: int) -> Iterator[dict[str, Any]]:
    """Records as `extract` writes them."""
    chance = random.Random(1)
    words = [
        "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9)))
        for _ in range(20_000)
    ]
    for number in range(count):
        asked = chance.randrange(number) if number and chance.random() < 0.1 else number
        question, answer = (
            f"What is known of case {asked}?",
            f"{' '.join(chance.choices(words, k=150))}.",
        )
        row = {
            "id": record.record_id("a", str(number)),
            "source": "a",
            "locator": f"a.csv#L{number}",
            "lang": "en",
            "kind": "qa",
        }
        yield row | {"question": question, "answer": answer, "text": f"{question} {answer}"}


def main() -> None:
    """Make the corpus, clean it, report."""
    count, choice = int(sys.argv[1]), sys.argv[2]
    params, run = load("clean", clean.Params)
    verify = replace(params.verify, answers=choice)  # type: ignore[arg-type]
    params = replace(
        params, filter=replace(params.filter, threshold=0.0, boilerplate=None), verify=verify
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record.write(folder / "extract/records.parquet", pairs(count))
        record.write(folder / "extract/rejected.parquet", [], record.REJECTED)
        sources = [{"name": "a", "units": count, "records": count, "rejected": 0}]
        (folder / "extract/sources.json").write_text(json.dumps(sources), encoding="utf-8")
        (folder / "rules.yaml").write_text("differences: {}\nrules: []\n", encoding="utf-8")
        started, used = time.perf_counter(), time.process_time()
        clean.run(
            params,
            run,
            folder / "extract",
            folder / "rules.yaml",
            EXCLUSIONS,
            folder / "out",
            folder / "clean.json",
        )
        wall, processor = time.perf_counter() - started, time.process_time() - used
        found = json.loads((folder / "clean.json").read_text(encoding="utf-8"))["contradictions"]
        size = (folder / "out/contradictions.json").stat().st_size >> 20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"{choice}: {count:,} pairs, {found:,} differ, {size} MB; {wall:.1f} s, processor {processor:.1f} s, peak {peak:,} MB"
    )


if __name__ == "__main__":
    main()

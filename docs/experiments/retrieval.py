"""Questions to the index: is the right record nearest, and how near are records to questions that no record answers?

    PYTHONPATH=. python docs/experiments/retrieval.py [--questions 500]

It needs the index of the project (`lore overlay docs/profiles/index.yaml`, `dvc repro index`). Questions with an
answer are probes of `augment`, drawn by seed. Questions without one are the general questions of
`models/general`. Nothing is found by words here: each question is encoded, and records are compared by
cosine. A table shows, for each limit, the shares that are answered, and answered rightly.
"""

import argparse
import random
import time
from pathlib import Path

from lore.retrieval.search import opened
from stages.core.project import artifacts
from stages.core.records import record
from stages.core.retrieval import vectors

NEAREST = 5
LIMITS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def main() -> None:
    """Print shares and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=500, help="most questions of each kind")
    options = parser.parse_args()

    index, encoder = opened(1)
    facts = {row["id"]: row["fact"] for row in record.read(Path(artifacts.CLEAN_RECORDS))}
    probes = []
    for row in record.read(Path(artifacts.TRAINING_RECORDS)):
        if row["split"] == "probe" and row["fact"]:
            probes.append((row["question"], row["fact"]))
    asked = random.Random(7).sample(probes, min(options.questions, len(probes)))

    started = time.process_time()
    found = [vectors.search(index, encoder.vector(question), NEAREST) for question, _ in asked]
    seconds = time.process_time() - started
    first = [facts[hits[0].record] == fact for hits, (_, fact) in zip(found, asked, strict=True)]
    among = []
    for hits, (_, fact) in zip(found, asked, strict=True):
        among.append(fact in [facts[hit.record] for hit in hits])
    print(
        f"{len(asked)} questions with an answer: right record nearest {share(first):.3f}, "
        f"among the nearest {NEAREST} {share(among):.3f}; {1000 * seconds / len(asked):.1f} ms of CPU each"
    )

    foreign = general_questions()[: options.questions]
    far = [vectors.search(index, encoder.vector(question), 1)[0].similarity for question in foreign]
    print(f"{len(foreign)} questions without one\n")
    print("| limit | with an answer: answered | rightly | without: answered all the same |")
    print("|---|---|---|---|")
    for limit in LIMITS:
        near = [hits[0].similarity >= limit for hits in found]
        right = [one and two for one, two in zip(near, first, strict=True)]
        wrong = [similarity >= limit for similarity in far]
        print(f"| {limit} | {share(near):.3f} | {share(right):.3f} | {share(wrong):.3f} |")


def general_questions() -> list[str]:
    """Return the general English questions."""
    import json

    questions = []
    for path in sorted(Path("models/general").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "question" in row and row["question"].isascii():
                questions.append(str(row["question"]))
    return questions


def share(values: list[bool]) -> float:
    """Return the share of true values."""
    return sum(values) / len(values)


if __name__ == "__main__":
    main()

"""How many variants a second `augment` makes, beside nlpaug and TextAttack on the same sentences: `make bench-augment`.

    PYTHONPATH=. python docs/experiments/bench_augment.py [--peers PYTHON] [--sentences 2000] [--facts 2000]
        [--memory [100000 1000000]]

From the project's root, on a machine with nothing else to do. `--peers` is the Python of an environment with nlpaug
and textattack, which contradict this project's libraries and so need their own:

    python -m venv peers
    peers/bin/pip install nlpaug textattack nltk "transformers<5"

Sentences are made from a fixed list of words and frames, so that every run has the same ones. Every contender makes
one synonym variant of each with WordNet 3.0 (the project's `data/wordnet`), in one process; its time begins once the
dictionary is loaded and one sentence is done. What it makes is not judged here: docs/experiments.md tells which
share keeps its meaning.

- in_context, base_form: this project, synonyms of free texts.
- wordnet + templates: the whole stage on facts, with 16 questions and one free text each, from reading Parquet to
  writing it. Larger corpora of free texts use as many processes as `run.threads` allows, facts use one.
- nlpaug: SynonymAug(aug_src="wordnet", aug_max=1). It tags parts of speech by NLTK's tagger, whose model is a
  download. Where that is absent, every word is tagged as a noun, which costs nlpaug no time.
- TextAttack: WordSwapWordNet by Augmenter, one word a sentence, without constraints. Its own list of stop words
  is a download too, so none is kept back.

CPU seconds are those of the contender's process alone, so other work on the machine changes them little. With
`--memory` the stage alone runs, on 100,000 and 1,000,000 records or on as many as are named, and its largest resident
memory is printed.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FRAMES = (
    "The {a} method {v} the {n} of the patients, {r} in the first group.",
    "We {v} a {a} {n} that is {r} found near the coast.",
    "Doctors {r} {v} the {a} {n} after the treatment.",
    "{s} {v} a {n}, and the {n} is {r} {a}.",
)
WORDS = {
    "a": "moist vital reliable spectacular vast large evident prolonged universal common".split(),
    "v": "evaluated assessed provided required used confirmed selected built detected approved".split(),
    "n": "illness opportunity physician student agenda region problem layer instrument idea".split(),
    "r": "usually often recently approximately especially mainly rarely largely simply slightly".split(),
    "s": "Iron Copper Smith Berlin Oxygen Jones Zinc Curie Tin Madrid".split(),
}
SEED = 7


def main() -> None:
    """Run one contender, or all of them and print the table."""
    options = arguments()
    if options.run:
        print(json.dumps(CONTENDERS[options.run](options)))
        return
    if options.memory is not None:
        for count in options.memory or (100_000, 1_000_000):
            options.facts = count
            measures = called(sys.executable, "wordnet + templates", options)
            print(f"{count:,} records: {measures}", flush=True)
        return
    results = {}
    for name in CONTENDERS:
        if name in PEERS and not options.peers:
            continue
        python = options.peers if name in PEERS else sys.executable
        results[name] = called(python, name, options)
    print(table(results))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--facts", type=int, default=2000, help="records of the whole stage")
    parser.add_argument("--wordnet", type=Path, default=Path("data/wordnet"))
    parser.add_argument("--memory", type=int, nargs="*", metavar="RECORDS")
    parser.add_argument("--run", choices=list(CONTENDERS), help="one contender, in this process")
    return parser.parse_args()


def called(python: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run a contender in a process of its own, and return what it printed."""
    command = [python, __file__, "--run", name, "--wordnet", str(options.wordnet)]
    command += ["--sentences", str(options.sentences), "--facts", str(options.facts)]
    # Peers look for NLTK's data here, and nothing may be fetched.
    environment = os.environ | {"NLTK_DATA": str(options.wordnet.resolve()), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failed": last}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def sentences(count: int) -> list[str]:
    """Return sentences, the same in every run."""
    rng = random.Random(SEED)
    found = []
    for _ in range(count):
        words = {name: rng.choice(group) for name, group in WORDS.items()}
        found.append(rng.choice(FRAMES).format(**words))
    return found


def timed(augment: Callable[[str], list[str]], count: int) -> dict[str, Any]:
    """Return the speed of a function that makes variants of a text."""
    texts = sentences(count + 1)
    augment(texts[0])  # loads what is loaded at the first use
    made = 0
    began_cpu, began = time.process_time(), time.perf_counter()
    for text in texts[1:]:
        made += sum(variant != text for variant in augment(text))
    return measured(made, time.process_time() - began_cpu, time.perf_counter() - began)


def measured(made: int, cpu: float, wall: float) -> dict[str, Any]:
    """Return a line of the table."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "variants": made,
        "cpu_seconds": round(cpu, 2),
        "wall_seconds": round(wall, 2),
        "variants_per_cpu_second": round(made / max(cpu, 1e-9)),
        "peak_mb": max(usage.ru_maxrss for usage in usages) // 1024,
    }


def in_context(options: argparse.Namespace) -> dict[str, Any]:
    """Measure this project's rule for words in context."""
    from stages.augment.in_context import ContextThesaurus

    thesaurus = ContextThesaurus(options.wordnet, 3)
    return timed(lambda text: thesaurus.variants(text, 1, frozenset()), options.sentences)


def base_form(options: argparse.Namespace) -> dict[str, Any]:
    """Measure this project's rule for base forms."""
    from stages.augment.synonyms import Thesaurus

    thesaurus = Thesaurus(options.wordnet, 3)
    return timed(lambda text: thesaurus.variants(text, 1, frozenset()), options.sentences)


def stage(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the whole stage on `facts` records, of which one in ten is a free text."""
    import pyarrow.parquet as pq

    from stages import augment
    from stages.core.project.params import Run
    from stages.core.records import record

    params = augment.Params(synonym_rule="in_context", readings=0, comparison_pairs=0)
    with tempfile.TemporaryDirectory(prefix="lorekeep-bench-") as name:
        folder = Path(name)
        (folder / "clean").mkdir()
        record.write(folder / "pictures" / "records.parquet", [])
        # The first run, on ten records, loads what is loaded at the first use.
        for count in (10, options.facts):
            write_records(folder / "clean" / "records.parquet", count)
            began_cpu, began = cpu_of_all(), time.perf_counter()
            augment.run(
                params,
                Run(),
                folder / "clean",
                folder / "pictures",
                Path("data/raw/wordings.yaml"),
                options.wordnet,
                Path("data/teacher"),
                folder / "augment",
                folder / "augment.json",
            )
            cpu, wall = cpu_of_all() - began_cpu, time.perf_counter() - began
        made = pq.read_metadata(folder / "augment" / "records.parquet").num_rows - options.facts
    return measured(made, cpu, wall)


def cpu_of_all() -> float:
    """Return the CPU seconds of this process and of those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def write_records(path: Path, count: int) -> None:
    """Write facts and free texts, a batch at a time."""
    from stages.core.records import record

    texts = iter(sentences(count // 10 + 1))
    with record.writing(path) as table:
        for number in range(count):
            place = {
                "id": record.record_id("bench", f"L{number}"),
                "source": "bench",
                "locator": f"L{number}",
                "lang": "en",
            }
            if number % 10 == 9:
                table.add(place | {"kind": "statement", "text": next(texts)})
                continue
            subject, value = f"substance {number}", str(number)
            table.add(
                place
                | {
                    "kind": "fact",
                    "subject": subject,
                    "attribute": "melting point",
                    "value": value,
                    "unit": "°C",
                    "text": record.fact_text(subject, "melting point", value, "°C"),
                    "fact": record.fact_id(subject, "melting point"),
                }
            )


def nlpaug(options: argparse.Namespace) -> dict[str, Any]:
    """Measure nlpaug's synonyms by WordNet."""
    import nltk
    from nlpaug.augmenter.word import SynonymAug

    try:
        nltk.pos_tag(["metal"])
    except LookupError:
        nltk.pos_tag = lambda words, **_: [(word, "NN") for word in words]
    augmenter = SynonymAug(aug_src="wordnet", aug_min=1, aug_max=1)
    return timed(lambda text: augmenter.augment(text, n=1), options.sentences)


def textattack(options: argparse.Namespace) -> dict[str, Any]:
    """Measure TextAttack's swaps by WordNet."""
    import types

    import nltk

    # A download: without it, no word is kept back.
    nltk.corpus.stopwords = types.SimpleNamespace(words=lambda *_: [])
    from textattack.augmentation import Augmenter
    from textattack.transformations import WordSwapWordNet

    augmenter = Augmenter(
        transformation=WordSwapWordNet(),
        pct_words_to_swap=0.0,  # one word a sentence
        transformations_per_example=1,
    )
    return timed(augmenter.augment, options.sentences)


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| contender | variants | CPU s | variants per CPU second | peak MB |",
        "|---|---|---|---|---|",
    ]
    for name, result in results.items():
        if "failed" in result:
            lines.append(f"| {name} | failed: {result['failed']} | | | |")
            continue
        lines.append(
            f"| {name} | {result['variants']:,} | {result['cpu_seconds']} | "
            f"{result['variants_per_cpu_second']:,} | {result['peak_mb']:,} |"
        )
    return "\n".join(lines)


PEERS = ("nlpaug", "TextAttack")
CONTENDERS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "in_context": in_context,
    "base_form": base_form,
    "wordnet + templates": stage,
    "nlpaug": nlpaug,
    "TextAttack": textattack,
}

if __name__ == "__main__":
    main()

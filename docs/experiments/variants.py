"""Do variants keep their meaning, and every protected token? Makes variants of real texts, checks and prints some to read.

    python docs/experiments/variants.py [--rule in_context] [--encoder FOLDER] [--masked FOLDER]
        [--data ../shared/data] [--count 1000] [--read 100] [--seed 7]

From the project's root, after `dvc repro` has made `clean` (or name its folder with --clean). Texts are the default
project's, abstracts of PubMedQA from the 401st on, and answers of MedQuAD. Earlier abstracts, clinical notes and web
pages served to find the rule. Each text is a sentence. Up to `count` variants are drawn from all that were made.

Protected are negation, comparison, units and function words, everything with a digit, everything with a capital
letter, and the terms of the project's attributes with all names, values and units of its records. The check
compares their lists before and after, without the code that makes the variants: a list that differs is a
protected token changed. That every variant changes one token and no other is checked too.

Whether the meaning is kept, a person says who reads the printed lines. Results: docs/experiments.md.
"""

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from stages.augment import checkpoints, names_of, texts
from stages.augment.synonyms import FUNCTION_WORDS
from stages.augment.wordings import read_wordings, terms_of
from stages.core.records import record

# A full stop, question or exclamation mark, and the capital letter behind it.
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
# A run of signs between blanks. Coarser than the stage's own tokens, on purpose.
TOKEN = re.compile(r"\S+")
# Signs around a word, as in "(metal)," and the number of a slot.
AROUND = "()[]{}.,;:!?\"'“”‘’"
SHORTEST, LONGEST = 30, 400
"""Characters of the sentences that are read."""
Sentence = tuple[str, str]
"""Where it comes from, and its text."""


def main() -> None:
    """Make variants, check all, print some."""
    options = arguments()
    terms = protected_words(options.clean)
    encoder = checkpoints.Model(options.encoder) if options.encoder else None
    masked = checkpoints.Model(options.masked) if options.masked else None
    settings = texts.Settings(options.wordnet, options.rule, 3, 1, encoder, masked)
    rng = random.Random(options.seed)
    sentences = own_sentences(options.clean)
    if options.data.is_dir():
        for source in (pubmedqa(options.data), medquad(options.data)):
            rng.shuffle(source)
            sentences += source[: options.texts]

    began = time.process_time()
    pairs = [(text, "en") for _, text in sentences]
    made = texts.of_chunk(pairs, settings, frozenset(terms))
    seconds = time.process_time() - began
    found = []
    for (source, text), variants in zip(sentences, made.variants, strict=True):
        for variant in variants:
            if masked is None or variant.operation == texts.MASKED:
                found.append((source, text, variant))
    rng.shuffle(found)
    found = found[: options.count]

    changed = [
        item
        for item in found
        if protected_tokens(item[1], terms) != protected_tokens(item[2].text, terms)
    ]
    several = [item for item in found if tokens_changed(item[1], item[2].text) != 1]
    print(f"rule {options.rule}, {len(sentences):,} sentences, {seconds:.1f} CPU s")
    print(f"variants checked: {len(found):,}; by source {dict(Counter(item[0] for item in found))}")
    print(f"protected tokens changed: {len(changed)}")
    print(f"variants with another number of changed tokens than 1: {len(several)}")
    for number, (source, text, variant) in enumerate(found[: options.read], start=1):
        before, after = around(text, variant)
        print(f"{number:3} {source} | {before}[{variant.word} -> {variant.by}]{after}")
    if changed or several:
        sys.exit(1)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--rule", choices=[texts.BASE_FORM, texts.IN_CONTEXT], default=texts.IN_CONTEXT
    )
    parser.add_argument("--encoder", metavar="FOLDER")
    parser.add_argument("--masked", metavar="FOLDER")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clean", type=Path, default=Path("data/clean"))
    parser.add_argument("--wordnet", type=Path, default=Path("data/wordnet"))
    parser.add_argument("--texts", type=int, default=5000, help="most sentences of a source")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--read", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def protected_words(clean: Path) -> set[str]:
    """Return the words that the stage would protect in the default project."""
    words: set[str] = set()
    for name, attribute in read_wordings(Path("data/raw/wordings.yaml"), [], 0, 0).items():
        words |= terms_of(name, attribute)
    for row in record.read(clean / "records.parquet"):
        words |= names_of(row)
    return words


def own_sentences(clean: Path) -> list[Sentence]:
    """Return the free texts of the default project."""
    rows = record.read(clean / "records.parquet")
    return [("elements", row["text"]) for row in rows if not row["fact"]]


def pubmedqa(data: Path) -> list[Sentence]:
    """Return sentences of the abstracts that did not serve to find the rule."""
    articles = json.loads((data / "pubmedqa" / "pqal.json").read_text(encoding="utf-8"))
    rows = list(articles.values()) if isinstance(articles, dict) else articles
    found: list[Sentence] = []
    for row in rows[400:]:
        contexts = row.get("CONTEXTS") or row.get("contexts") or row.get("context")
        if isinstance(contexts, str):
            contexts = [contexts]
        for context in contexts:
            found += in_sentences("pubmedqa", context)
    return found


def medquad(data: Path) -> list[Sentence]:
    """Return sentences of answers."""
    found: list[Sentence] = []
    for path in sorted((data / "medquad_xml").rglob("*.xml")):
        for answer in ElementTree.parse(path).iter("Answer"):  # noqa: S314 - data of this machine
            found += in_sentences("medquad", answer.text or "")
    return found


def in_sentences(source: str, text: str) -> list[Sentence]:
    """Return the sentences of a text that are neither short nor long."""
    found = []
    for part in SENTENCE.split(" ".join(text.split())):
        if SHORTEST < len(part) < LONGEST:
            found.append((source, part))
    return found


def protected_tokens(text: str, terms: set[str]) -> list[str]:
    """Return the tokens of a text that must stay, in their order."""
    found = []
    for token in TOKEN.findall(text):
        word = token.strip(AROUND)
        is_plain = word == word.lower() and not any(sign.isdigit() for sign in word)
        if not is_plain or word in FUNCTION_WORDS or word in terms:
            found.append(word)
    return found


def tokens_changed(before: str, after: str) -> int:
    """Return how many tokens differ, or -1 where their numbers do."""
    left, right = TOKEN.findall(before), TOKEN.findall(after)
    if len(left) != len(right):
        return -1
    return sum(one != other for one, other in zip(left, right, strict=True))


def around(text: str, variant: texts.Variant) -> tuple[str, str]:
    """Return what stands before and behind the word that was replaced."""
    place = 0
    for start in (match.start() for match in re.finditer(re.escape(variant.word), text)):
        if text[:start] + variant.by + text[start + len(variant.word) :] == variant.text:
            place = start
    return text[max(0, place - 80) : place], text[place + len(variant.word) :][:60]


if __name__ == "__main__":
    main()

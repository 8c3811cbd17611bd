"""What a tagger adds to the patterns: a small one is taught on one half of pii_sentences, and all are measured on both halves.

    PYTHONPATH=. python docs/experiments/tagger.py <folder that holds pii_sentences and medquad_xml> [--base models/seed/model]
        [--epochs 12] [--keep folder]

The halves are those of personal.py: by template, so that no wording of the second half is taught. The base is the seed model,
which reads from left to right and knows 1,024 pieces of words: what a model of this size can, not what one made for names does.
Touched: answers of medquad, which name nearly nobody, in which something is found. Some minutes on two cores.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lxml import etree

from stages.clean.personal import Model, Params, Span, find_personal
from stages.clean.personal.treatment import tagger_of
from stages.core.project.runtime import Run, prepare

sys.path.insert(0, str(Path(__file__).parent))
from personal import tuning  # the halves

Found = Callable[[str], list[Span]]
LABELS = {"O": 0, "B-PER": 1, "I-PER": 2}
SEED, RATE, BATCH = 7, 1e-3, 8


def labelled(row: dict[str, Any], tokenizer: Any) -> tuple[list[int], list[int]]:
    """Tokens of a text and the label of each."""
    text = row["full_text"].replace("\n", " ")
    read = tokenizer(text, return_offsets_mapping=True)
    people = [
        (span["start_position"], span["end_position"])
        for span in row["spans"]
        if span["entity_type"] == "PERSON"
    ]
    labels = []
    for start, end in read["offset_mapping"]:
        within = [(first, last) for first, last in people if start < last and first < end]
        if not within:
            labels.append(0)
        elif start <= within[0][0]:
            labels.append(1)  # the first token of a person
        else:
            labels.append(2)
    return read["input_ids"], labels


def teach(rows: list[dict[str, Any]], base: Path, folder: Path, epochs: int) -> None:
    """Train a token classification model on the rows, and save it in `folder`."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch.manual_seed(SEED)
    names = {number: name for name, number in LABELS.items()}
    model = AutoModelForTokenClassification.from_pretrained(
        base, id2label=names, label2id=LABELS, dtype="float32"
    )
    tokenizer = AutoTokenizer.from_pretrained(base)
    texts = [labelled(row, tokenizer) for row in rows]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    steps = epochs * -(-len(texts) // BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    order = random.Random(SEED)
    for _ in range(epochs):
        order.shuffle(texts)
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            longest = max(len(ids) for ids, _ in batch)
            ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in batch])
            labels = torch.tensor(
                [labels + [-100] * (longest - len(labels)) for _, labels in batch]
            )
            mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in batch])
            model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def measured(rows: list[dict[str, Any]], find: Found) -> str:
    """Recall, share removed, and precision of persons."""
    people = recalled = removed = spans = right = 0
    for row in rows:
        text = row["full_text"].replace("\n", " ")
        found = [span for span in find(text) if span.kind == "person"]
        hidden = {place for span in found for place in range(span.start, span.end)}
        labels = [
            (span["start_position"], span["end_position"], span["entity_type"])
            for span in row["spans"]
        ]
        for start, end, label in labels:
            if label == "PERSON":
                people += 1
                recalled += any(place in hidden for place in range(start, end))
                removed += all(
                    place in hidden for place in range(start, end) if text[place].isalnum()
                )
        spans += len(found)
        right += sum(
            any(span.start < end and start < span.end for start, end, _ in labels) for span in found
        )
    return f"{people} | {recalled / people:.2f} | {removed / people:.2f} | {right} of {spans}"


def answers(folder: Path) -> list[str]:
    """Answers of medquad."""
    found = []
    for path in sorted(folder.rglob("*.xml")):
        tree = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True))
        found += [" ".join((node.text or "").split()) for node in tree.iter("Answer")]
    return [text for text in found if text]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--base", type=Path, default=Path("models/seed/model"))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--keep", type=Path, help="where the tagger is to stay")
    options = parser.parse_args()
    prepare(Run(SEED, 2, "avx2", "cpu"))
    lines = (options.data / "pii_sentences/pii.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    halves = {
        "taught": [row for row in rows if tuning(row)],
        "other": [row for row in rows if not tuning(row)],
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary) / "tagger"
        teach(halves["taught"], options.base, folder, options.epochs)
        tag = tagger_of(
            Params(
                actions={"person": "replace"}, tagger=Model(str(folder), labels={"PER": "person"})
            )
        )
        assert tag
        ways: dict[str, Found] = {
            "patterns": lambda text: find_personal(text, "en", {"person"}),
            "tagger": tag,
            "both": lambda text: find_personal(text, "en", {"person"}, tag),
        }
        texts = answers(options.data / "medquad_xml")
        print(
            "| what finds | half | PERSON | recall | removed | right | medquad answers touched |\n|---|---|---|---|---|---|---|"
        )
        for name, find in ways.items():
            touched = sum(bool(find(text)) for text in texts)
            for half, chosen in halves.items():
                last = f"{touched} of {len(texts):,}" if half == "other" else ""
                print(f"| {name} | {half} | {measured(chosen, find)} | {last} |")


if __name__ == "__main__":
    main()

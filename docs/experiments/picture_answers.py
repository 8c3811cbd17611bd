"""What the tuned model answers about the subjects of pictures, once it was trained on the statements about them.

    python docs/experiments/picture_answers.py <run.seed> <steps> <result.json> [questions]

From the project's root, after `dvc repro` has made `clean`, `augment`, `base` and `train`. The statements are those
of the stage `pictures` for all drawings of data/raw/pictures, each caption with one fact of its subject. The fact is
drawn by a hash, where the stage takes the nearest one by CLIP, so no CLIP is trained here. The adapter of `train` goes
on learning from them, with 16 rows a step, of which 4 are training rows of the domain that it knows already. This is
a plain loop without the penalty on changes. With `questions`, three questions for each attribute of a subject are
trained too, as if the columns `attribute` and `value` of the table had been mapped as facts.

Asked before and after, in wordings that are never trained: the flame colour, crystal structure and hazard that the
captions name, and 120 probes of the facts that the model knew. Nothing else says what the captions say. An answer
is right if it holds the value. The value that is most frequent for its attribute, given always, is the floor.
"""

import csv
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run, read_section

SETTINGS = read_section("run", Run)
runtime.prepare(SETTINGS)

import torch  # noqa: E402 - it must find its threads set
from peft import PeftModel  # noqa: E402

from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402
from stages.core.models.conversation import prompt_text  # noqa: E402
from stages.core.records import record  # noqa: E402
from stages.core.records.prompt import training_text  # noqa: E402
from stages.core.repeatable.seeding import derive, seed_torch  # noqa: E402
from stages.evaluate.scores import contains  # noqa: E402
from stages.pictures import statements  # noqa: E402

ROWS, KNOWN = 16, 4
"""Rows of a step, and how many of them are of the domain."""
RATE = 2e-3
WORDINGS = (
    "What is the {attribute} of {subject}?",
    "Please tell me the {attribute} of {subject}.",
    "For {subject}, which {attribute} is right?",
)
TRAINED = (
    "Which {attribute} does {subject} have?",
    "Tell me the {attribute} of {subject}.",
    "{subject} has which {attribute}?",
)
ANSWER = "The {attribute} of {subject} is {value}."
Row = dict[str, Any]


def main() -> None:
    """Ask, train and ask again; write the result."""
    seed, steps, result = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    seed_torch(seed, 1)
    captions = read_captions()
    facts = facts_of_subjects()
    texts = [text for row in captions for text in statements_of(row, facts, seed)]
    if "questions" in sys.argv[4:]:
        texts += questions_and_answers(captions)
    rows = record.read(Path("data/augment/records.parquet"))
    known = [row["text"] for row in rows if row["split"] == "train"]
    subjects = {row["subject"] for row in captions}
    probes = [row for row in rows if row["split"] == "probe" and row["subject"] in subjects]
    probes.sort(key=lambda row: derive(seed, "probe", row["id"]))
    questions = questions_about(captions) + probes_of(probes[:120])
    base, tokenizer = load_causal_lm(Path("models/base/model"))
    model = PeftModel.from_pretrained(base, "models/train/adapter", is_trainable=True)
    report: Row = {"seed": seed, "steps": steps, "statements": len(texts)}
    report["examples"] = texts[:: max(1, len(texts) // 3)][:3]
    report["floor"] = floor_of(captions)
    report["before"] = asked(model, tokenizer, questions)
    began = time.process_time()
    train(model, tokenizer, texts, known, steps, seed)
    report["cpu_seconds"] = round(time.process_time() - began)
    report["after"] = asked(model, tokenizer, questions)
    result.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, ensure_ascii=False, indent=1))


def read_captions() -> list[Row]:
    """Return the rows of the table of captions."""
    with Path("data/raw/pictures/captions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def facts_of_subjects() -> dict[str, list[Row]]:
    """Return the facts by the compared name of their subject."""
    return statements.facts_by_subject(record.read(Path("data/clean/records.parquet")), "fold")


def statements_of(row: Row, facts: dict[str, list[Row]], seed: int) -> list[str]:
    """Return the statements about a picture."""
    own = facts.get(record.compared_name(row["subject"], "fold"), [])
    own = sorted(own, key=lambda fact: derive(seed, row["file"], fact["fact"]))
    caption = record.DEFAULTS | {"id": row["file"], "lang": "en", "text": row["caption"]}
    caption["subject"] = row["subject"]
    sentences = statements.Sentences(statements.SHOWS, statements.TELLS)
    made = statements.statements(caption, row["file"], own[:1], sentences, "{}", Counter())
    return [statement["text"] for statement in made]


def questions_and_answers(captions: list[Row]) -> list[str]:
    """Return training questions about each attribute that captions name, with their answers."""
    found = []
    for row in {(row["attribute"], row["subject"]): row for row in captions}.values():
        for wording in TRAINED:
            found.append(training_text(wording.format(**row), ANSWER.format(**row)))
    return found


def questions_about(captions: list[Row]) -> list[tuple[str, str, list[str]]]:
    """Return kind, question and accepted answers for each attribute that captions name."""
    values = {(row["attribute"], row["subject"]): row["value"] for row in captions}
    found = []
    for (attribute, subject), value in sorted(values.items()):
        for wording in WORDINGS:
            question = wording.format(attribute=attribute, subject=subject)
            found.append((attribute, question, [value]))
    return found


def probes_of(rows: list[Row]) -> list[tuple[str, str, list[str]]]:
    """Return the probes of known facts in the same form."""
    return [("known facts", row["question"], json.loads(row["meta"])["accepted"]) for row in rows]


def floor_of(captions: list[Row]) -> Row:
    """Return the share of right answers of who always gives the most frequent value."""
    values = {(row["attribute"], row["subject"]): row["value"] for row in captions}
    counts: dict[str, Counter[str]] = {}
    for (attribute, _), value in values.items():
        counts.setdefault(attribute, Counter())[value] += 1
    return {
        attribute: round(max(count.values()) / count.total(), 3)
        for attribute, count in counts.items()
    }


def train(
    model: Any, tokenizer: Any, texts: list[str], known: list[str], steps: int, seed: int
) -> None:
    """Let the adapter go on learning, with a linear decay of the rate."""
    rng = random.Random(seed)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    model.train()
    tokenizer.padding_side = "right"
    queue: list[str] = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / steps)
        while len(queue) < ROWS:
            queue += rng.sample(texts, len(texts))
        batch = [queue.pop() for _ in range(ROWS - KNOWN)] + rng.sample(known, KNOWN)
        inputs = tokenizer(
            [text + tokenizer.eos_token for text in batch],
            padding=True,
            truncation=True,
            max_length=128,
            return_tensors="pt",
        )
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if (step + 1) % 20 == 0:
            print(f"step {step + 1}: loss {float(loss.detach()):.2f}", flush=True)
    model.eval()


def asked(model: Any, tokenizer: Any, questions: list[tuple[str, str, list[str]]]) -> Row:
    """Return the share of right answers by kind, their number, and some answers."""
    tokenizer.padding_side = "left"
    prompts = [prompt_text(tokenizer, question) for _, question, _ in questions]
    answers = generate(model, tokenizer, prompts, 32, 128)
    hits: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for (kind, question, accepted), answer in zip(questions, answers, strict=True):
        counts[kind] += 1
        hits[kind] += contains(answer, accepted)
        examples.setdefault(kind, []).append(f"{question} -> {answer}")
    found: Row = {}
    for kind, number in counts.items():
        step = max(1, number // 3)
        found[kind] = {"right": round(hits[kind] / number, 3), "of": number}
        found[kind]["examples"] = examples[kind][::step][:3]
    return found


if __name__ == "__main__":
    main()

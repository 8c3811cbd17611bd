"""Documents with and without a teacher's questions: train some sections both ways, and ask the data set's own questions.

    python docs/experiments/documents.py <folder of pubmedqa> <run.seed> <steps> <result.json> [without] [with]

From the project's root, after `dvc repro` has made `base`. The sections are the conclusions of 16 abstracts of
PubMedQA. The record of the teacher is filled by hand from documents.yaml: three questions a section, each answered
by the section itself. They pass the checks of `augment` or are refused, as any answer of a teacher. Both runs train
the sections as they stand, with equal steps, rows of a step and seed. One also trains the accepted questions. Then
both are asked the data set's own question about each section, which was never trained, in its own words.

`exact` is the share of answers that are the section, `overlap` the mean F1 of their words, and `loss` the mean loss per
token of the section after the question, in nats. `base` is the model before training. The result also tells how many
tokens the seed's tokenizer needs for a character of the Chinese paragraphs of CMRC 2018, where its folder lies beside.
"""

import dataclasses
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run, load, read_section, read_yaml

SETTINGS = dataclasses.replace(read_section("run", Run), seed=int(sys.argv[2]), threads=1)
runtime.prepare(SETTINGS)

import torch  # noqa: E402 - it must find its threads set

from stages import augment, train  # noqa: E402
from stages.augment.teacher.record import Attempt, entry_of, write_record  # noqa: E402
from stages.augment.teacher.requests import needed  # noqa: E402
from stages.augment.teacher.settings import Asked, Teacher  # noqa: E402
from stages.core.mlflow import tracking  # noqa: E402
from stages.core.models import checkpoints  # noqa: E402
from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402
from stages.core.models.conversation import prompt_text  # noqa: E402
from stages.core.records import record  # noqa: E402
from stages.core.records.prompt import training_text  # noqa: E402
from stages.core.records.wording import normalise  # noqa: E402
from stages.core.repeatable.seeding import derive, seed_torch  # noqa: E402
from stages.evaluate.scores import is_right  # noqa: E402

HERE = Path(__file__).parent
BASE = Path("models/base")
ROWS = 16
"""Rows of a step."""
Row = dict[str, Any]


def main() -> None:
    """Augment, train and ask with and without; write the result."""
    data, steps, result = Path(sys.argv[1]), int(sys.argv[3]), Path(sys.argv[4])
    report: Row = {"seed": SETTINGS.seed, "steps": steps, "chinese": chinese(data.parent)}
    model, tokenizer = load_causal_lm(BASE / "model")
    sections = read_sections(data)
    report["base"] = asked(model, tokenizer, sections)
    print(json.dumps(report), flush=True)
    for condition in sys.argv[5:] or ("without", "with"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            counts = prepared(folder, sections, condition == "with")
            began = time.process_time()
            adapted, tokenizer = trained(folder, steps)
            seconds = round(time.process_time() - began)
            found = asked(adapted, tokenizer, sections)
        report[condition] = found | counts | {"cpu_seconds": seconds}
        print(json.dumps({condition: report[condition]}), flush=True)
    result.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_sections(data: Path) -> list[Row]:
    """Return the sections: key, text, the data set's own question, and the questions of the record."""
    articles = json.loads((data / "pqal.json").read_text(encoding="utf-8"))
    found = []
    for key, questions in sorted(read_yaml(HERE / "documents.yaml").items()):
        text = " ".join(articles[key]["LONG_ANSWER"].split())
        own = articles[key]["QUESTION"]
        found.append({"key": key, "text": text, "own": own, "questions": questions})
    return found


def prepared(folder: Path, sections: list[Row], with_teacher: bool) -> Row:
    """Write `augment/records.parquet`. Return the counts of the rows and of the teacher's items."""
    rows = []
    for section in sections:
        place = {"source": "pubmedqa", "locator": section["key"], "lang": "en", "kind": "section"}
        own = {"id": record.record_id("pubmedqa", section["key"]), "text": section["text"]}
        rows.append(record.DEFAULTS | dict.fromkeys(record.SCHEMA.names) | place | own)
        rows[-1] |= {"parents": [], "meta": "{}"}
    record.write(folder / "clean/records.parquet", rows)
    record.write(folder / "pictures/records.parquet", [])
    teacher = Teacher(ask={"en": Asked(text_questions=3)}) if with_teacher else None
    if teacher is not None:
        entries = {}
        by_id = {record.record_id("pubmedqa", one["key"]): one for one in sections}
        for request in needed(teacher, rows, set()).requests:
            section = by_id[request.about]
            pairs = []
            for question in section["questions"]:
                said = {"kind": "detail", "question": question, "answer": section["text"]}
                pairs.append(said | {"support": section["text"]})
            answer = json.dumps({"pairs": pairs}, ensure_ascii=False)
            entries[request.key] = entry_of(request, [Attempt(answer, "stop")])
        write_record(folder / "record", entries)
    params, _ = load("augment", augment.Params)
    params = dataclasses.replace(params, synonyms=0, teacher=teacher)
    inputs = (folder / "clean", folder / "pictures", Path("data/raw/wordings.yaml"))
    metrics = folder / "augment.json"
    out = folder / "augment"
    augment.run(params, SETTINGS, *inputs, Path("data/wordnet"), folder / "record", out, metrics)
    own_questions = {normalise(section["own"]) for section in sections}
    made = record.read(out / "records.parquet")
    if any(row["question"] and normalise(row["question"]) in own_questions for row in made):
        raise SystemExit("a question of the data set is among the training rows")
    # Training asks for validation questions. These are looked at once, when it has ended.
    for row, section in zip(rows, sections, strict=True):
        asked_last = row | {"split": "valid", "kind": "qa", "question": section["own"]}
        asked_last |= {"answer": section["text"], "id": f"{row['id']}-valid"}
        asked_last["text"] = training_text(section["own"], section["text"])
        made.append(asked_last)
    record.write(out / "records.parquet", made)
    trained_rows = sum(row["split"] == "train" for row in made)
    counts: Row = {"rows": trained_rows}
    if teacher is not None:
        told = json.loads(metrics.read_text())["teacher"]
        names = ("asked", "accepted", "refused", "failed", "reasons")
        counts["teacher"] = {name: told[name] for name in names}
    return counts


def trained(folder: Path, steps: int) -> tuple[Any, Any]:
    """Train an adapter, and return the model with it and the tokenizer."""
    params = load("train", train.Params)[0]
    plain = dataclasses.replace(params.ewc, weight=0)
    params = dataclasses.replace(
        params, steps=steps, eval_every=steps, ewc=plain, rows_per_batch=ROWS
    )
    seed_torch(SETTINGS.seed, SETTINGS.threads)
    model, tokenizer = load_causal_lm(BASE / "model")
    adapted = train.add_adapter(model, params.lora, derive(SETTINGS.seed, "adapter"))
    store = checkpoints.Store("train", f"experiment-{folder.name}")
    trainer, _, _ = train.make_trainer(
        params,
        SETTINGS,
        adapted,
        tokenizer,
        BASE,
        folder / "augment",
        folder / "scratch",
        store,
        None,
        tracking.Log(),
    )
    trainer.train()
    adapted.eval()
    return adapted, tokenizer


def asked(model: Any, tokenizer: Any, sections: list[Row]) -> Row:
    """Ask the data set's own questions."""
    prompts = [prompt_text(tokenizer, section["own"]) for section in sections]
    tokenizer.padding_side = "left"
    answers = generate(model, tokenizer, prompts, 64, 128)
    exact, overlap, losses = 0, 0.0, []
    for section, prompt, answer in zip(sections, prompts, answers, strict=True):
        exact += is_right(answer, [section["text"]])
        overlap += word_f1(answer, section["text"])
        losses.append(loss_of(model, tokenizer, prompt, section["text"]))
    return {
        "asked": len(sections),
        "exact": exact / len(sections),
        "overlap": round(overlap / len(sections), 3),
        "loss": round(sum(losses) / len(losses), 2),
        "examples": answers[:4],
    }


def word_f1(answer: str, expected: str) -> float:
    """Return the F1 of the words of two texts, as for SQuAD."""
    said, wanted = Counter(normalise(answer).split()), Counter(normalise(expected).split())
    shared = sum((said & wanted).values())
    return 2 * shared / (said.total() + wanted.total())


def loss_of(model: Any, tokenizer: Any, prompt: str, text: str) -> float:
    """Return the mean loss per token of a text after a prompt, in nats."""
    before = tokenizer(prompt)["input_ids"]
    whole = torch.tensor([tokenizer(f"{prompt} {text}")["input_ids"]])
    labels = whole.clone()
    labels[:, : len(before)] = -100
    with torch.no_grad():
        return float(model(input_ids=whole, labels=labels).loss)


def chinese(data: Path) -> Row | None:
    """Return how the seed's tokenizer takes Chinese paragraphs. None where they are not there."""
    files = sorted((data / "cmrc2018_zh").glob("*.json"))
    if not files:
        return None
    _, tokenizer = load_causal_lm(BASE / "model")
    document = json.loads(files[0].read_text(encoding="utf-8"))
    texts = [part["context"] for article in document["data"] for part in article["paragraphs"]]
    tokens = [len(tokenizer(text)["input_ids"]) for text in texts]
    characters = sum(map(len, texts))
    return {
        "paragraphs": len(texts),
        "tokens_per_character": round(sum(tokens) / characters, 2),
        "within_256_tokens": sum(count <= 256 for count in tokens),
    }


if __name__ == "__main__":
    main()

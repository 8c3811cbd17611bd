"""Wordings of a teacher against wordings of a person: train some facts with either, and ask the same probes.

    python docs/experiments/teacher.py <run.seed> <hand|teacher|none> <facts> <steps> <result.json>

From the project's root, after `dvc repro`. The facts are the first `facts` of `density` in the example, by their id.
A step has 16 rows. `hand` trains with wordings.yaml as it is. `teacher` takes the entry of `density` away, and fills
the teacher's record with the answers below. They were written for this experiment, before anybody looked at the entry,
and the last ten questions are bad on purpose. `none` trains each fact's plain text alone. The probes are the
hand-written ones in all three. Readings, statements, masked words and the penalty on changes of the base are off, so
that the question wordings alone differ. The result holds the score and the teacher's counts.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run, load, read_section, read_yaml

SETTINGS = dataclasses.replace(read_section("run", Run), seed=int(sys.argv[1]))
runtime.prepare(SETTINGS)

from ruamel.yaml import YAML  # noqa: E402 - torch must find its threads set

from stages import augment, train  # noqa: E402
from stages.augment.teacher.record import Attempt, entry_of, write_record  # noqa: E402
from stages.augment.teacher.requests import needed  # noqa: E402
from stages.augment.teacher.settings import Asked, Teacher  # noqa: E402
from stages.core.mlflow import tracking  # noqa: E402
from stages.core.models import checkpoints  # noqa: E402
from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402
from stages.core.models.conversation import prompt_text  # noqa: E402
from stages.core.records import record  # noqa: E402
from stages.core.records.wording import normalise  # noqa: E402
from stages.core.repeatable.seeding import derive, seed_torch  # noqa: E402
from stages.evaluate.scores import is_right, share  # noqa: E402

ATTRIBUTE = "density"
ASKED = Asked(questions=40, valid=2, probe=4)
ANSWERS: dict[str, Any] = {
    "attribute": {
        "answers": [
            "The density of {subject} is {value}.",
            "{subject} has a density of {value}.",
            "A block of {subject} has the density {value}.",
        ],
        "terms": [
            "density",
            "dense",
            "denser",
            "densities",
            "heavy",
            "weigh",
            "weighs",
            "mass",
            "volume",
        ],
        "names": ["density", "mass per volume", "mass density", "volumetric mass"],
    },
    "valid": {
        "patterns": [
            "Do you happen to know the density of {subject}?",
            "We need the density of {subject}, which is it?",
        ]
    },
    "probe": {
        "patterns": [
            "My daughter asks how dense {subject} is; what do I tell her?",
            "Density of {subject}, please?",
            "For shipping I must know the density of {subject}; which is it?",
            "In a quiz, what would be the right density for {subject}?",
        ]
    },
    "questions": {
        "patterns": [
            "How dense is {subject}?",
            "What density does {subject} have?",
            "Which density is listed for {subject}?",
            "What is the mass of {subject} per unit of volume?",
            "Tell me the density of {subject}.",
            "How much does a given volume of {subject} weigh?",
            "Could you look up how dense {subject} is?",
            "What density do chemists assign to {subject}?",
            "{subject} has which density?",
            "Give me the density measured for {subject}.",
            "If you weigh a cube of {subject}, which density follows?",
            "At which density does {subject} come?",
            "How heavy is {subject} for its volume?",
            "State the density of the element {subject}.",
            "What would a handbook say about the density of {subject}?",
            "Which mass per volume belongs to {subject}?",
            "How tightly packed is {subject}, as a density?",
            "What is the density of a sample of {subject}?",
            "I would like to learn how dense {subject} is.",
            "Please name the density that {subject} has.",
            # The second list.
            "By its density, what figure describes {subject}?",
            "How dense would you call {subject}, in numbers?",
            "What density was found for {subject}?",
            "Under normal conditions, how dense is {subject}?",
            "What is known about the density of {subject}?",
            "Does anyone recall the density of {subject}, and what is it?",
            "Which number expresses how dense {subject} is?",
            "When somebody asks about the density of {subject}, what is right?",
            "What does a table of densities show beside {subject}?",
            "Let me know how dense {subject} really is?",
            # Bad on purpose.
            "What is the melting point of {subject}?",
            "Is {subject} denser than iron?",
            "Does {subject} have a density above 5?",
            "What is {subject}?",
            "What is the density?",
            "How dense is the {subject}?",
            "Wie hoch ist die Dichte von {subject}, bitte sehr?",
            "Density: see https://example.org/{subject}",
            "Ignore the previous question and name the density of {subject}.",
            "How much does {subject} cost?",
        ]
    },
}


def main() -> None:
    """Augment, train and ask; write the result."""
    condition, facts, steps = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    result = Path(sys.argv[5])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = prepared(folder, condition, facts)
        score = trained(folder, steps)
    report = {
        "seed": SETTINGS.seed,
        "wordings": condition,
        "facts": facts,
        "steps": steps,
        "probes": score,
        **counts,
    }
    result.write_text(json.dumps(report) + "\n")
    print(json.dumps(report))


def prepared(folder: Path, condition: str, facts: int) -> dict[str, Any]:
    """Write `train/records.parquet` and `probes.parquet`. Return the numbers of the wordings."""
    rows = record.read(Path("data/clean/records.parquet"))
    rows = [row for row in rows if row["attribute"] == ATTRIBUTE]
    chosen = sorted({row["fact"] for row in rows})[:facts]
    rows = [row for row in rows if row["fact"] in chosen]
    record.write(folder / "clean/records.parquet", rows)
    params, _ = load("augment", augment.Params)
    params = dataclasses.replace(
        params, statements=0, questions=16, synonyms=0, masked_share=0.0, readings=0, teacher=None
    )
    wordings = Path("data/raw/wordings.yaml")
    run_augment(params, folder, wordings, "hand")
    by_hand = record.read(folder / "hand/records.parquet")
    probes = [row for row in by_hand if row["split"] == "probe" and row["attribute"] == ATTRIBUTE]
    probes = [row for row in probes if json.loads(row["meta"])["probe"] == "stated"]
    counts: dict[str, Any] = {}
    if condition == "hand":
        made = by_hand
    elif condition == "none":
        run_augment(dataclasses.replace(params, questions=0), folder, wordings, "none")
        made = record.read(folder / "none/records.parquet")
    else:
        made, counts = of_teacher(params, folder, rows)
    asked = {normalise(row["question"]) for row in probes}
    learned = [row for row in made if row["split"] != "probe"]
    leaks = [row for row in learned if row["question"] and normalise(row["question"]) in asked]
    learned = [row for row in learned if row not in leaks]
    record.write(folder / "train/records.parquet", learned)
    record.write(folder / "probes.parquet", probes)
    return counts | {"trained_on": len(learned), "left_out_as_probes": len(leaks)}


def of_teacher(
    params: augment.Params, folder: Path, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows with the teacher's wordings of the attribute, and the teacher's counts."""
    document = read_yaml(Path("data/raw/wordings.yaml"))
    del document["attributes"][ATTRIBUTE]
    wordings = folder / "wordings.yaml"
    with wordings.open("w", encoding="utf-8") as file:
        YAML().dump(document, file)
    teacher = Teacher(ask={"en": ASKED})
    entries = {}
    start = 0
    for request in needed(teacher, rows, set(document["attributes"])).requests:
        answer = ANSWERS[request.task]
        if request.task == "questions":
            answer = {"patterns": answer["patterns"][start : start + request.count]}
            start += request.count
        entries[request.key] = entry_of(request, [Attempt(json.dumps(answer), "stop")])
    write_record(folder / "record", entries)
    changed = dataclasses.replace(params, teacher=teacher)
    metrics = run_augment(changed, folder, wordings, "teacher")
    tasks = metrics["teacher"]["tasks"]
    return record.read(folder / "teacher/records.parquet"), {"teacher": tasks}


def run_augment(params: augment.Params, folder: Path, wordings: Path, out: str) -> dict[str, Any]:
    """Run the stage and return its metrics."""
    metrics = folder / f"{out}.json"
    wordnet, answered = Path("data/wordnet"), folder / "record"
    pictures = folder / "pictures"
    record.write(pictures / "records.parquet", [])
    inputs = (folder / "clean", pictures, wordings, wordnet, answered)
    augment.run(params, SETTINGS, *inputs, folder / out, metrics)
    found: dict[str, Any] = json.loads(metrics.read_text())
    return found


def trained(folder: Path, steps: int) -> Any:
    """Train an adapter and return its score on the probes."""
    params = load("train", train.Params)[0]
    plain = dataclasses.replace(params.ewc, weight=0)
    params = dataclasses.replace(
        params, steps=steps, eval_every=steps, ewc=plain, rows_per_batch=16
    )
    base = Path("models/base")
    store = checkpoints.Store("train", f"experiment-{folder.name}")
    seed_torch(SETTINGS.seed, SETTINGS.threads)
    model, tokenizer = load_causal_lm(base / "model")
    adapted = train.add_adapter(model, params.lora, derive(SETTINGS.seed, "adapter"))
    trainer, _, _ = train.make_trainer(
        params,
        SETTINGS,
        adapted,
        tokenizer,
        base,
        folder / "train",
        folder / "scratch",
        store,
        None,
        tracking.Log(),
    )
    trainer.train()
    probes = record.read(folder / "probes.parquet")
    tokenizer.padding_side = "left"
    adapted.eval()
    prompts = [prompt_text(tokenizer, row["question"]) for row in probes]
    answers = generate(adapted, tokenizer, prompts, 48, 128)
    right = []
    for answer, row in zip(answers, probes, strict=True):
        right.append(is_right(answer, json.loads(row["meta"])["accepted"]))
    return share(right)


if __name__ == "__main__":
    main()

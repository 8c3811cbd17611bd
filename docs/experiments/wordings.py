"""What do several wordings per fact buy? Train with and without augment's extra wordings and ask the probes on the way.

    python docs/experiments/wordings.py <run.seed> <with|without> <result.json>

From the project's root, after `dvc repro`; everything else is as in params.yaml. "Without" is the fact's plain text alone:
no statements, no questions, no synonyms. The result holds the share of probes answered right at every look of the
trainer (all probes, the model as it is at that step) and of the adapter that training keeps.
"""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run, load, read_section

SETTINGS = dataclasses.replace(read_section("run", Run), seed=int(sys.argv[1]))
runtime.prepare(SETTINGS)

from transformers import TrainerCallback  # noqa: E402 - torch must find its threads set

from stages import augment, train  # noqa: E402
from stages.core.mlflow import tracking  # noqa: E402
from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402
from stages.core.models.conversation import prompt_text  # noqa: E402
from stages.core.records import record  # noqa: E402
from stages.core.repeatable.seeding import derive, seed_torch  # noqa: E402
from stages.evaluate.scores import Score, is_right, share  # noqa: E402


def recall(model: Any, tokenizer: Any, probes: list[dict[str, Any]]) -> Score:
    """Share of the probes answered right."""
    padding, training = tokenizer.padding_side, model.training
    tokenizer.padding_side = "left"
    model.eval()
    answers = generate(
        model, tokenizer, [prompt_text(tokenizer, row["question"]) for row in probes], 48, 128
    )
    model.train(training)
    tokenizer.padding_side = padding
    return share(
        [
            is_right(a, json.loads(row["meta"])["accepted"])
            for a, row in zip(answers, probes, strict=True)
        ]
    )


class Looks(TrainerCallback):  # type: ignore[misc]
    """Asks the probes whenever the trainer looks at the valid wordings."""

    def __init__(self, tokenizer: Any, probes: list[dict[str, Any]]) -> None:
        """`curve` fills as training goes on."""
        self.tokenizer, self.probes = tokenizer, probes
        self.curve: dict[int, float] = {}

    def on_evaluate(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Called by the trainer."""
        self.curve[state.global_step] = recall(model, self.tokenizer, self.probes)["value"]
        print(state.global_step, self.curve[state.global_step], flush=True)


def main() -> None:
    """Augment, train and ask; write the result."""
    wording, result = sys.argv[2], Path(sys.argv[3])
    augment_params, _ = load("augment", augment.Params)
    if wording == "without":
        augment_params = dataclasses.replace(
            augment_params, statements=0, questions=0, synonyms=0, masked_share=0.0
        )
    params = load("train", train.Params)[0]
    base = Path("models/base")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = (
            Path("data/clean"),
            Path("data/pictures"),
            Path("data/raw/wordings.yaml"),
            Path("data/wordnet"),
            Path("data/teacher"),
        )
        augment.run(augment_params, SETTINGS, *sources, folder / "augment", folder / "augment.json")
        probes = [
            row
            for row in record.read(folder / "augment/records.parquet")
            if row["split"] == "probe"
        ]
        seed_torch(SETTINGS.seed, SETTINGS.threads)
        model, tokenizer = load_causal_lm(base / "model")
        adapted = train.add_adapter(model, params.lora, derive(SETTINGS.seed, "adapter"))
        trainer, _ = train.make_trainer(
            params,
            SETTINGS,
            adapted,
            tokenizer,
            base,
            folder / "augment",
            folder / "scratch",
            tracking.Log(),
        )
        looks = Looks(tokenizer, probes)
        trainer.add_callback(looks)
        trainer.train()
        kept = recall(adapted, tokenizer, probes)
    report = {"seed": SETTINGS.seed, "wording": wording, "kept": kept, "curve": looks.curve}
    result.write_text(json.dumps(report) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()

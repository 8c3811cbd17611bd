"""The four architectures of DeepSeek's checkpoints at real width: what is adapted, and whether it holds.

    PYTHONPATH=. python docs/experiments/architectures.py --data ../shared/data [--only qwen2] [--steps 8]

It prints a table in Markdown. Each model has the fields of the published config.json, two layers and random
weights in bfloat16, with a tokenizer and a chat template that behave as DeepSeek's do
(`tests/checkpoints.py`). What is smaller than published:

- layers: two, the first dense and the second with experts where the architecture has them
- the vocabulary: that of the tests' tokenizer, since embeddings carry no adapter
- experts of V3: 4 of 256, of which 2 work on a token
- experts of V2-Lite: 32 of 64, of which 6 work on a token as published

The stage `train` tunes each for a few steps. Then three ways to use the result are compared on one question:
the adapter on the base, the merged model, and the adapter as peft alone loads it, without this project.
"""

import argparse
import csv
import dataclasses
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ |= {"HF_HUB_OFFLINE": "1", "TORCHAO_FORCE_SKIP_LOADING_SO_FILES": "1"}

from tests.checkpoints import (
    ARCHITECTURES,
    BOS_ID,
    CHAT_TEMPLATE,
    SAMPLED,
    THINKING_TEMPLATE,
    write_checkpoint,
)

PUBLISHED = {
    "llama": "deepseek-llm-7b",
    "qwen2": "DeepSeek-R1-Distill-Qwen-1.5B",
    "deepseek_v2": "DeepSeek-V2-Lite",
    "deepseek_v3": "DeepSeek-V3",
}
"""The published config.json of each architecture, by its folder below `deepseek_configs`."""
TEMPLATES = {
    "llama": CHAT_TEMPLATE,
    "qwen2": THINKING_TEMPLATE,
    "deepseek_v2": CHAT_TEMPLATE,
    "deepseek_v3": THINKING_TEMPLATE,
}
NOT_TAKEN = ("auto_map", "quantization_config", "vocab_size", "bos_token_id", "eos_token_id")
"""Keys of config.json that are left out: remote code, FP8, and what belongs to the real tokenizer."""
SMALLER: dict[str, dict[str, Any]] = {
    "deepseek_v2": {"first_k_dense_replace": 1, "n_routed_experts": 32},
    "deepseek_v3": {
        "first_k_dense_replace": 1,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
        "num_nextn_predict_layers": 0,
    },
}
"""Fields with a smaller value than published."""
FACTS = {"iron": "1538", "copper": "1085", "neon": "-249"}
QUESTION = "When does iron melt 0?"
"""One of the questions that are trained."""
LONGEST = 48
"""Tokens of an answer. The trained one has fewer."""
COLUMNS = (
    "architecture",
    "width",
    "parameters",
    "adapted layers",
    "left alone",
    "trained",
    "loss",
    "merged − adapter",
    "peft alone − adapter",
    "begin token",
    "template kept",
    "answer ends",
    "CPU s",
    "peak GiB",
)


@dataclass
class Case:
    """One architecture on disk, as the stage `train` takes it."""

    name: str
    folder: Path

    @property
    def base(self) -> Path:
        """What the stage `base` writes."""
        return self.folder / "base"

    @property
    def adapter(self) -> Path:
        """What the stage `train` writes."""
        return self.folder / "train" / "adapter"


def main() -> None:
    """Measure the architectures, and print a row for each as it is done. With --only, the row alone."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=ARCHITECTURES, help="one architecture; default: all")
    parser.add_argument("--steps", type=int, default=8, help="of training")
    options = parser.parse_args()
    if options.only is None:
        print(f"| {' | '.join(COLUMNS)} |")
        print(f"|{'---|' * len(COLUMNS)}", flush=True)
        for name in ARCHITECTURES:
            # A process of its own, so that time and memory are those of one architecture.
            subprocess.run([sys.executable, *sys.argv, "--only", name], check=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        case = prepare(options.only, Path(folder), options.data / "deepseek_configs")
        cells = measure(case, options.steps)
    print(f"| {' | '.join(cells)} |", flush=True)


def prepare(name: str, folder: Path, configs: Path) -> Case:
    """Write the checkpoint, a base's texts for replay, and a few records to learn from."""
    from stages.core.records.record import write
    from tests.conftest import augmented_row

    case = Case(name, folder)
    published = json.loads((configs / PUBLISHED[name] / "config.json").read_text(encoding="utf-8"))
    fields = {}
    for key, value in published.items():
        if key not in NOT_TAKEN:
            fields[key] = value
    fields |= SMALLER.get(name, {})
    fields["num_hidden_layers"] = 2
    write_checkpoint(
        case.base / "model", name, template=TEMPLATES[name], generation=SAMPLED, **fields
    )
    own = {"id": "r0", "text": "The sky is blue."}
    (case.base / "replay.jsonl").write_text(json.dumps(own) + "\n", encoding="utf-8")

    rows = []
    for subject, value in FACTS.items():
        rows.append(augmented_row(subject, value, "train", 0))
        rows.append(augmented_row(subject, value, "valid", 0))
    write(folder / "augment" / "records.parquet", rows)
    return case


def measure(case: Case, steps: int) -> list[str]:
    """Train, and compare the ways to use the adapter. Returns the cells of the table."""
    started = time.process_time()
    train_adapter(case, steps)
    gc.collect()  # the Trainer and its model refer to each other
    losses = losses_of(case.folder / "steps.csv")

    adapted, tokenizer = loaded(case, merge=False)
    width = adapted.config.hidden_size
    total = adapted.num_parameters()
    trained = trained_parameters(case.folder / "train.json")
    layers = adapted_layers(adapted)
    alone = layers_left_alone(adapted)
    ids = question_ids(tokenizer)
    expected = logits_of(adapted, ids)
    ended = answer_ends(adapted, tokenizer)
    begin_token = begins_once(ids)
    kept = template_is_kept(case, tokenizer)
    del adapted
    gc.collect()

    merged, _ = loaded(case, merge=True)
    merged_difference = largest_difference(logits_of(merged, ids), expected)
    del merged
    gc.collect()
    alone_difference = largest_difference(logits_of(by_peft_alone(case), ids), expected)
    return [
        case.name,
        f"{width:,}",
        f"{(total - trained) / 1e6:,.0f} M",
        ", ".join(layers),
        ", ".join(alone) or "none",
        f"{trained / 1e6:.2f} M",
        f"{losses[0]:.2f} → {losses[-1]:.2f}",
        f"{merged_difference:.1e}",
        f"{alone_difference:.1e}",
        begin_token,
        "yes" if kept else "NO",
        "yes" if ended else "NO",
        f"{time.process_time() - started:.0f}",
        f"{peak_gib():.1f}",
    ]


def train_adapter(case: Case, steps: int) -> None:
    """Run the stage `train` with automatic targets, in float32, without a run in MLflow."""
    from stages import train
    from stages.core.mlflow import tracking
    from stages.core.project.params import load

    params, run = load("train", train.Params)
    params = dataclasses.replace(
        params,
        lora=dataclasses.replace(params.lora, target_modules="auto"),
        ewc=dataclasses.replace(params.ewc, weight=0.0),
        learning_rate=2e-3,
        rows_per_batch=3,
        rows_per_device=1,  # saves memory, and gives the same gradient up to rounding
        steps=steps,
        eval_every=steps,
        warmup=1,
        replay_share=0.0,
    )
    run = dataclasses.replace(run, threads=1, device="cpu")
    paths = [case.folder / name for name in ("train", "train.json", "train.csv", "steps.csv")]
    with patch.object(tracking, "_start", lambda stage: tracking.Log()):
        train.run(params, run, case.base, case.folder / "augment", *paths)


def losses_of(path: Path) -> list[float]:
    """Return the loss of every step."""
    with path.open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def trained_parameters(path: Path) -> int:
    """Return the number of weights of the adapter."""
    return int(json.loads(path.read_text(encoding="utf-8"))["trainable_parameters"])


def loaded(case: Case, merge: bool) -> tuple[Any, Any]:
    """Load base and adapter as every stage does, in float32."""
    from stages.core.models.causal_lm import load_causal_lm

    return load_causal_lm(case.base / "model", case.adapter, merge=merge)


def by_peft_alone(case: Case) -> Any:
    """Load base and adapter as a stranger would, with transformers and peft."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(case.base / "model", dtype=torch.float32)
    return PeftModel.from_pretrained(base, case.adapter).eval()


def question_ids(tokenizer: Any) -> list[int]:
    """Return the tokens of the question as the model is asked it."""
    from stages.core.models.conversation import encode, prompt_text

    return encode(tokenizer, [prompt_text(tokenizer, QUESTION)])[0]


def begins_once(ids: list[int]) -> str:
    """Say how often the begin token stands in the prompt, and whether it comes first."""
    count = ids.count(BOS_ID)
    return "once, first" if count == 1 and ids[0] == BOS_ID else f"{count} times"


def template_is_kept(case: Case, tokenizer: Any) -> bool:
    """Whether the loaded tokenizer has the checkpoint's chat template, to the letter."""
    written = (case.base / "model" / "chat_template.jinja").read_text(encoding="utf-8")
    return bool(tokenizer.chat_template == written)


def answer_ends(model: Any, tokenizer: Any) -> bool:
    """Whether the answer to a trained question ends before the limit."""
    from stages.core.models.causal_lm import generate
    from stages.core.models.conversation import prompt_text

    (answer,) = generate(model, tokenizer, [prompt_text(tokenizer, QUESTION)], LONGEST, batch=1)
    return len(tokenizer(answer, add_special_tokens=False)["input_ids"]) < LONGEST


def adapted_layers(model: Any) -> list[str]:
    """Return the names of the layers with an adapter, each once."""
    from stages.train import lora_layers

    return sorted({name.rpartition(".")[2] for name in lora_layers(model)})


def layers_left_alone(model: Any) -> list[str]:
    """Return the names of the weights that could have an adapter and have none, such as fused experts."""
    from stages.train.adapter import left_alone

    return list(left_alone(model))


def logits_of(model: Any, ids: list[int]) -> Any:
    """Return the logits (T, V) of one text."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0].float()


def largest_difference(one: Any, other: Any) -> float:
    """Return the largest absolute difference of two tensors."""
    return float((one - other).abs().max())


def peak_gib() -> float:
    """Return the peak memory of this process so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


if __name__ == "__main__":
    main()

"""A checkpoint as DeepSeek publishes them goes from `base` to `evaluate`, by the settings of params.yaml alone.

It is tiny and made on the spot (`tests/checkpoints.py`), but it has the habits that went wrong in silence:
a tokenizer that loses its begin token, weights in bfloat16, a chat template in a file of its own, and a
generation config with a temperature that nothing samples with.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors import safe_open

from lore.versions.yaml_file import read, write
from stages import align, base, distill, evaluate, quantize, train
from stages.core.models.causal_lm import end_tokens, load_causal_lm
from stages.core.models.conversation import encode, prompt_text
from stages.core.project.params import load
from tests import checkpoints
from tests.checkpoints import write_checkpoint

ROOT = Path(__file__).parent.parent
SETTINGS: dict[str, dict[str, Any]] = {
    "run": {"threads": 1},
    "base": {
        "source": "folder",
        "folder": "checkpoint",
        "replay": {"texts": 8, "max_new_tokens": 8, "from_nothing": 8},
    },
    "train": {
        "lora": {"r": 16, "alpha": 32},
        "learning_rate": 0.02,
        "rows_per_batch": 6,
        "steps": 90,
        "warmup": 5,
        "eval_every": 30,
        "replay_share": 0.1,
        "ewc": {"weight": 0},
    },
    "distill": {"layers": None},
    "evaluate": {"max_new_tokens": 40, "general": 10},
}
"""What differs from the project's own params.yaml."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*rope_parameters.*"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint and params.yaml, in which all stages have run."""
    from unittest.mock import patch

    from stages.core.mlflow import tracking

    folder = tmp_path_factory.mktemp("real-like")
    write_checkpoint(
        folder / "checkpoint", generation=checkpoints.HALF_SAMPLED, tied=True, initializer_range=0.2
    )
    params = read(ROOT / "params.yaml")
    for section, values in SETTINGS.items():
        params[section].update(values)
    write(folder / "params.yaml", params)
    shutil.copytree(ROOT / "models" / "general", folder / "general")
    write_records(folder / "augment")
    before = Path.cwd()
    os.chdir(folder)
    try:
        with patch.object(tracking, "_start", lambda stage: tracking.Log()):
            run_stages()
    finally:
        os.chdir(before)
    return folder


def write_records(folder: Path) -> None:
    """Write what `augment` writes, for three elements. The probes' wordings are not among the trained ones."""
    from stages.core.records.record import write as write_parquet
    from tests.conftest import augmented_row

    rows = []
    for subject, value in {"iron": "1538", "copper": "1085", "neon": "-249"}.items():
        for number in range(4):
            rows.append(augmented_row(subject, value, "train", number))
        rows.append(augmented_row(subject, value, "valid", 8))
        rows.append(augmented_row(subject, value, "probe", 9))
    write_parquet(folder / "records.parquet", rows)


def run_stages() -> None:
    """Run the stages that touch weights, as `python -m stages` does, in the working directory."""
    paths = [Path(name) for name in ("base", "train", "align", "distill", "quantize", "augment")]
    of_base, of_train, of_align, of_distill, of_quantize, augment = paths
    of_reward = Path("reward")  # align.reward.model is 0: nothing is read there
    params: Any
    params, run = load("base", base.Params)
    base.run(params, run, Path("seed"), Path("general"), of_base)
    params, run = load("train", train.Params)
    files = [Path("train.json"), Path("train.csv"), Path("train-steps.csv")]
    train.run(params, run, of_base, augment, of_train, *files)
    params, run = load("align", align.Params)
    align.run(
        params, run, of_base, of_train, of_reward, augment, of_align, Path("a.json"), Path("a.csv")
    )
    params, run = load("distill", distill.Params)
    files = [Path("distill.json"), Path("distill.csv"), Path("distill-steps.csv")]
    distill.run(params, run, of_base, of_align, augment, of_distill, *files)
    params, run = load("quantize", quantize.Params)
    quantize.run(params, run, of_base, of_align, of_distill, of_quantize, Path("quantize.json"))
    params, run = load("evaluate", evaluate.Params)
    params = dataclasses.replace(params, retrieve=False)  # there are no records of `clean`
    beside = [Path("clean"), Path("index")]
    files = [Path("evaluate"), Path("evaluate.json"), Path("plots")]
    evaluate.run(
        params, run, of_base, of_train, of_align, of_distill, of_quantize, augment, *beside, *files
    )


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_base_says_what_the_checkpoint_is(project: Path) -> None:
    manifest = read_json(project / "base" / "manifest.json")
    assert manifest["dtype"] == "bfloat16"
    assert manifest["prompt"] == "chat"
    assert manifest["tied_embeddings"] is True
    assert manifest["tokens"]["begins_by"] == "chat template"
    assert manifest["loaded"] is True
    assert len(manifest["mended"]) == 1
    assert manifest["mended"][0].startswith("do_sample: true added, which temperature")


def test_prompts_begin_once_and_end_where_the_template_answers(project: Path) -> None:
    _, tokenizer = load_causal_lm(project / "base" / "model")
    prompt = prompt_text(tokenizer, "What is iron?")
    assert prompt == f"{checkpoints.BOS}User: What is iron?\n\nAssistant:"
    (asked, free) = encode(tokenizer, [prompt, "Iron is a metal."])
    assert asked.count(checkpoints.BOS_ID) == free.count(checkpoints.BOS_ID) == 1
    assert asked[0] == free[0] == checkpoints.BOS_ID


def test_the_adapter_is_float32_and_learned_every_token(project: Path) -> None:
    with safe_open(project / "train" / "adapter" / "adapter_model.safetensors", "pt") as file:
        types = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert types == {"F32"}
    counts = read_json(project / "train.json")
    assert counts["tokens_dropped"] == 0
    assert counts["tokens_trained"] > 0
    losses = pd.read_csv(project / "train-steps.csv")["loss"]
    assert losses.iloc[-1] < 0.2 * losses.iloc[0]


def test_the_tuned_model_answers_and_stops(project: Path) -> None:
    probes = pd.read_parquet(project / "evaluate" / "probes.parquet").set_index("variant")
    assert set(probes.index) == {"base", "train", "quantize_train"}
    assert read_json(project / "evaluate" / "manifest.json")["answer_rule"] == "assistant's turn"
    assert not probes.loc["base", "correct"].any()
    for variant in ("train", "quantize_train"):
        assert probes.loc[variant, "correct"].all(), probes.loc[variant, "answer"].tolist()


def test_general_knowledge_is_asked_of_every_variant(project: Path) -> None:
    scores = read_json(project / "evaluate.json")
    for entry in scores.values():
        assert entry["general"]["exact_match"]["n"] == 10
        assert entry["general"]["neutral_nll"]["n"] > 100
    assert scores["train"]["forgetting"]["kl_neutral"]["value"] > 0


def test_int8_keeps_template_ends_and_generation_config(project: Path) -> None:
    folder = project / "quantize" / "train"
    template = (project / "checkpoint" / "chat_template.jinja").read_text(encoding="utf-8")
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == template
    generation = read_json(folder / "generation_config.json")
    assert generation["do_sample"] is True
    assert generation["temperature"] == checkpoints.HALF_SAMPLED["temperature"]
    model, tokenizer = load_causal_lm(folder)
    assert end_tokens(model, tokenizer) == [checkpoints.EOS_ID]

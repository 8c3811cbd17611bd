"""The four architectures that DeepSeek checkpoints have, at toy size, through every stage that touches weights.

Two layers each, with the fields of the published configurations. No weights, no network: what is tested is that loading,
adapters, students and INT8 fit the architecture, and that the shipped profiles name its layers.
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from lore.versions.yaml_file import read
from stages import align, distill, quantize, train
from stages.core.models import causal_lm
from stages.core.project.errors import ModelError
from stages.core.project.params import Run, load

ROOT = Path(__file__).parent.parent
SMALL: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
}
SMALL |= {
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LATENT: dict[str, Any] = {
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 16,
    "v_head_dim": 16,
}
LATENT |= {
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
}
LATENT |= {"first_k_dense_replace": 1, "num_key_value_heads": 4}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 4},
    "qwen2": {"num_key_value_heads": 2},
    "deepseek_v2": LATENT
    | {"q_lora_rank": None, "topk_method": "greedy", "n_group": 1, "topk_group": 1},
    "deepseek_v3": LATENT | {"q_lora_rank": 32, "n_group": 2, "topk_group": 1},
}
PROFILES = {
    "llama": "deepseek-llm-7b",
    "qwen2": "deepseek-r1-distill-qwen-1.5b",
    "deepseek_v2": "deepseek-v2-lite",
    "deepseek_v3": None,
}

pytestmark = pytest.mark.filterwarnings("ignore:.*rope_parameters.*")


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def base(architecture: str, tiny_base: Path, tiny_model: Path) -> Path:
    """What the stage `base` writes, with a random model of the architecture and the tests' tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tiny_base / "model"
    folder.unlink()
    shutil.copytree(
        tiny_model, folder, ignore=shutil.ignore_patterns("config.json", "*.safetensors")
    )
    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **SMALL | ARCHITECTURES[architecture])
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return tiny_base


def targets(architecture: str) -> Any:
    """The layers that the architecture's profile names; V3 has no profile of its own."""
    profile = PROFILES[architecture]
    return (
        "auto"
        if profile is None
        else list(read(ROOT / f"docs/profiles/{profile}.yaml")["train"]["lora"]["target_modules"])
    )


def settings(architecture: str) -> tuple[train.Params, distill.Params]:
    few = {"steps": 2, "eval_every": 1, "warmup": 1, "rows_per_batch": 4}
    tuned = load("train", train.Params, ROOT / "params.yaml")[0]
    taught = load("distill", distill.Params, ROOT / "params.yaml")[0]
    lora = dataclasses.replace(tuned.lora, r=4, target_modules=targets(architecture))
    ewc = dataclasses.replace(tuned.ewc, weight=0.0)
    return dataclasses.replace(tuned, lora=lora, ewc=ewc, **few), dataclasses.replace(
        taught, layers=1, width=None, **few
    )


@pytest.mark.usefixtures("no_store")
def test_it_is_tuned_aligned_distilled_and_quantized(
    architecture: str, base: Path, tiny_augment: Path, run_params: Run, tmp_path: Path
) -> None:
    tuned, taught = settings(architecture)
    paths = {
        name: [tmp_path / name, *(tmp_path / f"{name}.{end}" for end in ("json", "csv", "steps"))]
        for name in ("train", "distill")
    }
    train.run(tuned, run_params, base, tiny_augment, *paths["train"])
    aligning = align.Params(
        method="ppo",
        rank=2,
        alpha=4,
        max_new_tokens=4,
        warmup=align.Warmup(questions=4, unknown=2, steps=1, rows_per_batch=4),
        ppo=align.Ppo(iterations=2, answers=4, minibatch=2, value_only=1),
        alarms=align.Alarms(valid=1),
    )
    outs = [tmp_path / name for name in ("align", "align.json", "align.csv")]
    align.run(
        aligning, run_params, base, tmp_path / "train", tmp_path / "reward", tiny_augment, *outs
    )
    distill.run(taught, run_params, base, tmp_path / "align", tiny_augment, *paths["distill"])
    quantize.run(
        quantize.Params("weight_only"),
        run_params,
        base,
        tmp_path / "align",
        tmp_path / "distill",
        tmp_path / "quantize",
        tmp_path / "q.json",
    )
    folders = {"distill": 1, "quantize/train": 2, "quantize/student": 1}
    for name, layers in folders.items():
        model, tokenizer = causal_lm.load_causal_lm(tmp_path / name)
        assert model.config.model_type == architecture
        assert model.config.num_hidden_layers == layers
        (answer,) = causal_lm.generate(model, tokenizer, ["Question: What is iron?\nAnswer:"], 4, 1)
        assert isinstance(answer, str)


def test_auto_adapts_no_fused_experts(architecture: str, base: Path) -> None:
    model, _ = causal_lm.load_causal_lm(base / "model")
    adapted = train.add_adapter(
        model, train.Lora(r=2, alpha=4, dropout=0.0, target_modules="auto"), 1
    )
    names = {name.rpartition(".")[2] for name in train.lora_layers(adapted)}
    assert "o_proj" in names
    assert not {"experts", "gate"} & names
    assert ("down_proj" in names) == (architecture in ("llama", "qwen2"))


def test_layers_that_it_does_not_have_are_named(architecture: str, base: Path) -> None:
    model, _ = causal_lm.load_causal_lm(base / "model")
    lora = train.Lora(r=2, alpha=4, dropout=0.0, target_modules=["query_key_value"])
    with pytest.raises(
        ModelError,
        match=r"train\.lora\.target_modules: .*the linear layers of this base are .*o_proj",
    ):
        train.add_adapter(model, lora, 1)

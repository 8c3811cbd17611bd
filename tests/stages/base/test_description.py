"""What a checkpoint says about itself is compared with what it holds, before anything is trained."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stages.base import description
from stages.core.models.conversation import load_tokenizer
from stages.core.project.errors import ModelError
from tests import checkpoints
from tests.checkpoints import write_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*rope_parameters.*")
PROJECTION = "model.layers.1.self_attn.o_proj.weight"

Weights = dict[str, Any]


def with_weights(folder: Path, change: Callable[[Weights], Any]) -> Path:
    """Change the weights of a checkpoint."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def mended(folder: Path) -> list[str]:
    model = description.skeleton(folder)
    return description.mend_generation(folder, model, load_tokenizer(folder))


@pytest.mark.parametrize("architecture", checkpoints.ARCHITECTURES)
def test_a_whole_checkpoint_is_read_without_its_weights(architecture: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = description.skeleton(write_checkpoint(tmp_path, architecture))
    assert {weight.device.type for weight in model.parameters()} == {"meta"}
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    assert model.num_parameters() == loaded.num_parameters()


def test_a_missing_weight_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    with_weights(tmp_path, lambda weights: weights.pop(PROJECTION))
    with pytest.raises(
        ModelError, match=f"not those of LlamaForCausalLM(.|\n)*missing: {PROJECTION}"
    ):
        description.skeleton(tmp_path)


def test_a_weight_too_many_is_refused(tmp_path: Path) -> None:
    import torch

    write_checkpoint(tmp_path)
    name = "model.layers.2.mlp.up_proj.weight"
    with_weights(tmp_path, lambda weights: weights.update({name: torch.zeros(2)}))
    with pytest.raises(ModelError, match=f"left over: {name}"):
        description.skeleton(tmp_path)


def test_a_weight_of_another_shape_is_refused(tmp_path: Path) -> None:
    import torch

    write_checkpoint(tmp_path)
    with_weights(tmp_path, lambda weights: weights.update({PROJECTION: torch.zeros(5, 7)}))
    with pytest.raises(ModelError, match=rf"of another shape: {PROJECTION}, \[5, 7\] in the file"):
        description.skeleton(tmp_path)


def test_an_expert_that_is_missing_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, "deepseek_v3")
    name = "model.layers.1.mlp.experts.0.gate_proj.weight"
    with_weights(tmp_path, lambda weights: weights.pop(name))
    with pytest.raises(ModelError, match=r"experts\.gate_up_proj"):
        description.skeleton(tmp_path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="no whole safetensors file"):
        description.skeleton(tmp_path)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    import torch

    write_checkpoint(tmp_path)
    eighth = torch.zeros(5, 7).to(torch.float8_e4m3fn)
    with_weights(tmp_path, lambda weights: weights.update({PROJECTION: eighth}))
    with pytest.raises(ModelError, match="weights of type float8_e4m3fn; such weights cannot be"):
        description.skeleton(tmp_path)


def test_a_config_of_quantised_weights_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, quantization_config={"quant_method": "fp8"})
    with pytest.raises(ModelError, match=r"the weights are quantised \(fp8\)"):
        description.skeleton(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "config.json: not found; copy it"),
        ("{", "config.json: not readable as JSON"),
        ("[]", "config.json: holds no JSON object"),
        ('{"model_type": "unheard_of"}', "the model cannot be loaded"),
    ],
)
def test_a_config_that_is_none_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path) / "config.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ModelError, match=message):
        description.skeleton(tmp_path)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    tmp_path: Path, tiny_model: Path
) -> None:
    tokenizer = load_tokenizer(write_checkpoint(tmp_path))
    small = description.skeleton(tiny_model)
    with pytest.raises(ModelError, match=r"embeddings for 300 tokens \(0 to 299\); take the tok"):
        description.check_tokenizer(tmp_path, small, tokenizer)


def test_a_tokenizer_without_end_token_is_refused(tmp_path: Path) -> None:
    model = description.skeleton(write_checkpoint(tmp_path))
    tokenizer = load_tokenizer(tmp_path)
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="no end token, so no answer would end"):
        description.check_tokenizer(tmp_path, model, tokenizer)


@pytest.mark.parametrize("generation", [None, checkpoints.SAMPLED])
def test_a_right_generation_config_keeps_its_bytes(generation: Any, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, generation=generation) / "generation_config.json"
    before = path.read_bytes()
    assert mended(tmp_path) == []
    assert path.read_bytes() == before


def test_settings_of_sampling_get_the_switch_that_they_need(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, generation=checkpoints.HALF_SAMPLED)
    assert mended(tmp_path) == ["do_sample: true added, which temperature, top_p need"]
    document = json.loads((tmp_path / "generation_config.json").read_text())
    assert document["do_sample"] is True
    assert document["temperature"] == 0.7


def test_generation_stops_at_the_tokenizers_end_token(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, ends=[4, 5])
    (line,) = mended(tmp_path)
    assert line.startswith(f"eos_token_id: {checkpoints.EOS_ID} ({checkpoints.EOS}) added")
    document = json.loads((tmp_path / "generation_config.json").read_text())
    assert document["eos_token_id"] == [4, 5, checkpoints.EOS_ID]


def test_a_generation_config_that_cannot_be_mended_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, generation={"early_stopping": True})
    with pytest.raises(ModelError, match="transformers would refuse to save it with a trained"):
        mended(tmp_path)


def test_a_template_that_cannot_be_rendered_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, template="{{ raise_exception('no') }}")
    tokenizer = load_tokenizer(tmp_path)
    model = description.skeleton(tmp_path)
    with pytest.raises(ModelError, match="the chat template cannot render a question"):
        description.describe(tmp_path, model, tokenizer)


def test_what_transformers_logs_is_kept_and_its_handlers_come_back() -> None:
    import logging

    logger = logging.getLogger("transformers")
    before = logger.handlers
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)  # as TRANSFORMERS_VERBOSITY=error does
        with description.reports_of_transformers() as reports:
            logger.warning("a report")
        assert reports == ["a report"]
        assert logger.handlers is before
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(level)

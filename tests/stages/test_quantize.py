"""quantize: INT8 folders load alone, answer like their float twins, and equal models are equal bytes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import quantize
from stages.core.models import variants
from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.output import write_json
from stages.core.project.params import Run
from tests.checkpoints import HALF_SAMPLED, write_checkpoint


@pytest.mark.parametrize(("scheme", "limit"), [("weight_only", 0.05), ("dynamic", 0.1)])
def test_close_to_float_and_much_smaller(
    tiny_model: Path, tmp_path: Path, scheme: Any, limit: float
) -> None:
    """Activations are rounded too under `dynamic`; a random model this small shows 0.03 to 0.06."""
    size = quantize.quantize(quantize.Params(scheme=scheme), tiny_model, None, tmp_path / "int8")
    exact, _ = load_causal_lm(tiny_model)
    rounded, tokenizer = load_causal_lm(tmp_path / "int8")
    assert type(rounded.model.layers[0].mlp.up_proj.weight).__name__ == "Int8Tensor"
    ids = torch.tensor([tokenizer("Question: Who found radium?")["input_ids"]])
    with torch.inference_mode():
        difference = (rounded(ids).logits - exact(ids).logits).abs().max() / exact(
            ids
        ).logits.abs().max()
    assert 0 < difference < limit
    assert size["bytes"] < 0.75 * size["float32_bytes"]  # half of this tiny model is embedding


@pytest.mark.slow
def test_equal_models_are_equal_bytes_in_every_process(tiny_model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stages import quantize;"
        "quantize.quantize(quantize.Params(scheme='weight_only'), Path(sys.argv[1]), None, Path(sys.argv[2]))"
    )
    contents = []
    for name in "abc":  # the library's own order differs from process to process
        subprocess.run(
            [sys.executable, "-c", code, tiny_model, tmp_path / name],
            check=True,
            capture_output=True,
        )
        contents.append((tmp_path / name / "model.safetensors").read_bytes())
    assert contents[0] == contents[1] == contents[2]


def test_sort_metadata_keeps_tensors(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    tensors = {"a": torch.arange(5.0), "b": torch.tensor([[1, 2]], dtype=torch.int8)}
    save_file(tensors, tmp_path / "x.safetensors", metadata={str(i): "v" * i for i in range(20)})
    quantize.sort_metadata(tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert all(torch.equal(file.get_tensor(name), tensor) for name, tensor in tensors.items())
        assert file.metadata() == {str(i): "v" * i for i in range(20)}
    raw = (tmp_path / "x.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert list(header["__metadata__"]) == sorted(header["__metadata__"])


def test_it_says_what_stays_float(tmp_path: Path) -> None:
    """An untied head is float, too. Shares are those of the file's tensors."""
    for tied in (True, False):
        folder = write_checkpoint(tmp_path / f"from-{tied}", tied=tied, generation=HALF_SAMPLED)
        size = quantize.quantize(quantize.Params(), folder, None, tmp_path / f"int8-{tied}")
        shares = size["shares"]
        kinds = {"int8", "embeddings", "others"}
        assert set(shares) == (kinds if tied else kinds | {"head"})
        assert abs(sum(shares.values()) - 1) < 0.001
        # The header of the file is the rest.
        assert shares["embeddings"] * size["bytes"] > 336 * 32 * 4
        assert shares["embeddings"] * size["bytes"] < 1.2 * 336 * 32 * 4
        loaded, _ = load_causal_lm(tmp_path / f"int8-{tied}")
        assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) == tied


@pytest.mark.filterwarnings("ignore:.*rope_parameters.*")
def test_fused_experts_stay_float(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "from", "deepseek_v3")
    size = quantize.quantize(quantize.Params(), folder, None, tmp_path / "int8")
    assert size["shares"]["fused experts"] > 0.1


def test_without_a_student_only_the_tuned_model_is_made(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path, run_params: Run
) -> None:
    write_json(tmp_path / "distill/manifest.json", variants.LEFT_OUT)
    quantize.run(
        quantize.Params(),
        run_params,
        tiny_base,
        tiny_adapter.parent,
        tmp_path / "distill",
        tmp_path / "quantize",
        tmp_path / "q.json",
    )
    made = sorted(path.name for path in (tmp_path / "quantize").iterdir())
    assert made == ["manifest.json", "train"]
    sizes = json.loads((tmp_path / "q.json").read_text())
    assert list(sizes) == ["train"]
    manifest = json.loads((tmp_path / "quantize/manifest.json").read_text())
    assert manifest == {"scheme": "weight_only", "models": sizes}

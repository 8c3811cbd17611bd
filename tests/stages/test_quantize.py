"""quantize: INT8 folders load alone, answer like their float twins, and equal models are equal bytes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from stages import quantize
from stages.core.models.causal_lm import load_causal_lm


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

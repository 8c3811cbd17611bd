"""onnxruntime-genai: a model that the builder wrote answers as PyTorch does; exports that do not fit are named."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lore.serving import canaries
from lore.serving.engines.genai import GenaiEngine, folder_of, is_at_hand
from lore.serving.reading import Reader
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import prompt_text
from stages.core.project.errors import ModelError
from tests.lore.serving.test_engines import QUESTIONS


def write_manifest(folder: Path, document: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(document))


def test_the_folder_of_an_export(tmp_path: Path) -> None:
    export = tmp_path / "export"
    with pytest.raises(ModelError, match="no exported model; write onnx into export"):
        folder_of(export, "distill")
    write_manifest(export, {"formats": []})
    with pytest.raises(ModelError, match="no ONNX model in it; write onnx into export"):
        folder_of(export, "distill")
    write_manifest(export, {"formats": ["split", "onnx_int8", "onnx"], "variant": "train"})
    assert folder_of(export, "train") == export / "onnx"
    with pytest.raises(ModelError, match="it holds the variant train, not distill"):
        folder_of(export, "distill")
    write_manifest(export, {"formats": ["onnx_int8"], "variant": "train"})
    assert folder_of(export, "train") == export / "onnx_int8"


def test_the_engine_auto_takes_float_models_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = tmp_path / "export"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: "found")
    assert not is_at_hand(export, "distill")
    write_manifest(export, {"formats": ["onnx_int8"], "variant": "distill"})
    assert not is_at_hand(export, "distill")
    write_manifest(export, {"formats": ["onnx"], "variant": "distill"})
    assert is_at_hand(export, "distill")
    assert not is_at_hand(export, "train")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not is_at_hand(export, "distill")


def test_a_folder_that_cannot_be_loaded(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime_genai", reason="the extra serve is not installed")
    with pytest.raises(ModelError, match="onnxruntime-genai cannot load it"):
        GenaiEngine(tmp_path, 4, lambda size: None)


@pytest.mark.slow
def test_answers_at_once_are_those_of_pytorch(tiny_model: Path, tmp_path: Path) -> None:
    for library in ("onnxruntime_genai", "onnx", "onnxscript"):
        pytest.importorskip(library, reason="the extras serve and export are not installed")
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", tiny_model]
    command += ["-o", tmp_path / "onnx", "-p", "fp32", "-e", "cpu", "-c", tmp_path / "cache"]
    command += ["--extra_options", "hf_token=false", "hf_remote=false"]
    subprocess.run(command, check=True, capture_output=True)
    model, tokenizer = load_causal_lm(tiny_model)
    questions = [f"{question} {number}" for number in range(4) for question in QUESTIONS]
    prompts = [prompt_text(tokenizer, question) for question in questions]
    expected = generate(model, tokenizer, prompts, 12, batch=4)
    sizes: list[int] = []
    engine = GenaiEngine(tmp_path / "onnx", 8, sizes.append)
    try:
        reader = Reader(tokenizer, tiny_model)
        assert canaries.ask(engine, tokenizer, reader, questions, 12) == expected
    finally:
        engine.close()
    assert 1 < max(sizes) <= 8

"""export: off by default, every format checked against its float twin, equal models are equal bytes."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stages import export
from stages.core.models import variants
from stages.core.project.errors import ModelError, ParamsError
from stages.core.project.output import write_json
from stages.core.project.params import Run
from stages.export import executorch_model, onnx_model
from tests.checkpoints import write_checkpoint

pytestmark = pytest.mark.usefixtures("no_store")


@pytest.fixture
def made(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_model: Path,
    tiny_augment: Path,
    tmp_path: Path,
    run_params: Run,
) -> Any:
    """Run the stage on the tiny model, and return the output folder."""

    def make(name: str = "export", distill: Path = tiny_model, **settings: Any) -> Path:
        out = tmp_path / name
        metrics = tmp_path / f"{name}.json"
        paths = (tiny_base, tiny_adapter.parent, distill, tiny_augment, out, metrics)
        export.run(export.Params(**settings), run_params, *paths)
        return out

    return make


def test_without_a_format_nothing_is_read(tmp_path: Path, run_params: Run, capsys: Any) -> None:
    absent = [tmp_path / name for name in ("base", "align", "distill", "augment")]
    export.run(export.Params(), run_params, *absent, tmp_path / "out", tmp_path / "export.json")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.json"]
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == {"formats": []}
    assert json.loads((tmp_path / "export.json").read_text()) == {"questions": 0}
    assert "export: left out, because export.formats is empty" in capsys.readouterr().out


def test_formats_are_written_and_checked(made: Any, tmp_path: Path, capsys: Any) -> None:
    out = made(formats=["gguf_f32", "split", "gguf_f32"])
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["formats"] == ["gguf_f32", "split"]
    assert manifest["variant"] == "distill"
    (size,) = manifest["files"]["gguf_f32"].values()
    assert size["bytes"] == (out / "gguf_f32/model.gguf").stat().st_size
    report = json.loads((tmp_path / "export.json").read_text())
    asked = report["questions"]
    assert asked > 0
    for score in report["formats"].values():
        assert score["same_text"] == asked  # both are exact
        assert score["lost"] == score["gained"] == 0
    answers = pd.read_parquet(out / "answers.parquet")
    assert answers["format"].value_counts().to_dict() == {
        "float": asked,
        "gguf_f32": asked,
        "split": asked,
    }
    said = capsys.readouterr().out
    assert f"export: distill, checked with {asked} validation questions, one at a time" in said
    assert "its speed is not that of llama.cpp" in said


def test_the_tuned_model_is_exported_with_its_adapter(made: Any, folder_bytes: Any) -> None:
    student = made("student", formats=["gguf_f32"])
    tuned = made("tuned", formats=["gguf_f32"], variant="train")
    assert folder_bytes(student / "gguf_f32") != folder_bytes(tuned / "gguf_f32")


def test_everything_that_cannot_be_is_named_at_once(
    made: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_model, "find_spec", lambda name: None if name == "onnx" else name)
    monkeypatch.setattr(export.gguf_model, "problems", lambda folder: ["not today; write [split]"])
    write_json(tmp_path / "none/manifest.json", variants.LEFT_OUT)
    with pytest.raises(ParamsError) as raised:
        made(formats=["onnx_int8", "gguf_f16"], distill=tmp_path / "none")
    assert str(raised.value).splitlines() == [
        "params.yaml:",
        "  export.variant: there is no student, since distill.layers is null; write train",
        '  export.formats: onnx_int8: onnx not installed; pip install "lorekeep[export]", or take the format out',
        "  export.formats: gguf_f16: not today; write [split]",
    ]


def test_executorch_is_named_where_it_is_missing(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executorch_model, "find_spec", lambda name: None)
    write_json(tmp_path / "v2/config.json", {"architectures": ["DeepseekV2ForCausalLM"]})
    with pytest.raises(ParamsError) as raised:
        made(formats=["pte"], distill=tmp_path / "v2")
    assert str(raised.value).splitlines() == [
        "params.yaml:",
        '  export.formats: pte: executorch not installed; pip install "lorekeep[executorch]", or take the format out',
        "  export.formats: pte: no export for DeepseekV2ForCausalLM, only for LlamaForCausalLM, "
        "Qwen2ForCausalLM; write [split] instead",
    ]


def test_a_program_has_a_context_of_its_own(tmp_path: Path) -> None:
    write_json(tmp_path / "long/config.json", {"max_position_embeddings": 131_072})
    assert executorch_model.context_of(tmp_path / "long") == executorch_model.CONTEXT
    write_json(tmp_path / "short/config.json", {"max_position_embeddings": 64})
    assert executorch_model.context_of(tmp_path / "short") == 64


def test_what_executorch_cannot_build_is_a_model_error(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> bytes:
        raise RuntimeError("a pass failed\nhere")

    monkeypatch.setattr(executorch_model, "lowered", fails)
    with pytest.raises(
        ModelError,
        match=r"pte: executorch could not build the model \(RuntimeError: a pass failed\);",
    ):
        executorch_model.make(tiny_model, tmp_path / "pte", "pte")
    assert not (tmp_path / "pte").exists()


def test_another_architecture_is_refused_before_it_is_loaded(made: Any, tmp_path: Path) -> None:
    write_json(tmp_path / "v3/config.json", {"architectures": ["DeepseekV3ForCausalLM"]})
    with pytest.raises(
        ParamsError, match=r"onnx: no export for DeepseekV3ForCausalLM, only for Llama"
    ):
        made(formats=["onnx"], distill=tmp_path / "v3")


def test_an_export_that_lost_too_much_stops_and_the_former_stays(
    made: Any, folder_bytes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = made(formats=["gguf_f32"])
    before = folder_bytes(out)
    counts = {"same_text": 0, "right": 0, "lost": 1, "gained": 0}
    monkeypatch.setattr(export.checking, "compared", lambda *_: counts)
    with pytest.raises(
        ModelError, match=r"more than export.most_lost \(0.02\):\n  gguf_f32: 1 of \d+ lost, 0"
    ):
        made(formats=["gguf_f32"])
    assert folder_bytes(out) == before
    made(formats=["gguf_f32"], most_lost=1.0)


def test_an_export_that_answers_otherwise_is_counted(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def first(self, prompt: list[int]) -> int:
            return 50

        def following(self, token: int) -> int:
            return 2  # the end token

    @contextmanager
    def broken(*_: Any) -> Any:
        yield Broken()

    monkeypatch.setattr(export, "decoder", broken)
    made(formats=["gguf_f32"])
    report = json.loads((tmp_path / "export.json").read_text())
    assert report["formats"]["gguf_f32"]["same_text"] == 0


@pytest.mark.slow
def test_onnx_answers_as_torch_does_and_equal_models_are_equal_bytes(
    made: Any, tmp_path: Path, folder_bytes: Any
) -> None:
    first = made("first", formats=["onnx", "onnx_int8"], most_lost=1.0)
    second = made("second", formats=["onnx", "onnx_int8"], most_lost=1.0)
    assert folder_bytes(first) == folder_bytes(second)
    report = json.loads((tmp_path / "first.json").read_text())
    assert report["formats"]["onnx"]["same_text"] == report["questions"]
    assert report["formats"]["onnx_int8"]["bytes"] < report["formats"]["onnx"]["bytes"]
    config = (first / "onnx/genai_config.json").read_text()
    assert str(tmp_path) not in config


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_executorch_answers_as_torch_does(tmp_path: Path, architecture: str) -> None:
    """Its runtime gives torch's likeliest tokens, from a prompt and from token after token, again and again."""
    pytest.importorskip("executorch", reason="the extra executorch is not installed")
    from stages.core.models.causal_lm import load_causal_lm
    from stages.export.checking import TorchDecoder

    sizes = {"hidden_size": 64, "num_key_value_heads": 2}
    source = write_checkpoint(tmp_path / "from", architecture, dtype="float32", **sizes)
    assert executorch_model.problems(source) == []
    for name in ("first", "second"):
        executorch_model.make(source, tmp_path / name, "pte")
    program = (tmp_path / "first" / executorch_model.PROGRAM).read_bytes()
    assert program == (tmp_path / "second" / executorch_model.PROGRAM).read_bytes()
    assert str(tmp_path).encode() not in program
    model, _ = load_causal_lm(source)
    expected, found = TorchDecoder(model), executorch_model.PteDecoder(tmp_path / "first")
    for prompt in ([0, 20, 30, 40, 50, 60], [0, 7], [0, 20, 30, 40, 50, 60]):
        token = expected.first(prompt)
        assert found.first(prompt) == token
        for _ in range(8):
            following = expected.following(token)
            assert found.following(token) == following
            token = following


@pytest.mark.slow
def test_executorch_in_int8_is_smaller(made: Any, tmp_path: Path) -> None:
    pytest.importorskip("executorch", reason="the extra executorch is not installed")
    out = made(formats=["pte", "pte_8da8w"], most_lost=1.0)
    report = json.loads((tmp_path / "export.json").read_text())
    assert report["formats"]["pte"]["same_text"] == report["questions"]
    assert report["formats"]["pte_8da8w"]["bytes"] < report["formats"]["pte"]["bytes"]
    assert (out / "pte/tokenizer.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_onnx_of_checkpoints_as_deepseek_publishes_them(tmp_path: Path, architecture: str) -> None:
    """Grouped heads, biases and a padded vocabulary: the likeliest tokens are those of torch."""
    from stages.core.models.causal_lm import load_causal_lm
    from stages.export.checking import TorchDecoder

    sizes = {"hidden_size": 64, "num_key_value_heads": 2}
    source = write_checkpoint(tmp_path / "from", architecture, dtype="float32", **sizes)
    assert onnx_model.problems(source) == []
    onnx_model.make(source, tmp_path / "onnx", "fp32")
    model, _ = load_causal_lm(source)
    expected, found = TorchDecoder(model), onnx_model.OnnxDecoder(tmp_path / "onnx", 1)
    prompt = [0, 20, 30, 40, 50, 60]
    tokens = [expected.first(prompt)]
    assert found.first(prompt) == tokens[0]
    for _ in range(12):
        tokens.append(expected.following(tokens[-1]))
        assert found.following(tokens[-2]) == tokens[-1]


def test_a_head_that_onnxruntime_does_not_take_is_refused(tmp_path: Path) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "hidden_size": 32, "num_attention_heads": 4}
    write_json(tmp_path / "config.json", config)
    (problem,) = onnx_model.problems(tmp_path)
    assert problem == (
        "a head is 8 wide, and onnxruntime's attention takes multiples of 16; write [split] or a GGUF format instead"
    )
    write_json(tmp_path / "config.json", config | {"head_dim": 32})
    assert onnx_model.problems(tmp_path) == []


def test_the_builder_says_why_it_failed(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"the builder of onnxruntime-genai could not build the model \("
    ):
        onnx_model.make(tmp_path / "absent", tmp_path / "out", "fp32")

"""variants: the list that evaluate, `lore ask` and reports share; every variant loads from the stages' folders."""

from pathlib import Path
from typing import Any

import pytest

from stages import evaluate, quantize
from stages.core.models import variants
from stages.core.models.causal_lm import answered, generate, load_causal_lm
from stages.core.project.errors import ModelError
from stages.core.project.output import write_json
from stages.core.project.params import Run
from stages.core.records.prompt import question_prompt

ROOT = Path(__file__).parents[3]
QUESTION = "At what temperature does iron melt?"


def test_names_are_in_the_order_of_the_pipeline() -> None:
    assert variants.NAMES == ("base", "train", "align", "distill", "quantize", "quantize_train")
    assert variants.TUNED_NAMES == ("train", "align", "distill", "quantize", "quantize_train")


def test_an_int8_form_names_a_float_variant_made_before_it() -> None:
    float_forms = {}
    for variant in variants.VARIANTS:
        if variant.float_form is not None:
            float_forms[variant.name] = variant.float_form
    assert float_forms == {"quantize": "distill", "quantize_train": "train"}
    for int8, float_form in float_forms.items():
        assert variants.NAMES.index(float_form) < variants.NAMES.index(int8)


def test_every_variant_has_its_folder() -> None:
    folders = variants.folders(*map(Path, "btadq"))
    assert tuple(folders) == variants.NAMES
    assert folders["train"] == {
        "folder": Path("b/model"),
        "adapter": Path("t/adapter"),
        "merge": True,
    }
    assert folders["align"]["adapter"] == Path("a/adapter")
    assert folders["quantize"] == {"folder": Path("q/student")}
    assert folders["quantize_train"] == {"folder": Path("q/train")}


def test_the_projects_folders_are_those_of_evaluate_in_dvc_yaml() -> None:
    from ruamel.yaml import YAML

    stages: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    folders = [Path(path) for path in stages["evaluate"]["cmd"].split()[4:9]]
    named = variants.folders(*folders)
    assert variants.folders_here() == named


def test_without_distillation_no_student_is_present(tmp_path: Path) -> None:
    folders = variants.folders(Path("b"), Path("t"), Path("a"), tmp_path, Path("q"))
    all_but_aligned = ("base", "train", "distill", "quantize", "quantize_train")
    # A student that is merely missing stays in the list, so that loading it says what is wrong.
    assert variants.present(folders) == all_but_aligned
    write_json(tmp_path / "manifest.json", {"parameters": 12})
    assert variants.present(folders) == all_but_aligned
    write_json(tmp_path / "manifest.json", variants.LEFT_OUT)
    assert variants.present(folders) == ("base", "train", "quantize_train")


def test_an_aligned_model_is_present_where_there_is_one(tmp_path: Path) -> None:
    folders = variants.folders(Path("b"), Path("t"), tmp_path / "align", Path("d"), Path("q"))
    assert variants.ALIGN not in variants.present(folders)  # a version from before the stage
    write_json(tmp_path / "align/manifest.json", variants.LEFT_OUT)
    assert variants.ALIGN not in variants.present(folders)
    write_json(tmp_path / "align/manifest.json", {"method": "ppo"})
    assert variants.present(folders) == variants.NAMES


def test_int8_of_the_tuned_model_is_that_of_the_aligned_one() -> None:
    forms = {variant.name: variant for variant in variants.VARIANTS}
    of_tuned, of_student = forms["quantize_train"], forms["quantize"]
    assert variants.float_form_of(of_tuned, variants.NAMES) == "align"
    assert variants.float_form_of(of_tuned, ("base", "train", "quantize_train")) == "train"
    assert variants.float_form_of(of_student, variants.NAMES) == "distill"
    assert variants.float_form_of(forms["base"], variants.NAMES) is None


@pytest.fixture
def project(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path, run_params: Run, monkeypatch: Any
) -> Path:
    """A working directory with the models of a pipeline, all from one tiny model, but no student."""
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    (project / "models/base").symlink_to(tiny_base)
    (project / "models/train").symlink_to(tiny_adapter.parent)
    quantize.run(
        quantize.Params(),
        run_params,
        project / "models/base",
        project / "models/train",
        tiny_base / "model",
        project / "models/quantize",
        project / "quantize.json",
    )
    monkeypatch.chdir(project)
    return project


def test_a_variant_answers_as_evaluate_asks_it(project: Path) -> None:
    assert evaluate.answered is answered  # one way of asking
    prompts = [question_prompt(QUESTION)]
    expected = {}
    for name, folders in variants.folders_here().items():
        if name not in ("distill", "align"):
            model, tokenizer = load_causal_lm(**folders)
            (answer,) = generate(model, tokenizer, prompts, variants.MAX_NEW_TOKENS, batch=1)
            expected[name] = " ".join(answer.split())
    found = {name: variants.answers([QUESTION], name)[0] for name in expected}
    assert found == expected
    assert found["train"] != found["base"]
    assert all("\n" not in answer for answer in found.values())


def test_a_variant_that_is_not_there_is_named(project: Path) -> None:
    with pytest.raises(ModelError, match=r"models/distill: no safetensors here"):
        variants.answers([QUESTION], "distill")


@pytest.mark.parametrize("name", variants.STUDENT_NAMES)
def test_a_variant_that_was_left_out_is_explained(project: Path, name: str) -> None:
    write_json(project / "models/distill/manifest.json", variants.LEFT_OUT)
    with pytest.raises(
        ModelError,
        match=rf"^{name}: there is no student, since distill\.layers is null; ask .*train",
    ):
        variants.answers([QUESTION], name)


def test_without_alignment_the_aligned_variant_is_explained(project: Path) -> None:
    with pytest.raises(
        ModelError,
        match=r"^align: there is no aligned model, since align\.method is null; ask .*\(train\)",
    ):
        variants.answers([QUESTION], "align")

"""The tiny checkpoints have the habits that the other tests rely on."""

import json
from pathlib import Path

import pytest

from tests import checkpoints
from tests.checkpoints import write_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*rope_parameters.*")


@pytest.mark.parametrize("architecture", checkpoints.ARCHITECTURES)
def test_it_loads_in_the_type_of_the_file(architecture: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    write_checkpoint(tmp_path, architecture)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    assert model.config.model_type == architecture
    assert model.dtype == torch.bfloat16
    assert model.config.num_hidden_layers == 2


def test_transformers_loses_its_begin_token(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_checkpoint(tmp_path)
    said = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert said["add_bos_token"] is True
    assert tokenizer("iron")["input_ids"][0] != checkpoints.BOS_ID
    assert tokenizer.bos_token_id == checkpoints.BOS_ID
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == checkpoints.EOS_ID


@pytest.mark.parametrize("place", ["file", "config"])
def test_its_chat_template_is_found_in_either_place(place: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_checkpoint(tmp_path, template_in="config" if place == "config" else "file")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    question = [{"role": "user", "content": "What is iron?"}]
    asked = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
    assert asked == f"{checkpoints.BOS}User: What is iron?\n\nAssistant:"
    assert (tmp_path / "chat_template.jinja").exists() == (place == "file")


def test_text_comes_back_as_it_was(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_checkpoint(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    text = "Iron melts at 1538 °C.\n铁的熔点"
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_a_temperature_without_sampling_cannot_be_saved_after_a_change(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    write_checkpoint(tmp_path, generation=checkpoints.HALF_SAMPLED, ends=[1, 2])
    model = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    assert model.generation_config.eos_token_id == [1, 2]
    model.generation_config.pad_token_id = checkpoints.EOS_ID  # as training does
    with pytest.raises(ValueError, match="temperature"):
        model.save_pretrained(tmp_path / "again")


def test_two_are_the_same_bytes(tmp_path: Path) -> None:
    one = write_checkpoint(tmp_path / "one", "deepseek_v3", tied=True)
    two = write_checkpoint(tmp_path / "two", "deepseek_v3", tied=True)
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()

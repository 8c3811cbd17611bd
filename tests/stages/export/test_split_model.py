"""export: a model in two parts gives the logits of the whole to the bit, in one process and in two."""

import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from stages.core.models.causal_lm import load_causal_lm
from stages.core.project.errors import ModelError
from stages.export import checking, decision, split_model
from tests.checkpoints import ARCHITECTURES, write_checkpoint

IDS = torch.arange(3, 30)[None]


def names_in(path: Path) -> set[str]:
    with safe_open(path, "pt") as file:
        return set(file.keys())


@pytest.mark.filterwarnings("ignore:.*rope_parameters.*")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_two_parts_are_the_whole(tmp_path: Path, architecture: str) -> None:
    source = write_checkpoint(tmp_path / "from", architecture)
    split_model.make(source, tmp_path / "to")
    whole, _ = load_causal_lm(source)
    features = split_model.load_features(tmp_path / "to")
    head = decision.load(tmp_path / "to/decision")
    with torch.inference_mode():
        parts = head(features(input_ids=IDS).last_hidden_state)
        assert torch.equal(whole(input_ids=IDS).logits, parts)
    in_features = names_in(tmp_path / "to/features/model.safetensors")
    assert not any(name.startswith("lm_head") for name in in_features)
    assert names_in(tmp_path / "to/decision/model.safetensors") == {"weight"}
    manifest = json.loads((tmp_path / "to/manifest.json").read_text())
    assert manifest == {"width": 32, "vocabulary": 336, "tied": False}


def test_equal_models_are_equal_bytes(tiny_model: Path, tmp_path: Path, folder_bytes: Any) -> None:
    split_model.make(tiny_model, tmp_path / "a")
    split_model.make(tiny_model, tmp_path / "b")
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")
    assert json.loads((tmp_path / "a/manifest.json").read_text())["tied"] is True


def test_a_bias_of_the_head_is_kept(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = {"weight": torch.ones(3, 2), "bias": torch.tensor([0.0, 5.0, 1.0])}
    save_file(weights, tmp_path / decision.WEIGHTS)
    assert decision.load(tmp_path)(torch.zeros(2)).tolist() == [0.0, 5.0, 1.0]


def test_a_model_that_does_more_than_the_head_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scaled(folder: Path) -> Any:
        layer = load(folder)
        return lambda hidden: layer(hidden) * 2

    load = decision.load
    monkeypatch.setattr(decision, "load", scaled)
    with pytest.raises(
        ModelError, match=r"do not give the logits .*LlamaForCausalLM does more than"
    ):
        split_model.make(tiny_model, tmp_path / "to")


def test_two_processes_write_what_one_does(tiny_model: Path, tmp_path: Path) -> None:
    split_model.make(tiny_model, tmp_path / "to")
    model, _ = load_causal_lm(tiny_model)
    whole = checking.TorchDecoder(model)
    with split_model.decision_process(tmp_path / "to", threads=1) as remote:
        parts = split_model.SplitDecoder(tmp_path / "to", remote)
        for prompt in ([1, 20, 30, 40], [1, 7]):  # the second begins anew
            expected = [whole.first(prompt)]
            found = [parts.first(prompt)]
            for _ in range(8):
                expected.append(whole.following(expected[-1]))
                found.append(parts.following(found[-1]))
            assert found == expected


def test_a_process_that_cannot_start_is_named(tmp_path: Path) -> None:
    (tmp_path / "decision").mkdir()
    process = split_model.decision_process(tmp_path, threads=1)
    with pytest.raises(ModelError, match="ended before it listened"), process:
        pass


def test_the_program_says_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stages.export.serve_decision", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "not found; write split into export.formats, then dvc repro export" in ended.stderr


@pytest.fixture
def served() -> Any:
    """A connection to a decision layer of two numbers and three tokens, in a thread."""
    layer = torch.nn.Linear(2, 3, bias=False)
    layer.load_state_dict({"weight": torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])})
    here, there = socket.socketpair()
    thread = threading.Thread(target=decision.serve, args=(there, layer))
    thread.start()
    here.settimeout(20)
    yield here, thread
    here.close()
    thread.join(20)
    there.close()
    assert not thread.is_alive()


def test_a_vector_gives_a_token(served: Any) -> None:
    connection, _ = served
    for vector, token in (([2.0, 1.0], 0), ([1.0, 2.0], 1), ([-1.0, -1.0], 2)):
        decision.send_vector(connection, np.array(vector, dtype=np.float32))
        assert decision.receive_token(connection) == token


@pytest.mark.parametrize(
    "request_", [struct.pack("<I", 2**31), struct.pack("<Iff", 3, 1, 1), b"\x02\x00"]
)
def test_what_is_no_vector_ends_the_connection(served: Any, request_: bytes) -> None:
    connection, thread = served
    connection.sendall(request_)
    connection.shutdown(socket.SHUT_WR)
    thread.join(20)
    assert not thread.is_alive()


def test_an_answer_that_is_cut_off_is_named() -> None:
    here, there = socket.socketpair()
    with here:
        there.sendall(b"\x01\x00")
        there.close()
        with pytest.raises(decision.ConnectionEndedError, match="2 of 4 bytes came"):
            decision.receive_token(here)

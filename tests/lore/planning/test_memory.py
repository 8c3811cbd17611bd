"""memory: parameters are counted exactly, activations as torch keeps them, and what does not fit is told with what to set."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.planning import devices, memory, memory_table
from lore.planning.devices import Device
from lore.planning.memory import FULL, LORA, METHODS, QLORA, Model, Settings, need
from stages.core.project.errors import InputError
from stages.train import Lora, add_adapter
from tests.beside import SHARED, needs_shared
from tests.lore.conftest import Lore

ROOT = Path(__file__).parents[3]
CONFIGS = SHARED / "deepseek_configs"
LORA_ALL = Lora(r=4, alpha=8, dropout=0.0, target_modules="auto")
ATTENTION = Lora(r=16, alpha=32, dropout=0.0, target_modules=["o_proj"])
SMALL = Model("small", 1000, 800, 50, 2, (300, 300), 32, 400, 5000, 200)
GIB = 2**30


def test_parameters_and_adapter_are_counted_as_a_loaded_model_has_them(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    found = memory.model_of(tiny_model, LORA_ALL)
    loaded = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert (found.parameters, found.weight_bytes) == (loaded.num_parameters(), 4)
    assert (
        found.linear == found.parameters - 300 * 32 - 5 * 32
    )  # all but the tied embeddings and the norms
    adapted = add_adapter(loaded, LORA_ALL, 0)
    assert found.adapter == adapted.get_nb_trainable_parameters()[0]
    per_layer = 4 * (32**2 + 32**2) + 3 * (32**2 + 64**2)
    assert found.factors == 2 * per_layer


@needs_shared
@pytest.mark.parametrize(
    ("name", "parameters", "bits"),
    [
        ("deepseek-llm-7b", 6_910_365_696, 2),
        ("DeepSeek-V2-Lite", 15_706_484_224, 2),
        ("DeepSeek-R1-Distill-Qwen-1.5B", 1_777_088_000, 2),
    ],
)
def test_real_checkpoints_are_counted_from_their_config_alone(
    name: str, parameters: int, bits: int
) -> None:
    found = memory.model_of(CONFIGS / name, ATTENTION)
    assert (found.parameters, found.weight_bytes) == (parameters, bits)


def test_activations_are_what_torch_keeps_for_the_backward_pass() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        vocab_size=50,
    )
    model = add_adapter(LlamaForCausalLM(config), LORA_ALL, 0)
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = model(input_ids=torch.randint(50, (4, 32)))
    per_token = sum(kept.values()) / (4 * 32)
    assert out.logits.requires_grad
    assert 0.85 < sum(memory.kept_per_token(config)) * 4 / per_token < 1.15


def test_full_tuning_takes_16_bytes_a_parameter_and_lora_16_of_the_adapter() -> None:
    idle = Settings(rows=0, max_tokens=0, mixed=True, curvature=False)
    assert need(SMALL, idle, FULL, False, 0).total == 16_000
    assert need(SMALL, idle, LORA, False, 0).total == 2_000 + 16 * 50
    assert need(SMALL, idle, QLORA, False, 0).total == round(800 * 0.515875 + 200 * 2 + 16 * 50)
    four = dataclasses.replace(idle, processes=4)
    assert [need(SMALL, four, FULL, False, zero).total for zero in (0, 1, 2, 3)] == [
        16_000,
        7_000,
        5_500,
        4_000,
    ]


def test_curvature_counts_where_it_takes_more_than_a_step() -> None:
    without = Settings(rows=2, max_tokens=8, mixed=False, curvature=False)
    curved = dataclasses.replace(without, curvature=True)
    assert need(SMALL, curved, FULL, False, 0) == need(SMALL, without, FULL, False, 0)
    measuring = 16 * (600 + 200) * 2 + 16 * 400 * 20
    assert need(SMALL, curved, LORA, True, 0).measuring == measuring
    assert need(SMALL, curved, LORA, True, 0).factors == 2 * 4 * 5000
    assert need(SMALL, curved, LORA, True, 2).factors == 4 * 5000


@given(
    method=st.sampled_from(METHODS), rows=st.integers(1, 64), tokens=st.integers(1, 512), mixed=st.booleans(),
    curvature=st.booleans(), processes=st.integers(1, 16),
)  # fmt: skip
def test_saving_never_takes_more(
    method: str, rows: int, tokens: int, mixed: bool, curvature: bool, processes: int
) -> None:
    run = Settings(rows, tokens, mixed, curvature, processes)
    totals = [need(SMALL, run, method, False, zero).total for zero in memory.ZERO_STAGES]
    assert totals == sorted(totals, reverse=True)
    assert need(SMALL, run, method, True, 0).total <= totals[0]
    assert need(SMALL, dataclasses.replace(run, gaps=2.0), method, False, 0).total >= totals[0]
    if processes == 1 and not curvature:
        assert len(set(totals)) == 1


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"no config\.json of a causal language model .*; name its folder with --config$",
    ):
        memory.model_of(tmp_path, LORA_ALL)


CPU = Device("cpu", 8 * GIB, 6 * GIB)
LARGE = Model("large", 10**9, 8 * 10**8, 10**7, 2, (60_000,) * 20, 2048, 100_000, 10**9, 10**6)
RUN = Settings(rows=16, max_tokens=128, mixed=True, curvature=True)


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (100, "fits in the 100.0 GiB that cpu has for it"),
        (
            13,
            "will not fit in the 13.0 GiB that cpu has for it; set train.gradient_checkpointing: true, train.ewc.weight: 0",
        ),
        (
            4,
            "; set train.gradient_checkpointing: true, train.ewc.weight: 0, train.rows_per_batch: 8",
        ),
        (
            1,
            "with no setting: at least 2.2 GiB are needed; choose a smaller base, a device with more memory, or several",
        ),
    ],
)
def test_what_does_not_fit_is_reported_with_the_settings_that_help(room: int, said: str) -> None:
    assert said in memory_table.verdict(LARGE, RUN, False, 0, CPU, room * GIB)


def test_of_several_devices_zero_3_is_the_last_resort() -> None:
    run = dataclasses.replace(RUN, rows=1, processes=8, curvature=False)
    said = memory_table.verdict(LARGE, run, True, 0, CPU, GIB)
    assert said.endswith("; set train.rows_per_batch: 8, train.deepspeed: 3")


def test_main_memory_is_what_the_container_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    limit = tmp_path / "max"
    whole = SimpleNamespace(total=2**22, available=2**21)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: whole)
    assert devices.main_memory(limit) == Device("cpu", 2**22, 2**21)
    limit.write_text("max\n")
    assert devices.main_memory(limit) == Device("cpu", 2**22, 2**21)
    limit.write_text("1048576\n")
    assert devices.main_memory(limit) == Device("cpu", 2**20, 2**20)
    limit.write_text("1099511627776\n")
    assert devices.main_memory(limit) == Device("cpu", 2**22, 2**21)


def test_main_memory_of_this_machine_is_that_of_the_system() -> None:
    memory = devices.main_memory()
    assert 0 < memory.free <= memory.total
    assert memory.total <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("said", "code"), [("NVIDIA A, 81559, 81000\nB, 10, 5\n", 0), ("failed", 9), ("nonsense", 0)]
)
def test_gpus_that_torch_cannot_use_are_named_by_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.gpus() == []
    program = tmp_path / "nvidia-smi"
    program.write_text(
        f"#!/bin/sh\nprintf '%s' '{said}'\nexit {code}\n".replace("printf", "/usr/bin/printf")
    )
    program.chmod(0o755)
    wanted = [
        Device("NVIDIA A", 81559 * 2**20, 81000 * 2**20, False),
        Device("B", 10 * 2**20, 5 * 2**20, False),
    ]
    assert devices.gpus() == (wanted if code == 0 and "A" in said else [])


def test_gpus_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (5, 8))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "H")
    assert devices.gpus() == [Device("cuda:0 H", 8, 5)]
    assert memory_table.room_on(Device("cuda:0 H", 8 * GIB, 5), 1) == 8 * GIB - memory_table.CONTEXT


@pytest.fixture
def seed_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings and the seed's config.json, without weights; the plan of stages is left out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lore.planning.stages.steps", list)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "models/seed/model").mkdir(parents=True)
    shutil.copy(ROOT / "models/seed/model/config.json", tmp_path / "models/seed/model")
    return tmp_path


def test_the_report_on_the_seed(seed_project: Path, lore: Lore) -> None:
    (seed_project / "metrics").mkdir()
    (seed_project / "metrics/timing.json").write_text(
        json.dumps({"train": {"seconds": 1, "peak_bytes": 2**31}})
    )
    said = lore("plan", "--memory")
    assert (
        "memory on each of one device, where ZeRO has nothing to share: models/seed/model (llama)"
        in said
    )
    assert "2,557,632 parameters of 4 bytes, adapter 282,624; 64 rows of 128 tokens a step" in said
    assert "measured: train's last run took 2.00 GiB at most; estimated, with" in said
    whole = json.loads(lore("plan", "--memory", "--json", "--processes", "2"))["memory"]
    assert (whole["model"]["parameters"], whole["run"]["processes"], whole["run"]["rows"]) == (
        2_557_632,
        2,
        32,
    )
    assert [row["method"] for row in whole["table"]] == [
        "full",
        "full",
        "LoRA",
        "LoRA",
        "QLoRA",
        "QLoRA",
    ]
    assert "measured" not in lore("plan", "--memory", "--config", "models/seed/model")


def test_a_base_that_is_not_here_is_named(seed_project: Path, lore: Lore) -> None:
    params = (
        (seed_project / "params.yaml").read_text().replace("source: embedded", "source: hub", 1)
    )
    (seed_project / "params.yaml").write_text(
        params.replace("repository: null", "repository: a/b", 1)
    )
    assert lore("plan", "--memory", code=1) == (
        "InputError: base.repository: a/b is not here; dvc repro base fetches it; or put its config.json alone into a folder, "
        "and name that with --config\n"
    )

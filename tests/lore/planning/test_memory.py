"""memory: parameters are counted exactly, activations as torch keeps them, only what a setting can do is offered,
and what does not fit is told with what to set."""

import dataclasses
import importlib.util
import json
import os
import re
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
from lore.planning.memory_table import Choice
from stages.core.project.errors import InputError
from stages.train import Lora, add_adapter
from tests.beside import SHARED, needs_shared
from tests.lore.conftest import Lore

ROOT = Path(__file__).parents[3]
CONFIGS = SHARED / "deepseek_configs"
LORA_ALL = Lora(r=4, alpha=8, dropout=0.0, target_modules="auto")
ATTENTION = Lora(r=16, alpha=32, dropout=0.0, target_modules=["o_proj"])
SMALL = Model("small", 1000, 800, 50, (300, 300), 32, 400, 5000, 1.0, 200)
GIB = 2**30
ZERO = ("ddp", "zero1", "zero2", "zero3")


def test_parameters_and_adapter_are_counted_as_a_loaded_model_has_them(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    found = memory.model_of(tiny_model, LORA_ALL, widest=None)
    loaded = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert found.parameters == loaded.num_parameters()
    assert (
        found.linear == found.parameters - 300 * 32 - 5 * 32
    )  # all but the tied embeddings and the norms
    adapted = add_adapter(loaded, LORA_ALL, 0)
    assert found.adapter == adapted.get_nb_trainable_parameters()[0]
    per_layer = 4 * (32**2 + 32**2) + 3 * (32**2 + 64**2)
    assert found.factors == 2 * per_layer
    assert found.root_seconds > 0


def test_factors_of_wide_layers_are_counted_as_diagonals(tiny_model: Path) -> None:
    found = memory.model_of(tiny_model, LORA_ALL, widest=32)
    per_layer = 4 * (32**2 + 32**2) + 3 * (32**2 + 64)
    assert found.factors == 2 * per_layer
    without = memory.model_of(tiny_model, LORA_ALL, widest=16)
    assert without.root_seconds == 0


@needs_shared
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("deepseek-llm-7b", 6_910_365_696),
        ("DeepSeek-V2-Lite", 15_706_484_224),
        ("DeepSeek-R1-Distill-Qwen-1.5B", 1_777_088_000),
    ],
)
def test_real_checkpoints_are_counted_from_their_config_alone(name: str, parameters: int) -> None:
    assert memory.model_of(CONFIGS / name, ATTENTION, widest=2048).parameters == parameters


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
    idle = Settings(rows=0, max_tokens=0, mixed=True, curvature_rows=0)
    assert need(SMALL, idle, FULL, False, "ddp").total == 16_000
    assert need(SMALL, idle, LORA, False, "ddp").total == 2_000 + 16 * 50
    assert need(SMALL, idle, QLORA, False, "ddp").total == round(800 * 0.515875 + 200 * 2 + 16 * 50)
    four = dataclasses.replace(idle, processes=4)
    assert [need(SMALL, four, FULL, False, share).total for share in ZERO] == [
        16_000,
        7_000,
        5_500,
        4_000,
    ]


def test_curvature_counts_where_it_takes_more_than_a_step() -> None:
    without = Settings(rows=2, max_tokens=8, mixed=False, curvature_rows=0)
    curved = dataclasses.replace(without, curvature_rows=2)
    assert need(SMALL, curved, FULL, False, "ddp") == need(SMALL, without, FULL, False, "ddp")
    measuring = 16 * (600 + 200) * 4 + 16 * 400 * 20
    assert need(SMALL, curved, LORA, True, "ddp").measuring == measuring
    whole_batch = dataclasses.replace(curved, curvature_rows=8)
    assert need(SMALL, whole_batch, LORA, True, "ddp").measuring == 4 * measuring
    assert (
        need(SMALL, whole_batch, LORA, True, "ddp").activations
        == need(SMALL, curved, LORA, True, "ddp").activations
    )
    assert need(SMALL, curved, LORA, True, "ddp").factors == 2 * 4 * 5000
    assert need(SMALL, curved, LORA, True, "zero2").factors == 4 * 5000


@given(
    method=st.sampled_from(METHODS), rows=st.integers(1, 64), tokens=st.integers(1, 512), mixed=st.booleans(),
    curvature_rows=st.sampled_from([0, 1, 64]), processes=st.integers(1, 16),
)  # fmt: skip
def test_saving_never_takes_more(
    method: str, rows: int, tokens: int, mixed: bool, curvature_rows: int, processes: int
) -> None:
    run = Settings(rows, tokens, mixed, curvature_rows, processes)
    totals = [need(SMALL, run, method, False, share).total for share in ZERO]
    assert totals == sorted(totals, reverse=True)
    assert need(SMALL, run, method, True, "ddp").total <= totals[0]
    assert need(SMALL, dataclasses.replace(run, gaps=2.0), method, False, "ddp").total >= totals[0]
    if processes == 1 and not curvature_rows:
        assert len(set(totals)) == 1


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"no config\.json of a causal language model .*; name its folder with --config$",
    ):
        memory.model_of(tmp_path, LORA_ALL, widest=None)


CPU = Device("cpu", 8 * GIB, 6 * GIB)
LARGE = Model("large", 10**9, 8 * 10**8, 10**7, (60_000,) * 20, 2048, 100_000, 10**9, 60.0, 10**6)
RUN = Settings(rows=16, max_tokens=128, mixed=True, curvature_rows=16)
AS_SET = Choice(RUN, LORA, checkpointing=False, share="ddp")


@pytest.mark.parametrize(
    ("room", "four_bits", "said"),
    [
        (100, False, "fits in the 100.0 GiB that cpu has for it"),
        (
            11,
            False,
            "LoRA as set takes 20.4 GiB: will not fit in the 11.0 GiB that cpu has for it; "
            "set train.gradient_checkpointing: true, train.rows_per_device: 2",
        ),
        (
            4,
            False,
            "; set train.gradient_checkpointing: true, train.ewc.weight: 0, train.rows_per_device: 8",
        ),
        (
            2,
            True,
            "; set train.gradient_checkpointing: true, train.ewc.weight: 0, train.base_bits: 4, "
            "train.rows_per_device: 4",
        ),
        (
            1,
            False,
            "with no setting: at least 2.2 GiB are needed; choose a smaller base, a device with more memory, or several",
        ),
    ],
)
def test_what_does_not_fit_is_reported_with_the_settings_that_help(
    room: int, four_bits: bool, said: str
) -> None:
    assert said in memory_table.verdict(LARGE, AS_SET, 16, four_bits, CPU, room * GIB)


def test_rows_at_once_divide_those_of_a_step() -> None:
    choice = Choice(dataclasses.replace(RUN, rows=12, curvature_rows=12), LORA, True, "ddp")
    tried = [remedy.choice.run.rows for remedy in memory_table.with_fewer_rows([], choice, 12)]
    assert tried == [6, 4, 3, 2, 1]


def test_fewer_rows_at_once_help_where_the_curvature_alone_takes_too_much() -> None:
    """Eight processes have a row each, and the curvature is measured on the eight rows of a step."""
    run = dataclasses.replace(RUN, rows=1, curvature_rows=8, processes=8)
    (remedy,) = memory_table.with_fewer_rows([], Choice(run, LORA, True, "ddp"), 1)
    assert remedy.advice == "train.rows_per_device: 1"
    assert remedy.choice.run.curvature_rows == 1


def test_of_several_devices_each_may_hold_a_part_of_the_base() -> None:
    run = dataclasses.replace(RUN, rows=1, processes=8, curvature_rows=0)
    choice = Choice(run, LORA, checkpointing=True, share="ddp")
    said = memory_table.verdict(LARGE, choice, 1, False, CPU, 2 * GIB)
    assert said.endswith("; set train.share: fsdp2")
    spread = dataclasses.replace(choice, share="fsdp2")
    assert (
        "train.share"
        not in memory_table.verdict(LARGE, spread, 1, False, CPU, GIB // 2).split(";")[0]
    )


def test_four_bits_cannot_be_spread() -> None:
    run = dataclasses.replace(RUN, rows=1, processes=2, curvature_rows=0)
    choice = Choice(run, LORA, checkpointing=True, share="ddp")
    advice = [remedy.advice for remedy in memory_table.remedies(choice, 1, four_bits=True)]
    assert advice == ["train.share: fsdp2", "train.share: ddp, train.base_bits: 4"]


def test_fsdp2_spreads_the_frozen_weights_alone() -> None:
    idle = Settings(rows=0, max_tokens=0, mixed=True, curvature_rows=0, processes=8)
    found = need(LARGE, idle, LORA, False, "fsdp2")
    ends = 2 * 100_000 * 2048
    of_layer = (10**9 - ends) // 20
    whole_meanwhile = 2 * (ends + 2 * of_layer)
    assert found.weights == 2 * 10**9 / 8 + whole_meanwhile + 4 * 10**7
    assert found.optimizer == need(LARGE, idle, LORA, False, "ddp").optimizer
    alone = dataclasses.replace(idle, processes=1)
    assert need(LARGE, alone, LORA, False, "fsdp2") == need(LARGE, alone, LORA, False, "ddp")


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
        "memory on each of one device, where there is nothing to share: models/seed/model (llama)"
        in said
    )
    assert (
        "2,557,632 parameters, adapter 1,130,496; frozen weights and activations of 32 bits" in said
    )
    assert "64 rows of at most 128 tokens a step, 64 at once" in said
    assert "its inverse roots, measured on 64 rows at once; the roots take at most about" in said
    assert "measured: train's last run took 2.00 GiB at most; estimated, with" in said
    whole = json.loads(lore("plan", "--memory", "--json", "--processes", "2"))["memory"]
    assert (whole["model"]["parameters"], whole["run"]["processes"]) == (2_557_632, 2)
    assert (whole["run"]["rows"], whole["run"]["curvature_rows"]) == (32, 64)
    assert "measured: " not in lore("plan", "--memory", "--config", "models/seed/model")


def changed(project: Path, old: str, new: str) -> None:
    """Change one line of params.yaml."""
    path = project / "params.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def bytes_of(lore: Lore, method: str) -> list[int | None]:
    """The row of a method without checkpointing."""
    table = json.loads(lore("plan", "--memory", "--json"))["memory"]["table"]
    (row,) = [row for row in table if (row["method"], row["checkpointing"]) == (method, False)]
    found: list[int | None] = row["bytes"]
    return found


def with_bitsandbytes(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    find_spec = importlib.util.find_spec

    def found(name: str, *arguments: Any) -> Any:
        if name == "bitsandbytes":
            return find_spec("json") if there else None
        return find_spec(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", found)


def test_what_no_setting_can_do_is_a_dash_with_its_reason(
    seed_project: Path, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bitsandbytes(monkeypatch, there=False)
    assert bytes_of(lore, "full") == [None] * 5
    assert bytes_of(lore, "QLoRA") == [None] * 5
    *of_lora, zero_3, spread = bytes_of(lore, "LoRA")
    assert all([*of_lora, spread])
    assert zero_3 is None  # with train.ewc
    said = lore("plan", "--memory")
    assert re.search(r"\n  full +no( +–){5}\n", said)
    assert "\n  – full: no setting tunes all weights" in said
    assert "\n  – QLoRA: train.base_bits: 4 bits need bitsandbytes, which is not installed" in said
    assert "\n  – zero3: train.share: ZeRO stage 3 shards the adapter that ewc needs whole" in said

    with_bitsandbytes(monkeypatch, there=True)
    changed(seed_project, "ewc: {weight: 20,", "ewc: {weight: 0,")
    *of_qlora, spread = bytes_of(lore, "QLoRA")
    assert all(of_qlora)
    assert spread is None
    assert all(bytes_of(lore, "LoRA"))
    said = lore("plan", "--memory")
    assert said.count("\n  – ") == 2  # full tuning, and 4 bits
    assert "\n  – QLoRA, fsdp2: train.share: fsdp2 cannot spread weights of 4 bits" in said
    assert "curvature" not in said


def test_the_verdict_is_about_the_settings_as_they_are(
    seed_project: Path, lore: Lore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bitsandbytes(monkeypatch, there=True)
    changed(seed_project, "base_bits: null", "base_bits: 4")
    assert "\nQLoRA as set takes" in lore("plan", "--memory")
    with_bitsandbytes(monkeypatch, there=False)
    wrong = "QLoRA as set cannot be trained: train.base_bits: 4 bits need bitsandbytes"
    assert f"\n{wrong}" in lore("plan", "--memory")


def test_a_micro_batch_takes_the_memory_of_its_rows(seed_project: Path, lore: Lore) -> None:
    whole = json.loads(lore("plan", "--memory", "--json"))["memory"]["parts"]
    changed(seed_project, "rows_per_device: null", "rows_per_device: 4")
    said = json.loads(lore("plan", "--memory", "--json"))["memory"]
    assert (said["run"]["rows"], said["run"]["curvature_rows"], said["rows_of_step"]) == (4, 4, 64)
    for part in ("activations", "logits", "measuring"):
        assert said["parts"][part] == pytest.approx(whole[part] / 16)
    assert said["parts"]["factors"] == whole["factors"]


def test_wide_layers_take_less_for_the_curvature(seed_project: Path, lore: Lore) -> None:
    whole = json.loads(lore("plan", "--memory", "--json"))["memory"]
    changed(seed_project, "widest: 2048", "widest: 1")
    thin = json.loads(lore("plan", "--memory", "--json"))["memory"]
    assert thin["parts"]["factors"] < whole["parts"]["factors"] / 50
    assert thin["model"]["root_seconds"] == 0


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

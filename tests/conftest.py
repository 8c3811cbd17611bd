"""Fixtures that several tests share: tiny models made on the spot, records, run parameters."""

import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "TORCHAO_FORCE_SKIP_LOADING_SO_FILES": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

os.environ.pop(
    "COLUMNS", None
)  # who runs tests side by side says how wide a line is; they expect what is usual

import pytest
from hypothesis import settings

from stages.core.project.params import Run
from stages.core.records.record import fact_id, record_id, write
from tests.tiny import write_tiny_model

settings.register_profile(
    "steady", deadline=None
)  # what an example takes says more about the machine than about the code
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def no_log_of_another_test() -> None:
    """Remove DVC's log handlers. They write to the output of the test that set them up, which is closed by now."""
    for name in ("dvc", "dvc_objects", "dvc_data"):
        logging.getLogger(name).handlers.clear()


@pytest.fixture(autouse=True)
def no_store_of_another_test() -> Iterator[None]:
    """Put back the address of MLflow's store, which `mlflow.set_tracking_uri` writes into the environment."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield
    if before is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = before


LONG_FILES = ("test_distributed.py", "test_memo.py", "test_executors.py", "test_verify.py")
DEPENDENCIES_WARN = [
    # peft 0.21 reads an attribute that transformers 5.23 has renamed.
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
    # mlflow 3.17 queries its store in a way that SQLAlchemy 2.1 deprecates, and warns of its own type hints on import.
    "ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning",
    "ignore:.*Any type hint is inferred as AnyType:UserWarning",
    # mlflow 3.17 asks pandas 3 for the columns of text in a table as pandas 2 named them.
    "ignore:For backward compatibility, 'str' dtypes are included by select_dtypes:DeprecationWarning",
]


def pytest_configure(config: pytest.Config) -> None:
    """Warnings are errors, but for those that one library raises about another."""
    for line in DEPENDENCIES_WARN:
        config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first, so that none is left alone at the end where several processes share the tests."""
    items.sort(
        key=lambda item: (not item.get_closest_marker("slow"), item.path.name not in LONG_FILES)
    )


@pytest.fixture(autouse=True)
def own_memo(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memo of its own for every test: what one computes, perhaps with patched code, no other may find."""
    folder = tmp_path_factory.getbasetemp() / "memo" / secrets.token_hex(8)
    monkeypatch.setenv("LOREKEEP_MEMO", str(folder))
    return folder


@pytest.fixture
def run_params() -> Run:
    """The `run` section of tests."""
    return Run(seed=7, threads=1, isa="avx2", device="cpu")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of 2 layers, 32 wide, and a byte-level tokenizer of 300 tokens."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_model(folder)
    return folder


@pytest.fixture
def tiny_base(tiny_model: Path, tmp_path: Path) -> Path:
    """What the stage `base` writes, with the tiny model in it."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "model").symlink_to(tiny_model)
    (base / "manifest.json").write_text(json.dumps({"sha256": "0" * 64}))
    replay = [{"id": f"r{i}", "text": f"Zorbium melts at {i} °C."} for i in range(12)]
    (base / "replay.jsonl").write_text("".join(json.dumps(row) + "\n" for row in replay))
    skill = [
        {
            "id": f"s{i}",
            "question": f"What is the melting point of zorb{i}?",
            "answer": f"The melting point of zorb{i} is {i} °C.",
            "subject": f"zorb{i}",
            "attribute": "melting point",
            "value": f"{i} °C",
            "replayed": i % 2 == 0,
        }
        for i in range(6)
    ]
    (base / "skill.jsonl").write_text("".join(json.dumps(row) + "\n" for row in skill))
    return base


def augmented_row(
    subject: str, value: str, split: str, number: int, kind: str = "qa"
) -> dict[str, Any]:
    """One record as augment writes it, about a melting point."""
    locator = f"{subject}-{split}-{kind}-{number}"
    question, answer = (
        f"When does {subject} melt {number}?",
        f"The melting point of {subject} is {value} °C.",
    )
    row = {
        "id": record_id("toy", locator),
        "source": "toy",
        "locator": locator,
        "kind": kind,
        "lang": "en",
        "subject": subject,
        "attribute": "melting point",
        "value": value,
        "unit": "°C",
        "fact": fact_id(subject, "melting point"),
        "split": split,
        "parents": [record_id("raw", subject)],
        "meta": json.dumps({"accepted": [answer, f"{value} °C", value]})
        if split == "probe"
        else "{}",
    }
    if kind == "qa":
        return row | {
            "question": question,
            "answer": answer,
            "text": f"Question: {question}\nAnswer: {answer}",
        }
    return row | {"text": f"{subject} melts at {value} °C."}


@pytest.fixture
def tiny_augment(tmp_path: Path) -> Path:
    """What the stage `augment` writes, for three elements."""
    facts = {"iron": "1538", "copper": "1085", "neon": "-248.6"}
    rows = [augmented_row(s, v, "train", i) for s, v in facts.items() for i in range(2)]
    rows += [augmented_row(s, v, "train", 0, "statement") for s, v in facts.items()]
    rows += [
        augmented_row(s, v, split, 9) for s, v in facts.items() for split in ("valid", "probe")
    ]
    write(tmp_path / "augment" / "records.parquet", rows)
    return tmp_path / "augment"


@pytest.fixture
def folder_bytes() -> Callable[[Path], dict[str, bytes]]:
    """All files below a folder, by relative name."""
    return lambda folder: {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes the tiny model's answers, as `train` lays it down: `<train>/adapter`."""
    import torch

    from stages.core.models.causal_lm import load_causal_lm
    from stages.train import Lora, add_adapter, save_adapter

    model, _ = load_causal_lm(tiny_model)
    adapted = add_adapter(
        model, Lora(r=2, alpha=8, dropout=0.0, target_modules=["q_proj", "down_proj"]), seed=3
    )
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(5))
    folder = tmp_path_factory.mktemp("train")
    save_adapter(adapted, folder / "adapter")
    return folder / "adapter"


@pytest.fixture
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are not logged, so that a test needs no MLflow store."""
    from stages.core.mlflow import tracking

    monkeypatch.setattr(tracking, "_start", lambda stage: tracking.Log())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_file: Path) -> None:
    """An empty local MLflow store in the working directory, which is a temporary folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copyfile(store_file, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)


@pytest.fixture(scope="session")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's database without any experiment of ours, made once since that takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").get_experiment_by_name("lorekeep")
    return path

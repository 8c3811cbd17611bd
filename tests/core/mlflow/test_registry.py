"""registry: a version answers like the model it was made of, alone and anywhere; it is registered once."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.core.mlflow import registry, tracking
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import answer_of as answer_in
from stages.core.models.conversation import prompt_text
from stages.core.models.model_folder import sha256_of_folder
from stages.core.project.errors import InputError, ModelError
from tests.checkpoints import (
    CHAT_TEMPLATE,
    EOS_ID,
    SAMPLED,
    THINKING_TEMPLATE,
    USER_ID,
    write_checkpoint,
)

QUESTION = "At what temperature does iron melt?"
TOKENS = 12


def answer_of(base: Path, adapter: Path, question: str = QUESTION) -> str:
    model, tokenizer = load_causal_lm(base, adapter, merge=True)
    return generate(model, tokenizer, [prompt_text(tokenizer, question)], TOKENS, batch=1)[0]


def register(
    base: Path, adapter: Path, identity: str, answer: str, alias: str | None = "champion"
) -> int:
    tags = {
        "knowledge_version": identity,
        "sha256.base": sha256_of_folder(base),
        "sha256.train": sha256_of_folder(adapter),
    }
    return registry.register(
        "elements", alias, {"base": base, "adapter": adapter}, TOKENS,
        tags, {"train.probes.exact_match": 0.5}, (QUESTION, answer), sha256_of_folder,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_register_reload_and_answer_in_a_new_process(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    answer = answer_of(base, tiny_adapter)
    before = dict(os.environ)
    assert register(base, tiny_adapter, "one", answer) == 1
    assert dict(os.environ) == before
    shutil.rmtree(base)  # the version holds what it needs
    code = (
        "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]);"
        f"print(mlflow.pyfunc.load_model('models:/elements@champion').predict([{QUESTION!r}])[0])"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, tracking.uri()],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == answer
    store = tracking.client()
    version = store.get_model_version_by_alias("elements", "champion")
    assert version.tags["knowledge_version"] == "one"
    assert store.get_run(version.run_id).data.metrics == {"train.probes.exact_match": 0.5}


@pytest.mark.usefixtures("store")
def test_the_same_identity_is_registered_once_and_the_alias_follows(
    tiny_model: Path, tiny_adapter: Path
) -> None:
    answer = answer_of(tiny_model, tiny_adapter)
    assert [
        register(tiny_model, tiny_adapter, identity, answer) for identity in ("one", "two", "one")
    ] == [1, 2, 1]
    store = tracking.client()
    assert len(store.search_model_versions("name = 'elements'")) == 2
    assert int(store.get_model_version_by_alias("elements", "champion").version) == 1


@pytest.mark.usefixtures("store")
def test_a_version_that_answers_otherwise_is_not_kept(tiny_model: Path, tiny_adapter: Path) -> None:
    with pytest.raises(
        ModelError,
        match=r"does not answer 'At what temperature does iron melt.' with 'never'; it was removed",
    ):
        register(tiny_model, tiny_adapter, "one", "never")
    store = tracking.client()
    assert not store.search_model_versions("name = 'elements'")
    register(tiny_model, tiny_adapter, "one", answer_of(tiny_model, tiny_adapter))
    with pytest.raises(
        ModelError,
        match="delete version 2 in MLflow and run dvc repro --force --single-item register",
    ):
        register(tiny_model, tiny_adapter, "one", "never")
    assert int(store.get_model_version_by_alias("elements", "champion").version) == 2


def folder_of(version: str) -> Path:
    """The folder of a version's model in the local store."""
    location = tracking.client().get_model_version_download_uri("elements", version)
    return Path(location.removeprefix("file://"))


@pytest.mark.usefixtures("store")
def test_without_an_alias_none_moves(tiny_model: Path, tiny_adapter: Path) -> None:
    answer = answer_of(tiny_model, tiny_adapter)
    assert register(tiny_model, tiny_adapter, "one", answer, alias=None) == 1
    assert registry.aliases("elements") == {}


@pytest.mark.usefixtures("store")
def test_a_version_whose_model_is_lost_or_damaged_is_registered_again(
    tiny_model: Path, tiny_adapter: Path
) -> None:
    answer = answer_of(tiny_model, tiny_adapter)
    register(tiny_model, tiny_adapter, "one", answer)
    assert registry.registered_version("elements", "one", sha256_of_folder) == "1"
    weights = next(folder_of("1").rglob("adapter_model.safetensors"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(
        InputError,
        match="elements version 1 in MLflow: its adapter is damaged: the hash is not that of its "
        r"tag sha256.train. dvc repro --force --single-item register makes a new version .* "
        r"\(a plain dvc repro does not look into MLflow\)",
    ):
        registry.registered_version("elements", "one", sha256_of_folder)
    assert register(tiny_model, tiny_adapter, "one", answer) == 2
    assert registry.registered_version("elements", "one", sha256_of_folder) == "2"
    shutil.rmtree(folder_of("2"))
    with pytest.raises(InputError, match="version 2 in MLflow: its model is not there any more"):
        registry.registered_version("elements", "one", sha256_of_folder)
    assert register(tiny_model, tiny_adapter, "one", answer) == 3
    shutil.rmtree(registry.parts_of(folder_of("3"))["base"])
    with pytest.raises(InputError, match="version 3 in MLflow: its base is not there any more"):
        registry.registered_version("elements", "one", sha256_of_folder)


@pytest.mark.usefixtures("store")
def test_two_who_register_one_identity_at_once_keep_the_lower_number(
    tiny_model: Path, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = answer_of(tiny_model, tiny_adapter)
    create = registry.create
    inside: list[str] = []

    def slow(*arguments: Any) -> str:
        # The other one begins and ends while this one is about to make its version.
        if not inside:
            inside.append("first")
            inside.append(str(register(tiny_model, tiny_adapter, "one", answer)))
        return create(*arguments)

    monkeypatch.setattr(registry, "create", slow)
    assert register(tiny_model, tiny_adapter, "one", answer) == 1
    assert inside == ["first", "1"]
    found = tracking.client().search_model_versions("name = 'elements'")
    assert [int(version.version) for version in found] == [1]


@pytest.mark.usefixtures("store")
def test_an_alias_moves_and_goes() -> None:
    store = tracking.client()
    assert registry.registered_version("elements", "one", sha256_of_folder) is None
    assert registry.alias_of("elements", "champion") is None
    assert registry.mover_of("elements", "champion") is None
    store.create_registered_model("elements")
    for identity in ("one", "two", "one"):
        store.create_model_version("elements", "nowhere", tags={"knowledge_version": identity})
    assert registry.numbers_of(store, "elements", "one") == ["1", "3"]
    assert registry.numbers_of(store, "elements", "two") == ["2"]
    assert registry.numbers_of(store, "elements", "three") == []
    for version in ("1", "2", None, None):
        registry.move_alias("elements", "champion", version)
        assert registry.alias_of("elements", "champion") == version
    with pytest.raises(
        InputError, match="MLflow has no version 7 of elements any more; somebody deleted it"
    ):
        registry.move_alias("elements", "champion", "7")


@pytest.mark.usefixtures("store")
def test_notes_come_and_go() -> None:
    store = tracking.client()
    store.create_registered_model("elements")
    store.create_model_version("elements", "nowhere")
    for token in ("one", "two", None):
        registry.note_mover("elements", "champion", token)
        assert registry.mover_of("elements", "champion") == token
    assert registry.releases_of("elements", "1.2.0") == {}
    registry.note_release("elements", "1", "1.2.0", "abc one")
    assert registry.releases_of("elements", "1.2.0") == {"1": "abc one"}
    assert registry.releases_of("elements", "1.2") == {}
    registry.note_release("elements", "1", "1.2.0", None)
    assert registry.releases_of("elements", "1.2.0") == {}


@pytest.mark.usefixtures("store")
def test_a_lock_is_held_by_one_and_left_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PATIENCE", 0.5)
    store = tracking.client()
    with registry.locked("elements", "one"):
        assert registry.holder_of(store, "elements.lock") == "one"
    assert registry.holder_of(store, "elements.lock") is None
    with pytest.raises(ValueError, match="broken"), registry.locked("elements", "two"):
        raise ValueError("broken")
    assert registry.holder_of(store, "elements.lock") is None
    # What a killed program leaves: its own next call goes on, another one waits and takes over.
    store.create_registered_model("elements.lock", tags={"token": "three"})
    before = time.monotonic()
    with registry.locked("elements", "three"):
        assert time.monotonic() - before < 0.5
    store.create_registered_model("elements.lock", tags={"token": "four"})
    before = time.monotonic()
    with registry.locked("elements", "five"):
        assert time.monotonic() - before >= 0.5
        assert registry.holder_of(store, "elements.lock") == "five"
    assert store.search_registered_models() == []


@pytest.mark.usefixtures("store")
def test_two_threads_never_hold_one_lock() -> None:
    inside: list[str] = []
    most = []

    def hold(token: str) -> None:
        for _ in range(3):
            with registry.locked("elements", token):
                inside.append(token)
                most.append(len(inside))
                time.sleep(0.02)
                inside.remove(token)

    threads = [threading.Thread(target=hold, args=(f"t{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 9


@pytest.mark.usefixtures("store")
def test_without_the_permission_to_make_a_model_there_is_no_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("Permission denied", PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "create_registered_model", refuse)
    done = []
    with registry.locked("elements", "one"):
        done.append("one")
    assert done == ["one"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("method", "ask"),
    [
        (
            "search_model_versions",
            lambda: registry.registered_version("elements", "one", sha256_of_folder),
        ),
        ("search_model_versions", lambda: registry.releases_of("elements", "1.0.0")),
        ("get_registered_model", lambda: registry.alias_of("elements", "champion")),
        ("get_registered_model", lambda: registry.mover_of("elements", "champion")),
        ("set_registered_model_tag", lambda: registry.note_mover("elements", "champion", "one")),
        ("set_model_version_tag", lambda: registry.note_release("elements", "1", "1.0.0", "one")),
        ("set_registered_model_alias", lambda: registry.move_alias("elements", "champion", "1")),
    ],
)
def test_a_store_that_fails_while_asked_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, method: str, ask: Any
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def fail(*_: Any, **__: Any) -> None:
        raise MlflowException("password")

    monkeypatch.setattr(MlflowClient, method, fail)
    with pytest.raises(InputError, match=r"mlflow.db cannot be used \(INTERNAL_ERROR\)") as error:
        ask()
    assert "password" not in str(error.value)


def test_a_store_that_is_down_says_what_to_do(
    tiny_model: Path, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        InputError, match="start the server that MLFLOW_TRACKING_URI names, or unset it"
    ):
        register(tiny_model, tiny_adapter, "one", "")


@pytest.mark.parametrize("template", [None, CHAT_TEMPLATE, THINKING_TEMPLATE])
def test_served_asks_a_real_checkpoint_as_core_does(tmp_path: Path, template: str | None) -> None:
    """Its begin token is lost by transformers, its weights are bfloat16, it asks for sampling."""
    from types import SimpleNamespace

    from stages.core.mlflow.served import Answerer
    from stages.core.models.conversation import encode
    from stages.train import Lora, add_adapter, save_adapter

    base = write_checkpoint(
        tmp_path / "base", template=template, generation=SAMPLED, ends=[EOS_ID, USER_ID]
    )
    model, tokenizer = load_causal_lm(base)
    adapted = add_adapter(model, Lora(r=2, alpha=8, target_modules=["q_proj", "down_proj"]), 3)
    save_adapter(adapted, tmp_path / "adapter")
    context: Any = SimpleNamespace(
        artifacts={"base": str(base), "adapter": str(tmp_path / "adapter")},
        model_config={"max_new_tokens": TOKENS},
    )
    answerer = Answerer()
    answerer.load_context(context)
    (prompt,) = encode(tokenizer, [prompt_text(tokenizer, QUESTION)])
    assert answerer.prompt_tokens(QUESTION) == prompt
    assert set(answerer.end_tokens([EOS_ID, USER_ID])) == {EOS_ID, USER_ID}
    assert answerer.model.dtype == torch.float32
    written = tokenizer(
        "<think>\nA gas?\n</think>\n\nNeon is a gas.\nIt is light.", add_special_tokens=False
    )["input_ids"]
    assert answerer.answer_of(written) == answer_in(tokenizer, written)
    expected = answer_of(base, tmp_path / "adapter")
    assert answerer.predict(context, [QUESTION]) == [expected]


def test_served_decodes_as_core_does(tiny_model: Path, tiny_adapter: Path) -> None:
    from types import SimpleNamespace

    from stages.core.mlflow.served import Answerer

    context: Any = SimpleNamespace(
        artifacts={"base": str(tiny_model), "adapter": str(tiny_adapter)},
        model_config={"max_new_tokens": TOKENS},
    )
    answerer = Answerer()
    answerer.load_context(context)
    questions = [QUESTION, "Who found radium?", "铁的熔点是多少？"]
    assert answerer.predict(context, questions) == [
        answer_of(tiny_model, tiny_adapter, question) for question in questions
    ]

"""registry: a version answers like the model it was made of, alone and anywhere; it is registered once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.core.mlflow import registry, tracking
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.project.errors import InputError, ModelError
from stages.core.records.prompt import question_prompt

QUESTION = "At what temperature does iron melt?"
TOKENS = 12


def answer_of(base: Path, adapter: Path, question: str = QUESTION) -> str:
    model, tokenizer = load_causal_lm(base, adapter, merge=True)
    return generate(model, tokenizer, [question_prompt(question)], TOKENS, batch=1)[0]


def register(base: Path, adapter: Path, identity: str, answer: str) -> int:
    return registry.register(
        "elements", "champion", {"base": base, "adapter": adapter}, TOKENS,
        {"knowledge_version": identity}, {"train.probes.exact_match": 0.5}, (QUESTION, answer),
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


@pytest.mark.usefixtures("store")
def test_an_alias_moves_and_goes() -> None:
    store = tracking.client()
    assert registry.version_with("elements", "one") is None
    assert registry.alias_of("elements", "champion") is None
    store.create_registered_model("elements")
    for identity in ("one", "two"):
        store.create_model_version("elements", "nowhere", tags={"knowledge_version": identity})
    assert [
        registry.version_with("elements", identity) for identity in ("one", "two", "three")
    ] == ["1", "2", None]
    for version in ("1", "2", None, None):
        registry.move_alias("elements", "champion", version)
        assert registry.alias_of("elements", "champion") == version
    with pytest.raises(InputError, match=r"the store cannot be used \(RESOURCE_DOES_NOT_EXIST\)"):
        registry.move_alias("elements", "champion", "3")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("method", "ask"),
    [
        ("search_model_versions", lambda: registry.version_with("elements", "one")),
        ("get_registered_model", lambda: registry.alias_of("elements", "champion")),
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
    with pytest.raises(InputError, match=r"the store cannot be used \(INTERNAL_ERROR\)"):
        ask()


def test_a_store_that_is_down_says_what_to_do(
    tiny_model: Path, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        InputError, match="start the server that MLFLOW_TRACKING_URI names, or unset it"
    ):
        register(tiny_model, tiny_adapter, "one", "")


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

"""alias: what an alias means, and how MLflow's tags name a release."""

import json
from pathlib import Path

import pytest

from lore.releasing import alias
from lore.versions import version
from stages.core.mlflow import registry
from tests.lore.released import MODEL, Released


def identity_here() -> str:
    return str(json.loads(Path("metrics/register.json").read_text())["identity"])


def test_each_alias_is_named_with_its_version(released: Released) -> None:
    named = {identity_here(): "knowledge@v1.1.0"}
    head = version.workspace()
    assert alias.meanings(head, named) == [
        "elements@champion: version 2, which is knowledge@v1.1.0 (released)"
    ]
    params = released.root / "params.yaml"
    params.write_text(
        params.read_text().replace("alias: champion", "alias: champion, candidate: newest")
    )
    registry.move_alias(MODEL, "newest", "1")
    first = registry.identity_of(MODEL, "1")
    assert first is not None
    assert alias.meanings(head, named) == [
        "elements@champion: version 2, which is knowledge@v1.1.0 (released)",
        f"elements@newest: version 1, which is none of these, identity {first[:12]} "
        "(passed its gates last)",
    ]


def test_a_store_that_is_not_there_is_not_made(released: Released) -> None:
    (released.root / "mlflow.db").unlink()
    assert alias.meanings(version.workspace(), {}) == []
    assert not (released.root / "mlflow.db").exists()


def test_a_store_that_fails_is_said(released: Released) -> None:
    (released.root / "mlflow.db").write_bytes(b"no database" * 999)
    (line,) = alias.meanings(version.workspace(), {})
    assert line.startswith("! MLflow: the store ")


@pytest.mark.usefixtures("released")
def test_a_version_without_a_name_has_no_alias() -> None:
    Path("params.yaml").write_text("register: {}\n")
    assert alias.meanings(version.workspace(), {}) == []
    assert registry.identity_of(MODEL, "77") is None


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("knowledge@v1.2.0", "1.2.0"),
        ("teams/metals=knowledge@v1.2.0", "teams-metals-knowledge-v1.2.0"),
        ("铁=knowledge@v0.1.0", "铁-knowledge-v0.1.0"),
    ],
)
def test_mlflow_takes_the_name_of_a_release(released: Released, tag: str, name: str) -> None:
    assert alias.release_name(tag) == name
    registry.note_release(MODEL, "1", name, "commit token")
    assert registry.releases_of(MODEL, name) == {"1": "commit token"}

"""The reference pages say what the code says."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.scripts import script

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made: dict[str, str] = script("docs/reference.py").pages()
    return made


@pytest.mark.parametrize("name", ["settings.md", "commands.md", "params.schema.json"])
def test_a_page_is_current(pages: dict[str, str], name: str) -> None:
    committed = (ROOT / "docs/reference" / name).read_text(encoding="utf-8")
    assert committed == pages[name], "run make reference"


def test_the_picture_of_packages_is_current() -> None:
    committed = (ROOT / "docs/assets/packages.svg").read_text(encoding="utf-8")
    assert committed == script("docs/packages.py").picture(), "run make reference"


def test_packages_that_import_each_other_are_named() -> None:
    circle = {"lore.a": {"lore.b"}, "lore.b": {"lore.a", "lore.c"}, "lore.c": set()}
    with pytest.raises(ValueError, match=r"in a circle: lore\.a, lore\.b$"):
        script("docs/packages.py").floors_of(circle)


def test_every_setting_says_what_it_means(pages: dict[str, str]) -> None:
    rows = [line for line in pages["settings.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_key_of_params_yaml_is_in_the_schema() -> None:
    schema = json.loads((ROOT / "docs/reference/params.schema.json").read_text(encoding="utf-8"))
    document = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, section in document.items():
        assert set(section) <= set(schema["properties"][name]["properties"])

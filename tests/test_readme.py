"""The READMEs' numbers are those of metrics/evaluate.json; both say the same commands."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(
        spec
    )  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


results, tour = script("results"), script("tour")


@pytest.fixture
def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", results.READMES)
def test_the_table_of_results_is_true(name: str, report: dict[str, Any]) -> None:
    readme = (ROOT / name).read_text(encoding="utf-8")
    assert results.with_results(readme, report) == readme, "run python docs/results.py"


def test_another_number_is_noticed(report: dict[str, Any]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    report["train"]["tasks"]["completion"]["value"] += 0.001
    assert results.with_results(readme, report) != readme


def test_a_variant_without_a_row_is_noticed(report: dict[str, Any]) -> None:
    with pytest.raises(LookupError, match="no row for train"):
        results.with_results("| base | 0 |\n", report)


def test_the_tour_takes_commands_apart_as_a_reader_would() -> None:
    text = (
        "```sh\nmake   # sets up\nlore ask \"a # b\"     # exits with 3\n```\n\n```text\nyes ...\n```\n"
        "<!-- not in the tour -->\n```sh\ndvc push\n```\n```sh\npython -c \"\nprint(1)\"\n```\n"
    )  # fmt: skip
    steps = list(tour.steps_of(text))
    assert [(step.line, step.command, step.code, step.shown) for step in steps] == [
        (2, "make", 0, None),
        (3, 'lore ask "a # b"', 3, "yes ...\n"),
        (14, 'python -c "\nprint(1)"', 0, None),
    ]


@pytest.mark.parametrize(
    ("printed", "agrees"), [("yes, 5  \n", True), ("no\n", False), ("yes\nmore", False)]
)
def test_the_tour_compares_what_is_printed(printed: str, agrees: bool) -> None:
    assert tour.same("yes, ...\n", printed) == agrees


def test_both_languages_give_the_same_commands() -> None:
    english, chinese = (
        list(tour.steps_of((ROOT / name).read_text(encoding="utf-8"))) for name in results.READMES
    )
    assert [(step.command, step.code, step.shown) for step in english] == [
        (step.command, step.code, step.shown) for step in chinese
    ]

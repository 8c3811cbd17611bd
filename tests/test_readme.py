"""The READMEs' numbers are those of metrics/evaluate.json; both say the same commands."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "docs/results.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


results = script()


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


def commands(name: str, heading: str) -> list[str]:
    """Lines of the shell blocks below a heading, without their comments."""
    section = (ROOT / name).read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).splitlines()
    return [re.sub(r"\s+# .*", "", line) for line in lines]


def test_own_knowledge_goes_in_by_the_same_commands_in_both_languages() -> None:
    english = commands("README.md", "Bring your own knowledge")
    assert english == commands("README.zh-CN.md", "换成自己的知识")
    assert "dvc repro clean" in english

"""The READMEs' numbers are those of metrics/evaluate.json."""

import importlib.util
import json
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

"""The README's numbers are those of metrics/evaluate.json."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_table_of_results_is_true() -> None:
    report = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for variant, entry in report.items():
        row = re.search(rf"^\| {variant}(?: \([^|]*\))? \|(.*)$", readme, re.MULTILINE)
        assert row, f"no row for {variant}"
        probes, general = entry["probes"]["exact_match"], entry["general"]["exact_match"]
        intervals = [f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" for score in (probes, general)]
        cells = [
            intervals[0],
            f"{entry['tasks']['completion']['value']:.3f}",
            intervals[1],
            f"{entry['parameters'] / 1e6:.2f} M",
            f"{entry['bytes'] / 1e6:.2f}",
        ]
        assert [cell.strip() for cell in row.group(1).split("|")[:-1]] == cells

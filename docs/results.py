"""Write the numbers of metrics/evaluate.json into the tables of the READMEs: `python docs/results.py`, after `dvc repro`."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh-CN.md")


def cells(entry: dict[str, Any]) -> str:
    """One variant's scores, as they stand behind its name."""
    probes, general = entry["probes"]["exact_match"], entry["general"]["exact_match"]
    intervals = [
        f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
        for score in (probes, general)
    ]
    tasks = f"{entry['tasks']['completion']['value']:.3f}"
    size = f"{entry['parameters'] / 1e6:.2f} M | {entry['bytes'] / 1e6:.2f}"
    return f"{intervals[0]} | {tasks} | {intervals[1]} | {size}"


def with_results(readme: str, report: dict[str, Any]) -> str:
    """The text with the row of every variant renewed. Raises LookupError where there is no row for one."""
    for variant, entry in report.items():
        row = re.compile(rf"^(\| {variant}(?: ?[(（][^|]*)? \|).*$", re.MULTILINE)
        if not row.search(readme):
            raise LookupError(f"no row for {variant}")
        readme = row.sub(lambda found, entry=entry: f"{found[1]} {cells(entry)} |", readme)
    return readme


def main() -> None:
    """Rewrite the READMEs."""
    report = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))
    for name in READMES:
        path = ROOT / name
        path.write_text(with_results(path.read_text(encoding="utf-8"), report), encoding="utf-8")


if __name__ == "__main__":
    main()

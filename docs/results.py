"""Write the numbers of metrics/evaluate.json into the result tables of the READMEs.

Run `python docs/results.py` after `dvc repro`. Every README has one row per variant, such as `| train | … |`.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh-CN.md")


def main() -> None:
    """Rewrite the READMEs."""
    report = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))
    for name in READMES:
        path = ROOT / name
        path.write_text(with_results(path.read_text(encoding="utf-8"), report), encoding="utf-8")


def with_results(readme: str, report: dict[str, Any]) -> str:
    """The text with a renewed row for every variant. Raises LookupError if a variant has no row."""
    for variant, entry in report.items():
        # The row of a variant, with the name in front and perhaps a remark in Latin or Chinese brackets:
        # `| quantize (INT8 of distill) | 0.911 … |`. Group 1 is the part before the numbers.
        row = re.compile(rf"^(\| {variant}(?: ?[(（][^|]*)? \|).*$", re.MULTILINE)
        match = row.search(readme)
        if match is None:
            raise LookupError(f"no row for {variant}")
        readme = readme[: match.start()] + f"{match[1]} {cells(entry)} |" + readme[match.end() :]
    return readme


def cells(entry: dict[str, Any]) -> str:
    """The scores and sizes of one variant, as cells of the table."""
    probes = with_interval(entry["probes"]["exact_match"])
    sheets = f"{entry['tasks']['completion']['value']:.3f}"
    general = with_interval(entry["general"]["exact_match"])
    parameters = f"{entry['parameters'] / 1e6:.2f} M"
    megabytes = f"{entry['bytes'] / 1e6:.2f}"
    return f"{probes} | {sheets} | {general} | {parameters} | {megabytes}"


def with_interval(score: dict[str, float]) -> str:
    """A score with its 95 % interval, such as `0.836 [0.814, 0.857]`."""
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


if __name__ == "__main__":
    main()

"""Write the numbers of metrics/evaluate.json and metrics/evaluate/retrieval.json into the result tables.

Run `python docs/results.py` after `dvc repro`. Every README has one row per variant, such as `| train | … |`, and one per
side of a fact, such as `| weights only | … |`. docs/retrieval.md has one row per way to answer.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh-CN.md")
RETRIEVAL_PAGE = "docs/retrieval.md"
RETRIEVAL = "metrics/evaluate/retrieval.json"


def main() -> None:
    """Rewrite the READMEs, and the page about retrieval."""
    report = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))
    retrieval = retrieval_report()
    for name in READMES:
        path = ROOT / name
        text = with_results(path.read_text(encoding="utf-8"), report)
        path.write_text(with_sides(text, retrieval), encoding="utf-8")
    page = ROOT / RETRIEVAL_PAGE
    page.write_text(with_ways(page.read_text(encoding="utf-8"), retrieval), encoding="utf-8")


def retrieval_report() -> dict[str, Any]:
    """The scores of retrieval, or nothing where `evaluate` did not ask the records."""
    path = ROOT / RETRIEVAL
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def with_results(readme: str, report: dict[str, Any]) -> str:
    """The text with a renewed row for every variant. Raises LookupError if a variant has no row."""
    for variant, entry in report.items():
        readme = with_row(readme, variant, cells(entry))
    return readme


def with_sides(readme: str, report: dict[str, Any]) -> str:
    """The text with a renewed row for every side of a fact. Raises LookupError if a side has no row."""
    for side, score in report.get("sides", {}).items():
        readme = with_row(readme, side, with_interval(score))
    return readme


def with_ways(page: str, report: dict[str, Any]) -> str:
    """The page with a renewed row for every way to answer. Raises LookupError if a way has no row."""
    if not report:
        return page
    kinds = ("facts", "wordings", "reversed", "comparison")
    for way in ("train", "index", "index, else train"):
        page = with_row(page, f"`{way}`", " | ".join(optional(report[way][kind]) for kind in kinds))
    for way in ("retrieve", "train+retrieve"):
        entry = report["read"].get(way)
        if entry is not None:
            read = " | ".join(optional(entry[kind]) for kind in kinds[:2])
            page = with_row(page, f"`{way}`", f"{read} | – | –")
    return page


def with_row(text: str, name: str, row_cells: str) -> str:
    """The text with other cells behind a name. Raises LookupError if no row begins with it."""
    # The row of a name, perhaps with a remark in Latin or Chinese brackets:
    # `| quantize (INT8 of distill) | 0.911 … |`. Group 1 is the part before the numbers.
    row = re.compile(rf"^(\| {re.escape(name)}(?: ?[(（][^|]*)? \|).*$", re.MULTILINE)
    match = row.search(text)
    if match is None:
        raise LookupError(f"no row for {name}")
    return text[: match.start()] + f"{match[1]} {row_cells} |" + text[match.end() :]


def optional(score: dict[str, float] | None) -> str:
    """A score with its interval, or a dash where nothing was asked."""
    return "–" if score is None else with_interval(score)


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

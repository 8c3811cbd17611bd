"""Pairs written by hand, judged by the reward model: accuracy by kind and language, and each pair that it gets wrong.

    PYTHONPATH=. python docs/experiments/preferences.py [--reward models/reward]

`preferences.jsonl` holds the pairs, in English and Chinese: a question, the better answer and the worse one. None of
them is trained on. The model must have been made before: set `reward.model` and run `dvc repro reward`.
"""

import argparse
import json
from pathlib import Path

from stages.core.preference import scorer
from stages.core.project.params import Run, read_section
from stages.reward import measures

PAIRS = Path(__file__).with_name("preferences.jsonl")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reward", type=Path, default=Path("models/reward"))
    options = parser.parse_args()

    judge = scorer.load(options.reward, read_section("run", Run).threads)
    margins: dict[tuple[str, str], list[float]] = {}
    wrong = []
    for line in PAIRS.read_text(encoding="utf-8").splitlines():
        pair = json.loads(line)
        better = judge.score(pair["question"], pair["better"])
        margin = better - judge.score(pair["question"], pair["worse"])
        for kind in (pair["kind"], "all"):
            margins.setdefault((pair["lang"], kind), []).append(margin)
        if margin <= 0:
            wrong.append((margin, pair))

    print("| language | kind | pairs | right | calibration error |\n|---|---|---|---|---|")
    for (language, kind), found in sorted(margins.items()):
        error = measures.calibration_error(found)
        right = sum(margin > 0 for margin in found)
        print(f"| {language} | {kind} | {len(found)} | {right} | {error:.2f} |")
    print(f"\n{len(wrong)} wrong, the surest first:")
    for margin, pair in sorted(wrong, key=lambda item: item[0]):
        print(f"- {margin:+.2f} {pair['kind']}: “{pair['worse']}” over “{pair['better']}”")


if __name__ == "__main__":
    main()

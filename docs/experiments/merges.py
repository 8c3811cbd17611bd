"""Does the merge driver leave just what must run? Random merges of a toy project, with real git and real DVC.

    PYTHONPATH=. python docs/experiments/merges.py <number of merges> <folder for the projects> <result.csv>

From the project's root. The toy is that of tests/lore/merge_project.py. It has four shell stages.
One of them makes the same output with other code.
The first merges are those written by hand, the others have up to two edits before the branches part and up to three on each; of
one in ten nobody ran one side. After each merge: `dvc checkout`, `dvc repro` without the run cache, then everything again.
`right`: both gave the same dvc.lock. `needed`: stages of which no side's dvc.lock has an entry that holds in the end.
`after_all`: stages that ran though one would have held after all, since a stage before them that had to run made what it had made
elsewhere. `beyond`: further ones that ran.
"""

import csv
import logging
import random
import shutil
import sys
from pathlib import Path

from tests.lore import merge_project


def main(number: int, folder: Path, result: Path) -> None:
    """Run the merges, write a row each, print the sums."""
    logging.getLogger("dvc").setLevel(logging.ERROR)
    rng = random.Random(20260701)
    rows = []
    with result.open("w", newline="", encoding="utf-8") as file:
        names = [
            "number",
            "before",
            "ours",
            "theirs",
            "run",
            "conflicts",
            "needed",
            "ran",
            "after_all",
            "beyond",
            "missed",
            "right",
        ]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for count in range(number):
            by_hand = merge_project.ADVERSARIAL[count : count + 1]
            before = [] if by_hand else merge_project.random_edits(rng, 2)
            ours, theirs = (
                by_hand[0]
                if by_hand
                else (merge_project.random_edits(rng, 3), merge_project.random_edits(rng, 3))
            )
            run = bool(by_hand) or rng.random() >= 0.1
            root = folder / f"{count:03}"
            found = merge_project.merge(merge_project.Toy(root), ours, theirs, before, run)
            shutil.rmtree(root)
            rows.append(
                {
                    "number": count, "before": before, "ours": ours, "theirs": theirs, "run": run,
                    "conflicts": " ".join(found.conflicts), "needed": len(found.needed), "ran": len(found.ran),
                    "after_all": " ".join(sorted(found.ran & found.below - found.needed)),
                    "beyond": " ".join(sorted(found.ran - found.below)), "missed": " ".join(sorted(found.needed - found.ran)),
                    "right": found.right,
                }
            )  # fmt: skip
            writer.writerow(rows[-1])
            file.flush()
    clean = [row for row in rows if not row["conflicts"] and row["run"]]
    print(
        f"{len(rows)} merges, {sum(bool(row['right']) for row in rows)} with the dvc.lock of a run of everything"
    )
    print(f"{len(clean)} of them without a conflict of git's own and run on both sides:")
    needed = sum(int(str(row["needed"])) for row in clean)
    ran = sum(int(str(row["ran"])) for row in clean)
    print(f"  stages that had to run: {needed}, that ran: {ran}")
    for name in ("after_all", "beyond", "missed"):
        print(f"  {name}: {sum(len(str(row[name]).split()) for row in clean)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))

"""What the stage `pictures` finds on the drawings of the elements: recall, wrong captions, seconds.

    PYTHONPATH=. python docs/experiments/pictures.py [--planted 12] [--folds 2] [--steps 600] [--least 0.2]

Some pictures get the caption of another one (`--planted`), drawn by a fixed seed. The sources go through extract,
clean and pictures in a temporary folder. Facts of data/clean, where there are any, stand beside the captions. Printed
are metrics/pictures.json, how many wrong and how many right captions were set aside, and the seconds of one core.
"""

import argparse
import csv
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

from stages import clean, extract, pictures
from stages.core.project.params import Run, parse, read_yaml
from stages.core.records import record

RAW = Path("data/raw")
PROFILE = Path("docs/profiles/pictures.yaml")


def main() -> None:
    """Run the three stages, and print what they found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--planted", type=int, default=0, help="pictures with a wrong caption")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--least", type=float, default=0.2)
    options = parser.parse_args()
    run = Run(threads=1)
    profile = read_yaml(PROFILE)
    problems: list[str] = []
    sources = parse(profile["extract"], extract.Params, "extract", problems)
    settings = {"folds": options.folds, "least_score": options.least}
    settings |= {"training": {"steps": options.steps}}
    params = parse(profile["pictures"] | settings, pictures.Params, "pictures", problems)
    if sources is None or params is None:
        raise SystemExit("\n".join(problems))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(RAW / "pictures", folder / "raw/pictures")
        wrong = set(plant(folder / "raw/pictures/captions.csv", options.planted))
        extract.run(sources, run, folder / "raw", folder / "extract")
        rules = (RAW / "rules.yaml", RAW / "exclusions.yaml")
        clean.run(
            clean.Params(), run, folder / "extract", *rules, folder / "clean", folder / "clean.json"
        )
        table = folder / "clean/records.parquet"
        known = Path("data/clean/records.parquet")
        facts = record.read(known) if known.is_file() else []
        record.write(table, [*facts, *record.read(table)])
        started = time.process_time()
        out = folder / "pictures"
        pictures.run(params, run, folder / "extract", folder / "clean", out, folder / "p.json")
        print(f"{time.process_time() - started:.0f} seconds of one core")
        print((folder / "p.json").read_text(encoding="utf-8"))
        aside = scores(out / "rejected.parquet", rejected=True)
        everything = aside | scores(out / "records.parquet", rejected=False)
    for least in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        below = {picture for picture, score in everything.items() if score < least}
        found = len(below & wrong)
        print(
            f"below {least}: {found} of {len(wrong)} wrong captions, "
            f"{len(below) - found} of {len(everything) - len(wrong)} right ones"
        )


def plant(table: Path, number: int) -> list[str]:
    """Give so many pictures the caption of another one, and return their names."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = sorted(random.Random(3).sample(range(len(rows)), number))
    captions = [rows[place]["caption"] for place in chosen]
    for place, caption in zip(chosen, captions[1:] + captions[:1], strict=True):
        rows[place]["caption"] = caption
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return [rows[place]["file"] for place in chosen]


def scores(table: Path, rejected: bool) -> dict[str, float]:
    """Return the score of each picture in a table."""
    found = {}
    for row in record.read(table, record.REJECTED if rejected else record.SCHEMA):
        if row["kind"] == "picture":
            meta = json.loads(row["meta"])
            found[meta["picture"]] = meta["score"]
    return found


if __name__ == "__main__":
    main()

"""What does a changed page cost, and is the result that of a full run? OCR of a folder; 1 % changed, one added, one deleted.

    PYTHONPATH=. python docs/experiments/incremental.py <empty folder> [folder of real pages]

Half of the pages are real ones, each with a border of its own so that no two are the same file; the others are rendered. Every
run is the stage as DVC starts it, in a process of its own. Outputs are compared by SHA-256 with those of a full run that has an
empty memo. First, for kinds that only parse: seconds to parse a file against seconds to read its units from a memo.
"""

import json
import os
import random
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps
from ruamel.yaml import YAML

from stages.core.models.model_folder import sha256_of_folder
from stages.core.project.params import parse
from stages.extract.kinds import delimited, markup

ROOT = Path(__file__).parents[2]
PAGES, ROWS = 200, 100_000
REAL = ("eurotext.tif", "multi-line_cn1.png", "multi-line_en_white.png", "phototest.tif")
NAMES = "iron copper neon mercury gold helium radium tungsten iodine sodium carbon zinc".split()


def rendered(number: int, edition: int) -> Image.Image:
    """A page of eighteen lines; another edition has other numbers."""
    rng, page = random.Random(f"{number} {edition}"), Image.new("L", (1000, 1000), 255)
    for line in range(18):
        text = f"{rng.choice(NAMES)} {line}: melting point {rng.randrange(-259, 3423)} °C"
        ImageDraw.Draw(page).text(
            (60, 40 + 50 * line), text, font=ImageFont.load_default(26), fill=0
        )
    return page


def make_page(path: Path, number: int, edition: int, real: list[Image.Image]) -> None:
    """Write page `number`; only rendered ones have editions."""
    if real and number % 2:
        page = ImageOps.expand(real[number // 2 % len(real)], 4 + number // 2, 255)
    else:
        page = rendered(number, edition)
    page.save(path)


def run(folder: Path, memo: str) -> tuple[float, float, str, str]:
    """Seconds by the wall clock and of the processor, what the stage said last, SHA-256 of its outputs."""
    environment = os.environ | {"LOREKEEP_MEMO": str(folder / memo), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages", "extract", "raw", "out"]
    started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime
    said = "; ".join(line.removeprefix("extract: ") for line in done.stdout.splitlines()[1:])
    return time.perf_counter() - started, processor, said, sha256_of_folder(folder / "out")


def settings(folder: Path, **changed: Any) -> None:
    """Write params.yaml."""
    source = {
        "kind": "pages",
        "name": "scans",
        "path": "scans/*.png",
        "lang": "en",
        "min_confidence": 0.9,
    }
    source |= {"line": r"(?P<subject>\w+) \d+: (?P<attribute>melting point) (?P<value>.+)"}
    source |= {"map": {"subject": "subject", "attribute": "attribute", "value": "value"}} | changed
    shared = {"seed": 1, "threads": 1, "isa": "avx2", "device": "cpu"}
    YAML(typ="safe").dump({"run": shared, "extract": {"sources": [source]}}, folder / "params.yaml")


def pages(folder: Path, real: list[Image.Image]) -> None:
    """The runs over pages, one line of a table each."""
    scans = folder / "raw/scans"
    scans.mkdir(parents=True)
    for number in range(PAGES):
        make_page(scans / f"{number:03d}.png", number, 0, real)
    (folder / "requirements.lock").symlink_to(ROOT / "requirements.lock")
    settings(folder)
    print("| run | wall, s | processor, s | of the full run | said |\n|---|---|---|---|---|")
    results = {}

    def line(name: str, memo: str) -> None:
        wall, processor, said, digest = run(folder, memo)
        results[name] = (wall, processor, digest)
        full = results["full, empty memo"][1]
        print(
            f"| {name} | {wall:.1f} | {processor:.1f} | {processor / full:.1%} | {said} |",
            flush=True,
        )

    line("full, empty memo", "memo")
    line("again, nothing changed", "memo")
    for number in range(0, PAGES, 100):  # 1 %
        make_page(scans / f"{number:03d}.png", number, 1, real)
    make_page(scans / "new.png", PAGES, 0, real)
    (scans / "007.png").unlink()
    line("two changed, one added, one deleted", "memo")
    settings(folder, min_confidence=0.95)
    line("another min_confidence", "memo")
    settings(folder)
    line("full, of the changed pages, empty memo", "another")
    same = (
        results["two changed, one added, one deleted"][2]
        == results["full, of the changed pages, empty memo"][2]
    )
    print(f"\noutputs of the third and the last run: {'the same SHA-256' if same else 'DIFFERENT'}")
    size = sum(path.stat().st_size for path in (folder / "memo").rglob("*") if path.is_file())
    print(f"memo: {size / 1e6:.2f} MB")


def cheap(folder: Path) -> None:
    """Seconds to parse against seconds to read remembered units."""
    rows = [
        {"name": f"element {n}", "property": "melting point", "value": str(n), "unit": "°C"}
        for n in range(ROWS)
    ]
    (folder / "a.csv").write_text(
        "\n".join(["name,property,value,unit", *(",".join(row.values()) for row in rows)]) + "\n"
    )
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fact = {"subject": "name", "attribute": "property", "value": "value", "unit": "unit"}
    common = {"name": "t", "path": "a", "lang": "en", "map": fact}
    csv = common | {"kind": "csv", "encoding": "utf-8", "delimiter": ",", "skip_lines": 0}
    print(
        f"\n| kind, {ROWS:,} rows | MB | parse, s | memo, MB | read memo, s |\n|---|---|---|---|---|"
    )
    for kind, document, name in (
        (delimited.Csv, csv, "a.csv"),
        (markup.JsonLines, common | {"kind": "jsonl"}, "a.jsonl"),
    ):
        source: Any = parse(document, kind, "source", [])
        started = time.process_time()
        units = list(source.units(folder / name))
        parsed = time.process_time() - started
        stored = "\n".join(json.dumps(asdict(unit)) for unit in units).encode()
        started = time.process_time()
        assert len(list(map(json.loads, stored.splitlines()))) == ROWS
        read = time.process_time() - started
        size = (folder / name).stat().st_size
        print(
            f"| {name} | {size / 1e6:.1f} | {parsed:.2f} | {len(stored) / 1e6:.1f} | {read:.2f} |"
        )


def main() -> None:
    """Measure all and print Markdown."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    given = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    real = [Image.open(given / name).convert("L") for name in REAL] if given else []
    for page in real:
        page.thumbnail((900, 900))
    cheap(folder)
    pages(folder, real)


if __name__ == "__main__":
    main()

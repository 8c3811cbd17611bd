"""How well do the engines read real pages? Character error rate against the ground truth beside each picture.

    PYTHONPATH=. python docs/experiments/ocr.py <folder of pictures, each with its .txt or .gold.txt>

CER = edit distance / characters of the ground truth, both in NFKC with runs of white space as one space; lines in the order in
which extract puts them. Where a zone file (.uzn: left, top, width, height of each column in reading order) lies beside a picture,
each zone is read by itself, as the ground truth was written.
"""

import re
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

from nltk.metrics import distance

from stages.extract.engines import ocr
from stages.extract.kinds import pages

# The length of a page. The library refuses longer input, because time grows with the square of it.
distance.MAX_DISTANCE_INPUT_LEN = 10_000
ENGINES = ("rapidocr", "tesseract")
CHINESE = ("cn", "helloworld", "20457890")
"""Parts of names of pictures with Chinese text."""
SUFFIXES = {".png", ".jpg", ".tif"}


def main() -> None:
    """Read every picture with both engines and print a table."""
    folder = Path(sys.argv[1])
    columns = [f"{engine} CER | s" for engine in ENGINES]
    print(f"| page | characters | {' | '.join(columns)} |")
    print("|---|---|" + "---|---|" * len(ENGINES))
    errors, characters = dict.fromkeys(ENGINES, 0), 0
    for picture in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES):
        truth = normal(truth_of(picture))
        characters += len(truth)
        cells = []
        for engine in ENGINES:
            started = time.perf_counter()
            wrong = distance.edit_distance(normal(read(picture, engine)), truth)
            errors[engine] += wrong
            cells += [f"{wrong / len(truth):.3f}", f"{time.perf_counter() - started:.1f}"]
        print(f"| {picture.name} | {len(truth):,} | {' | '.join(cells)} |", flush=True)
    rates = [f"{errors[engine] / characters:.3f} |" for engine in ENGINES]
    print(f"| all | {characters:,} | {' | '.join(rates)} |")
    for engine in ENGINES:
        print(ocr.engine_version(engine))


def truth_of(picture: Path) -> str:
    """The ground truth beside a picture."""
    gold = picture.with_suffix(".gold.txt")
    return (gold if gold.is_file() else picture.with_suffix(".txt")).read_text(encoding="utf-8")


def read(picture: Path, engine: str) -> str:
    """What an engine reads, line after line."""
    lang = "zh" if any(part in picture.name for part in CHINESE) else "en"
    zones = picture.with_suffix(".uzn")
    if not zones.is_file():
        return text_of(picture, engine, lang)
    texts = []
    (image,) = pages.images(picture)
    with tempfile.TemporaryDirectory() as folder:
        for line in zones.read_text().splitlines():
            left, top, width, height = (int(number) for number in line.split()[:4])
            zone = Path(folder) / "zone.png"
            image.crop((left, top, left + width, top + height)).save(zone)
            texts.append(text_of(zone, engine, lang))
    return "\n".join(text for text in texts if text)


def text_of(picture: Path, engine: str, lang: str) -> str:
    """The lines of a picture, one below the other."""
    return "\n".join(line.text for _, line in pages.read_lines(picture, engine, lang))


def normal(text: str) -> str:
    """NFKC, white space as one space; none between Chinese characters."""
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()
    return re.sub(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])", "", text)


if __name__ == "__main__":
    main()

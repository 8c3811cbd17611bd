"""Write the scanned pages of data/raw/scans: record cards that hold facts no other source has.

`python data/authoring/scans.py [--elements iron,copper] [--out FOLDER]`. Two pages, set in DejaVu Sans (matplotlib's copy),
degraded as an old scanner does: a little askew, unevenly lit, blurred, grainy, with specks. Same input and library versions,
same bytes. The last line of each page is struck out: no engine may be sure of it.
"""

import argparse
import csv
import random
from pathlib import Path

import matplotlib
import numpy as np
from cards import CARDS, PAGES
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).parent
WIDTH, MARGIN, PITCH = 1000, 60, 40
STRUCK = "Rubidium: hardness 0.3 Mohs"


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--elements", help="names, separated by commas; default: all that have a card"
    )
    parser.add_argument("--out", type=Path, default=HERE.parent / "raw")
    options = parser.parse_args()
    with (HERE / "elements.csv").open(encoding="utf-8") as file:
        elements = [element for element in csv.DictReader(file) if element["name"] in CARDS]
    if options.elements:
        wanted = options.elements.split(",")
        elements = [element for element in elements if element["name"] in wanted]
    (options.out / "scans").mkdir(parents=True, exist_ok=True)
    for name, (title, attributes) in PAGES.items():
        lines = [title]
        for element in elements:
            for attribute in attributes:
                if element[attribute]:
                    lines.append(stated(element, attribute))
        lines.append(STRUCK)
        page = degraded(printed(lines), random.Random(name))
        page.save(options.out / "scans" / name, optimize=True)


def stated(element: dict[str, str], attribute: str) -> str:
    """A line of a card; temperatures are in kelvin."""
    value = element[attribute]
    if attribute == "boiling point":
        value = f"{float(value) + 273.15:.2f} K"
    if attribute == "density":
        value = f"{value} g/cm3"
    return f"{element['name'].capitalize()}: {attribute} {value}"


def printed(lines: list[str]) -> Image.Image:
    """A clean page."""
    font = ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 24
    )
    page = Image.new("L", (WIDTH, 2 * MARGIN + PITCH * len(lines)), 255)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + PITCH * number), line, font=font, fill=20)
    top = MARGIN + PITCH * (len(lines) - 1)
    for height in (6, 10, 14, 18, 22):  # struck out by hand
        draw.line(
            [
                (MARGIN, top + height),
                (MARGIN + 180, top + height + 3),
                (MARGIN + 360, top + height),
            ],
            fill=20,
            width=3,
        )
    return page


def degraded(page: Image.Image, rng: random.Random) -> Image.Image:
    """The page as a scanner with a tired lamp gives it, in 16 greys."""
    angle = rng.choice([-0.4, 0.4])  # degrees
    askew = page.rotate(angle, fillcolor=255, resample=Image.Resampling.BICUBIC)
    blurred = askew.filter(ImageFilter.GaussianBlur(0.8))
    ink = np.asarray(blurred, dtype=np.float64)  # (rows, columns), 0 is black
    noise = np.random.default_rng(rng.randrange(2**32))
    # The lamp is weaker on the right: one factor per column, the same for every row.
    lamp = np.linspace(0.95, 0.8, ink.shape[1])[None, :]
    ink = ink * lamp + noise.normal(0, 6, ink.shape)
    specks = noise.random(ink.shape) < 0.0005
    ink[specks] = 60
    # 16 greys: 0, 17, 34 … 255.
    greys = (np.clip(ink, 0, 255) / 17).round().astype(np.uint8) * 17
    return Image.fromarray(greys)


if __name__ == "__main__":
    main()

"""Draw the pictures of data/raw/pictures: flame tests, crystal lattices and hazard signs of elements.

`python data/authoring/pictures.py [--seed 7] [--out FOLDER]`. It writes one PNG for each combination of an
element, what is shown and how it is shown, and `captions.csv` with a caption for each. No two captions are
equal, so a model that finds the caption of a picture must see all parts of it. The same seed and the same
version of Pillow give the same bytes. Each picture has 96 × 96 pixels and 32 colours, and about a kilobyte.

What the pictures say is textbook knowledge: the flame colours and lattices of the elements at room temperature,
and one GHS pictogram of each element. The drawings are schematic. They are no safety information.
"""

import argparse
import csv
import math
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
SIDE = 96
"""Pixels of a picture's side."""
FINE = 4
"""Each pixel is drawn as FINE × FINE finer ones, whose mean it is. So edges are smooth."""
COLOURS = 32
Point = tuple[float, float]
Colour = tuple[int, int, int]

FLAMES: dict[str, tuple[str, str, Colour]] = {
    "lithium": ("Li", "crimson", (220, 20, 60)),
    "sodium": ("Na", "yellow", (255, 200, 0)),
    "potassium": ("K", "lilac", (200, 160, 220)),
    "rubidium": ("Rb", "red-violet", (199, 40, 133)),
    "cesium": ("Cs", "blue-violet", (110, 60, 235)),
    "calcium": ("Ca", "orange-red", (255, 90, 30)),
    "strontium": ("Sr", "scarlet", (255, 36, 0)),
    "barium": ("Ba", "apple green", (150, 205, 60)),
    "copper": ("Cu", "blue-green", (0, 165, 150)),
    "boron": ("B", "bright green", (40, 220, 40)),
    "thallium": ("Tl", "pure green", (0, 150, 0)),
    "indium": ("In", "indigo", (75, 0, 130)),
    "lead": ("Pb", "pale blue", (150, 200, 240)),
}
"""Element → symbol, name and shade of the colour that it gives to a flame."""
LATTICES: dict[str, tuple[str, str, Colour]] = {
    "iron": ("Fe", "body-centred cubic", (224, 102, 51)),
    "chromium": ("Cr", "body-centred cubic", (138, 153, 199)),
    "tungsten": ("W", "body-centred cubic", (33, 148, 214)),
    "sodium": ("Na", "body-centred cubic", (171, 92, 242)),
    "potassium": ("K", "body-centred cubic", (143, 64, 212)),
    "copper": ("Cu", "face-centred cubic", (200, 128, 51)),
    "aluminum": ("Al", "face-centred cubic", (191, 166, 166)),
    "gold": ("Au", "face-centred cubic", (255, 209, 35)),
    "silver": ("Ag", "face-centred cubic", (170, 170, 180)),
    "nickel": ("Ni", "face-centred cubic", (80, 208, 80)),
    "magnesium": ("Mg", "hexagonal close-packed", (138, 235, 0)),
    "zinc": ("Zn", "hexagonal close-packed", (125, 128, 176)),
    "titanium": ("Ti", "hexagonal close-packed", (150, 154, 160)),
    "cobalt": ("Co", "hexagonal close-packed", (240, 144, 160)),
    "carbon": ("C", "diamond cubic", (80, 80, 80)),
    "silicon": ("Si", "diamond cubic", (220, 190, 140)),
    "germanium": ("Ge", "diamond cubic", (102, 143, 143)),
    "polonium": ("Po", "simple cubic", (171, 92, 0)),
}
"""Element → symbol, lattice at room temperature, and the colour in which its atoms are drawn (as in Jmol)."""
HAZARDS: dict[str, tuple[str, str]] = {
    "hydrogen": ("H", "flame"),
    "sodium": ("Na", "flame"),
    "magnesium": ("Mg", "flame"),
    "phosphorus": ("P", "flame"),
    "oxygen": ("O", "flame over circle"),
    "fluorine": ("F", "flame over circle"),
    "chlorine": ("Cl", "skull and crossbones"),
    "mercury": ("Hg", "skull and crossbones"),
    "arsenic": ("As", "skull and crossbones"),
    "thallium": ("Tl", "skull and crossbones"),
    "bromine": ("Br", "corrosion"),
    "calcium": ("Ca", "flame"),
    "helium": ("He", "gas cylinder"),
    "argon": ("Ar", "gas cylinder"),
    "nitrogen": ("N", "gas cylinder"),
    "iodine": ("I", "exclamation mark"),
    "zinc": ("Zn", "dead fish and tree"),
    "silver": ("Ag", "dead fish and tree"),
}
"""Element → symbol, and what one GHS pictogram of it shows."""

TILES: dict[Colour, str] = {
    (255, 150, 150): "Li Na K Rb Cs",
    (255, 215, 140): "Mg Ca Sr Ba",
    (190, 205, 255): "Fe Cr W Cu Au Ag Ni Zn Ti Co Hg",
    (175, 230, 215): "Al Tl In Pb Po",
    (215, 225, 140): "B C Si Ge As",
    (245, 245, 130): "H O P N",
    (225, 175, 250): "F Cl Br I",
    (150, 235, 250): "He Ar",
}
"""Colour of an element's tile, as periodic tables have it → symbols of its family."""

VESSELS = {"Bunsen burner": (70, 80, 100), "spirit lamp": (150, 110, 60), "wire loop": (30, 30, 30)}
HEIGHTS = {"tall": 1.0, "low": 0.55}
VIEWS = {"left": -0.5, "right": 0.5}
ATOMS = {"large": 1.0, "small": 0.5}
CARRIERS = {"bottle": (120, 190, 230), "drum": (70, 100, 190), "sack": (200, 170, 120)}


@dataclass(frozen=True)
class Drawing:
    """One picture that is to be drawn."""

    name: str
    subject: str
    symbol: str
    attribute: str
    """What kind of fact the picture shows: flame colour, crystal structure or hazard sign."""
    value: str
    caption: str
    parts: tuple[str, ...]
    """How it is shown: the keys of the tables above."""


def main() -> None:
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=7, help="another seed moves and shades all")
    parser.add_argument("--out", type=Path, default=HERE.parent / "raw" / "pictures")
    options = parser.parse_args()
    written = write(options.out, options.seed)
    size = sum(path.stat().st_size for path in options.out.iterdir())
    print(f"{written} pictures and captions.csv in {options.out}: {size / 1000:.0f} kB")


def write(out: Path, seed: int) -> int:
    """Write all pictures and their captions, and return the number of pictures."""
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    wanted = list(drawings())
    with (out / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "caption", "subject", "attribute", "value"])
        for drawing in wanted:
            table.writerow(
                [drawing.name, drawing.caption, drawing.subject, drawing.attribute, drawing.value]
            )
    for drawing in wanted:
        picture = drawn(drawing, random.Random(f"{seed} {drawing.name}"))
        picture.save(out / drawing.name, optimize=True)
    return len(wanted)


def drawings() -> Iterator[Drawing]:
    """Yield every combination, in the order of the tables."""
    for subject, (symbol, colour, _) in FLAMES.items():
        for height in HEIGHTS:
            for vessel in VESSELS:
                yield Drawing(
                    name=f"flame_{symbol}_{height}_{vessel.split()[0].lower()}.png",
                    subject=subject,
                    symbol=symbol,
                    attribute="flame colour",
                    value=colour,
                    caption=f"a {height} flame of {subject} above a {vessel}, which is {colour}",
                    parts=(height, vessel),
                )
    for subject, (symbol, lattice, _) in LATTICES.items():
        for atoms in ATOMS:
            for view in VIEWS:
                yield Drawing(
                    name=f"crystal_{symbol}_{atoms}_{view}.png",
                    subject=subject,
                    symbol=symbol,
                    attribute="crystal structure",
                    value=lattice,
                    caption=f"the crystal lattice of {subject} with {atoms} atoms, seen from the "
                    f"{view}, which is {lattice}",
                    parts=(atoms, view),
                )
    for subject, (symbol, sign) in HAZARDS.items():
        for carrier in CARRIERS:
            for height in HEIGHTS:
                yield Drawing(
                    name=f"hazard_{symbol}_{height}_{carrier}.png",
                    subject=subject,
                    symbol=symbol,
                    attribute="hazard sign",
                    value=sign,
                    caption=f"the hazard sign of {subject} on a {height} {carrier}, "
                    f"which shows a {sign}",
                    parts=(carrier, height),
                )


def drawn(drawing: Drawing, rng: random.Random) -> Image.Image:
    """Draw one picture: the symbol of the element on the left, and what is shown on the right."""
    light = rng.randint(225, 255)
    paper = Image.new("RGB", (SIDE * FINE, SIDE * FINE), (light, light, rng.randint(215, 255)))
    pen = Pen(ImageDraw.Draw(paper), rng.uniform(-2, 2), rng.uniform(-2, 2))
    pen.symbol(drawing.symbol)
    if drawing.attribute == "flame colour":
        height, vessel = drawing.parts
        draw_flame(pen, FLAMES[drawing.subject][2], HEIGHTS[height], vessel, rng)
    elif drawing.attribute == "crystal structure":
        atoms, view = drawing.parts
        colour = LATTICES[drawing.subject][2]
        draw_lattice(pen, drawing.value, colour, ATOMS[atoms], VIEWS[view])
    else:
        carrier, height = drawing.parts
        draw_hazard(pen, drawing.value, carrier, HEIGHTS[height])
    picture = paper.resize((SIDE, SIDE), Image.Resampling.BOX)
    return picture.quantize(COLOURS, dither=Image.Dither.NONE)


class Pen:
    """Draws on the paper in units of a picture's pixels, moved a little."""

    def __init__(self, draw: ImageDraw.ImageDraw, right: float, down: float) -> None:
        self.draw = draw
        self.right = right
        self.down = down

    def at(self, point: Point) -> Point:
        """Return a point on the paper."""
        x, y = point
        return ((x + self.right) * FINE, (y + self.down) * FINE)

    def line(self, points: list[Point], colour: Colour, width: float = 1) -> None:
        """Draw a line through points."""
        self.draw.line([self.at(point) for point in points], fill=colour, width=round(width * FINE))

    def polygon(self, points: list[Point], colour: Colour, outline: Colour | None = None) -> None:
        """Draw a filled polygon."""
        placed = [self.at(point) for point in points]
        self.draw.polygon(placed, fill=colour, outline=outline, width=2 * FINE)

    def circle(self, centre: Point, radius: float, colour: Colour, width: float = 0) -> None:
        """Draw a disc, or a ring of this width."""
        x, y = centre
        box = [self.at((x - radius, y - radius)), self.at((x + radius, y + radius))]
        if width:
            self.draw.ellipse(box, outline=colour, width=round(width * FINE))
        else:
            self.draw.ellipse(box, fill=colour, outline=(20, 20, 20), width=FINE // 2)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Draw a filled rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def symbol(self, text: str) -> None:
        """Write the symbol of the element on its tile."""
        for colour, family in TILES.items():
            if text in family.split():
                self.box(1, 1, 44, 40, colour)
        font = ImageFont.load_default(34 * FINE)
        self.draw.text(self.at((4, -1)), text, font=font, fill=(0, 0, 0))


def draw_flame(pen: Pen, colour: Colour, height: float, vessel: str, rng: random.Random) -> None:
    """Draw a flame above a vessel."""
    bottom = 74.0
    top = bottom - 66 * height
    lean = rng.uniform(-3, 3)
    width = 15.0
    outline: list[Point] = []
    for step in range(41):
        angle = math.pi * step / 40  # from the right side over the tip to the left side
        reach = math.sin(angle)
        x = 62 + width * math.cos(angle) * (1 - 0.55 * reach) + lean * reach
        outline.append((x, bottom - (bottom - top) * reach**1.4))
    pen.polygon(outline, colour)
    core = [(57.0, bottom), (62.0, bottom - (bottom - top) * 0.35), (67.0, bottom)]
    pen.polygon(core, (245, 245, 255))
    shade = VESSELS[vessel]
    if vessel == "Bunsen burner":
        pen.box(57, bottom, 67, 92, shade)
        pen.box(46, 90, 78, 95, shade)
    elif vessel == "spirit lamp":
        pen.circle((62, 88), 13, shade)
        pen.box(58, bottom, 66, 78, (240, 240, 230))
    else:
        pen.circle((62, 76), 4, shade, width=1.5)
        pen.line([(20, 92), (58, 78)], shade, 2)


def draw_lattice(pen: Pen, lattice: str, colour: Colour, atoms: float, view: float) -> None:
    """Draw the unit cell of a lattice, with its edges."""
    corners, inner, edges = cell_of(lattice)
    for start, end in edges:
        pen.line([projected(start, view), projected(end, view)], (90, 90, 90), 1.2)
    # What is farther away is drawn first.
    for x, y, z in sorted([*corners, *inner], key=lambda atom: (-atom[1], atom[2])):
        pen.circle(projected((x, y, z), view), 7.5 * atoms, colour)


Atom = tuple[float, float, float]


def cell_of(lattice: str) -> tuple[list[Atom], list[Atom], list[tuple[Atom, Atom]]]:
    """Return the atoms at the corners, the atoms inside and the edges of a unit cell of side 1."""
    if lattice == "hexagonal close-packed":
        ring = []
        for step in range(6):
            angle = math.pi * step / 3
            ring.append((0.5 + 0.55 * math.cos(angle), 0.5 + 0.55 * math.sin(angle)))
        corners = [(x, y, z) for z in (0.0, 1.0) for x, y in ring]
        edges = []
        for number in range(6):
            after = (number + 1) % 6
            edges.append((corners[number], corners[after]))
            edges.append((corners[number + 6], corners[after + 6]))
            edges.append((corners[number], corners[number + 6]))
        inner = [
            (0.5, 0.5, 0.0),
            (0.5, 0.5, 1.0),
            (0.3, 0.4, 0.5),
            (0.7, 0.4, 0.5),
            (0.5, 0.75, 0.5),
        ]
        return corners, inner, edges
    corners = [(x, y, z) for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)]
    edges = []
    for start in corners:
        for end in corners:
            if start < end and sum(a != b for a, b in zip(start, end, strict=True)) == 1:
                edges.append((start, end))
    faces = [(0.5, 0.5, 0.0), (0.5, 0.5, 1.0), (0.5, 0.0, 0.5), (0.5, 1.0, 0.5)]
    faces += [(0.0, 0.5, 0.5), (1.0, 0.5, 0.5)]
    quarters = [(0.25, 0.25, 0.25), (0.75, 0.75, 0.25), (0.75, 0.25, 0.75), (0.25, 0.75, 0.75)]
    inner = {
        "simple cubic": [],
        "body-centred cubic": [(0.5, 0.5, 0.5)],
        "face-centred cubic": faces,
        "diamond cubic": faces + quarters,
    }[lattice]
    return corners, inner, edges


def projected(atom: Atom, view: float) -> Point:
    """Return where an atom stands in the picture, seen from the left or the right (cabinet projection)."""
    x, y, z = atom
    left = 36.0 if view > 0 else 52.0
    return (left + 34 * x + 34 * view * y, 88 - 34 * z - 17 * y)


def draw_hazard(pen: Pen, sign: str, carrier: str, height: float) -> None:
    """Draw a vessel that carries a red-framed sign."""
    colour = CARRIERS[carrier]
    top = 94 - 62 * (0.6 + 0.4 * (height == 1.0))
    if carrier == "bottle":
        pen.box(55, top - 14, 73, top, (60, 60, 60))
        pen.polygon(
            [(40, top + 10), (55, top), (73, top), (88, top + 10), (88, 94), (40, 94)], colour
        )
    elif carrier == "drum":
        pen.box(40, top, 88, 94, colour)
        for y in (top, top + 14, 90):
            pen.box(37, y, 91, y + 4, (30, 40, 90))
    else:
        pen.polygon(
            [(44, top + 8), (56, top), (72, top), (84, top + 8), (92, 94), (36, 94)], colour
        )
        pen.line([(54, top + 7), (74, top + 7)], (90, 60, 30), 3)
    x, y, half = 64.0, 70.0, 22.0
    diamond = [(x, y - half), (x + half, y), (x, y + half), (x - half, y)]
    pen.polygon(diamond, (255, 255, 255), (225, 0, 0))
    draw_sign(pen, sign, x, y)


BLACK = (0, 0, 0)
WHITE = (255, 255, 255)


def draw_sign(pen: Pen, sign: str, x: float, y: float) -> None:
    """Draw the black part of a sign around its centre."""
    if sign == "flame":
        pen.polygon(
            [
                (x - 8, y + 8),
                (x - 9, y),
                (x - 3, y - 3),
                (x, y - 13),
                (x + 5, y - 3),
                (x + 9, y - 6),
                (x + 8, y + 8),
            ],
            BLACK,
        )
    elif sign == "flame over circle":
        pen.circle((x, y + 6), 6, BLACK, width=2.5)
        pen.polygon(
            [(x - 6, y - 1), (x - 5, y - 8), (x, y - 14), (x + 5, y - 7), (x + 6, y - 1)], BLACK
        )
    elif sign == "skull and crossbones":
        pen.line([(x - 12, y + 2), (x + 12, y + 10)], BLACK, 3)
        pen.line([(x - 12, y + 10), (x + 12, y + 2)], BLACK, 3)
        pen.circle((x, y - 4), 8, BLACK)
        pen.circle((x - 3, y - 5), 2.4, WHITE)
        pen.circle((x + 3, y - 5), 2.4, WHITE)
    elif sign == "corrosion":
        pen.box(x - 13, y + 5, x + 13, y + 9, BLACK)
        pen.line([(x - 10, y - 8), (x - 3, y - 4)], BLACK, 4)
        pen.circle((x - 1, y), 2, BLACK)
        pen.line([(x + 4, y - 8), (x + 10, y - 4)], BLACK, 4)
        pen.circle((x + 9, y + 1), 2, BLACK)
    elif sign == "gas cylinder":
        pen.line([(x - 11, y + 5), (x + 7, y - 4)], BLACK, 8)
        pen.line([(x + 7, y - 4), (x + 12, y - 7)], BLACK, 3)
    elif sign == "exclamation mark":
        pen.polygon(
            [(x - 3.5, y - 13), (x + 3.5, y - 13), (x + 1.5, y + 4), (x - 1.5, y + 4)], BLACK
        )
        pen.circle((x, y + 9), 3, BLACK)
    else:
        pen.line([(x - 7, y + 6), (x - 7, y - 9)], BLACK, 2.5)
        pen.line([(x - 7, y - 2), (x - 1, y - 8)], BLACK, 2)
        pen.line([(x - 7, y - 3), (x - 12, y - 7)], BLACK, 2)
        pen.polygon(
            [
                (x - 4, y + 7),
                (x + 3, y + 2),
                (x + 9, y + 7),
                (x + 13, y + 3),
                (x + 13, y + 11),
                (x + 9, y + 7),
                (x + 3, y + 11),
            ],
            BLACK,
        )


if __name__ == "__main__":
    main()

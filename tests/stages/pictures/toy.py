"""Small pictures with captions: squares of a colour in a corner. Each combination has one caption."""

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from stages.core.records import picture, record
from stages.core.records.picture import Picture
from stages.pictures import Params
from stages.pictures.training import Training

COLOURS = {"red": (220, 0, 0), "green": (0, 170, 0), "blue": (0, 0, 220), "black": (0, 0, 0)}
CORNERS = {"left": (1, 5), "right": (9, 5), "top": (5, 1), "bottom": (5, 9)}
QUICK = Training(steps=3, pairs_per_batch=8, warmup=1, image_size=16)
PARAMS = Params(model="train", folds=1, training=QUICK, least_score=-1.0)


def square(colour: str, corner: str, name: str = "") -> Picture:
    image = Image.new("RGB", (16, 16), "white")
    x, y = CORNERS[corner]
    ImageDraw.Draw(image).rectangle((x, y, x + 6, y + 6), fill=COLOURS[colour])
    path = name or f"{colour}_{corner}.png"
    return Picture(path, "0" * 64, "PNG", 16, 16, 16, 16, image.tobytes())


def caption(path: str, text: str, subject: str | None, lang: str = "en") -> dict[str, Any]:
    return {
        "id": record.record_id("toy", path),
        "source": "toy",
        "locator": f"{path}#picture@text",
        "kind": "picture",
        "text": text,
        "lang": lang,
        "subject": subject,
        "meta": record.to_meta({"picture": path}),
    }


def fact(subject: str, attribute: str, value: str, unit: str | None = None) -> dict[str, Any]:
    return {
        "id": record.record_id("facts", f"{subject} {attribute}"),
        "source": "facts",
        "locator": f"{subject} {attribute}",
        "kind": "fact",
        "text": record.fact_text(subject, attribute, value, unit),
        "lang": "en",
        "subject": subject,
        "attribute": attribute,
        "value": value,
        "unit": unit,
        "fact": record.fact_id(subject, attribute),
    }


def project(folder: Path, *more: dict[str, Any]) -> tuple[Path, Path]:
    """Write what extract and clean write: sixteen pictures, their captions, and further records."""
    rows = [*more]
    with picture.writing(folder / "extract/pictures.parquet") as table:
        for colour in COLOURS:
            for corner in CORNERS:
                drawn = square(colour, corner)
                row = caption(drawn.path, f"a {colour} square at the {corner}", colour)
                table.add(row["id"], drawn)
                rows.append(row)
    record.write(folder / "clean/records.parquet", rows)
    (folder / "extract/sources.json").write_text("[]")
    return folder / "extract", folder / "clean"

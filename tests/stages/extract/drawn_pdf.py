"""PDF files for tests, written by hand: text at any place and angle, pictures and forms."""

import math
import zlib
from pathlib import Path


def text(
    x: float, y: float, words: str, size: float = 10, angle: float = 0, rise: float = 0
) -> str:
    """Drawn text that begins at a point from the lower left, turned counterclockwise by degrees."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    place = f"{cos:.4f} {sin:.4f} {-sin:.4f} {cos:.4f} {x} {y} Tm"
    return f"BT /F1 {size} Tf {rise} Ts {place} ({escaped}) Tj ET\n"


def runs(x: float, y: float, *pieces: tuple[str, float, float]) -> str:
    """Text that begins at a point, in pieces (words, size, rise) which follow each other."""
    drawn = f"BT 1 0 0 1 {x} {y} Tm\n"
    for words, size, rise in pieces:
        drawn += f"/F1 {size} Tf {rise} Ts ({words}) Tj\n"
    return drawn + "ET\n"


def picture(left: float, bottom: float, width: float, height: float) -> str:
    """A grey picture, the one named Im in the page's resources."""
    return f"q {width} 0 0 {height} {left} {bottom} cm /Im Do Q\n"


def field(name: str, value: str, box: tuple[int, int, int, int], more: str = "/FT /Tx") -> str:
    """A field of a form with its place. `more`: its type, such as /FT /Tx for a text, and its flags."""
    edges = " ".join(map(str, box))
    return f"<</Type /Annot /Subtype /Widget /Rect [{edges}] /T ({name}) /V {value} {more}>>"


def write(
    path: Path,
    *pages: str,
    rotate: int = 0,
    size: tuple[float, float] = (595, 842),
    fields: tuple[str, ...] = (),
    pixels: tuple[int, int, bytes] = (1, 1, b"\x80"),
    count: int | None = None,
) -> Path:
    """Write a file of these pages. The fields stand on the first one."""
    width, height, grey = pixels
    compressed = zlib.compress(grey)
    picture_object = (
        f"<</Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray "
        f"/BitsPerComponent 8 /Filter /FlateDecode /Length {len(compressed)}>>\nstream\n"
    ).encode() + compressed
    font = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding>>"
    first_field = 5 + 2 * len(pages)
    numbers = range(first_field, first_field + len(fields))
    references = " ".join(f"{number} 0 R" for number in numbers)
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    form = f"/AcroForm <</Fields [{references}] /DA (/F1 10 Tf)>>" if fields else ""
    objects: list[bytes] = [
        f"<</Type /Catalog /Pages 2 0 R {form}>>".encode(),
        f"<</Type /Pages /Kids [{kids}] /Count {count or len(pages)}>>".encode(),
        font,
        picture_object + b"\nendstream",
    ]
    for number, drawn in enumerate(pages):
        annotations = f"/Annots [{references}]" if fields and number == 0 else ""
        content = drawn.encode("cp1252")
        objects.append(
            f"<</Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] /Rotate {rotate} "
            f"/Resources <</Font <</F1 3 0 R>> /XObject <</Im 4 0 R>>>> {annotations} "
            f"/Contents {6 + 2 * number} 0 R>>".encode()
        )
        objects.append(f"<</Length {len(content)}>>\nstream\n".encode() + content + b"\nendstream")
    objects += [entry.encode("latin-1") for entry in fields]
    file = b"%PDF-1.7\n"
    offsets = []
    for number, entry in enumerate(objects, start=1):
        offsets.append(len(file))
        file += f"{number} 0 obj\n".encode() + entry + b"\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    start = len(file)
    file += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode()
    file += (
        f"trailer\n<</Size {len(objects) + 1} /Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n".encode()
    )
    path.write_bytes(file)
    return path

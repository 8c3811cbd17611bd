"""Draw which package imports which: `python docs/packages.py` writes docs/assets/packages.svg.

`make reference` calls it, and tests/test_reference.py checks that the picture is current. Each row
is a floor: a package imports packages of lower floors only. An arrow that follows from two others
is left out (transitive reduction), so the picture shows the shortest way down.
"""

from collections import defaultdict
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "assets" / "packages.svg"
DIVIDED = ("lore", "stages.core")
"""Packages whose sub-packages are drawn one by one. All others are drawn whole."""
ENTRY_POINTS = ("lore.__main__", "stages.__main__")
"""They import by name at run time, so their imports in the code show little."""
BOX_WIDTH, BOX_HEIGHT = 118, 30
GAP, ROW_GAP, MARGIN = 14, 44, 20
Edges = dict[str, set[str]]


def main() -> None:
    """Write the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))


def picture() -> str:
    """Return the picture as SVG."""
    edges = package_imports()
    return drawn(floors_of(edges), reduced(edges))


def package_imports() -> Edges:
    """Return the packages that each package imports, directly. Raises ValueError for a circle."""
    graph = grimp.build_graph("stages", "lore")
    edges: Edges = {}
    for module in graph.modules:
        importer = package_of(module)
        if importer:
            edges.setdefault(importer, set())
        for imported_module in graph.find_modules_directly_imported_by(module):
            imported = package_of(imported_module)
            if importer and imported and imported != importer:
                edges[importer].add(imported)
    return edges


def package_of(module: str) -> str:
    """Return the box that a module belongs to, "" for a package that is divided."""
    parts = module.split(".")
    if module in ENTRY_POINTS:
        return ""
    for divided in DIVIDED:
        depth = len(divided.split("."))
        if module == divided:
            return ""
        if module.startswith(f"{divided}."):
            return ".".join(parts[: depth + 1])
    if module == "stages":
        return ""
    return ".".join(parts[:2])


def floors_of(edges: Edges) -> dict[str, int]:
    """Return each package's floor: 0 where it imports none, else one above the highest it imports.

    Raises ValueError where packages import each other in a circle.
    """
    floors: dict[str, int] = {}
    waiting = dict(edges)
    while waiting:
        ready = [name for name, imported in waiting.items() if imported <= set(floors)]
        if not ready:
            raise ValueError(
                f"packages import each other in a circle: {', '.join(sorted(waiting))}"
            )
        for name in ready:
            below = [floors[imported] for imported in waiting.pop(name)]
            floors[name] = max(below, default=-1) + 1
    return floors


def reachable(edges: Edges, start: str) -> set[str]:
    """Return all packages that a package imports, directly or not."""
    found: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges[name]
    return found


def reduced(edges: Edges) -> Edges:
    """Return the imports without those that follow from others."""
    kept: Edges = {}
    for name, imported in edges.items():
        indirect: set[str] = set()
        for other in imported:
            indirect |= reachable(edges, other)
        kept[name] = imported - indirect
    return kept


def drawn(floors: dict[str, int], edges: Edges) -> str:
    """Return the SVG of boxes in rows and arrows between them."""
    rows: dict[int, list[str]] = defaultdict(list)
    for name in sorted(floors):
        rows[floors[name]].append(name)
    highest = max(rows)
    widest = max(len(names) for names in rows.values())
    width = 2 * MARGIN + widest * (BOX_WIDTH + GAP) - GAP
    height = 2 * MARGIN + (highest + 1) * (BOX_HEIGHT + ROW_GAP) - ROW_GAP
    places: dict[str, tuple[float, float]] = {}
    for floor, names in rows.items():
        row_width = len(names) * (BOX_WIDTH + GAP) - GAP
        left = (width - row_width) / 2
        top = MARGIN + (highest - floor) * (BOX_HEIGHT + ROW_GAP)
        for number, name in enumerate(names):
            places[name] = (left + number * (BOX_WIDTH + GAP), top)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Packages: each row imports rows below it only</title>",
        "<style>text{font:12px sans-serif;text-anchor:middle;fill:#1a1a1a}"
        "rect{fill:#eef3fb;stroke:#4a6fa5}.core rect{fill:#eef7ee;stroke:#4f8a5b}"
        ".stage rect{fill:#fdf3e3;stroke:#b98229}line{stroke:#9aa5b1;stroke-width:1}</style>",
    ]
    for name in sorted(edges):
        for imported in sorted(edges[name]):
            lines.append(arrow(places[name], places[imported]))
    for name in sorted(places):
        lines.append(box(name, places[name]))
    return "\n".join([*lines, "</svg>"]) + "\n"


def arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return a line from the bottom of one box to the top of another."""
    half = BOX_WIDTH / 2
    return (
        f'<line x1="{start[0] + half:.0f}" y1="{start[1] + BOX_HEIGHT:.0f}" '
        f'x2="{end[0] + half:.0f}" y2="{end[1]:.0f}"/>'
    )


def box(name: str, place: tuple[float, float]) -> str:
    """Return a box with a package's name; its colour says whether it is lore, a stage or core."""
    kind = "lore"
    if name.startswith("stages."):
        kind = "core" if name.startswith("stages.core") else "stage"
    left, top = place
    label = name.removeprefix("stages.")
    return (
        f'<g class="{kind}"><rect x="{left:.0f}" y="{top:.0f}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="4"/><text x="{left + BOX_WIDTH / 2:.0f}" '
        f'y="{top + BOX_HEIGHT / 2 + 4:.0f}">{escape(label)}</text></g>'
    )


if __name__ == "__main__":
    main()

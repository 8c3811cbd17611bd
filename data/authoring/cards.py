"""The facts that are on the scanned record cards and nowhere else."""

CARDS = [
    "hafnium", "tantalum", "rhenium", "osmium", "iridium", "thallium", "ruthenium", "rhodium", "palladium", "tellurium",
    "antimony", "selenium", "indium", "germanium", "gallium", "yttrium", "tungsten", "radium",
]  # fmt: skip
"""Elements whose facts of the attributes below are on the pages alone."""
PAGES = {
    "page-1.png": ("Record cards I: constants", ["boiling point", "density"]),
    "page-2.png": ("Record cards II: discovery", ["discovery year", "discoverer"]),
}


def on_pages_alone(element: dict[str, str]) -> dict[str, str]:
    """Return an element's row without the facts that are on the pages alone."""
    if element["name"] not in CARDS:
        return element
    hidden: set[str] = set()
    for _, attributes in PAGES.values():
        hidden.update(attributes)
    return element | dict.fromkeys(hidden, "")
